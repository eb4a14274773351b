/* tally.h - how often each action was planned in each state.
 *
 * A state is a task, the views that the dialogue holds before the turn, and the llm that
 * answered the turn before.  Keys are the store's row numbers. */
#ifndef COLLECTORS_TALLY_H
#define COLLECTORS_TALLY_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

struct tally_key {
    int64_t task_id;
    int64_t previous_id; /* llm of the turn before; 0 = first turn */
    int64_t llm_id;
    uint32_t context; /* views before the turn */
    uint32_t added;
};

struct tally_row {
    struct tally_key key;
    int64_t n; /* 0 = an empty place */
};

struct tally {
    struct tally_row *rows; /* a hash table of a power of two */
    size_t size, n;
};

/* Count the path and fan-out calls of a store, each once whatever its samples; those that
 * failed for good, or are blocked by such a one, do not count. */
MUST_CHECK enum status tally_load(
    struct store *store, struct tally *out, struct error *err);
void tally_release(struct tally *t);

MUST_CHECK enum status tally_add(
    struct tally *t, const struct tally_key *key, struct error *err);
int64_t tally_of(const struct tally *t, const struct tally_key *key);

#endif
