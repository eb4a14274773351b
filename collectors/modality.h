/* modality.h - how a view of each kind is said: a label, then texts, pictures or sound.
 *
 * One row of a table for every kind of schema/view.h.  A row knows no store, no limits and
 * no wire format: what may be sent is accepts.h's to say, how a part looks in a body the
 * protocol's.  docs/adding-a-modality.md walks through an example. */
#ifndef COLLECTORS_MODALITY_H
#define COLLECTORS_MODALITY_H

#include <stddef.h>
#include <stdint.h>
#include "collectors/dialogue.h"
#include "m4a1/base/error.h"
#include "schema/view.h"

/* What a view shows: one frame, or the sampled frames of a video in time order. */
struct modality_frame {
    const char *text;    /* where the kind is text: the frame's bytes, a C string */
    struct frame *frame; /* else the frame; borrowed */
    int64_t offset_ms;   /* after the session's instant */
    int64_t duration_ms; /* of sound */
};

struct modality_view {
    const char *name;
    const struct modality_frame *frames; /* [n_frames], at least 1 */
    size_t n_frames;
};

struct modality {
    const char *media_type; /* what the types of its frames begin with: "image/" */
    const char *what;       /* a frame of it, for messages: "an image" */
    int is_text;            /* its frames are given as text */
    /* Put the view at the end of a message, by dialogue_say() and dialogue_show(). */
    enum status (*say)(
        const struct modality_view *view, struct dialogue_message *m, struct error *err);
};

extern const struct modality modalities[N_VIEW_KINDS]; /* by kind */

#endif
