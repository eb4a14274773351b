/* mlp_kernels.h - the loops that training spends its time in, for the processor at hand.
 *
 * Written once with the vector extension that gcc and clang share, compiled for AVX-512,
 * for AVX2 and for the processor that the program is built for (mlp_kernels.c).  Every
 * number is one chain of products and sums in a fixed order, and no product is fused with
 * a sum: so all forms give the same bits, and a row of a batch those of the row alone.
 * Counts called padded are multiples of MLP_LANES.  No state.
 */
#ifndef M4A1_TMO_MLP_KERNELS_H
#define M4A1_TMO_MLP_KERNELS_H

#include <stddef.h>

#define MLP_LANES 8   /* floats a vector */
#define MLP_HIDDEN 64 /* width of both hidden layers */

static inline size_t mlp_padded(size_t n)
{
    return (n + MLP_LANES - 1) / MLP_LANES * MLP_LANES;
}

/* c [m][n] = a [m][k] b [k][n], each sum from the first of k to the last.  Element (i, j)
 * of a is a[i * row_step + j * sum_step]; rows of b and c lie n numbers apart; n padded. */
struct mlp_product {
    const float *a;
    size_t row_step, sum_step;
    const float *b;
    float *c;
    size_t m, k, n;
};

struct adam_step {
    float beta1, rest1, beta2, rest2; /* rest = 1 - beta */
    float root_scale;                 /* 1 / sqrt(1 - beta2^t) */
    float epsilon, rate;              /* rate / (1 - beta1^t) */
};

struct rmsprop_step {
    float alpha, rest, epsilon, rate; /* rest = 1 - alpha */
};

struct mlp_kernels {
    const char *name; /* "avx512", "avx2" or "plain" */

    void (*multiply)(const struct mlp_product *p);

    /* h [n][MLP_HIDDEN] = tanh(h + bias) or max(h + bias, 0).  The tanh is a rational
     * approximation, at most 5e-7 off. */
    void (*tanh_rows)(float *h, const float *bias, size_t n);
    void (*relu_rows)(float *h, const float *bias, size_t n);
    /* d [n] *= the activation's derivative where it gave h [n]; n padded. */
    void (*tanh_back)(float *d, const float *h, size_t n);
    void (*relu_back)(float *d, const float *h, size_t n);

    /* y [n][width] += bias [width]; sums [width] = the sum over the rows of x [n][width];
     * width padded. */
    void (*add_bias)(float *y, const float *bias, size_t n, size_t width);
    void (*sum_rows)(float *sums, const float *x, size_t n, size_t width);

    /* y [columns][MLP_HIDDEN] = x [MLP_HIDDEN][columns] transposed; columns padded. */
    void (*transpose)(float *y, const float *x, size_t columns);

    /* p [padded n] = exp(x - the greatest x), over its sum; 0 in the padding.  x is padded
     * too, whatever stands there; -INFINITY gives 0, and one number at least is finite. */
    void (*softmax)(float *p, const float *x, size_t n);

    /* Sum of squares over padded n, in eight running sums, then over these. */
    float (*square_sum)(const float *x, size_t n);

    /* One step of an optimiser on x [n] with the gradient scale * g; n padded. */
    void (*rmsprop)(const struct rmsprop_step *s, float *x, float *square, const float *g,
        float scale, size_t n);
    void (*adam)(const struct adam_step *s, float *x, float *mean, float *square,
        const float *g, float scale, size_t n);
};

/* The fastest that this processor runs. */
const struct mlp_kernels *mlp_kernels_best(void);

/* All that this processor runs, the fastest first; for tests.  NULL beyond the last. */
const struct mlp_kernels *mlp_kernels_at(size_t i);

#endif
