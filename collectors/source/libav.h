/* libav.h - what png.c and video.c share in their use of libavcodec. */
#ifndef COLLECTORS_SOURCE_LIBAV_H
#define COLLECTORS_SOURCE_LIBAV_H

#include "collectors/source/picture.h"

/* A second fence behind picture_check_size(); wider, because libav counts its padding. */
#define LIBAV_MAX_PIXELS (2 * (int64_t)PICTURE_MAX_PIXELS)

/* libav writes to standard error unless told otherwise, and the library never prints.
 * Call before anything else of libav; any thread, any number of times. */
void libav_silence(void);

#endif
