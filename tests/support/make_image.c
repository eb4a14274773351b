/* make_image.c - see make_image.h. */
#include "tests/support/make_image.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <jpeglib.h>

extern char **environ;

#define EXIF_BYTES 26

// A TIFF directory with one entry, the orientation.
static void exif(int orientation, int big_endian, uint8_t out[EXIF_BYTES])
{
    static const uint8_t little[EXIF_BYTES] = { 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12,
        1, 3, 0, 1, 0, 0, 0 };
    static const uint8_t big[EXIF_BYTES] = { 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12,
        0, 3, 0, 0, 0, 1 };
    memcpy(out, big_endian ? big : little, EXIF_BYTES);
    out[big_endian ? 19 : 18] = (uint8_t)orientation;
}

void make_jpeg(const struct make_jpeg *how, const uint8_t *pixels, struct buffer *out)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long len = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &len);
    jpeg.image_width = (JDIMENSION)how->width;
    jpeg.image_height = (JDIMENSION)how->height;
    jpeg.input_components = how->channels;
    jpeg.in_color_space = how->channels == 1   ? JCS_GRAYSCALE
                          : how->channels == 4 ? JCS_CMYK
                                               : JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, how->quality, TRUE);
    if (how->progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    if (how->orientation) {
        uint8_t block[6 + EXIF_BYTES] = "Exif\0";
        exif(how->orientation, how->big_endian, block + 6);
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, block, sizeof block);
    }
    while (jpeg.next_scanline < jpeg.image_height) {
        size_t stride = (size_t)how->width * (size_t)how->channels;
        union {
            const uint8_t *in;
            JSAMPROW row;
        } row = { pixels + jpeg.next_scanline * stride };
        jpeg_write_scanlines(&jpeg, &row.row, 1);
    }
    jpeg_finish_compress(&jpeg);
    buffer_add(out, bytes, len);
    jpeg_destroy_compress(&jpeg);
    free(bytes);
}

// ---- PNG ----

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc ^ UINT32_MAX;
}

static void add32(struct buffer *out, uint32_t v)
{
    const uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
        (uint8_t)v };
    buffer_add(out, b, 4);
}

static void add_chunk(struct buffer *out, const char *type, const void *data, size_t n)
{
    add32(out, (uint32_t)n);
    size_t start = out->len;
    buffer_add(out, type, 4);
    buffer_add(out, data, n);
    add32(out, crc32_of((const uint8_t *)out->data + start, n + 4));
}

// A zlib stream of stored blocks (RFC 1950, RFC 1951).
static void store(const uint8_t *raw, size_t n, struct buffer *out)
{
    uint32_t a = 1, b = 0;
    buffer_add(out, "\x78\x01", 2);
    for (size_t at = 0; at < n || !at;) {
        size_t block = n - at < 65535 ? n - at : 65535;
        const uint8_t head[5] = { at + block == n, (uint8_t)block, (uint8_t)(block >> 8),
            (uint8_t)~block, (uint8_t)(~block >> 8) };
        buffer_add(out, head, sizeof head);
        buffer_add(out, raw + at, block);
        at += block;
        if (!n)
            break;
    }
    for (size_t i = 0; i < n; i++) {
        a = (a + raw[i]) % 65521;
        b = (b + a) % 65521;
    }
    add32(out, b << 16 | a);
}

void make_png(
    const struct make_png *how, const uint8_t *raw, size_t n_raw, struct buffer *out)
{
    buffer_add(out, "\x89PNG\r\n\x1a\n", 8);
    uint8_t header[13] = { [8] = (uint8_t)how->bit_depth,
        [9] = (uint8_t)how->colour_type,
        [12] = (uint8_t)how->interlaced };
    for (int i = 0; i < 4; i++) {
        header[i] = (uint8_t)(how->width >> (24 - 8 * i));
        header[4 + i] = (uint8_t)(how->height >> (24 - 8 * i));
    }
    add_chunk(out, "IHDR", header, sizeof header);
    if (how->palette)
        add_chunk(out, "PLTE", how->palette, how->n_palette * 3);
    if (how->transparency)
        add_chunk(out, "tRNS", how->transparency, how->n_transparency);
    if (how->orientation) {
        uint8_t block[EXIF_BYTES];
        exif(how->orientation, 1, block);
        add_chunk(out, "eXIf", block, sizeof block);
    }
    struct buffer data;
    buffer_init(&data, (size_t)1 << 30);
    store(raw, n_raw, &data);
    add_chunk(out, "IDAT", data.data, data.len);
    buffer_release(&data);
    add_chunk(out, "IEND", "", 0);
}

int run_program(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
