/* plan_add.c - see plan_add.h. */
#include "collectors/plan_add.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "collectors/fit.h"
#include "collectors/plan_turns.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

struct adding {
    struct planner p;
    const struct add_options *options;
    struct add_result *result;
    const struct llm *llm; /* NULL = anchors only */
    size_t actor;          /* its index; n_actors for a reference */
    int64_t fan_out;
    double anchors;
};

static enum status find_llm(struct adding *a, struct error *err)
{
    const struct plan_inputs *in = &a->p.in;
    struct buffer names;
    if (!a->options->llm)
        return OK;
    for (size_t i = 0; i < in->n_llms; i++) {
        if (text_equal(in->llms[i].name, a->options->llm))
            a->llm = &in->llms[i];
    }
    if (a->llm && a->llm->role == LLM_JUDGE)
        return error_set(err, E_ARG,
            "llm %s is a judge: m4a1 annotate asks it about every answer that it has not "
            "judged yet; nothing has to be planned",
            a->llm->name);
    if (a->llm) {
        a->actor = plan_inputs_actor(in, a->llm->llm_id);
        return OK;
    }
    buffer_init(&names, 900);
    for (size_t i = 0; i < in->n_llms; i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", in->llms[i].name);
    enum status s = error_set(err, E_NOT_FOUND,
        "the store has no llm \"%s\" (it has: %.400s); put it into the recipe and run "
        "m4a1 "
        "init first",
        a->options->llm, buffer_str(&names));
    buffer_release(&names);
    return s;
}

/* ---- the new llm ---- */

static int is_asked(const struct plan_asked *asked, size_t n, int64_t llm_id,
    const struct behaviour_action *action)
{
    for (size_t i = 0; i < n; i++) {
        if (asked[i].llm_id == llm_id && asked[i].added == action->added)
            return 1;
    }
    return 0;
}

/* All actions, or m of them, each included with probability m / n. */
static enum status add_actions(struct adding *a, const struct plan_turn *t,
    struct behaviour_action *actions, size_t n, struct error *err)
{
    struct plan_asked *asked = NULL;
    size_t n_asked = 0;
    struct session_plan session = plan_turn_session(t);
    size_t m = a->fan_out <= 0 || (uint64_t)a->fan_out > n ? n : (size_t)a->fan_out;
    size_t *scratch = calloc(2 * n, sizeof *scratch);
    enum status s = scratch
                        ? plan_turn_asked(a->p.store, t->turn_id, &asked, &n_asked, err)
                        : error_nomem(err, 2 * n * sizeof *scratch);
    if (!s) {
        // The turn's identity, not its row, so that merged stores draw alike.
        char stream[16 + HASH_HEX];
        struct rng rng;
        snprintf(stream, sizeof stream, "plan/add/%s", t->session);
        rng_init(&rng, (uint64_t)a->p.seed, stream, (uint64_t)t->position);
        rng_sample(&rng, n, m, scratch, scratch + n);
    }
    for (size_t i = 0; i < m && !s; i++) {
        struct behaviour_action *action = &actions[scratch[n + i]];
        if (is_asked(asked, n_asked, a->llm->llm_id, action))
            continue;
        action->llm = a->actor; // behaviour_eligible() was shown this llm alone
        s = plan_write_fan_out(
            &a->p, &session, t->position, action, (double)m / (double)n, err);
    }
    free(asked);
    free(scratch);
    return s;
}

static enum status add_to_turn(
    struct adding *a, const struct plan_turn *t, struct error *err)
{
    if (a->actor == a->p.in.n_actors) {
        struct session_plan session = plan_turn_session(t);
        return plan_write_references(&a->p, &session, t->position, err);
    }
    struct behaviour_action *actions;
    size_t n;
    struct error why = ERROR_INIT;
    enum status s = behaviour_eligible(
        &a->p.in.actors[a->actor], 1, t->context, t->keeps_views, &actions, &n, &why);
    if (s == E_ARG) { // more views in context than it accepts
        a->result->n_without_action++;
        return OK;
    }
    if (s)
        return error_set(err, s, "%s", why.msg);
    s = add_actions(a, t, actions, n, err);
    free(actions);
    return s;
}

static enum status add_to_turns(struct adding *a, struct error *err)
{
    struct plan_turn *turns;
    size_t n;
    enum status s = plan_turns_load(a->p.store, 0, &turns, &n, err);
    a->result->n_turns = (int64_t)n;
    progress_total(a->options->progress, (int64_t)n);
    for (size_t i = 0; i < n && !s && a->llm; i++) {
        s = add_to_turn(a, &turns[i], err);
        progress_step(a->options->progress, 1, NULL);
    }
    free(turns);
    return s;
}

/* ---- anchors ---- */

struct anchor {
    int64_t call_id, turn_id, position, parent_id, sample, block;
    uint32_t added, context;
    char session[HASH_HEX], parent[HASH_HEX], identity[HASH_HEX];
};

static void read_anchor(const struct query *q, struct anchor *a)
{
    *a = (struct anchor) { .call_id = query_int(q, 0),
        .turn_id = query_int(q, 1),
        .position = query_int(q, 2),
        .parent_id = query_int(q, 3),
        .sample = query_int(q, 4),
        .block = query_int(q, 5),
        .added = (uint32_t)query_int(q, 6),
        .context = (uint32_t)query_int(q, 7) };
    snprintf(a->session, sizeof a->session, "%s", query_text(q, 8));
    snprintf(a->parent, sizeof a->parent, "%s", query_text(q, 9) ? query_text(q, 9) : "");
    snprintf(a->identity, sizeof a->identity, "%s", query_text(q, 10));
}

/* First answers of one llm that were not asked again yet, in the order of identities;
 * sample is the number that a check would get. */
static enum status load_candidates(struct store *store, int64_t llm_id,
    struct anchor **out, size_t *n, struct error *err)
{
    struct query *q;
    *out = NULL;
    *n = 0;
    enum status s = query_open(store,
        "SELECT c.call_id, c.turn_id, t.position, coalesce(c.parent_id, 0), 1 +"
        " coalesce((SELECT max(k.sample) FROM call k WHERE k.subject_id = c.call_id"
        "  AND k.purpose = 'check'), 0), c.block, c.views_added, c.views_context,"
        " e.identity, p.identity, c.identity FROM call c JOIN turn t USING (turn_id)"
        " JOIN session e USING (session_id) LEFT JOIN call p ON p.call_id = c.parent_id"
        " WHERE c.llm_id = ? AND c.purpose IN ('path', 'fan_out', 'reference')"
        " AND c.sample = 0 AND e.plan_id IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id)"
        " ORDER BY c.identity",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", llm_id);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct anchor *grown =
            *n & (*n - 1) ? *out : realloc(*out, (*n ? 2 * *n : 1) * sizeof *grown);
        if (!grown) {
            s = error_nomem(err, *n * sizeof *grown);
            break;
        }
        *out = grown;
        read_anchor(q, &grown[(*n)++]);
    }
    query_close(q);
    if (s) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    return s;
}

static enum status write_anchor(
    struct adding *a, const struct llm *llm, const struct anchor *old, struct error *err)
{
    struct session_plan session = { .turn_id = old->turn_id,
        .block = old->block,
        .context = old->context & ~old->added,
        .parent_id = old->parent_id };
    struct plan_call call = { .purpose = "check",
        .llm = llm,
        .added = old->added,
        .sample = old->sample,
        .subject_id = old->call_id,
        .subject = old->identity };
    int64_t id;
    char identity[HASH_HEX];
    snprintf(session.identity, sizeof session.identity, "%s", old->session);
    snprintf(session.parent, sizeof session.parent, "%s", old->parent);
    enum status s =
        plan_write_call(&a->p, &session, old->position, &call, &id, identity, err);
    a->result->counts.check += id != 0;
    return s;
}

/* The same share of each llm, and at least one answer, so that no llm goes unchecked; where
 * nobody asked for that very share, as many as drift needs for a verdict. */
static enum status add_anchors_of(
    struct adding *a, const struct llm *llm, struct error *err)
{
    struct anchor *old;
    size_t n;
    enum status s = load_candidates(a->p.store, llm->llm_id, &old, &n, err);
    if (s || !n)
        return s;
    size_t m = (size_t)ceil(a->anchors * (double)n);
    size_t least = a->options->anchors < 0 ? PLAN_MIN_ANCHORS : 1;
    m = m < least ? least : m;
    m = m < n ? m : n;
    size_t *scratch = calloc(2 * n, sizeof *scratch);
    if (!scratch)
        s = error_nomem(err, 2 * n * sizeof *scratch);
    if (!s) {
        struct rng rng;
        char stream[200];
        snprintf(stream, sizeof stream, "plan/anchors/%s/%s", llm->identity,
            a->llm ? a->llm->identity : "");
        rng_init(&rng, (uint64_t)a->p.seed, stream, (uint64_t)old[0].sample);
        rng_sample(&rng, n, m, scratch, scratch + n);
    }
    a->result->n_old_answers += (int64_t)n;
    for (size_t i = 0; i < m && !s; i++)
        s = write_anchor(a, llm, &old[scratch[n + i]], err);
    free(scratch);
    free(old);
    return s;
}

/* Anchors belong to one new llm and are drawn once with it. */
static enum status add_anchors(struct adding *a, struct error *err)
{
    int64_t drawn = 0;
    enum status s = OK;
    if (a->llm)
        s = store_int(a->p.store, 0, &drawn, err,
            "SELECT count(*) FROM plan WHERE behaviour = 'add_llm' AND"
            " settings ->> '$.llm' = ? AND settings ->> '$.checks' > 0",
            "t", a->llm->name);
    for (size_t i = 0; i < a->p.in.n_llms && !s && !drawn && a->anchors > 0; i++) {
        const struct llm *llm = &a->p.in.llms[i];
        if (llm->role != LLM_JUDGE && llm != a->llm)
            s = add_anchors_of(a, llm, err);
    }
    return s;
}

static enum status write_run(struct adding *a, struct error *err)
{
    struct json *j = json_new_object();
    json_set_text(j, "llm", a->llm ? a->llm->name : "");
    json_set_int(j, "fan_out", a->fan_out > 0 ? a->fan_out : -1);
    json_set_int(j, "samples", a->p.samples);
    json_set_number(j, "anchors", a->anchors);
    json_set_int(j, "checks", a->result->counts.check);
    return plan_write_run(&a->p, "add_llm", j, err);
}

static enum status add_all(struct adding *a, struct error *err)
{
    const struct recipe *r = a->p.in.recipe;
    const struct add_options *o = a->options;
    int64_t last_call = 0;
    a->fan_out = o->fan_out >= -1 ? o->fan_out : r->plan.fan_out;
    a->anchors = o->anchors >= 0 ? o->anchors : r->plan.anchors;
    enum status s = plan_last_call(a->p.store, &last_call, err);
    if (!s)
        s = add_to_turns(a, err);
    if (!s)
        s = add_anchors(a, err);
    const struct plan_counts *c = &a->result->counts;
    if (!s && c->fan_out + c->reference + c->check > 0)
        s = write_run(a, err);
    if (!s && o->estimate)
        s = plan_estimate(a->p.store, &a->p.in, last_call, o->estimate, err);
    return s;
}

enum status plan_add_llm(struct store *store, const struct add_options *options,
    struct add_result *result, struct error *err)
{
    *result = (struct add_result) { 0 };
    struct adding a = { .options = options, .result = result };
    struct plan_options plan = plan_options_init();
    plan.seed = options->seed;
    enum status s = planner_open(&a.p, store, &plan, &result->counts, err);
    if (!s)
        s = find_llm(&a, err);
    if (!s)
        s = store_begin(store, err);
    if (!s)
        s = add_all(&a, err);
    if (!s)
        s = fit_check(store, a.p.in.llms, a.p.in.n_llms, err);
    if (!s && !options->dry_run)
        s = store_commit(store, err);
    store_rollback(store);
    planner_release(&a.p);
    return s;
}
