/* rmsprop.h - RMSprop as PyTorch has it.
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
    float *square; /* [n] running mean of squared gradients; owned */
};

/* n is a multiple of MLP_LANES. */
MUST_CHECK enum status rmsprop_init(struct rmsprop *opt, size_t n, double rate,
    double alpha, double epsilon, struct error *err);
void rmsprop_release(struct rmsprop *opt);

/* With g = scale * gradient (scale as of gradient_scale()):
 * square = alpha * square + (1 - alpha) * g^2;  x -= rate * g / (sqrt(square) + epsilon) */
void rmsprop_step(struct rmsprop *opt, const float *gradient, float scale, float *x);

#endif
