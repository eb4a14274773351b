/* import_associations.h - put associations that were computed elsewhere into a store. */
#ifndef EXPORT_IMPORT_ASSOCIATIONS_H
#define EXPORT_IMPORT_ASSOCIATIONS_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

struct import_associations_counts {
    size_t values;  /* that were added */
    size_t present; /* that the store had already, equal */
    size_t none;    /* rows without a value */
    size_t models;  /* that were new */
};

/* Add every row of the file (association_rows.h) within one transaction: all or nothing.
 * A session is named by its id in data sets (session_numbers.h) or by its identity, a view
 * by its name or position.  E_DATA, by file and line, for a session, turn or view that the
 * store lacks, for a view that is no image, for a model that the store computed itself, and
 * for a value that differs from the one that is there. */
MUST_CHECK enum status import_associations(struct store *store, const char *path,
    struct import_associations_counts *counts, struct error *err);

#endif
