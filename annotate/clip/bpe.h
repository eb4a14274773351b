/* bpe.h - byte-level byte-pair encoding of one word (Sennrich et al. 2016), as bpe() of
 * openai/CLIP's simple_tokenizer.py: the last byte of a word has symbols of its own.
 *
 * Knows ids only; vocabulary.h gives them.  Read-only once it is built. */
#ifndef ANNOTATE_CLIP_BPE_H
#define ANNOTATE_CLIP_BPE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

/* One merge: left and right, side by side, become merged, which is neither of them.  Its
 * place in the list is its rank; the least rank goes first. */
struct bpe_merge {
    int32_t left, right, merged;
    uint32_t rank; /* filled by bpe_new() */
};

struct bpe; /* opaque */

/* Build from n merges in the order of their ranks, which are taken over (malloc; freed also
 * on failure, sorted anew).
 *   inner, last   ids of each byte within a word, and at its end
 *   n_ids         all ids are in [0, n_ids)
 * E_DATA, with its number from 1 on, for a merge that stands in the list before. */
MUST_CHECK enum status bpe_new(struct bpe_merge *merges, size_t n,
    const int32_t inner[256], const int32_t last[256], uint32_t n_ids, struct bpe **out,
    struct error *err);
void bpe_free(struct bpe *bpe); /* NULL is fine */

/* Ids of a word of len bytes, 1 to 2^30; n log n in time.  At most max are written to ids;
 * *n is how many those are. */
MUST_CHECK enum status bpe_encode(const struct bpe *bpe, const uint8_t *word, size_t len,
    int32_t *ids, size_t max, size_t *n, struct error *err);

#endif
