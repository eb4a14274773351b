/* embeddings.c - rows of association_model and embedding. */
#include "annotate/embeddings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/clip/clip.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define NAME_DIGITS 8 /* of the identity */

/* ---- models ---- */

enum status embeddings_find(struct store *store, const char *identity,
    struct embeddings_model *out, struct error *err)
{
    *out = (struct embeddings_model) { 0 };
    struct query *q;
    enum status s = query_open(store,
        "SELECT model_id, name, dims FROM association_model WHERE identity = ?", &q, err);
    if (s)
        return s;
    query_bind(q, "t", identity);
    s = query_next(q, err);
    if (!s && query_has_row(q)) {
        out->model_id = query_int(q, 0);
        snprintf(out->name, sizeof out->name, "%s", query_text(q, 1));
        out->dims = (size_t)query_int(q, 2);
    } else if (!s) {
        s = error_set(err, E_NOT_FOUND,
            "store %s has no embeddings of this checkpoint and precision (%.12s...); "
            "m4a1 "
            "associate computes them",
            store_path(store), identity);
    }
    query_close(q);
    return s;
}

/* The last part of a path, whatever slashes stand behind it; what a name should not hold
 * becomes a dash. */
static void name_of_folder(const char *dir, char *out, size_t size)
{
    size_t end = strlen(dir), start;
    while (end > 1 && dir[end - 1] == '/')
        end--;
    for (start = end; start && dir[start - 1] != '/';)
        start--;
    size_t n = end - start < size - 1 ? end - start : size - 1;
    memcpy(out, dir + start, n);
    out[n] = '\0';
    for (char *c = out; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || strchr(",\"'/", *c))
            *c = '-';
    if (!strcmp(out, ".") || !strcmp(out, ".."))
        snprintf(out, size, "clip");
}

enum status embeddings_add(struct store *store, const char *identity, const char *dir,
    size_t dims, const char *facts, struct embeddings_model *out, struct error *err)
{
    struct error why = ERROR_INIT;
    enum status s = embeddings_find(store, identity, out, &why);
    if (s != E_NOT_FOUND)
        return s ? error_set(err, s, "%s", why.msg) : OK;
    char folder[EMBEDDINGS_NAME_MAX / 2], name[EMBEDDINGS_NAME_MAX];
    int64_t taken = 0;
    name_of_folder(dir, folder, sizeof folder);
    snprintf(name, sizeof name, "%s-%.*s", folder, NAME_DIGITS, identity);
    s = store_int(store, 0, &taken, err,
        "SELECT count(*) FROM association_model WHERE name = ?", "t", name);
    if (!s && taken) // an import has it
        snprintf(name, sizeof name, "%s", identity);
    if (!s)
        s = store_run(store, err,
            "INSERT INTO association_model (name, identity, dims, facts, added_ms)"
            " VALUES (?, ?, ?, ?, ?)",
            "ttiti", name, identity, (int64_t)dims, facts, clock_wall_ms());
    return s ? s : embeddings_find(store, identity, out, err);
}

/* ---- what is missing ---- */

void embeddings_free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

enum status embeddings_missing_texts(
    struct store *store, int64_t model_id, char ***texts, size_t *n, struct error *err)
{
    *texts = NULL;
    *n = 0;
    size_t size = 0;
    struct query *q;
    enum status s = query_open(store,
        "SELECT DISTINCT p.text FROM prompt p WHERE NOT EXISTS (SELECT 1 FROM embedding e"
        " WHERE e.model_id = ? AND e.text = p.text) ORDER BY length(p.text), p.text",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", model_id);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        if (*n == size) {
            size = size ? 2 * size : 64;
            char **grown = realloc(*texts, size * sizeof *grown);
            if (grown)
                *texts = grown;
            else
                s = error_nomem(err, size * sizeof *grown);
        }
        if (!s && !((*texts)[*n] = text_copy(query_text(q, 0))))
            s = error_nomem(err, 64);
        if (s)
            break;
        ++*n;
    }
    query_close(q);
    if (s) {
        embeddings_free_texts(*texts, *n);
        *texts = NULL;
        *n = 0;
    }
    return s;
}

#define MISSING_FRAMES                                                                   \
    " FROM scene_frame f JOIN view v USING (view_id) JOIN frame r USING (frame_id)"      \
    " WHERE v.kind = 'image' AND r.media_type LIKE 'image/%' AND NOT EXISTS"             \
    " (SELECT 1 FROM embedding e WHERE e.model_id = ? AND e.frame_id = f.frame_id)"

enum status embeddings_missing_frames(struct store *store, int64_t model_id,
    int64_t **frame_ids, size_t *n, struct error *err)
{
    *frame_ids = NULL;
    *n = 0;
    int64_t count = 0;
    struct query *q = NULL;
    enum status s = store_int(store, 0, &count, err,
        "SELECT count(DISTINCT f.frame_id)" MISSING_FRAMES, "i", model_id);
    if (!s && !(*frame_ids = calloc((size_t)count + 1, sizeof **frame_ids)))
        s = error_nomem(err, (size_t)count * sizeof **frame_ids);
    if (!s)
        s = query_open(store,
            "SELECT DISTINCT f.frame_id" MISSING_FRAMES " ORDER BY f.frame_id", &q, err);
    if (!s)
        query_bind(q, "i", model_id);
    while (!s && !(s = query_next(q, err)) && query_has_row(q) && *n < (size_t)count)
        (*frame_ids)[(*n)++] = query_int(q, 0);
    query_close(q);
    if (s) {
        free(*frame_ids);
        *frame_ids = NULL;
        *n = 0;
    }
    return s;
}

/* ---- vectors ---- */

static void store_f32(float x, uint8_t *p)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(bits >> (8 * i));
}

enum status embeddings_vector(
    const void *bytes, size_t len, size_t dims, float *vector, struct error *err)
{
    const uint8_t *p = bytes;
    if (!p || len != 4 * dims)
        return error_set(err, E_DATA,
            "an embedding has %zu bytes instead of %zu; m4a1 check tells more", len,
            4 * dims);
    for (size_t i = 0; i < dims; i++, p += 4) {
        uint32_t bits = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                        (uint32_t)p[3] << 24;
        memcpy(&vector[i], &bits, sizeof bits);
    }
    return OK;
}

static enum status put(struct store *store, const struct embeddings_model *model,
    const char *text, const int64_t *frame_id, const float *vector, struct error *err)
{
    for (size_t i = 0; i < model->dims; i++)
        if (!isfinite(vector[i]))
            return error_set(err, E_DATA,
                "the embedding of %s%.60s%s has a value that is not finite: the weights "
                "of %s are damaged, or its activations overflow",
                frame_id ? "a frame" : "\"", frame_id ? "" : text, frame_id ? "" : "\"",
                model->name);
    uint8_t *bytes = malloc(4 * model->dims);
    if (!bytes)
        return error_nomem(err, 4 * model->dims);
    for (size_t i = 0; i < model->dims; i++)
        store_f32(vector[i], bytes + 4 * i);
    enum status s = store_run(store, err,
        "INSERT INTO embedding (model_id, kind, text, frame_id, vector)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        "ittIb", model->model_id, frame_id ? "image" : "text", text, frame_id, bytes,
        4 * model->dims);
    free(bytes);
    return s;
}

enum status embeddings_put_text(struct store *store, const struct embeddings_model *model,
    const char *text, const float *vector, struct error *err)
{
    return put(store, model, text, NULL, vector, err);
}

enum status embeddings_put_frame(struct store *store,
    const struct embeddings_model *model, int64_t frame_id, const float *vector,
    struct error *err)
{
    return put(store, model, NULL, &frame_id, vector, err);
}

/* ---- the nearest frames ---- */

/* Put one behind all that are as near, where there is room. */
static void insert_near(
    struct embeddings_near *out, size_t n, size_t *n_found, struct embeddings_near one)
{
    size_t at = *n_found;
    while (at && out[at - 1].cosine < one.cosine)
        at--;
    if (at == n)
        return;
    if (*n_found < n)
        ++*n_found;
    memmove(out + at + 1, out + at, (*n_found - 1 - at) * sizeof *out);
    out[at] = one;
}

enum status embeddings_nearest(struct store *store, const struct embeddings_model *model,
    const float *vector, size_t n, struct embeddings_near *out, size_t *n_found,
    size_t *n_frames, struct error *err)
{
    *n_found = *n_frames = 0;
    struct query *q;
    float *other = malloc((model->dims + 1) * sizeof *other);
    if (!other)
        return error_nomem(err, model->dims * sizeof *other);
    enum status s = query_open(store,
        "SELECT frame_id, vector FROM embedding WHERE model_id = ? AND kind = 'image'"
        " ORDER BY frame_id",
        &q, err);
    if (!s)
        query_bind(q, "i", model->model_id);
    while (!s && !(s = query_next(q, err)) && query_has_row(q)) {
        size_t len;
        const void *bytes = query_bytes(q, 1, &len);
        s = embeddings_vector(bytes, len, model->dims, other, err);
        if (s)
            break;
        struct embeddings_near one = { query_int(q, 0),
            clip_cosine(vector, other, model->dims) };
        if (!isnan(one.cosine))
            insert_near(out, n, n_found, one);
        ++*n_frames;
    }
    query_close(q);
    free(other);
    return s;
}
