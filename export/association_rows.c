/* association_rows.c - see association_rows.h. */
#include "export/association_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

#define FILE_MAX ((size_t)1 << 30)
#define MAX_COLUMNS 32

enum { F_SESSION, F_TURN, F_VIEW, F_MODEL, F_VALUE, N_FIELDS };
static const char *const fields[N_FIELDS] = { "session", "turn", "view", "model",
    "value" };

struct association_reader {
    char *path;
    struct buffer text;
    size_t at, line;
    int is_json;
    int columns[MAX_COLUMNS]; /* CSV: the field of each */
    size_t n_columns;
};

/* The next line that is not empty, without its end; NULL behind the last. */
static char *next_line(struct association_reader *r)
{
    while (r->at < r->text.len) {
        char *line = r->text.data + r->at;
        char *end = memchr(line, '\n', r->text.len - r->at);
        size_t len = end ? (size_t)(end - line) : r->text.len - r->at;
        r->at += len + (end != NULL);
        r->line++;
        while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
            len--;
        line[len] = '\0';
        if (len)
            return line;
    }
    return NULL;
}

static enum status broken(
    const struct association_reader *r, const char *what, struct error *err)
{
    return error_set(err, E_DATA, "%s:%zu: %s", r->path, r->line, what);
}

/* One field from *at, unquoted in place; *at moves behind its comma, or to NULL. */
static enum status csv_field(
    const struct association_reader *r, char **at, char **out, struct error *err)
{
    char *from = *at, *to = *at;
    *out = to;
    if (*from == '"') {
        for (from++; *from && (*from != '"' || from[1] == '"'); *to++ = *from++)
            from += *from == '"';
        if (*from++ != '"' || (*from && *from != ','))
            return broken(r, "a quoted field does not end before a comma", err);
    } else {
        while (*from && *from != ',')
            *to++ = *from++;
    }
    *at = *from ? from + 1 : NULL;
    *to = '\0';
    return OK;
}

static enum status csv_head(struct association_reader *r, char *line, struct error *err)
{
    unsigned seen = 0;
    enum status s = OK;
    for (char *at = line, *name; at && !s;) {
        int f = 0;
        if ((s = csv_field(r, &at, &name, err)))
            break;
        while (f < N_FIELDS && strcmp(fields[f], name) != 0)
            f++;
        if (f == N_FIELDS || seen >> f & 1 || r->n_columns == MAX_COLUMNS)
            return error_set(err, E_DATA,
                "%s:%zu: column '%s': the first line names session, turn, view, model "
                "and "
                "value, each once",
                r->path, r->line, name);
        seen |= 1U << f;
        r->columns[r->n_columns++] = f;
    }
    for (int f = 0; f < N_FIELDS && !s; f++)
        if (!(seen >> f & 1))
            s = error_set(err, E_DATA,
                "%s:%zu: there is no column '%s': the first line names session, turn, "
                "view, model and value",
                r->path, r->line, fields[f]);
    return s;
}

enum status association_reader_open(
    const char *path, struct association_reader **out, struct error *err)
{
    *out = NULL;
    struct association_reader *r = calloc(1, sizeof *r);
    if (!r)
        return error_nomem(err, sizeof *r);
    buffer_init(&r->text, FILE_MAX);
    r->path = text_copy(path);
    enum status s =
        r->path ? file_read(path, &r->text, err) : error_nomem(err, strlen(path));
    size_t bad = s ? 0 : text_utf8_valid(buffer_str(&r->text), r->text.len);
    if (!s && bad < r->text.len)
        s = error_set(err, E_DATA, "%s: byte %zu is not UTF-8", path, bad + 1);
    if (!s && r->text.len && strlen(r->text.data) < r->text.len)
        s = error_set(err, E_DATA, "%s: it holds a NUL byte", path);
    if (!s && text_starts(buffer_str(&r->text), "\xef\xbb\xbf"))
        r->at = 3;
    size_t start = r->at + strspn(buffer_str(&r->text) + r->at, " \t\r\n");
    r->is_json = !s && start < r->text.len && r->text.data[start] == '{';
    char *head = s || r->is_json ? NULL : next_line(r);
    if (!s && !r->is_json)
        s = head ? csv_head(r, head, err)
                 : error_set(err, E_DATA, "%s: the file is empty", path);
    if (s)
        association_reader_close(r);
    else
        *out = r;
    return s;
}

static enum status take_text(const struct association_reader *r, int field,
    const char *text, char out[ASSOCIATION_TEXT_MAX], struct error *err)
{
    if (!text || !*text || strlen(text) >= ASSOCIATION_TEXT_MAX)
        return error_set(err, E_DATA, "%s:%zu: %s: expected 1 to %d bytes of text",
            r->path, r->line, fields[field], ASSOCIATION_TEXT_MAX - 1);
    snprintf(out, ASSOCIATION_TEXT_MAX, "%s", text);
    return OK;
}

static enum status csv_value(const struct association_reader *r, int field,
    const char *text, struct association_row *row, struct error *err)
{
    struct error why = ERROR_INIT;
    enum status s = OK;
    switch (field) {
    case F_SESSION: return take_text(r, field, text, row->session, err);
    case F_VIEW: return take_text(r, field, text, row->view, err);
    case F_MODEL: return take_text(r, field, text, row->model, err);
    case F_TURN:
        s = text_to_int(text, fields[field], 0, INT32_MAX, &row->turn, &why);
        break;
    default:
        row->value = NAN;
        if (*text)
            s = text_to_double(text, fields[field], -1, 1, &row->value, &why);
    }
    return s ? broken(r, why.msg, err) : OK;
}

static enum status read_csv(const struct association_reader *r, char *line,
    struct association_row *row, struct error *err)
{
    size_t n = 0;
    enum status s = OK;
    for (char *at = line, *text; at && !s; n++) {
        s = csv_field(r, &at, &text, err);
        if (!s && n == r->n_columns)
            return broken(r, "there are more fields than the first line names", err);
        if (!s)
            s = csv_value(r, r->columns[n], text, row, err);
    }
    if (!s && n < r->n_columns)
        s = broken(r, "there are fewer fields than the first line names", err);
    return s;
}

/* A name, or the digits of a whole number. */
static enum status json_name(const struct association_reader *r, int field,
    const struct json *j, char out[ASSOCIATION_TEXT_MAX], struct error *err)
{
    char digits[32];
    if (!json_is_int(j))
        return take_text(r, field, json_text(j, NULL), out, err);
    snprintf(digits, sizeof digits, "%lld", (long long)json_int(j, 0));
    return take_text(r, field, digits, out, err);
}

static enum status read_json(const struct association_reader *r, const char *line,
    struct association_row *row, struct error *err)
{
    struct json *j;
    char where[64];
    snprintf(where, sizeof where, "line %zu", r->line);
    enum status s = json_parse(line, strlen(line), where, JSON_UNIQUE_KEYS, &j, err);
    if (s)
        return error_prefix(err, "%s: ", r->path);
    const struct json *turn = json_get(j, "turn"), *value = json_get(j, "value");
    for (const struct json *c = json_first(j); c && !s; c = json_next(c)) {
        int f = 0;
        while (f < N_FIELDS && json_key(c) && strcmp(fields[f], json_key(c)) != 0)
            f++;
        if (f == N_FIELDS || !json_is_object(j))
            s = broken(r,
                "expected an object of session, turn, view, model and value, and nothing "
                "else",
                err);
    }
    if (!s)
        s = json_name(r, F_SESSION, json_get(j, "session"), row->session, err);
    if (!s)
        s = json_name(r, F_VIEW, json_get(j, "view"), row->view, err);
    if (!s)
        s = take_text(r, F_MODEL, json_text(json_get(j, "model"), NULL), row->model, err);
    row->turn = json_int(turn, -1);
    row->value = json_number(value, NAN);
    if (!s && (!json_is_int(turn) || row->turn < 0 || row->turn > INT32_MAX))
        s = broken(r, "turn: expected a whole number from 0", err);
    if (!s && !json_is_null(value) && !(row->value >= -1 && row->value <= 1))
        s = broken(r, "value: expected a cosine in -1 to 1, or null for none", err);
    json_free(j);
    return s;
}

enum status association_reader_next(struct association_reader *r,
    struct association_row *row, int *has_row, struct error *err)
{
    *row = (struct association_row) { 0 };
    char *line = next_line(r);
    *has_row = line != NULL;
    row->line = r->line;
    if (!line)
        return OK;
    return r->is_json ? read_json(r, line, row, err) : read_csv(r, line, row, err);
}

void association_reader_close(struct association_reader *r)
{
    if (!r)
        return;
    buffer_release(&r->text);
    free(r->path);
    free(r);
}
