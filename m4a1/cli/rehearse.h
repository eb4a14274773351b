/* rehearse.h - collect --rehearse: the plan run against the simulator, in a copy of the
 * store. */
#ifndef M4A1_CLI_REHEARSE_H
#define M4A1_CLI_REHEARSE_H

#include "collectors/engine.h"
#include "m4a1/cli/cli.h"

/* Rows of a verb's options table. */
#define REHEARSE_OPTIONS                                                                 \
    {                                                                                    \
        "rehearse", NULL,                                                                \
        "run the plan against the simulator, in a copy of the store; no keys, no cost"   \
    },                                                                                   \
        { "keep", "FILE", "with --rehearse: keep the copy there (default: removed)" },   \
    {                                                                                    \
        "time-scale", "X",                                                               \
            "with --rehearse: the simulator's latencies times X (default 0: at once)"    \
    }

struct rehearsal;

/* Open the store that the verb is about: for writing, or with --rehearse a copy of it,
 * beside it, and start the simulator with the store's recipe; then *out is not NULL. */
MUST_CHECK enum status rehearse_open(
    struct cli *cli, struct rehearsal **out, struct store **store, struct error *err);

/* Point a run at the simulator; nothing without a rehearsal (NULL). */
void rehearse_options(struct rehearsal *rehearsal, struct engine_options *o);

/* Print what the run says of the real one: calls, tokens, cost, hours. */
MUST_CHECK enum status rehearse_print(struct cli *cli, struct rehearsal *rehearsal,
    const struct engine_result *result, struct error *err);

/* After the store was closed: stop the simulator, and keep the copy or remove it.
 * status is what came before; it is returned unless it is OK, E_PARTIAL or
 * E_INTERRUPTED and keeping fails.  NULL is fine. */
enum status rehearse_close(
    struct rehearsal *rehearsal, enum status status, struct error *err);

#endif
