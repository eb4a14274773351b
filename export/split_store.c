/* split_store.c - splits that are frozen in a store. */
#include "export/split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/identity.h"
#include "schema/query.h"

void split_info_release(struct split_info *info)
{
    free(info->rule);
    *info = (struct split_info) { 0 };
}

enum status split_names(struct store *store, char ***names, size_t *n, struct error *err)
{
    struct query *q;
    *names = NULL;
    *n = 0;
    enum status s = query_open(store, "SELECT name FROM split ORDER BY name", &q, err);
    if (s)
        return s;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        char **more = realloc(*names, (*n + 1) * sizeof *more);
        if (more)
            *names = more;
        char *name = more ? text_copy(query_text(q, 0)) : NULL;
        if (!name) {
            s = error_nomem(err, 64);
            break;
        }
        more[(*n)++] = name;
    }
    query_close(q);
    if (s) {
        folder_list_free(*names, *n);
        *names = NULL;
        *n = 0;
    }
    return s;
}

enum status split_check_name(const char *name, struct error *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    size_t n = strspn(name, letters);
    if (name[n] || n == 0 || n > 64 || name[0] == '.')
        return error_set(err, E_ARG,
            "the name '%.80s' of a split must be 1 to 64 letters, digits, dots, dashes "
            "or "
            "underscores, and not begin with a dot; it is also the name of a file",
            name);
    return OK;
}

/* ---- freezing ---- */

static enum status add_identities(struct store *store, struct json *list,
    const struct dataset *data, const int64_t *ids, size_t n, struct error *err)
{
    struct query *q;
    enum status s =
        query_open(store, "SELECT identity FROM session WHERE session_id = ?", &q, err);
    for (size_t i = 0; i < n && !s; i++) {
        const struct session *session = dataset_session(data, ids[i]);
        query_bind(q, "i", session ? session->session_id : 0);
        s = query_next(q, err);
        if (!s && !query_has_row(q))
            s = error_set(err, E_NOT_FOUND, "the store %s has no session %lld",
                store_path(store), (long long)ids[i]);
        else if (!s && !json_add_text(list, query_text(q, 0)))
            s = error_nomem(err, HASH_HEX);
    }
    query_close(q);
    return s;
}

static enum status split_digest(struct store *store, const struct dataset *data,
    const struct split *split, char out[HASH_HEX], struct error *err)
{
    struct json *j = json_new_object();
    struct json *train = json_set_array(j, "train"), *test = json_set_array(j, "test");
    enum status s = train && test ? OK : error_nomem(err, 64);
    if (!s)
        s = add_identities(store, train, data, split->train, split->n_train, err);
    if (!s)
        s = add_identities(store, test, data, split->test, split->n_test, err);
    if (!s)
        s = identity_of("m4a1-split-1", j, out, err);
    json_free(j);
    return s;
}

static enum status add_part(struct store *store, int64_t split_id, const char *part,
    const struct dataset *data, const int64_t *ids, size_t n, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; i < n && !s; i++)
        s = store_run(store, err,
            "INSERT INTO split_session (split_id, session_id, part, position)"
            " VALUES (?, ?, ?, ?)",
            "iiti", split_id, dataset_session(data, ids[i])->session_id, part,
            (int64_t)i);
    return s;
}

static enum status freeze(struct store *store, const char *name,
    const struct dataset *data, const struct split *split, struct split_info *info,
    struct error *err)
{
    int64_t taken;
    enum status s = store_int(
        store, 0, &taken, err, "SELECT count(*) FROM split WHERE name = ?", "t", name);
    if (!s && taken)
        s = error_set(err, E_ARG,
            "store %s has a split '%s' already, and a frozen split is never changed; "
            "give "
            "the new one another name",
            store_path(store), name);
    if (!s)
        s = split_digest(store, data, split, info->sha256, err);
    if (!s)
        s = store_run(store, err,
            "INSERT INTO split (name, created_ms, seed, rule, sha256)"
            " VALUES (?, ?, ?, ?, ?)",
            "tiitt", name, clock_wall_ms(), info->seed, info->rule, info->sha256);
    if (s)
        return s;
    int64_t split_id = store_last_id(store);
    s = add_part(store, split_id, "train", data, split->train, split->n_train, err);
    if (!s)
        s = add_part(store, split_id, "test", data, split->test, split->n_test, err);
    return s;
}

enum status split_freeze(struct store *store, const char *name,
    const struct dataset *data, const struct split *split, struct split_info *info,
    struct error *err)
{
    enum status s = split_check_name(name, err);
    if (s || (s = store_begin(store, err)))
        return s;
    s = freeze(store, name, data, split, info, err);
    if (!s)
        s = store_commit(store, err);
    if (s)
        store_rollback(store);
    return s;
}

/* ---- reading ---- */

static enum status no_such_split(struct store *store, const char *name, struct error *err)
{
    char **names, list[512] = "";
    size_t n, at = 0;
    enum status s = split_names(store, &names, &n, err);
    if (s)
        return s;
    for (size_t i = 0; i < n && at < sizeof list - 1; i++) {
        int len = snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", names[i]);
        at += len > 0 ? (size_t)len : 0;
    }
    folder_list_free(names, n);
    return error_set(err, E_NOT_FOUND, "store %s has no split '%s'%s%s; %s",
        store_path(store), name, n ? ", but " : "", list,
        n ? "name one of those" : "m4a1 split freezes one");
}

static enum status load_info(struct store *store, const char *name, int64_t *split_id,
    struct split_info *info, struct error *err)
{
    struct query *q;
    *split_id = 0;
    enum status s = query_open(
        store, "SELECT split_id, rule, seed, sha256 FROM split WHERE name = ?", &q, err);
    if (s)
        return s;
    query_bind(q, "t", name);
    s = query_next(q, err);
    if (!s && query_has_row(q)) {
        *split_id = query_int(q, 0);
        info->rule = text_copy(query_text(q, 1));
        info->seed = query_int(q, 2);
        snprintf(info->sha256, sizeof info->sha256, "%s", query_text(q, 3));
        if (!info->rule)
            s = error_nomem(err, 64);
    }
    query_close(q);
    if (!s && !*split_id)
        s = no_such_split(store, name, err);
    return s;
}

static enum status load_parts(struct store *store, int64_t split_id,
    const struct session_numbers *numbers, struct split *out, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT session_id, part = 'train' FROM split_session WHERE split_id = ?"
        " ORDER BY position, part",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", split_id);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        const int64_t *id = session_number(numbers, query_int(q, 0));
        if (!id)
            continue; // a session that came behind the snapshot is in no data set of it
        if (query_int(q, 1))
            out->train[out->n_train++] = *id;
        else
            out->test[out->n_test++] = *id;
    }
    query_close(q);
    return s;
}

enum status split_load(struct store *store, const char *name,
    const struct session_numbers *numbers, struct split *out, struct split_info *info,
    struct error *err)
{
    int64_t split_id;
    *out = (struct split) { 0 };
    *info = (struct split_info) { 0 };
    enum status s = load_info(store, name, &split_id, info, err);
    if (!s) {
        out->train = calloc(numbers->n + 1, sizeof *out->train);
        out->test = calloc(numbers->n + 1, sizeof *out->test);
        s = out->train && out->test ? load_parts(store, split_id, numbers, out, err)
                                    : error_nomem(err, numbers->n * sizeof *out->train);
    }
    if (s) {
        split_release(out);
        split_info_release(info);
    }
    return s;
}

enum status split_of_store(
    const char *store_path, const char *name, struct split *out, struct error *err)
{
    struct store *store;
    struct session_numbers numbers = { 0 };
    struct split_info info = { 0 };
    *out = (struct split) { 0 };
    enum status s = store_open(store_path, STORE_READ, &store, err);
    if (!s)
        s = session_numbers_read(store, &numbers, err);
    if (!s)
        s = split_load(store, name, &numbers, out, &info, err);
    split_info_release(&info);
    session_numbers_release(&numbers);
    store_close(store);
    return s;
}
