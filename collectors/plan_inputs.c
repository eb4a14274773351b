/* plan_inputs.c - reading scenes, prompts and llms for a plan. */
#include "collectors/plan_inputs.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "schema/query.h"

#define TAGS_MAX 64

/* Room for one more element of size bytes; NULL when out of memory. */
static void *grow(void *array, size_t n, size_t size)
{
    return n & (n - 1) ? array : realloc(array, (n ? 2 * n : 1) * size);
}

/* Bits of the tags in a JSON array; with add, new tags are given a bit. */
static enum status tag_bits(
    struct plan_inputs *in, const char *json, int add, uint64_t *bits, struct error *err)
{
    *bits = 0;
    struct json *tags;
    enum status s = json_parse(json, strlen(json), "tags", 0, &tags, err);
    for (const struct json *t = json_first(tags); t && !s; t = json_next(t)) {
        const char *name = json_text(t, "");
        size_t i = 0;
        while (i < in->n_tags && !text_equal(in->tags[i], name))
            i++;
        if (i == in->n_tags && add) {
            if (i == TAGS_MAX) {
                s = error_set(
                    err, E_LIMIT, "prompts need more than %d scene tags", TAGS_MAX);
                break;
            }
            char **grown = realloc(in->tags, (i + 1) * sizeof *grown);
            if (!grown || !(grown[i] = text_copy(name))) {
                in->tags = grown ? grown : in->tags;
                s = error_nomem(err, sizeof *grown);
                break;
            }
            in->tags = grown;
            in->n_tags++;
        }
        if (i < in->n_tags)
            *bits |= (uint64_t)1 << i;
    }
    json_free(tags);
    return s;
}

static enum status load_views(
    struct store *store, struct plan_inputs *in, struct error *err)
{
    struct query *q;
    enum status s = query_open(
        store, "SELECT position, name FROM view WHERE retired_ms IS NULL", &q, err);
    if (s)
        return s;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        int64_t position = query_int(q, 0);
        in->view_names[position] = text_copy(query_text(q, 1));
        in->all_views |= (uint32_t)1 << position;
        if (!in->view_names[position]) {
            s = error_nomem(err, 64);
            break;
        }
    }
    query_close(q);
    return s;
}

static enum status load_prompts(
    struct store *store, struct plan_inputs *in, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT p.prompt_id, p.name, k.name, p.text, p.needs, p.task_id FROM prompt p "
        "JOIN task k "
        "USING (task_id) WHERE p.retired_ms IS NULL ORDER BY p.prompt_id",
        &q, err);
    if (s)
        return s;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct plan_prompt *grown = grow(in->prompts, in->n_prompts, sizeof *grown);
        if (!grown) {
            s = error_nomem(err, sizeof *grown);
            break;
        }
        in->prompts = grown;
        struct plan_prompt *p = &grown[in->n_prompts++];
        const char *id = query_text(q, 1);
        *p = (struct plan_prompt) { .prompt_id = query_int(q, 0),
            .task_id = query_int(q, 5),
            .id = id ? text_copy(id) : NULL,
            .task = text_copy(query_text(q, 2)),
            .text = text_copy(query_text(q, 3)) };
        if ((id && !p->id) || !p->task || !p->text)
            s = error_nomem(err, sizeof *p);
        else
            s = tag_bits(in, query_text(q, 4), 1, &p->needs, err);
        if (s)
            break;
    }
    query_close(q);
    return s;
}

/* Instants at which every view has a frame, in the order of names and instants. */
static enum status load_scenes(
    struct store *store, struct plan_inputs *in, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "WITH shown AS (SELECT x.scene_id, x.at_ms, x.name, CASE x.kind WHEN 'video' "
        "THEN json_group_array(json_array(x.offset_ms, x.sha256)) "
        "ELSE json_quote(max(x.sha256)) END AS frames, count(x.sha256) = count(*) AS "
        "whole "
        "FROM (SELECT f.*, v.name, v.kind, r.sha256 FROM scene_frame f "
        "JOIN view v USING (view_id) LEFT JOIN frame r USING (frame_id) "
        "WHERE v.retired_ms IS NULL ORDER BY f.scene_id, f.at_ms, f.view_id, f.part) x "
        "GROUP BY x.scene_id, x.at_ms, x.view_id) "
        "SELECT s.scene_id, i.at_ms, s.name, s.tags, "
        "json_group_object(i.name, json(i.frames)) "
        "FROM scene s JOIN shown i USING (scene_id) WHERE i.whole "
        "GROUP BY s.scene_id, i.at_ms HAVING count(*) = ? ORDER BY s.name, i.at_ms",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", (int64_t)__builtin_popcount(in->all_views));
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct plan_scene *grown = grow(in->scenes, in->n_scenes, sizeof *grown);
        if (!grown) {
            s = error_nomem(err, sizeof *grown);
            break;
        }
        in->scenes = grown;
        struct plan_scene *scene = &grown[in->n_scenes++];
        *scene = (struct plan_scene) { .scene_id = query_int(q, 0),
            .at_ms = query_int(q, 1),
            .name = text_copy(query_text(q, 2)),
            .frames = text_copy(query_text(q, 4)) };
        if (!scene->name || !scene->frames)
            s = error_nomem(err, sizeof *scene);
        else
            s = tag_bits(in, query_text(q, 3), 0, &scene->tags, err);
        if (s)
            break;
    }
    query_close(q);
    return s;
}

uint32_t plan_inputs_positions(const struct plan_inputs *in, uint32_t set)
{
    uint32_t positions = 0;
    for (size_t i = 0; i < in->recipe->n_views; i++) {
        if (!(set >> i & 1))
            continue;
        for (int p = 0; p < RECIPE_MAX_VIEWS; p++) {
            if (in->view_names[p] &&
                text_equal(in->view_names[p], in->recipe->views[i].name))
                positions |= (uint32_t)1 << p;
        }
    }
    return positions;
}

/* The sets of views that an llm lists; every subset where the recipe says nothing. */
static enum status list_sets(struct plan_inputs *in, const struct llm *llm,
    struct behaviour_llm *actor, struct error *err)
{
    const struct recipe_actions *listed = recipe_actions_of(in->recipe, llm->name);
    int all = !listed || listed->all_subsets;
    int n_views = __builtin_popcount(in->all_views);
    if (all && n_views > 16)
        return error_set(err, E_LIMIT,
            "llm %s: %d views have %ld subsets; list the actions it shall have",
            llm->name, n_views, 1L << n_views);
    size_t n = all ? (size_t)1 << n_views : listed->n_sets;
    actor->sets = calloc(n, sizeof *actor->sets);
    if (!actor->sets)
        return error_nomem(err, n * sizeof *actor->sets);
    actor->n_sets = n;
    uint32_t subset = 0;
    for (size_t i = 0; i < n; i++) {
        actor->sets[i] = all ? subset : plan_inputs_positions(in, listed->sets[i]);
        subset = (subset - in->all_views) & in->all_views; /* the next subset */
    }
    return OK;
}

static enum status load_actors(struct plan_inputs *in, struct error *err)
{
    in->actors = calloc(in->n_llms + 1, sizeof *in->actors);
    in->actor_llm = calloc(in->n_llms + 1, sizeof *in->actor_llm);
    if (!in->actors || !in->actor_llm)
        return error_nomem(err, in->n_llms * sizeof *in->actors);
    enum status s = OK;
    for (size_t i = 0; i < in->n_llms && !s; i++) {
        const struct llm *llm = &in->llms[i];
        if (llm->role != LLM_LOCAL && llm->role != LLM_CLOUD)
            continue;
        struct behaviour_llm *actor = &in->actors[in->n_actors];
        actor->cloud = llm->role == LLM_CLOUD;
        memcpy(actor->accepts, llm->accepts, sizeof actor->accepts);
        actor->views = in->views.views;
        in->actor_llm[in->n_actors++] = i;
        s = list_sets(in, llm, actor, err);
    }
    return s;
}

enum status plan_inputs_load(
    struct store *store, struct plan_inputs *in, struct error *err)
{
    *in = (struct plan_inputs) { 0 };
    enum status s = recipe_of_store(store, &in->recipe, err);
    if (!s)
        s = llm_load_all(store, 0, &in->llms, &in->n_llms, err);
    if (!s)
        s = accepts_load(store, &in->views, err);
    if (!s)
        s = load_views(store, in, err);
    if (!s)
        s = load_prompts(store, in, err);
    if (!s)
        s = load_scenes(store, in, err);
    if (!s)
        s = load_actors(in, err);
    if (s)
        plan_inputs_release(in);
    return s;
}

void plan_inputs_release(struct plan_inputs *in)
{
    for (size_t i = 0; i < in->n_actors; i++)
        free(in->actors[i].sets);
    for (size_t i = 0; i < in->n_scenes; i++) {
        free(in->scenes[i].name);
        free(in->scenes[i].frames);
    }
    for (size_t i = 0; i < in->n_prompts; i++) {
        free(in->prompts[i].id);
        free(in->prompts[i].task);
        free(in->prompts[i].text);
    }
    for (size_t i = 0; i < in->n_tags; i++)
        free(in->tags[i]);
    for (size_t i = 0; i < RECIPE_MAX_VIEWS; i++)
        free(in->view_names[i]);
    accepts_release(&in->views);
    llm_free_all(in->llms, in->n_llms);
    recipe_free(in->recipe);
    free(in->actors);
    free(in->actor_llm);
    free(in->scenes);
    free(in->prompts);
    free(in->tags);
    *in = (struct plan_inputs) { 0 };
}

size_t plan_inputs_actor(const struct plan_inputs *in, int64_t llm_id)
{
    size_t i = 0;
    while (i < in->n_actors && in->llms[in->actor_llm[i]].llm_id != llm_id)
        i++;
    return i;
}

enum status plan_inputs_eligible(const struct plan_inputs *in, uint32_t context,
    struct behaviour_action **actions, size_t *n, struct error *err)
{
    return behaviour_eligible(in->actors, in->n_actors, context,
        in->recipe->history.keep_images, actions, n, err);
}

int plan_prompt_suits(const struct plan_prompt *prompt, const struct plan_scene *scene)
{
    return (prompt->needs & ~scene->tags) == 0;
}
