/* plan_write.c - see plan_write.h. */
#include "collectors/plan_write.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/bounds.h"
#include "m4a1/base/clock.h"
#include "schema/accepts.h"
#include "schema/identity.h"
#include "schema/query.h"

#define BLOCK_SESSIONS 16 /* sessions whose calls are sent in one random order */
#define ELIGIBLE_MAX (1 << 20)

int64_t plan_block(int64_t index)
{
    return index / BLOCK_SESSIONS;
}

enum status planner_open(struct planner *p, struct store *store,
    const struct plan_options *options, struct plan_counts *counts, struct error *err)
{
    *p = (struct planner) { .store = store, .counts = counts };
    *counts = (struct plan_counts) { 0 };
    enum status s = plan_inputs_load(store, &p->in, err);
    if (s)
        return s;
    const struct recipe *r = p->in.recipe;
    p->seed = options->seed >= 0 ? options->seed : (int64_t)r->sessions.seed;
    p->samples = options->samples > 0 ? options->samples : r->plan.samples;
    counts->instants = (int64_t)p->in.n_scenes;
    for (size_t i = 0; i < p->in.n_scenes; i++)
        counts->scenes += !i || p->in.scenes[i].scene_id != p->in.scenes[i - 1].scene_id;
    if (!p->in.n_actors)
        return error_set(err, E_ARG, "the recipe has no local and no cloud llm");
    s = plan_last_call(store, &p->first_call, err);
    p->first_call++;
    return s ? s : bounds_check(store, &p->in, err);
}

void planner_release(struct planner *p)
{
    plan_inputs_release(&p->in);
}

enum status plan_write_run(
    struct planner *p, const char *behaviour, struct json *settings, struct error *err)
{
    const struct recipe *r = p->in.recipe;
    int ok = json_set_int(settings, "first_call", p->first_call) != NULL;
    struct json *history = json_set_object(settings, "history");
    json_set_text(history, "images", r->history.keep_images ? "keep" : "drop");
    if (r->history.max_turns < 0)
        json_set_null(history, "max_turns");
    else
        json_set_int(history, "max_turns", r->history.max_turns);
    struct buffer text;
    buffer_init(&text, ELIGIBLE_MAX);
    enum status s = ok && json_size(history) == 2
                        ? json_print(settings, JSON_CANONICAL, &text, err)
                        : error_nomem(err, 64);
    if (!s)
        s = store_run(p->store, err,
            "INSERT INTO plan (recipe_id, created_ms, behaviour, seed, settings) VALUES "
            "((SELECT recipe_id FROM recipe ORDER BY loaded_ms DESC, recipe_id DESC "
            "LIMIT 1), ?, ?, ?, ?)",
            "itit", clock_wall_ms(), behaviour, p->seed, buffer_str(&text));
    if (!s)
        p->plan_id = store_last_id(p->store);
    buffer_release(&text);
    json_free(settings);
    return s;
}

enum status plan_identify_session(
    const struct planner *p, struct session_plan *session, struct error *err)
{
    struct json *frames;
    enum status s = json_parse(session->scene->frames, strlen(session->scene->frames),
        "frames", 0, &frames, err);
    if (s)
        return s;
    struct json *j = json_new_object();
    int ok = json_set_copy(j, "frames", frames) && json_set_int(j, "seed", p->seed) &&
             json_set_int(j, "index", session->index) &&
             json_set_bool(j, "keep_images", p->in.recipe->history.keep_images) &&
             json_set_int(j, "max_turns", p->in.recipe->history.max_turns);
    struct json *prompts = json_set_array(j, "prompts");
    for (size_t t = 0; ok && t < session->n_turns; t++) {
        const struct plan_prompt *prompt = &p->in.prompts[session->prompts[t]];
        struct json *pair = json_add_array(prompts);
        ok = json_add_text(pair, prompt->task) && json_add_text(pair, prompt->text);
    }
    s = ok ? identity_of("m4a1-session-1", j, session->identity, err)
           : error_nomem(err, 64);
    json_free(frames);
    json_free(j);
    return s;
}

enum status plan_write_session(
    struct planner *p, struct session_plan *session, struct error *err)
{
    enum status s = plan_identify_session(p, session, err);
    if (!s)
        s = store_run(p->store, err,
            "INSERT INTO session (identity, scene_id, at_ms, plan_id, plan_index) VALUES "
            "(?, ?, ?, ?, ?)",
            "tiiii", session->identity, session->scene->scene_id, session->scene->at_ms,
            p->plan_id, session->index);
    session->session_id = store_last_id(p->store);
    p->counts->sessions++;
    return s;
}

enum status plan_write_turn(
    struct planner *p, struct session_plan *session, int64_t turn, struct error *err)
{
    enum status s = store_run(p->store, err,
        "INSERT INTO turn (session_id, position, prompt_id) VALUES (?, ?, ?)", "iii",
        session->session_id, turn, p->in.prompts[session->prompts[turn]].prompt_id);
    session->turn_id = store_last_id(p->store);
    p->counts->turns++;
    return s;
}

enum status plan_write_call(struct planner *p, const struct session_plan *session,
    int64_t turn, const struct plan_call *call, int64_t *id, char identity[HASH_HEX],
    struct error *err)
{
    struct call_name name = { .session = session->identity,
        .turn = turn,
        .purpose = call->purpose,
        .llm = call->llm->identity,
        .views_added = call->added,
        .sample = call->sample,
        .parent = session->parent_id ? session->parent : NULL,
        .subject = call->subject_id ? call->subject : NULL };
    *id = 0;
    enum status s = call_identity(&name, identity, err);
    if (s)
        return s;
    s = store_run(p->store, err,
        "INSERT INTO call (identity, turn_id, purpose, llm_id, parent_id, subject_id, "
        "sample, views_added, views_context, probability, eligible, block) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (identity) DO NOTHING",
        "titiIIiiiDti", identity, session->turn_id, call->purpose, call->llm->llm_id,
        session->parent_id ? &session->parent_id : NULL,
        call->subject_id ? &call->subject_id : NULL, call->sample, (int64_t)call->added,
        (int64_t)(session->context | call->added),
        call->probability > 0 ? &call->probability : NULL, call->eligible,
        session->block);
    if (!s && store_n_changed(p->store) > 0)
        *id = store_last_id(p->store);
    return s;
}

enum status plan_write_fan_out(struct planner *p, const struct session_plan *session,
    int64_t turn, const struct behaviour_action *action, double probability,
    struct error *err)
{
    enum status s = OK;
    struct plan_call call = { .purpose = "fan_out",
        .llm = &p->in.llms[p->in.actor_llm[action->llm]],
        .added = action->added,
        .probability = probability };
    for (; call.sample < p->samples && !s; call.sample++) {
        int64_t id;
        char identity[HASH_HEX];
        s = plan_write_call(p, session, turn, &call, &id, identity, err);
        p->counts->fan_out += id != 0;
    }
    return s;
}

enum status plan_write_references(struct planner *p, const struct session_plan *session,
    int64_t turn, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; i < p->in.n_llms && !s; i++) {
        const struct llm *llm = &p->in.llms[i];
        if (llm->role != LLM_REFERENCE)
            continue;
        const struct accepts_view *views = p->in.views.views;
        struct accepts_why why;
        if (!accepts_action(llm->accepts, views, p->in.all_views, 0, 1, &why))
            return accepts_refuse(llm->name, views, &why,
                "as a reference, which is shown every view, it gets", E_ARG, err);
        const struct plan_call call = { .purpose = "reference",
            .llm = llm,
            .added = p->in.all_views & ~session->context };
        int64_t id;
        char identity[HASH_HEX];
        s = plan_write_call(p, session, turn, &call, &id, identity, err);
        p->counts->reference += id != 0;
    }
    return s;
}

/* The eligible actions as JSON: [[llm, views_added, probability], ...]. */
static enum status eligible_json(const struct planner *p,
    const struct behaviour_action *actions, size_t n, struct buffer *out,
    struct error *err)
{
    struct json *j = json_new_array();
    int ok = j != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        struct json *row = json_add_array(j);
        ok = json_add_text(row, p->in.llms[p->in.actor_llm[actions[i].llm]].name) &&
             json_add_int(row, actions[i].added) &&
             json_add_number(row, actions[i].probability);
    }
    enum status s = ok ? json_print(j, JSON_COMPACT, out, err) : error_nomem(err, 64);
    json_free(j);
    return s;
}

enum status plan_write_path(struct planner *p, struct session_plan *session, int64_t turn,
    const struct behaviour_action *actions, size_t n, size_t a, struct error *err)
{
    struct buffer eligible;
    buffer_init(&eligible, ELIGIBLE_MAX);
    struct plan_call call = { .purpose = "path",
        .llm = &p->in.llms[p->in.actor_llm[actions[a].llm]],
        .added = actions[a].added,
        .probability = actions[a].probability };
    int64_t id = 0;
    char identity[HASH_HEX];
    enum status s = eligible_json(p, actions, n, &eligible, err);
    call.eligible = buffer_str(&eligible);
    if (!s)
        s = plan_write_call(p, session, turn, &call, &id, identity, err);
    buffer_release(&eligible);
    p->counts->path++;
    // The turn has one path call; what is asked again stands beside it, with certainty.
    call.purpose = "fan_out";
    call.probability = 1;
    call.eligible = NULL;
    for (call.sample = 1; call.sample < p->samples && !s; call.sample++) {
        int64_t again;
        char name[HASH_HEX];
        s = plan_write_call(p, session, turn, &call, &again, name, err);
        p->counts->fan_out += again != 0;
    }
    session->context |= call.added;
    session->parent_id = id;
    memcpy(session->parent, identity, sizeof identity);
    return s;
}

enum status plan_check_accepts(const struct planner *p, const struct llm *llm,
    uint32_t views, uint32_t context, struct error *err)
{
    struct accepts_why why;
    struct buffer doing;
    if (accepts_action(llm->accepts, p->in.views.views, views, context,
            p->in.recipe->history.keep_images, &why))
        return OK;
    buffer_init(&doing, ELIGIBLE_MAX);
    buffer_add_str(&doing, "action \"");
    accepts_names(p->in.views.views, views, &doing);
    buffer_printf(
        &doing, "\"%s brings", why.views & ~views ? ", with earlier views," : "");
    enum status s = accepts_refuse(
        llm->name, p->in.views.views, &why, buffer_str(&doing), E_ARG, err);
    buffer_release(&doing);
    return s;
}
