/* jpeg.h - JPEG files to pixels, over libjpeg-turbo; picture.h is what others include. */
#ifndef COLLECTORS_SOURCE_JPEG_H
#define COLLECTORS_SOURCE_JPEG_H

#include "collectors/source/picture.h"

#define JPEG_MAX_SCANS 500 /* a progressive file with more is made to waste time */

/* As picture_decode(); CMYK stays CMYK, *orientation is EXIF's (1 where it says none). */
MUST_CHECK enum status jpeg_decode(const void *bytes, size_t len, struct picture *out,
    int *orientation, struct error *err);

#endif
