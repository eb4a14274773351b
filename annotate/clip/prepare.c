/* prepare.c - resize, crop, normalise. */
#include "annotate/clip/prepare.h"

#include <string.h>

#include "collectors/source/resample.h"

/* The size that has `shorter` pixels on its shorter side. */
static void resized_size(const struct picture *p, int shorter, int *width, int *height)
{
    int wide = p->width > p->height;
    int64_t shorter_now = wide ? p->height : p->width;
    int64_t longer_now = wide ? p->width : p->height;
    int64_t longer = shorter * longer_now / shorter_now;
    int fits = longer <= INT32_MAX; // else picture_resample() says what is wrong
    *width = wide ? (fits ? (int)longer : INT32_MAX) : shorter;
    *height = wide ? shorter : (fits ? (int)longer : INT32_MAX);
}

/* slack / 2, rounded half to even, as Python's round(). */
static int crop_edge(int slack)
{
    int half = slack / 2;
    return slack % 2 && half % 2 ? half + 1 : half;
}

static enum status crop(
    const struct picture *p, int side, struct picture *out, struct error *err)
{
    enum status s = picture_new(side, side, p->channels, out, err);
    if (s)
        return s;
    size_t n = (size_t)p->channels, row = (size_t)side * n;
    size_t left = (size_t)crop_edge(p->width - side);
    size_t top = (size_t)crop_edge(p->height - side);
    for (size_t y = 0; y < (size_t)side; y++)
        memcpy(out->data + y * row, p->data + ((top + y) * (size_t)p->width + left) * n,
            row);
    return OK;
}

static void normalise(
    const struct picture *p, const float *mean, const float *std, float *out)
{
    size_t n = (size_t)p->width * (size_t)p->height;
    for (size_t c = 0; c < 3; c++) {
        float value[256];
        for (int v = 0; v < 256; v++)
            value[v] = ((float)v / 255.0f - mean[c]) / std[c];
        for (size_t i = 0; i < n; i++)
            out[c * n + i] = value[p->data[3 * i + c]];
    }
}

enum status prepare_picture(const struct picture *p, const struct clip_preparation *how,
    uint8_t *rgb, float *pixels, struct error *err)
{
    int width, height;
    struct picture resized = { 0 }, cropped = { 0 };
    resized_size(p, (int)how->resize, &width, &height);
    enum status s = OK;
    const struct picture *whole = p;
    if (width != p->width || height != p->height) {
        s = picture_resample(p, width, height, &resized, err);
        if (s)
            return error_prefix(
                err, "resizing %d x %d pixels for CLIP: ", p->width, p->height);
        whole = &resized;
    }
    s = crop(whole, (int)how->crop, &cropped, err);
    picture_release(&resized);
    if (s == OK)
        s = picture_to_rgb(&cropped, err);
    if (s == OK && rgb)
        memcpy(rgb, cropped.data, (size_t)3 * how->crop * how->crop);
    if (s == OK && pixels)
        normalise(&cropped, how->mean, how->std, pixels);
    picture_release(&cropped);
    return s;
}

enum status prepare_file(const void *bytes, size_t len,
    const struct clip_preparation *how, uint8_t *rgb, float *pixels, struct error *err)
{
    struct picture p = { 0 };
    enum status s =
        picture_decode(bytes, len, PICTURE_AS_STORED | PICTURE_KEEP_CMYK, &p, err);
    if (s == OK)
        s = prepare_picture(&p, how, rgb, pixels, err);
    picture_release(&p);
    return s;
}
