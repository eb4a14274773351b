/* transfer.c - names to names, bits to bits. */
#include "m4a1/tmo/transfer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/dataset_build.h"
#include "m4a1/base/text.h"

#define NOWHERE (-1) /* a view that is never shown */

struct words {
    struct dataset *other;
    const struct dataset *ours;
    int views[DATASET_MAX_VIEWS]; /* of other to ours, or NOWHERE */
    int *tasks, *llms;
};

static int find(char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return NOWHERE;
}

static int find_llm(const struct dataset *data, const char *name)
{
    for (size_t i = 0; i < data->n_llms; i++)
        if (strcmp(data->llms[i].name, name) == 0)
            return (int)i;
    return NOWHERE;
}

/* What a map says of a name: *mapped is that of ours, NULL for null. */
static enum status look_up(const struct json *map, const char *kind, const char *name,
    const char **mapped, struct error *err)
{
    const struct json *j = json_get(json_get(map, kind), name);
    *mapped = name;
    if (!j)
        return OK;
    if (!json_is_string(j) && !json_is_null(j))
        return error_set(err, E_DATA,
            "the map's %s: \"%s\" corresponds to a name, or to null", kind, name);
    *mapped = json_is_null(j) ? NULL : json_text(j, "");
    return OK;
}

/* Names of the map that other lacks are mistakes. */
static enum status check_map(
    const struct words *w, const struct json *map, struct error *err)
{
    static const char *const kinds[] = { "views", "tasks", "llms" };
    if (map && !json_is_object(map))
        return error_set(err, E_DATA,
            "the map is an object with views, tasks and llms, or some of them");
    for (const struct json *c = json_first(map); c; c = json_next(c)) {
        const char *kind = json_key(c);
        if (strcmp(kind, kinds[0]) != 0 && strcmp(kind, kinds[1]) != 0 &&
            strcmp(kind, kinds[2]) != 0)
            return error_set(
                err, E_DATA, "the map has views, tasks and llms, not \"%s\"", kind);
        if (!json_is_object(c))
            return error_set(err, E_DATA,
                "the map's %s: expected an object, {\"theirs\": \"ours\"}", kind);
        for (const struct json *one = json_first(c); one; one = json_next(one)) {
            const char *name = json_key(one);
            const struct dataset *other = w->other;
            int at = kind[0] == 'v'   ? find(other->views, other->n_views, name)
                     : kind[0] == 't' ? find(other->tasks, other->n_tasks, name)
                                      : find_llm(other, name);
            if (at == NOWHERE)
                return error_set(err, E_DATA, "the map's %s: %s has no \"%s\"", kind,
                    other->source, name);
        }
    }
    return OK;
}

static enum status map_views(struct words *w, const struct json *map, struct error *err)
{
    for (size_t i = 0; i < w->other->n_views; i++) {
        const char *to;
        enum status s = look_up(map, "views", w->other->views[i], &to, err);
        if (s)
            return s;
        w->views[i] = to ? find(w->ours->views, w->ours->n_views, to) : NOWHERE;
        if (to && to != w->other->views[i] && w->views[i] == NOWHERE)
            return error_set(
                err, E_DATA, "the map's views: %s has no \"%s\"", w->ours->source, to);
        for (size_t j = 0; j < i; j++)
            if (w->views[i] != NOWHERE && w->views[j] == w->views[i])
                return error_set(err, E_DATA,
                    "views \"%s\" and \"%s\" both correspond to \"%s\"",
                    w->other->views[j], w->other->views[i], to);
    }
    return OK;
}

static enum status map_tasks_and_llms(
    struct words *w, const struct json *map, struct error *err)
{
    const struct dataset *other = w->other, *ours = w->ours;
    for (size_t i = 0; i < other->n_tasks; i++) {
        const char *to;
        enum status s = look_up(map, "tasks", other->tasks[i], &to, err);
        if (s)
            return s;
        w->tasks[i] = to ? find(ours->tasks, ours->n_tasks, to) : NOWHERE;
        if (w->tasks[i] == NOWHERE)
            return error_set(err, E_DATA,
                "task \"%s\" of %s corresponds to none of %s; say which in the map's "
                "tasks",
                other->tasks[i], other->source, ours->source);
    }
    for (size_t i = 0; i < other->n_llms; i++) {
        const char *to;
        enum status s = look_up(map, "llms", other->llms[i].name, &to, err);
        if (s)
            return s;
        w->llms[i] = to ? find_llm(ours, to) : NOWHERE;
        if (w->llms[i] == NOWHERE)
            return error_set(err, E_DATA,
                "llm \"%s\" of %s corresponds to none of %s; say which in the map's llms",
                other->llms[i].name, other->source, ours->source);
    }
    return OK;
}

/* ---- rewriting ---- */

static int lacks(const struct words *w, uint32_t set)
{
    for (size_t v = 0; v < w->other->n_views; v++)
        if (set >> v & 1 && w->views[v] == NOWHERE)
            return 1;
    return 0;
}

/* It showed a view that we lack, now or earlier. */
static int shows_unknown(const struct words *w, const struct interaction *it)
{
    return lacks(w, it->views_added | it->views_context | interaction_shown(it));
}

/* Answers that saw a view of theirs alone become none, which ends their session. */
static enum status drop_unknown(struct words *w, struct error *err)
{
    struct dataset *other = w->other;
    for (size_t i = 0; i < other->n_sessions; i++)
        for (size_t t = 0; t < other->sessions[i].n_turns; t++) {
            struct turn *turn = &other->sessions[i].turns[t];
            for (size_t f = 0; f <= turn->n_fan_out; f++) {
                struct interaction *it =
                    f < turn->n_fan_out ? &turn->fan_out[f] : &turn->path;
                if (!shows_unknown(w, it))
                    continue;
                free(it->answer);
                it->answer = NULL;
            }
        }
    enum status s = dataset_drop_incomplete(other, &other->left, err);
    if (!s && !other->n_sessions)
        s = error_set(err, E_DATA,
            "%s: no session is left without views that %s lacks; map them", other->source,
            w->ours->source);
    return s;
}

static uint32_t moved_bits(const struct words *w, uint32_t set)
{
    uint32_t moved = 0;
    for (size_t v = 0; v < w->other->n_views; v++)
        if (set >> v & 1)
            moved |= UINT32_C(1) << w->views[v];
    return moved;
}

static void move_interaction(const struct words *w, struct interaction *it)
{
    it->views_added = moved_bits(w, it->views_added);
    it->views_context = moved_bits(w, it->views_context);
    for (size_t i = 0; i < it->n_image_index; i++)
        it->image_index[i] = w->views[it->image_index[i]];
    it->llm = w->llms[it->llm];
}

static enum status move_associations(
    const struct words *w, struct turn *turn, struct error *err)
{
    if (!turn->association)
        return OK;
    double *moved = malloc(w->ours->n_views * sizeof *moved);
    if (!moved)
        return error_nomem(err, w->ours->n_views * sizeof *moved);
    for (size_t v = 0; v < w->ours->n_views; v++)
        moved[v] = NAN;
    for (size_t v = 0; v < w->other->n_views; v++)
        if (w->views[v] != NOWHERE)
            moved[w->views[v]] = turn->association[v];
    free(turn->association);
    turn->association = moved;
    return OK;
}

static enum status move_turn(const struct words *w, struct turn *turn, struct error *err)
{
    turn->task = w->tasks[turn->task];
    move_interaction(w, &turn->path);
    for (size_t i = 0; i < turn->n_fan_out; i++)
        move_interaction(w, &turn->fan_out[i]);
    return move_associations(w, turn, err);
}

static void forget_paths(struct session *session, size_t n_views)
{
    for (size_t v = 0; session->image_paths && v < n_views; v++)
        free(session->image_paths[v]);
    free(session->image_paths);
    session->image_paths = NULL;
}

/* Views, tasks and llms of ours in place of theirs. */
static enum status take_names(struct words *w, struct error *err)
{
    struct dataset *other = w->other;
    const struct dataset *ours = w->ours;
    for (size_t i = 0; i < other->n_views; i++)
        free(other->views[i]);
    free(other->views);
    free(other->privacy);
    other->views = NULL;
    other->privacy = NULL;
    other->n_views = 0;
    enum status s = dataset_set_views(other, ours->n_views, err);
    for (size_t i = 0; !s && i < ours->n_views; i++) {
        free(other->views[i]);
        other->views[i] = text_copy(ours->views[i]);
        other->privacy[i] = ours->privacy[i];
        if (!other->views[i])
            s = error_nomem(err, 64);
    }
    while (other->n_tasks)
        free(other->tasks[--other->n_tasks]);
    while (other->n_llms) {
        other->n_llms--;
        free(other->llms[other->n_llms].name);
        free(other->llms[other->n_llms].provider);
    }
    for (size_t i = 0; !s && i < ours->n_tasks; i++)
        if (dataset_task(other, ours->tasks[i]) < 0)
            s = error_nomem(err, 64);
    for (size_t i = 0; !s && i < ours->n_llms; i++) {
        const struct dataset_llm *llm = &ours->llms[i];
        int at = dataset_llm_index(other, llm->name, llm->cloud);
        char *provider = text_copy(llm->provider);
        if (at < 0 || (llm->provider && !provider)) {
            free(provider);
            return error_nomem(err, 64);
        }
        other->llms[at].provider = provider;
    }
    return s;
}

static enum status rewrite(struct words *w, struct error *err)
{
    struct dataset *other = w->other;
    enum status s = OK;
    for (size_t i = 0; i < other->n_sessions && !s; i++) {
        struct session *session = &other->sessions[i];
        forget_paths(session, other->n_views);
        for (size_t t = 0; t < session->n_turns && !s; t++)
            s = move_turn(w, &session->turns[t], err);
    }
    if (!s)
        s = take_names(w, err);
    // Not tidied: tasks and llms that these sessions lack stay, so that indices agree.
    return s ? s : dataset_seal(other, err);
}

enum status transfer_map(struct dataset *other, const struct dataset *ours,
    const struct json *map, struct error *err)
{
    struct words w = { .other = other, .ours = ours };
    w.tasks = calloc(other->n_tasks + 1, sizeof *w.tasks);
    w.llms = calloc(other->n_llms + 1, sizeof *w.llms);
    enum status s = w.tasks && w.llms ? check_map(&w, map, err) : error_nomem(err, 64);
    if (!s)
        s = map_views(&w, map, err);
    if (!s)
        s = drop_unknown(&w, err);
    if (!s)
        s = map_tasks_and_llms(&w, map, err);
    if (!s)
        s = rewrite(&w, err);
    free(w.tasks);
    free(w.llms);
    return s;
}
