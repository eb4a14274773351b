/* environment.h - the published TMO environment: what a policy acts in.
 *
 * Two sets of rules, as the authors run them.  Training walks recorded sessions: the
 * observation of a turn is the recorded one whatever the policy did before, and with
 * resource awareness a step that leaves a budget negative earns 0.  Evaluation builds
 * the observation from the policy's own actions, and never zeroes a reward.
 * Reward: S + A/3 - L/3 - U/3 (estimated response, normalised association, latency and
 * usage).  docs/tmo.md lists what is known to be wrong with this simulator.
 *
 * Since recorded observations and actions are finite, the estimates of training can be
 * tabulated once (environment_tabulate); without the table each step asks the
 * estimator, which gives the same numbers and is what tests compare with. */
#ifndef M4A1_TMO_ENVIRONMENT_H
#define M4A1_TMO_ENVIRONMENT_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/random.h"
#include "m4a1/tmo/costs.h"
#include "m4a1/tmo/knn.h"
#include "m4a1/tmo/recorded.h"

struct environment_settings {
    size_t k;                     /* neighbours of the estimator */
    int resource_aware;           /* observations end in the two remaining budgets */
    const char *device, *network; /* names; not owned */
    double alpha, beta_association, beta_latency, beta_usage;
    double latency_budget_s, usage_budget_usd; /* of an evaluated session */
};

/* k 5, not resource-aware, Jetson TX2, Wired, weights 1 and 1/3, 30 s and 0.05 USD. */
struct environment_settings environment_published(void);

struct environment {
    const struct recorded *rec; /* the caller's, which outlives this */
    struct environment_settings settings;
    struct costs costs;
    size_t *train; /* [n_train] indices of the sessions that training walks; owned */
    size_t n_train;
    size_t n_features; /* F */
    size_t *row_turns; /* the turn of each row of the estimator; owned */
    struct knn *knn;   /* owned */
    double *table;     /* [n_turns][A] estimates of training turns; NULL = none; owned */
};

/* An environment whose estimator knows the recorded turns of the n_train sessions
 * (indices into rec; copied).  E_ARG for settings out of range, E_DATA where these
 * sessions have fewer scored turns than k. */
MUST_CHECK enum status environment_new(const struct recorded *rec,
    const struct environment_settings *settings, const size_t *train, size_t n_train,
    struct environment **out, struct error *err);
void environment_free(struct environment *env); /* NULL is fine */

/* Fill the table of estimates for training. */
MUST_CHECK enum status environment_tabulate(struct environment *env, struct error *err);

enum environment_rules { RULES_TRAIN, RULES_EVALUATE };

/* One walk through a session. */
struct episode {
    const struct environment *env;
    enum environment_rules rules;
    size_t first, n_turns, turn; /* the turn to act in: first + turn */
    int done;
    double remaining_latency_s, remaining_usage_usd;
    double total_latency_s, total_usage_usd;
    int16_t states[SPACE_MAX_STATES]; /* the observation, without budgets */
};

/* What one action led to. */
struct outcome {
    double response;               /* estimated */
    double association;            /* sum over the action's views */
    double association_normalised; /* within the turn */
    double reward;
    double latency_s, usage_usd; /* of this action; totals are the episode's */
};

/* Begin session (index into rec) with these budgets. */
void episode_start(struct episode *ep, const struct environment *env,
    enum environment_rules rules, size_t session, double latency_budget_s,
    double usage_budget_usd);

/* Begin a training session, drawn uniformly from the training sessions; with resource
 * awareness its budgets are drawn from budgets: normal around the middle of tau times
 * the cheapest and tau times the dearest action, sigma a sixth of the range, clipped. */
void episode_draw(struct episode *ep, const struct environment *env, struct rng *sessions,
    struct rng *budgets);

/* The observation as F features; all SPACE_ABSENT once the session is over.  Remaining
 * budgets are rounded to single precision, as the authors' observations are. */
void episode_observe(const struct episode *ep, double *features);

/* Act (action < A) in a session that is not over. */
void episode_step(struct episode *ep, size_t action, struct outcome *out);

/* The estimate that episode_step() would use, with its neighbours. */
MUST_CHECK enum status episode_explain(const struct episode *ep, size_t action,
    struct knn_neighbours *out, struct error *err);

/* The estimate of an action in a recorded turn (index into rec), with its neighbours;
 * their rows are turns by env->row_turns. */
MUST_CHECK enum status environment_explain(const struct environment *env, size_t turn,
    size_t action, struct knn_neighbours *out, struct error *err);

#endif
