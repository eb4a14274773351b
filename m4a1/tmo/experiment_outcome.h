/* experiment_outcome.h - what a cell found, and the file that keeps it.
 *
 *   { "version", "experiment", "setting", "row", "seed", ... what the cell is,
 *     "key",
 *     "figures": { "reward": ..., ... },
 *     "sessions": [[id, reward, response, latency_s, usage_usd, violation], ...],
 *     "measured": { "cpu_s": ... } }
 * All but "measured" is the same whenever one build runs it again. */
#ifndef M4A1_TMO_EXPERIMENT_OUTCOME_H
#define M4A1_TMO_EXPERIMENT_OUTCOME_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"
#include "m4a1/tmo/experiment_figure.h"

/* Figures that are kept by session, in the order of "sessions" behind the id. */
#define N_BY_SESSION 5
extern const enum experiment_figure experiment_by_session[N_BY_SESSION];
/* Where a figure stands in by_session, or N_BY_SESSION. */
size_t experiment_session_column(enum experiment_figure figure);

struct experiment_outcome {
    double figures[N_EX_FIGURES];       /* NAN = none */
    int64_t *ids;                       /* [n_sessions] that were played; owned */
    double (*by_session)[N_BY_SESSION]; /* [n_sessions]; owned */
    size_t n_sessions;

    /* Of the config, set by reading: the constraints as canonical JSON (owned), and whether
     * anything holds the policy to them. */
    char *constraints;
    int is_constrained;
};

/* No figures, and room for so many sessions. */
MUST_CHECK enum status experiment_outcome_init(
    struct experiment_outcome *o, size_t most_sessions, struct error *err);
void experiment_outcome_release(struct experiment_outcome *o);

/* Add it to what the cell is. */
MUST_CHECK enum status experiment_outcome_write(
    const struct experiment_outcome *o, struct json *cell, struct error *err);
/* Read a cell's file.  Released by the caller, also on an error; E_DATA where the file is
 * none, say cut off. */
MUST_CHECK enum status experiment_outcome_read(
    const struct json *cell, struct experiment_outcome *out, struct error *err);

#endif
