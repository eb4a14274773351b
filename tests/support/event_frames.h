/* event_frames.h - frames of AWS's event streams, made for tests. */
#ifndef TESTS_SUPPORT_EVENT_FRAMES_H
#define TESTS_SUPPORT_EVENT_FRAMES_H

#include "m4a1/base/buffer.h"

/* Add a frame of a kind ("event", "exception") and name with a JSON payload. */
void event_frames_add(
    struct buffer *out, const char *kind, const char *name, const char *payload);

/* Write these lengths into the only frame of a buffer, and checksums that fit. */
void event_frames_seal(struct buffer *frame, size_t len, size_t n_headers);

#endif
