/* frame_cache.c - a list in order of last use; old entries leave when it is over its
 * size.  A plan uses few frames at once, so a list is enough. */
#include "collectors/frame_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "schema/query.h"

struct frame {
    atomic_int n_refs;
    pthread_mutex_t lock; /* guards bytes and base64 while they are made */
    int64_t frame_id, width_px, height_px;
    char sha256[HASH_HEX];
    char *media_type;
    unsigned char *bytes; /* the frame; freed once it is encoded */
    size_t n_bytes;
    char *encoded; /* a data URL; NULL until somebody asked */
    size_t n_encoded;
    size_t n_prefix;             /* what stands before its base64 */
    struct frame *older, *newer; /* in the cache's list; its thread only */
};

struct frame_cache {
    size_t max_bytes, n_bytes;
    struct frame *newest, *oldest;
};

enum status frame_cache_new(size_t max_bytes, struct frame_cache **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_nomem(err, sizeof **out);
    (*out)->max_bytes = max_bytes;
    return OK;
}

void frame_hold(struct frame *frame)
{
    atomic_fetch_add(&frame->n_refs, 1);
}

void frame_release(struct frame *frame)
{
    if (!frame || atomic_fetch_sub(&frame->n_refs, 1) != 1)
        return;
    pthread_mutex_destroy(&frame->lock);
    free(frame->media_type);
    free(frame->bytes);
    free(frame->encoded);
    free(frame);
}

static void unlink_frame(struct frame_cache *cache, struct frame *frame)
{
    *(frame->newer ? &frame->newer->older : &cache->newest) = frame->older;
    *(frame->older ? &frame->older->newer : &cache->oldest) = frame->newer;
    frame->newer = frame->older = NULL;
}

static void put_first(struct frame_cache *cache, struct frame *frame)
{
    frame->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = frame;
    cache->newest = frame;
}

static void drop_oldest(struct frame_cache *cache)
{
    struct frame *frame = cache->oldest;
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): unlink_frame takes it out before its release
    cache->n_bytes -= base64_size(frame->n_bytes);
    unlink_frame(cache, frame);
    frame_release(frame);
}

void frame_cache_free(struct frame_cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        drop_oldest(cache);
    free(cache);
}

static enum status read_frame(
    const struct query *q, int64_t frame_id, struct frame **out, struct error *err)
{
    size_t len = 0;
    const void *bytes = query_bytes(q, 3, &len);
    struct frame *frame = calloc(1, sizeof *frame);
    if (!frame)
        return error_nomem(err, sizeof *frame);
    atomic_init(&frame->n_refs, 1);
    pthread_mutex_init(&frame->lock, NULL);
    frame->frame_id = frame_id;
    frame->media_type = text_copy(query_text(q, 1));
    frame->bytes = malloc(len ? len : 1);
    if (!frame->media_type || !frame->bytes) {
        frame_release(frame);
        return error_nomem(err, len);
    }
    const char *hex = query_text(q, 0);
    size_t n_hex = strlen(hex);
    memcpy(frame->sha256, hex, n_hex < HASH_HEX ? n_hex : HASH_HEX - 1);
    if (len)
        memcpy(frame->bytes, bytes, len);
    frame->n_bytes = len;
    frame->width_px = query_int(q, 4);
    frame->height_px = query_int(q, 5);
    *out = frame;
    return OK;
}

static enum status load(
    struct store *store, int64_t frame_id, struct frame **out, struct error *err)
{
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT sha256, media_type, frame_id, bytes, width_px, height_px"
        " FROM frame WHERE frame_id = ?",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "i", frame_id);
    s = query_next(q, err);
    if (s == OK && !query_has_row(q))
        s = error_set(err, E_NOT_FOUND, "the store has no frame %lld; run m4a1 check",
            (long long)frame_id);
    if (s == OK)
        s = read_frame(q, frame_id, out, err);
    query_close(q);
    return s;
}

enum status frame_cache_get(struct frame_cache *cache, struct store *store,
    int64_t frame_id, struct frame **out, struct error *err)
{
    *out = NULL;
    struct frame *frame = cache->newest;
    while (frame && frame->frame_id != frame_id)
        frame = frame->older;
    if (frame) {
        unlink_frame(cache, frame);
    } else {
        enum status s = load(store, frame_id, &frame, err);
        if (s != OK)
            return s;
        cache->n_bytes += base64_size(frame->n_bytes);
    }
    put_first(cache, frame);
    while (cache->n_bytes > cache->max_bytes && cache->oldest != frame)
        drop_oldest(cache);
    frame_hold(frame);
    *out = frame;
    return OK;
}

const char *frame_sha256(const struct frame *frame)
{
    return frame->sha256;
}

const char *frame_media_type(const struct frame *frame)
{
    return frame->media_type;
}

int64_t frame_width_px(const struct frame *frame)
{
    return frame->width_px;
}

int64_t frame_height_px(const struct frame *frame)
{
    return frame->height_px;
}

/* The lock is held. */
static enum status encode(struct frame *frame, struct error *err)
{
    size_t n_prefix = strlen("data:") + strlen(frame->media_type) + strlen(";base64,");
    size_t size = n_prefix + base64_size(frame->n_bytes);
    frame->encoded = malloc(size);
    if (!frame->encoded)
        return error_nomem(err, size);
    snprintf(frame->encoded, size, "data:%s;base64,", frame->media_type);
    base64_encode(frame->bytes, frame->n_bytes, frame->encoded + n_prefix);
    frame->n_prefix = n_prefix;
    frame->n_encoded = size - 1;
    free(frame->bytes);
    frame->bytes = NULL;
    return OK;
}

enum status frame_encoded(struct frame *frame, int is_data_url, const char **text,
    size_t *len, struct error *err)
{
    *text = NULL;
    *len = 0;
    pthread_mutex_lock(&frame->lock);
    enum status s = frame->encoded ? OK : encode(frame, err);
    if (s == OK) {
        size_t n_skipped = is_data_url ? 0 : frame->n_prefix;
        *text = frame->encoded + n_skipped;
        *len = frame->n_encoded - n_skipped;
    }
    pthread_mutex_unlock(&frame->lock);
    return s;
}
