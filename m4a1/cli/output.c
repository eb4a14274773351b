/* output.c - results: JSON documents, printed or written, and tables for people. */
#include "m4a1/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"

#define OUTPUT_MAX ((size_t)1 << 30)

enum status cli_print_json(const struct json *j, struct error *err)
{
    struct buffer out;
    buffer_init(&out, OUTPUT_MAX);
    enum status s = json_print(j, JSON_PRETTY, &out, err);
    if (!s)
        puts(buffer_str(&out));
    buffer_release(&out);
    return s;
}

enum status cli_write_json(const struct json *j, enum json_style style, size_t max,
    const char *path, struct error *err)
{
    struct buffer text;
    buffer_init(&text, max);
    enum status s = json_print(j, style, &text, err);
    buffer_add_char(&text, '\n');
    if (!s)
        s = buffer_status(&text, path, err);
    if (!s)
        s = file_write(path, text.data, text.len, err);
    buffer_release(&text);
    return s;
}

struct table {
    size_t n_columns, n_cells, size;
    char **cells; /* [n_cells], row by row; the first row holds the heads */
};

struct table *table_new(size_t n_columns)
{
    struct table *t = calloc(1, sizeof *t);
    if (t)
        t->n_columns = n_columns;
    return t;
}

void table_row(struct table *t, ...)
{
    if (!t)
        return;
    if (t->n_cells + t->n_columns > t->size) {
        size_t size = 2 * t->size + 16 * t->n_columns;
        char **cells = realloc(t->cells, size * sizeof *cells);
        if (!cells)
            return;
        t->cells = cells;
        t->size = size;
    }
    va_list args;
    va_start(args, t);
    for (size_t i = 0; i < t->n_columns; i++)
        t->cells[t->n_cells++] = text_copy(va_arg(args, const char *));
    va_end(args);
}

static const char *cell(const struct table *t, size_t row, size_t column)
{
    const char *s = t->cells[row * t->n_columns + column];
    return s ? s : "";
}

/* Columns on a terminal: code points, not bytes. */
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* A column of figures: every cell below the head begins like a number, or is a dash. */
static int is_numeric(const struct table *t, size_t column)
{
    for (size_t row = 1; row < t->n_cells / t->n_columns; row++) {
        const char *s = cell(t, row, column);
        if (*s && !strchr("$+-.0123456789", *s) && !text_starts(s, "±"))
            return 0;
    }
    return 1;
}

void table_print(const struct table *t)
{
    size_t n_rows = t ? t->n_cells / t->n_columns : 0;
    for (size_t row = 0; row < n_rows; row++) {
        size_t blanks =
            0; /* written before the next cell, so that no line ends in them */
        for (size_t column = 0; column < t->n_columns; column++) {
            size_t width = 0;
            for (size_t r = 0; r < n_rows; r++) {
                size_t w = width_of(cell(t, r, column));
                width = w > width ? w : width;
            }
            const char *s = cell(t, row, column);
            size_t pad = width - width_of(s);
            int right = is_numeric(t, column);
            printf("%*s%s", (int)(blanks + (right ? pad : 0)), "", s);
            blanks = 2 + (right ? 0 : pad);
        }
        putchar('\n');
    }
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}
