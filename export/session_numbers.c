/* session_numbers.c - ids for data sets, by a walk over the sessions in their order. */
#include "export/session_numbers.h"

#include <stdlib.h>

#include "schema/query.h"

/* An open-addressed set of ids that stays at most half full. */
struct id_set {
    int64_t *ids;
    char *used;
    size_t n_slots; /* a power of two */
    int64_t highest;
};

static size_t slot_of(const struct id_set *set, int64_t id)
{
    uint64_t hash = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    size_t slot = (size_t)(hash >> 20) & (set->n_slots - 1);
    while (set->used[slot] && set->ids[slot] != id)
        slot = (slot + 1) & (set->n_slots - 1);
    return slot;
}

static int64_t take_id(struct id_set *set, int64_t wanted)
{
    size_t slot = slot_of(set, wanted);
    if (set->used[slot]) {
        wanted = set->highest + 1;
        slot = slot_of(set, wanted);
    }
    set->used[slot] = 1;
    set->ids[slot] = wanted;
    if (wanted > set->highest)
        set->highest = wanted;
    return wanted;
}

static enum status fill(struct store *store, struct session_numbers *out, size_t room,
    struct id_set *set, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT session_id, coalesce(source_id, session_id) FROM session"
        " ORDER BY session_id",
        &q, err);
    if (s)
        return s;
    while (!(s = query_next(q, err)) && query_has_row(q) && out->n < room) {
        out->session_id[out->n] = query_int(q, 0);
        out->id[out->n++] = take_id(set, query_int(q, 1));
    }
    query_close(q);
    return s;
}

enum status session_numbers_read(
    struct store *store, struct session_numbers *out, struct error *err)
{
    int64_t n;
    *out = (struct session_numbers) { 0 };
    enum status s = store_int(store, 0, &n, err, "SELECT count(*) FROM session", "");
    if (s)
        return s;
    struct id_set set = { .n_slots = 16 };
    while (set.n_slots < 2 * (size_t)n)
        set.n_slots *= 2;
    set.ids = calloc(set.n_slots, sizeof *set.ids);
    set.used = calloc(set.n_slots, 1);
    out->session_id = calloc((size_t)n + 1, sizeof *out->session_id);
    out->id = calloc((size_t)n + 1, sizeof *out->id);
    if (!set.ids || !set.used || !out->session_id || !out->id)
        s = error_nomem(err, set.n_slots * sizeof *set.ids);
    else
        s = fill(store, out, (size_t)n, &set, err);
    free(set.ids);
    free(set.used);
    if (s)
        session_numbers_release(out);
    return s;
}

void session_numbers_release(struct session_numbers *numbers)
{
    free(numbers->session_id);
    free(numbers->id);
    *numbers = (struct session_numbers) { 0 };
}

const int64_t *session_number(const struct session_numbers *numbers, int64_t session_id)
{
    size_t low = 0, high = numbers->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (numbers->session_id[middle] == session_id)
            return &numbers->id[middle];
        if (numbers->session_id[middle] < session_id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
