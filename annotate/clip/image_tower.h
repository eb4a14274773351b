/* image_tower.h - prepared images to embeddings: patches, class token, blocks, projection. */
#ifndef ANNOTATE_CLIP_IMAGE_TOWER_H
#define ANNOTATE_CLIP_IMAGE_TOWER_H

#include "annotate/clip/encoder.h"

struct image_tower {
    struct encoder encoder;
    size_t side, patch, projection; /* pixels, pixels, numbers of an embedding */
    size_t n_positions;             /* (side / patch)^2 and the class token */
    struct linear *patches;         /* a patch [3][patch][patch] to width */
    float *class_token;             /* [width] */
    float *positions;               /* [n_positions][width] */
    struct norm pre, post;
    struct linear *project; /* float32 in bfloat16, too */
};

MUST_CHECK enum status image_tower_load(const struct weights *w,
    const struct clip_config *config, struct image_tower *out, struct error *err);
void image_tower_release(struct image_tower *t); /* {0} is fine */

MUST_CHECK enum status image_tower_room(const struct image_tower *t, size_t max_images,
    size_t n_members, struct room *out, struct error *err);

/* Say what a pass takes in; before the members run it. */
void image_tower_begin(const struct image_tower *t, size_t n_images, struct room *room);

/* A member's part of a pass: pixels [n_images][3][side][side] to
 * out [n_images][projection]. */
void image_tower_run(const struct image_tower *t, struct member *m, struct room *room,
    const float *pixels, float *out);

#endif
