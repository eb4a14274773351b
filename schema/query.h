/* query.h - prepared statements over the store, with the store's errors.
 *
 * Statements are prepared once a handle and kept; query_close() gives one back.
 *
 *     struct query *q;
 *     if ((s = query_open(store, "SELECT name FROM llm WHERE role = ?", &q, err)))
 *         return s;
 *     query_bind(q, "t", "local");
 *     while ((s = query_next(q, err)) == OK && query_has_row(q))
 *         use(query_text(q, 0));
 *     query_close(q);
 *
 * Types of values, one letter each: i int64_t, d double, t const char * (NULL = SQL
 * NULL), b const void * and size_t (NULL = SQL NULL), n nothing (SQL NULL), and for
 * values that may be missing I const int64_t * and D const double * (NULL = SQL NULL).
 * Bound text and bytes must live until query_close() or the next query_bind(). */
#ifndef SCHEMA_QUERY_H
#define SCHEMA_QUERY_H

#include <stddef.h>
#include <stdint.h>
#include "schema/store.h"

struct query;

MUST_CHECK enum status query_open(
    struct store *store, const char *sql, struct query **out, struct error *err);
void query_close(struct query *q); /* NULL is fine */

/* Start over with new values; a failure is kept and comes out of query_next(). */
void query_bind(struct query *q, const char *types, ...);

/* The next row, or none: then query_has_row() is false. */
MUST_CHECK enum status query_next(struct query *q, struct error *err);
int query_has_row(const struct query *q);

int query_is_null(const struct query *q, int column);
int64_t query_int(const struct query *q, int column);   /* 0 for NULL */
double query_double(const struct query *q, int column); /* 0 for NULL */
/* Text and bytes are valid until the next query_next() or query_close(). */
const char *query_text(const struct query *q, int column); /* NULL for NULL */
const void *query_bytes(const struct query *q, int column, size_t *len);

/* One statement without rows: bind, run, close. */
MUST_CHECK enum status store_run(
    struct store *store, struct error *err, const char *sql, const char *types, ...);

/* One statement with one integer; otherwise is given for no row or NULL. */
MUST_CHECK enum status store_int(struct store *store, int64_t otherwise, int64_t *out,
    struct error *err, const char *sql, const char *types, ...);

int64_t store_last_id(struct store *store);   /* of the last INSERT */
int64_t store_n_changed(struct store *store); /* rows the last statement touched */

/* True where the last E_STORE came from a constraint (so: the row was there already). */
int store_was_conflict(struct store *store);

#endif
