/* plan_fill.h - adds calls and sessions where the data set is thin.
 *
 * First fan-out calls: other actions in turns that are planned already.  Cells (see
 * cells.h) are completed one after the other, the one that takes least first, so that a
 * budget completes as many as it can.  What no turn offers gets sessions of its own, whose
 * path is aimed at it.  Counted is what is answered or still to be asked, so filling before
 * collecting adds nothing twice, and calls that failed for good are made up for. */
#ifndef COLLECTORS_PLAN_FILL_H
#define COLLECTORS_PLAN_FILL_H

#include "collectors/cells.h"
#include "collectors/plan.h"

struct fill_options {
    int64_t seed;      /* -1 = the recipe's */
    int64_t max_calls; /* path, fan-out and reference calls added; -1 = no bound */
    double max_usd;    /* expected cost of them and of judging them; < 0 = no bound */
    int dry_run;
    struct plan_estimate *estimate; /* filled where not NULL; released by the caller */
    struct progress *progress;
};

/* A cell that stays thin. */
struct fill_gap {
    struct cell_key key;
    int64_t lacks;
    double share;   /* of its minimum, that is planned */
    size_t index;   /* among the cells */
    char what[160]; /* the cell in words */
    const char *why;
};

struct fill_result {
    struct plan_counts counts;
    size_t thin_before[N_CELL_KINDS], thin_after[N_CELL_KINDS];
    /* What all thin cells of a kind lack: answers; of states, different actions. */
    int64_t missing_before[N_CELL_KINDS], missing_after[N_CELL_KINDS];
    int budget_reached;
    double usd; /* expected, judgements included; llms without a price count nothing */
    struct fill_gap *gaps; /* the thinnest first; owned */
    size_t n_gaps;
};

/* One transaction.  OK also where gaps are left. */
MUST_CHECK enum status plan_fill(struct store *store, const struct fill_options *options,
    struct fill_result *result, struct error *err);
void fill_result_release(struct fill_result *r);

#endif
