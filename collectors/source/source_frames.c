/* source_frames.c - files to JPEG frames, by the one path that all frames go. */
#include "collectors/source/source_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include "m4a1/base/files.h"

static enum status sniff(const char *path, enum picture_format *format, struct error *err)
{
    unsigned char head[16];
    FILE *f = fopen(path, "rb");
    if (!f)
        return error_errno(err, "cannot open it");
    size_t n = fread(head, 1, sizeof head, f);
    int broken = ferror(f);
    fclose(f);
    if (broken)
        return error_set(err, E_IO, "it cannot be read");
    *format = picture_sniff(head, n);
    return n ? OK : error_set(err, E_DATA, "the file is empty (0 bytes)");
}

static void close_video(struct source *source)
{
    video_close(source->video);
    source->video = NULL;
}

void source_open(struct source *source, const char *path, int with_duration)
{
    *source = (struct source) { .path = path };
    enum picture_format format = PICTURE_UNKNOWN;
    enum status s = sniff(path, &format, &source->err);
    if (s || format != PICTURE_UNKNOWN)
        return;
    source->is_video = 1;
    s = video_open(path, &source->video, &source->err);
    if (s == OK && with_duration)
        s = video_duration(source->video, &source->duration_ms, &source->err);
    if (s)
        close_video(source);
}

void source_close(struct source *source)
{
    for (size_t i = 0; i < source->n_frames; i++)
        free(source->frames[i].jpeg);
    free(source->frames);
    close_video(source);
    *source = (struct source) { 0 };
}

static enum status read_still(const char *path, struct picture *out, struct error *err)
{
    struct buffer file;
    buffer_init(&file, PICTURE_MAX_FILE_BYTES);
    enum status s = file_read(path, &file, err);
    if (s == OK)
        s = picture_decode(file.data, file.len, 0, out, err);
    buffer_release(&file);
    return s;
}

// Shrink, encode and hash; p is used up.
static enum status add_frame(
    struct source *source, struct picture *p, int longest_side_px, int jpeg_quality)
{
    struct source_frame *frame = &source->frames[source->n_frames];
    struct buffer jpeg;
    buffer_init(&jpeg, PICTURE_MAX_FILE_BYTES);
    enum status s = picture_shrink(p, longest_side_px, &source->err);
    if (s == OK)
        s = picture_encode_jpeg(p, jpeg_quality, &jpeg, &source->err);
    if (s == OK) {
        frame->width = p->width;
        frame->height = p->height;
        hash_hex(jpeg.data, jpeg.len, frame->sha256);
        frame->jpeg = buffer_detach(&jpeg, &frame->len);
        source->n_frames++;
    }
    buffer_release(&jpeg);
    picture_release(p);
    return s;
}

void source_make(struct source *source, const int64_t *at_ms, size_t n_instants,
    int longest_side_px, int jpeg_quality)
{
    if (source->err.code)
        return;
    size_t n = source->is_video ? n_instants : 1;
    source->frames = calloc(n ? n : 1, sizeof *source->frames);
    if (!source->frames) {
        error_nomem(&source->err, n * sizeof *source->frames);
        return;
    }
    enum status s = OK;
    for (size_t i = 0; s == OK && i < n; i++) {
        struct picture p = { 0 };
        s = source->is_video ? video_frame_at(source->video, at_ms[i], &p, &source->err)
                             : read_still(source->path, &p, &source->err);
        if (s == OK)
            s = add_frame(source, &p, longest_side_px, jpeg_quality);
    }
    close_video(source);
}

const struct source_frame *source_frame(const struct source *source, size_t i)
{
    size_t at = source->is_video ? i : 0;
    return at < source->n_frames ? &source->frames[at] : NULL;
}
