/* buffer.c - a growing run of bytes with a ceiling. */
#include "m4a1/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *b, size_t max)
{
    *b = (struct buffer) { .max = max };
}

void buffer_release(struct buffer *b)
{
    free(b->data);
    buffer_init(b, b->max);
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->failed = OK;
    if (b->data)
        b->data[0] = '\0';
}

/* Room for n more bytes and the NUL. */
static enum status buffer_reserve(struct buffer *b, size_t n)
{
    if (b->failed)
        return b->failed;
    if (n > b->max - b->len)
        return b->failed = E_LIMIT;
    size_t need = b->len + n + 1;
    if (need <= b->size)
        return OK;
    size_t size = b->size ? b->size : 64;
    while (size < need)
        size = size > b->max / 2 ? b->max + 1 : size * 2;
    char *data = realloc(b->data, size);
    if (!data)
        return b->failed = E_NOMEM;
    b->data = data;
    b->size = size;
    return OK;
}

enum status buffer_add(struct buffer *b, const void *data, size_t len)
{
    enum status s = buffer_reserve(b, len);
    if (s)
        return s;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
    return OK;
}

enum status buffer_add_str(struct buffer *b, const char *s)
{
    return buffer_add(b, s, strlen(s));
}

enum status buffer_add_char(struct buffer *b, char c)
{
    return buffer_add(b, &c, 1);
}

enum status buffer_printf(struct buffer *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        return b->failed = E_NOMEM;
    enum status s = buffer_reserve(b, (size_t)n);
    if (s)
        return s;
    va_start(args, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n;
    return OK;
}

enum status buffer_status(const struct buffer *b, const char *what, struct error *err)
{
    if (b->failed == E_LIMIT)
        return error_set(
            err, E_LIMIT, "%s: longer than the ceiling of %zu bytes", what, b->max);
    if (b->failed)
        return error_set(
            err, b->failed, "%s: out of memory after %zu bytes", what, b->len);
    return OK;
}

const char *buffer_str(const struct buffer *b)
{
    return b->data ? b->data : "";
}

char *buffer_detach(struct buffer *b, size_t *len)
{
    char *data = b->data;
    if (len)
        *len = b->len;
    buffer_init(b, b->max);
    return data;
}
