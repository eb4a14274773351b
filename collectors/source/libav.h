/* libav.h - what png.c and video.c share in their use of libavcodec. */
#ifndef COLLECTORS_SOURCE_LIBAV_H
#define COLLECTORS_SOURCE_LIBAV_H

/* libav writes to standard error unless told otherwise, and the library never prints.
 * Call before anything else of libav; any thread, any number of times. */
void libav_silence(void);

#endif
