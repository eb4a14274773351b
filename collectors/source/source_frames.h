/* source_frames.h - one source file to the frames that are stored: what a worker does.
 *
 * First source_open() looks what the file is and how long it lasts; when the instants of
 * its scene are known, source_make() decodes, shrinks, encodes and hashes.  What a view's
 * kind takes:
 *   image  JPEG, PNG or a video, of which one frame an instant is taken
 *   video  a video, of which a clip of some frames is taken an instant
 *   text   UTF-8, one text for all instants
 *   audio  WAV, cut at each instant
 * Knows no store; different sources may be worked on side by side. */
#ifndef COLLECTORS_SOURCE_SOURCE_FRAMES_H
#define COLLECTORS_SOURCE_SOURCE_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/source/video.h"
#include "m4a1/base/hash.h"
#include "schema/view.h"

/* How the frames of a view are made. */
struct source_terms {
    enum view_kind kind;
    int longest_side_px, jpeg_quality;
    int clip_frames;       /* of a video view: frames an instant, at least 1 */
    int64_t clip_every_ms; /* from one of them to the next */
    int64_t audio_ms;      /* sound from an instant on; 0 = the whole file */
};

/* One frame, exactly as it is stored and sent. */
struct source_frame {
    char sha256[HASH_HEX];
    const char *media_type; /* a constant */
    int width, height;      /* pixels; 0 for text and sound */
    int64_t duration_ms;    /* of sound; -1 for all else */
    int64_t at_ms;          /* what the file shows then; 0 where it stands for all */
    char *bytes;            /* owned */
    size_t len;
};

struct source {
    const char *path; /* the caller's */
    struct source_terms terms;
    int is_timed;                /* it shows something else at each instant */
    struct video *video;         /* while it is open */
    int64_t duration_ms;         /* of a timed one, where it was asked for */
    struct source_frame *frames; /* [n_frames], at_ms rising */
    size_t n_frames;
    struct error err; /* why there are no frames, or none from some instant on */
};

/* Look what the file is.  A failure stays in source->err, here as below. */
void source_open(struct source *source, const char *path,
    const struct source_terms *terms, int with_duration);

/* Make the frames of rising instants, until one fails. */
void source_make(struct source *source, const int64_t *at_ms, size_t n_instants);

void source_close(struct source *source);

/* How many frames stand for an instant (parts of a clip; else one), and how long a part
 * lies behind the instant. */
int source_n_parts(const struct source *source);
int64_t source_offset_ms(const struct source *source, int part);

/* A part of what stands for an instant; NULL where not all of its parts were made. */
const struct source_frame *source_frame(
    const struct source *source, int64_t at_ms, int part);

#endif
