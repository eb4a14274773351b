/* fuzz_sse.c - any bytes as an event stream: however they are cut, the events are the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/sse.h"

#define MAX_EVENT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int write_event(
    const char *event, const char *data, size_t len, size_t end, void *arg)
{
    if (data[len] != '\0')
        abort();
    buffer_printf(arg, "%zu:%zu:%s:", end, len, event);
    buffer_add(arg, data, len);
    return 0;
}

/* Feed in pieces of n bytes (0 = all at once). */
static enum status feed(const char *text, size_t len, size_t n, struct buffer *out)
{
    struct sse sse;
    sse_init(&sse, MAX_EVENT);
    enum status s = OK;
    for (size_t at = 0; s == OK && at < len;) {
        size_t piece = n && n < len - at ? n : len - at;
        s = sse_feed(&sse, text + at, piece, write_event, out, NULL);
        at += piece;
    }
    if (s == OK)
        s = sse_end(&sse, write_event, out, NULL);
    sse_release(&sse);
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
    // A stream that is too long may be noticed a piece earlier or later.
    if ((a == OK) != (b == OK))
        abort();
    if (a == OK && (whole.len != pieces.len ||
                       (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0)))
        abort();
    buffer_release(&whole);
    buffer_release(&pieces);
    return 0;
}
