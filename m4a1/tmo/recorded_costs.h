/* recorded_costs.h - what answers cost in the data themselves, by llm and shown views.
 *
 * The published profiles know two llms, and nothing of the data.  These are means over all
 * answers (of the path and fan-out) that have seconds and USD, whatever they scored. */
#ifndef M4A1_TMO_RECORDED_COSTS_H
#define M4A1_TMO_RECORDED_COSTS_H

#include "m4a1/tmo/cost_table.h"
#include "m4a1/tmo/recorded.h"

/* One row for each llm of the space; a number of views that no answer was given with is not
 * known.  A cell's reserve is the quantile of its answers, not known where there are fewer
 * than it takes (p50 2, p90 10, p99 100).  E_DATA names an llm without an answer that has
 * seconds and USD. */
MUST_CHECK enum status recorded_costs(const struct recorded *rec,
    enum cost_quantile quantile, struct cost_table **out, struct error *err);

#endif
