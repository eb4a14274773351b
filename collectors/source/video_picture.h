/* video_picture.h - one decoded video frame as a picture; video.h is what others include. */
#ifndef COLLECTORS_SOURCE_VIDEO_PICTURE_H
#define COLLECTORS_SOURCE_VIDEO_PICTURE_H

#include <libavformat/avformat.h>
#include "collectors/source/picture.h"

/* Convert to RGB, make pixels square, turn and mirror as the stream says. */
MUST_CHECK enum status video_picture(
    const AVStream *stream, const AVFrame *frame, struct picture *out, struct error *err);

/* A display matrix (nine numbers, libavutil/display.h) as an EXIF orientation; angles
 * between the quarter turns count as the nearest. */
int video_orientation(const int32_t matrix[9]);

#endif
