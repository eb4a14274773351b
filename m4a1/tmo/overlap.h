/* overlap.h - what training and test sessions have in common.
 *
 * A policy that met a test scene, prompt or row in training is not being tested on new
 * ones; every table of results says how many there are. */
#ifndef M4A1_TMO_OVERLAP_H
#define M4A1_TMO_OVERLAP_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/recorded.h"

/* Different things of the test sessions, those of them that training sessions have too,
 * and over how many of the test's carriers (sessions, turns or rows) these extend. */
struct overlap_count {
    size_t n, n_shared;
    size_t n_carriers, n_carriers_shared;
};

enum overlap_kind {
    OVERLAP_SCENES,  /* carried by sessions */
    OVERLAP_FRAMES,  /* image paths; carried by session and view */
    OVERLAP_PROMPTS, /* carried by turns */
    OVERLAP_ROWS, /* exact (state, prompt, action) of scored answers; carried by rows */
};
#define N_OVERLAPS 4
extern const char *const overlap_names[N_OVERLAPS];         /* "scenes", ... */
extern const char *const overlap_carrier_names[N_OVERLAPS]; /* "sessions", ... */

struct overlap {
    struct overlap_count of[N_OVERLAPS];
};

/* Sessions are indices into rec.  A session without scene or image paths has none. */
MUST_CHECK enum status overlap_count(const struct recorded *rec, const size_t *train,
    size_t n_train, const size_t *test, size_t n_test, struct overlap *out,
    struct error *err);

#endif
