/* sse.c - the reader is a small state machine over lines; it knows no JSON. */
#include "collectors/llm/sse.h"

#include <string.h>

void sse_init(struct sse *sse, size_t max)
{
    memset(sse, 0, sizeof *sse);
    buffer_init(&sse->line, max);
    buffer_init(&sse->data, max);
    buffer_init(&sse->event, max);
    sse->first_line = 1;
}

void sse_release(struct sse *sse)
{
    buffer_release(&sse->line);
    buffer_release(&sse->data);
    buffer_release(&sse->event);
}

static void dispatch(struct sse *sse, sse_event *fn, void *arg)
{
    // An event without data is no event; its name is forgotten.
    if (sse->has_data && fn(buffer_str(&sse->event), buffer_str(&sse->data),
                             sse->data.len, sse->offset, arg))
        sse->stopped = 1;
    buffer_clear(&sse->data);
    buffer_clear(&sse->event);
    sse->has_data = 0;
}

static void take_line(struct sse *sse, sse_event *fn, void *arg)
{
    const char *line = buffer_str(&sse->line);
    size_t len = sse->line.len;
    if (sse->first_line && len >= 3 && !memcmp(line, "\xEF\xBB\xBF", 3)) {
        line += 3;
        len -= 3;
    }
    sse->first_line = 0;
    if (!len) {
        dispatch(sse, fn, arg);
        return;
    }
    const char *colon = memchr(line, ':', len);
    size_t n_name = colon ? (size_t)(colon - line) : len;
    const char *value = colon ? colon + 1 : line + len;
    size_t n_value = (size_t)(line + len - value);
    if (n_value && *value == ' ') {
        value++;
        n_value--;
    }
    if (n_name == 4 && !memcmp(line, "data", 4)) {
        if (sse->has_data)
            buffer_add_char(&sse->data, '\n');
        buffer_add(&sse->data, value, n_value);
        sse->has_data = 1;
    } else if (n_name == 5 && !memcmp(line, "event", 5)) {
        buffer_clear(&sse->event);
        buffer_add(&sse->event, value, n_value);
    }
}

static enum status state(const struct sse *sse, struct error *err)
{
    enum status s = buffer_status(&sse->line, "line of an event stream", err);
    if (s == OK)
        s = buffer_status(&sse->data, "event of a stream", err);
    if (s == OK)
        s = buffer_status(&sse->event, "event name of a stream", err);
    return s;
}

enum status sse_feed(struct sse *sse, const char *bytes, size_t len, sse_event *fn,
    void *arg, struct error *err)
{
    size_t i = 0;
    while (i < len && !sse->stopped) {
        if (sse->after_cr) {
            sse->after_cr = 0;
            if (bytes[i] == '\n') {
                i++;
                sse->offset++;
                continue;
            }
        }
        size_t start = i;
        while (i < len && bytes[i] != '\n' && bytes[i] != '\r')
            i++;
        buffer_add(&sse->line, bytes + start, i - start);
        sse->offset += i - start;
        if (i < len) {
            sse->after_cr = bytes[i] == '\r';
            i++;
            sse->offset++;
            take_line(sse, fn, arg);
            buffer_clear(&sse->line);
        }
        enum status s = state(sse, err);
        if (s != OK)
            return s;
    }
    return OK;
}

enum status sse_end(struct sse *sse, sse_event *fn, void *arg, struct error *err)
{
    if (sse->stopped)
        return OK;
    if (sse->line.len) {
        take_line(sse, fn, arg);
        buffer_clear(&sse->line);
    }
    if (!sse->stopped)
        dispatch(sse, fn, arg);
    return state(sse, err);
}
