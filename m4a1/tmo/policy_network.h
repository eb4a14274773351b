/* policy_network.h - what a learner leaves: one or two perceptrons over the same observation.
 *
 * NETWORK_ACTOR_CRITIC has a policy (logits of the actions) and a value, tanh, apart from
 * each other; NETWORK_Q one network of the actions' values, ReLU.  All parameters lie in one
 * array.  A network is read-only once trained: any number of threads may ask it. */
#ifndef M4A1_TMO_POLICY_NETWORK_H
#define M4A1_TMO_POLICY_NETWORK_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/base/random.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/mlp.h"

enum network_kind { NETWORK_ACTOR_CRITIC, NETWORK_Q };

/* Indices into mlps.  The first is what chooses, of either kind. */
#define NETWORK_POLICY 0
#define NETWORK_VALUE 1

struct network {
    enum network_kind kind;
    size_t n_features, n_actions;
    size_t n_mlps;
    struct mlp mlps[2];
    size_t n_params; /* a multiple of MLP_LANES, padding included */
    float *params;   /* owned */
};

/* Every state, each turn's task one-hot, and what remains of each budget. */
#define NETWORK_MAX_FEATURES                                                             \
    (SPACE_MAX_STATES + SPACE_MAX_TAU * SPACE_MAX_TASKS + CONSTRAINTS_MAX)
#define NETWORK_MAX_ACTIONS SPACE_MAX_ACTIONS

/* Zero parameters; E_ARG for no features or actions, or more than NETWORK_MAX_FEATURES and
 * NETWORK_MAX_ACTIONS. */
MUST_CHECK enum status network_init(struct network *net, enum network_kind kind,
    size_t n_features, size_t n_actions, struct error *err);
void network_release(struct network *net);

/* New weights as Stable-Baselines3 draws them: orthogonal for an actor-critic, PyTorch's
 * default for a Q-network. */
MUST_CHECK enum status network_draw(
    struct network *net, struct rng *rng, struct error *err);

/* E_DATA where a parameter is not finite: training diverged, and must not be kept. */
MUST_CHECK enum status network_check(const struct network *net, struct error *err);

/* scores [A]: logits, or values of the actions, of features [F]. */
void network_scores(const struct network *net, const double *features, double *scores);

/* The action of the greatest score among those allowed (NULL = all), the first among
 * equals: what Stable-Baselines3's predict(deterministic=True) does. */
size_t network_greedy(
    const struct network *net, const double *features, const unsigned char *allowed);

/* A chooser (chooser.h) that takes network_greedy(); net is a const struct network. */
void network_weigh(void *net, const struct episode *ep, double *p);

/* The parts of a network by name, for files: what is written, and in which order. */
struct network_part {
    const char *mlp;  /* "policy", "value" or "q" */
    const char *name; /* "w1", "b1", "w2", "b2", "w3", "b3" */
    /* Element (row, column) is params[at + row * row_step + column * column_step].  w1 is
     * [F][64], w2 [64 from][64 to], w3 [outputs][64]; a bias is one row. */
    size_t at, n_rows, n_columns, row_step, column_step;
};

#define NETWORK_MAX_PARTS 12

/* The number of parts written to out. */
size_t network_parts(
    const struct network *net, struct network_part out[NETWORK_MAX_PARTS]);

#endif
