/* event_stream.h - frames of application/vnd.amazon.eventstream out of bytes that arrive
 * in any pieces.
 *
 * A frame: its whole length and that of its headers (32 bits each, big-endian), the
 * CRC-32 of those 8 bytes, headers, payload, the CRC-32 of all before it.  Source: AWS,
 * "Event stream encoding" (Smithy).  Where the input is split changes nothing. */
#ifndef COLLECTORS_LLM_EVENT_STREAM_H
#define COLLECTORS_LLM_EVENT_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

#define EVENT_FRAME_WORD 64 /* bytes that are kept of a header's value, with a NUL */

/* Valid during the call. */
struct event_frame {
    char kind[EVENT_FRAME_WORD]; /* ":message-type": "event", "exception" or "error" */
    char name[EVENT_FRAME_WORD]; /* ":event-type", ":exception-type" or ":error-code" */
    const char *payload;         /* len bytes */
    size_t len;
    size_t end; /* offset behind the frame, from the stream's first byte */
};

/* Returns 0 to go on, else the reader stops. */
typedef int event_frame_take(const struct event_frame *frame, void *arg);

struct event_stream {
    struct buffer frame; /* what has come of the next one */
    size_t max, offset;
    int stopped;
};

/* max is the ceiling of one frame, in bytes. */
void event_stream_init(struct event_stream *es, size_t max);
void event_stream_release(struct event_stream *es);

/* Take the next len bytes.  E_DATA where a length or a checksum is wrong, E_LIMIT where
 * a frame is too long, E_NOMEM. */
MUST_CHECK enum status event_stream_feed(struct event_stream *es, const char *bytes,
    size_t len, event_frame_take *fn, void *arg, struct error *err);

/* CRC-32 as in zlib and Ethernet. */
uint32_t event_stream_crc(const void *data, size_t len);

#endif
