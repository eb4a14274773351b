/* jpeg.c - JPEG in and out.  libjpeg leaves through longjmp, so everything that lives
 * across such a jump is in a struct of the caller's, never in a local variable. */
#include "collectors/source/jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>
#include "collectors/source/exif.h"

/* errors is first: libjpeg hands it back and we cast it to its trap. */
struct trap {
    struct jpeg_error_mgr errors;
    jmp_buf back;
    char why[JMSG_LENGTH_MAX];
};

struct reader {
    struct trap trap;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    struct picture picture;
    struct error *err;
};

struct writer {
    struct trap trap;
    struct jpeg_compress_struct jpeg;
    unsigned char *bytes; /* libjpeg's own malloc */
    unsigned long len;
};

static void trap_exit(j_common_ptr jpeg)
{
    struct trap *trap = (struct trap *)jpeg->err;
    jpeg->err->format_message(jpeg, trap->why);
    longjmp(trap->back, 1);
}

// Warnings that mean missing or wrong pixels count as errors; oddities of the header do not.
static void trap_message(j_common_ptr jpeg, int level)
{
    if (level >= 0)
        return;
    switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: trap_exit(jpeg);
    }
}

static void trap_init(struct trap *trap)
{
    jpeg_std_error(&trap->errors);
    trap->errors.error_exit = trap_exit;
    trap->errors.emit_message = trap_message;
}

static void limit_scans(j_common_ptr jpeg)
{
    struct jpeg_decompress_struct *d = (struct jpeg_decompress_struct *)jpeg;
    if (d->input_scan_number > JPEG_MAX_SCANS) {
        struct trap *trap = (struct trap *)jpeg->err;
        snprintf(trap->why, sizeof trap->why, "more than %d progressive scans",
            JPEG_MAX_SCANS);
        longjmp(trap->back, 1);
    }
}

static int orientation_of(const struct jpeg_decompress_struct *jpeg)
{
    static const char head[6] = "Exif\0";
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > sizeof head &&
            memcmp(m->data, head, sizeof head) == 0)
            return exif_orientation(m->data + sizeof head, m->data_length - sizeof head);
    return 1;
}

// Adobe writes CMYK inverted (255 = no ink); here 255 is full ink.
static void invert(struct picture *p)
{
    size_t n = (size_t)p->width * (size_t)p->height * (size_t)p->channels;
    for (size_t i = 0; i < n; i++)
        p->data[i] = (uint8_t)(255 - p->data[i]);
}

static enum status read_pixels(
    struct reader *r, const void *bytes, size_t len, int *orientation)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    if (setjmp(r->trap.back))
        return error_set(r->err, E_DATA, "broken JPEG: %s", r->trap.why);
    jpeg_create_decompress(jpeg);
    r->progress.progress_monitor = limit_scans;
    jpeg->progress = &r->progress;
    jpeg_mem_src(jpeg, bytes, len);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);

    int cmyk = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    enum status s = picture_new((int)jpeg->image_width, (int)jpeg->image_height,
        cmyk ? 4 : 3, &r->picture, r->err);
    if (s)
        return s;
    jpeg_start_decompress(jpeg);
    size_t stride = (size_t)r->picture.width * (size_t)r->picture.channels;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = r->picture.data + jpeg->output_scanline * stride;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    *orientation = orientation_of(jpeg);
    jpeg_finish_decompress(jpeg);
    if (cmyk)
        invert(&r->picture);
    return OK;
}

enum status jpeg_decode(const void *bytes, size_t len, struct picture *out,
    int *orientation, struct error *err)
{
    *out = (struct picture) { 0 };
    *orientation = 1;
    struct reader r = { .err = err };
    trap_init(&r.trap);
    r.jpeg.err = &r.trap.errors;
    enum status s = read_pixels(&r, bytes, len, orientation);
    jpeg_destroy_decompress(&r.jpeg);
    if (s)
        picture_release(&r.picture);
    else
        *out = r.picture;
    return s;
}

static enum status write_pixels(
    struct writer *w, const struct picture *p, int quality, struct error *err)
{
    struct jpeg_compress_struct *jpeg = &w->jpeg;
    if (setjmp(w->trap.back))
        return error_set(err, E_DATA, "cannot write %d x %d pixels as JPEG: %s", p->width,
            p->height, w->trap.why);
    jpeg_create_compress(jpeg);
    jpeg_mem_dest(jpeg, &w->bytes, &w->len);
    jpeg->image_width = (JDIMENSION)p->width;
    jpeg->image_height = (JDIMENSION)p->height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg->optimize_coding = TRUE;
    jpeg_start_compress(jpeg, TRUE);
    size_t stride = (size_t)p->width * 3;
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = p->data + jpeg->next_scanline * stride;
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
    return OK;
}

enum status picture_encode_jpeg(
    const struct picture *p, int quality, struct buffer *out, struct error *err)
{
    if (p->channels != 3 || quality < 1 || quality > 100)
        return error_set(err, E_ARG, "cannot write %d channels as JPEG of quality %d",
            p->channels, quality);
    struct writer w = { 0 };
    trap_init(&w.trap);
    w.jpeg.err = &w.trap.errors;
    enum status s = write_pixels(&w, p, quality, err);
    if (s == OK) {
        buffer_add(out, w.bytes, w.len);
        s = buffer_status(out, "the JPEG", err);
    }
    jpeg_destroy_compress(&w.jpeg);
    free(w.bytes);
    return s;
}
