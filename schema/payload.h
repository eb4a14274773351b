/* payload.h - how attempt.request and attempt.received are kept: one zstd frame each. */
#ifndef SCHEMA_PAYLOAD_H
#define SCHEMA_PAYLOAD_H

#include <stddef.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

/* Append len bytes, compressed, to out (its ceiling applies). */
MUST_CHECK enum status payload_pack(
    const void *data, size_t len, struct buffer *out, struct error *err);

/* Append what payload_pack took to out.  E_DATA where packed is not one whole zstd
 * frame, E_LIMIT where the content is larger than out may grow. */
MUST_CHECK enum status payload_unpack(
    const void *packed, size_t len, struct buffer *out, struct error *err);

#endif
