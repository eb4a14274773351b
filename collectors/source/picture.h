/* picture.h - pixels of one picture, and the way from a file's bytes to the bytes that
 * are stored and sent.
 *
 *     picture_decode(bytes, ...)     any JPEG or PNG -> upright RGB
 *     picture_shrink(&p, 768, ...)   longest side, never enlarged
 *     picture_encode_jpeg(&p, 90, ...)
 *
 * Knows nothing of scenes, stores or videos.  A struct picture starts as {0} and ends
 * with picture_release(); nothing here keeps state, so threads may work side by side. */
#ifndef COLLECTORS_SOURCE_PICTURE_H
#define COLLECTORS_SOURCE_PICTURE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

#define PICTURE_MAX_PIXELS 100000000 /* 100 megapixels; checked before any allocation */
#define PICTURE_MAX_SIDE_PX 65500    /* as libjpeg has it */
#define PICTURE_MAX_FILE_BYTES (1u << 30) /* a longer JPEG or PNG is refused */

struct picture {
    int width, height; /* pixels */
    int channels;      /* 3 = RGB; 4 = CMYK as ink, 255 = full (only on request) */
    uint8_t *data;     /* [height][width][channels], rows without padding; owned */
};

enum picture_format { PICTURE_UNKNOWN, PICTURE_JPEG, PICTURE_PNG };

enum picture_flags {
    PICTURE_AS_STORED = 1 << 0, /* leave the EXIF orientation unapplied */
    PICTURE_KEEP_CMYK = 1 << 1, /* a CMYK JPEG stays in four channels */
};

/* OK, or E_DATA with both figures where a size is below 1 or above the ceilings. */
MUST_CHECK enum status picture_check_size(
    uint32_t width, uint32_t height, struct error *err);

/* Black pixels.  E_DATA above the two ceilings or for a size below 1; E_NOMEM. */
MUST_CHECK enum status picture_new(
    int width, int height, int channels, struct picture *out, struct error *err);
void picture_release(struct picture *p); /* frees data; *p is {0} again */

/* What the first bytes say; the file's name does not count. */
enum picture_format picture_sniff(const void *bytes, size_t len);

/* Decode a whole JPEG or PNG file that is in memory.
 *   JPEG  baseline and progressive, gray, YCbCr, RGB, CMYK and YCCK (always taken as
 *         Adobe writes it, inverted); missing or damaged data is E_DATA
 *   PNG   all colour types, 1 to 16 bits (rounded to 8), alpha over white, interlaced;
 *         wrong checksums and a missing end are E_DATA
 *   flags of enum picture_flags; 0 gives upright RGB
 * On failure out is {0}; the message says why and leaves the file's name to the caller.
 * Returns OK, E_DATA or E_NOMEM. */
MUST_CHECK enum status picture_decode(const void *bytes, size_t len, unsigned flags,
    struct picture *out, struct error *err);

/* Turn and mirror by an EXIF orientation, 1 to 8: the value that says how the stored
 * rows and columns lie; the result is upright. */
MUST_CHECK enum status picture_orient(
    struct picture *p, int orientation, struct error *err);

/* CMYK ink to RGB, as Pillow does it: (1 - C)(1 - K) in rounded 8-bit steps.  An RGB
 * picture stays as it is. */
MUST_CHECK enum status picture_to_rgb(struct picture *p, struct error *err);

/* The size that longest_px allows (0 = no limit): same shape, each side rounded to the
 * nearest pixel, at least 1, never enlarged. */
void picture_fit(int width, int height, int longest_px, int *out_width, int *out_height);

/* Resample to picture_fit(); nothing happens where the picture is small enough. */
MUST_CHECK enum status picture_shrink(
    struct picture *p, int longest_px, struct error *err);

/* Append p (RGB) to out as baseline JPEG, 4:2:0, quality 1 to 100, without any metadata
 * but the JFIF header.  Same pixels and libjpeg-turbo: same bytes. */
MUST_CHECK enum status picture_encode_jpeg(
    const struct picture *p, int quality, struct buffer *out, struct error *err);

#endif
