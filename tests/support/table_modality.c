/* table_modality.c - a table (CSV) as a kind of view.
 *
 * The example of docs/adding-a-modality.md, which quotes it line by line.  A file
 *
 *     second,speed,door
 *     0,3.5,shut
 *
 * is stored as it is, as text/csv, and said as
 *
 *     View log, a table with 1 row:
 *     second 0, speed 3.5, door shut */
#include "tests/support/table_modality.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

#define TABLE_MAX (1u << 16) /* bytes of one table, as a file and as it is said */

/* ---- from a file to a frame ----------------------------------------------------- */

static size_t n_fields(const char *line, size_t len)
{
    size_t n = 1;
    for (size_t i = 0; i < len; i++)
        n += line[i] == ',';
    return n;
}

enum status table_read(
    const char *bytes, size_t len, struct buffer *out, struct error *err)
{
    const char *end = bytes + len;
    size_t wanted = 0, n_lines = 0;
    if (len > TABLE_MAX)
        return error_set(
            err, E_DATA, "the table has %zu bytes, more than %u", len, TABLE_MAX);
    for (const char *line = bytes; line < end; n_lines++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((stop ? stop : end) - line);
        size_t fields = n_fields(line, n);
        if (n_lines && fields != wanted)
            return error_set(err, E_DATA, "line %zu has %zu fields, the first has %zu",
                n_lines + 1, fields, wanted);
        wanted = fields;
        buffer_add(out, line, n);
        buffer_add_char(out, '\n');
        line += n + 1;
    }
    if (n_lines < 2)
        return error_set(err, E_DATA, "the table has no row below its names");
    return buffer_status(out, "a table", err);
}

/* ---- from a frame to a message --------------------------------------------------- */

/* Adds the row's fields, each behind its column's name. */
static void add_row(const char *names, const char *row, struct buffer *out)
{
    const char *before = "";
    while (*row && *row != '\n') {
        size_t n_name = strcspn(names, ",\n"), n = strcspn(row, ",\n");
        buffer_printf(out, "%s%.*s %.*s", before, (int)n_name, names, (int)n, row);
        names += n_name + (names[n_name] == ',');
        row += n + (row[n] == ',');
        before = ", ";
    }
}

static enum status say_table(
    const struct modality_view *view, struct dialogue_message *m, struct error *err)
{
    const char *names = view->frames[0].text, *row = strchr(names, '\n');
    size_t n_rows = 0;
    struct buffer rows;
    buffer_init(&rows, 8 * TABLE_MAX);
    while (row && row[1]) {
        buffer_add_str(&rows, n_rows++ ? "\n" : "");
        add_row(names, row + 1, &rows);
        row = strchr(row + 1, '\n');
    }
    enum status s = buffer_status(&rows, "a table in a message", err);
    if (s == OK)
        s = dialogue_say(m,
            text_format("View %s, a table with %zu row%s:", view->name, n_rows,
                n_rows == 1 ? "" : "s"),
            err);
    if (s == OK)
        s = dialogue_say(m, text_copy(buffer_str(&rows)), err);
    buffer_release(&rows);
    return s;
}

/* ---- the row --------------------------------------------------------------------- */

const struct modality modality_table = {
    .media_type = "text/csv",
    .what = "a table",
    .is_text = 1,
    .say = say_table,
};
