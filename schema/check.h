/* check.h - every invariant of a store, each with a name, proved by reading it all. */
#ifndef SCHEMA_CHECK_H
#define SCHEMA_CHECK_H

#include <stddef.h>
#include "m4a1/base/progress.h"
#include "schema/store.h"

struct check_violation {
    const char *invariant; /* its name, static */
    char *where;           /* the row and what is wrong with it */
};

struct check_result {
    struct check_violation *violations; /* grouped by invariant */
    size_t n, n_invariants;
};

/* OK when the store could be read, whatever was found. */
MUST_CHECK enum status check_store(struct store *store, struct progress *progress,
    struct check_result *result, struct error *err);
void check_release(struct check_result *result);

#endif
