/* association_rows.h - associations that were computed elsewhere, from CSV or JSON lines.
 *
 * CSV begins with a line of names: session, turn, view, model, value in any order, fields
 * quoted as in RFC 4180 where they hold a comma.  JSON lines are objects with the same
 * members.  An empty or null value says that there is none.  Knows nothing of stores. */
#ifndef EXPORT_ASSOCIATION_ROWS_H
#define EXPORT_ASSOCIATION_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define ASSOCIATION_TEXT_MAX 256 /* bytes of a name, the closing NUL included */

struct association_row {
    size_t line;                        /* from 1 */
    char session[ASSOCIATION_TEXT_MAX]; /* an id of the data set, or an identity */
    int64_t turn;                       /* from 0 */
    char view[ASSOCIATION_TEXT_MAX];    /* a name, or a position from 0 */
    char model[ASSOCIATION_TEXT_MAX];
    double value; /* in -1 to 1; NAN = none */
};

struct association_reader;

/* The whole file is read; E_DATA for a first line that is neither. */
MUST_CHECK enum status association_reader_open(
    const char *path, struct association_reader **out, struct error *err);

/* The next row; *has_row is 0 at the end.  E_DATA names file, line and field. */
MUST_CHECK enum status association_reader_next(struct association_reader *r,
    struct association_row *row, int *has_row, struct error *err);

void association_reader_close(struct association_reader *r); /* NULL is fine */

#endif
