/* clip_ceiling.h - how long the products of a CLIP tower take and nothing else: no
 * attention, no layer normalisation, no activation, no bias.
 *
 * In float32, by annotate/clip/linear.h (oneDNN, packed weights), each thread with its share
 * of the rows.  Of the last block's rows only those that go on are computed, as our towers do it;
 * without that a tower of twelve blocks would have about 5 % more. */
#ifndef TESTS_SUPPORT_CLIP_CEILING_H
#define TESTS_SUPPORT_CLIP_CEILING_H

#include <stddef.h>
#include "annotate/clip/checkpoint.h"

struct clip_ceiling; /* opaque, defined in clip_ceiling.c */

/* n_patch_inputs: numbers of a patch, 0 = no patch projection.  Aborts on failure. */
struct clip_ceiling *clip_ceiling_new(
    const struct clip_tower *tower, size_t n_patch_inputs, unsigned n_threads);
void clip_ceiling_free(struct clip_ceiling *c);

/* Seconds for n_rows rows (positions) of n_items items, CPU time with one thread, else by the
 * clock.  The rows of a thread go through the
 * tower together or a few hundred at a time, whichever is faster. */
double clip_ceiling_run(struct clip_ceiling *c, size_t n_rows, size_t n_items);

#endif
