/* a2c.h - advantage actor-critic (Mnih et al., arXiv 1602.01783) with the defaults of
 * Stable-Baselines3, which TMO's authors train with. */
#ifndef M4A1_TMO_A2C_H
#define M4A1_TMO_A2C_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/actor_critic.h"
#include "m4a1/tmo/environment.h"

#define A2C_MAX_ROLLOUT ACTOR_CRITIC_MAX_BATCH

struct a2c_settings {
    int64_t steps;    /* environment steps, rounded up to whole rollouts */
    size_t n_rollout; /* steps between two updates */
    double gamma, gae_lambda;
    double value_weight, max_gradient_norm;
    double learning_rate, rmsprop_alpha, rmsprop_epsilon;
};

/* 30,000 steps, 5 a rollout, gamma 0.99, lambda 1, value 0.5, norm 0.5, 7e-4, 0.99, 1e-5. */
struct a2c_settings a2c_published(void);

/* The steps that are made: settings->steps rounded up to whole rollouts. */
int64_t a2c_whole_steps(const struct a2c_settings *settings);

/* Called now and then with the steps since the last call; nonzero asks to stop. */
typedef int a2c_report(void *arg, int64_t n_steps);

/* Train a new network on env under training rules; one seed fixes everything.  Ends
 * early with E_INTERRUPTED where report (may be NULL) asks to.  Many threads may train
 * on one env.  On success *out is released by the caller. */
MUST_CHECK enum status a2c_train(const struct environment *env,
    const struct a2c_settings *settings, uint64_t seed, a2c_report *report, void *arg,
    struct actor_critic *out, struct error *err);

/* Advantages of n steps: advantage[t] = delta[t] + gamma * lambda * advantage[t + 1],
 * delta[t] = reward[t] + gamma * value[t + 1] - value[t], where a step that ended its
 * session has no t + 1.  value[n] is that of the observation behind the last step. */
void a2c_advantages(const double *reward, const double *value, const int *ended, size_t n,
    double gamma, double lambda, double *advantage);

#endif
