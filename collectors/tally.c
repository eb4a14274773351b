/* tally.c - a hash table with open addressing; it never shrinks. */
#include "collectors/tally.h"

#include <stdlib.h>

#include "schema/query.h"

#define FIRST_SIZE 256

static uint64_t mix(uint64_t h, uint64_t x)
{
    h ^= x + UINT64_C(0x9e3779b97f4a7c15);
    h *= UINT64_C(0xff51afd7ed558ccd); // MurmurHash3's finalising factor
    return h ^ h >> 32;
}

static int is_same(const struct tally_key *a, const struct tally_key *b)
{
    return a->task_id == b->task_id && a->previous_id == b->previous_id &&
           a->llm_id == b->llm_id && a->context == b->context && a->added == b->added;
}

/* Where the key is, or would be. */
static size_t place(
    const struct tally_row *rows, size_t size, const struct tally_key *key)
{
    uint64_t h = mix(0, (uint64_t)key->task_id);
    h = mix(h, (uint64_t)key->previous_id);
    h = mix(h, (uint64_t)key->llm_id);
    h = mix(h, (uint64_t)key->context << 32 | key->added);
    size_t i = (size_t)h & (size - 1);
    while (rows[i].n && !is_same(&rows[i].key, key))
        i = (i + 1) & (size - 1);
    return i;
}

static enum status make_room(struct tally *t, struct error *err)
{
    size_t size = t->size ? 2 * t->size : FIRST_SIZE;
    struct tally_row *rows = calloc(size, sizeof *rows);
    if (!rows)
        return error_nomem(err, size * sizeof *rows);
    for (size_t i = 0; i < t->size; i++) {
        if (t->rows[i].n)
            rows[place(rows, size, &t->rows[i].key)] = t->rows[i];
    }
    free(t->rows);
    t->rows = rows;
    t->size = size;
    return OK;
}

enum status tally_add(struct tally *t, const struct tally_key *key, struct error *err)
{
    if (2 * (t->n + 1) > t->size) {
        enum status s = make_room(t, err);
        if (s)
            return s;
    }
    struct tally_row *row = &t->rows[place(t->rows, t->size, key)];
    t->n += !row->n;
    row->key = *key;
    row->n++;
    return OK;
}

int64_t tally_of(const struct tally *t, const struct tally_key *key)
{
    return t->size ? t->rows[place(t->rows, t->size, key)].n : 0;
}

enum status tally_load(struct store *store, struct tally *out, struct error *err)
{
    *out = (struct tally) { 0 };
    struct query *q;
    enum status s = query_open(store,
        "SELECT m.task_id, coalesce(p.llm_id, 0), c.llm_id, coalesce(p.views_context, 0),"
        " c.views_added FROM call c JOIN turn t USING (turn_id) JOIN prompt m USING"
        " (prompt_id) JOIN call_state s ON s.call_id = c.call_id"
        " LEFT JOIN call p ON p.call_id = c.parent_id"
        " WHERE c.purpose IN ('path', 'fan_out') AND c.sample = 0"
        " AND s.state NOT IN ('failed', 'blocked')",
        &q, err);
    if (s)
        return s;
    query_bind(q, "");
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct tally_key key = { query_int(q, 0), query_int(q, 1), query_int(q, 2),
            (uint32_t)query_int(q, 3), (uint32_t)query_int(q, 4) };
        if ((s = tally_add(out, &key, err)))
            break;
    }
    query_close(q);
    if (s)
        tally_release(out);
    return s;
}

void tally_release(struct tally *t)
{
    free(t->rows);
    *t = (struct tally) { 0 };
}
