/* picture_size.h - the pixels of an encoded image, from its header alone.
 *
 * Enough to bill an image and to refuse bytes that are no picture; nothing is decoded. */
#ifndef M4A1_SIMULATE_PICTURE_SIZE_H
#define M4A1_SIMULATE_PICTURE_SIZE_H

#include <stddef.h>
#include <stdint.h>

/* Width and height in pixels of a JPEG, PNG, GIF or WebP.  Returns 1, or 0 where the
 * bytes are none of these, end before the size, or say a size of 0. */
int picture_size(const uint8_t *data, size_t len, int *width_px, int *height_px);

/* The media type that the first bytes stand for, like "image/png"; "" for none. */
const char *picture_type(const uint8_t *data, size_t len);

#endif
