/* synthetic.h - made-up data sets of known shape, as TMO's authors measure scaling with
 * (the synthetic settings of their public code).
 *
 * Each turn is local with probability 1/2, else cloud; a cloud turn uploads with
 * probability 0.7 a random set of views (its size uniform in 1 .. X, then members), else
 * none.  Scores: local N(0.7, 0.3), cloud N(1 + 0.1 * views uploaded so far in the
 * session, this turn's included, 0.3), clipped to [0, 2].  A view that is uploaded again
 * counts again, as their means need it.  Associations are uniform in (0.1, 0.5), tasks
 * uniform.  There are no texts and no pictures: nothing here says anything about LLMs. */
#ifndef M4A1_TMO_SYNTHETIC_H
#define M4A1_TMO_SYNTHETIC_H

#include <stddef.h>
#include <stdint.h>
#include "export/dataset.h"
#include "m4a1/base/error.h"
#include "m4a1/tmo/cost_table.h"

struct synthetic_shape {
    size_t n_views, n_tasks, n_turns; /* X, Y, turns of every session */
    size_t n_sessions;
};

#define SYNTHETIC_MAX_TASKS 100
#define SYNTHETIC_MAX_TURNS 64
#define SYNTHETIC_MAX_SESSIONS 1000000

/* E_ARG names what of a shape is out of range. */
MUST_CHECK enum status synthetic_check(
    const struct synthetic_shape *shape, struct error *err);

/* A new data set, drawn by seed; freed with dataset_free().  Its llms are "local" and
 * "cloud".  E_ARG for a shape out of range. */
MUST_CHECK enum status synthetic_make(const struct synthetic_shape *shape, uint64_t seed,
    struct dataset **out, struct error *err);

/* What its actions cost: the cloud llm with k views 0.5 + 1.5 k seconds and 0.0005 + 0.004 k
 * USD; the local one what the device of that name is said to take (costs.h). */
MUST_CHECK enum status synthetic_costs(
    const char *device, size_t n_views, struct cost_table **out, struct error *err);

#endif
