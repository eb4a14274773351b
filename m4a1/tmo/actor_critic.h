/* actor_critic.h - the two networks of A2C: a policy over actions and a value.
 *
 * Each is F -> 64 -> 64 -> outputs with tanh between, apart from each other, as
 * Stable-Baselines3's MlpPolicy has them.  All parameters lie in one array of doubles,
 * so that norms, optimisers and files need not know layers.  Double, not float: a run
 * takes a fraction of a second either way (docs/benchmarks.md), gradients can be held
 * against finite differences to eight digits, and files give back equal weights.
 *
 * It knows no environment.  Letters: F features, H hidden width, A actions. */
#ifndef M4A1_TMO_ACTOR_CRITIC_H
#define M4A1_TMO_ACTOR_CRITIC_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/base/random.h"
#include "schema/space.h"

#define HIDDEN 64

/* Where a network's parameters begin in the array. */
struct mlp_layout {
    size_t n_in, n_out;
    size_t w1, b1; /* [n_in][H], [H] */
    size_t w2, b2; /* [H][H]: from, to; [H] */
    size_t w3, b3; /* [n_out][H], [n_out] */
};

struct actor_critic {
    size_t n_features, n_actions;
    struct mlp_layout policy, value;
    size_t n_params;
    double *params; /* owned */
};

/* What a forward pass leaves for the backward pass. */
struct activations {
    double features[SPACE_MAX_FEATURES];
    double policy1[HIDDEN], policy2[HIDDEN]; /* behind tanh */
    double value1[HIDDEN], value2[HIDDEN];
    double *probabilities; /* [A]; owned */
    double value;
};

/* Zero parameters; release with actor_critic_release(). */
MUST_CHECK enum status actor_critic_init(
    struct actor_critic *ac, size_t n_features, size_t n_actions, struct error *err);
void actor_critic_release(struct actor_critic *ac);

/* Orthogonal weights with Stable-Baselines3's gains (sqrt 2 for hidden layers, 0.01 for
 * the policy's outputs, 1 for the value), biases 0. */
MUST_CHECK enum status actor_critic_draw(
    struct actor_critic *ac, struct rng *rng, struct error *err);

MUST_CHECK enum status activations_init(
    struct activations *act, const struct actor_critic *ac, struct error *err);
void activations_release(struct activations *act);

/* Softmax probabilities and the value of act->features, which the caller has filled. */
void actor_critic_forward(const struct actor_critic *ac, struct activations *act);

/* Logits alone, for choosing without learning: logits[A] of features[F]. */
void actor_critic_logits(
    const struct actor_critic *ac, const double *features, double *logits);

#define ACTOR_CRITIC_MAX_BATCH 64

/* One step of a batch and what its loss weighs. */
struct batch_step {
    const struct activations *act;
    size_t action;
    double policy_scale, value_scale;
};

/* Set gradient[n_params] to the derivatives of the sum over n <= ACTOR_CRITIC_MAX_BATCH
 * steps of
 *     policy_scale * -log p(action) + value_scale * value
 * at their activations; losses of any form go through these two scales. */
void actor_critic_backward(const struct actor_critic *ac, const struct batch_step *steps,
    size_t n, double *gradient);

#endif
