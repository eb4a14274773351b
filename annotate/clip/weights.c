/* weights.c - looking up by name, checking the shape, packing, letting the pages go. */
#include "annotate/clip/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 128
#define MAX_PARTS 3

enum status weights_none(const struct weights *w, const char *name, const char *field,
    uint32_t count, struct error *err)
{
    const char *path = tensors_path(w->tensors, name);
    return path ? error_set(err, E_DATA,
                      "%s: there is a tensor \"%s\", but %s is %u.  Does config.json "
                      "belong to these weights?",
                      path, name, field, count)
                : OK;
}

enum status weights_copy(const struct weights *w, const char *name, const uint64_t *dims,
    size_t n_dims, float **out, struct error *err)
{
    const float *x = NULL;
    *out = NULL;
    enum status s = tensors_f32(w->tensors, name, dims, n_dims, &x, err);
    if (s)
        return s;
    size_t n = 1;
    for (size_t i = 0; i < n_dims; i++)
        n *= (size_t)dims[i];
    *out = malloc(n * sizeof **out);
    if (!*out)
        return error_nomem(err, n * sizeof **out);
    memcpy(*out, x, n * sizeof **out);
    tensors_drop(w->tensors, name);
    return OK;
}

enum status weights_norm(const struct weights *w, const char *prefix, size_t width,
    float eps, struct norm *out, struct error *err)
{
    char name[MAX_NAME];
    const uint64_t dims[1] = { width };
    *out = (struct norm) { .width = width, .eps = eps };
    snprintf(name, sizeof name, "%s.weight", prefix);
    enum status s = weights_copy(w, name, dims, 1, &out->gain, err);
    snprintf(name, sizeof name, "%s.bias", prefix);
    if (s == OK)
        s = weights_copy(w, name, dims, 1, &out->bias, err);
    if (s)
        norm_release(out);
    return s;
}

void norm_release(struct norm *norm)
{
    free(norm->gain);
    free(norm->bias);
    *norm = (struct norm) { 0 };
}

enum status weights_linear(const struct weights *w, struct linear_spec spec,
    const char *const *prefixes, size_t n, struct linear **out, struct error *err)
{
    char names[MAX_PARTS][2][MAX_NAME];
    struct linear_part parts[MAX_PARTS] = { { 0 } };
    const uint64_t dims[2] = { spec.n_out / n, spec.n_in };
    enum status s = OK;
    *out = NULL;
    for (size_t i = 0; i < n && s == OK; i++) {
        snprintf(names[i][0], MAX_NAME, "%s.weight", prefixes[i]);
        snprintf(names[i][1], MAX_NAME, "%s.bias", prefixes[i]);
        parts[i].n_out = spec.n_out / n;
        s = tensors_f32(w->tensors, names[i][0], dims, 2, &parts[i].weight, err);
        if (s == OK)
            s = tensors_f32(w->tensors, names[i][1], dims, 1, &parts[i].bias, err);
    }
    spec.bf16 = w->bf16;
    if (s == OK)
        s = linear_new(w->lane, &spec, parts, n, out, err);
    for (size_t i = 0; i < n && s == OK; i++) {
        tensors_drop(w->tensors, names[i][0]);
        tensors_drop(w->tensors, names[i][1]);
    }
    return s;
}

enum status weights_matrix(const struct weights *w, struct linear_spec spec,
    const char *name, const uint64_t *dims, size_t n_dims, struct linear **out,
    struct error *err)
{
    struct linear_part part = { .n_out = spec.n_out };
    *out = NULL;
    enum status s = tensors_f32(w->tensors, name, dims, n_dims, &part.weight, err);
    if (s == OK)
        s = linear_new(w->lane, &spec, &part, 1, out, err);
    if (s == OK)
        tensors_drop(w->tensors, name);
    return s;
}
