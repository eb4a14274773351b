/* learner_method.h - what A2C, PPO and DQN each bring to learner_train(), and what they share
 * there. */
#ifndef M4A1_TMO_LEARNER_METHOD_H
#define M4A1_TMO_LEARNER_METHOD_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/random.h"
#include "m4a1/tmo/learner.h"
#include "m4a1/tmo/stream.h"

struct learner_progress {
    learner_report *report; /* NULL = none */
    void *arg;
    int64_t n_all, n_done, n_reported;
};
/* Add n steps; every few hundred and the last ones are reported.  E_INTERRUPTED where the
 * report asks to stop. */
MUST_CHECK enum status learner_advance(
    struct learner_progress *p, int64_t n, struct error *err);

struct learner_method {
    enum network_kind network;
    size_t run_size; /* of a run, which begins as zeros */
    /* Settings, environment and network outlive the run; net has no weights yet. */
    enum status (*init)(void *run, const struct environment *env,
        const struct learner_settings *set, uint64_t seed, struct network *net,
        struct error *err);
    /* Make some steps, learn, and tell the progress. */
    enum status (*advance)(
        void *run, struct learner_progress *progress, struct error *err);
    void (*release)(void *run); /* also after init() failed */
};

/* Draw the weights, and begin the sessions and the draws of actions. */
MUST_CHECK enum status learner_begin(const struct environment *env,
    const struct learner_settings *set, uint64_t seed, struct network *net,
    struct stream *stream, struct rng *actions, struct error *err);

#endif
