/* advantage.h - what A2C and PPO share: advantages of a rollout, drawing an action, and
 * what losses of a policy pull its logits by. */
#ifndef M4A1_TMO_ADVANTAGE_H
#define M4A1_TMO_ADVANTAGE_H

#include <stddef.h>
#include "m4a1/base/random.h"

/* Advantages of n steps: advantage[t] = delta[t] + gamma * lambda * advantage[t + 1],
 * delta[t] = reward[t] + gamma * value[t + 1] - value[t], where a step that ended its
 * session has no t + 1.  value[n] is that of the observation behind the last step.
 * (Schulman et al., arXiv 1506.02438.) */
void advantages(const double *reward, const double *value, const unsigned char *ended,
    size_t n, double gamma, double lambda, double *advantage);

/* An action a with probability p[a], which sum to 1 but for rounding; never one of
 * probability 0. */
size_t draw_action(const float *p, size_t n_actions, struct rng *rng);

/* d [A] = the derivatives of scale * -log p[action] by the logits whose softmax is p. */
void set_log_loss(
    float *d, const float *p, size_t n_actions, size_t action, double scale);

/* Add to d [A] the derivatives of -weight * entropy by the logits whose softmax is p:
 * weight * p * (log p + entropy).  Returns the entropy. */
double add_entropy_loss(float *d, const float *p, size_t n_actions, double weight);

#endif
