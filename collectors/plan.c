/* plan.c - expanding sessions into calls; what they are drawn from is plan_inputs.c's. */
#include "collectors/plan.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/plan_inputs.h"
#include "collectors/plan_script.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "schema/identity.h"
#include "schema/query.h"

#define BLOCK_SESSIONS 16 /* sessions whose calls are sent in one random order */
#define ELIGIBLE_MAX (1 << 20)

struct planner {
    struct store *store;
    struct plan_inputs in;
    const struct plan_options *options;
    struct plan_counts *counts;
    struct plan_script *script; /* NULL = sessions are drawn */
    int64_t plan_id, seed, fan_out;
};

/* One session while it is being written. */
struct session_plan {
    int64_t index, session_id, turn_id;
    char identity[HASH_HEX];
    const struct plan_scene *scene;
    const struct plan_script_session *scripted; /* NULL = drawn */
    size_t *prompts; /* [n_turns] indices into the inputs' prompts */
    size_t n_turns;
    uint32_t context;
    int64_t parent_id; /* the last path call; 0 before the first */
    char parent[HASH_HEX];
};

static enum status insert_plan(struct planner *p, struct error *err)
{
    const struct recipe *r = p->in.recipe;
    struct json *j = json_new_object();
    struct json *history = json_set_object(j, "history");
    json_set_text(history, "images", r->history.keep_images ? "keep" : "drop");
    if (r->history.max_turns < 0)
        json_set_null(history, "max_turns");
    else
        json_set_int(history, "max_turns", r->history.max_turns);
    int ok = json_set_int(j, "fan_out", p->fan_out) != NULL && json_size(history) == 2;
    struct buffer text;
    buffer_init(&text, ELIGIBLE_MAX);
    enum status s = ok ? json_print(j, JSON_CANONICAL, &text, err) : error_nomem(err, 64);
    if (!s)
        s = store_run(p->store, err,
            "INSERT INTO plan (recipe_id, created_ms, behaviour, seed, settings) VALUES "
            "((SELECT recipe_id FROM recipe ORDER BY loaded_ms DESC, recipe_id DESC "
            "LIMIT 1), "
            "?, ?, ?, ?)",
            "itit", clock_wall_ms(), p->script ? "scripted" : r->plan.behaviour, p->seed,
            buffer_str(&text));
    if (!s)
        p->plan_id = store_last_id(p->store);
    buffer_release(&text);
    json_free(j);
    return s;
}

/* The session's identity: frames, prompts, history rule, plan seed and index. */
static enum status identify_session(
    struct planner *p, struct session_plan *session, struct error *err)
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

/* Insert one call of the session's current turn; fills id and identity. */
static enum status insert_call(struct planner *p, struct session_plan *session,
    int64_t turn, const char *purpose, size_t llm, uint32_t added, double probability,
    const char *eligible, int64_t *id, char identity[HASH_HEX], struct error *err)
{
    const struct llm *l = &p->in.llms[llm];
    struct call_name name = { .session = session->identity,
        .turn = turn,
        .purpose = purpose,
        .llm = l->identity,
        .views_added = added,
        .parent = session->parent_id ? session->parent : NULL };
    enum status s = call_identity(&name, identity, err);
    if (s)
        return s;
    int64_t *parent = session->parent_id ? &session->parent_id : NULL;
    s = store_run(p->store, err,
        "INSERT INTO call (identity, turn_id, purpose, llm_id, parent_id, views_added, "
        "views_context, probability, eligible, block) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?)",
        "titiIiiDti", identity, session->turn_id, purpose, l->llm_id, parent,
        (int64_t)added, (int64_t)(session->context | added),
        probability > 0 ? &probability : NULL, eligible, session->index / BLOCK_SESSIONS);
    *id = store_last_id(p->store);
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

/* Other actions of the turn, each included with the same probability. */
static enum status plan_fan_out(struct planner *p, struct session_plan *session,
    int64_t turn, const struct behaviour_action *actions, size_t n, size_t chosen,
    struct error *err)
{
    size_t others = n - 1;
    size_t m =
        p->fan_out < 0 || (uint64_t)p->fan_out > others ? others : (size_t)p->fan_out;
    if (!m)
        return OK;
    size_t *scratch = calloc(2 * others, sizeof *scratch);
    if (!scratch)
        return error_nomem(err, 2 * others * sizeof *scratch);
    size_t *picked = scratch + others;
    struct rng rng;
    rng_init(&rng, (uint64_t)p->seed, "plan/fan_out",
        (uint64_t)session->index << 16 | (uint64_t)turn);
    rng_sample(&rng, others, m, scratch, picked);
    enum status s = OK;
    for (size_t i = 0; i < m && !s; i++) {
        const struct behaviour_action *a = &actions[picked[i] + (picked[i] >= chosen)];
        int64_t id;
        char identity[HASH_HEX];
        s = insert_call(p, session, turn, "fan_out", p->in.actor_llm[a->llm], a->added,
            (double)m / (double)others, NULL, &id, identity, err);
        p->counts->fan_out++;
    }
    free(scratch);
    return s;
}

static enum status plan_references(
    struct planner *p, struct session_plan *session, int64_t turn, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; i < p->in.n_llms && !s; i++) {
        const struct llm *llm = &p->in.llms[i];
        if (llm->role != LLM_REFERENCE)
            continue;
        int n_views = __builtin_popcount(p->in.all_views);
        if (llm->max_images >= 0 && llm->max_images < n_views)
            return error_set(err, E_ARG,
                "llm %s: the reference sees all %d views, but it accepts %d images",
                llm->name, n_views, llm->max_images);
        int64_t id;
        char identity[HASH_HEX];
        s = insert_call(p, session, turn, "reference", i,
            p->in.all_views & ~session->context, 0, NULL, &id, identity, err);
        p->counts->reference++;
    }
    return s;
}

/* The action that continues the dialogue: scripted, or drawn by the behaviour. */
static enum status choose_action(struct planner *p, const struct session_plan *session,
    int64_t turn, const struct behaviour_action *actions, size_t n, size_t *chosen,
    struct error *err)
{
    const struct plan_script_action *wanted =
        session->scripted && session->scripted->actions
            ? &session->scripted->actions[turn]
            : NULL;
    if (!wanted) {
        struct rng rng;
        rng_init(&rng, (uint64_t)p->seed, "plan/path",
            (uint64_t)session->index << 16 | (uint64_t)turn);
        *chosen = behaviour_draw(actions, n, &rng);
        return OK;
    }
    for (*chosen = 0; *chosen < n; ++*chosen) {
        const struct behaviour_action *a = &actions[*chosen];
        if (p->in.actor_llm[a->llm] == wanted->llm &&
            a->added == (wanted->views & ~session->context))
            return OK;
    }
    return error_set(err, E_ARG,
        "%s line %d, turn %lld: llm %s does not offer these views here; the recipe's "
        "actions "
        "say what it offers",
        p->in.recipe->sessions.script, session->scripted->line, (long long)turn,
        p->in.llms[wanted->llm].name);
}

static enum status plan_turn(
    struct planner *p, struct session_plan *session, int64_t turn, struct error *err)
{
    struct behaviour_action *actions = NULL;
    size_t n = 0, chosen = 0;
    struct buffer eligible;
    buffer_init(&eligible, ELIGIBLE_MAX);
    enum status s = store_run(p->store, err,
        "INSERT INTO turn (session_id, position, prompt_id) VALUES (?, ?, ?)", "iii",
        session->session_id, turn, p->in.prompts[session->prompts[turn]].prompt_id);
    if (s)
        return s;
    session->turn_id = store_last_id(p->store);
    s = behaviour_m4a1(p->in.actors, p->in.n_actors, session->context,
        p->in.recipe->history.keep_images, &actions, &n, err);
    if (!s)
        s = choose_action(p, session, turn, actions, n, &chosen, err);
    if (!s)
        s = eligible_json(p, actions, n, &eligible, err);
    if (!s)
        s = plan_fan_out(p, session, turn, actions, n, chosen, err);
    if (!s)
        s = plan_references(p, session, turn, err);
    int64_t id = 0;
    char identity[HASH_HEX];
    if (!s) {
        const struct behaviour_action *a = &actions[chosen];
        int scripted = session->scripted && session->scripted->actions;
        s = insert_call(p, session, turn, "path", p->in.actor_llm[a->llm], a->added,
            scripted ? 1 : a->probability, buffer_str(&eligible), &id, identity, err);
        session->context |= a->added;
    }
    session->parent_id = id;
    memcpy(session->parent, identity, sizeof identity);
    p->counts->path++;
    p->counts->turns++;
    buffer_release(&eligible);
    free(actions);
    return s;
}

/* Draw a scene and as many different prompts that suit it as the session has turns. */
static enum status draw_session(
    struct planner *p, struct session_plan *session, struct error *err)
{
    const struct plan_inputs *in = &p->in;
    struct rng rng;
    rng_init(&rng, (uint64_t)p->seed, "plan/session", (uint64_t)session->index);
    session->scene = &in->scenes[rng_below(&rng, in->n_scenes)];
    size_t range =
        (size_t)(in->recipe->sessions.max_turns - in->recipe->sessions.min_turns + 1);
    size_t n_turns =
        (size_t)in->recipe->sessions.min_turns + (size_t)rng_below(&rng, range);
    size_t n = 0, *suitable = calloc(3 * in->n_prompts, sizeof *suitable);
    if (!suitable)
        return error_nomem(err, in->n_prompts * sizeof *suitable);
    for (size_t i = 0; i < in->n_prompts; i++) {
        if (plan_prompt_suits(&in->prompts[i], session->scene))
            suitable[n++] = i;
    }
    enum status s = OK;
    if (n < n_turns) {
        s = error_set(err, E_ARG,
            "scene %s: %zu prompts suit it, but a session has up to %d turns of "
            "different "
            "prompts; add prompts, tag the scene, or shorten sessions.turns",
            session->scene->name, n, in->recipe->sessions.max_turns);
    } else {
        size_t *scratch = suitable + in->n_prompts,
               *picked = suitable + 2 * in->n_prompts;
        rng_sample(&rng, n, n_turns, scratch, picked);
        for (size_t t = 0; t < n_turns; t++)
            session->prompts[t] = suitable[picked[t]];
        session->n_turns = n_turns;
    }
    free(suitable);
    return s;
}

static enum status plan_session(struct planner *p, int64_t index, struct error *err)
{
    struct session_plan session = { .index = index };
    size_t max_turns =
        p->script ? p->script->max_turns : (size_t)p->in.recipe->sessions.max_turns;
    session.prompts = calloc(max_turns + 1, sizeof *session.prompts);
    if (!session.prompts)
        return error_nomem(err, max_turns * sizeof *session.prompts);
    enum status s = OK;
    if (p->script) {
        session.scripted = &p->script->sessions[index];
        session.scene = session.scripted->scene;
        session.n_turns = session.scripted->n_turns;
        memcpy(session.prompts, session.scripted->prompts,
            session.n_turns * sizeof *session.prompts);
    } else {
        s = draw_session(p, &session, err);
    }
    if (!s)
        s = identify_session(p, &session, err);
    if (!s)
        s = store_run(p->store, err,
            "INSERT INTO session (identity, scene_id, at_ms, plan_id, plan_index) VALUES "
            "(?, ?, ?, ?, ?)",
            "tiiii", session.identity, session.scene->scene_id, session.scene->at_ms,
            p->plan_id, index);
    session.session_id = store_last_id(p->store);
    for (size_t t = 0; t < session.n_turns && !s; t++)
        s = plan_turn(p, &session, (int64_t)t, err);
    p->counts->sessions++;
    free(session.prompts);
    return s;
}

/* Some scenes that no session can use, for the message that there is none to use. */
static enum status name_incomplete(
    struct store *store, struct buffer *out, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT DISTINCT s.name, v.name FROM scene s JOIN scene_frame f USING (scene_id) "
        "JOIN view v ON v.retired_ms IS NULL WHERE NOT EXISTS (SELECT 1 FROM scene_frame "
        "g WHERE "
        "g.scene_id = s.scene_id AND g.at_ms = f.at_ms AND g.view_id = v.view_id AND "
        "g.frame_id IS NOT NULL) ORDER BY s.name LIMIT 3",
        &q, err);
    while (!s && !(s = query_next(q, err)) && query_has_row(q))
        buffer_printf(out, "%s%s lacks %s", out->len ? ", " : "; ", query_text(q, 0),
            query_text(q, 1));
    query_close(q);
    return s;
}

static enum status check_inputs(const struct planner *p, struct error *err)
{
    const struct plan_inputs *in = &p->in;
    if (!in->n_scenes) {
        struct buffer examples;
        buffer_init(&examples, 1 << 12);
        enum status s = name_incomplete(p->store, &examples, err);
        if (!s)
            s = error_set(err, E_ARG,
                "the store has no scene with a frame of every view (%d views)%s; m4a1 "
                "ingest "
                "adds scenes, and files to scenes",
                __builtin_popcount(in->all_views), buffer_str(&examples));
        buffer_release(&examples);
        return s;
    }
    if (!in->n_actors)
        return error_set(err, E_ARG, "the recipe has no local and no cloud llm");
    if (in->recipe->sessions.script && p->options->n_sessions >= 0)
        return error_set(err, E_ARG,
            "sessions are scripted in %s, so their number is that of its lines: leave "
            "out "
            "--sessions",
            in->recipe->sessions.script);
    return OK;
}

/* A scripted session that was planned must still be what the script says. */
static enum status check_planned(struct planner *p, int64_t index, struct error *err)
{
    const struct plan_script_session *scripted = &p->script->sessions[index];
    struct session_plan session = { .index = index,
        .scripted = scripted,
        .scene = scripted->scene,
        .prompts = scripted->prompts,
        .n_turns = scripted->n_turns };
    int64_t n = 0;
    enum status s = identify_session(p, &session, err);
    if (!s)
        s = store_int(p->store, 0, &n, err,
            "SELECT count(*) FROM session WHERE identity = ?", "t", session.identity);
    if (!s && !n)
        s = error_set(err, E_ARG,
            "%s:%d: is not what was planned for this line; a script may grow, but what "
            "is "
            "planned stays: put the changed session at its end",
            p->in.recipe->sessions.script, scripted->line);
    return s;
}

static enum status count_scenes(struct planner *p, struct error *err)
{
    enum status s = store_int(p->store, 0, &p->counts->scenes, err,
        "SELECT count(DISTINCT scene_id) FROM session WHERE plan_id = ?", "i",
        p->plan_id);
    return s ? s
             : store_int(p->store, 0, &p->counts->instants, err,
                   "SELECT count(*) FROM (SELECT DISTINCT scene_id, at_ms FROM session "
                   "WHERE "
                   "plan_id = ?)",
                   "i", p->plan_id);
}

static enum status plan_all(struct planner *p, struct error *err)
{
    int64_t n = p->script                     ? (int64_t)p->script->n_sessions
                : p->options->n_sessions >= 0 ? p->options->n_sessions
                                              : p->in.recipe->sessions.n;
    int64_t first;
    enum status s = store_int(p->store, -1, &first, err,
        "SELECT max(plan_index) FROM session JOIN plan USING (plan_id) WHERE seed = ? "
        "AND "
        "(behaviour = 'scripted') = ?",
        "ii", p->seed, (int64_t)(p->script != NULL));
    first++;
    p->counts->sessions_before = first;
    for (int64_t i = 0; p->script && i < first && i < n && !s; i++)
        s = check_planned(p, i, err);
    if (!s && first < n)
        s = insert_plan(p, err);
    progress_total(p->options->progress, n > first ? n - first : 0);
    for (int64_t i = first; i < n && !s; i++) {
        s = plan_session(p, i, err);
        progress_step(p->options->progress, 1, NULL);
    }
    return s ? s : count_scenes(p, err);
}

enum status plan_make(struct store *store, const struct plan_options *options,
    struct plan_counts *counts, struct error *err)
{
    *counts = (struct plan_counts) { 0 };
    struct planner p = { .store = store, .options = options, .counts = counts };
    enum status s = plan_inputs_load(store, &p.in, err);
    if (s)
        return s;
    p.seed = options->seed >= 0 ? options->seed : (int64_t)p.in.recipe->sessions.seed;
    p.fan_out = options->fan_out >= -1 ? options->fan_out : p.in.recipe->plan.fan_out;
    s = check_inputs(&p, err);
    if (!s && p.in.recipe->sessions.script)
        s = plan_script_load(p.in.recipe->sessions.script, &p.in, &p.script, err);
    if (!s)
        s = store_begin(store, err);
    if (!s)
        s = plan_all(&p, err);
    if (!s && !options->dry_run)
        s = store_commit(store, err);
    store_rollback(store);
    plan_script_free(p.script);
    plan_inputs_release(&p.in);
    return s;
}
