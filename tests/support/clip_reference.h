/* clip_reference.h - the two towers as one would write them on a blackboard: plain loops in
 * double over whole sequences, one input at a time, straight from the tensors.  What the
 * fast towers are tested against. */
#ifndef TESTS_SUPPORT_CLIP_REFERENCE_H
#define TESTS_SUPPORT_CLIP_REFERENCE_H

#include <stddef.h>
#include <stdint.h>
#include "annotate/clip/checkpoint.h"
#include "annotate/clip/tensors.h"

/* Sees every stage; NULL for none.  Names are those of golden/clip/embeddings/activations
 * without their "image_" or "text_": "conv1", "embeddings", "pre_ln", "block0", "block0_ln1",
 * "block0_attn", "block0_attn_out", "block0_ln2", "block0_fc1", "block0_gelu",
 * "block0_mlp_out", "post_ln", "final_ln", "proj". */
typedef void clip_reference_see(
    void *arg, const char *stage, const double *data, size_t n_rows, size_t width);

/* out [projection].  Abort when a tensor is missing. */
void clip_reference_image(struct tensors *t, const struct clip_config *config,
    const float *pixels, clip_reference_see *see, void *arg, double *out);
void clip_reference_text(struct tensors *t, const struct clip_config *config,
    const int32_t *ids, size_t n, clip_reference_see *see, void *arg, double *out);

#endif
