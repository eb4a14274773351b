/* kernels.h - the few loops over rows of doubles that training spends its time in.
 *
 * Two doubles at a time, by the vector extension that gcc and clang share; compilers
 * do not keep running sums in registers at -O2 otherwise.  The order of every sum is
 * fixed, so results are those of one build on any machine.  n is a multiple of 8. */
#ifndef M4A1_TMO_KERNELS_H
#define M4A1_TMO_KERNELS_H

#include <math.h>
#include <stddef.h>

#ifdef __has_builtin
#if __has_builtin(__builtin_ia32_sqrtpd)
#define KERNEL_SQRTPD 1
#endif
#endif

#define KERNEL_STEP 8 /* doubles a round */

/* Two doubles at any address that holds doubles. */
typedef double pair_of_doubles __attribute__((vector_size(16), aligned(8), may_alias));

static inline pair_of_doubles kernel_load(const double *x)
{
    return *(const pair_of_doubles *)x;
}

static inline void kernel_store(double *x, pair_of_doubles v)
{
    *(pair_of_doubles *)x = v;
}

/* The sum of a[i] * b[i]. */
static inline double kernel_dot(const double *a, const double *b, size_t n)
{
    pair_of_doubles s0 = { 0, 0 }, s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < n; i += KERNEL_STEP) {
        s0 += kernel_load(a + i) * kernel_load(b + i);
        s1 += kernel_load(a + i + 2) * kernel_load(b + i + 2);
        s2 += kernel_load(a + i + 4) * kernel_load(b + i + 4);
        s3 += kernel_load(a + i + 6) * kernel_load(b + i + 6);
    }
    s0 = (s0 + s1) + (s2 + s3);
    return s0[0] + s0[1];
}

/* y[i] += scale * x[i]; y and x do not overlap. */
static inline void kernel_add(double *y, const double *x, double scale, size_t n)
{
    const pair_of_doubles s = { scale, scale };
    for (size_t i = 0; i < n; i += KERNEL_STEP) {
        kernel_store(y + i, kernel_load(y + i) + s * kernel_load(x + i));
        kernel_store(y + i + 2, kernel_load(y + i + 2) + s * kernel_load(x + i + 2));
        kernel_store(y + i + 4, kernel_load(y + i + 4) + s * kernel_load(x + i + 4));
        kernel_store(y + i + 6, kernel_load(y + i + 6) + s * kernel_load(x + i + 6));
    }
}

/* y[i] = sum over t < n_rows of scale[t] * rows[t * n + i]: each y is written once. */
static inline void kernel_combine(
    double *y, const double *rows, const double *scale, size_t n_rows, size_t n)
{
    for (size_t i = 0; i < n; i += KERNEL_STEP) {
        pair_of_doubles s0 = { 0, 0 }, s1 = s0, s2 = s0, s3 = s0;
        for (size_t t = 0; t < n_rows; t++) {
            const double *x = rows + t * n + i;
            const pair_of_doubles s = { scale[t], scale[t] };
            s0 += s * kernel_load(x);
            s1 += s * kernel_load(x + 2);
            s2 += s * kernel_load(x + 4);
            s3 += s * kernel_load(x + 6);
        }
        kernel_store(y + i, s0);
        kernel_store(y + i + 2, s1);
        kernel_store(y + i + 4, s2);
        kernel_store(y + i + 6, s3);
    }
}

/* The square roots of both; sqrt() may set errno, which keeps compilers from taking two
 * at a time.  IEEE 754 roots are exact to the bit, so both ways are the same. */
static inline pair_of_doubles kernel_roots(pair_of_doubles x)
{
#ifdef KERNEL_SQRTPD
    return (pair_of_doubles)__builtin_ia32_sqrtpd(x);
#else
    return (pair_of_doubles) { sqrt(x[0]), sqrt(x[1]) };
#endif
}

#endif
