/* sim_event_stream.c - frames of an event stream; bit by bit, since they are few. */
#include "m4a1/simulate/sim_event_stream.h"

#include <string.h>

#include "m4a1/base/text.h"

#define HEADER_TEXT 7 /* the type of a header whose value is a string */
#define HEADERS_MAX 1024

static uint32_t crc32(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void add_number(struct buffer *out, size_t n, int n_bytes)
{
    while (n_bytes--)
        (void)buffer_add_char(out, (char)(n >> 8 * n_bytes & 0xff));
}

static void add_header(struct buffer *out, const char *name, const char *value)
{
    add_number(out, strlen(name), 1);
    (void)buffer_add_str(out, name);
    add_number(out, HEADER_TEXT, 1);
    add_number(out, strlen(value), 2);
    (void)buffer_add_str(out, value);
}

void sim_event_frame(
    const char *name, const char *payload, size_t len, struct buffer *out)
{
    int is_exception = text_ends(name, "Exception");
    struct buffer headers;
    size_t start = out->len;
    buffer_init(&headers, HEADERS_MAX);
    add_header(&headers, is_exception ? ":exception-type" : ":event-type", name);
    add_header(&headers, ":content-type", "application/json");
    add_header(&headers, ":message-type", is_exception ? "exception" : "event");
    add_number(out, 12 + headers.len + len + 4, 4);
    add_number(out, headers.len, 4);
    if (out->failed == OK)
        add_number(out, crc32(out->data + start, 8), 4);
    (void)buffer_add(out, buffer_str(&headers), headers.len);
    (void)buffer_add(out, payload, len);
    if (out->failed == OK)
        add_number(out, crc32(out->data + start, out->len - start), 4);
    buffer_release(&headers);
}
