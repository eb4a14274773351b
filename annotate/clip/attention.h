/* attention.h - softmax(Q K^T / sqrt(d)) V, head by head, over one sequence.
 *
 * Letters: T positions, H heads, d width of a head, W = H d. */
#ifndef ANNOTATE_CLIP_ATTENTION_H
#define ANNOTATE_CLIP_ATTENTION_H

#include <stddef.h>
#include "annotate/clip/tower_kernels.h"

struct attention_shape {
    size_t n_heads, head_width;
    int causal; /* position t sees positions 0 to t only */
};

/* Floats of scratch memory that sequences of up to n_positions need. */
size_t attention_scratch(const struct attention_shape *shape, size_t n_positions);

/* Attend from positions [first, end) to all of them.
 *   qkv  [T][3 W], a row is the query, the key, the value of a position, heads in order
 *   out  [end - first][W]
 * Threads may work on parts of one sequence, each with its own scratch. */
void attention_run(const struct kernels *k, const struct attention_shape *shape,
    const float *qkv, size_t n_positions, size_t first, size_t end, float *scratch,
    float *out);

#endif
