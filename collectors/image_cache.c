/* image_cache.c - a list in order of last use; old entries leave when it is over its
 * size.  A plan uses few frames at once, so a list is enough. */
#include "collectors/image_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "schema/query.h"

struct image {
    atomic_int n_refs;
    pthread_mutex_t lock; /* guards bytes and base64 while they are made */
    int64_t frame_id, width_px, height_px;
    char sha256[HASH_HEX];
    char *media_type;
    unsigned char *bytes; /* the frame; freed once it is encoded */
    size_t n_bytes;
    char *base64; /* NULL until somebody asked */
    size_t n_base64;
    struct image *older, *newer; /* in the cache's list; its thread only */
};

struct image_cache {
    size_t max_bytes, n_bytes;
    struct image *newest, *oldest;
};

enum status image_cache_new(size_t max_bytes, struct image_cache **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_nomem(err, sizeof **out);
    (*out)->max_bytes = max_bytes;
    return OK;
}

void image_release(struct image *image)
{
    if (!image || atomic_fetch_sub(&image->n_refs, 1) != 1)
        return;
    pthread_mutex_destroy(&image->lock);
    free(image->media_type);
    free(image->bytes);
    free(image->base64);
    free(image);
}

static void unlink_image(struct image_cache *cache, struct image *image)
{
    *(image->newer ? &image->newer->older : &cache->newest) = image->older;
    *(image->older ? &image->older->newer : &cache->oldest) = image->newer;
    image->newer = image->older = NULL;
}

static void put_first(struct image_cache *cache, struct image *image)
{
    image->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = image;
    cache->newest = image;
}

static void drop_oldest(struct image_cache *cache)
{
    struct image *image = cache->oldest;
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): unlink_image takes it out before its release
    cache->n_bytes -= base64_size(image->n_bytes);
    unlink_image(cache, image);
    image_release(image);
}

void image_cache_free(struct image_cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        drop_oldest(cache);
    free(cache);
}

static enum status read_frame(
    const struct query *q, int64_t frame_id, struct image **out, struct error *err)
{
    size_t len = 0;
    const void *bytes = query_bytes(q, 3, &len);
    struct image *image = calloc(1, sizeof *image);
    if (!image)
        return error_nomem(err, sizeof *image);
    atomic_init(&image->n_refs, 1);
    pthread_mutex_init(&image->lock, NULL);
    image->frame_id = frame_id;
    image->media_type = text_copy(query_text(q, 1));
    image->bytes = malloc(len ? len : 1);
    if (!image->media_type || !image->bytes) {
        image_release(image);
        return error_nomem(err, len);
    }
    const char *hex = query_text(q, 0);
    size_t n_hex = strlen(hex);
    memcpy(image->sha256, hex, n_hex < HASH_HEX ? n_hex : HASH_HEX - 1);
    if (len)
        memcpy(image->bytes, bytes, len);
    image->n_bytes = len;
    image->width_px = query_int(q, 4);
    image->height_px = query_int(q, 5);
    *out = image;
    return OK;
}

static enum status load(
    struct store *store, int64_t frame_id, struct image **out, struct error *err)
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

enum status image_cache_get(struct image_cache *cache, struct store *store,
    int64_t frame_id, struct image **out, struct error *err)
{
    *out = NULL;
    struct image *image = cache->newest;
    while (image && image->frame_id != frame_id)
        image = image->older;
    if (image) {
        unlink_image(cache, image);
    } else {
        enum status s = load(store, frame_id, &image, err);
        if (s != OK)
            return s;
        cache->n_bytes += base64_size(image->n_bytes);
    }
    put_first(cache, image);
    while (cache->n_bytes > cache->max_bytes && cache->oldest != image)
        drop_oldest(cache);
    atomic_fetch_add(&image->n_refs, 1);
    *out = image;
    return OK;
}

const char *image_sha256(const struct image *image)
{
    return image->sha256;
}

const char *image_media_type(const struct image *image)
{
    return image->media_type;
}

int64_t image_width_px(const struct image *image)
{
    return image->width_px;
}

int64_t image_height_px(const struct image *image)
{
    return image->height_px;
}

enum status image_base64(
    struct image *image, const char **text, size_t *len, struct error *err)
{
    enum status s = OK;
    pthread_mutex_lock(&image->lock);
    if (!image->base64) {
        size_t size = base64_size(image->n_bytes);
        image->base64 = malloc(size);
        if (image->base64) {
            base64_encode(image->bytes, image->n_bytes, image->base64);
            image->n_base64 = size - 1;
            free(image->bytes);
            image->bytes = NULL;
        } else {
            s = error_nomem(err, size);
        }
    }
    *text = image->base64;
    *len = image->n_base64;
    pthread_mutex_unlock(&image->lock);
    return s;
}
