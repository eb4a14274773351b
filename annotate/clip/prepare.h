/* prepare.h - a picture as CLIP's image tower takes it, as the original package makes it.
 *
 * openai/CLIP's transform, on PIL and torchvision: bicubic with antialiasing until the
 * shorter side is `resize`, the longer one resize * long / short without its fraction; the
 * centre crop, whose left and top edge are (size - crop) / 2 rounded half to even; RGB;
 * value / 255 less the mean, over the deviation, in float32.  The bytes before the last
 * step are PIL's, bit by bit.  (Hugging Face's processor rounds the edge down, so its crop
 * lies a pixel apart for some sizes; here the original counts.)  EXIF orientation is
 * ignored and CMYK is resized as CMYK, since the original does so.
 *
 * Nothing here keeps state, so threads may work side by side. */
#ifndef ANNOTATE_CLIP_PREPARE_H
#define ANNOTATE_CLIP_PREPARE_H

#include <stddef.h>
#include <stdint.h>
#include "annotate/clip/checkpoint.h"
#include "collectors/source/picture.h"
#include "m4a1/base/error.h"

/* Prepare a JPEG or PNG file that is in memory.  S = how->crop.
 *   rgb     [S][S][3], the cropped bytes; may be NULL
 *   pixels  [3][S][S], what clip_embed_images() takes; may be NULL
 * E_DATA for what picture_decode() refuses, and for a picture so long and thin that it
 * cannot be resized; E_NOMEM. */
MUST_CHECK enum status prepare_file(const void *bytes, size_t len,
    const struct clip_preparation *how, uint8_t *rgb, float *pixels, struct error *err);

/* The same from pixels, RGB or CMYK, which stay as they are. */
MUST_CHECK enum status prepare_picture(const struct picture *p,
    const struct clip_preparation *how, uint8_t *rgb, float *pixels, struct error *err);

#endif
