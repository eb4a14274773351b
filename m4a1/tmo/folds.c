/* folds.c - groups of rows, numbered as they appear, then dealt out. */
#include "m4a1/tmo/folds.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/random.h"

struct scene {
    const char *name;
    size_t session;
};

static int by_name(const void *va, const void *vb)
{
    const struct scene *a = va, *b = vb;
    int c = strcmp(a->name, b->name);
    return c ? c : a->session < b->session ? -1 : a->session > b->session;
}

/* ids[session] = a number of its scene; a session without one is a scene of its own. */
static enum status number_scenes(
    const struct recorded *rec, size_t *ids, struct error *err)
{
    struct scene *scenes =
        malloc((rec->n_sessions ? rec->n_sessions : 1) * sizeof *scenes);
    if (!scenes)
        return error_nomem(err, rec->n_sessions * sizeof *scenes);
    for (size_t i = 0; i < rec->n_sessions; i++) {
        const char *name = rec->data->sessions[i].scene;
        scenes[i] = (struct scene) { name ? name : "", i };
    }
    qsort(scenes, rec->n_sessions, sizeof *scenes, by_name);
    for (size_t i = 0; i < rec->n_sessions; i++) {
        int same = i && scenes[i].name[0] && !strcmp(scenes[i].name, scenes[i - 1].name);
        ids[scenes[i].session] = same ? ids[scenes[i - 1].session] : scenes[i].session;
    }
    free(scenes);
    return OK;
}

static enum status find_ids(const struct recorded *rec, const size_t *rows, size_t n,
    enum folds_by by, size_t *ids, struct error *err)
{
    size_t *scenes = NULL;
    enum status s = OK;
    if (by == FOLDS_SCENE) {
        scenes = malloc((rec->n_sessions ? rec->n_sessions : 1) * sizeof *scenes);
        s = scenes ? number_scenes(rec, scenes, err)
                   : error_nomem(err, rec->n_sessions * sizeof *scenes);
    }
    for (size_t i = 0; !s && i < n; i++) {
        size_t turn = rec->rows[rows[i]].turn;
        ids[i] = by == FOLDS_PROMPT ? rec->prompts[turn] : recorded_session_of(rec, turn);
        if (by == FOLDS_SCENE)
            ids[i] = scenes[ids[i]];
    }
    free(scenes);
    return s;
}

/* Give groups the numbers 0, 1, ... in the order in which their ids rise, so that the
 * order of rows does not matter. */
static enum status number_groups(size_t n_ids, struct folds *f, struct error *err)
{
    size_t *numbers = calloc(n_ids ? n_ids : 1, sizeof *numbers);
    if (!numbers)
        return error_nomem(err, n_ids * sizeof *numbers);
    for (size_t i = 0; i < f->n; i++)
        numbers[f->groups[i]] = 1;
    for (size_t id = 0; id < n_ids; id++)
        if (numbers[id])
            numbers[id] = f->n_groups++;
    for (size_t i = 0; i < f->n; i++)
        f->groups[i] = numbers[f->groups[i]];
    free(numbers);
    return OK;
}

static enum status deal(struct folds *f, uint64_t seed, struct error *err)
{
    size_t *order = malloc(f->n_groups * sizeof *order);
    size_t *fold_of = malloc(f->n_groups * sizeof *fold_of);
    enum status s = OK;
    if (order && fold_of) {
        struct rng rng;
        rng_init(&rng, seed, "folds", 0);
        for (size_t g = 0; g < f->n_groups; g++)
            order[g] = g;
        rng_shuffle(&rng, order, f->n_groups);
        for (size_t g = 0; g < f->n_groups; g++)
            fold_of[order[g]] = g % f->n_folds;
        for (size_t i = 0; i < f->n; i++)
            f->folds[i] = fold_of[f->groups[i]];
    } else {
        s = error_nomem(err, f->n_groups * sizeof *order);
    }
    free(order);
    free(fold_of);
    return s;
}

enum status folds_draw(const struct recorded *rec, const size_t *rows, size_t n,
    enum folds_by by, size_t n_folds, uint64_t seed, struct folds *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    out->n = n;
    out->groups = malloc((n ? n : 1) * sizeof *out->groups);
    out->folds = malloc((n ? n : 1) * sizeof *out->folds);
    enum status s = OK;
    if (!out->groups || !out->folds)
        s = error_nomem(err, n * sizeof *out->groups);
    if (!s)
        s = find_ids(rec, rows, n, by, out->groups, err);
    if (!s)
        s = number_groups(
            by == FOLDS_PROMPT ? rec->n_prompts : rec->n_sessions, out, err);
    if (!s && (out->n_groups < 2 || n_folds < 2))
        s = error_set(err, E_DATA,
            "%s: cross-validation by %s needs rows of two or more of them, and two folds "
            "or more; there are %zu and %zu",
            rec->data->source, folds_by_names[by], out->n_groups, n_folds);
    if (!s) {
        out->n_folds = n_folds < out->n_groups ? n_folds : out->n_groups;
        s = deal(out, seed, err);
    }
    if (s)
        folds_release(out);
    return s;
}

void folds_release(struct folds *folds)
{
    free(folds->groups);
    free(folds->folds);
    folds->groups = folds->folds = NULL;
    folds->n = folds->n_groups = folds->n_folds = 0;
}
