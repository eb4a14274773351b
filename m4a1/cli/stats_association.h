/* stats_association.h - the topic association of m4a1 stats. */
#ifndef M4A1_CLI_STATS_ASSOCIATION_H
#define M4A1_CLI_STATS_ASSOCIATION_H

#include "export/dataset.h"
#include "export/json_keep.h"
#include "m4a1/base/error.h"

/* Read DATA with the associations of one model; NULL for the last one.  Only a store has
 * several: E_ARG for a model of anything else. */
MUST_CHECK enum status stats_association_read(
    const char *path, const char *model, struct dataset **out, struct error *err);

MUST_CHECK enum status stats_add_association(const struct dataset *data,
    const char *model, struct json_keeper *k, struct json *root, struct error *err);
void stats_print_association(const struct json *root);

#endif
