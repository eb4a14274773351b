/* frame_feed.h - stored frames as the image tower takes them, a batch at a time.
 *
 * The caller's thread reads the store; workers decode and resize the next batches while
 * the caller embeds the one at hand. */
#ifndef ANNOTATE_FRAME_FEED_H
#define ANNOTATE_FRAME_FEED_H

#include <stddef.h>
#include <stdint.h>
#include "annotate/clip/checkpoint.h"
#include "m4a1/base/error.h"
#include "schema/store.h"

#define FRAME_FEED_BATCH 8 /* from here on the towers are near their best rate */

struct frame_feed;

/* One batch.  Frames that cannot be decoded stand in none; broken tells of the first. */
struct frame_batch {
    int64_t frame_ids[FRAME_FEED_BATCH];
    const float *pixels; /* [n][3][S][S], valid until the next frame_feed_next() */
    size_t n;            /* may be 0 where all were broken */
    size_t n_broken;
    struct error broken;
};

/* frame_ids[n] and how must live as long as the feed; the store stays the caller's, who
 * uses it between the calls. */
MUST_CHECK enum status frame_feed_open(struct store *store, const int64_t *frame_ids,
    size_t n, const struct clip_preparation *how, unsigned n_workers,
    struct frame_feed **out, struct error *err);

/* The next batch; the same numbers make the same batches.  *has_batch is 0 at the end. */
MUST_CHECK enum status frame_feed_next(struct frame_feed *feed, struct frame_batch *batch,
    int *has_batch, struct error *err);

void frame_feed_close(struct frame_feed *feed); /* waits for the workers; NULL is fine */

#endif
