/* dqn.h - deep Q-network (Mnih et al., Nature 518, 2015) with the defaults of
 * Stable-Baselines3, which TMO's authors train with. */
#ifndef M4A1_TMO_DQN_H
#define M4A1_TMO_DQN_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/learner_method.h"
#include "m4a1/tmo/replay.h"

extern const struct learner_method dqn_method;

/* Some stored steps, and room for the passes over them.  Letters: B steps, F features. */
struct dqn_batch {
    size_t n;             /* B, at most the capacity */
    size_t *rows;         /* [B] of the replay */
    float *x;             /* [B][F] */
    size_t *chosen;       /* [B] */
    double *target;       /* [B] what the chosen actions' values should be */
    size_t *missing;      /* [B] of dqn_targets() */
    struct mlp_pass pass; /* owned, as all of this */
};

MUST_CHECK enum status dqn_batch_init(struct dqn_batch *batch, const struct network *net,
    size_t capacity, struct error *err);
void dqn_batch_release(struct dqn_batch *batch);

/* Fill x, chosen and target of the batch from its n rows: target is the reward, and where
 * the session went on gamma times the greatest value of an allowed action in the next
 * observation, by the target network's parameters.  These change seldom, so what they said
 * is kept with the row for as long as their version (> 0) stays. */
void dqn_targets(const struct network *net, const float *target_params, int64_t version,
    double gamma, struct replay *replay, struct dqn_batch *batch);

/* Set gradient [n_params] to the derivatives of the mean smooth L1 loss (e^2 / 2 within
 * 1, |e| - 1/2 beyond) of e = value of the chosen action - target.  Returns the loss. */
double dqn_gradient(const struct network *net, struct dqn_batch *batch, float *gradient);

#endif
