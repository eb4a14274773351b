/* encoder.h - the blocks that both towers are made of: pre-norm transformer blocks over any
 * number of sequences that lie behind each other, of any lengths.
 *
 *     x += attention(ln1(x)); x += fc2(activation(fc1(ln2(x))))
 *
 * Only one position of each sequence goes on to the projection, so in the last block only
 * that one is computed beyond keys and values.  Members of a team share the rows out between
 * them and meet once a block.
 *
 * Letters: R rows (positions of all sequences), S sequences, W width. */
#ifndef ANNOTATE_CLIP_ENCODER_H
#define ANNOTATE_CLIP_ENCODER_H

#include <stddef.h>
#include "annotate/clip/attention.h"
#include "annotate/clip/checkpoint.h"
#include "annotate/clip/tower_kernels.h"
#include "annotate/clip/linear.h"
#include "annotate/clip/probe.h"
#include "annotate/clip/team.h"
#include "annotate/clip/weights.h"
#include "m4a1/base/error.h"

/* One thread's part in a pass.  A failure is kept, and the rest of the work left out, so
 * that the others do not wait in vain. */
struct member {
    const struct kernels *kernels;
    struct linear_lane *lane;
    struct team *team;
    size_t rank, size;
    const struct clip_probe *probe; /* or NULL */
    enum status status;
    struct error err;
};

/* Memory for a pass, shared by its members. */
struct room {
    size_t n_rows, n_sequences; /* of this pass */
    size_t *ends;               /* [S] sequence i has rows [ends[i - 1], ends[i]) */
    size_t *pooled;             /* [S] the row that goes on */
    float *x;                   /* [R][W] */
    float *top;                 /* [S][W] what goes on, after the last block */
    void *input;                /* [R][W] what a product takes: float32 or bfloat16 */
    float *staged;              /* [R][W] float32 before it becomes bfloat16; or NULL */
    float *qkv[2];              /* [R][3 W] of even and of odd blocks; may be the same */
    void *hidden;               /* [R][max(mlp, widest)], float32 or bfloat16 */
    float **scratch;            /* [members] for attention, or one line of input */
    size_t max_rows, max_sequences, n_members;
};

struct encoder {
    struct clip_tower tower;
    struct attention_shape shape;
    int bf16;
    struct encoder_block *blocks; /* [tower.n_layers] */
};

/* Read the blocks prefix.encoder.layers.0 and so on. */
MUST_CHECK enum status encoder_load(const struct weights *w, const char *prefix,
    const struct clip_tower *tower, int causal, struct encoder *out, struct error *err);
void encoder_release(struct encoder *e); /* {0} is fine */

/* Memory for max_rows rows of max_sequences sequences of up to n_positions, for n_members
 * threads; hidden and scratch have lines of at least `widest` numbers. */
MUST_CHECK enum status room_new(const struct encoder *e, size_t max_rows,
    size_t max_sequences, size_t n_positions, size_t widest, size_t n_members,
    struct room *out, struct error *err);
void room_release(struct room *room); /* {0} is fine */

/* The rows, or sequences, that are this member's of n. */
void member_share(const struct member *m, size_t n, size_t *first, size_t *end);

/* y += or = x W^T of n_rows rows; nothing after a failure. */
void member_linear(
    struct member *m, const struct linear *l, const void *x, void *y, size_t n_rows);

/* Normalise rows into what a product takes (room->input's type). */
void member_norm(const struct member *m, const struct norm *norm, const float *x,
    size_t n_rows, float *staged, void *y);

void member_see(const struct member *m, const char *stage, size_t block, const void *data,
    size_t n_rows, size_t width);

/* Run all blocks on room->x, whose own rows the member has filled, and leave its own
 * sequences in room->top. */
void encoder_run(const struct encoder *e, struct member *m, struct room *room);

#endif
