/* query.c - prepared statements, kept for the life of a store handle. */
#include "schema/query.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "schema/store_private.h"

struct query {
    struct query *next;
    struct store *store;
    sqlite3_stmt *stmt;
    char *sql;
    int in_use, has_row;
    int failed; /* the first result code that was not OK since the last bind */
};

static struct query *find_idle(struct store *store, const char *sql)
{
    for (struct query *q = store->queries; q; q = q->next) {
        if (!q->in_use && strcmp(q->sql, sql) == 0)
            return q;
    }
    return NULL;
}

enum status query_open(
    struct store *store, const char *sql, struct query **out, struct error *err)
{
    *out = NULL;
    struct query *q = find_idle(store, sql);
    if (!q) {
        q = calloc(1, sizeof *q);
        if (!q || !(q->sql = text_copy(sql))) {
            free(q);
            return error_nomem(err, sizeof *q + strlen(sql));
        }
        int code = sqlite3_prepare_v3(
            store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
        if (code != SQLITE_OK) {
            free(q->sql);
            free(q);
            return store_error(store, code, err);
        }
        q->store = store;
        q->next = store->queries;
        store->queries = q;
    }
    q->in_use = 1;
    q->has_row = 0;
    q->failed = SQLITE_OK;
    *out = q;
    return OK;
}

void query_close(struct query *q)
{
    if (!q)
        return;
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
    q->in_use = q->has_row = 0;
}

void query_free_all(struct store *store)
{
    while (store->queries) {
        struct query *q = store->queries;
        store->queries = q->next;
        sqlite3_finalize(q->stmt);
        free(q->sql);
        free(q);
    }
}

static int bind_value(sqlite3_stmt *stmt, int i, char type, va_list *args)
{
    switch (type) {
    case 'i': return sqlite3_bind_int64(stmt, i, va_arg(*args, int64_t));
    case 'd': return sqlite3_bind_double(stmt, i, va_arg(*args, double));
    case 't':
        return sqlite3_bind_text(stmt, i, va_arg(*args, const char *), -1, SQLITE_STATIC);
    case 'b': {
        const void *data = va_arg(*args, const void *);
        size_t len = va_arg(*args, size_t);
        return sqlite3_bind_blob64(stmt, i, data, len, SQLITE_STATIC);
    }
    case 'I': {
        const int64_t *x = va_arg(*args, const int64_t *);
        return x ? sqlite3_bind_int64(stmt, i, *x) : sqlite3_bind_null(stmt, i);
    }
    case 'D': {
        const double *x = va_arg(*args, const double *);
        return x ? sqlite3_bind_double(stmt, i, *x) : sqlite3_bind_null(stmt, i);
    }
    case 'n': return sqlite3_bind_null(stmt, i);
    default: return SQLITE_MISUSE;
    }
}

static void bind_all(struct query *q, const char *types, va_list *args)
{
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): query_open was OK, so q is set
    sqlite3_reset(q->stmt);
    q->has_row = 0;
    q->failed = SQLITE_OK;
    for (int i = 0; types[i] && q->failed == SQLITE_OK; i++)
        q->failed = bind_value(q->stmt, i + 1, types[i], args);
}

void query_bind(struct query *q, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    bind_all(q, types, &args);
    va_end(args);
}

enum status query_next(struct query *q, struct error *err)
{
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): query_open was OK, so q is set
    q->has_row = 0;
    q->store->was_conflict = 0;
    int code = q->failed == SQLITE_OK ? sqlite3_step(q->stmt) : q->failed;
    if (code == SQLITE_ROW)
        q->has_row = 1;
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return OK;
    enum status s = store_error(q->store, code, err);
    sqlite3_reset(q->stmt);
    return s;
}

int query_has_row(const struct query *q)
{
    return q->has_row;
}

int query_is_null(const struct query *q, int column)
{
    return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

int64_t query_int(const struct query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

double query_double(const struct query *q, int column)
{
    return sqlite3_column_double(q->stmt, column);
}

const char *query_text(const struct query *q, int column)
{
    return (const char *)sqlite3_column_text(q->stmt, column);
}

const void *query_bytes(const struct query *q, int column, size_t *len)
{
    const void *data = sqlite3_column_blob(q->stmt, column);
    *len = (size_t)sqlite3_column_bytes(q->stmt, column);
    return data;
}

static enum status run(struct store *store, struct query **q, struct error *err,
    const char *sql, const char *types, va_list *args)
{
    enum status s = query_open(store, sql, q, err);
    if (s)
        return s;
    bind_all(*q, types, args);
    return query_next(*q, err);
}

enum status store_run(
    struct store *store, struct error *err, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    struct query *q;
    enum status s = run(store, &q, err, sql, types, &args);
    va_end(args);
    query_close(q);
    return s;
}

enum status store_int(struct store *store, int64_t otherwise, int64_t *out,
    struct error *err, const char *sql, const char *types, ...)
{
    *out = otherwise;
    va_list args;
    va_start(args, types);
    struct query *q;
    enum status s = run(store, &q, err, sql, types, &args);
    va_end(args);
    if (!s && q->has_row && !query_is_null(q, 0))
        *out = query_int(q, 0);
    query_close(q);
    return s;
}

int64_t store_last_id(struct store *store)
{
    return sqlite3_last_insert_rowid(store->db);
}

int64_t store_n_changed(struct store *store)
{
    return sqlite3_changes64(store->db);
}

int store_was_conflict(struct store *store)
{
    return store->was_conflict;
}
