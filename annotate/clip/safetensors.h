/* safetensors.h - the header of one safetensors file, checked in full.
 *
 * Layout: 8 bytes little-endian length, that many bytes of JSON, then the tensors' bytes
 * (https://huggingface.co/docs/safetensors).  Nothing is copied: tensors point into the
 * bytes given.  It knows neither files nor CLIP. */
#ifndef ANNOTATE_CLIP_SAFETENSORS_H
#define ANNOTATE_CLIP_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

/* The format allows 100 MB of header; a tensor takes some 120 bytes of it, so this is room
 * for 60,000, and bounds what a hostile header can make us allocate. */
#define SAFETENSORS_MAX_HEADER ((uint64_t)8 << 20)
#define SAFETENSORS_MAX_TENSORS 65536
#define TENSOR_MAX_DIMS 8

enum tensor_type {
    TENSOR_BOOL,
    TENSOR_U8,
    TENSOR_I8,
    TENSOR_F8_E5M2,
    TENSOR_F8_E4M3,
    TENSOR_F8_E8M0,
    TENSOR_I16,
    TENSOR_U16,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_I32,
    TENSOR_U32,
    TENSOR_F32,
    TENSOR_F64,
    TENSOR_I64,
    TENSOR_U64,
    TENSOR_C64,
};

struct tensor {
    char *name; /* owned */
    enum tensor_type type;
    size_t n_dims;                  /* 0 = a single number */
    uint64_t dims[TENSOR_MAX_DIMS]; /* outermost first, row-major */
    const uint8_t *data;            /* in the file's bytes; of any alignment */
    uint64_t n_bytes;
};

const char *tensor_type_name(enum tensor_type type); /* "F32" */
unsigned tensor_type_bytes(enum tensor_type type);   /* of one number */

/* "F16 [48, 32]" into buf, which is returned; [] for a single number. */
const char *tensor_text(
    enum tensor_type type, const uint64_t *dims, size_t n_dims, char *buf, size_t size);

/* Check len bytes as one file.  name starts every message.  Refused with E_DATA, naming
 * the tensor: broken JSON, a name twice, an unknown type, more than TENSOR_MAX_DIMS
 * dimensions, a size that overflows or differs from the type and shape, and bytes that
 * overlap, run out or belong to no tensor; "__metadata__" holds texts only.  On success
 * *out holds *n tensors in the order of their bytes, for safetensors_free(). */
MUST_CHECK enum status safetensors_parse(const uint8_t *bytes, uint64_t len,
    const char *name, struct tensor **out, size_t *n, struct error *err);
void safetensors_free(struct tensor *tensors, size_t n); /* NULL is fine */

#endif
