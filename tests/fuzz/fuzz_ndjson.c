/* fuzz_ndjson.c - any bytes as lines of a stream: however they are cut, the lines are the
 * same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/ndjson.h"

#define MAX_LINE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int write_line(const char *line, size_t len, size_t end, void *arg)
{
    if (line[len] != '\0' || memchr(line, '\n', len))
        abort();
    buffer_printf(arg, "%zu:%zu:", end, len);
    buffer_add(arg, line, len);
    return 0;
}

/* Feed in pieces of n bytes (0 = all at once). */
static enum status feed(const char *text, size_t len, size_t n, struct buffer *out)
{
    struct ndjson lines;
    ndjson_init(&lines, MAX_LINE);
    enum status s = OK;
    for (size_t at = 0; s == OK && at < len;) {
        size_t piece = n && n < len - at ? n : len - at;
        s = ndjson_feed(&lines, text + at, piece, write_line, out, NULL);
        at += piece;
    }
    if (s == OK)
        s = ndjson_end(&lines, write_line, out, NULL);
    ndjson_release(&lines);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct buffer whole, pieces;
    buffer_init(&whole, 8u << 20);
    buffer_init(&pieces, 8u << 20);
    size_t n = len ? data[0] % 7 + 1u : 1;
    enum status a = feed((const char *)data, len, 0, &whole);
    enum status b = feed((const char *)data, len, n, &pieces);
    if (a != b ||
        (a == OK && (whole.len != pieces.len ||
                        (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0))))
        abort();
    buffer_release(&whole);
    buffer_release(&pieces);
    return 0;
}
