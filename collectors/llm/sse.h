/* sse.h - server-sent events out of bytes that arrive in any pieces.
 *
 * Lines end with LF, CR or CRLF; a blank line ends an event; several data lines are
 * joined with LF; lines that begin with a colon are comments; a byte order mark at the
 * start is skipped (WHATWG HTML, "Server-sent events").  Where the input is split
 * changes nothing that comes out. */
#ifndef COLLECTORS_LLM_SSE_H
#define COLLECTORS_LLM_SSE_H

#include <stddef.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

/* One event.  event is "" where the stream named none; data has len bytes and a NUL
 * behind them; end is the offset, from the stream's first byte, behind the byte that
 * ended the event.  Valid during the call.  Returns 0 to go on, else the reader stops. */
typedef int sse_event(
    const char *event, const char *data, size_t len, size_t end, void *arg);

struct sse {
    struct buffer line, data, event;
    size_t offset;  /* bytes taken so far */
    int has_data;   /* the event has at least one data line */
    int after_cr;   /* a LF that comes next belongs to the CR before */
    int first_line; /* a byte order mark may still come */
    int stopped;    /* the callback asked to stop */
};

/* max is the ceiling of one line and of one event, in bytes. */
void sse_init(struct sse *sse, size_t max);
void sse_release(struct sse *sse);

/* Take the next len bytes.  E_LIMIT where a line or an event is too long, E_NOMEM. */
MUST_CHECK enum status sse_feed(struct sse *sse, const char *bytes, size_t len,
    sse_event *fn, void *arg, struct error *err);

/* The stream ended as its sender meant it to: what is pending is an event too, since
 * some servers leave out the last blank line.  Not for a broken connection. */
MUST_CHECK enum status sse_end(
    struct sse *sse, sse_event *fn, void *arg, struct error *err);

#endif
