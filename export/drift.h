/* drift.h - what changed at an llm between an answer and the same call asked again.
 *
 * m4a1 plan --add-llm asks a sample of old calls again (purpose check: same history,
 * views and llm; subject_id is the old call).  Compared are a call's first answer and the
 * last answer of its newest check, in pairs.  The interval of a mean difference is that of
 * the paired t test; the verdicts of one llm's figures are corrected together by Holm's
 * step-down method ("A simple sequentially rejective multiple test procedure", Scand. J.
 * Statistics 6, 1979), so that an llm that did not change is called changed in any figure
 * with at most 5 %. */
#ifndef EXPORT_DRIFT_H
#define EXPORT_DRIFT_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

#define DRIFT_MIN_PAIRS 10 /* fewer allow no verdict: the t test leans on their means */

enum drift_figure {
    DRIFT_SCORE,       /* response score, where both answers are judged */
    DRIFT_REFUSED,     /* share of refusals */
    DRIFT_LATENCY,     /* seconds */
    DRIFT_INPUT,       /* tokens of all input classes */
    DRIFT_CACHE_READ,  /* of these: read from a prompt cache, so billed less */
    DRIFT_CACHE_WRITE, /* of these: written to one */
    DRIFT_OUTPUT,      /* tokens, reasoning included */
    DRIFT_COST,        /* USD by the prices of each time */
    N_DRIFT_FIGURES
};
extern const char *const drift_figure_names[N_DRIFT_FIGURES]; /* "score", ... */

enum drift_verdict {
    DRIFT_NONE,     /* nothing to compare */
    DRIFT_TOO_FEW,  /* below DRIFT_MIN_PAIRS */
    DRIFT_NO_SHOWN, /* no change is shown; there may be a small one */
    DRIFT_CHANGED,  /* after Holm's correction, at 5 % */
};
extern const char *const drift_verdict_names[4]; /* "", "too few pairs", ... */

/* Means over the n pairs that have the figure twice; NAN where there is none. */
struct drift_change {
    size_t n;
    double first, again, difference; /* again - first */
    double low, high; /* 95 % interval of the difference; NAN below 2 pairs */
    double p;         /* of a difference at least so large by chance; NAN below 2 pairs */
    int is_all_zero;  /* the figure is 0 in every answer */
    enum drift_verdict verdict;
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
    struct drift_llm *llms; /* those with anchors, in the recipe's order */
    size_t n;
};

/* Read all anchors of a store. */
MUST_CHECK enum status drift_load(
    struct store *store, struct drift *out, struct error *err);
void drift_release(struct drift *drift);

/* A change from pairs of figures: first[n] and again[n], NAN = missing.  Pure; without a
 * verdict but "too few". */
MUST_CHECK enum status drift_compare(const double *first, const double *again, size_t n,
    struct drift_change *out, struct error *err);

/* The verdicts over figures that are judged together.  Those that are 0 throughout cannot
 * have changed and do not count. */
void drift_judge(struct drift_change *changes, size_t n);

#endif
