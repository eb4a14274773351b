/* json_text.c - the text of JSON: comments, places, printing.
 *
 * Printing is ours because cJSON 1.7.15 prints some doubles short of their value and
 * cannot sort members; everything else about JSON is cJSON's. */
#include "m4a1/base/json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

/* Behind the string that begins at text[i]. */
static size_t skip_string(const char *text, size_t len, size_t i)
{
    for (i++; i < len && text[i] != '"'; i++)
        i += text[i] == '\\';
    return i < len ? i + 1 : len;
}

void json_blank_comments(char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if (text[i] == '"') {
            i = skip_string(text, len, i);
        } else if (text[i] == '/' && i + 1 < len && text[i + 1] == '/') {
            while (i < len && text[i] != '\n')
                text[i++] = ' ';
        } else if (text[i] == '/' && i + 1 < len && text[i + 1] == '*') {
            size_t end = i + 2;
            while (
                end < len && !(text[end - 1] == '*' && text[end] == '/' && end > i + 2))
                end++;
            if (end >= len)
                return; /* never closed: the parser reports it */
            for (; i <= end; i++)
                text[i] = text[i] == '\n' ? '\n' : ' ';
        } else {
            i++;
        }
    }
}

/* --- the line of a path, in text that is known to be JSON --- */

static size_t skip_space(const char *text, size_t len, size_t i)
{
    while (i < len && strchr(" \t\r\n,:", text[i]))
        i++;
    return i;
}

static size_t skip_value(const char *text, size_t len, size_t i)
{
    size_t depth = 0;
    do {
        i = skip_space(text, len, i);
        if (i >= len)
            return len;
        if (text[i] == '"') {
            i = skip_string(text, len, i);
        } else if (text[i] == '{' || text[i] == '[') {
            depth++;
            i++;
        } else if (text[i] == '}' || text[i] == ']') {
            depth--;
            i++;
        } else {
            i += strcspn(text + i, ",:]} \t\r\n");
        }
    } while (depth > 0);
    return i;
}

/* The member of the object at i whose key begins path (the longest such key, since keys
 * may hold dots); its value's place, and what is left of the path.  0 where there is none. */
static size_t find_member(const char *text, size_t len, size_t i, const char **path)
{
    size_t found = 0, longest = 0;
    i = skip_space(text, len, i + 1);
    while (i < len && text[i] == '"') {
        size_t key = i + 1, end = skip_string(text, len, i);
        size_t key_len = end - 1 - key;
        i = skip_space(text, len, end);
        if (strncmp(*path, text + key, key_len) == 0 && strchr(".[", (*path)[key_len]) &&
            (!found || key_len > longest)) {
            found = i;
            longest = key_len;
        }
        i = skip_space(text, len, skip_value(text, len, i));
    }
    *path += longest;
    return found;
}

static size_t find_element(const char *text, size_t len, size_t i, const char **path)
{
    char *end;
    unsigned long index = strtoul(*path + 1, &end, 10);
    i = skip_space(text, len, i + 1);
    for (; index > 0 && i < len && text[i] != ']'; index--)
        i = skip_space(text, len, skip_value(text, len, i));
    if (*end != ']' || i >= len || text[i] == ']')
        return 0;
    *path = end + 1;
    return i;
}

int json_line(const char *text, size_t len, unsigned flags, const char *path)
{
    char *copy = text_copy_n(text, len);
    if (!copy)
        return 1;
    if (flags & JSON_COMMENTS)
        json_blank_comments(copy, len);
    size_t at = skip_space(copy, len, 0);
    while (*path && at < len) {
        const char *rest = *path == '.' ? path + 1 : path;
        size_t next = 0;
        if (copy[at] == '{')
            next = find_member(copy, len, at, &rest);
        else if (copy[at] == '[' && *rest == '[')
            next = find_element(copy, len, at, &rest);
        if (!next)
            break;
        at = next;
        path = rest;
    }
    int line = 1;
    for (size_t i = 0; i < at && i < len; i++)
        line += copy[i] == '\n';
    free(copy);
    return line;
}

/* --- printing --- */

static void print_string(const char *s, struct buffer *out)
{
    buffer_add_char(out, '"');
    while (*s) {
        size_t plain = 0;
        while ((unsigned char)s[plain] >= 0x20 && s[plain] != '"' && s[plain] != '\\')
            plain++;
        buffer_add(out, s, plain);
        s += plain;
        if (!*s)
            break;
        const char *short_form = strchr("\"\"\\\\\bb\ff\nn\rr\tt", *s);
        if (short_form) {
            buffer_add_char(out, '\\');
            buffer_add_char(out, short_form[1]);
        } else {
            buffer_printf(out, "\\u%04x", (unsigned)(unsigned char)*s);
        }
        s++;
    }
    buffer_add_char(out, '"');
}

struct printer {
    enum json_style style;
    struct buffer *out;
    struct error *err;
};

static enum status print_value(struct printer *p, const struct json *j, int depth);

static void print_break(struct printer *p, int depth)
{
    if (p->style == JSON_PRETTY)
        buffer_printf(p->out, "\n%*s", 2 * depth, "");
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(json_key(*(const struct json *const *)a),
        json_key(*(const struct json *const *)b));
}

static enum status print_children(struct printer *p, const struct json *j, int depth)
{
    size_t n = json_size(j), i = 0;
    const struct json **children = calloc(n, sizeof(void *));
    if (!children)
        return error_nomem(p->err, n * sizeof(void *));
    for (const struct json *c = json_first(j); c; c = json_next(c))
        children[i++] = c;
    if (p->style == JSON_CANONICAL && json_is_object(j))
        qsort(children, n, sizeof(void *), compare_keys);
    enum status s = OK;
    for (i = 0; i < n && !s; i++) {
        if (i)
            buffer_add_char(p->out, ',');
        print_break(p, depth + 1);
        if (json_is_object(j)) {
            print_string(json_key(children[i]), p->out);
            buffer_add_str(p->out, p->style == JSON_PRETTY ? ": " : ":");
        }
        s = print_value(p, children[i], depth + 1);
    }
    free(children);
    print_break(p, depth);
    return s;
}

static enum status print_value(struct printer *p, const struct json *j, int depth)
{
    enum status s = OK;
    if (json_is_string(j)) {
        print_string(json_text(j, ""), p->out);
    } else if (json_is_number(j)) {
        char buf[32];
        double x = json_number(j, 0);
        if (!isfinite(x))
            return error_set(p->err, E_DATA, "JSON has no form for the number %g", x);
        buffer_add_str(p->out, text_double(x, buf));
    } else if (json_is_bool(j)) {
        buffer_add_str(p->out, json_bool(j, 0) ? "true" : "false");
    } else if (json_is_array(j) || json_is_object(j)) {
        int array = json_is_array(j);
        buffer_add_char(p->out, array ? '[' : '{');
        if (json_first(j))
            s = print_children(p, j, depth);
        buffer_add_char(p->out, array ? ']' : '}');
    } else {
        buffer_add_str(p->out, "null");
    }
    return s;
}

enum status json_print(
    const struct json *j, enum json_style style, struct buffer *out, struct error *err)
{
    struct printer printer = { style, out, err };
    enum status s = print_value(&printer, j, 0);
    return s ? s : buffer_status(out, "JSON text", err);
}
