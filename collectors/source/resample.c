/* resample.c - separable bicubic in fixed point, after Pillow's Resample.c (HPND licence),
 * written anew from its arithmetic.  A pass costs output pixels x filter taps. */
#include "collectors/source/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BITS 22        /* 32 - 8 bits of a sample - 2 of head room for overshoot */
#define SUPPORT_PX 2.0 /* reach of the filter at scale 1 */

/* For each output position: its first input, how many, and a row of coefficients. */
struct taps {
    int stride;
    int *first, *count;
    int32_t *weights; /* [outputs][stride], sum of a row about 1 << BITS */
};

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static void taps_release(struct taps *t)
{
    free(t->first);
    free(t->count);
    free(t->weights);
}

// Weights of one output position in double, normalised, then rounded away from zero.
static void taps_row(
    struct taps *t, int i, int n_in, double scale, double widen, double *scratch)
{
    double center = (i + 0.5) * scale, support = SUPPORT_PX * widen;
    int first = (int)(center - support + 0.5), end = (int)(center + support + 0.5);
    first = first < 0 ? 0 : first;
    end = end > n_in ? n_in : end;

    double sum = 0.0;
    for (int j = 0; j < end - first; j++) {
        scratch[j] = bicubic((j + first - center + 0.5) * (1.0 / widen));
        sum += scratch[j];
    }
    int32_t *row = t->weights + (size_t)i * (size_t)t->stride;
    for (int j = 0; j < end - first; j++) {
        double w = sum != 0.0 ? scratch[j] / sum : scratch[j];
        w *= 1 << BITS;
        row[j] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    t->first[i] = first;
    t->count[i] = end - first;
}

static enum status taps_build(struct taps *t, int n_in, int n_out, struct error *err)
{
    double scale = (double)n_in / n_out;
    double widen = scale < 1.0 ? 1.0 : scale;
    t->stride = (int)ceil(SUPPORT_PX * widen) * 2 + 1;
    size_t n = (size_t)n_out, n_weights = n * (size_t)t->stride;
    t->first = malloc(n * sizeof *t->first);
    t->count = malloc(n * sizeof *t->count);
    t->weights = malloc(n_weights * sizeof *t->weights);
    double *scratch = malloc((size_t)t->stride * sizeof *scratch);
    enum status s = OK;
    if (!t->first || !t->count || !t->weights || !scratch)
        s = error_nomem(err, n_weights * sizeof *t->weights);
    for (int i = 0; s == OK && i < n_out; i++)
        taps_row(t, i, n_in, scale, widen, scratch);
    free(scratch);
    return s;
}

static uint8_t to_byte(int32_t sum)
{
    sum >>= BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void pass_horizontal(
    const struct picture *src, const struct taps *t, struct picture *dst)
{
    int c = src->channels;
    for (int y = 0; y < src->height; y++) {
        const uint8_t *in = src->data + (size_t)y * (size_t)src->width * (size_t)c;
        uint8_t *out = dst->data + (size_t)y * (size_t)dst->width * (size_t)c;
        for (int x = 0; x < dst->width; x++) {
            const int32_t *w = t->weights + (size_t)x * (size_t)t->stride;
            const uint8_t *p = in + (size_t)t->first[x] * (size_t)c;
            for (int k = 0; k < c; k++) {
                int32_t sum = 1 << (BITS - 1);
                for (int j = 0; j < t->count[x]; j++)
                    sum += p[j * c + k] * w[j];
                *out++ = to_byte(sum);
            }
        }
    }
}

// Row by row over all columns at once, so that memory is read in its order.
static void pass_vertical(
    const struct picture *src, const struct taps *t, int32_t *sums, struct picture *dst)
{
    size_t n = (size_t)src->width * (size_t)src->channels;
    for (int y = 0; y < dst->height; y++) {
        const int32_t *w = t->weights + (size_t)y * (size_t)t->stride;
        for (size_t i = 0; i < n; i++)
            sums[i] = 1 << (BITS - 1);
        for (int j = 0; j < t->count[y]; j++) {
            const uint8_t *in = src->data + (size_t)(t->first[y] + j) * n;
            for (size_t i = 0; i < n; i++)
                sums[i] += in[i] * w[j];
        }
        uint8_t *out = dst->data + (size_t)y * n;
        for (size_t i = 0; i < n; i++)
            out[i] = to_byte(sums[i]);
    }
}

static enum status resample_columns(
    const struct picture *src, int width, struct picture *out, struct error *err)
{
    struct taps taps = { 0 };
    enum status s = picture_new(width, src->height, src->channels, out, err);
    if (s == OK)
        s = taps_build(&taps, src->width, width, err);
    if (s == OK)
        pass_horizontal(src, &taps, out);
    taps_release(&taps);
    return s;
}

static enum status resample_rows(
    const struct picture *src, int height, struct picture *out, struct error *err)
{
    struct taps taps = { 0 };
    size_t n = (size_t)src->width * (size_t)src->channels;
    int32_t *sums = malloc(n * sizeof *sums);
    enum status s = sums ? picture_new(src->width, height, src->channels, out, err)
                         : error_nomem(err, n * sizeof *sums);
    if (s == OK)
        s = taps_build(&taps, src->height, height, err);
    if (s == OK)
        pass_vertical(src, &taps, sums, out);
    taps_release(&taps);
    free(sums);
    return s;
}

enum status picture_resample(const struct picture *src, int width, int height,
    struct picture *out, struct error *err)
{
    *out = (struct picture) { 0 };
    struct picture middle = { 0 };
    enum status s = OK;
    if (width != src->width) {
        s = resample_columns(src, width, &middle, err);
    } else if (height == src->height) {
        s = picture_new(width, height, src->channels, out, err);
        if (s == OK)
            memcpy(out->data, src->data,
                (size_t)width * (size_t)height * (size_t)src->channels);
        return s;
    }
    const struct picture *wide = width != src->width ? &middle : src;
    if (s == OK && height != src->height) {
        s = resample_rows(wide, height, out, err);
    } else if (s == OK) {
        *out = middle;
        return OK;
    }
    picture_release(&middle);
    if (s)
        picture_release(out);
    return s;
}
