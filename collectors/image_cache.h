/* image_cache.h - frames as base64, made once and kept while there is room.
 *
 * The cache belongs to the thread that owns the store.  An image may be handed to any
 * other thread: counting references and encoding are safe there. */
#ifndef COLLECTORS_IMAGE_CACHE_H
#define COLLECTORS_IMAGE_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "schema/store.h"

struct image_cache;
struct image;

/* max_bytes of base64 are kept beyond what is in use. */
MUST_CHECK enum status image_cache_new(
    size_t max_bytes, struct image_cache **out, struct error *err);
void image_cache_free(struct image_cache *cache); /* NULL is fine */

/* The frame with this id, as one reference that the caller gives back with
 * image_release().  E_NOT_FOUND: the store has no such frame. */
MUST_CHECK enum status image_cache_get(struct image_cache *cache, struct store *store,
    int64_t frame_id, struct image **out, struct error *err);

void image_release(struct image *image); /* NULL is fine */

const char *image_sha256(const struct image *image); /* of the frame's bytes, hex */
const char *image_media_type(const struct image *image);
int64_t image_width_px(const struct image *image);
int64_t image_height_px(const struct image *image);

/* Base64 of the frame's bytes, encoded by the first caller; lives as long as the image. */
MUST_CHECK enum status image_base64(
    struct image *image, const char **text, size_t *len, struct error *err);

#endif
