/* picture.c - memory, orientation and colour of pictures; decoding is jpeg.c and png.c. */
#include "collectors/source/picture.h"

#include <stdlib.h>
#include <string.h>
#include "collectors/source/jpeg.h"
#include "collectors/source/png.h"
#include "collectors/source/resample.h"

enum status picture_check_size(uint32_t width, uint32_t height, struct error *err)
{
    if (!width || !height)
        return error_set(
            err, E_DATA, "a picture of %u x %u pixels has nothing in it", width, height);
    if ((uint64_t)width * height > PICTURE_MAX_PIXELS || width > PICTURE_MAX_SIDE_PX ||
        height > PICTURE_MAX_SIDE_PX)
        return error_set(err, E_DATA,
            "%u x %u pixels are above the ceiling of %d megapixels and %d pixels a side; "
            "make it smaller first",
            width, height, PICTURE_MAX_PIXELS / 1000000, PICTURE_MAX_SIDE_PX);
    return OK;
}

enum status picture_new(
    int width, int height, int channels, struct picture *out, struct error *err)
{
    *out = (struct picture) { 0 };
    enum status s = picture_check_size(
        width < 0 ? 0 : (uint32_t)width, height < 0 ? 0 : (uint32_t)height, err);
    if (s)
        return s;
    size_t n = (size_t)width * (size_t)height * (size_t)channels;
    out->data = calloc(n, 1);
    if (!out->data)
        return error_nomem(err, n);
    out->width = width;
    out->height = height;
    out->channels = channels;
    return OK;
}

void picture_release(struct picture *p)
{
    free(p->data);
    *p = (struct picture) { 0 };
}

enum picture_format picture_sniff(const void *bytes, size_t len)
{
    static const uint8_t jpeg[] = { 0xff, 0xd8, 0xff };
    static const uint8_t png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    if (len >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
        return PICTURE_JPEG;
    if (len >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        return PICTURE_PNG;
    return PICTURE_UNKNOWN;
}

enum status picture_decode(
    const void *bytes, size_t len, unsigned flags, struct picture *out, struct error *err)
{
    *out = (struct picture) { 0 };
    enum status s;
    int orientation = 1;
    switch (picture_sniff(bytes, len)) {
    case PICTURE_JPEG: s = jpeg_decode(bytes, len, out, &orientation, err); break;
    case PICTURE_PNG: s = png_decode(bytes, len, out, &orientation, err); break;
    default:
        return error_set(err, E_DATA,
            len ? "this is neither a JPEG nor a PNG" : "the file is empty (0 bytes)");
    }
    if (s == OK && !(flags & PICTURE_KEEP_CMYK))
        s = picture_to_rgb(out, err);
    if (s == OK && !(flags & PICTURE_AS_STORED))
        s = picture_orient(out, orientation, err);
    if (s)
        picture_release(out);
    return s;
}

enum status picture_orient(struct picture *p, int orientation, struct error *err)
{
    if (orientation < 1 || orientation > 8)
        return error_set(err, E_ARG, "orientation %d is not one of 1 to 8", orientation);
    if (orientation == 1)
        return OK;

    // EXIF 2.32, tag 0x0112: 2 to 4 keep rows as rows, 5 to 8 swap rows and columns.
    int swap = orientation >= 5;
    int from_right = orientation == 2 || orientation == 3 || orientation >= 7;
    int from_bottom =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;

    struct picture q;
    enum status s = picture_new(
        swap ? p->height : p->width, swap ? p->width : p->height, p->channels, &q, err);
    if (s)
        return s;
    size_t c = (size_t)p->channels;
    uint8_t *dst = q.data;
    for (int y = 0; y < q.height; y++)
        for (int x = 0; x < q.width; x++, dst += c) {
            int sx = swap ? y : x, sy = swap ? x : y;
            sx = from_right ? p->width - 1 - sx : sx;
            sy = from_bottom ? p->height - 1 - sy : sy;
            memcpy(dst, p->data + ((size_t)sy * (size_t)p->width + (size_t)sx) * c, c);
        }
    picture_release(p);
    *p = q;
    return OK;
}

// a * b / 255 with rounding, as Pillow's MULDIV255.
static unsigned mul_255(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

enum status picture_to_rgb(struct picture *p, struct error *err)
{
    if (p->channels == 3)
        return OK;
    struct picture q;
    enum status s = picture_new(p->width, p->height, 3, &q, err);
    if (s)
        return s;
    size_t n = (size_t)p->width * (size_t)p->height;
    const uint8_t *src = p->data;
    uint8_t *dst = q.data;
    for (size_t i = 0; i < n; i++, src += 4, dst += 3) {
        unsigned light = 255u - src[3];
        for (int j = 0; j < 3; j++)
            dst[j] = (uint8_t)(light - mul_255(src[j], light));
    }
    picture_release(p);
    *p = q;
    return OK;
}

void picture_fit(int width, int height, int longest_px, int *out_width, int *out_height)
{
    *out_width = width;
    *out_height = height;
    int longest = width > height ? width : height;
    if (longest_px < 1 || longest <= longest_px)
        return;
    int64_t w = ((int64_t)width * longest_px * 2 + longest) / ((int64_t)longest * 2);
    int64_t h = ((int64_t)height * longest_px * 2 + longest) / ((int64_t)longest * 2);
    *out_width = w < 1 ? 1 : (int)w;
    *out_height = h < 1 ? 1 : (int)h;
}

enum status picture_shrink(struct picture *p, int longest_px, struct error *err)
{
    int width, height;
    picture_fit(p->width, p->height, longest_px, &width, &height);
    if (width == p->width && height == p->height)
        return OK;
    struct picture q;
    enum status s = picture_resample(p, width, height, &q, err);
    if (s)
        return s;
    picture_release(p);
    *p = q;
    return OK;
}
