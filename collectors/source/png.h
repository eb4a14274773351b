/* png.h - PNG files to pixels, over libavcodec; picture.h is what others include. */
#ifndef COLLECTORS_SOURCE_PNG_H
#define COLLECTORS_SOURCE_PNG_H

#include "collectors/source/picture.h"

/* As picture_decode(), always RGB; *orientation is that of an eXIf chunk, else 1. */
MUST_CHECK enum status png_decode(const void *bytes, size_t len, struct picture *out,
    int *orientation, struct error *err);

#endif
