/* safetensors.c - the header of one safetensors file, checked in full. */
#include "annotate/clip/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

static const struct {
    const char *name;
    unsigned bytes;
} types[] = {
    [TENSOR_BOOL] = { "BOOL", 1 },
    [TENSOR_U8] = { "U8", 1 },
    [TENSOR_I8] = { "I8", 1 },
    [TENSOR_F8_E5M2] = { "F8_E5M2", 1 },
    [TENSOR_F8_E4M3] = { "F8_E4M3", 1 },
    [TENSOR_F8_E8M0] = { "F8_E8M0", 1 },
    [TENSOR_I16] = { "I16", 2 },
    [TENSOR_U16] = { "U16", 2 },
    [TENSOR_F16] = { "F16", 2 },
    [TENSOR_BF16] = { "BF16", 2 },
    [TENSOR_I32] = { "I32", 4 },
    [TENSOR_U32] = { "U32", 4 },
    [TENSOR_F32] = { "F32", 4 },
    [TENSOR_F64] = { "F64", 8 },
    [TENSOR_I64] = { "I64", 8 },
    [TENSOR_U64] = { "U64", 8 },
    [TENSOR_C64] = { "C64", 8 },
};

/* One file while it is read. */
struct reader {
    const char *file;
    const uint8_t *data; /* behind the header */
    uint64_t n_data;
    struct error *err;
};

const char *tensor_type_name(enum tensor_type type)
{
    return types[type].name;
}

unsigned tensor_type_bytes(enum tensor_type type)
{
    return types[type].bytes;
}

const char *tensor_text(
    enum tensor_type type, const uint64_t *dims, size_t n_dims, char *buf, size_t size)
{
    int n = snprintf(buf, size, "%s [", tensor_type_name(type));
    for (size_t i = 0; i < n_dims && n >= 0 && (size_t)n < size; i++)
        n += snprintf(buf + n, size - (size_t)n, "%s%" PRIu64, i ? ", " : "", dims[i]);
    if (n >= 0 && (size_t)n < size)
        snprintf(buf + n, size - (size_t)n, "]");
    return buf;
}

static enum status wrong(const struct reader *r, const char *tensor, const char *what)
{
    return error_set(r->err, E_DATA, "%s: tensor \"%.200s\": %s", r->file, tensor, what);
}

/* A count as the format has it: whole, not negative, exact in a double. */
static int read_count(const struct json *j, uint64_t *out)
{
    *out = 0;
    if (!json_is_int(j) || json_int(j, -1) < 0)
        return 0;
    *out = (uint64_t)json_int(j, 0);
    return 1;
}

static enum status read_type(
    const struct reader *r, const struct json *j, struct tensor *t)
{
    const char *name = json_text(j, NULL);
    if (!name)
        return wrong(r, t->name, "has no dtype");
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (strcmp(name, types[i].name) == 0) {
            t->type = (enum tensor_type)i;
            return OK;
        }
    }
    return error_set(r->err, E_DATA, "%s: tensor \"%.200s\": the type %.40s is unknown",
        r->file, t->name, name);
}

static enum status read_shape(
    const struct reader *r, const struct json *j, struct tensor *t)
{
    if (!json_is_array(j))
        return wrong(r, t->name, "has no shape");
    for (const struct json *d = json_first(j); d; d = json_next(d)) {
        if (t->n_dims == TENSOR_MAX_DIMS)
            return error_set(r->err, E_DATA,
                "%s: tensor \"%.200s\": has more than %d dimensions", r->file, t->name,
                TENSOR_MAX_DIMS);
        if (!read_count(d, &t->dims[t->n_dims++]))
            return wrong(r, t->name, "a dimension is not a whole number from 0 to 2^53");
    }
    return OK;
}

/* The size that type and shape ask for; 0 where it does not fit into 64 bits. */
static int size_of(const struct tensor *t, uint64_t *out)
{
    uint64_t n = tensor_type_bytes(t->type);
    int empty = 0;
    for (size_t i = 0; i < t->n_dims; i++)
        empty |= t->dims[i] == 0;
    for (size_t i = 0; i < t->n_dims && !empty; i++)
        if (__builtin_mul_overflow(n, t->dims[i], &n))
            return 0;
    *out = empty ? 0 : n;
    return 1;
}

static enum status read_place(
    const struct reader *r, const struct json *j, struct tensor *t)
{
    uint64_t begin, end, size = 0;
    const struct json *first = json_first(j), *second = json_next(first);
    if (!json_is_array(j) || json_size(j) != 2 || !read_count(first, &begin) ||
        !read_count(second, &end))
        return wrong(r, t->name, "data_offsets are not two whole numbers");
    if (begin > end || end > r->n_data)
        return error_set(r->err, E_DATA,
            "%s: tensor \"%.200s\": data_offsets %" PRIu64 " to %" PRIu64
            " are not within the %" PRIu64 " bytes behind the header; is the file "
            "downloaded in full?",
            r->file, t->name, begin, end, r->n_data);
    char shape[128];
    tensor_text(t->type, t->dims, t->n_dims, shape, sizeof shape);
    if (!size_of(t, &size))
        return error_set(r->err, E_DATA,
            "%s: tensor \"%.200s\": the size of %s does not fit into 64 bits", r->file,
            t->name, shape);
    if (size != end - begin)
        return error_set(r->err, E_DATA,
            "%s: tensor \"%.200s\": %s takes %" PRIu64
            " bytes, but its data_offsets hold %" PRIu64,
            r->file, t->name, shape, size, end - begin);
    t->data = r->data + begin;
    t->n_bytes = size;
    return OK;
}

static enum status read_tensor(
    const struct reader *r, const struct json *j, struct tensor *t)
{
    t->name = text_copy(json_key(j));
    if (!t->name)
        return error_nomem(r->err, strlen(json_key(j)));
    if (!json_is_object(j))
        return wrong(r, t->name, "is not described by an object");
    for (const struct json *m = json_first(j); m; m = json_next(m)) {
        const char *key = json_key(m);
        if (strcmp(key, "dtype") != 0 && strcmp(key, "shape") != 0 &&
            strcmp(key, "data_offsets") != 0)
            return error_set(r->err, E_DATA,
                "%s: tensor \"%.200s\": has the unknown field \"%.40s\"", r->file,
                t->name, key);
    }
    enum status s = read_type(r, json_get(j, "dtype"), t);
    if (!s)
        s = read_shape(r, json_get(j, "shape"), t);
    return s ? s : read_place(r, json_get(j, "data_offsets"), t);
}

static enum status check_metadata(const struct reader *r, const struct json *j)
{
    int ok = json_is_object(j);
    for (const struct json *m = json_first(j); ok && m; m = json_next(m))
        ok = json_is_string(m);
    return ok ? OK
              : error_set(r->err, E_DATA, "%s: __metadata__ is not an object of texts",
                    r->file);
}

/* An empty tensor comes before the one that begins where it lies. */
static int compare_places(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

/* The tensors, in order of their bytes, must cover the data exactly once. */
static enum status check_cover(
    const struct reader *r, const struct tensor *list, size_t n)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = (uint64_t)(list[i].data - r->data);
        if (begin < at)
            return error_set(r->err, E_DATA,
                "%s: tensor \"%.200s\": overlaps \"%.200s\", which ends at byte %" PRIu64
                " of the data",
                r->file, list[i].name, list[i - 1].name, at);
        if (begin > at)
            return error_set(r->err, E_DATA,
                "%s: tensor \"%.200s\": begins at byte %" PRIu64
                " of the data, but what is in front of it ends at %" PRIu64,
                r->file, list[i].name, begin, at);
        at += list[i].n_bytes;
    }
    return at == r->n_data ? OK
                           : error_set(r->err, E_DATA,
                                 "%s: the tensors end at byte %" PRIu64
                                 " of the data, the file at %" PRIu64,
                                 r->file, at, r->n_data);
}

static enum status read_header(
    const struct reader *r, const struct json *header, struct tensor **out, size_t *n)
{
    size_t n_members = json_size(header), n_read = 0;
    if (n_members > SAFETENSORS_MAX_TENSORS)
        return error_set(r->err, E_DATA, "%s: has %zu tensors, at most %d are taken",
            r->file, n_members, SAFETENSORS_MAX_TENSORS);
    struct tensor *list = calloc(n_members ? n_members : 1, sizeof *list);
    if (!list)
        return error_nomem(r->err, n_members * sizeof *list);
    enum status s = OK;
    for (const struct json *j = json_first(header); j && !s; j = json_next(j)) {
        if (strcmp(json_key(j), "__metadata__") == 0)
            s = check_metadata(r, j);
        else
            s = read_tensor(r, j, &list[n_read++]);
    }
    if (!s) {
        qsort(list, n_read, sizeof *list, compare_places);
        s = check_cover(r, list, n_read);
    }
    if (s) {
        safetensors_free(list, n_read);
        return s;
    }
    *out = list;
    *n = n_read;
    return OK;
}

enum status safetensors_parse(const uint8_t *bytes, uint64_t len, const char *name,
    struct tensor **out, size_t *n, struct error *err)
{
    *out = NULL;
    *n = 0;
    uint64_t n_header = 0;
    if (len < 8)
        return error_set(err, E_DATA,
            "%s: has %" PRIu64 " bytes, a safetensors file has at least 10", name, len);
    for (int i = 7; i >= 0; i--)
        n_header = n_header << 8 | bytes[i];
    if (n_header > len - 8)
        return error_set(err, E_DATA,
            "%s: not a safetensors file, or not downloaded in full: it says that its "
            "header has %" PRIu64 " bytes, but the file has %" PRIu64,
            name, n_header, len);
    if (n_header > SAFETENSORS_MAX_HEADER)
        return error_set(err, E_DATA,
            "%s: its header has %" PRIu64 " bytes, at most %" PRIu64 " are taken", name,
            n_header, SAFETENSORS_MAX_HEADER);
    if (n_header < 2 || bytes[8] != '{')
        return error_set(err, E_DATA,
            "%s: not a safetensors file: its header is not a JSON object", name);

    struct reader r = { name, bytes + 8 + n_header, len - 8 - n_header, err };
    struct json *header = NULL;
    char *where = text_format("%s: header", name);
    if (!where)
        return error_nomem(err, strlen(name));
    enum status s = json_parse(
        (const char *)bytes + 8, (size_t)n_header, where, JSON_UNIQUE_KEYS, &header, err);
    if (!s)
        s = read_header(&r, header, out, n);
    json_free(header);
    free(where);
    return s;
}

void safetensors_free(struct tensor *tensors, size_t n)
{
    for (size_t i = 0; tensors && i < n; i++)
        free(tensors[i].name);
    free(tensors);
}
