/* plan.c - drawing sessions and choosing the action of every turn; what they are drawn
 * from is plan_inputs.c's, the rows are plan_write.c's. */
#include "collectors/plan.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/fit.h"
#include "collectors/plan_script.h"
#include "collectors/plan_write.h"
#include "collectors/tally.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

struct drawing {
    struct planner p;
    const struct plan_options *options;
    const struct behaviour *behaviour;
    struct plan_script *script; /* NULL = sessions are drawn */
    struct tally seen;          /* for a behaviour that needs it */
    struct plan_step *steps;    /* [max_turns] of the session being drawn */
    int64_t fan_out;
    double epsilon;
    int greedy;
    size_t action_llm; /* of the behaviour "fixed": index into the actors */
    uint32_t action_views;
};

struct plan_options plan_options_init(void)
{
    return (struct plan_options) {
        .n_sessions = -1, .seed = -1, .fan_out = -2, .epsilon = -1, .greedy = -1
    };
}

/* ---- the terms ---- */

static enum status choose_behaviour(struct drawing *d, struct error *err)
{
    const struct recipe *r = d->p.in.recipe;
    const char *name = d->options->behaviour ? d->options->behaviour : r->plan.behaviour;
    d->behaviour = behaviour_find(name);
    if (!d->behaviour)
        return error_set(err, E_ARG,
            "there is no behaviour \"%s\"; there are m4a1, uniform, balanced, policy and "
            "fixed",
            name);
    if (d->behaviour->needs_policy && !d->options->policy)
        return error_set(err, E_ARG,
            "the behaviour \"policy\" needs a policy file: plan.policy in the recipe, or "
            "--policy FILE");
    d->epsilon = d->options->epsilon >= 0 ? d->options->epsilon : r->plan.epsilon;
    d->greedy = d->options->greedy >= 0 ? d->options->greedy : r->plan.greedy;
    if (!d->behaviour->needs_action)
        return OK;
    while (d->action_llm < d->p.in.n_actors &&
           !text_equal(
               d->p.in.llms[d->p.in.actor_llm[d->action_llm]].name, r->plan.action_llm))
        d->action_llm++;
    d->action_views = plan_inputs_positions(&d->p.in, r->plan.action_views);
    return d->action_llm < d->p.in.n_actors
               ? OK
               : error_set(err, E_ARG,
                     "the behaviour \"fixed\" needs plan.action in the recipe: the llm "
                     "that answers every turn, and the views it shows");
}

static enum status write_run(struct drawing *d, struct error *err)
{
    const struct plan_policy *policy = d->options->policy;
    struct json *j = json_new_object();
    json_set_int(j, "fan_out", d->fan_out);
    json_set_int(j, "samples", d->p.samples);
    if (d->behaviour->needs_policy && policy) {
        json_set_text(j, "policy", policy->file);
        json_set_text(j, "policy_sha256", policy->sha256);
        json_set_number(j, "epsilon", d->epsilon);
        json_set_bool(j, "greedy", d->greedy);
    }
    if (d->behaviour->needs_action) {
        json_set_text(j, "llm", d->p.in.llms[d->p.in.actor_llm[d->action_llm]].name);
        json_set_int(j, "views", d->action_views);
    }
    return plan_write_run(&d->p, d->script ? "scripted" : d->behaviour->name, j, err);
}

/* ---- a turn ---- */

static struct tally_key key_of(const struct drawing *d,
    const struct session_plan *session, int64_t turn, const struct behaviour_action *a)
{
    const struct plan_inputs *in = &d->p.in;
    return (struct tally_key) { .task_id = in->prompts[session->prompts[turn]].task_id,
        .previous_id =
            turn ? in->llms[in->actor_llm[d->steps[turn - 1].actor]].llm_id : 0,
        .llm_id = in->llms[in->actor_llm[a->llm]].llm_id,
        .context = session->context,
        .added = a->added };
}

/* Give the eligible actions the behaviour's probabilities. */
static enum status weigh(struct drawing *d, const struct session_plan *session,
    int64_t turn, struct behaviour_action *actions, size_t n, struct error *err)
{
    enum status s = OK;
    int64_t *seen = calloc(n, sizeof *seen);
    double *wanted = calloc(n, sizeof *wanted);
    if (!seen || !wanted)
        s = error_nomem(err, n * sizeof *wanted);
    for (size_t i = 0; i < n && !s && d->behaviour->needs_seen; i++) {
        struct tally_key key = key_of(d, session, turn, &actions[i]);
        seen[i] = tally_of(&d->seen, &key);
    }
    if (!s && d->behaviour->needs_policy)
        s = d->options->policy->weigh(d->options->policy->data, &d->p.in, d->steps,
            (size_t)turn + 1, actions, n, wanted, err);
    const struct behaviour_choice choice = { .context = session->context,
        .seen = seen,
        .wanted = wanted,
        .epsilon = d->epsilon,
        .greedy = d->greedy,
        .llm = d->action_llm,
        .views = d->action_views };
    if (!s && d->behaviour->needs_action)
        s = plan_check_accepts(&d->p, &d->p.in.llms[d->p.in.actor_llm[d->action_llm]],
            d->action_views, session->context, err);
    if (!s)
        s = d->behaviour->weigh(&choice, actions, n, err);
    free(seen);
    free(wanted);
    return s;
}

/* A scripted action becomes the only one. */
static enum status follow_script(struct drawing *d, const struct session_plan *session,
    const struct plan_script_session *scripted, int64_t turn,
    struct behaviour_action *actions, size_t n, size_t *chosen, struct error *err)
{
    const struct plan_inputs *in = &d->p.in;
    const struct plan_script_action *wanted = &scripted->actions[turn];
    *chosen = n;
    for (size_t i = 0; i < n; i++) {
        int is_it = in->actor_llm[actions[i].llm] == wanted->llm &&
                    actions[i].added == (wanted->views & ~session->context);
        actions[i].probability = is_it;
        *chosen = is_it ? i : *chosen;
    }
    if (*chosen < n)
        return OK;
    enum status s = plan_check_accepts(
        &d->p, &in->llms[wanted->llm], wanted->views, session->context, err);
    if (s)
        return error_prefix(err, "%s line %d, turn %lld: ", in->recipe->sessions.script,
            scripted->line, (long long)turn);
    return error_set(err, E_ARG,
        "%s line %d, turn %lld: llm %s does not offer these views here; the recipe's "
        "actions say what it offers",
        in->recipe->sessions.script, scripted->line, (long long)turn,
        in->llms[wanted->llm].name);
}

/* The action that continues the dialogue: scripted, or drawn by the behaviour. */
static enum status choose_action(struct drawing *d, const struct session_plan *session,
    const struct plan_script_session *scripted, int64_t turn,
    struct behaviour_action *actions, size_t n, size_t *chosen, struct error *err)
{
    if (scripted && scripted->actions)
        return follow_script(d, session, scripted, turn, actions, n, chosen, err);
    enum status s = weigh(d, session, turn, actions, n, err);
    struct rng rng;
    rng_init(&rng, (uint64_t)d->p.seed, "plan/path",
        (uint64_t)session->index << 16 | (uint64_t)turn);
    *chosen = s ? 0 : behaviour_draw(actions, n, &rng);
    return s;
}

/* Other actions of the turn, each included with the same probability. */
static enum status plan_fan_out(struct drawing *d, struct session_plan *session,
    int64_t turn, const struct behaviour_action *actions, size_t n, size_t chosen,
    struct error *err)
{
    size_t others = n - 1;
    size_t m =
        d->fan_out < 0 || (uint64_t)d->fan_out > others ? others : (size_t)d->fan_out;
    if (!m)
        return OK;
    size_t *scratch = calloc(2 * others, sizeof *scratch);
    if (!scratch)
        return error_nomem(err, 2 * others * sizeof *scratch);
    size_t *picked = scratch + others;
    struct rng rng;
    rng_init(&rng, (uint64_t)d->p.seed, "plan/fan_out",
        (uint64_t)session->index << 16 | (uint64_t)turn);
    rng_sample(&rng, others, m, scratch, picked);
    enum status s = OK;
    for (size_t i = 0; i < m && !s; i++) {
        const struct behaviour_action *a = &actions[picked[i] + (picked[i] >= chosen)];
        struct tally_key key = key_of(d, session, turn, a);
        s = plan_write_fan_out(&d->p, session, turn, a, (double)m / (double)others, err);
        if (!s && d->behaviour->needs_seen)
            s = tally_add(&d->seen, &key, err);
    }
    free(scratch);
    return s;
}

static enum status plan_turn(struct drawing *d, struct session_plan *session,
    const struct plan_script_session *scripted, int64_t turn, struct error *err)
{
    struct behaviour_action *actions = NULL;
    size_t n = 0, chosen = 0;
    d->steps[turn] =
        (struct plan_step) { .task = d->p.in.prompts[session->prompts[turn]].task };
    enum status s = plan_write_turn(&d->p, session, turn, err);
    if (!s)
        s = plan_inputs_eligible(&d->p.in, session->context, &actions, &n, err);
    if (!s)
        s = choose_action(d, session, scripted, turn, actions, n, &chosen, err);
    if (!s)
        s = plan_fan_out(d, session, turn, actions, n, chosen, err);
    if (!s)
        s = plan_write_references(&d->p, session, turn, err);
    if (!s && d->behaviour->needs_seen) {
        struct tally_key key = key_of(d, session, turn, &actions[chosen]);
        s = tally_add(&d->seen, &key, err);
    }
    if (!s) {
        s = plan_write_path(&d->p, session, turn, actions, n, chosen, err);
        d->steps[turn].actor = actions[chosen].llm;
        d->steps[turn].added = actions[chosen].added;
        d->steps[turn].context = session->context;
    }
    free(actions);
    return s;
}

/* ---- a session ---- */

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

static enum status plan_session(struct drawing *d, int64_t index, struct error *err)
{
    const struct plan_script_session *scripted =
        d->script ? &d->script->sessions[index] : NULL;
    struct session_plan session = { .index = index, .block = plan_block(index) };
    size_t max_turns =
        d->script ? d->script->max_turns : (size_t)d->p.in.recipe->sessions.max_turns;
    session.prompts = calloc(max_turns + 1, sizeof *session.prompts);
    d->steps = calloc(max_turns + 1, sizeof *d->steps);
    enum status s = OK;
    if (!session.prompts || !d->steps) {
        s = error_nomem(err, max_turns * sizeof *d->steps);
    } else if (scripted) {
        session.scene = scripted->scene;
        session.n_turns = scripted->n_turns;
        memcpy(session.prompts, scripted->prompts,
            session.n_turns * sizeof *session.prompts);
    } else {
        s = draw_session(&d->p, &session, err);
    }
    if (!s)
        s = plan_write_session(&d->p, &session, err);
    for (size_t t = 0; t < session.n_turns && !s; t++)
        s = plan_turn(d, &session, scripted, (int64_t)t, err);
    free(session.prompts);
    free(d->steps);
    d->steps = NULL;
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

static enum status check_inputs(const struct drawing *d, struct error *err)
{
    const struct plan_inputs *in = &d->p.in;
    if (!in->n_scenes) {
        struct buffer examples;
        buffer_init(&examples, 1 << 12);
        enum status s = name_incomplete(d->p.store, &examples, err);
        if (!s)
            s = error_set(err, E_ARG,
                "the store has no scene with a frame of every view (%d views)%s; m4a1 "
                "ingest "
                "adds scenes, and files to scenes",
                __builtin_popcount(in->all_views), buffer_str(&examples));
        buffer_release(&examples);
        return s;
    }
    if (in->recipe->sessions.script && d->options->n_sessions >= 0)
        return error_set(err, E_ARG,
            "sessions are scripted in %s, so their number is that of its lines: leave "
            "out "
            "--sessions",
            in->recipe->sessions.script);
    return OK;
}

/* A scripted session that was planned must still be what the script says. */
static enum status check_planned(struct drawing *d, int64_t index, struct error *err)
{
    struct planner *p = &d->p;
    const struct plan_script_session *scripted = &d->script->sessions[index];
    struct session_plan session = { .index = index,
        .scene = scripted->scene,
        .prompts = scripted->prompts,
        .n_turns = scripted->n_turns };
    int64_t n = 0;
    enum status s = plan_identify_session(p, &session, err);
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

/* Which of the sessions 0 to n - 1 are planned; gaps are left by m4a1 plan --undo.  Those
 * that a fill added are numbered apart, so that sessions.n means the drawn. */
static enum status load_planned(
    struct drawing *d, int64_t n, char *is_there, int64_t *n_left, struct error *err)
{
    struct planner *p = &d->p;
    struct query *q;
    enum status s = query_open(p->store,
        "SELECT DISTINCT plan_index FROM session JOIN plan USING (plan_id) WHERE seed = ?"
        " AND (behaviour = 'scripted') = ? AND behaviour <> 'fill'",
        &q, err);
    if (s)
        return s;
    query_bind(q, "ii", p->seed, (int64_t)(d->script != NULL));
    *n_left = n;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        int64_t i = query_int(q, 0);
        p->counts->sessions_before++;
        if (i < 0 || i >= n)
            continue;
        is_there[i] = 1;
        --*n_left;
    }
    query_close(q);
    return s;
}

static enum status plan_all(struct drawing *d, struct error *err)
{
    struct planner *p = &d->p;
    int64_t n = d->script                     ? (int64_t)d->script->n_sessions
                : d->options->n_sessions >= 0 ? d->options->n_sessions
                                              : p->in.recipe->sessions.n;
    int64_t n_left = 0;
    char *is_there = calloc((size_t)n + 1, 1);
    enum status s = is_there ? load_planned(d, n, is_there, &n_left, err)
                             : error_nomem(err, (size_t)n);
    for (int64_t i = 0; d->script && i < n && !s; i++)
        s = is_there[i] ? check_planned(d, i, err) : OK;
    if (!s && n_left && d->behaviour->needs_seen)
        s = tally_load(p->store, &d->seen, err);
    if (!s && n_left)
        s = write_run(d, err);
    progress_total(d->options->progress, n_left);
    for (int64_t i = 0; i < n && !s; i++) {
        if (is_there[i])
            continue;
        s = plan_session(d, i, err);
        progress_step(d->options->progress, 1, NULL);
    }
    free(is_there);
    return s ? s : count_scenes(p, err);
}

/* Another script in place of the recipe's. */
static enum status take_script(
    struct recipe *recipe, const char *script, struct error *err)
{
    char *copy = script ? text_copy(script) : NULL;
    if (!script)
        return OK;
    if (!copy)
        return error_nomem(err, strlen(script));
    free(recipe->sessions.script);
    recipe->sessions.script = copy;
    return OK;
}

enum status plan_make(struct store *store, const struct plan_options *options,
    struct plan_counts *counts, struct error *err)
{
    struct drawing d = { .options = options };
    int64_t last_call = 0;
    enum status s = planner_open(&d.p, store, options, counts, err);
    if (!s)
        s = take_script(d.p.in.recipe, options->script, err);
    if (!s)
        s = check_inputs(&d, err);
    if (!s)
        s = choose_behaviour(&d, err);
    if (!s) {
        d.fan_out =
            options->fan_out >= -1 ? options->fan_out : d.p.in.recipe->plan.fan_out;
        if (d.p.in.recipe->sessions.script)
            s = plan_script_load(d.p.in.recipe->sessions.script, &d.p.in, &d.script, err);
    }
    if (!s)
        s = store_begin(store, err);
    if (!s)
        s = plan_last_call(store, &last_call, err);
    if (!s)
        s = plan_all(&d, err);
    if (!s)
        s = fit_check(store, d.p.in.llms, d.p.in.n_llms, err);
    if (!s && options->estimate)
        s = plan_estimate(store, &d.p.in, last_call, options->estimate, err);
    if (!s && !options->dry_run)
        s = store_commit(store, err);
    store_rollback(store);
    plan_script_free(d.script);
    tally_release(&d.seen);
    planner_release(&d.p);
    return s;
}
