/* passes.h - a batch of images or texts, cut into passes for the threads of a team.
 *
 * Whole passes are shared out: each thread takes items for itself, a few hundred rows at a
 * time.  What is left over when the items do not divide by the threads is computed by all of
 * them together, row by row, and so is a single item.
 *
 * Letters: an item is an image or a text; it has rows. */
#ifndef ANNOTATE_CLIP_PASSES_H
#define ANNOTATE_CLIP_PASSES_H

#include "annotate/clip/encoder.h"

/* One of the towers with its input, for the items of a batch. */
struct pass_kind {
    const void *tower, *input;
    size_t projection;
    /* Memory for passes of up to n_rows rows of n_items items. */
    enum status (*make_room)(const void *tower, size_t n_rows, size_t n_items,
        size_t n_members, struct room *out, struct error *err);
    void (*begin)(
        const struct pass_kind *kind, size_t first, size_t end, struct room *room);
    void (*run)(const struct pass_kind *kind, struct member *m, size_t first, size_t end,
        struct room *room, float *out);
    struct room *rooms; /* [passes_n_rooms()], {0} at first: kept from call to call */
};

struct passes; /* the threads, their products and their memory */

MUST_CHECK enum status passes_new(
    unsigned n_threads, int bf16, struct passes **out, struct error *err);
void passes_free(struct passes *p); /* NULL is fine */
size_t passes_n_rooms(const struct passes *p);

/* Run work(arg, lane) in a thread of the team; for loading. */
void passes_call(
    struct passes *p, void (*work)(void *arg, struct linear_lane *lane), void *arg);

/* Compute n items; rows [n + 1] counts the rows of all items before each.
 * out [n][projection].  One caller at a time. */
MUST_CHECK enum status passes_run(struct passes *p, const struct pass_kind *kind,
    const size_t *rows, size_t n, const struct clip_probe *probe, float *out,
    struct error *err);

#endif
