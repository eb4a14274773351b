/* adam.h - Adam (Kingma and Ba, arXiv 1412.6980) as PyTorch's torch.optim.Adam has it,
 * with betas 0.9 and 0.999. */
#ifndef M4A1_TMO_ADAM_H
#define M4A1_TMO_ADAM_H

#include <stddef.h>
#include "m4a1/base/error.h"

struct adam {
    double rate, epsilon;  /* rate may be changed between steps */
    double power1, power2; /* the betas to the power of the steps made so far */
    size_t n;
    float *mean, *square; /* [n] running means of gradients and of their squares; owned */
};

/* n is a multiple of MLP_LANES.  Stable-Baselines3: epsilon 1e-5 for PPO, 1e-8 for DQN. */
MUST_CHECK enum status adam_init(
    struct adam *opt, size_t n, double rate, double epsilon, struct error *err);
void adam_release(struct adam *opt);

/* With g = scale * gradient (scale as of gradient_scale()) in step t = 1, 2, ...:
 * mean = 0.9 mean + 0.1 g;  square = 0.999 square + 0.001 g^2
 * x -= rate / (1 - 0.9^t) * mean / (sqrt(square) / sqrt(1 - 0.999^t) + epsilon) */
void adam_step(struct adam *opt, const float *gradient, float scale, float *x);

#endif
