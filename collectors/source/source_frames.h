/* source_frames.h - one source file to the frames that are stored: what a worker does.
 *
 * First source_open() tells stills from videos and how long a video is; when the instants
 * of its scene are known, source_make() decodes, shrinks, encodes and hashes.  Knows no
 * store; different sources may be worked on side by side. */
#ifndef COLLECTORS_SOURCE_SOURCE_FRAMES_H
#define COLLECTORS_SOURCE_SOURCE_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/source/video.h"
#include "m4a1/base/hash.h"

/* One frame, exactly as it is stored and sent. */
struct source_frame {
    char sha256[HASH_HEX];
    int width, height;
    char *jpeg; /* owned */
    size_t len;
};

struct source {
    const char *path; /* the caller's */
    int is_video;
    struct video *video;         /* while it is open */
    int64_t duration_ms;         /* of a video, where it was asked for */
    struct source_frame *frames; /* [n_frames]: one for a still, one an instant else */
    size_t n_frames;
    struct error err; /* why there are no frames, or none from instant n_frames on */
};

/* Look what the file is.  A failure stays in source->err, here as below. */
void source_open(struct source *source, const char *path, int with_duration);

/* Make the frames: a still's one, or a video's at rising instants until one fails. */
void source_make(struct source *source, const int64_t *at_ms, size_t n_instants,
    int longest_side_px, int jpeg_quality);

void source_close(struct source *source);

/* The frame that stands for instant i, or NULL. */
const struct source_frame *source_frame(const struct source *source, size_t i);

#endif
