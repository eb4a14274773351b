/* session_numbers.h - the ids that the sessions of a store have in data sets.
 *
 * A session's id is its source_id where it was imported, else its session_id; where an
 * earlier session has that id already, it is the next number above all ids so far.  So
 * ids differ, and sessions that are added later move none. */
#ifndef EXPORT_SESSION_NUMBERS_H
#define EXPORT_SESSION_NUMBERS_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

struct session_numbers {
    int64_t *session_id; /* [n] rising */
    int64_t *id;         /* [n] */
    size_t n;
};

MUST_CHECK enum status session_numbers_read(
    struct store *store, struct session_numbers *out, struct error *err);
void session_numbers_release(struct session_numbers *numbers);

/* The id of a session_id, or NULL where there is no such session. */
const int64_t *session_number(const struct session_numbers *numbers, int64_t session_id);

#endif
