/* tensors.h - the weights of a checkpoint folder, mapped from its safetensors files.
 *
 * Reads model.safetensors or, where there is none, model.safetensors.index.json with its
 * shards.  Files are mapped read-only and checked in full when they are opened
 * (safetensors.h); they must not be changed while they are open, as with any mapped file.
 * Looking up is safe from several threads; tensors_f32() and tensors_drop() are not. */
#ifndef ANNOTATE_CLIP_TENSORS_H
#define ANNOTATE_CLIP_TENSORS_H

#include <stddef.h>
#include <stdint.h>
#include "annotate/clip/safetensors.h"
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"

#define TENSORS_MAX_SHARDS 256

struct tensors; /* opaque, defined in tensors.c */

/* Open the weights in folder dir.  *out is freed with tensors_close(); NULL on failure.
 * E_NOT_FOUND where no weights are there (a folder with pytorch_model.bin only is told how
 * to convert them); E_DATA for a broken file, for a shard that the index names outside of
 * dir, and where the index and its shards disagree about any tensor. */
MUST_CHECK enum status tensors_open(
    const char *dir, struct tensors **out, struct error *err);
void tensors_close(struct tensors *t); /* NULL is fine; invalidates all it gave out */

size_t tensors_count(const struct tensors *t);
const struct tensor *tensors_at(const struct tensors *t, size_t i); /* by name */
const struct tensor *tensors_find(
    const struct tensors *t, const char *name); /* or NULL */

/* The file that has a tensor, or NULL. */
const char *tensors_path(const struct tensors *t, const char *name);

/* E_DATA where a file was written to since it was opened, so that what is mapped is no longer
 * what was hashed.  One that was replaced or removed stays mapped as it was. */
MUST_CHECK enum status tensors_unchanged(const struct tensors *t, struct error *err);

/* The numbers of a tensor as float32, row-major, valid until tensors_drop() or
 * tensors_close().  An F32 tensor at a multiple of 4 bytes is borrowed from the file; F16,
 * BF16 and misplaced F32 are converted once, exactly, into memory owned by t.
 * dims[n_dims] is the shape that is expected; n_dims is 0 for a single number.
 * E_DATA, naming the tensor, what was expected and what is there: it is missing, of another
 * shape, of another type than F32, F16 or BF16, or has a value that is not finite (one NaN
 * in a weight makes every embedding NaN).  E_NOMEM. */
MUST_CHECK enum status tensors_f32(struct tensors *t, const char *name,
    const uint64_t *dims, size_t n_dims, const float **out, struct error *err);

/* Give back the memory of a tensor whose numbers were copied elsewhere: frees what was
 * converted, and lets the system take back the pages of the file.  What tensors_f32() gave
 * for it is no longer valid, but may be asked for again.  An unknown name does nothing. */
void tensors_drop(struct tensors *t, const char *name);

/* SHA-256 of the weights, in hexadecimal.  One file: of the file, as sha256sum prints it.
 * Shards: of the lines "<sha256>\n" of all shards in the order of their file names.  Reads
 * every byte (about 1.5 GB/s), the first time only. */
MUST_CHECK enum status tensors_sha256(
    struct tensors *t, char out[HASH_HEX], struct error *err);

#endif
