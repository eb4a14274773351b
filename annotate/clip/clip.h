/* clip.h - texts and images to embeddings, from a CLIP folder as users download it.
 *
 *     clip_open("clip-vit-base-patch32", &(struct clip_options) { 0 }, &clip, err)
 *     clip_embed_texts(clip, prompts, n, out, err)      out [n][projection]
 *     clip_embed_images(clip, pixels, n, out, err)      pixels [n][3][S][S]: prepare.h
 *     clip_cosine(a, b, projection)
 *
 * Embeddings are the projected ones, not normalised.  The same input gives the same bits
 * whatever stands beside it in a batch only where the shapes of the products are the same;
 * otherwise results differ by rounding (some 1e-6).
 *
 * A struct clip holds its own threads, which sleep while there is nothing to embed.  Calls
 * from several threads are taken one after another. */
#ifndef ANNOTATE_CLIP_CLIP_H
#define ANNOTATE_CLIP_CLIP_H

#include <stddef.h>
#include <stdint.h>
#include "annotate/clip/checkpoint.h"
#include "m4a1/base/error.h"

struct clip; /* opaque, defined in clip.c */

struct clip_options {
    unsigned n_threads; /* 0 = one a processor */
    int bf16;           /* products in bfloat16; part of the identity */
    unsigned no_images; /* leave the image tower out, where only texts are embedded */
    unsigned no_texts;  /* leave the text tower out */
};

/* Open folder dir; the weights are read, checked and packed, which takes a second or two for
 * ViT-L/14.  *out is freed with clip_close(), NULL on failure.  E_NOT_FOUND, E_DATA as
 * tensors.h, checkpoint.h and tokenizer.h say; E_ARG for bf16 where the processor has no
 * instructions for it; E_NOMEM. */
MUST_CHECK enum status clip_open(const char *dir, const struct clip_options *options,
    struct clip **out, struct error *err);
void clip_close(struct clip *clip); /* NULL is fine */

const struct clip_config *clip_config(const struct clip *clip);
const struct clip_preparation *clip_preparation(const struct clip *clip);
const char *clip_identity(const struct clip *clip); /* 64 hexadecimal digits */

/* Embed n texts (UTF-8) into out [n][projection].  Longer ones than the context are cut, as
 * the original does on request.  E_ARG without a text tower; what clip_tokenize() returns;
 * E_NOMEM. */
MUST_CHECK enum status clip_embed_texts(
    struct clip *clip, const char *const *texts, size_t n, float *out, struct error *err);

/* The same from token ids: text i has ids [ends[i - 1], ends[i]) (from 0 for the first), each
 * 1 to context long.  The embedding is that of its last token, since the tower is causal and
 * clip_tokenize() ends with the end token.  E_ARG for an id beyond the vocabulary. */
MUST_CHECK enum status clip_embed_tokens(struct clip *clip, const int32_t *ids,
    const size_t *ends, size_t n, float *out, struct error *err);

/* Embed n prepared images, pixels [n][3][image_size][image_size], into
 * out [n][projection].  E_ARG without an image tower; E_NOMEM. */
MUST_CHECK enum status clip_embed_images(
    struct clip *clip, const float *pixels, size_t n, float *out, struct error *err);

/* Scale to length 1, in place.  A vector of length 0 stays. */
void clip_normalise(float *x, size_t n);

/* The cosine of two vectors of n numbers, computed in double, in [-1, 1]; NaN where one has
 * length 0. */
double clip_cosine(const float *a, const float *b, size_t n);

#endif
