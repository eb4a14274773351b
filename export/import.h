/* import.h - put a data set into a store. */
#ifndef EXPORT_IMPORT_H
#define EXPORT_IMPORT_H

#include "export/dataset.h"
#include "schema/store.h"

struct import_counts {
    size_t sessions, turns;  /* that were added */
    size_t sessions_present; /* that the store had already, by content */
    size_t ids_taken;        /* added ones whose id another session of the store has */
    size_t scenes, prompts;  /* that were new */
};

/* Add every session of the authors' format (session.imported) that the store lacks, in
 * order, within one transaction: all or nothing.  A session's identity is the SHA-256 of
 * "m4a1-session-imported-1" and its canonical JSON, so the same content again adds
 * nothing.  A store without views gets view_0 ... (image, privacy level 1); else the
 * numbers of views must be equal, E_ARG otherwise.  The llms are `local` and `cloud`
 * (`imported_local`, `imported_cloud` where a recipe has taken the name). */
MUST_CHECK enum status import_dataset(struct store *store, const struct dataset *data,
    struct import_counts *counts, struct error *err);

#endif
