/* ready.h - the calls that can be sent now, kept in a temporary table of SQLite.
 *
 * The table is filled once, by one pass over the calls; afterwards an answer only looks
 * at the calls that wait for it.  So neither time nor memory grows with the plan for
 * each call.  Order: by call.block, then by a hash of the seed and the call's identity,
 * over all llms. */
#ifndef COLLECTORS_READY_H
#define COLLECTORS_READY_H

#include <stdint.h>
#include "schema/store.h"

struct ready_rules {
    const char *const *purposes; /* of call.purpose; NULL = all */
    size_t n_purposes;
    int with_failed;        /* calls that failed for good are asked again */
    uint64_t seed;          /* of the order */
    int shard, n_shards;    /* only sessions of this shard, from 1; 0 and 0 = all */
    const int64_t *llm_ids; /* only calls of these llms; NULL = of all */
    size_t n_llm_ids;
};

struct ready_call {
    int64_t call_id, block, order;
};

/* True where a comes before b. */
int ready_before(const struct ready_call *a, const struct ready_call *b);

/* How the calls in scope stand. */
struct ready_counts {
    int64_t n_calls, n_done, n_failed, n_ready;
    int64_t n_waiting; /* for an earlier call that is open or has failed */
};

MUST_CHECK enum status ready_fill(
    struct store *store, const struct ready_rules *rules, struct error *err);

/* The first ready call of an llm; *found is 0 where there is none. */
MUST_CHECK enum status ready_peek(struct store *store, int64_t llm_id,
    struct ready_call *out, int *found, struct error *err);
MUST_CHECK enum status ready_take(
    struct store *store, int64_t call_id, struct error *err);

/* This call was answered: add those that waited for it and for nothing else. */
MUST_CHECK enum status ready_answered(struct store *store,
    const struct ready_rules *rules, int64_t call_id, struct error *err);

MUST_CHECK enum status ready_count(struct store *store, const struct ready_rules *rules,
    struct ready_counts *out, struct error *err);

int ready_in_scope(const struct ready_rules *rules, const char *purpose, int64_t llm_id);

#endif
