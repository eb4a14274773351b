/* embeddings.h - what checkpoints made of prompts and frames, as the store keeps it.
 *
 * A vector is kept as a checkpoint's tower gave it: float32, not normalised.  It belongs to
 * a model, which is a checkpoint with its precision (annotate/clip/checkpoint.h tells the
 * identity).  Whatever is asked for has to be there: nothing here computes. */
#ifndef ANNOTATE_EMBEDDINGS_H
#define ANNOTATE_EMBEDDINGS_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

#define EMBEDDINGS_NAME_MAX 128 /* bytes of a model's name, the closing NUL included */

struct embeddings_model {
    int64_t model_id;
    char name[EMBEDDINGS_NAME_MAX]; /* what association.model says */
    size_t dims;
};

/* The model of a checkpoint's identity.  E_NOT_FOUND where the store has none. */
MUST_CHECK enum status embeddings_find(struct store *store, const char *identity,
    struct embeddings_model *out, struct error *err);

/* The same; it is added where it is missing, under the name of the folder that it was read
 * from and the first digits of its identity ("clip-vit-base-patch32-3f2a90c1").
 *   facts  JSON text, kept for people */
MUST_CHECK enum status embeddings_add(struct store *store, const char *identity,
    const char *dir, size_t dims, const char *facts, struct embeddings_model *out,
    struct error *err);

/* What has no vector yet: different texts of prompts, by their length; frames of views that
 * are images, by their number.  Both lists are the caller's: embeddings_free_texts(),
 * free(). */
MUST_CHECK enum status embeddings_missing_texts(
    struct store *store, int64_t model_id, char ***texts, size_t *n, struct error *err);
void embeddings_free_texts(char **texts, size_t n);
MUST_CHECK enum status embeddings_missing_frames(struct store *store, int64_t model_id,
    int64_t **frame_ids, size_t *n, struct error *err);

/* Keep one vector[dims]; the caller holds the transaction.  E_DATA where a number is not
 * finite, which a broken checkpoint brings about. */
MUST_CHECK enum status embeddings_put_text(struct store *store,
    const struct embeddings_model *model, const char *text, const float *vector,
    struct error *err);
MUST_CHECK enum status embeddings_put_frame(struct store *store,
    const struct embeddings_model *model, int64_t frame_id, const float *vector,
    struct error *err);

/* Vector[dims] from the bytes of a row; E_DATA where their number is not 4 * dims. */
MUST_CHECK enum status embeddings_vector(
    const void *bytes, size_t len, size_t dims, float *vector, struct error *err);

/* A frame and how near it is to a vector. */
struct embeddings_near {
    int64_t frame_id;
    double cosine;
};

/* The n frames of the model that are nearest to vector[dims], nearest first, of equal ones
 * the first.  *n_found <= n; *n_frames is how many there are at all. */
MUST_CHECK enum status embeddings_nearest(struct store *store,
    const struct embeddings_model *model, const float *vector, size_t n,
    struct embeddings_near *out, size_t *n_found, size_t *n_frames, struct error *err);

#endif
