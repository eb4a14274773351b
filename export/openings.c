/* openings.c - rows of evaluation_opening. */
#include "export/openings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/json.h"
#include "schema/identity.h"
#include "schema/query.h"

#define WHAT_MAX ((size_t)1 << 20)

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* SHA-256 over the sessions' identities, sorted. */
static enum status name_sessions(
    const struct dataset *data, struct opening *one, struct error *err)
{
    const char **names = calloc(one->n_test + 1, sizeof *names);
    struct json *list = json_new_array();
    enum status s = names && list ? OK : error_nomem(err, one->n_test * sizeof *names);
    for (size_t i = 0; i < one->n_test && !s; i++) {
        const struct session *session = dataset_session(data, one->test[i]);
        if (!session)
            s = error_set(err, E_NOT_FOUND, "%s has no session %" PRId64, data->source,
                one->test[i]);
        else
            names[i] = session->identity;
    }
    if (!s)
        qsort(names, one->n_test, sizeof *names, compare_texts);
    for (size_t i = 0; i < one->n_test && !s; i++)
        if (!json_add_text(list, names[i]))
            s = error_nomem(err, HASH_HEX);
    if (!s)
        s = identity_of("m4a1-test-sessions-1", list, one->sha256, err);
    json_free(list);
    free(names);
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
static enum status count_all(
    struct store *store, struct opening *all, size_t n, int may_write, struct error *err)
{
    enum status s = may_write ? store_begin(store, err) : OK;
    if (s)
        return s;
    for (size_t i = 0; i < n && !s; i++) {
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
    enum status s = OK;
    if (size)
        *why = '\0';
    for (size_t i = 0; i < n && !s; i++)
        s = name_sessions(data, &all[i], err);
    if (s)
        return s;
    s = store_open(data->source, STORE_WRITE, &store, &locked);
    if (!s)
        s = count_all(store, all, n, 1, &locked);
    store_close(store);
    if (!s)
        return OK;
    if (s == E_NOMEM)
        return error_nomem(err, 64);
    snprintf(why, size, "%s", locked.msg);
    s = store_open(data->source, STORE_READ, &store, err);
    if (!s)
        s = count_all(store, all, n, 0, err);
    store_close(store);
    return s;
}
