/* event_frames.c - see event_frames.h. */
#include "tests/support/event_frames.h"

#include <stdint.h>
#include <string.h>

#include "collectors/llm/event_stream.h"
#include "m4a1/base/text.h"

#define HEAD 12 /* bytes before a frame's headers */

static void put_number(char *s, size_t n)
{
    for (int i = 0; i < 4; i++)
        s[i] = (char)(n >> (24 - 8 * i) & 0xff);
}

static void seal(char *s, size_t size, size_t len, size_t n_headers)
{
    put_number(s, len);
    put_number(s + 4, n_headers);
    put_number(s + 8, event_stream_crc(s, 8));
    put_number(s + size - 4, event_stream_crc(s, size - 4));
}

static void add_header(struct buffer *out, const char *name, const char *value)
{
    buffer_add_char(out, (char)strlen(name));
    buffer_add_str(out, name);
    buffer_add_char(out, 7); // a string
    buffer_add_char(out, 0);
    buffer_add_char(out, (char)strlen(value));
    buffer_add_str(out, value);
}

void event_frames_add(
    struct buffer *out, const char *kind, const char *name, const char *payload)
{
    static const char zeros[HEAD];
    size_t start = out->len;
    buffer_add(out, zeros, HEAD);
    add_header(out, ":message-type", kind);
    add_header(out, text_equal(kind, "event") ? ":event-type" : ":exception-type", name);
    size_t n_headers = out->len - start - HEAD;
    buffer_add_str(out, payload);
    buffer_add(out, zeros, 4);
    seal(out->data + start, out->len - start, out->len - start, n_headers);
}

void event_frames_seal(struct buffer *frame, size_t len, size_t n_headers)
{
    seal(frame->data, frame->len, len, n_headers);
}
