/* learner.h - what trains a policy: A2C, PPO or DQN with the defaults of
 * Stable-Baselines3, which TMO's authors train with.
 *
 * One struct holds the settings of all three; learner_fields names each for files, options
 * and documentation, and says which learner reads it. */
#ifndef M4A1_TMO_LEARNER_H
#define M4A1_TMO_LEARNER_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/policy_network.h"

enum learner_kind { LEARNER_A2C, LEARNER_PPO, LEARNER_DQN, N_LEARNERS };

/* "a2c", "ppo", "dqn". */
extern const char *const learner_names[N_LEARNERS];

struct learner_settings {
    enum learner_kind kind;
    int64_t steps; /* environment steps, rounded up to whole rollouts */
    double learning_rate, gamma, max_gradient_norm;
    int64_t recombine; /* 0 or 1: recombined training sessions (stream_recombine()) */

    int64_t n_rollout; /* a2c, ppo: steps between two updates */
    double gae_lambda, value_weight, entropy_weight;
    double rmsprop_alpha, rmsprop_epsilon; /* a2c */

    int64_t batch_size;  /* ppo, dqn */
    double adam_epsilon; /* ppo, dqn */
    /* ppo: what of learning rate and entropy weight is left at the end */
    double learning_rate_last, entropy_last;
    int64_t n_epochs;             /* ppo: passes over a rollout */
    double clip_range;            /* ppo */
    int64_t normalise_advantages; /* ppo: 0 or 1 */

    int64_t buffer_size, learning_starts; /* dqn: steps */
    int64_t train_every, gradient_steps;
    int64_t target_every;     /* steps between two copies to the target network */
    double target_rate;       /* the share of the new that a copy takes */
    double exploration_share; /* of the steps, while epsilon falls */
    double exploration_first, exploration_last;
};

/* The defaults of Stable-Baselines3 2.7 with 30,000 steps (tmo.md). */
struct learner_settings learner_published(enum learner_kind kind);
/* Those for training in the model, where a learner has more to find; docs/tmo-learners.md
 * tells how they were chosen. */
struct learner_settings learner_defaults(enum learner_kind kind);

enum learner_type { LEARNER_INTEGER, LEARNER_REAL };

#define LEARNER_BIT(kind) (1U << (kind))

/* A member of learner_settings: at offset, an int64_t or a double within [least, most]. */
struct learner_field {
    const char *name;
    enum learner_type type;
    size_t offset;
    double least, most;
    unsigned readers; /* bit LEARNER_BIT(kind): this learner reads it */
    const char *meaning;
};

extern const struct learner_field learner_fields[];
extern const size_t n_learner_fields;

/* A field's number, whatever its type. */
double learner_get(
    const struct learner_settings *settings, const struct learner_field *field);
/* E_ARG, with name and range, for what is out of range or not whole. */
MUST_CHECK enum status learner_set(struct learner_settings *settings,
    const struct learner_field *field, double value, struct error *err);
/* The field of that name which this learner reads, or NULL. */
const struct learner_field *learner_field(enum learner_kind kind, const char *name);

/* All fields that the learner reads within their ranges, and fitting together. */
MUST_CHECK enum status learner_check(
    const struct learner_settings *settings, struct error *err);

/* The environment steps that a run makes: whole rollouts for A2C and PPO. */
int64_t learner_whole_steps(const struct learner_settings *settings);

/* Called now and then with the steps since the last call; nonzero asks to stop. */
typedef int learner_report(void *arg, int64_t n_steps);

/* Train a new network on env; one seed fixes everything.  E_INTERRUPTED where report (may
 * be NULL) asks to stop; E_DATA where training diverged.  Many threads may train on one
 * env.  On success *out is released by the caller. */
MUST_CHECK enum status learner_train(const struct environment *env,
    const struct learner_settings *settings, uint64_t seed, learner_report *report,
    void *arg, struct network *out, struct error *err);

#endif
