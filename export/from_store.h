/* from_store.h - read a store into the data set, without writing a byte to it. */
#ifndef EXPORT_FROM_STORE_H
#define EXPORT_FROM_STORE_H

#include "export/dataset.h"
#include "schema/store.h"

/* Every session with every planned turn, in the order of session_id; rows without an
 * answer or a score are kept (dataset_drop_incomplete).  All is read in one snapshot.
 * Ids are those of session_numbers.h.
 *
 * association names the model whose values are taken; NULL takes for each turn, of those
 * that have values for it, the one that was added to the store last.  A view without a
 * value is NAN, a turn without any has no list.  The score is the
 * last one of the scorer "ratio", the refusal the last of the scorer "refusal". */
MUST_CHECK enum status dataset_of_store(struct store *store, const char *association,
    struct dataset **out, struct error *err);

/* The same inside a transaction of the caller's, who reads more in the same snapshot:
 * snapshot_begin(), reading, store_rollback(). */
MUST_CHECK enum status dataset_of_snapshot(struct store *store, const char *association,
    struct dataset **out, struct error *err);
MUST_CHECK enum status snapshot_begin(struct store *store, struct error *err);

#endif
