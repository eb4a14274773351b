/* source_frames.c - files to frames; every picture goes the same way. */
#include "collectors/source/source_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "collectors/source/text_file.h"
#include "collectors/source/wav.h"
#include "m4a1/base/files.h"

#define HEAD_BYTES 16

enum file_type { FILE_PICTURE, FILE_WAV, FILE_OTHER };

static enum status sniff(const char *path, enum file_type *type, struct error *err)
{
    unsigned char head[HEAD_BYTES];
    FILE *f = fopen(path, "rb");
    if (!f)
        return error_errno(err, "cannot open it");
    size_t n = fread(head, 1, sizeof head, f);
    int broken = ferror(f);
    fclose(f);
    if (broken)
        return error_set(err, E_IO, "it cannot be read");
    *type = picture_sniff(head, n) != PICTURE_UNKNOWN ? FILE_PICTURE
            : wav_sniff(head, n)                      ? FILE_WAV
                                                      : FILE_OTHER;
    return n ? OK : error_set(err, E_DATA, "the file is empty (0 bytes)");
}

static enum status wrong_type(enum file_type type, enum view_kind kind, struct error *err)
{
    static const char *const takes[] = { "a JPEG, a PNG or a video", "a video",
        "a text in UTF-8", "a WAV sound" };
    static const char *const is[] = { "a picture", "a WAV sound", "something else" };
    return error_set(err, E_DATA,
        "the file is %s, and the view is of kind %s, which takes %s", is[type],
        view_kind_names[kind], takes[kind]);
}

static void close_video(struct source *source)
{
    video_close(source->video);
    source->video = NULL;
}

static enum status open_video(struct source *source, int with_duration)
{
    source->is_timed = 1;
    enum status s = video_open(source->path, &source->video, &source->err);
    if (s == OK && with_duration)
        s = video_duration(source->video, &source->duration_ms, &source->err);
    return s;
}

// The file, open, and what its header says; the caller closes it.
static enum status open_wav(struct source *source, FILE **f, struct wav *wav)
{
    *f = fopen(source->path, "rb");
    if (!*f)
        return error_errno(&source->err, "cannot open it");
    enum status s = wav_open(*f, wav, &source->err);
    if (s)
        fclose(*f);
    return s;
}

static enum status open_sound(struct source *source)
{
    FILE *f;
    struct wav wav;
    enum status s = open_wav(source, &f, &wav);
    if (s)
        return s;
    fclose(f);
    source->is_timed = source->terms.audio_ms > 0;
    source->duration_ms = wav_duration_ms(&wav);
    return OK;
}

void source_open(struct source *source, const char *path,
    const struct source_terms *terms, int with_duration)
{
    *source = (struct source) { .path = path, .terms = *terms };
    enum file_type type = FILE_OTHER;
    enum view_kind kind = terms->kind;
    enum status s = sniff(path, &type, &source->err);
    if (s)
        return;
    int fits = kind == VIEW_IMAGE   ? type != FILE_WAV
               : kind == VIEW_AUDIO ? type == FILE_WAV
                                    : type == FILE_OTHER;
    if (!fits)
        s = wrong_type(type, kind, &source->err);
    else if (kind == VIEW_AUDIO)
        s = open_sound(source);
    else if (kind != VIEW_TEXT && type == FILE_OTHER)
        s = open_video(source, with_duration);
    if (s)
        close_video(source);
}

void source_close(struct source *source)
{
    for (size_t i = 0; i < source->n_frames; i++)
        free(source->frames[i].bytes);
    free(source->frames);
    close_video(source);
    *source = (struct source) { 0 };
}

// ---- making frames ----

// Hash what b holds and keep it as the next frame; b is empty afterwards.
static struct source_frame *keep(
    struct source *source, struct buffer *b, const char *media_type, int64_t at_ms)
{
    struct source_frame *frame = &source->frames[source->n_frames++];
    *frame = (struct source_frame) {
        .media_type = media_type, .duration_ms = -1, .at_ms = at_ms
    };
    hash_hex(b->data, b->len, frame->sha256);
    frame->bytes = buffer_detach(b, &frame->len);
    return frame;
}

// Shrink, encode and hash; p is used up.
static enum status add_picture(struct source *source, struct picture *p, int64_t at_ms)
{
    struct buffer jpeg;
    buffer_init(&jpeg, PICTURE_MAX_FILE_BYTES);
    enum status s = picture_shrink(p, source->terms.longest_side_px, &source->err);
    if (s == OK)
        s = picture_encode_jpeg(p, source->terms.jpeg_quality, &jpeg, &source->err);
    if (s == OK) {
        struct source_frame *frame = keep(source, &jpeg, "image/jpeg", at_ms);
        frame->width = p->width;
        frame->height = p->height;
    }
    buffer_release(&jpeg);
    picture_release(p);
    return s;
}

static enum status make_still(struct source *source)
{
    struct picture p = { 0 };
    struct buffer file;
    buffer_init(&file, PICTURE_MAX_FILE_BYTES);
    enum status s = file_read(source->path, &file, &source->err);
    if (s == OK)
        s = picture_decode(file.data, file.len, 0, &p, &source->err);
    buffer_release(&file);
    return s ? s : add_picture(source, &p, 0);
}

static enum status make_text(struct source *source)
{
    struct buffer text;
    buffer_init(&text, TEXT_FILE_MAX_BYTES + 1);
    enum status s = text_file_read(source->path, &text, &source->err);
    if (s == OK)
        keep(source, &text, "text/plain", 0);
    buffer_release(&text);
    return s;
}

/* The instants of what is being made. */
struct making {
    const int64_t *at_ms;
    size_t n;
};

static enum status add_sound(
    struct source *source, FILE *f, const struct wav *wav, int64_t at_ms)
{
    struct buffer sound;
    int64_t duration_ms = 0;
    buffer_init(&sound, WAV_MAX_CUT_BYTES);
    enum status s = wav_cut(
        f, wav, at_ms, source->terms.audio_ms, &sound, &duration_ms, &source->err);
    if (s == OK)
        keep(source, &sound, "audio/wav", at_ms)->duration_ms = duration_ms;
    buffer_release(&sound);
    return s;
}

static enum status make_sounds(struct source *source, const struct making *m)
{
    FILE *f;
    struct wav wav;
    enum status s = open_wav(source, &f, &wav);
    if (s)
        return s;
    for (size_t i = 0; s == OK && i < m->n; i++)
        s = add_sound(source, f, &wav, m->at_ms[i]);
    fclose(f);
    return s;
}

static enum status make_pictures(struct source *source, const struct making *m)
{
    enum status s = OK;
    for (size_t i = 0; s == OK && i < m->n; i++) {
        struct picture p = { 0 };
        s = video_frame_at(source->video, m->at_ms[i], &p, &source->err);
        if (s == OK)
            s = add_picture(source, &p, m->at_ms[i]);
    }
    if (s && source->terms.kind == VIEW_VIDEO)
        error_prefix(&source->err,
            "a clip of %d frames, %.3f s apart: ", source->terms.clip_frames,
            (double)source->terms.clip_every_ms / 1000);
    return s;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Every time that a part of an instant lies at, once; clips may overlap.
static enum status all_times(
    struct source *source, const struct making *m, int64_t **times, size_t *n)
{
    int n_parts = source_n_parts(source);
    size_t n_all = m->n * (size_t)n_parts;
    *n = 0;
    *times = calloc(n_all ? n_all : 1, sizeof **times);
    if (!*times)
        return error_nomem(&source->err, n_all * sizeof **times);
    for (size_t i = 0; i < n_all; i++)
        (*times)[i] = m->at_ms[i / (size_t)n_parts] +
                      source_offset_ms(source, (int)(i % (size_t)n_parts));
    qsort(*times, n_all, sizeof **times, by_value);
    for (size_t i = 0; i < n_all; i++)
        if (!i || (*times)[i] != (*times)[*n - 1])
            (*times)[(*n)++] = (*times)[i];
    return OK;
}

static enum status make_frames(struct source *source, const struct making *m)
{
    switch (source->terms.kind) {
    case VIEW_TEXT: return make_text(source);
    case VIEW_AUDIO: return make_sounds(source, m);
    default: return source->video ? make_pictures(source, m) : make_still(source);
    }
}

void source_make(struct source *source, const int64_t *at_ms, size_t n_instants)
{
    static const int64_t beginning = 0;
    if (source->err.code)
        return;
    struct making m = { &beginning, 1 };
    int64_t *times = NULL;
    enum status s = OK;
    if (source->is_timed) {
        m = (struct making) { at_ms, n_instants };
        s = all_times(source, &m, &times, &m.n);
        m.at_ms = times;
    }
    if (s == OK) {
        source->frames = calloc(m.n ? m.n : 1, sizeof *source->frames);
        if (!source->frames)
            s = error_nomem(&source->err, m.n * sizeof *source->frames);
    }
    if (s == OK) // what fails stands in source->err
        (void)!make_frames(source, &m);
    free(times);
    close_video(source);
}

// ---- asking for them ----

int source_n_parts(const struct source *source)
{
    return source->terms.kind == VIEW_VIDEO ? source->terms.clip_frames : 1;
}

int64_t source_offset_ms(const struct source *source, int part)
{
    return part * source->terms.clip_every_ms;
}

static int by_time(const void *key, const void *frame)
{
    int64_t x = *(const int64_t *)key, y = ((const struct source_frame *)frame)->at_ms;
    return (x > y) - (x < y);
}

static const struct source_frame *find(const struct source *source, int64_t at_ms)
{
    if (!source->n_frames)
        return NULL;
    if (!source->is_timed)
        return &source->frames[0];
    return bsearch(
        &at_ms, source->frames, source->n_frames, sizeof *source->frames, by_time);
}

const struct source_frame *source_frame(
    const struct source *source, int64_t at_ms, int part)
{
    // Times rise, so where the last part was made all are.
    int last = source_n_parts(source) - 1;
    if (!find(source, at_ms + source_offset_ms(source, last)))
        return NULL;
    return find(source, at_ms + source_offset_ms(source, part));
}
