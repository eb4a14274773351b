/* video.h - frames of a local video file at given instants.
 *
 * Containers: MP4 and QuickTime, Matroska and WebM, AVI, MPEG-TS and MPEG-PS; the codecs
 * that cameras write (VIDEO_CODECS in video.c).  Nothing but the file itself is opened:
 * no network, no playlists, no references from one file to another.
 *
 * Time 0 is the first frame.  What a video shows at t is the last frame whose time is at
 * or before t; it is shown until the next one, the last one for its own duration.
 *
 * Colours are converted as the stream says (matrix, range); where it says nothing, BT.709
 * from 720 lines on and BT.601 below.  High dynamic range is not tone-mapped; alpha is
 * dropped.  Rotation, mirroring and non-square pixels are undone.  A handle belongs to one
 * thread at a time. */
#ifndef COLLECTORS_SOURCE_VIDEO_H
#define COLLECTORS_SOURCE_VIDEO_H

#include <stdint.h>
#include "collectors/source/picture.h"

struct video;

/* Open the first video stream of a file and read its first frame.  Messages give the
 * reason and leave the file's name to the caller.  E_DATA: no container or codec of the
 * list, no video, broken, too large; E_IO, E_NOT_FOUND, E_NOMEM. */
MUST_CHECK enum status video_open(
    const char *path, struct video **out, struct error *err);
void video_close(struct video *v); /* NULL is fine */

/* The time from the first frame to the end of the last, from every packet of the file
 * (no decoding, so it is exact and costs one reading). */
MUST_CHECK enum status video_duration(
    struct video *v, int64_t *duration_ms, struct error *err);

/* The picture shown at at_ms, upright RGB, owned by the caller.  Instants in rising order
 * cost one pass; any order works.  E_DATA where the instant lies beyond the end (the
 * message has both times) or the data on the way there is damaged. */
MUST_CHECK enum status video_frame_at(
    struct video *v, int64_t at_ms, struct picture *out, struct error *err);

#endif
