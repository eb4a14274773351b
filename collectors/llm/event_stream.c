/* event_stream.c - see event_stream.h; it knows no JSON and no service. */
#include "collectors/llm/event_stream.h"

#include <string.h>

#define PRELUDE 12 /* two lengths and their checksum */
#define CHECKSUM 4
#define MIN_FRAME (PRELUDE + CHECKSUM)

enum {
    TYPE_TRUE,
    TYPE_FALSE,
    TYPE_BYTE,
    TYPE_SHORT,
    TYPE_INT,
    TYPE_LONG,
    TYPE_BYTES,
    TYPE_STRING,
    TYPE_TIMESTAMP,
    TYPE_UUID
};

uint32_t event_stream_crc(const void *data, size_t len)
{
    // The polynomial 0xEDB88320, four bits at a time.
    static const uint32_t table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344,
        0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
    const unsigned char *bytes = data;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

void event_stream_init(struct event_stream *es, size_t max)
{
    memset(es, 0, sizeof *es);
    buffer_init(&es->frame, max);
    es->max = max;
}

void event_stream_release(struct event_stream *es)
{
    buffer_release(&es->frame);
}

static uint32_t number(const char *s, size_t n_bytes)
{
    uint32_t n = 0;
    for (size_t i = 0; i < n_bytes; i++)
        n = n << 8 | (unsigned char)s[i];
    return n;
}

static enum status broken(
    const struct event_stream *es, const char *what, struct error *err)
{
    return error_set(err, E_DATA, "the event stream is broken at byte %zu: %s",
        es->offset - es->frame.len, what);
}

/* Bytes of a value, its own length included; 0 where it does not fit into n. */
static size_t value_size(int type, const char *s, size_t n)
{
    static const size_t sizes[] = { [TYPE_TRUE] = 0,
        [TYPE_FALSE] = 0,
        [TYPE_BYTE] = 1,
        [TYPE_SHORT] = 2,
        [TYPE_INT] = 4,
        [TYPE_LONG] = 8,
        [TYPE_BYTES] = 2,
        [TYPE_STRING] = 2,
        [TYPE_TIMESTAMP] = 8,
        [TYPE_UUID] = 16 };
    size_t size = sizes[type];
    if ((type == TYPE_BYTES || type == TYPE_STRING) && n >= size)
        size += number(s, 2);
    return size;
}

static void keep_word(const char *s, size_t n, char word[EVENT_FRAME_WORD])
{
    n = n < EVENT_FRAME_WORD ? n : EVENT_FRAME_WORD - 1;
    memcpy(word, s, n);
    word[n] = '\0';
}

static int is_name(const char *s, size_t n, const char *name)
{
    return n == strlen(name) && !memcmp(s, name, n);
}

static void keep_header(const char *name, size_t n_name, const char *value,
    size_t n_value, struct event_frame *frame)
{
    if (is_name(name, n_name, ":message-type"))
        keep_word(value, n_value, frame->kind);
    else if (is_name(name, n_name, ":event-type") ||
             is_name(name, n_name, ":exception-type") ||
             is_name(name, n_name, ":error-code"))
        keep_word(value, n_value, frame->name);
}

/* Read n bytes of headers; false where one does not fit. */
static int read_headers(const char *s, size_t n, struct event_frame *frame)
{
    while (n) {
        size_t n_name = (unsigned char)*s;
        if (n < n_name + 2)
            return 0;
        const char *name = s + 1;
        int type = (unsigned char)name[n_name];
        s += n_name + 2;
        n -= n_name + 2;
        if (type > TYPE_UUID)
            return 0;
        size_t size = value_size(type, s, n);
        if (size > n)
            return 0;
        if (type == TYPE_STRING)
            keep_header(name, n_name, s + 2, size - 2, frame);
        s += size;
        n -= size;
    }
    return 1;
}

/* The frame that has come whole. */
static enum status take_frame(
    struct event_stream *es, event_frame_take *fn, void *arg, struct error *err)
{
    const char *s = es->frame.data;
    size_t len = es->frame.len, n_headers = number(s + 4, 4);
    struct event_frame frame = { .end = es->offset };
    if (event_stream_crc(s, len - CHECKSUM) != number(s + len - CHECKSUM, 4))
        return broken(es, "the checksum of a frame is wrong", err);
    if (!read_headers(s + PRELUDE, n_headers, &frame))
        return broken(es, "the headers of a frame are none", err);
    frame.payload = s + PRELUDE + n_headers;
    frame.len = len - MIN_FRAME - n_headers;
    if (fn(&frame, arg))
        es->stopped = 1;
    buffer_clear(&es->frame);
    return OK;
}

static enum status check_prelude(const struct event_stream *es, struct error *err)
{
    const char *s = es->frame.data;
    size_t len = number(s, 4), n_headers = number(s + 4, 4);
    if (event_stream_crc(s, 8) != number(s + 8, 4))
        return broken(es, "the checksum of a frame's head is wrong", err);
    if (len < MIN_FRAME || n_headers > len - MIN_FRAME)
        return broken(es, "the lengths of a frame contradict each other", err);
    if (len > es->max)
        return error_set(err, E_LIMIT,
            "a frame of an event stream has %zu bytes; at most %zu are taken", len,
            es->max);
    return OK;
}

enum status event_stream_feed(struct event_stream *es, const char *bytes, size_t len,
    event_frame_take *fn, void *arg, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; s == OK && i < len && !es->stopped;) {
        size_t has = es->frame.len;
        size_t wanted = has < PRELUDE ? PRELUDE : number(es->frame.data, 4);
        size_t piece = wanted - has < len - i ? wanted - has : len - i;
        buffer_add(&es->frame, bytes + i, piece);
        es->offset += piece;
        i += piece;
        s = buffer_status(&es->frame, "frame of an event stream", err);
        if (s == OK && has < PRELUDE && es->frame.len == PRELUDE)
            s = check_prelude(es, err);
        else if (s == OK && es->frame.len == wanted && wanted > PRELUDE)
            s = take_frame(es, fn, arg, err);
    }
    return s;
}
