/* ndjson.c - the reader splits lines and nothing else; it knows no JSON. */
#include "collectors/llm/ndjson.h"

#include <string.h>

void ndjson_init(struct ndjson *n, size_t max)
{
    memset(n, 0, sizeof *n);
    buffer_init(&n->line, max);
}

void ndjson_release(struct ndjson *n)
{
    buffer_release(&n->line);
}

static void take_line(struct ndjson *n, ndjson_line *fn, void *arg)
{
    const char *line = buffer_str(&n->line);
    if (strspn(line, " \t\r") < n->line.len && fn(line, n->line.len, n->offset, arg))
        n->stopped = 1;
    buffer_clear(&n->line);
}

enum status ndjson_feed(struct ndjson *n, const char *bytes, size_t len, ndjson_line *fn,
    void *arg, struct error *err)
{
    for (size_t i = 0; i < len && !n->stopped;) {
        const char *lf = memchr(bytes + i, '\n', len - i);
        size_t piece = (lf ? (size_t)(lf - bytes) : len) - i;
        buffer_add(&n->line, bytes + i, piece);
        i += piece + (lf != NULL);
        n->offset += piece + (lf != NULL);
        enum status s = buffer_status(&n->line, "line of a stream", err);
        if (s != OK)
            return s;
        if (lf)
            take_line(n, fn, arg);
    }
    return OK;
}

enum status ndjson_end(struct ndjson *n, ndjson_line *fn, void *arg, struct error *err)
{
    if (!n->stopped)
        take_line(n, fn, arg);
    return buffer_status(&n->line, "line of a stream", err);
}
