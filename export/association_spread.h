/* association_spread.h - how associations are distributed, and whether they can tell views
 * apart.
 *
 * The paper names how text-view association fails: scores that are uniformly high, or flat,
 * so that no view stands out.  The thresholds are set against the authors' public slice
 * (CLIP, 352 turns of three views): values 0.134 to 0.280; the turn's largest less its
 * smallest 0.025 in the median and below 0.0078 in one turn of twenty; the same view is
 * the nearest in 66 % of the turns. */
#ifndef EXPORT_ASSOCIATION_SPREAD_H
#define EXPORT_ASSOCIATION_SPREAD_H

#include "export/dataset.h"

#define ASSOCIATION_FLAT 0.005     /* a turn whose values lie closer together is flat */
#define ASSOCIATION_FLAT_SHARE 0.5 /* flagged where so many turns are flat */
#define ASSOCIATION_HIGH 0.30      /* flagged where 95 % of the values lie above */
#define ASSOCIATION_ONE_VIEW 0.95  /* flagged where one view is so often the nearest */
#define ASSOCIATION_MIN_TURNS 10   /* fewer turns are never flagged */

struct association_spread {
    size_t n;                                                  /* values */
    double mean, deviation, least, p05, median, p95, greatest; /* NAN for n = 0 */
    size_t n_turns;    /* with values for two views or more */
    double spread;     /* median over them of largest - smallest; NAN where none */
    double flat_share; /* of them */
    int top_view;      /* the view that is most often the nearest; -1 where none */
    double top_share;  /* in so many of them, ties shared */
    int is_flat, is_high, is_one_view;
};

/* task and view: an index, or -1 for all.  Of one view the members about turns tell
 * nothing.  E_NOMEM. */
MUST_CHECK enum status association_spread(const struct dataset *data, int task, int view,
    struct association_spread *out, struct error *err);

#endif
