/* resample.h - the one way in which the toolkit changes the size of a picture.
 *
 * Antialiased bicubic interpolation (a = -0.5; the filter widens by the scale when
 * shrinking), horizontal then vertical, each pass rounded to 8 bits, coefficients in
 * 22-bit fixed point.  Bit by bit what Pillow's Image.resize(..., BICUBIC) gives, since
 * CLIP's published preparation is made with it. */
#ifndef COLLECTORS_SOURCE_RESAMPLE_H
#define COLLECTORS_SOURCE_RESAMPLE_H

#include "collectors/source/picture.h"

/* A new picture of width x height from all of src, any number of channels; a pass whose
 * size does not change is left out, so the same size gives a copy.  out is the caller's,
 * {0} on failure.  E_DATA for a size that picture_new() refuses; E_NOMEM. */
MUST_CHECK enum status picture_resample(const struct picture *src, int width, int height,
    struct picture *out, struct error *err);

#endif
