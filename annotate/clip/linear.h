/* linear.h - y = activation(x W^T + b), on oneDNN: the one place that knows the library.
 *
 * Weights are packed once, into the layout that oneDNN's matrix product wants; a product is
 * then made for each number of rows that occurs, and kept.  All that takes a struct
 * linear_lane runs in the thread of that lane, and that thread must have called
 * linear_thread_init() first, so that oneDNN never starts threads of its own.
 *
 * Letters: M rows, K inputs, N outputs. */
#ifndef ANNOTATE_CLIP_LINEAR_H
#define ANNOTATE_CLIP_LINEAR_H

#include <stddef.h>
#include "m4a1/base/error.h"

struct linear_engine; /* one a model */
struct linear_lane;   /* one a thread: its products */
struct linear;        /* packed weights and bias, read by all threads */

/* How a product takes and gives its numbers. */
enum linear_form {
    LINEAR_PLAIN,      /* y = x W^T + b */
    LINEAR_ADD,        /* y += x W^T + b; y is float32 always */
    LINEAR_QUICK_GELU, /* y = z * sigmoid(1.702 z), z = x W^T + b */
    LINEAR_GELU,       /* y = z * Phi(z) */
};

struct linear_spec {
    size_t n_in, n_out;
    enum linear_form form;
    int bf16;     /* x and W are bfloat16, the sum is float32 */
    int bf16_out; /* y is bfloat16, too */
};

/* A part of a matrix: n_out rows of spec->n_in weights and as many biases (NULL = none).
 * The parts of one linear stand below each other. */
struct linear_part {
    const float *weight, *bias;
    size_t n_out;
};

/* bf16: whether products in bfloat16 are wanted; E_ARG where the processor has none. */
MUST_CHECK enum status linear_engine_new(
    int bf16, struct linear_engine **out, struct error *err);
void linear_engine_free(struct linear_engine *e); /* after its lanes and linears */

void linear_thread_init(void);

MUST_CHECK enum status linear_lane_new(
    struct linear_engine *e, struct linear_lane **out, struct error *err);
void linear_lane_free(struct linear_lane *lane); /* NULL is fine */

/* Pack parts, whose n_out sum up to spec->n_out; all of them have biases or none has. */
MUST_CHECK enum status linear_new(struct linear_lane *lane,
    const struct linear_spec *spec, const struct linear_part *parts, size_t n_parts,
    struct linear **out, struct error *err);
void linear_free(struct linear *l); /* NULL is fine */

/* x [M][K], y [M][N], rows without padding; float32 or bfloat16 as the spec says. */
MUST_CHECK enum status linear_run(struct linear_lane *lane, const struct linear *l,
    const void *x, void *y, size_t n_rows, struct error *err);

#endif
