/* training.h - one training run: a config, a seed and its split make a policy. */
#ifndef M4A1_TMO_TRAINING_H
#define M4A1_TMO_TRAINING_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/policy.h"

struct training {
    const struct recorded *rec; /* the caller's */
    struct policy policy;    /* config (resolved), seed and split; network once trained */
    size_t *train, *test;    /* indices into rec of the split's sessions; owned */
    struct environment *env; /* fitted on the training sessions; owned */
};

/* Choose the sessions of a seed.  config is one that was settled and rec encoded by it;
 * copied.  Zero or prepared trainings are released. */
MUST_CHECK enum status training_prepare(struct training *t, const struct recorded *rec,
    const struct tmo_config *config, uint64_t seed, struct error *err);
void training_release(struct training *t);

/* Build the environment; a policy that was loaded may be put in its place instead of
 * being trained (training_take). */
MUST_CHECK enum status training_fit(struct training *t, struct error *err);

/* Train in the environment; see learner_train(). */
MUST_CHECK enum status training_run(
    struct training *t, learner_report *report, void *arg, struct error *err);

/* Take the network of a policy of equal config, seed and split; it is left empty. */
void training_take(struct training *t, struct policy *loaded);

#endif
