/* fuzz_event_stream.c - any bytes as frames of an event stream, their checksums made
 * right: however they are cut, the frames are the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/event_stream.h"

#define MAX_FRAME 4096
#define MIN_FRAME 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int write_frame(const struct event_frame *frame, void *arg)
{
    buffer_printf(
        arg, "%zu:%zu:%s:%s:", frame->end, frame->len, frame->kind, frame->name);
    buffer_add(arg, frame->payload, frame->len);
    return 0;
}

/* Feed in pieces of n bytes (0 = all at once). */
static enum status feed(const char *bytes, size_t len, size_t n, struct buffer *out)
{
    struct event_stream es;
    event_stream_init(&es, MAX_FRAME);
    enum status s = OK;
    for (size_t at = 0; s == OK && at < len;) {
        size_t piece = n && n < len - at ? n : len - at;
        s = event_stream_feed(&es, bytes + at, piece, write_frame, out, NULL);
        at += piece;
    }
    event_stream_release(&es);
    return s;
}

static void put(uint8_t *s, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        s[i] = (uint8_t)(n >> (24 - 8 * i));
}

static void mend(uint8_t *s, size_t len)
{
    while (len >= MIN_FRAME) {
        size_t size = (size_t)s[0] << 24 | (size_t)s[1] << 16 | (size_t)s[2] << 8 | s[3];
        if (size < MIN_FRAME || size > len)
            return;
        put(s + 8, event_stream_crc(s, 8));
        put(s + size - 4, event_stream_crc(s, size - 4));
        s += size;
        len -= size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct buffer whole, pieces;
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        return 0;
    if (len)
        memcpy(copy, data, len);
    mend(copy, len);
    buffer_init(&whole, 8u << 20);
    buffer_init(&pieces, 8u << 20);
    size_t n = len ? data[len - 1] % 7 + 1u : 1;
    enum status a = feed((const char *)copy, len, 0, &whole);
    enum status b = feed((const char *)copy, len, n, &pieces);
    if (a != b || whole.len != pieces.len ||
        (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0))
        abort();
    buffer_release(&whole);
    buffer_release(&pieces);
    free(copy);
    return 0;
}
