/* ready.c - see ready.h. */
#include "collectors/ready.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

/* The same as state 'ready' of the view call_state, asked for single calls. */
#define IS_ANSWERED(id) "EXISTS (SELECT 1 FROM response r WHERE r.call_id = " id ")"
#define HAS_FAILED                                                                       \
    "EXISTS (SELECT 1 FROM attempt a WHERE a.call_id = c.call_id AND a.final)"
#define MAY_BE_ASKED                                                                     \
    "(c.parent_id IS NULL OR " IS_ANSWERED(                                              \
        "c.parent_id") ")"                                                               \
                       " AND (c.subject_id IS NULL OR " IS_ANSWERED("c.subject_id") ")"
/* Of a session that this run leaves to other shards. */
#define IS_LEFT                                                                          \
    "EXISTS (SELECT 1 FROM turn t JOIN temp.ready_left x USING (session_id)"             \
    " WHERE t.turn_id = c.turn_id)"
#define COLUMNS "c.call_id, c.llm_id, c.block, c.identity, c.purpose"

static int has_llm(const struct ready_rules *rules, int64_t llm_id)
{
    for (size_t i = 0; rules->llm_ids && i < rules->n_llm_ids; i++)
        if (rules->llm_ids[i] == llm_id)
            return 1;
    return !rules->llm_ids;
}

int ready_in_scope(const struct ready_rules *rules, const char *purpose, int64_t llm_id)
{
    if (!has_llm(rules, llm_id))
        return 0;
    for (size_t i = 0; rules->purposes && i < rules->n_purposes; i++)
        if (text_equal(rules->purposes[i], purpose))
            return 1;
    return !rules->purposes;
}

/* Signed, since SQLite sorts signed integers. */
static int64_t order_of(uint64_t seed, const char *identity)
{
    char text[24 + HASH_HEX];
    struct buffer b;
    buffer_init(&b, sizeof text);
    buffer_printf(&b, "%016llx:%.64s", (unsigned long long)seed, identity);
    uint8_t bytes[HASH_BYTES];
    hash_bytes(buffer_str(&b), b.len, bytes);
    buffer_release(&b);
    int64_t order = 0;
    memcpy(&order, bytes, sizeof order);
    return order;
}

static enum status add(struct store *store, const struct ready_rules *rules,
    const struct query *q, struct error *err)
{
    if (!ready_in_scope(rules, query_text(q, 4), query_int(q, 1)))
        return OK;
    return store_run(store, err,
        "INSERT OR IGNORE INTO temp.ready_call (call_id, llm_id, block, hash)"
        " VALUES (?, ?, ?, ?)",
        "iiii", query_int(q, 0), query_int(q, 1), query_int(q, 2),
        order_of(rules->seed, query_text(q, 3)));
}

static enum status add_all(struct store *store, const struct ready_rules *rules,
    struct query *q, struct error *err)
{
    enum status s = OK;
    while ((s = query_next(q, err)) == OK && query_has_row(q))
        if ((s = add(store, rules, q, err)) != OK)
            break;
    return s;
}

/* The shard that a session belongs to, 1 to n_shards, by a hash of its identity: so
 * copies of a store that are collected on several machines never ask the same call. */
static int shard_of(const char *session_identity, int n_shards)
{
    uint8_t bytes[HASH_BYTES];
    uint32_t n = 0;
    hash_bytes(session_identity, strlen(session_identity), bytes);
    memcpy(&n, bytes, sizeof n);
    return (int)(n % (uint32_t)n_shards) + 1;
}

/* Fill temp.ready_left with the sessions that are not of this shard. */
static enum status leave_out(
    struct store *store, const struct ready_rules *rules, struct error *err)
{
    struct query *q = NULL;
    enum status s =
        query_open(store, "SELECT session_id, identity FROM session", &q, err);
    if (s != OK)
        return s;
    query_bind(q, "");
    while ((s = query_next(q, err)) == OK && query_has_row(q)) {
        if (shard_of(query_text(q, 1), rules->n_shards) == rules->shard)
            continue;
        s = store_run(store, err, "INSERT INTO temp.ready_left (session_id) VALUES (?)",
            "i", query_int(q, 0));
        if (s != OK)
            break;
    }
    query_close(q);
    return s;
}

static enum status make_table(struct store *store, struct error *err)
{
    enum status s = store_run(store, err, "DROP TABLE IF EXISTS temp.ready_call", "");
    if (s == OK)
        s = store_run(store, err, "DROP TABLE IF EXISTS temp.ready_left", "");
    if (s == OK)
        s = store_run(store, err,
            "CREATE TEMP TABLE ready_left (session_id INTEGER PRIMARY KEY)", "");
    if (s == OK)
        s = store_run(store, err,
            "CREATE TEMP TABLE ready_call (call_id INTEGER PRIMARY KEY, llm_id INTEGER,"
            " block INTEGER, hash INTEGER)",
            "");
    if (s == OK)
        s = store_run(store, err,
            "CREATE INDEX temp.ready_order ON ready_call (llm_id, block, hash)", "");
    return s;
}

enum status ready_fill(
    struct store *store, const struct ready_rules *rules, struct error *err)
{
    struct query *q = NULL;
    enum status s = make_table(store, err);
    if (s == OK)
        s = store_begin(store, err);
    if (s != OK)
        return s;
    if (rules->n_shards > 1)
        s = leave_out(store, rules, err);
    if (s == OK)
        s = query_open(store,
            "SELECT " COLUMNS " FROM call c WHERE NOT " IS_ANSWERED(
                "c.call_id") " AND (?1 OR NOT " HAS_FAILED ") AND " MAY_BE_ASKED
                             " AND NOT " IS_LEFT,
            &q, err);
    if (s == OK) {
        query_bind(q, "i", (int64_t)rules->with_failed);
        s = add_all(store, rules, q, err);
        query_close(q);
    }
    if (s == OK)
        s = store_commit(store, err);
    if (s != OK)
        store_rollback(store);
    return s;
}

int ready_before(const struct ready_call *a, const struct ready_call *b)
{
    return a->block != b->block ? a->block < b->block : a->order < b->order;
}

enum status ready_peek(struct store *store, int64_t llm_id, struct ready_call *out,
    int *found, struct error *err)
{
    *found = 0;
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT call_id, block, hash FROM temp.ready_call WHERE llm_id = ?"
        " ORDER BY block, hash LIMIT 1",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "i", llm_id);
    s = query_next(q, err);
    if (s == OK && query_has_row(q)) {
        *found = 1;
        out->call_id = query_int(q, 0);
        out->block = query_int(q, 1);
        out->order = query_int(q, 2);
    }
    query_close(q);
    return s;
}

enum status ready_take(struct store *store, int64_t call_id, struct error *err)
{
    return store_run(
        store, err, "DELETE FROM temp.ready_call WHERE call_id = ?", "i", call_id);
}

enum status ready_answered(struct store *store, const struct ready_rules *rules,
    int64_t call_id, struct error *err)
{
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT " COLUMNS " FROM call c WHERE c.call_id IN ("
        " SELECT call_id FROM call WHERE parent_id = ?1"
        " UNION SELECT call_id FROM call WHERE subject_id = ?1)"
        " AND NOT " IS_ANSWERED("c.call_id") " AND NOT " HAS_FAILED " AND " MAY_BE_ASKED,
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "i", call_id);
    s = add_all(store, rules, q, err);
    query_close(q);
    return s;
}

enum status ready_count(struct store *store, const struct ready_rules *rules,
    struct ready_counts *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT purpose, llm_id, count(*), sum(done), sum(NOT done AND failed),"
        " sum(NOT done AND NOT failed AND ready) FROM (SELECT c.purpose AS purpose, "
        "c.llm_id AS llm_id,"
        " " IS_ANSWERED("c.call_id") " AS done, " HAS_FAILED " AS failed,"
                                     " (" MAY_BE_ASKED
                                     ") AS ready FROM call c WHERE NOT " IS_LEFT
                                     ") GROUP BY purpose, llm_id",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "");
    while ((s = query_next(q, err)) == OK && query_has_row(q)) {
        if (!ready_in_scope(rules, query_text(q, 0), query_int(q, 1)))
            continue;
        out->n_calls += query_int(q, 2);
        out->n_done += query_int(q, 3);
        out->n_failed += query_int(q, 4);
        out->n_ready += query_int(q, 5);
    }
    query_close(q);
    out->n_waiting = out->n_calls - out->n_done - out->n_failed - out->n_ready;
    return s;
}
