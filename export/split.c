/* split.c - draw partitions of a data set and read them from files.
 * Knows nothing of stores; split_store.c freezes a split in one. */
#include "export/split.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"

#define SPLIT_FILE_MAX ((size_t)64 << 20)

void split_release(struct split *split)
{
    free(split->train);
    free(split->test);
    *split = (struct split) { 0 };
}

static enum status split_init(struct split *out, size_t n, struct error *err)
{
    *out = (struct split) { 0 };
    out->train = calloc(n + 1, sizeof *out->train);
    out->test = calloc(n + 1, sizeof *out->test);
    if (out->train && out->test)
        return OK;
    split_release(out);
    return error_nomem(err, n * sizeof *out->train);
}

/* ---- drawing ---- */

static enum status draw_sessions(const struct dataset *data, double train, uint64_t seed,
    struct split *out, struct error *err)
{
    size_t n = data->n_sessions;
    size_t n_train = (size_t)llround(train * (double)n);
    size_t *order = calloc(n, sizeof *order);
    if (!order)
        return error_nomem(err, n * sizeof *order);
    if (n_train == 0)
        n_train = 1;
    if (n_train == n)
        n_train = n - 1;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    struct rng rng;
    rng_init(&rng, seed, "split", 0);
    rng_shuffle(&rng, order, n);
    for (size_t i = 0; i < n; i++) {
        int64_t id = data->sessions[order[i]].id;
        if (i < n_train)
            out->train[out->n_train++] = id;
        else
            out->test[out->n_test++] = id;
    }
    free(order);
    return OK;
}

/* A number in [0, 1) that depends on seed and scene alone, so that sessions and scenes
 * that are added later move no other. */
static enum status scene_place(
    uint64_t seed, const char *scene, double *place, struct error *err)
{
    uint8_t hash[HASH_BYTES];
    char *salted = text_format("m4a1-split-1\n%" PRIu64 "\n%s", seed, scene);
    if (!salted)
        return error_nomem(err, strlen(scene));
    hash_bytes(salted, strlen(salted), hash);
    free(salted);
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | hash[i];
    *place = (double)(bits >> 11) * 0x1p-53;
    return OK;
}

/* Where a side stays empty, the scene nearest to the border goes over: one so small a
 * set has no stable draw anyway.  The border is moved to let exactly that scene pass. */
static double mend_border(const double *place, size_t n, double train)
{
    double low = 2, high = -1;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, place[i]);
        high = fmax(high, place[i]);
    }
    if (low >= train)
        return nextafter(low, 1);
    return high < train ? high : train;
}

static enum status draw_scenes(const struct dataset *data, double train, uint64_t seed,
    struct split *out, struct error *err)
{
    size_t n = data->n_sessions;
    double *place = calloc(n, sizeof *place);
    enum status s = OK;
    if (!place)
        return error_nomem(err, n * sizeof *place);
    for (size_t i = 0; i < n && !s; i++)
        s = scene_place(seed, data->sessions[i].scene, &place[i], err);
    double border = mend_border(place, n, train);
    for (size_t i = 0; i < n && !s; i++) {
        int64_t id = data->sessions[i].id;
        if (place[i] < border)
            out->train[out->n_train++] = id;
        else
            out->test[out->n_test++] = id;
    }
    free(place);
    if (!s && (!out->n_train || !out->n_test))
        s = error_set(err, E_ARG,
            "all %zu sessions are over one scene, which cannot be split by scene; split "
            "by "
            "session, or collect over more scenes",
            n);
    return s;
}

enum status split_draw(const struct dataset *data, int by_scene, double train,
    uint64_t seed, struct split *out, struct error *err)
{
    *out = (struct split) { 0 };
    if (!(train > 0 && train < 1))
        return error_set(
            err, E_ARG, "the training share must lie between 0 and 1, not %g", train);
    if (data->n_sessions < 2)
        return error_set(err, E_ARG,
            "%s has %zu complete session%s, and a split needs 2 or more; turns become "
            "complete by an answer (m4a1 collect) and a score (m4a1 annotate)",
            data->source, data->n_sessions, data->n_sessions == 1 ? "" : "s");
    enum status s = split_init(out, data->n_sessions, err);
    if (s)
        return s;
    s = by_scene ? draw_scenes(data, train, seed, out, err)
                 : draw_sessions(data, train, seed, out, err);
    if (s)
        split_release(out);
    return s;
}

/* ---- files ---- */

struct part {
    const char *path, *name;
    const struct dataset *data;
    char *used; /* [n_sessions], by position */
};

static enum status read_part(struct part *part, const struct json *list, int64_t *ids,
    size_t *n, struct error *err)
{
    if (!json_is_array(list))
        return error_set(err, E_DATA,
            "%s: %s: expected a list of session ids; a split is {\"train\": [ids], "
            "\"test\": [ids]}",
            part->path, part->name);
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        if (!json_is_int(c))
            return error_set(err, E_DATA, "%s: %s: entry %zu is not a session id",
                part->path, part->name, *n);
        int64_t id = json_int(c, 0);
        const struct session *session = dataset_session(part->data, id);
        if (!session)
            return error_set(err, E_DATA,
                "%s: %s: %s has no session %" PRId64
                "; is the split from another data set?",
                part->path, part->name, part->data->source, id);
        char *used = &part->used[session - part->data->sessions];
        if (*used)
            return error_set(err, E_DATA,
                "%s: %s: session %" PRId64
                " stands in the split twice; each may be on one side once",
                part->path, part->name, id);
        *used = 1;
        ids[(*n)++] = id;
    }
    if (*n == 0)
        return error_set(
            err, E_DATA, "%s: %s: the list is empty", part->path, part->name);
    return OK;
}

enum status split_read(
    const char *path, const struct dataset *data, struct split *out, struct error *err)
{
    struct json *root;
    *out = (struct split) { 0 };
    enum status s = json_read_file(path, SPLIT_FILE_MAX, JSON_UNIQUE_KEYS, &root, err);
    if (s)
        return s;
    struct part part = { path, "train", data, calloc(data->n_sessions + 1, 1) };
    if (!part.used)
        s = error_nomem(err, data->n_sessions);
    else if (!(s = split_init(out, data->n_sessions, err)) &&
             !(s = read_part(
                   &part, json_get(root, "train"), out->train, &out->n_train, err))) {
        part.name = "test";
        s = read_part(&part, json_get(root, "test"), out->test, &out->n_test, err);
    }
    if (s)
        split_release(out);
    free(part.used);
    json_free(root);
    return s;
}

/* ---- scenes on both sides ---- */

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum status split_shared_scenes(const struct dataset *data, const struct split *split,
    size_t *n_scenes, size_t *n_sessions, struct error *err)
{
    const char **train = calloc(split->n_train + 1, sizeof *train);
    *n_scenes = *n_sessions = 0;
    if (!train)
        return error_nomem(err, split->n_train * sizeof *train);
    for (size_t i = 0; i < split->n_train; i++) {
        const struct session *session = dataset_session(data, split->train[i]);
        train[i] = session ? session->scene : "";
    }
    qsort(train, split->n_train, sizeof *train, compare_text);
    const char **shared = calloc(split->n_test + 1, sizeof *shared);
    for (size_t i = 0; shared && i < split->n_test; i++) {
        const struct session *session = dataset_session(data, split->test[i]);
        if (session &&
            bsearch(&session->scene, train, split->n_train, sizeof *train, compare_text))
            shared[(*n_sessions)++] = session->scene;
    }
    if (shared) {
        qsort(shared, *n_sessions, sizeof *shared, compare_text);
        for (size_t i = 0; i < *n_sessions; i++)
            *n_scenes += i == 0 || strcmp(shared[i], shared[i - 1]) != 0;
    }
    enum status s = shared ? OK : error_nomem(err, split->n_test * sizeof *shared);
    free(train);
    free(shared);
    return s;
}
