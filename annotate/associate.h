/* associate.h - the association of every turn with every view that is an image.
 *
 * A whole pass over a store: prompts and frames that have no embedding of this checkpoint
 * get one, then every (turn, view) without a value gets the cosine of the two.  All is
 * committed in groups, so a pass that was stopped goes on where it was, and a second pass
 * computes nothing.  A view that is no image gets no row, and neither does one without a
 * frame. */
#ifndef ANNOTATE_ASSOCIATE_H
#define ANNOTATE_ASSOCIATE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include "annotate/clip/clip.h"
#include "annotate/embeddings.h"
#include "m4a1/base/error.h"
#include "m4a1/base/progress.h"
#include "schema/store.h"

struct associate_options {
    const char *dir;    /* the folder that clip was opened from: names a new model */
    int bf16;           /* as in clip_options: told in the facts */
    unsigned n_workers; /* threads that decode and resize; 0 = one a processor */
    const volatile sig_atomic_t *interrupted; /* NULL is fine; 1: stop after this batch */
    /* Shows how a part of the work goes on; NULL, or returning NULL, is fine. */
    struct progress *(*progress)(void *arg, const char *what, int64_t total);
    void *progress_arg;
};

struct associate_result {
    struct embeddings_model model;
    size_t n_texts, n_images; /* embedded by this pass */
    size_t n_values;          /* (turn, view) that got a value */
    size_t n_broken;          /* frames that cannot be decoded: views without a value */
    struct error broken;      /* the first of them */
    double images_s;          /* from the first frame to the last, in seconds */
    double towers_s;          /* of these: inside the image tower */
};

/* clip holds both towers; the store is open for writing.  The result is filled whatever is
 * returned.  E_PARTIAL where frames were broken; E_INTERRUPTED; E_DATA for a checkpoint
 * that gives no numbers; errors of the store. */
MUST_CHECK enum status associate_store(struct store *store, struct clip *clip,
    const struct associate_options *options, struct associate_result *result,
    struct error *err);

/* Only the last part: values for (turn, view) whose embeddings are there. */
MUST_CHECK enum status associate_derive(struct store *store,
    const struct embeddings_model *model, size_t *n_values, struct error *err);

#endif
