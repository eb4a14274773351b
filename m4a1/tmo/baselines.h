/* baselines.h - the three rules that TMO's authors compare learners with. */
#ifndef M4A1_TMO_BASELINES_H
#define M4A1_TMO_BASELINES_H

#include "m4a1/tmo/chooser.h"

enum baseline_kind {
    BASELINE_RANDOM, /* local with probability 1/2, else a cloud action uniformly */
    BASELINE_LOCAL,  /* a local action */
    BASELINE_CLOUD,  /* a cloud action uniformly */
};
#define N_BASELINES 3
extern const char *const baseline_names[N_BASELINES]; /* "Random", "Local", "Cloud" */

/* The chooser of a kind, which takes no arg. */
struct chooser baseline_chooser(enum baseline_kind kind);

#endif
