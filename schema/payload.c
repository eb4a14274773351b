/* payload.c - zstd around the bytes that went over the wire.
 *
 * Knows nothing of what the bytes mean. */
#include "schema/payload.h"

#include <stdint.h>
#include <stdlib.h>
#include <zstd.h>

#define PAYLOAD_LEVEL 6 /* requests are small text; 6 is still a fraction of a ms */

enum status payload_pack(
    const void *data, size_t len, struct buffer *out, struct error *err)
{
    size_t size = ZSTD_compressBound(len);
    char *packed = malloc(size);
    if (!packed)
        return error_nomem(err, size);
    size_t n = ZSTD_compress(packed, size, len ? data : "", len, PAYLOAD_LEVEL);
    enum status s = OK;
    if (ZSTD_isError(n)) {
        s = error_set(err, E_NOMEM, "compress %zu bytes: %s", len, ZSTD_getErrorName(n));
    } else {
        buffer_add(out, packed, n);
        s = buffer_status(out, "compressed payload", err);
    }
    free(packed);
    return s;
}

enum status payload_unpack(
    const void *packed, size_t len, struct buffer *out, struct error *err)
{
    size_t size = ZSTD_DStreamOutSize();
    char *piece = malloc(size);
    ZSTD_DStream *stream = ZSTD_createDStream();
    enum status s = OK;
    if (!piece || !stream) {
        s = error_nomem(err, size);
        goto done;
    }
    ZSTD_inBuffer in = { packed, len, 0 };
    size_t left = 1; // 0 once the frame is complete
    while (s == OK && left) {
        ZSTD_outBuffer to = { piece, size, 0 };
        size_t before = in.pos;
        left = ZSTD_decompressStream(stream, &to, &in);
        if (ZSTD_isError(left)) {
            s = error_set(err, E_DATA, "payload of %zu bytes is not valid zstd: %s", len,
                ZSTD_getErrorName(left));
        } else if (left && in.pos == before && to.pos == 0) {
            s = error_set(err, E_DATA, "payload of %zu bytes is cut short", len);
        } else {
            buffer_add(out, piece, to.pos);
            s = buffer_status(out, "payload", err);
        }
    }
    if (s == OK && in.pos != len)
        s = error_set(err, E_DATA, "payload has %zu bytes behind its end", len - in.pos);
done:
    ZSTD_freeDStream(stream);
    free(piece);
    return s;
}
