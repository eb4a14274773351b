/* video_picture.c - colours, pixel shape and rotation of a decoded frame. */
#include "collectors/source/video_picture.h"

#include <stdlib.h>
#include <string.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include "collectors/source/resample.h"

// Exact rather than fast, so that the same frame gives the same bytes on any processor.
#define SCALE_FLAGS                                                                      \
    (SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP |          \
        SWS_BITEXACT)

int video_orientation(const int32_t m[9])
{
    // A pixel (x, y) is shown at (m[0] x + m[3] y, m[1] x + m[4] y).
    int64_t upright = llabs((int64_t)m[0]) + llabs((int64_t)m[4]);
    int64_t turned = llabs((int64_t)m[1]) + llabs((int64_t)m[3]);
    if (upright >= turned)
        return m[0] < 0 ? (m[4] < 0 ? 3 : 2) : (m[4] < 0 ? 4 : 1);
    return m[1] < 0 ? (m[3] < 0 ? 7 : 8) : (m[3] < 0 ? 6 : 5);
}

static int stream_orientation(const AVStream *stream)
{
    const uint8_t *matrix = NULL;
    size_t size = 0;
#if LIBAVCODEC_VERSION_MAJOR >= 61
    const AVPacketSideData *data =
        av_packet_side_data_get(stream->codecpar->coded_side_data,
            stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (data) {
        matrix = data->data;
        size = data->size;
    }
#else
    matrix = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
#endif
    int32_t m[9];
    if (!matrix || size < sizeof m)
        return 1;
    memcpy(m, matrix, sizeof m);
    return video_orientation(m);
}

static int is_full_range(const AVFrame *frame)
{
    switch (frame->format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ411P: return 1;
    default: return frame->color_range == AVCOL_RANGE_JPEG;
    }
}

static int matrix_of(const AVFrame *frame)
{
    switch (frame->colorspace) {
    case AVCOL_SPC_BT709: return SWS_CS_ITU709;
    case AVCOL_SPC_FCC: return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M: return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL: return SWS_CS_BT2020;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M: return SWS_CS_ITU601;
    default: return frame->height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    }
}

// frame -> rgb, an RGB24 frame with libav's own padding, because swscale writes into it.
static int convert(const AVFrame *frame, AVFrame *rgb)
{
    rgb->format = AV_PIX_FMT_RGB24;
    rgb->width = frame->width;
    rgb->height = frame->height;
    int r = av_frame_get_buffer(rgb, 0);
    if (r < 0)
        return r;
    struct SwsContext *sws = sws_getContext(frame->width, frame->height, frame->format,
        rgb->width, rgb->height, AV_PIX_FMT_RGB24, SCALE_FLAGS, NULL, NULL, NULL);
    if (!sws)
        return AVERROR(EINVAL);
    const int *matrix = sws_getCoefficients(matrix_of(frame));
    sws_setColorspaceDetails(sws, matrix, is_full_range(frame),
        sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    r = sws_scale(sws, (const uint8_t *const *)frame->data, frame->linesize, 0,
        frame->height, rgb->data, rgb->linesize);
    sws_freeContext(sws);
    return r < 0 ? r : 0;
}

static enum status make_square(
    const AVStream *stream, const AVFrame *frame, struct picture *p, struct error *err)
{
    AVRational shape = stream->sample_aspect_ratio.num > 0 ? stream->sample_aspect_ratio
                                                           : frame->sample_aspect_ratio;
    if (shape.num <= 0 || shape.den <= 0 || shape.num == shape.den)
        return OK;
    int64_t width = p->width, height = p->height;
    if (shape.num > shape.den)
        width = av_rescale(width, shape.num, shape.den);
    else
        height = av_rescale(height, shape.den, shape.num);
    enum status s = picture_check_size(width > UINT32_MAX ? UINT32_MAX : (uint32_t)width,
        height > UINT32_MAX ? UINT32_MAX : (uint32_t)height, err);
    struct picture q = { 0 };
    if (s == OK)
        s = picture_resample(p, (int)width, (int)height, &q, err);
    if (s)
        return s;
    picture_release(p);
    *p = q;
    return OK;
}

enum status video_picture(
    const AVStream *stream, const AVFrame *frame, struct picture *out, struct error *err)
{
    enum status s = picture_new(frame->width, frame->height, 3, out, err);
    if (s)
        return s;
    AVFrame *rgb = av_frame_alloc();
    int r = rgb ? convert(frame, rgb) : AVERROR(ENOMEM);
    if (r == AVERROR(ENOMEM)) {
        s = error_nomem(err,
            (unsigned long long)frame->width * 3u * (unsigned long long)frame->height);
    } else if (r < 0) {
        const char *name = av_get_pix_fmt_name(frame->format);
        s = error_set(err, E_DATA, "the video's colours (%s) cannot be converted",
            name ? name : "unknown");
    } else {
        size_t row = (size_t)out->width * 3;
        for (int y = 0; y < out->height; y++)
            memcpy(out->data + (size_t)y * row,
                rgb->data[0] + (ptrdiff_t)y * rgb->linesize[0], row);
    }
    av_frame_free(&rgb);
    if (s == OK)
        s = make_square(stream, frame, out, err);
    if (s == OK)
        s = picture_orient(out, stream_orientation(stream), err);
    if (s)
        picture_release(out);
    return s;
}
