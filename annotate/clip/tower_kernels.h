/* tower_kernels.h - the loops of a tower that are not products with weights, for the processor at
 * hand: layer normalisation, softmax, the small products inside attention, rounding to
 * bfloat16.
 *
 * Written once with the vector extension that gcc and clang share, and compiled for AVX-512,
 * for AVX2 and for the processors that the program is built for (tower_kernels.c).  No state. */
#ifndef ANNOTATE_CLIP_TOWER_KERNELS_H
#define ANNOTATE_CLIP_TOWER_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define KERNELS_STEP 16 /* floats a vector */

/* n rounded up to whole vectors. */
static inline size_t kernels_padded(size_t n)
{
    return (n + KERNELS_STEP - 1) / KERNELS_STEP * KERNELS_STEP;
}

struct kernels {
    const char *name; /* "avx512", "avx2" or "plain" */

    /* y = (x - mean) / sqrt(variance + eps) * gain + bias in each of n_rows rows of width
     * numbers; the variance is that of the whole row (divided by width).  y may be x. */
    void (*layer_norm)(const float *x, size_t n_rows, size_t width, const float *gain,
        const float *bias, float eps, float *y);

    /* c [m][n] = a [m][k] b [k][n]; rows lie lda, ldb, ldc numbers apart, n is a multiple of
     * KERNELS_STEP. */
    void (*multiply)(const float *a, size_t lda, const float *b, size_t ldb, float *c,
        size_t ldc, size_t m, size_t k, size_t n);

    /* The first n numbers of x become exp(scale x) over their sum, those behind, up to
     * kernels_padded(n), become 0; n >= 1. */
    void (*softmax)(float *x, size_t n, float scale);

    /* Rounded to nearest, ties to even; finite numbers only. */
    void (*to_bf16)(const float *x, size_t n, uint16_t *y);

    /* y [columns][rows padded] = x [rows][columns], x's rows lie ldx numbers apart; what
     * pads a row of y is 0. */
    void (*transpose)(
        const float *x, size_t ldx, size_t n_rows, size_t n_columns, float *y);
};

/* The fastest that this processor runs. */
const struct kernels *kernels_best(void);

/* All that this processor runs, the fastest first; for tests.  NULL beyond the last. */
const struct kernels *kernels_at(size_t i);

#endif
