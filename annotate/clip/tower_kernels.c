/* tower_kernels.c - one text of every loop, compiled for several processors.
 *
 * The bodies are inlined into functions that differ in their target attribute only.
 * Vectors are passed by pointer, because the way to pass them by value depends on the
 * target.  The Makefile lets a product and a sum be fused in this file. */
#include "annotate/clip/tower_kernels.h"

#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
#define STEP KERNELS_STEP
#define MAX_ROWS 6
#define MAX_VECTORS 4

typedef float floats __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t shorts __attribute__((vector_size(32), aligned(2), may_alias));

/* --- bodies --- */

INLINE float sum_of(const floats *v)
{
    float s[STEP / 2];
    for (int i = 0; i < STEP / 2; i++)
        s[i] = (*v)[i] + (*v)[i + STEP / 2];
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

INLINE float row_mean(const float *x, size_t width)
{
    floats sum = { 0 };
    size_t i = 0;
    float rest = 0;
    for (; i + STEP <= width; i += STEP)
        sum += *(const floats *)(x + i);
    for (; i < width; i++)
        rest += x[i];
    return (sum_of(&sum) + rest) / (float)width;
}

INLINE float row_variance(const float *x, size_t width, float mean)
{
    floats sum = { 0 };
    size_t i = 0;
    float rest = 0;
    for (; i + STEP <= width; i += STEP) {
        floats d = *(const floats *)(x + i) - mean;
        sum += d * d;
    }
    for (; i < width; i++)
        rest += (x[i] - mean) * (x[i] - mean);
    return (sum_of(&sum) + rest) / (float)width;
}

INLINE void layer_norm(const float *x, size_t n_rows, size_t width, const float *gain,
    const float *bias, float eps, float *y)
{
    for (size_t r = 0; r < n_rows; r++, x += width, y += width) {
        float mean = row_mean(x, width);
        float scale = 1.0f / sqrtf(row_variance(x, width, mean) + eps);
        size_t i = 0;
        for (; i + STEP <= width; i += STEP)
            *(floats *)(y + i) =
                (*(const floats *)(x + i) - mean) * scale * *(const floats *)(gain + i) +
                *(const floats *)(bias + i);
        for (; i < width; i++)
            y[i] = (x[i] - mean) * scale * gain[i] + bias[i];
    }
}

/* rows x vectors of c at once, which stay in registers; both are constants where this is
 * inlined. */
INLINE void tile(const float *a, size_t lda, const float *b, size_t ldb, float *c,
    size_t ldc, size_t k, const int rows, const int vectors)
{
    floats sum[MAX_ROWS][MAX_VECTORS] = { { { 0 } } };
    for (size_t i = 0; i < k; i++) {
        floats line[MAX_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) line[v] =
            *(const floats *)(b + i * ldb + STEP * (size_t)v);
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < vectors; v++)
            sum[r][v] += line[v] * a[(size_t)r * lda + i];
    }
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < vectors; v++) *
        (floats *)(c + (size_t)r * ldc + STEP * (size_t)v) = sum[r][v];
}

/* Some columns of c, all rows. */
INLINE void strip(const float *a, size_t lda, const float *b, size_t ldb, float *c,
    size_t ldc, size_t m, size_t k, const int rows, const int vectors)
{
    size_t r = 0;
    for (; r + (size_t)rows <= m; r += (size_t)rows)
        tile(a + r * lda, lda, b, ldb, c + r * ldc, ldc, k, rows, vectors);
    for (; r + 2 <= m; r += 2)
        tile(a + r * lda, lda, b, ldb, c + r * ldc, ldc, k, 2, vectors);
    for (; r < m; r++)
        tile(a + r * lda, lda, b, ldb, c + r * ldc, ldc, k, 1, vectors);
}

INLINE void multiply(const float *a, size_t lda, const float *b, size_t ldb, float *c,
    size_t ldc, size_t m, size_t k, size_t n, const int rows, const int vectors)
{
    size_t at = 0, step = STEP * (size_t)vectors;
    for (; at + step <= n; at += step)
        strip(a, lda, b + at, ldb, c + at, ldc, m, k, rows, vectors);
    for (; at < n; at += STEP)
        strip(a, lda, b + at, ldb, c + at, ldc, m, k, rows, 1);
}

/* exp(x) for x <= 0, 0 below -87: 2^n exp(r) with |r| <= ln 2 / 2, exp(r) by Cephes' polynomial
 * (Moshier, expf: relative error below 1e-7). */
INLINE void exp_of(floats *x)
{
    const float shift = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
    ints keep = *x > -87.0f;
    floats shifted = *x * 1.44269504088896341f + shift;
    floats n = shifted - shift;
    floats r = *x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    bits power = (bits)shifted << 23; // the low bits of shifted are n's
    *x = (floats)(((bits)p + power) & (bits)keep);
}

INLINE void softmax(float *x, size_t n, float scale)
{
    size_t end = kernels_padded(n);
    floats top, sum = { 0 };
    for (size_t i = n; i < end; i++)
        x[i] = -1e30f;
    top = *(const floats *)x;
    for (size_t i = STEP; i < end; i += STEP) {
        floats v = *(const floats *)(x + i);
        ints larger = v > top;
        top = (floats)(((bits)v & (bits)larger) | ((bits)top & ~(bits)larger));
    }
    float most = top[0];
    for (int i = 1; i < STEP; i++)
        most = top[i] > most ? top[i] : most;
    for (size_t i = 0; i < end; i += STEP) {
        floats v = (*(const floats *)(x + i) - most) * scale;
        exp_of(&v);
        *(floats *)(x + i) = v;
        sum += v;
    }
    float part = 1.0f / sum_of(&sum);
    for (size_t i = 0; i < end; i += STEP)
        *(floats *)(x + i) *= part;
}

INLINE uint16_t round_one(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return (uint16_t)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

INLINE void to_bf16(const float *x, size_t n, uint16_t *y)
{
    size_t i = 0;
    for (; i + STEP <= n; i += STEP) {
        bits b = (bits)(*(const floats *)(x + i));
        b = (b + 0x7fff + (b >> 16 & 1)) >> 16;
        *(shorts *)(y + i) = __builtin_convertvector(b, shorts);
    }
    for (; i < n; i++)
        y[i] = round_one(x[i]);
}

/* Sixteen rows of sixteen numbers.  To deal the first and the second half of the rows out
 * in turn, number by number, four times, is to transpose them. */
INLINE void transpose_square(const float *x, size_t ldx, float *y, size_t ldy)
{
    floats v[2][STEP];
    UNROLL for (int i = 0; i < STEP; i++) v[0][i] =
        *(const floats *)(x + (size_t)i * ldx);
    UNROLL for (int round = 0; round < 4; round++)
    {
        const floats *from = v[round % 2];
        floats *to = v[(round + 1) % 2];
        UNROLL for (int i = 0; i < STEP / 2; i++)
        {
            to[2 * i] = __builtin_shufflevector(from[i], from[i + STEP / 2], 0, 16, 1, 17,
                2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            to[2 * i + 1] = __builtin_shufflevector(from[i], from[i + STEP / 2], 8, 24, 9,
                25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
    }
    UNROLL for (int i = 0; i < STEP; i++) * (floats *)(y + (size_t)i * ldy) = v[0][i];
}

INLINE void transpose(
    const float *x, size_t ldx, size_t n_rows, size_t n_columns, float *y)
{
    size_t ldy = kernels_padded(n_rows), r = 0;
    for (; r + STEP <= n_rows; r += STEP) {
        size_t c = 0;
        for (; c + STEP <= n_columns; c += STEP)
            transpose_square(x + r * ldx + c, ldx, y + c * ldy + r, ldy);
        for (; c < n_columns; c++)
            for (size_t i = 0; i < STEP; i++)
                y[c * ldy + r + i] = x[(r + i) * ldx + c];
    }
    for (size_t c = 0; c < n_columns && r < ldy; c++)
        for (size_t i = r; i < ldy; i++)
            y[c * ldy + i] = i < n_rows ? x[i * ldx + c] : 0.0f;
}

/* --- the same for several processors --- */

// NOLINTBEGIN(bugprone-macro-parentheses): attributes cannot stand in parentheses
#define VARIANT(variant, attributes, rows, vectors)                                      \
    attributes static void layer_norm_##variant(const float *x, size_t n_rows,           \
        size_t width, const float *gain, const float *bias, float eps, float *y)         \
    {                                                                                    \
        layer_norm(x, n_rows, width, gain, bias, eps, y);                                \
    }                                                                                    \
    attributes static void multiply_##variant(const float *a, size_t lda,                \
        const float *b, size_t ldb, float *c, size_t ldc, size_t m, size_t k, size_t n)  \
    {                                                                                    \
        multiply(a, lda, b, ldb, c, ldc, m, k, n, rows, vectors);                        \
    }                                                                                    \
    attributes static void softmax_##variant(float *x, size_t n, float scale)            \
    {                                                                                    \
        softmax(x, n, scale);                                                            \
    }                                                                                    \
    attributes static void to_bf16_##variant(const float *x, size_t n, uint16_t *y)      \
    {                                                                                    \
        to_bf16(x, n, y);                                                                \
    }                                                                                    \
    attributes static void transpose_##variant(                                          \
        const float *x, size_t ldx, size_t n_rows, size_t n_columns, float *y)           \
    {                                                                                    \
        transpose(x, ldx, n_rows, n_columns, y);                                         \
    }
// NOLINTEND(bugprone-macro-parentheses)

#define ENTRY(variant)                                                                   \
    {                                                                                    \
#variant, layer_norm_##variant, multiply_##variant, softmax_##variant,           \
            to_bf16_##variant, transpose_##variant                                       \
    }

VARIANT(plain, , 2, 1)

#ifdef __x86_64__

VARIANT(
    avx512, __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"))), 6, 4)
VARIANT(avx2, __attribute__((target("avx2,fma"))), 6, 1)

static const struct kernels all[] = { ENTRY(avx512), ENTRY(avx2), ENTRY(plain) };

static int runs_here(const struct kernels *k)
{
    if (k == &all[0])
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (k == &all[1])
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return 1;
}

#else

static const struct kernels all[] = { ENTRY(plain) };

static int runs_here(const struct kernels *k)
{
    (void)k;
    return 1;
}

#endif

const struct kernels *kernels_at(size_t i)
{
    for (size_t j = 0; j < sizeof all / sizeof *all; j++)
        if (runs_here(&all[j]) && i-- == 0)
            return &all[j];
    return NULL;
}

const struct kernels *kernels_best(void)
{
    return kernels_at(0);
}
