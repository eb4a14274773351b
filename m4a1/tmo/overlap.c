/* overlap.c - things of both sides in one sorted list. */
#include "m4a1/tmo/overlap.h"

#include <stdlib.h>
#include <string.h>

const char *const overlap_names[N_OVERLAPS] = { "scenes", "frames", "prompts", "rows" };
const char *const overlap_carrier_names[N_OVERLAPS] = { "sessions", "views of sessions",
    "turns", "scored answers" };

/* A thing as bytes, borrowed, and the side that has it. */
struct thing {
    const void *bytes;
    size_t len;
    int is_test;
};

struct things {
    struct thing *all;
    size_t n, size;
};

static enum status things_add(
    struct things *list, const void *bytes, size_t len, int is_test, struct error *err)
{
    if (list->n == list->size) {
        size_t size = list->size ? 2 * list->size : 256;
        struct thing *all = realloc(list->all, size * sizeof *all);
        if (!all)
            return error_nomem(err, size * sizeof *all);
        list->all = all;
        list->size = size;
    }
    list->all[list->n++] = (struct thing) { bytes, len, is_test };
    return OK;
}

static int compare(const void *va, const void *vb)
{
    const struct thing *a = va, *b = vb;
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return memcmp(a->bytes, b->bytes, a->len);
}

static void count(struct things *list, struct overlap_count *out)
{
    if (list->n)
        qsort(list->all, list->n, sizeof *list->all, compare);
    for (size_t i = 0; i < list->n;) {
        size_t end = i, n_test = 0;
        for (; end < list->n && compare(&list->all[i], &list->all[end]) == 0; end++)
            n_test += list->all[end].is_test != 0;
        int shared = n_test && n_test < end - i;
        out->n += n_test > 0;
        out->n_shared += shared != 0;
        out->n_carriers += n_test;
        out->n_carriers_shared += shared ? n_test : 0;
        i = end;
    }
}

/* ---- what a session has ---- */

/* A scored answer as bytes: [state][prompt][llm and views]. */
struct row_bytes {
    unsigned char *all; /* [n_rows][len] */
    size_t len;
};

static enum status pack_rows(
    const struct recorded *rec, struct row_bytes *out, struct error *err)
{
    size_t n_states = rec->space.n_states * sizeof *rec->observations;
    out->len = n_states + sizeof(uint64_t) + 2 * sizeof(uint32_t);
    out->all = calloc(rec->n_rows + 1, out->len);
    if (!out->all)
        return error_nomem(err, rec->n_rows * out->len);
    for (size_t i = 0; i < rec->n_rows; i++) {
        const struct recorded_row *row = &rec->rows[i];
        const struct space_action *action = &rec->space.actions[row->action];
        unsigned char *at = out->all + i * out->len;
        uint64_t prompt = rec->prompts[row->turn];
        uint32_t what[] = { (uint32_t)action->llm,
            recorded_added(rec, (size_t)row->action, rec->contexts[row->turn]) };
        memcpy(at, rec->observations + row->turn * rec->space.n_states, n_states);
        memcpy(at + n_states, &prompt, sizeof prompt);
        memcpy(at + n_states + sizeof prompt, what, sizeof what);
    }
    return OK;
}

static enum status add_session(const struct recorded *rec, enum overlap_kind kind,
    size_t session, int is_test, struct things *list, struct error *err)
{
    const struct session *data = &rec->data->sessions[session];
    const struct recorded_session *one = &rec->sessions[session];
    enum status s = OK;
    if (kind == OVERLAP_SCENES && data->scene && *data->scene)
        return things_add(list, data->scene, strlen(data->scene), is_test, err);
    if (kind == OVERLAP_FRAMES && data->image_paths)
        for (size_t v = 0; v < rec->data->n_views && !s; v++)
            if (data->image_paths[v])
                s = things_add(list, data->image_paths[v], strlen(data->image_paths[v]),
                    is_test, err);
    for (size_t t = 0; kind == OVERLAP_PROMPTS && t < one->n_turns && !s; t++) {
        const char *text = rec->prompt_texts[rec->prompts[one->first + t]];
        s = things_add(list, text, strlen(text), is_test, err);
    }
    return s;
}

static enum status count_kind(const struct recorded *rec, enum overlap_kind kind,
    const unsigned char *side, struct overlap_count *out, struct error *err)
{
    struct things list = { 0 };
    struct row_bytes rows = { 0 };
    enum status s = OK;
    for (size_t i = 0; i < rec->n_sessions && !s; i++)
        if (side[i])
            s = add_session(rec, kind, i, side[i] == 2, &list, err);
    if (!s && kind == OVERLAP_ROWS)
        s = pack_rows(rec, &rows, err);
    for (size_t i = 0; rows.all && i < rec->n_rows && !s; i++) {
        int of = side[recorded_session_of(rec, rec->rows[i].turn)];
        if (of)
            s = things_add(&list, rows.all + i * rows.len, rows.len, of == 2, err);
    }
    if (!s)
        count(&list, out);
    free(rows.all);
    free(list.all);
    return s;
}

enum status overlap_count(const struct recorded *rec, const size_t *train, size_t n_train,
    const size_t *test, size_t n_test, struct overlap *out, struct error *err)
{
    *out = (struct overlap) { 0 };
    unsigned char *side = calloc(rec->n_sessions + 1, 1); // 1 training, 2 test
    if (!side)
        return error_nomem(err, rec->n_sessions);
    for (size_t i = 0; i < n_train; i++)
        side[train[i]] = 1;
    for (size_t i = 0; i < n_test; i++)
        side[test[i]] = 2;
    enum status s = OK;
    for (enum overlap_kind kind = 0; kind < N_OVERLAPS && !s; kind++)
        s = count_kind(rec, kind, side, &out->of[kind], err);
    free(side);
    return s;
}
