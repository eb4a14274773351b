/* video.c - demuxing and decoding over libavformat and libavcodec.  What a decoded frame
 * looks like as a picture is video_picture.c. */
#include "collectors/source/video.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include "collectors/source/libav.h"
#include "collectors/source/video_picture.h"
#include "m4a1/base/text.h"

#define VIDEO_CONTAINERS "mov,matroska,webm,avi,mpegts,mpeg"
#define VIDEO_CODECS                                                                     \
    "h264,hevc,vp8,vp9,libdav1d,libaom-av1,av1,mpeg4,msmpeg4,msmpeg4v2,h263,mpeg1video," \
    "mpeg2video,mjpeg,prores,dnxhd,ffv1,huffyuv,ffvhuff,rawvideo,theora,qtrle,png"
#define SEEK_AHEAD_MS 5000 /* nearer instants are reached by decoding on */

struct video {
    char *path;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVStream *stream; /* of format */
    AVFrame *shown;   /* the last frame that was asked for; empty = none yet */
    AVFrame *next;    /* the one behind it; empty = not read yet */
    int64_t base;     /* time stamp of the first frame, in the stream's units */
    int draining;     /* the file has no more packets */
    int ended;        /* the decoder has no more frames */
};

static int frame_is_empty(const AVFrame *frame)
{
    return !frame->buf[0];
}

static enum status fail(int r, const char *what, struct error *err)
{
    if (r == AVERROR(ENOMEM))
        return error_set(err, E_NOMEM, "%s: out of memory", what);
    return error_set(err, E_DATA, "%s (%s)", what, av_err2str(r));
}

static double seconds(const struct video *v, int64_t stamp)
{
    return (double)(stamp - v->base) * av_q2d(v->stream->time_base);
}

// -1, 0, 1: the frame's time before, at, after at_ms.
static int compare(const struct video *v, const AVFrame *frame, int64_t at_ms)
{
    return av_compare_ts(frame->best_effort_timestamp - v->base, v->stream->time_base,
        at_ms, (AVRational) { 1, 1000 });
}

static enum status open_codec(struct video *v, struct error *err)
{
    const AVCodecParameters *par = v->stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec)
        return error_set(err, E_DATA, "no decoder for its video (%s)",
            avcodec_get_name(par->codec_id));
    v->codec = avcodec_alloc_context3(codec);
    if (!v->codec)
        return error_nomem(err, sizeof *v->codec);
    int r = avcodec_parameters_to_context(v->codec, par);
    v->codec->thread_count = 1; // files are decoded side by side, each by one thread
    v->codec->max_pixels = LIBAV_MAX_PIXELS;
    v->codec->pkt_timebase = v->stream->time_base;
    AVDictionary *options = NULL;
    if (r >= 0)
        r = av_dict_set(&options, "codec_whitelist", VIDEO_CODECS, 0);
    if (r >= 0)
        r = avcodec_open2(v->codec, codec, &options);
    av_dict_free(&options);
    if (r >= 0)
        return OK;
    return error_set(err, E_DATA, "its video (%s) cannot be decoded here (%s)",
        codec->name, av_err2str(r));
}

static enum status open_format(struct video *v, struct error *err)
{
    AVDictionary *options = NULL;
    int r = av_dict_set(&options, "protocol_whitelist", "file", 0);
    if (r >= 0)
        r = av_dict_set(&options, "format_whitelist", VIDEO_CONTAINERS, 0);
    if (r >= 0)
        r = av_dict_set(&options, "codec_whitelist", VIDEO_CODECS, 0);
    // The prefix keeps a file named "http:..." a file.
    char *url = text_format("file:%s", v->path);
    if (!url)
        r = AVERROR(ENOMEM);
    if (r >= 0)
        r = avformat_open_input(&v->format, url, NULL, &options);
    av_dict_free(&options);
    free(url);
    if (r < 0)
        return fail(r,
            "neither a JPEG, a PNG nor a video in MP4, QuickTime, Matroska, "
            "WebM, AVI or MPEG",
            err);
    r = avformat_find_stream_info(v->format, NULL);
    if (r < 0)
        return fail(r, "the video's streams cannot be found", err);
    r = av_find_best_stream(v->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (r < 0)
        return error_set(err, E_DATA, "the file holds no video that can be decoded");
    for (unsigned i = 0; i < v->format->nb_streams; i++)
        if ((int)i != r)
            v->format->streams[i]->discard = AVDISCARD_ALL;
    v->stream = v->format->streams[r];
    return open_codec(v, err);
}

static void close_format(struct video *v)
{
    if (v->packet)
        av_packet_unref(v->packet);
    avcodec_free_context(&v->codec);
    avformat_close_input(&v->format);
    v->stream = NULL;
    if (v->shown)
        av_frame_unref(v->shown);
    if (v->next)
        av_frame_unref(v->next);
    v->draining = v->ended = 0;
}

// Hand the decoder its next packet, or tell it that there are no more.
static enum status feed(struct video *v, struct error *err)
{
    int r;
    do {
        av_packet_unref(v->packet);
        r = av_read_frame(v->format, v->packet);
    } while (r == 0 && v->packet->stream_index != v->stream->index);
    if (r < 0 && r != AVERROR_EOF)
        return fail(r, "the video cannot be read", err);
    if (r == 0 && v->packet->flags & AV_PKT_FLAG_CORRUPT)
        return error_set(err, E_DATA, "the video is damaged or cut off at about %.3f s",
            v->packet->dts == AV_NOPTS_VALUE ? 0.0 : seconds(v, v->packet->dts));
    v->draining = r == AVERROR_EOF;
    r = avcodec_send_packet(v->codec, v->draining ? NULL : v->packet);
    if (r < 0 && r != AVERROR_EOF)
        return fail(r, "the video's data is damaged", err);
    return OK;
}

// Read one frame into v->next; v->ended where there is none.
static enum status read_next(struct video *v, struct error *err)
{
    av_frame_unref(v->next);
    while (!v->ended) {
        int r = avcodec_receive_frame(v->codec, v->next);
        if (r == 0 && v->next->best_effort_timestamp == AV_NOPTS_VALUE)
            return error_set(err, E_DATA, "the video's frames have no times");
        if (r == 0)
            return OK;
        v->ended = r == AVERROR_EOF;
        if (v->ended)
            break;
        if (r != AVERROR(EAGAIN))
            return fail(r, "the video's data is damaged", err);
        enum status s = feed(v, err);
        if (s)
            return s;
    }
    return OK;
}

// From the start of the file, with the first frame in v->next; also how we go back.
static enum status restart(struct video *v, struct error *err)
{
    close_format(v);
    enum status s = open_format(v, err);
    if (s == OK)
        s = read_next(v, err);
    if (s)
        return s;
    if (v->ended)
        return error_set(err, E_DATA, "the video has no frames");
    v->base = v->next->best_effort_timestamp;
    return OK;
}

enum status video_open(const char *path, struct video **out, struct error *err)
{
    *out = NULL;
    struct stat st;
    if (stat(path, &st) != 0)
        return error_errno(err, "cannot open it");
    if (!S_ISREG(st.st_mode))
        return error_set(err, E_DATA, "not a regular file");
    libav_silence();
    struct video *v = calloc(1, sizeof *v);
    if (!v)
        return error_nomem(err, sizeof *v);
    v->path = text_copy(path);
    v->packet = av_packet_alloc();
    v->shown = av_frame_alloc();
    v->next = av_frame_alloc();
    enum status s = v->path && v->packet && v->shown && v->next
                        ? restart(v, err)
                        : error_nomem(err, sizeof *v->shown);
    if (s)
        video_close(v);
    else
        *out = v;
    return s;
}

void video_close(struct video *v)
{
    if (!v)
        return;
    close_format(v);
    av_frame_free(&v->shown);
    av_frame_free(&v->next);
    av_packet_free(&v->packet);
    free(v->path);
    free(v);
}

// How long the last frame is shown, in the stream's units; 0 = nobody says.
static int64_t frame_duration(const struct video *v, int64_t said)
{
    AVRational rate = v->stream->avg_frame_rate;
    if (said > 0 || rate.num <= 0 || rate.den <= 0)
        return said > 0 ? said : 0;
    return av_rescale_q(1, av_inv_q(rate), v->stream->time_base);
}

static int64_t decoded_duration(const AVFrame *frame)
{
#if LIBAVUTIL_VERSION_MAJOR >= 58
    return frame->duration;
#else
    return frame->pkt_duration;
#endif
}

enum status video_duration(struct video *v, int64_t *duration_ms, struct error *err)
{
    *duration_ms = 0;
    enum status s = restart(v, err);
    if (s)
        return s;
    // The decoder may hold packets already, so the file is read again from its start.
    int64_t base = v->base, end = base;
    close_format(v);
    s = open_format(v, err);
    int r = 0;
    while (s == OK && (r = av_read_frame(v->format, v->packet)) == 0) {
        const AVPacket *p = v->packet;
        int64_t at = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
        if (p->stream_index == v->stream->index && at != AV_NOPTS_VALUE &&
            !(p->flags & AV_PKT_FLAG_DISCARD)) {
            int64_t until = at + frame_duration(v, p->duration);
            end = until > end ? until : end;
        }
        av_packet_unref(v->packet);
    }
    if (s == OK && r != AVERROR_EOF)
        s = fail(r, "the video cannot be read", err);
    if (s == OK)
        *duration_ms = av_rescale_q_rnd(
            end - base, v->stream->time_base, (AVRational) { 1, 1000 }, AV_ROUND_DOWN);
    if (s == OK)
        s = restart(v, err);
    return s;
}

// Decode on until v->next lies behind at_ms; v->shown is then what is shown.
static enum status advance(struct video *v, int64_t at_ms, struct error *err)
{
    for (;;) {
        if (frame_is_empty(v->next)) {
            enum status s = read_next(v, err);
            if (s || v->ended)
                return s;
        }
        if (compare(v, v->next, at_ms) > 0)
            return OK;
        av_frame_unref(v->shown);
        av_frame_move_ref(v->shown, v->next);
    }
}

// Jump to the key frame before at_ms where the container has an exact index.
static int seek(struct video *v, int64_t at_ms)
{
    const char *name = v->format->iformat->name;
    if (!strstr(name, "mov") && !strstr(name, "matroska"))
        return 0;
    int64_t stamp = v->base + av_rescale_q_rnd(at_ms, (AVRational) { 1, 1000 },
                                  v->stream->time_base, AV_ROUND_DOWN);
    if (av_seek_frame(v->format, v->stream->index, stamp, AVSEEK_FLAG_BACKWARD) < 0)
        return 0;
    avcodec_flush_buffers(v->codec);
    av_frame_unref(v->shown);
    av_frame_unref(v->next);
    v->draining = v->ended = 0;
    return 1;
}

static enum status go_to(struct video *v, int64_t at_ms, struct error *err)
{
    enum status s;
    const AVFrame *here = frame_is_empty(v->shown) ? v->next : v->shown;
    if (frame_is_empty(here) || compare(v, here, at_ms) > 0) {
        if ((s = restart(v, err)))
            return s;
        here = v->next;
    }
    if (compare(v, here, at_ms - SEEK_AHEAD_MS) < 0 && seek(v, at_ms)) {
        if (advance(v, at_ms, NULL) == OK && !frame_is_empty(v->shown))
            return OK;
        if ((s = restart(v, err))) // the index was wrong: from the start, frame by frame
            return s;
    }
    return advance(v, at_ms, err);
}

enum status video_frame_at(
    struct video *v, int64_t at_ms, struct picture *out, struct error *err)
{
    *out = (struct picture) { 0 };
    if (at_ms < 0)
        return error_set(
            err, E_ARG, "the instant %.3f s lies before the start", (double)at_ms / 1000);
    enum status s = go_to(v, at_ms, err);
    if (s)
        return s;
    if (frame_is_empty(v->shown))
        return error_set(
            err, E_DATA, "the video shows nothing at %.3f s", (double)at_ms / 1000);
    if (v->ended) {
        int64_t last = v->shown->best_effort_timestamp;
        int64_t end = last + frame_duration(v, decoded_duration(v->shown));
        int before = end > last ? av_compare_ts(end - v->base, v->stream->time_base,
                                      at_ms, (AVRational) { 1, 1000 }) > 0
                                : compare(v, v->shown, at_ms) == 0;
        if (!before)
            return error_set(err, E_DATA,
                "the instant %.3f s lies beyond the end of the video, which lasts %.3f s",
                (double)at_ms / 1000, seconds(v, end));
    }
    if (v->shown->flags & AV_FRAME_FLAG_CORRUPT || v->shown->decode_error_flags)
        return error_set(
            err, E_DATA, "the video's data is damaged at %.3f s", (double)at_ms / 1000);
    return video_picture(v->stream, v->shown, out, err);
}
