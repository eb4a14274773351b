/* clip.c - a checkpoint with its tokenizer, its towers and the threads that run them. */
#include "annotate/clip/clip.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/clip/image_tower.h"
#include "annotate/clip/passes.h"
#include "annotate/clip/probe.h"
#include "annotate/clip/text_tower.h"
#include "annotate/clip/tokenizer.h"

struct clip {
    struct clip_options options;
    struct clip_config config;
    struct clip_preparation preparation;
    char identity[HASH_HEX];
    struct tensors *tensors;
    struct clip_tokenizer *tokenizer;
    struct text_tower text;
    struct image_tower image;
    struct passes *passes;
    struct room *text_rooms, *image_rooms;
    const struct clip_probe *probe;
    pthread_mutex_t lock; /* one batch at a time */
};

/* --- opening --- */

struct load {
    struct clip *clip;
    enum status status;
    struct error err;
};

static void load_towers(void *arg, struct linear_lane *lane)
{
    struct load *load = arg;
    struct clip *clip = load->clip;
    const struct weights w = { clip->tensors, lane, clip->options.bf16 };
    if (!clip->options.no_texts)
        load->status = text_tower_load(&w, &clip->config, &clip->text, &load->err);
    if (load->status == OK && !clip->options.no_images)
        load->status = image_tower_load(&w, &clip->config, &clip->image, &load->err);
}

static enum status read_folder(struct clip *clip, const char *dir, struct error *err)
{
    struct clip_config *config = &clip->config;
    enum status s = checkpoint_config(dir, config, err);
    if (s == OK)
        s = checkpoint_preparation(dir, config, &clip->preparation, err);
    if (s == OK)
        s = clip_tokenizer_open(
            dir, config->vocab, config->context, &clip->tokenizer, err);
    if (s == OK)
        s = tensors_open(dir, &clip->tensors, err);
    if (s == OK)
        s = checkpoint_identity(dir, clip->tensors, config, &clip->preparation,
            clip->options.bf16 ? "bf16" : "f32", clip->identity, err);
    return s;
}

static enum status start(struct clip *clip, struct error *err)
{
    struct load load = { .clip = clip };
    enum status s =
        passes_new(clip->options.n_threads, clip->options.bf16, &clip->passes, err);
    if (s)
        return s;
    size_t n = passes_n_rooms(clip->passes);
    clip->text_rooms = calloc(n, sizeof *clip->text_rooms);
    clip->image_rooms = calloc(n, sizeof *clip->image_rooms);
    if (!clip->text_rooms || !clip->image_rooms)
        return error_nomem(err, n * sizeof *clip->text_rooms);
    passes_call(clip->passes, load_towers, &load);
    if (load.status)
        return error_set(err, load.status, "%s", load.err.msg);
    return tensors_unchanged(clip->tensors, err);
}

enum status clip_open(const char *dir, const struct clip_options *options,
    struct clip **out, struct error *err)
{
    *out = NULL;
    struct clip *clip = calloc(1, sizeof *clip);
    if (!clip)
        return error_nomem(err, sizeof *clip);
    clip->options = *options;
    pthread_mutex_init(&clip->lock, NULL);
    enum status s = read_folder(clip, dir, err);
    if (s == OK)
        s = start(clip, err);
    if (s) {
        clip_close(clip);
        return s;
    }
    *out = clip;
    return OK;
}

void clip_close(struct clip *clip)
{
    if (!clip)
        return;
    for (size_t i = 0; clip->passes && i < passes_n_rooms(clip->passes); i++) {
        if (clip->text_rooms)
            room_release(&clip->text_rooms[i]);
        if (clip->image_rooms)
            room_release(&clip->image_rooms[i]);
    }
    free(clip->text_rooms);
    free(clip->image_rooms);
    text_tower_release(&clip->text);
    image_tower_release(&clip->image);
    passes_free(clip->passes);
    clip_tokenizer_close(clip->tokenizer);
    tensors_close(clip->tensors);
    pthread_mutex_destroy(&clip->lock);
    free(clip);
}

const struct clip_config *clip_config(const struct clip *clip)
{
    return &clip->config;
}

const struct clip_preparation *clip_preparation(const struct clip *clip)
{
    return &clip->preparation;
}

const char *clip_identity(const struct clip *clip)
{
    return clip->identity;
}

void clip_watch(struct clip *clip, const struct clip_probe *probe)
{
    clip->probe = probe;
}

static enum status run_passes(struct clip *clip, const struct pass_kind *kind,
    const size_t *rows, size_t n, float *out, struct error *err)
{
    pthread_mutex_lock(&clip->lock);
    enum status s = passes_run(clip->passes, kind, rows, n, clip->probe, out, err);
    pthread_mutex_unlock(&clip->lock);
    return s;
}

/* --- images --- */

static enum status make_image_room(const void *tower, size_t n_rows, size_t n_images,
    size_t n_members, struct room *out, struct error *err)
{
    (void)n_rows;
    return image_tower_room(tower, n_images, n_members, out, err);
}

static void begin_images(
    const struct pass_kind *kind, size_t first, size_t end, struct room *room)
{
    image_tower_begin(kind->tower, end - first, room);
}

static void run_images(const struct pass_kind *kind, struct member *m, size_t first,
    size_t end, struct room *room, float *out)
{
    const struct image_tower *t = kind->tower;
    (void)end;
    image_tower_run(
        t, m, room, (const float *)kind->input + first * 3 * t->side * t->side, out);
}

enum status clip_embed_images(
    struct clip *clip, const float *pixels, size_t n, float *out, struct error *err)
{
    if (clip->options.no_images)
        return error_set(err, E_ARG, "this model was opened without its image tower");
    size_t *rows = calloc(n + 1, sizeof *rows);
    if (!rows)
        return error_nomem(err, (n + 1) * sizeof *rows);
    for (size_t i = 0; i <= n; i++)
        rows[i] = i * clip->image.n_positions;
    const struct pass_kind kind = { .tower = &clip->image,
        .input = pixels,
        .projection = clip->config.projection,
        .make_room = make_image_room,
        .begin = begin_images,
        .run = run_images,
        .rooms = clip->image_rooms };
    enum status s = run_passes(clip, &kind, rows, n, out, err);
    free(rows);
    return s;
}

/* --- texts --- */

static enum status make_text_room(const void *tower, size_t n_rows, size_t n_texts,
    size_t n_members, struct room *out, struct error *err)
{
    return text_tower_room(tower, text_tower_rows(n_rows), n_texts, n_members, out, err);
}

static void begin_texts(
    const struct pass_kind *kind, size_t first, size_t end, struct room *room)
{
    text_tower_begin((const struct text_ids *)kind->input + first, end - first, room);
}

static void run_texts(const struct pass_kind *kind, struct member *m, size_t first,
    size_t end, struct room *room, float *out)
{
    (void)end;
    text_tower_run(
        kind->tower, m, room, (const struct text_ids *)kind->input + first, out);
}

/* A text and where it stood. */
struct placed_text {
    struct text_ids text;
    size_t place;
};

static int longer_first(const void *a, const void *b)
{
    const struct placed_text *x = a, *y = b;
    if (x->text.n != y->text.n)
        return x->text.n < y->text.n ? 1 : -1;
    return x->place < y->place ? -1 : 1;
}

static enum status check_ids(
    const struct clip *clip, const struct text_ids *text, size_t place, struct error *err)
{
    if (!text->n || text->n > clip->config.context)
        return error_set(err, E_ARG, "text %zu has %zu ids; 1 to %u can be embedded",
            place, text->n, clip->config.context);
    for (size_t i = 0; i < text->n; i++)
        if (text->ids[i] < 0 || (uint32_t)text->ids[i] >= clip->config.vocab)
            return error_set(err, E_ARG,
                "text %zu: id %d is not one of the %u of the vocabulary", place,
                (int)text->ids[i], clip->config.vocab);
    return OK;
}

/* Longest first, so that passes have much the same lengths. */
static enum status embed_placed(
    struct clip *clip, struct placed_text *texts, size_t n, float *out, struct error *err)
{
    size_t width = clip->config.projection;
    size_t *rows = calloc(n + 1, sizeof *rows);
    struct text_ids *sorted = calloc(n ? n : 1, sizeof *sorted);
    float *found = calloc(n ? n * width : 1, sizeof *found);
    enum status s = rows && sorted && found ? OK : error_nomem(err, n * width * 4);
    qsort(texts, n, sizeof *texts, longer_first);
    for (size_t i = 0; s == OK && i < n; i++) {
        sorted[i] = texts[i].text;
        rows[i + 1] = rows[i] + sorted[i].n;
    }
    const struct pass_kind kind = { .tower = &clip->text,
        .input = sorted,
        .projection = width,
        .make_room = make_text_room,
        .begin = begin_texts,
        .run = run_texts,
        .rooms = clip->text_rooms };
    if (s == OK)
        s = run_passes(clip, &kind, rows, n, found, err);
    for (size_t i = 0; s == OK && i < n; i++)
        memcpy(out + texts[i].place * width, found + i * width, width * sizeof *out);
    free(found);
    free(sorted);
    free(rows);
    return s;
}

enum status clip_embed_tokens(struct clip *clip, const int32_t *ids, const size_t *ends,
    size_t n, float *out, struct error *err)
{
    if (clip->options.no_texts)
        return error_set(err, E_ARG, "this model was opened without its text tower");
    struct placed_text *texts = calloc(n ? n : 1, sizeof *texts);
    enum status s = texts ? OK : error_nomem(err, n * sizeof *texts);
    for (size_t i = 0, begin = 0; s == OK && i < n; begin = ends[i++]) {
        texts[i] = (struct placed_text) { { ids + begin, ends[i] - begin }, i };
        s = check_ids(clip, &texts[i].text, i, err);
    }
    if (s == OK)
        s = embed_placed(clip, texts, n, out, err);
    free(texts);
    return s;
}

/* The ids up to the first end token: the original pools there, and a text may hold a
 * literal "<|endoftext|>". */
static size_t cut_at_end(const struct clip *clip, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == clip_tokenizer_end(clip->tokenizer))
            return i + 1;
    return n;
}

enum status clip_embed_texts(
    struct clip *clip, const char *const *texts, size_t n, float *out, struct error *err)
{
    size_t context = clip->config.context, at = 0;
    int32_t *ids = calloc(n ? n * context : 1, sizeof *ids);
    size_t *ends = calloc(n ? n : 1, sizeof *ends);
    enum status s = ids && ends ? OK : error_nomem(err, n * context * sizeof *ids);
    for (size_t i = 0; s == OK && i < n; i++) {
        size_t n_ids = 0;
        s = clip_tokenize(clip->tokenizer, texts[i], ids + at, &n_ids, err);
        at += s == OK ? cut_at_end(clip, ids + at, n_ids) : 0;
        ends[i] = at;
    }
    if (s == OK)
        s = clip_embed_tokens(clip, ids, ends, n, out, err);
    if (s == OK) // its rows are read where they lie in the file
        s = tensors_unchanged(clip->tensors, err);
    free(ends);
    free(ids);
    return s;
}

/* --- comparing --- */

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

void clip_normalise(float *x, size_t n)
{
    double length = sqrt(dot(x, x, n));
    for (size_t i = 0; i < n && length > 0; i++)
        x[i] = (float)(x[i] / length);
}

double clip_cosine(const float *a, const float *b, size_t n)
{
    double cosine = dot(a, b, n) / sqrt(dot(a, a, n) * dot(b, b, n));
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}
