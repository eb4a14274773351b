/* recorded_parts.h - what the files of the encoding share; nobody else includes it. */
#ifndef M4A1_TMO_RECORDED_PARTS_H
#define M4A1_TMO_RECORDED_PARTS_H

#include "m4a1/tmo/recorded.h"

/* The actions that settings ask for, llms as in the data; NULL = all.  Freed with free().
 * E_ARG for one that data lacks, E_LIMIT for too many. */
MUST_CHECK enum status recorded_actions(const struct dataset *data,
    const struct recorded_settings *settings, struct space_action **out, size_t *n,
    struct error *err);

#endif
