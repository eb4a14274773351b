/* rows.c - see rows.h. */
#include "m4a1/cli/rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"

void rows_format(const struct json *j, char type, char *buf, size_t size)
{
    double x = json_number(j, NAN);
    if (type == 't')
        snprintf(buf, size, "%s", json_text(j, ""));
    else if (isnan(x))
        snprintf(buf, size, "-");
    else if (type == 'i')
        snprintf(buf, size, "%.0f", x);
    else if (type == 'g')
        snprintf(buf, size, "%.4g", x);
    else if (type == 'd')
        snprintf(buf, size, "%+.4g", x);
    else if (type == 's')
        snprintf(buf, size, "%.2f", x);
    else if (type == 'u')
        snprintf(buf, size, x < 0.001 ? "%.6f" : "%.5f", x);
    else if (type == 'p')
        snprintf(buf, size, "%.1f %%", 100 * x);
    else
        snprintf(buf, size, "%.3f", x);
    buf[text_utf8_valid(buf, strlen(buf))] = '\0';
}

/* table_row() takes as many cells as the table has columns, and no more than these. */
void rows_add(struct table *t, char (*c)[ROWS_CELL])
{
    table_row(t, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10], c[11],
        c[12], c[13], c[14], c[15], c[16], c[17], c[18], c[19]);
}

void rows_print(
    const char *title, const struct json *list, const struct rows_head *heads, size_t n)
{
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "" };
    if (!json_size(list))
        return;
    struct table *t = table_new(n);
    for (size_t i = 0; i < n; i++)
        snprintf(cells[i], sizeof cells[i], "%s", heads[i].title);
    rows_add(t, cells);
    for (const struct json *row = json_first(list); row; row = json_next(row)) {
        for (size_t i = 0; i < n; i++)
            rows_format(
                json_get(row, heads[i].key), heads[i].type, cells[i], sizeof cells[i]);
        rows_add(t, cells);
    }
    printf("\n%s\n", title);
    table_print(t);
    table_free(t);
}
