/* clip_checkpoint.h - CLIP folders with random weights, for tests and benchmarks.
 *
 * A folder as users download it: model.safetensors (or shards with their index),
 * config.json, preprocessor_config.json, vocab.json and merges.txt.  The weights are such
 * that activations stay near 1 in any geometry; the same seed gives the same values
 * in every type and number of shards (rounded to the type). */
#ifndef TESTS_SUPPORT_CLIP_CHECKPOINT_H
#define TESTS_SUPPORT_CLIP_CHECKPOINT_H

#include <stdint.h>
#include "annotate/clip/checkpoint.h"

/* Merges of the tiny vocabulary; with the 512 bytes and the two marks, the least vocab. */
#define CLIP_CHECKPOINT_N_MERGES 12
#define CLIP_CHECKPOINT_MIN_VOCAB (512 + CLIP_CHECKPOINT_N_MERGES + 2)

struct clip_checkpoint {
    struct clip_config config; /* vocab >= CLIP_CHECKPOINT_MIN_VOCAB; rows beyond it are
                                  filled up; SOT is vocab - 2, EOT vocab - 1 */
    enum tensor_type type;     /* TENSOR_F32, TENSOR_F16 or TENSOR_BF16 */
    unsigned n_shards;         /* 0 = one file without an index */
    int old_style;             /* preprocessor_config.json with plain numbers */
    int misplaced;             /* tensors start at odd addresses */
    uint64_t seed;
};

/* Small: image 32, patch 8, widths 48 and 32, 3 and 2 heads, 2 layers, projection 24. */
struct clip_checkpoint clip_checkpoint_small(void);

/* The geometry of openai/clip-vit-base-patch32 or -large-patch14, vocabulary 49408. */
struct clip_checkpoint clip_checkpoint_b32(void);
struct clip_checkpoint clip_checkpoint_l14(void);

/* Write the folder, which is made; aborts with a message on failure. */
void clip_checkpoint_write(const char *dir, const struct clip_checkpoint *how);

#endif
