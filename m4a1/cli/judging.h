/* judging.h - a run of the judge over a store: for annotate, and for evaluate --live. */
#ifndef M4A1_CLI_JUDGING_H
#define M4A1_CLI_JUDGING_H

#include "annotate/ratio.h"
#include "m4a1/cli/collecting.h"

#define JUDGING_ROUNDS 2 /* a reply that cannot be read is asked for once more */

struct judging {
    int64_t n_refusals_marked;
    struct ratio_counts ratio;
    struct engine_result runs[JUDGING_ROUNDS];
};

/* Mark refusals, write down what the judge is to be asked, ask as options say, and score
 * what came in; also what came in before a cap or an interruption.  Statuses are those of
 * engine_run(); *out is zeroed by the caller and released in every case. */
MUST_CHECK enum status judging_run(struct cli *cli, struct store *store,
    const struct engine_options *options, struct judging *out, struct error *err);
void judging_release(struct judging *judging);

#endif
