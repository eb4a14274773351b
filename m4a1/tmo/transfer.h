/* transfer.h - speak of one data set in the words of another, so that what was trained on
 * the one can be played on the other.
 *
 * A map file names what corresponds; names that both data sets have need not be listed:
 *
 *     { "views": { "their view": "our view", "their other view": null },
 *       "tasks": { "their task": "our task" },
 *       "llms": { "their llm": "our llm" } }
 *
 * A view that is mapped to null, or that we lack, is never shown there: answers that saw it
 * are left out with everything behind them in their session. */
#ifndef M4A1_TMO_TRANSFER_H
#define M4A1_TMO_TRANSFER_H

#include "export/dataset.h"
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"

/* Rewrite other in place: its views, tasks and llms become those of ours, in their order.
 * map may be NULL.  E_DATA names a view, task or llm that corresponds to none of ours, or
 * that no session is left. */
MUST_CHECK enum status transfer_map(struct dataset *other, const struct dataset *ours,
    const struct json *map, struct error *err);

#endif
