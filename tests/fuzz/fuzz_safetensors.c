/* fuzz_safetensors.c - the reader of weights on any bytes: the tensors that it gives lie
 * within the file, cover the bytes behind its header once and have the size that their
 * types and shapes ask for. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/clip/half.h"
#include "annotate/clip/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_size(const struct tensor *t)
{
    uint64_t n = t->n_bytes, unit = tensor_type_bytes(t->type);
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] == 0) {
            if (t->n_bytes)
                abort();
            return;
        }
    }
    for (size_t i = t->n_dims; i-- > 0;) {
        if (n % t->dims[i])
            abort();
        n /= t->dims[i];
    }
    if (n != unit)
        abort();
}

/* Touches every byte that the tensor says is its own. */
static void widen(const struct tensor *t)
{
    size_t n = (size_t)t->n_bytes / 2;
    float *out = malloc(n * sizeof *out + 1);
    if (!out)
        return;
    half_to_float(t->data, n, out);
    bfloat_to_float(t->data, n, out);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tensor *tensors = NULL;
    size_t n = 0;
    struct error err = ERROR_INIT;
    enum status s = safetensors_parse(data, len, "f", &tensors, &n, &err);
    if ((s == OK) != (err.msg[0] == '\0') || (s == OK) != (tensors != NULL))
        abort();
    const uint8_t *at = n ? tensors[0].data : NULL;
    for (size_t i = 0; i < n; i++) {
        char text[64];
        const struct tensor *t = &tensors[i];
        if (t->data != at || t->data < data + 8 || t->n_dims > TENSOR_MAX_DIMS ||
            t->n_bytes > (uint64_t)(data + len - t->data))
            abort();
        at += t->n_bytes;
        check_size(t);
        widen(t);
        if (strlen(tensor_text(t->type, t->dims, t->n_dims, text, sizeof text)) < 4)
            abort();
    }
    if (n && at != data + len)
        abort();
    safetensors_free(tensors, n);
    return 0;
}
