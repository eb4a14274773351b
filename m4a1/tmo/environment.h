/* environment.h - rewards, costs, budgets and transitions of sessions; what learners,
 * policies, planners and evaluations act in.
 *
 * Two worlds, by settings->as_published.  The published one is that of TMO's authors
 * (their second version), to 1e-9 but for ties; docs/tmo.md lists what is known to be
 * wrong with it.  The default corrects these faults: transitions follow the actor's own
 * actions, views accumulate, constraints are a list, budgets of training are those of
 * evaluation, budget features are shares, totals run over the whole session.
 *
 * Reward of a turn: alpha * S + beta_association * A - beta_latency * L - beta_usage * U
 * (estimated response; association of the shown views, latency and usage, the last three
 * min-max normalised).  An environment is read-only once built: any number of threads may
 * act in it.  Letters: A actions, F features of an observation, O numbers of its states.
 *
 * Since recorded observations and actions are finite, their estimates can be tabulated
 * once (environment_tabulate); other states can be remembered per thread (response_cache).
 * Both give the same numbers as asking the estimator, which tests compare with. */
#ifndef M4A1_TMO_ENVIRONMENT_H
#define M4A1_TMO_ENVIRONMENT_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/random.h"
#include "m4a1/tmo/constraints.h"
#include "m4a1/tmo/costs.h"
#include "m4a1/tmo/estimator.h"
#include "m4a1/tmo/recorded.h"

enum environment_transitions {
    TRANSITIONS_RECORDED, /* training sees recorded observations whatever was done */
    TRANSITIONS_MODEL,    /* training sees what the learner's own actions lead to */
};

enum environment_features {
    FEATURES_PUBLISHED, /* the states' integers as they are */
    FEATURES_ONE_HOT,   /* each state's task one-hot; all zero for missing states */
};

struct environment_settings {
    int as_published; /* must be that of rec */
    enum environment_transitions transitions;
    enum environment_features features;
    int resource_aware; /* observations end in what remains of each budget */
    struct estimator_settings estimator;
    struct costs_settings costs;
    double alpha, beta_association, beta_latency, beta_usage;
    struct constraint constraints[CONSTRAINTS_MAX];
    size_t n_constraints;
    enum constraint_handling handling;
    double lambda;    /* of HANDLING_PENALTY */
    double dual_rate; /* step of the dual ascent, a session */
    size_t longest;   /* turns that a shield reserves for; 0 = the data's longest */
    /* The share of answers that the reserves of the costs cover (shield.h): 0.9. */
    double reserve_share;
};

/* The published world: k 5, not resource-aware, Jetson TX2, Wired, weights 1 and 1/3,
 * budgets of 30 s and 0.05 USD a session. */
struct environment_settings environment_published(void);
/* The corrected one: the same weights, costs and budgets; transitions in the model,
 * one-hot tasks. */
struct environment_settings environment_defaults(void);

struct environment {
    const struct recorded *rec; /* the caller's, which outlives this */
    struct environment_settings settings;
    struct costs costs; /* by llm of the space and number of shown views; owned */
    size_t n_actions, n_features; /* A, F */
    /* The least and the most that one turn can use: by its costs, and by what the shield
     * sets aside for it. */
    double cheapest[2][N_CONSTRAINT_KINDS], dearest[2][N_CONSTRAINT_KINDS];
    /* Actions that a session can be completed with at the least cost (shield.h); in_order:
     * the order they are taken in changes no sum; owned. */
    struct turn_cost
        steady[2]; /* of a local llm without views, likewise; INFINITY: none */
    size_t *completing, n_completing;
    int completing_in_order;
    size_t *train; /* [n_train] indices of the sessions that training walks; owned */
    size_t n_train;
    struct estimator *estimator; /* owned */
    double *table; /* [n_turns][A] estimates of training turns; NULL = none; owned */
    unsigned char *offered; /* [A] 0 = never allowed; NULL = all are offered; owned */
};

/* An environment whose estimator knows the rows of the n_train sessions (indices into
 * rec; copied).  E_ARG for settings out of range, E_DATA where these sessions have fewer
 * scored turns than k. */
MUST_CHECK enum status environment_new(const struct recorded *rec,
    const struct environment_settings *settings, const size_t *train, size_t n_train,
    struct environment **out, struct error *err);
void environment_free(struct environment *env); /* NULL is fine */

/* Offer only some actions, offered[A] of 0 or 1 (copied): what an ablation takes away is
 * not allowed, nor reckoned with by a shield, while rewards and costs stay those of all
 * actions.  E_ARG where none is
 * left. */
MUST_CHECK enum status environment_offer(
    struct environment *env, const unsigned char *offered, struct error *err);

/* Fill the table of estimates for training. */
MUST_CHECK enum status environment_tabulate(struct environment *env, struct error *err);

/* The unit that makes uses of constraint i comparable: its budget, or where that is 0 the
 * most that one turn can use. */
double environment_scale(const struct environment *env, size_t i);

/* Estimates of states that were asked before; one thread's.  Lookups never fail: where
 * there is no memory the estimator is asked again. */
struct response_cache {
    const struct environment *env;
    unsigned char *slots; /* [n_slots] of hash, key and estimates; owned */
    size_t n_slots, n_used;
};
void response_cache_init(struct response_cache *cache, const struct environment *env);
void response_cache_release(struct response_cache *cache);

enum environment_rules {
    RULES_RECORDED, /* the observation of a turn is the recorded one */
    RULES_MODEL,    /* it is what the actor's own actions led to */
};

/* One walk through a session.  Plain data: copy it by assignment to look ahead. */
struct episode {
    const struct environment *env;
    struct response_cache *cache; /* NULL = none; set behind episode_start() */
    enum environment_rules rules;
    size_t session, first, n_turns, turn; /* the turn to act in: first + turn */
    int done;
    uint32_t context;              /* views that the dialogue holds */
    uint32_t sent[SPACE_MAX_LLMS]; /* views that each provider has been sent */
    struct ledger ledger;
    int16_t states[SPACE_MAX_STATES]; /* the observation, without budgets */
};

/* What one action leads to. */
struct outcome {
    double response;               /* estimated */
    double association;            /* sum over the shown views */
    double association_normalised; /* within the turn */
    double reward;                 /* nothing taken off for constraints */
    double latency_s, usage_usd;   /* of this turn; totals are the ledger's */
    double privacy;                /* levels of views that leave the device anew */
};

/* Begin session (index into rec) with the budgets of the settings. */
void episode_start(struct episode *ep, const struct environment *env,
    enum environment_rules rules, size_t session);
/* Other budgets [n_constraints], before the first turn. */
void episode_set_budgets(struct episode *ep, const double *budgets);

/* The observation as F features; all SPACE_ABSENT once the session is over.  As published
 * remaining budgets are rounded to single precision, as the authors' observations are;
 * else they are shares of their scale. */
void episode_observe(const struct episode *ep, double *features);

/* The estimated response of each action, [A]. */
void episode_responses(const struct episode *ep, double *response);
/* What each action would lead to, [A], without acting. */
void episode_outcomes(const struct episode *ep, struct outcome *out);
/* What one action would lead to. */
void episode_outcome(const struct episode *ep, size_t action, struct outcome *out);
/* Go on with one of them. */
void episode_apply(struct episode *ep, size_t action, const struct outcome *outcome);
/* Both for one action (< A), in a session that is not over. */
void episode_step(struct episode *ep, size_t action, struct outcome *out);

/* Which actions may be taken, [A] of 0 or 1: those that are offered and, with the shield,
 * that it leaves (shield.h).  Never none. */
void episode_allowed(const struct episode *ep, unsigned char *allowed);

/* The turn's query to the estimator; it points into ep. */
struct estimator_query episode_query(const struct episode *ep);

/* The estimate of an action with its neighbours, whose rows are indices into rec->rows;
 * released with knn_neighbours_release().  E_ARG for an estimator without neighbours. */
MUST_CHECK enum status episode_explain(const struct episode *ep, size_t action,
    struct knn_neighbours *out, struct error *err);

/* The estimate of an action in a recorded turn (index into rec), with its neighbours. */
MUST_CHECK enum status environment_explain(const struct environment *env, size_t turn,
    size_t action, struct knn_neighbours *out, struct error *err);

#endif
