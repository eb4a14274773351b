/* sim_event_stream.h - the binary frames of application/vnd.amazon.eventstream.
 *
 * A frame: length of all, length of the headers, CRC of these two, headers, payload, CRC
 * of all before; numbers are big-endian, the CRC is that of IEEE 802.3
 * (smithy.io/2.0/aws/amazon-eventstream.html). */
#ifndef M4A1_SIMULATE_SIM_EVENT_STREAM_H
#define M4A1_SIMULATE_SIM_EVENT_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"

/* Append a frame with a JSON payload.  A name that ends in "Exception" is framed as an
 * exception, any other as an event. */
void sim_event_frame(
    const char *name, const char *payload, size_t len, struct buffer *out);

#endif
