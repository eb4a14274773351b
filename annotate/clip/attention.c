/* attention.c - scores, softmax and sum for a few queries at a time, so that the scores stay
 * in the cache. */
#include "annotate/clip/attention.h"

#include <math.h>
#include <string.h>

#define QUERIES 24 /* a round: 24 rows of 257 scores fill most of a first-level cache */

/* Where the parts of the scratch memory begin. */
struct scratch {
    float *keys;   /* [d][T padded] */
    float *values; /* [T][d padded] */
    float *scores; /* [QUERIES][T padded] */
    float *sums;   /* [QUERIES][d padded] */
};

static size_t lay_out(
    const struct attention_shape *shape, size_t n_positions, float *at, struct scratch *s)
{
    size_t t = kernels_padded(n_positions), d = kernels_padded(shape->head_width);
    size_t n_keys = shape->head_width * t, n_values = n_positions * d;
    if (s)
        *s = (struct scratch) { .keys = at,
            .values = at + n_keys,
            .scores = at + n_keys + n_values,
            .sums = at + n_keys + n_values + QUERIES * t };
    return n_keys + n_values + QUERIES * (t + d);
}

size_t attention_scratch(const struct attention_shape *shape, size_t n_positions)
{
    return lay_out(shape, n_positions, NULL, NULL);
}

static void copy_rows(
    const float *x, size_t ldx, size_t n_rows, size_t width, float *y, size_t ldy)
{
    for (size_t i = 0; i < n_rows; i++) {
        memcpy(y + i * ldy, x + i * ldx, width * sizeof *y);
        for (size_t j = width; j < ldy; j++)
            y[i * ldy + j] = 0.0f;
    }
}

/* One head; qkv and out point at its first number. */
static void run_head(const struct kernels *k, const struct attention_shape *shape,
    const float *qkv, size_t n_positions, size_t first, size_t end,
    const struct scratch *s, float *out)
{
    size_t d = shape->head_width, width = shape->n_heads * d, row = 3 * width;
    size_t ldt = kernels_padded(n_positions), ldd = kernels_padded(d);
    float scale = 1.0f / sqrtf((float)d);
    size_t n_seen = shape->causal ? end : n_positions; // by the last query
    const float *values = qkv + 2 * width;
    size_t ldv = row;
    k->transpose(qkv + width, row, n_positions, d, s->keys);
    if (ldd != d) {
        copy_rows(values, row, n_seen, d, s->values, ldd);
        values = s->values;
        ldv = ldd;
    }
    for (size_t at = first; at < end; at += QUERIES) {
        size_t n = end - at < QUERIES ? end - at : QUERIES;
        n_seen = shape->causal ? at + n : n_positions;
        k->multiply(qkv + at * row, row, s->keys, ldt, s->scores, ldt, n, d,
            kernels_padded(n_seen));
        for (size_t i = 0; i < n; i++) {
            float *scores = s->scores + i * ldt;
            size_t own = shape->causal ? at + i + 1 : n_positions;
            k->softmax(scores, own, scale);
            for (size_t j = kernels_padded(own); j < n_seen; j++)
                scores[j] = 0.0f;
        }
        float *to = out + (at - first) * width;
        if (ldd == d) {
            k->multiply(s->scores, ldt, values, ldv, to, width, n, n_seen, d);
            continue;
        }
        k->multiply(s->scores, ldt, values, ldv, s->sums, ldd, n, n_seen, ldd);
        for (size_t i = 0; i < n; i++)
            memcpy(to + i * width, s->sums + i * ldd, d * sizeof *to);
    }
}

void attention_run(const struct kernels *k, const struct attention_shape *shape,
    const float *qkv, size_t n_positions, size_t first, size_t end, float *scratch,
    float *out)
{
    struct scratch s;
    lay_out(shape, n_positions, scratch, &s);
    for (size_t h = 0; h < shape->n_heads; h++)
        run_head(k, shape, qkv + h * shape->head_width, n_positions, first, end, &s,
            out + h * shape->head_width);
}
