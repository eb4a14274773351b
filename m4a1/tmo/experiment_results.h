/* experiment_results.h - what the cells of an experiment say together.
 *
 * For every setting and row the mean and population deviation of each figure over seeds,
 * and of figures that are kept by session a 95 % interval by bootstrap over sessions
 * (bootstrap.h; a session is one cluster however many seeds had it in their test part).  A claim compares
 * two rows on the same sessions: it holds where the whole interval lies within the
 * claimed range, fails where it lies outside, and is open in between. */
#ifndef M4A1_TMO_EXPERIMENT_RESULTS_H
#define M4A1_TMO_EXPERIMENT_RESULTS_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"
#include "m4a1/tmo/experiment_cell.h"

/* cells[setting][row][seed]; the same one may stand in several places.  The result:
 *   { "experiment", "experiment_digest", "kind", "title", "question", "version", "data",
 *     "digest", "simulated", "seeds",
 *     "settings": [{ "label", "x", "published", "rows": [{ "row",
 *         "figures": { NAME: { "mean", "deviation", "by_seed", "from", "to" } } }] }],
 *     "claims": [{ "text", "setting", "figure", "of", "against", "estimate", "from", "to",
 *                  "least", "most", "verdict": "holds" | "fails" | "open" }] }
 * E_DATA where cells do not belong together. */
MUST_CHECK enum status experiment_results(const struct experiment_lab *lab,
    const struct experiment_outcome *const *cells, size_t n_seeds, struct json **out,
    struct error *err);

#endif
