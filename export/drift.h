/* drift.h - what changed at an llm between an answer and the same call asked again.
 *
 * m4a1 plan --add-llm asks a sample of old calls again (purpose check: same history,
 * views and llm; subject_id is the old call).  Compared are a call's first answer and the
 * last answer of its newest check, in pairs.  The interval of a mean difference is a
 * percentile bootstrap over the pairs (Efron & Tibshirani, "An Introduction to the
 * Bootstrap", 1993, section 13.3), with numbers of m4a1/base/random.h. */
#ifndef EXPORT_DRIFT_H
#define EXPORT_DRIFT_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

enum drift_figure {
    DRIFT_SCORE,   /* response score, where both answers are judged */
    DRIFT_REFUSED, /* share of refusals */
    DRIFT_LATENCY, /* seconds */
    DRIFT_INPUT,   /* tokens of all input classes */
    DRIFT_OUTPUT,  /* tokens, reasoning included */
    DRIFT_COST,    /* USD by the prices of each time */
    N_DRIFT_FIGURES
};
extern const char *const drift_figure_names[N_DRIFT_FIGURES]; /* "score", ... */

/* Means over the n pairs that have the figure twice; NAN where there is none. */
struct drift_change {
    size_t n;
    double first, again, difference; /* again - first */
    double low, high; /* 95 % interval of the difference; NAN below 2 pairs */
    int changed;      /* the interval leaves 0 out */
};

/* How often one name was answered by another; "" = the server did not say. */
struct drift_name {
    char *first, *again;
    size_t n;
};

struct drift_llm {
    char *name;
    size_t n_pairs;             /* anchors with both answers */
    size_t n_open, n_failed;    /* anchors still to be asked, refused for good */
    size_t n_mixed;             /* left out: one answer is simulated, the other is not */
    int simulated;              /* the pairs are of simulated answers */
    int64_t first_ms, again_ms; /* mean time of sending; 0 = unknown */
    struct drift_change changes[N_DRIFT_FIGURES];
    struct drift_name *models, *fingerprints;
    size_t n_models, n_fingerprints;
};

struct drift {
    struct drift_llm *llms; /* those with anchors, by name */
    size_t n;
};

/* Read all anchors of a store.  seed: of the bootstrap. */
MUST_CHECK enum status drift_load(
    struct store *store, uint64_t seed, struct drift *out, struct error *err);
void drift_release(struct drift *drift);

/* A change from pairs of figures: first[n] and again[n], NAN = missing.  Pure. */
MUST_CHECK enum status drift_compare(const double *first, const double *again, size_t n,
    uint64_t seed, const char *stream, struct drift_change *out, struct error *err);

#endif
