/* stats_llms.h - the llms of a store for the topics of m4a1 stats: their order, and what all
 * of them cost, references and judges included. */
#ifndef M4A1_CLI_STATS_LLMS_H
#define M4A1_CLI_STATS_LLMS_H

#include "export/dataset.h"
#include "export/json_keep.h"

/* The order in which tables list the llms of a data set: the recipe's where the data is a
 * store, else the data's own.  *out holds data->n_llms indices; freed with free(). */
MUST_CHECK enum status stats_llm_order(
    const struct dataset *data, size_t **out, struct error *err);

/* Members "all_calls" (a row an llm) and "total" of root; nothing where data is no store. */
MUST_CHECK enum status stats_add_cost(
    const char *data, struct json_keeper *k, struct json *root, struct error *err);
void stats_print_cost(const struct json *root);

#endif
