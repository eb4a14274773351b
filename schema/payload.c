/* payload.c - zstd around the bytes that went over the wire.
 *
 * Knows nothing of what the bytes mean. */
#include "schema/payload.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <zstd.h>

#define PAYLOAD_LEVEL 6 /* requests are small text; 6 is still a fraction of a ms */

/* A context is half a megabyte of tables: made once a thread, it saves most of the time
 * that a small text takes.  It ends with its thread. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int has_key;

static void free_context(void *context)
{
    ZSTD_freeCCtx(context);
}

static void make_key(void)
{
    has_key = pthread_key_create(&key, free_context) == 0;
}

/* This thread's; NULL when out of memory. */
static ZSTD_CCtx *own_context(void)
{
    pthread_once(&once, make_key);
    ZSTD_CCtx *context = has_key ? pthread_getspecific(key) : NULL;
    if (context || !has_key)
        return context;
    context = ZSTD_createCCtx();
    if (context && pthread_setspecific(key, context) != 0) {
        ZSTD_freeCCtx(context);
        context = NULL;
    }
    return context;
}

enum status payload_pack(
    const void *data, size_t len, struct buffer *out, struct error *err)
{
    size_t size = ZSTD_compressBound(len);
    ZSTD_CCtx *context = own_context();
    char *packed = context ? malloc(size) : NULL;
    if (!packed)
        return error_nomem(err, size);
    size_t n =
        ZSTD_compressCCtx(context, packed, size, len ? data : "", len, PAYLOAD_LEVEL);
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
