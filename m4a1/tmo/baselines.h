/* baselines.h - the three rules that TMO's authors compare learners with. */
#ifndef M4A1_TMO_BASELINES_H
#define M4A1_TMO_BASELINES_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/random.h"

enum baseline_kind {
    BASELINE_RANDOM, /* local with probability 1/2, else a cloud action uniformly */
    BASELINE_LOCAL,  /* always local */
    BASELINE_CLOUD,  /* a cloud action uniformly */
};
#define N_BASELINES 3
extern const char *const baseline_names[N_BASELINES]; /* "Random", "Local", "Cloud" */

struct baseline {
    enum baseline_kind kind;
    size_t n_actions;
    struct rng rng;
};

/* Draws come from (seed, "baseline/<name>"), so one seed gives one evaluation. */
void baseline_init(
    struct baseline *b, enum baseline_kind kind, size_t n_actions, uint64_t seed);

/* An evaluation_choose: arg is a struct baseline, the features are not looked at. */
size_t baseline_choose(void *arg, const double *features);

#endif
