/* ppo.h - proximal policy optimisation (Schulman et al., arXiv 1707.06347) with the
 * defaults of Stable-Baselines3, which TMO's authors train with. */
#ifndef M4A1_TMO_PPO_H
#define M4A1_TMO_PPO_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/learner_method.h"

extern const struct learner_method ppo_method;

/* Some steps of a rollout, and room for the passes over them.  Letters: B steps, F
 * features, A actions, P padded actions. */
struct ppo_batch {
    size_t n;                   /* B, at most the capacity */
    float *x;                   /* [B][F] */
    float *p;                   /* [P] */
    size_t *chosen;             /* [B] */
    unsigned char *allowed;     /* [B][A] of 0 or 1; NULL = all */
    double *p_old;              /* [B] the action's probability when it was chosen */
    double *advantage, *target; /* [B] as estimated, and of the value: both behind it */
    struct mlp_pass policy, value; /* owned, as all of this */
};

/* Room for batches of up to `capacity` steps, masked or not. */
MUST_CHECK enum status ppo_batch_init(struct ppo_batch *batch, const struct network *net,
    size_t capacity, int masked, struct error *err);
void ppo_batch_release(struct ppo_batch *batch);

/* What the loss is made of. */
struct ppo_loss {
    double policy, value, entropy; /* means over the batch, unweighted */
    double clipped;                /* the share of steps that no longer pull the policy */
};

/* Set gradient [n_params] to the derivatives of
 *     -mean(min(r * A, clip(r, 1 - clip_range, 1 + clip_range) * A))
 *     + value_weight * mean((target - value)^2) - entropy_weight * mean(entropy)
 * with r the action's probability over p_old, and A the advantages, which, where
 * normalise_advantages says so and B > 1, are brought to mean 0 and deviation 1 (that of
 * a sample, B - 1 below; over it + 1e-8) in place. */
void ppo_gradient(const struct network *net, const struct learner_settings *settings,
    struct ppo_batch *batch, float *gradient, struct ppo_loss *loss);

#endif
