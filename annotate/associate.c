/* associate.c - embeds what has no embedding yet, then derives associations. */
#include "annotate/associate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/frame_feed.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/json.h"
#include "schema/query.h"

#define TEXT_BATCH 32
#define COMMIT_NS INT64_C(1000000000) /* a kill loses about a second's work, */
#define COMMIT_ROWS 64                /* or so many embeddings */
#define TURNS_A_COMMIT 1024
#define FACTS_MAX 65536

struct pass {
    struct store *store;
    struct clip *clip;
    const struct associate_options *options;
    struct associate_result *result;
    float *vectors;   /* [TEXT_BATCH][dims], owned */
    int64_t began_ns; /* the open transaction; 0 = none is open */
    size_t n_rows;    /* put in by it */
};

static int is_interrupted(const struct pass *p)
{
    return p->options->interrupted && *p->options->interrupted;
}

/* ---- transactions that hold several batches ---- */

static enum status group_begin(struct pass *p, struct error *err)
{
    if (p->began_ns)
        return OK;
    enum status s = store_begin(p->store, err);
    if (!s)
        p->began_ns = clock_mono_ns();
    p->n_rows = 0;
    return s;
}

static enum status group_commit(struct pass *p, int now, struct error *err)
{
    if (!p->began_ns ||
        (!now && p->n_rows < COMMIT_ROWS && clock_mono_ns() - p->began_ns < COMMIT_NS))
        return OK;
    p->began_ns = 0;
    return store_commit(p->store, err);
}

/* ---- the model ---- */

static void set_tower(struct json *j, const struct clip_tower *tower)
{
    json_set_int(j, "width", tower->width);
    json_set_int(j, "heads", tower->n_heads);
    json_set_int(j, "layers", tower->n_layers);
}

/* What people want to know of a model, years later. */
static enum status write_facts(struct pass *p, struct buffer *out, struct error *err)
{
    const struct clip_config *c = clip_config(p->clip);
    struct json *j = json_new_object();
    json_set_text(j, "program", "m4a1 " M4A1_VERSION);
    json_set_text(j, "folder", p->options->dir);
    json_set_text(j, "precision", p->options->bf16 ? "bf16" : "f32");
    json_set_int(j, "image_size", c->image_size);
    json_set_int(j, "patch", c->patch);
    set_tower(json_set_object(j, "text_tower"), &c->text);
    set_tower(json_set_object(j, "image_tower"), &c->image);
    enum status s = j ? json_print(j, JSON_COMPACT, out, err) : error_nomem(err, 1024);
    json_free(j);
    return s;
}

static enum status add_model(struct pass *p, struct error *err)
{
    struct buffer facts;
    buffer_init(&facts, FACTS_MAX);
    enum status s = write_facts(p, &facts, err);
    if (!s)
        s = store_begin(p->store, err);
    if (!s)
        s = embeddings_add(p->store, clip_identity(p->clip), p->options->dir,
            clip_config(p->clip)->projection, buffer_str(&facts), &p->result->model, err);
    if (!s)
        s = store_commit(p->store, err);
    buffer_release(&facts);
    return s;
}

/* ---- prompts ---- */

static struct progress *start_progress(const struct pass *p, const char *what, size_t n)
{
    const struct associate_options *o = p->options;
    return n && o->progress ? o->progress(o->progress_arg, what, (int64_t)n) : NULL;
}

static enum status embed_some_texts(
    struct pass *p, char **texts, size_t n, struct error *err)
{
    size_t dims = p->result->model.dims;
    enum status s =
        clip_embed_texts(p->clip, (const char *const *)texts, n, p->vectors, err);
    if (!s)
        s = group_begin(p, err);
    for (size_t i = 0; i < n && !s; i++)
        s = embeddings_put_text(
            p->store, &p->result->model, texts[i], p->vectors + i * dims, err);
    p->n_rows += n;
    if (!s)
        s = group_commit(p, 0, err);
    p->result->n_texts += s ? 0 : n;
    return s;
}

/* They come by length, so that a batch holds texts that are about as long. */
static enum status embed_texts(struct pass *p, struct error *err)
{
    char **texts;
    size_t n;
    enum status s =
        embeddings_missing_texts(p->store, p->result->model.model_id, &texts, &n, err);
    if (s)
        return s;
    struct progress *progress = start_progress(p, "embedding prompts", n);
    for (size_t i = 0; i < n && !s && !is_interrupted(p); i += TEXT_BATCH) {
        size_t some = n - i < TEXT_BATCH ? n - i : TEXT_BATCH;
        s = embed_some_texts(p, texts + i, some, err);
        progress_step(progress, (int64_t)some, NULL);
    }
    progress_free(progress);
    embeddings_free_texts(texts, n);
    return s ? s : group_commit(p, 1, err);
}

/* ---- frames ---- */

static enum status embed_batch(
    struct pass *p, const struct frame_batch *batch, struct error *err)
{
    size_t dims = p->result->model.dims;
    if (!p->result->n_broken && batch->n_broken)
        p->result->broken = batch->broken;
    p->result->n_broken += batch->n_broken;
    if (!batch->n)
        return OK;
    int64_t began = clock_mono_ns();
    enum status s = clip_embed_images(p->clip, batch->pixels, batch->n, p->vectors, err);
    p->result->towers_s += (double)(clock_mono_ns() - began) / 1e9;
    if (!s)
        s = group_begin(p, err);
    for (size_t i = 0; i < batch->n && !s; i++)
        s = embeddings_put_frame(
            p->store, &p->result->model, batch->frame_ids[i], p->vectors + i * dims, err);
    p->n_rows += batch->n;
    if (!s)
        s = group_commit(p, 0, err);
    p->result->n_images += s ? 0 : batch->n;
    return s;
}

static enum status embed_frames(struct pass *p, struct error *err)
{
    int64_t *frame_ids, began = clock_mono_ns();
    size_t n;
    struct frame_feed *feed = NULL;
    struct frame_batch batch;
    int has_batch = 1;
    enum status s = embeddings_missing_frames(
        p->store, p->result->model.model_id, &frame_ids, &n, err);
    if (!s && n)
        s = frame_feed_open(p->store, frame_ids, n, clip_preparation(p->clip),
            p->options->n_workers, &feed, err);
    struct progress *progress = start_progress(p, "embedding frames", n);
    while (!s && n && has_batch && !is_interrupted(p)) {
        s = frame_feed_next(feed, &batch, &has_batch, err);
        if (!s && has_batch)
            s = embed_batch(p, &batch, err);
        if (!s && has_batch)
            progress_step(progress, (int64_t)(batch.n + batch.n_broken), NULL);
    }
    progress_free(progress);
    frame_feed_close(feed);
    free(frame_ids);
    if (!s)
        s = group_commit(p, 1, err);
    p->result->images_s = (double)(clock_mono_ns() - began) / 1e9;
    return s;
}

/* ---- values ---- */

/* Pairs of one range of turns that have both embeddings and no value yet. */
static const char sql_pairs[] =
    "SELECT t.turn_id, v.view_id, x.vector, y.vector FROM turn t"
    " JOIN session s USING (session_id) JOIN prompt p USING (prompt_id)"
    " JOIN scene_frame f ON f.scene_id = s.scene_id AND f.at_ms = s.at_ms AND f.part = 0"
    " JOIN view v ON v.view_id = f.view_id AND v.kind = 'image'"
    " JOIN embedding x ON x.model_id = ?1 AND x.text = p.text"
    " JOIN embedding y ON y.model_id = ?1 AND y.frame_id = f.frame_id"
    " WHERE t.turn_id BETWEEN ?3 AND ?4 AND NOT EXISTS (SELECT 1 FROM association a"
    "  WHERE a.turn_id = t.turn_id AND a.view_id = v.view_id AND a.model = ?2)";

struct pair {
    int64_t turn_id, view_id;
    double value;
};

struct pairs {
    struct pair *list;
    size_t n, size;
};

static enum status add_pair(struct pairs *pairs, struct pair one, struct error *err)
{
    if (pairs->n == pairs->size) {
        size_t size = pairs->size ? 2 * pairs->size : 1024;
        struct pair *grown = realloc(pairs->list, size * sizeof *grown);
        if (!grown)
            return error_nomem(err, size * sizeof *grown);
        pairs->list = grown;
        pairs->size = size;
    }
    pairs->list[pairs->n++] = one;
    return OK;
}

/* Cosines of turns [from, from + TURNS_A_COMMIT); vectors has room for two. */
static enum status find_pairs(struct store *store, const struct embeddings_model *model,
    int64_t from, float *vectors, struct pairs *pairs, struct error *err)
{
    struct query *q;
    size_t dims = model->dims;
    enum status s = query_open(store, sql_pairs, &q, err);
    if (s)
        return s;
    query_bind(q, "itii", model->model_id, model->name, from, from + TURNS_A_COMMIT - 1);
    pairs->n = 0;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        size_t len;
        const void *text = query_bytes(q, 2, &len);
        s = embeddings_vector(text, len, dims, vectors, err);
        const void *image = query_bytes(q, 3, &len);
        if (!s)
            s = embeddings_vector(image, len, dims, vectors + dims, err);
        struct pair one = { query_int(q, 0), query_int(q, 1), 0 };
        if (!s)
            one.value = clip_cosine(vectors, vectors + dims, dims);
        if (!s && !isnan(one.value))
            s = add_pair(pairs, one, err);
        if (s)
            break;
    }
    query_close(q);
    return s;
}

static enum status keep_pairs(struct store *store, const struct embeddings_model *model,
    const struct pairs *pairs, struct error *err)
{
    enum status s = pairs->n ? store_begin(store, err) : OK;
    for (size_t i = 0; i < pairs->n && !s; i++)
        s = store_run(store, err,
            "INSERT INTO association (turn_id, view_id, model, value) VALUES (?, ?, ?, "
            "?)",
            "iitd", pairs->list[i].turn_id, pairs->list[i].view_id, model->name,
            pairs->list[i].value);
    if (!s && pairs->n)
        s = store_commit(store, err);
    return s;
}

enum status associate_derive(struct store *store, const struct embeddings_model *model,
    size_t *n_values, struct error *err)
{
    *n_values = 0;
    struct pairs pairs = { 0 };
    int64_t last = 0;
    float *vectors = malloc((2 * model->dims + 1) * sizeof *vectors);
    enum status s = vectors ? OK : error_nomem(err, 2 * model->dims * sizeof *vectors);
    if (!s)
        s = store_int(store, 0, &last, err, "SELECT max(turn_id) FROM turn", "");
    for (int64_t from = 1; from <= last && !s; from += TURNS_A_COMMIT) {
        s = find_pairs(store, model, from, vectors, &pairs, err);
        if (!s)
            s = keep_pairs(store, model, &pairs, err);
        *n_values += s ? 0 : pairs.n;
    }
    if (s)
        store_rollback(store);
    free(vectors);
    free(pairs.list);
    return s;
}

/* ---- the pass ---- */

enum status associate_store(struct store *store, struct clip *clip,
    const struct associate_options *options, struct associate_result *result,
    struct error *err)
{
    *result = (struct associate_result) { 0 };
    struct pass p = {
        .store = store, .clip = clip, .options = options, .result = result
    };
    size_t dims = clip_config(clip)->projection;
    p.vectors = malloc(TEXT_BATCH * dims * sizeof *p.vectors);
    if (!p.vectors)
        return error_nomem(err, TEXT_BATCH * dims * sizeof *p.vectors);
    enum status s = add_model(&p, err);
    if (!s)
        s = embed_texts(&p, err);
    if (!s && !is_interrupted(&p))
        s = embed_frames(&p, err);
    if (!s && !is_interrupted(&p))
        s = associate_derive(store, &result->model, &result->n_values, err);
    if (s)
        store_rollback(store);
    free(p.vectors);
    if (s)
        return s;
    if (is_interrupted(&p))
        return error_set(err, E_INTERRUPTED,
            "interrupted; what is done is in the store, and the same command goes on");
    if (result->n_broken)
        return error_set(err, E_PARTIAL,
            "%zu frames cannot be decoded, so their views have no association; the "
            "first: "
            "%s",
            result->n_broken, result->broken.msg);
    return OK;
}
