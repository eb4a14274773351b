/* openings.c - rows of evaluation_opening. */
#include "export/openings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/identity.h"
#include "schema/query.h"

#define WHAT_MAX ((size_t)1 << 20)

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The identity that the store has of a session; imported ones are without it in memory.
 * Freed by the caller. */
static enum status identity_in(struct store *store, const struct dataset *data,
    int64_t id, char **out, struct error *err)
{
    struct query *q;
    const struct session *session = dataset_session(data, id);
    *out = NULL;
    enum status s =
        query_open(store, "SELECT identity FROM session WHERE session_id = ?", &q, err);
    if (s)
        return s;
    query_bind(q, "i", session ? session->session_id : 0);
    s = query_next(q, err);
    if (!s && !query_has_row(q))
        s = error_set(err, E_NOT_FOUND, "%s has no session %" PRId64, data->source, id);
    if (!s) {
        *out = text_copy(query_text(q, 0));
        s = *out ? OK : error_nomem(err, HASH_HEX);
    }
    query_close(q);
    return s;
}

/* SHA-256 over the sessions' identities, sorted. */
static enum status name_sessions(struct store *store, const struct dataset *data,
    struct opening *one, struct error *err)
{
    char **names = calloc(one->n_test + 1, sizeof *names);
    struct json *list = json_new_array();
    enum status s = names && list ? OK : error_nomem(err, one->n_test * sizeof *names);
    for (size_t i = 0; i < one->n_test && !s; i++)
        s = identity_in(store, data, one->test[i], &names[i], err);
    if (!s)
        qsort(names, one->n_test, sizeof *names, compare_texts);
    for (size_t i = 0; i < one->n_test && !s; i++)
        if (!json_add_text(list, names[i]))
            s = error_nomem(err, HASH_HEX);
    if (!s)
        s = identity_of("m4a1-test-sessions-1", list, one->sha256, err);
    for (size_t i = 0; names && i < one->n_test; i++)
        free(names[i]);
    free(names);
    json_free(list);
    return s;
}

static enum status look_up(struct store *store, struct opening *one, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT count(*), min(opened_ms) FROM evaluation_opening WHERE test_sha256 = ?",
        &q, err);
    if (s)
        return s;
    query_bind(q, "t", one->sha256);
    s = query_next(q, err);
    if (!s && query_has_row(q)) {
        one->n_before = query_int(q, 0);
        one->first_ms = query_int(q, 1);
    }
    query_close(q);
    return s;
}

static enum status enter(
    struct store *store, const struct opening *one, struct error *err)
{
    struct buffer text;
    struct json *list = json_new_array();
    enum status s = list ? OK : error_nomem(err, 64);
    buffer_init(&text, WHAT_MAX);
    for (size_t i = 0; i < one->n_what && !s; i++)
        if (!json_add_text(list, one->what[i]))
            s = error_nomem(err, 64);
    if (!s)
        s = json_print(list, JSON_COMPACT, &text, err);
    if (!s)
        s = store_run(store, err,
            "INSERT INTO evaluation_opening (opened_ms, split, test_sha256, n_sessions,"
            " what) VALUES (?, ?, ?, ?, ?)",
            "ittit", clock_wall_ms(), one->split, one->sha256, (int64_t)one->n_test,
            buffer_str(&text));
    json_free(list);
    buffer_release(&text);
    return s;
}

/* Look up all, and enter them where the store may be written to. */
static enum status count_all(struct store *store, const struct dataset *data,
    struct opening *all, size_t n, int may_write, struct error *err)
{
    enum status s = may_write ? store_begin(store, err) : OK;
    if (s)
        return s;
    for (size_t i = 0; i < n && !s; i++) {
        s = name_sessions(store, data, &all[i], err);
        if (!s)
            s = look_up(store, &all[i], err);
        if (!s && may_write)
            s = enter(store, &all[i], err);
    }
    if (!s && may_write)
        s = store_commit(store, err);
    if (s && may_write)
        store_rollback(store);
    for (size_t i = 0; i < n; i++)
        all[i].is_counted = !s && may_write;
    return s;
}

enum status openings_count(const struct dataset *data, struct opening *all, size_t n,
    char *why, size_t size, struct error *err)
{
    struct store *store = NULL;
    struct error locked = ERROR_INIT;
    if (size)
        *why = '\0';
    enum status s = store_open(data->source, STORE_WRITE, &store, &locked);
    if (!s)
        s = count_all(store, data, all, n, 1, &locked);
    store_close(store);
    if (!s)
        return OK;
    if (s == E_NOMEM)
        return error_nomem(err, 64);
    snprintf(why, size, "%s", locked.msg);
    s = store_open(data->source, STORE_READ, &store, err);
    if (!s)
        s = count_all(store, data, all, n, 0, err);
    store_close(store);
    return s;
}
