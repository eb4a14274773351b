/* rmsprop.h - RMSprop as PyTorch has it, with gradient clipping by the global norm.
 *
 * Stable-Baselines3's A2C takes torch.optim.RMSprop: the running square starts at zero
 * and epsilon is added behind the root.  (Its RMSpropTFLike, with ones and epsilon
 * under the root, has to be asked for, and the authors do not.) */
#ifndef M4A1_TMO_RMSPROP_H
#define M4A1_TMO_RMSPROP_H

#include <stddef.h>
#include "m4a1/base/error.h"

struct rmsprop {
    double rate, alpha, epsilon;
    size_t n;
    double *square; /* [n] running mean of squared gradients; owned */
};

MUST_CHECK enum status rmsprop_init(struct rmsprop *opt, size_t n, double rate,
    double alpha, double epsilon, struct error *err);
void rmsprop_release(struct rmsprop *opt);

/* square = alpha * square + (1 - alpha) * g^2;  x -= rate * g / (sqrt(square) + epsilon) */
void rmsprop_step(struct rmsprop *opt, const double *gradient, double *x);

/* Scale gradient[n] so that its Euclidean norm is at most max, as
 * torch.nn.utils.clip_grad_norm_ does (max / (norm + 1e-6) where that is below 1).
 * Returns the norm before. */
double gradient_clip(double *gradient, size_t n, double max);

#endif
