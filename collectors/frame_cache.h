/* frame_cache.h - frames as base64, made once and kept while there is room.
 *
 * The cache belongs to the thread that owns the store.  A frame may be handed to any
 * other thread: counting references and encoding are safe there. */
#ifndef COLLECTORS_FRAME_CACHE_H
#define COLLECTORS_FRAME_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "schema/store.h"

struct frame_cache;
struct frame;

/* max_bytes of base64 are kept beyond what is in use. */
MUST_CHECK enum status frame_cache_new(
    size_t max_bytes, struct frame_cache **out, struct error *err);
void frame_cache_free(struct frame_cache *cache); /* NULL is fine */

/* The frame with this id, as one reference that the caller gives back with
 * frame_release().  E_NOT_FOUND: the store has no such frame. */
MUST_CHECK enum status frame_cache_get(struct frame_cache *cache, struct store *store,
    int64_t frame_id, struct frame **out, struct error *err);

void frame_hold(struct frame *frame);    /* one reference more */
void frame_release(struct frame *frame); /* NULL is fine */

const char *frame_sha256(const struct frame *frame); /* of the frame's bytes, hex */
const char *frame_media_type(const struct frame *frame);
int64_t frame_width_px(const struct frame *frame);
int64_t frame_height_px(const struct frame *frame);

/* Base64 of the frame's bytes, behind "data:TYPE;base64," where it is to be a data URL;
 * encoded by the first caller, lives as long as the frame. */
MUST_CHECK enum status frame_encoded(struct frame *frame, int is_data_url,
    const char **text, size_t *len, struct error *err);

#endif
