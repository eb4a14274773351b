/* rows.h - a list of JSON objects as a table for people. */
#ifndef M4A1_CLI_ROWS_H
#define M4A1_CLI_ROWS_H

#include <stddef.h>
#include "m4a1/base/json.h"

#define ROWS_MAX_COLUMNS 20
#define ROWS_CELL 64 /* bytes of a cell; longer text is cut */

struct rows_head {
    const char *title, *key;
    /* t text, i count, g number, d difference, s seconds, u USD, x score, p per cent */
    char type;
};

/* One value as text. */
void rows_format(const struct json *j, char type, char *buf, size_t size);

/* Columns as heads[n <= ROWS_MAX_COLUMNS] say; nothing for an empty list. */
void rows_print(
    const char *title, const struct json *list, const struct rows_head *heads, size_t n);

/* A row of cells[ROWS_MAX_COLUMNS] for a table of any number of columns. */
struct table;
void rows_add(struct table *t, char (*cells)[ROWS_CELL]);

#endif
