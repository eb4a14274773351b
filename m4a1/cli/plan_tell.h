/* plan_tell.h - what a plan will take, for people and as JSON. */
#ifndef M4A1_CLI_PLAN_TELL_H
#define M4A1_CLI_PLAN_TELL_H

#include "collectors/plan.h"
#include "export/json_keep.h"

/* Member "estimate" of root. */
void plan_set_estimate(
    struct json_keeper *k, struct json *root, const struct plan_estimate *e);
/* Members "sessions", "turns", "calls" ... of root. */
void plan_set_counts(
    struct json_keeper *k, struct json *root, const struct plan_counts *c);

/* The same for people; nothing where no call is planned.  with_thinnest: also the cell that
 * is furthest from its minimum. */
void plan_print_estimate(const struct plan_estimate *e, int with_thinnest);

#endif
