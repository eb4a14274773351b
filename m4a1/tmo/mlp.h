/* mlp.h - a perceptron F -> 64 -> 64 -> outputs in single precision, as
 * Stable-Baselines3's MlpPolicy and PyTorch have it.
 *
 * Its parameters are a stretch of the caller's array of floats, so that norms, optimisers
 * and files need not know layers.  They lie such that all passes stream over rows of 64:
 *     w1 [F][64], b1 [64], w2 [64 from][64 to], b2 [64], w3 [64 from][P], b3 [P]
 * P is the number of outputs rounded up to whole vectors; what pads is 0, and stays 0
 * since its gradient is.  The same pass gives the same bits for a row alone and in a
 * batch, on every processor of one build (mlp_kernels.h).
 *
 * It knows no environment and no learner.  Letters: F features, P padded outputs, B rows. */
#ifndef M4A1_TMO_MLP_H
#define M4A1_TMO_MLP_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/base/random.h"
#include "m4a1/tmo/mlp_kernels.h"

enum mlp_activation { MLP_TANH, MLP_RELU };

struct mlp {
    enum mlp_activation activation;
    size_t n_in, n_out, n_wide; /* F, outputs, P */
    /* Where each part begins in the array, and where the next network may: all are
     * multiples of MLP_LANES.  The parameters are params[w1 .. end). */
    size_t w1, b1, w2, b2, w3, b3, end;
};

/* A network whose parameters begin at `at` (a multiple of MLP_LANES). */
struct mlp mlp_place(
    size_t n_in, size_t n_out, enum mlp_activation activation, size_t at);

/* Draw orthogonal weights, biases 0: gain sqrt 2 for hidden layers, gain for the outputs
 * (Stable-Baselines3's actor-critic: 0.01 for a policy, 1 for a value). */
MUST_CHECK enum status mlp_draw_orthogonal(
    const struct mlp *m, float *params, double gain, struct rng *rng, struct error *err);

/* Draw weights and biases uniformly within 1 / sqrt(inputs of the layer): the default of
 * PyTorch's nn.Linear, which Stable-Baselines3 leaves to DQN's network. */
void mlp_draw_uniform(const struct mlp *m, float *params, struct rng *rng);

/* What a forward pass over up to `capacity` rows leaves for the backward pass. */
struct mlp_pass {
    size_t capacity;
    float *h1, *h2;        /* [B][64] behind the activation */
    float *out;            /* [B][P]; 0 in the padding */
    float *d_out;          /* [B][P] the loss's derivatives by out; the caller's to fill,
                             0 at first, and 0 in the padding for ever */
    float *d1, *d2, *flip; /* of the backward pass */
};

MUST_CHECK enum status mlp_pass_init(
    struct mlp_pass *pass, const struct mlp *m, size_t capacity, struct error *err);
void mlp_pass_release(struct mlp_pass *pass);

/* Rows first .. first + n of the pass from x [n][F]: fills h1, h2, out there. */
void mlp_forward(const struct mlp *m, const float *params, const float *x,
    struct mlp_pass *pass, size_t first, size_t n);

/* Set gradient[w1 .. end) to the derivatives of a loss by the parameters, summed over the
 * first n rows: x [n][F], h1 and h2 of the forward pass, pass->d_out. */
void mlp_backward(const struct mlp *m, const float *params, const float *x,
    struct mlp_pass *pass, size_t n, float *gradient);

/* One row without a pass: out [P] of x [F].  Touches nothing else, for many threads. */
void mlp_values(const struct mlp *m, const float *params, const float *x, float *out);

/* Probabilities [padded n] of n logits (padded, too), 0 in the padding.  allowed, where
 * not NULL, says which may be taken: the others get 0. */
void mlp_softmax(const float *logits, const unsigned char *allowed, size_t n, float *p);

/* 1, or less where the Euclidean norm of gradient [n] exceeds max, as
 * torch.nn.utils.clip_grad_norm_ has it: max / (norm + 1e-6).  Optimisers take it, so that
 * clipping costs no pass of its own.  n padded; norm (may be NULL) gets the norm. */
float gradient_scale(const float *gradient, size_t n, double max, double *norm);

/* n zero floats at an address that is a multiple of 64; free() them.  NULL = no memory. */
float *floats_new(size_t n);

#endif
