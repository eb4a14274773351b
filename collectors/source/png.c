/* png.c - PNG in.  The file's structure is checked here, chunk by chunk with its checksums,
 * before libavcodec sees it; its samples are turned into RGB8 here too, because that
 * takes a line a format and is exact, which a general converter is not. */
#include "collectors/source/png.h"

#include <stdlib.h>
#include <string.h>
#include <libavcodec/avcodec.h>
#include <libavutil/crc.h>
#include <libavutil/imgutils.h>
#include "collectors/source/exif.h"
#include "collectors/source/libav.h"

#define SIGNATURE_BYTES 8
#define CHUNK_BYTES 12     /* length, type and checksum around the data */
#define DEFLATE_RATIO 1032 /* no deflate stream grows more (zlib's technical notes) */

static uint32_t read32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int chunk_is(const uint8_t *chunk, const char *type)
{
    return memcmp(chunk + 4, type, 4) == 0;
}

// Walk all chunks: complete, checksums right, IHDR first, IDAT there, IEND reached.
static enum status check_chunks(const uint8_t *bytes, size_t len, uint64_t *n_data,
    int *orientation, struct error *err)
{
    const AVCRC *table = av_crc_get_table(AV_CRC_32_IEEE_LE);
    *n_data = 0;
    for (size_t at = SIGNATURE_BYTES;;) {
        const uint8_t *chunk = bytes + at;
        if (len - at < CHUNK_BYTES || read32(chunk) > len - at - CHUNK_BYTES)
            return error_set(
                err, E_DATA, "broken PNG: the file ends too early, at %zu bytes", len);
        size_t n = read32(chunk);
        uint32_t crc = av_crc(table, UINT32_MAX, chunk + 4, n + 4) ^ UINT32_MAX;
        if (crc != read32(chunk + 8 + n))
            return error_set(
                err, E_DATA, "broken PNG: wrong checksum in the chunk at byte %zu", at);
        if ((at == SIGNATURE_BYTES) != chunk_is(chunk, "IHDR") ||
            (chunk_is(chunk, "IHDR") && n != 13))
            return error_set(err, E_DATA, "broken PNG: no proper header chunk");
        if (chunk_is(chunk, "IDAT"))
            *n_data += n;
        if (chunk_is(chunk, "eXIf"))
            *orientation = exif_orientation(chunk + 8, n);
        at += n + CHUNK_BYTES;
        if (!chunk_is(chunk, "IEND"))
            continue;
        return *n_data ? OK : error_set(err, E_DATA, "broken PNG: it has no image data");
    }
}

// Before memory is taken for what a header claims: can the data be enough for it?
static enum status check_claim(const uint8_t *header, uint64_t n_data, struct error *err)
{
    static const int samples[7] = { 1, 0, 3, 1, 2, 0, 4 }; // by colour type
    uint32_t width = read32(header), height = read32(header + 4);
    enum status s = picture_check_size(width, height, err);
    if (s)
        return s;
    int colour_type = header[9];
    uint64_t bits = colour_type < 7 ? (uint64_t)(header[8] * samples[colour_type]) : 0;
    if (n_data * DEFLATE_RATIO >= height * (1 + (width * bits + 7) / 8))
        return OK;
    return error_set(err, E_DATA, "broken PNG: its data ends before the last row");
}

static uint8_t over_white(unsigned value, unsigned alpha)
{
    return (uint8_t)((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

static uint8_t from_16(const uint8_t *p)
{
    unsigned v = (unsigned)p[0] << 8 | p[1];
    return (uint8_t)((v * 255 + 32767) / 65535);
}

// How the samples of a format lie in memory; big-endian where they have two bytes.
struct layout {
    enum AVPixelFormat format;
    uint8_t bytes, n, gray, alpha; /* of a sample; samples a pixel; flags */
};

static const struct layout layouts[] = {
    { AV_PIX_FMT_RGB24, 1, 3, 0, 0 },
    { AV_PIX_FMT_RGBA, 1, 4, 0, 1 },
    { AV_PIX_FMT_GRAY8, 1, 1, 1, 0 },
    { AV_PIX_FMT_YA8, 1, 2, 1, 1 },
    { AV_PIX_FMT_RGB48BE, 2, 3, 0, 0 },
    { AV_PIX_FMT_RGBA64BE, 2, 4, 0, 1 },
    { AV_PIX_FMT_GRAY16BE, 2, 1, 1, 0 },
    { AV_PIX_FMT_YA16BE, 2, 2, 1, 1 },
};

static void row_from_samples(
    const uint8_t *src, const struct layout *layout, int width, uint8_t *dst)
{
    int n = layout->n, colours = n - layout->alpha;
    for (int x = 0; x < width; x++, src += n * layout->bytes, dst += 3) {
        uint8_t v[4];
        for (int i = 0; i < n; i++)
            v[i] = layout->bytes == 2 ? from_16(src + 2 * i) : src[i];
        for (int i = 0; i < 3; i++) {
            uint8_t value = v[layout->gray ? 0 : i];
            dst[i] = layout->alpha ? over_white(value, v[colours]) : value;
        }
    }
}

static void row_from_palette(
    const uint8_t *src, const uint8_t *palette, int width, uint8_t *dst)
{
    for (int x = 0; x < width; x++, dst += 3) {
        uint32_t argb;
        memcpy(&argb, palette + 4 * (size_t)src[x], sizeof argb);
        for (int i = 0; i < 3; i++)
            dst[i] = over_white(argb >> (16 - 8 * i) & 0xff, argb >> 24);
    }
}

static void row_from_bits(const uint8_t *src, int width, uint8_t *dst)
{
    for (int x = 0; x < width; x++, dst += 3)
        memset(dst, src[x / 8] >> (7 - x % 8) & 1 ? 255 : 0, 3);
}

static enum status to_rgb(const AVFrame *frame, struct picture *out, struct error *err)
{
    *out = (struct picture) { 0 };
    const struct layout *layout = NULL;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (layouts[i].format == frame->format)
            layout = &layouts[i];
    int palette = frame->format == AV_PIX_FMT_PAL8;
    int bits = frame->format == AV_PIX_FMT_MONOBLACK;
    if (!layout && !palette && !bits)
        return error_set(err, E_DATA, "broken PNG: its samples cannot be understood");
    enum status s = picture_new(frame->width, frame->height, 3, out, err);
    for (int y = 0; s == OK && y < out->height; y++) {
        const uint8_t *src = frame->data[0] + (ptrdiff_t)y * frame->linesize[0];
        uint8_t *dst = out->data + (size_t)y * (size_t)out->width * 3;
        if (layout)
            row_from_samples(src, layout, out->width, dst);
        else if (palette)
            row_from_palette(src, frame->data[1], out->width, dst);
        else
            row_from_bits(src, out->width, dst);
    }
    return s;
}

// libavcodec gives out a picture even where the data ends before its last row.  So the
// memory is filled first, with a byte that the codec context's opaque points to.
static int filled_buffer(AVCodecContext *codec, AVFrame *frame, int flags)
{
    const uint8_t *fill = codec->opaque;
    int r = avcodec_default_get_buffer2(codec, frame, flags);
    for (int i = 0; r == 0 && i < AV_NUM_DATA_POINTERS && frame->buf[i]; i++)
        memset(frame->buf[i]->data, *fill, (size_t)frame->buf[i]->size);
    return r;
}

static int run_codec(const void *bytes, size_t len, AVCodecContext *codec,
    AVPacket *packet, AVFrame *frame)
{
    codec->thread_count = 1;
    codec->max_pixels = LIBAV_MAX_PIXELS;
    codec->get_buffer2 = filled_buffer;
    codec->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
    int r = av_new_packet(packet, (int)len);
    if (r < 0)
        return r;
    memcpy(packet->data, bytes, len);
    r = avcodec_open2(codec, codec->codec, NULL);
    if (r == 0)
        r = avcodec_send_packet(codec, packet);
    return r ? r : avcodec_receive_frame(codec, frame);
}

// *frame is the caller's to free, NULL on failure.
static enum status decode(
    const void *bytes, size_t len, uint8_t fill, AVFrame **frame, struct error *err)
{
    const AVCodec *png = avcodec_find_decoder(AV_CODEC_ID_PNG);
    AVCodecContext *codec = png ? avcodec_alloc_context3(png) : NULL;
    AVPacket *packet = av_packet_alloc();
    *frame = av_frame_alloc();
    int r = AVERROR(ENOMEM);
    if (codec && packet && *frame) {
        codec->opaque = &fill;
        r = run_codec(bytes, len, codec, packet, *frame);
    }
    av_packet_free(&packet);
    avcodec_free_context(&codec);
    if (r < 0)
        av_frame_free(frame);
    if (r == AVERROR(ENOMEM))
        return error_nomem(err, len);
    return r == 0 ? OK
                  : error_set(err, E_DATA, "broken PNG: its data cannot be decoded (%s)",
                        av_err2str(r));
}

static const uint8_t *last_row(const AVFrame *frame)
{
    return frame->data[0] + (ptrdiff_t)(frame->height - 1) * frame->linesize[0];
}

// Decode, and refuse a file whose data ends before its last row.  A row that was never
// reached has one colour, that of the memory; a file that ends in such a row is decoded
// again over other memory.  Of an interlaced file libavcodec fills the gaps itself: with
// too little data it comes out coarse, and only its checksums could tell.
static enum status decode_whole(
    const void *bytes, size_t len, AVFrame **frame, struct error *err)
{
    enum status s = decode(bytes, len, 0, frame, err);
    if (s)
        return s;
    int linesize = av_image_get_linesize((*frame)->format, (*frame)->width, 0);
    int step = av_image_get_linesize((*frame)->format, 1, 0);
    if (step < 1 || linesize < step)
        return error_set(err, E_DATA, "broken PNG: its samples cannot be understood");
    size_t n = (size_t)linesize;
    if (memcmp(last_row(*frame), last_row(*frame) + step, n - (size_t)step) != 0)
        return OK;
    uint8_t *row = malloc(n);
    if (!row)
        return error_nomem(err, n);
    memcpy(row, last_row(*frame), n);
    av_frame_free(frame);
    s = decode(bytes, len, UINT8_MAX, frame, err);
    if (s == OK && memcmp(row, last_row(*frame), n) != 0)
        s = error_set(err, E_DATA, "broken PNG: its data ends before the last row");
    free(row);
    return s;
}

enum status png_decode(const void *bytes, size_t len, struct picture *out,
    int *orientation, struct error *err)
{
    *out = (struct picture) { 0 };
    *orientation = 1;
    if (len > PICTURE_MAX_FILE_BYTES)
        return error_set(err, E_DATA, "the PNG has %zu bytes, above the ceiling of %u",
            len, PICTURE_MAX_FILE_BYTES);
    libav_silence();
    const uint8_t *header = (const uint8_t *)bytes + SIGNATURE_BYTES + 8;
    uint64_t n_data;
    enum status s = check_chunks(bytes, len, &n_data, orientation, err);
    if (s == OK)
        s = check_claim(header, n_data, err);
    if (s)
        return s;
    AVFrame *frame = NULL;
    s = decode_whole(bytes, len, &frame, err);
    if (s == OK && ((uint32_t)frame->width != read32(header) ||
                       (uint32_t)frame->height != read32(header + 4)))
        s = error_set(err, E_DATA, "broken PNG: its parts disagree about its size");
    if (s == OK)
        s = to_rgb(frame, out, err);
    av_frame_free(&frame);
    return s;
}
