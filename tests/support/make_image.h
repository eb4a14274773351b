/* make_image.h - picture files of every odd kind, made byte by byte for tests. */
#ifndef TESTS_SUPPORT_MAKE_IMAGE_H
#define TESTS_SUPPORT_MAKE_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"

struct make_jpeg {
    int width, height;
    int channels; /* 1 gray, 3 RGB, 4 CMYK as Adobe has it (255 = no ink) */
    int quality;
    int progressive;
    int orientation; /* EXIF, 0 = no EXIF at all */
    int big_endian;  /* of the EXIF block */
};

/* Append a JPEG of pixels[height][width][channels] to out; aborts on failure. */
void make_jpeg(const struct make_jpeg *how, const uint8_t *pixels, struct buffer *out);

struct make_png {
    uint32_t width, height;
    int bit_depth, colour_type; /* as in the PNG standard: 0 2 3 4 6 */
    int interlaced;
    const uint8_t *palette; /* n_palette RGB triples */
    size_t n_palette;
    const uint8_t *transparency; /* a tRNS chunk */
    size_t n_transparency;
    int orientation; /* an eXIf chunk, 0 = none */
};

/* Append a PNG to out whose image data is raw: filter bytes and packed samples, stored
 * without compression. */
void make_png(
    const struct make_png *how, const uint8_t *raw, size_t n_raw, struct buffer *out);

/* Run a program found in PATH, its output dropped; returns its exit status, -1 where it
 * cannot be run.  argv ends with NULL. */
int run_program(char *const argv[]);

#endif
