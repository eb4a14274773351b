/* weights.h - tensors of a checkpoint as the towers keep them: packed or copied, so that the
 * pages of the file can go. */
#ifndef ANNOTATE_CLIP_WEIGHTS_H
#define ANNOTATE_CLIP_WEIGHTS_H

#include "annotate/clip/linear.h"
#include "annotate/clip/tensors.h"
#include "m4a1/base/error.h"

/* From where and for whom; in the thread of the lane. */
struct weights {
    struct tensors *tensors;
    struct linear_lane *lane;
    int bf16;
};

/* Gain and bias of a layer normalisation. */
struct norm {
    float *gain, *bias; /* [width], owned */
    size_t width;
    float eps;
};

/* E_DATA where there is a tensor `name`, which the config's field, a count, leaves out. */
MUST_CHECK enum status weights_none(const struct weights *w, const char *name,
    const char *field, uint32_t count, struct error *err);

/* A copy of the vector or matrix `name`, owned by the caller. */
MUST_CHECK enum status weights_copy(const struct weights *w, const char *name,
    const uint64_t *dims, size_t n_dims, float **out, struct error *err);

/* prefix.weight and prefix.bias. */
MUST_CHECK enum status weights_norm(const struct weights *w, const char *prefix,
    size_t width, float eps, struct norm *out, struct error *err);
void norm_release(struct norm *norm);

/* The linear layers prefixes[n] (each [n_out / n][n_in] with its bias) as one product.
 * The caller fills n_in, n_out and form of spec. */
MUST_CHECK enum status weights_linear(const struct weights *w, struct linear_spec spec,
    const char *const *prefixes, size_t n, struct linear **out, struct error *err);

/* A matrix without bias, named in full; its columns may have several dims.  float32 even in
 * bfloat16 where spec says so. */
MUST_CHECK enum status weights_matrix(const struct weights *w, struct linear_spec spec,
    const char *name, const uint64_t *dims, size_t n_dims, struct linear **out,
    struct error *err);

#endif
