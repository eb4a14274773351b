/* plan_fill.c - see plan_fill.h; ways to a cell are fill_aim.c's. */
#include "collectors/plan_fill.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/estimate_model.h"
#include "collectors/fill_aim.h"
#include "collectors/fill_pool.h"
#include "collectors/fit.h"
#include "collectors/plan_turns.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define FILL_FIRST_INDEX ((int64_t)1 << 32) /* apart from those of drawn sessions */
#define PROMPT_BYTES 80.0 /* of prompts behind a call, where only their number is known */

static const char why_budget[] = "the budget is reached";
static const char why_unreachable[] = "no dialogue of the recipe's length leads there";
static const char why_few_actions[] = "fewer actions are eligible there";
static const char why_no_scene[] =
    "no scene suits its prompts, or they are fewer than a session has turns";

struct reason {
    struct cell_key key;
    const char *why;
};

struct filling {
    struct planner p;
    struct cells cells;
    struct estimate_model *model;
    const struct fill_options *options;
    struct fill_result *result;
    struct fill_pool pool;
    struct reason *reasons; /* of cells that can get no session */
    size_t n_reasons;
    int64_t index, last_call;
    struct rng rng;
};

/* ---- the budget ---- */

static int64_t n_calls(const struct filling *f)
{
    const struct plan_counts *c = &f->result->counts;
    return c->path + c->fan_out + c->reference;
}

/* Room for so many more calls of that cost; once it is gone it stays gone. */
static int affords(struct filling *f, int64_t calls, double usd)
{
    const struct fill_options *o = f->options;
    if ((o->max_calls >= 0 && n_calls(f) + calls > o->max_calls) ||
        (o->max_usd >= 0 && f->result->usd + usd > o->max_usd))
        f->result->budget_reached = 1;
    return !f->result->budget_reached;
}

static double usd_of(const struct filling *f, size_t llm, uint32_t context,
    uint32_t added, double position)
{
    const struct plan_inputs *in = &f->p.in;
    uint32_t shown = in->recipe->history.keep_images ? context | added : added;
    return estimate_usd_with_judges(f->model, llm,
        estimate_n_images(in, &in->llms[llm], shown), position, PROMPT_BYTES);
}

/* ---- fan-out calls in turns that are there ---- */

static enum status add_call(
    struct filling *f, uint32_t call, double usd, struct error *err)
{
    const struct fill_call *c = &f->pool.calls[call];
    const struct plan_turn *t = &f->pool.turns[c->turn];
    const struct behaviour_action action = { .llm = c->actor, .added = c->added };
    struct session_plan session = plan_turn_session(t);
    enum status s = plan_write_fan_out(&f->p, &session, t->position, &action, 0, err);
    f->result->usd += usd;
    return s ? s : fill_pool_take(&f->pool, call, err);
}

static double usd_of_call(const struct filling *f, uint32_t call)
{
    const struct fill_call *c = &f->pool.calls[call];
    const struct plan_turn *t = &f->pool.turns[c->turn];
    return (double)f->p.samples * usd_of(f, f->p.in.actor_llm[c->actor], t->context,
                                      c->added, (double)t->position);
}

/* Calls of the pool until the cell lacks none, or there are no more, or no more money. */
static enum status fill_from_pool(
    struct filling *f, const struct cell *cell, struct error *err)
{
    size_t at = (size_t)(cell - f->cells.cell);
    enum status s = OK;
    while (!s && cell_lacks(cell, 0) > 0 && !f->result->budget_reached) {
        uint32_t call = fill_pool_best(&f->pool, at);
        if (call == FILL_NONE)
            break;
        double usd = usd_of_call(f, call);
        if (affords(f, f->p.samples, usd))
            s = add_call(f, call, usd, err);
    }
    return s;
}

/* A cell and what the rest of it takes. */
struct wanting {
    struct cell *cell;
    double price;
    size_t rank; /* random, so that of equals none is favoured */
};

static int compare_prices(const void *a, const void *b)
{
    const struct wanting *x = a, *y = b;
    if (x->price != y->price)
        return x->price < y->price ? -1 : 1;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* What the missing calls of a cell cost: dollars where these are bounded, else calls. */
static double price_of(const struct filling *f, const struct cell *cell)
{
    uint32_t call = fill_pool_best(&f->pool, (size_t)(cell - f->cells.cell));
    double lacks = (double)cell_lacks(cell, 0);
    if (f->options->max_usd < 0 || call == FILL_NONE)
        return lacks;
    return lacks * usd_of_call(f, call);
}

static enum status list_wanting(
    struct filling *f, struct wanting **out, size_t *n, struct error *err)
{
    size_t *rank = calloc(f->cells.n + 1, sizeof *rank);
    *n = 0;
    *out = calloc(f->cells.n + 1, sizeof **out);
    if (!*out || !rank) {
        free(rank);
        return error_nomem(err, f->cells.n * sizeof **out);
    }
    for (size_t i = 0; i < f->cells.n; i++)
        rank[i] = i;
    rng_shuffle(&f->rng, rank, f->cells.n);
    for (size_t i = 0; i < f->cells.n; i++) {
        struct cell *cell = &f->cells.cell[i];
        if (cell_lacks(cell, 0) > 0)
            (*out)[(*n)++] = (struct wanting) { cell, price_of(f, cell), rank[i] };
    }
    qsort(*out, *n, sizeof **out, compare_prices);
    free(rank);
    return OK;
}

/* One cell after the other, the one that takes least first: with a budget some cells are
 * complete, where calls spread over all would complete none.  Cells that the turns that
 * are there cannot complete wait for sessions of their own; of states there are none. */
static enum status complete_cells(struct filling *f, struct error *err)
{
    struct wanting *order = NULL;
    size_t n = 0;
    enum status s = list_wanting(f, &order, &n, err);
    for (size_t i = 0; i < n && !s && !f->result->budget_reached; i++) {
        const struct cell *cell = order[i].cell;
        int64_t lacks = cell_lacks(cell, 0);
        if (fill_pool_n(&f->pool, (size_t)(cell - f->cells.cell), lacks) >= lacks)
            s = fill_from_pool(f, cell, err);
    }
    for (size_t i = 0; i < n && !s && !f->result->budget_reached; i++)
        if (order[i].cell->key.kind == CELL_STATE)
            s = fill_from_pool(f, order[i].cell, err);
    free(order);
    return s;
}

/* ---- sessions of their own ---- */

static int suits(const struct filling *f, const struct cell_key *key, size_t prompt)
{
    const struct plan_prompt *p = &f->p.in.prompts[prompt];
    return key->kind == CELL_PROMPT ? p->prompt_id == key->prompt_id
                                    : p->task_id == key->task_id;
}

/* Of the prompts that suit a scene, one that the cell wants (the prompt least asked so
 * far) for turn `at`, and others for the rest.  0 where there are not enough. */
static int choose_prompts(struct filling *f, const struct cell_key *key, size_t at,
    struct session_plan *session, size_t *scratch)
{
    const struct plan_inputs *in = &f->p.in;
    size_t n = 0, wanted = in->n_prompts;
    int64_t least = INT64_MAX;
    size_t *order = scratch, *rest = scratch + in->n_prompts;
    for (size_t i = 0; i < in->n_prompts; i++)
        order[i] = i;
    rng_shuffle(&f->rng, order, in->n_prompts);
    for (size_t k = 0; k < in->n_prompts; k++) {
        size_t i = order[k];
        struct cell_key prompt = cells_prompt_key(in->prompts[i].prompt_id);
        const struct cell *cell = cells_find(&f->cells, &prompt);
        int64_t asked = cell ? cell->planned : 0;
        if (!plan_prompt_suits(&in->prompts[i], session->scene))
            continue;
        rest[n++] = i;
        if (suits(f, key, i) && asked < least) {
            least = asked;
            wanted = i;
        }
    }
    if (wanted == in->n_prompts || n < session->n_turns)
        return 0;
    size_t used = 0;
    for (size_t t = 0; t < session->n_turns; t++) {
        if (t == at) {
            session->prompts[t] = wanted;
            continue;
        }
        used += rest[used] == wanted;
        session->prompts[t] = rest[used++];
    }
    return 1;
}

/* Scenes in a random order until one has the prompts. */
static enum status choose_scene(struct filling *f, const struct cell_key *key, size_t at,
    struct session_plan *session, int *found, struct error *err)
{
    const struct plan_inputs *in = &f->p.in;
    size_t *order = calloc(in->n_scenes + 2 * in->n_prompts + 1, sizeof *order);
    *found = 0;
    if (!order)
        return error_nomem(err, in->n_scenes * sizeof *order);
    for (size_t i = 0; i < in->n_scenes; i++)
        order[i] = i;
    rng_shuffle(&f->rng, order, in->n_scenes);
    for (size_t i = 0; i < in->n_scenes && !*found; i++) {
        session->scene = &in->scenes[order[i]];
        *found = choose_prompts(f, key, at, session, order + in->n_scenes);
    }
    free(order);
    return OK;
}

static double usd_of_session(const struct filling *f, const struct aim *aim)
{
    const struct plan_inputs *in = &f->p.in;
    uint32_t context = 0;
    double usd = 0;
    for (size_t t = 0; t < aim->n_turns; t++) {
        const struct aimed_turn *turn = &aim->turns[t];
        const struct behaviour_action *a = &turn->actions[turn->chosen];
        usd += (double)f->p.samples *
               usd_of(f, in->actor_llm[a->llm], context, a->added, (double)t);
        for (size_t i = 0; i < in->n_llms; i++) {
            if (in->llms[i].role == LLM_REFERENCE)
                usd += usd_of(f, i, context, in->all_views & ~context, (double)t);
        }
        context |= a->added;
    }
    return usd;
}

static int64_t calls_of_session(const struct filling *f, const struct aim *aim)
{
    int64_t a_turn = f->p.samples;
    for (size_t i = 0; i < f->p.in.n_llms; i++)
        a_turn += f->p.in.llms[i].role == LLM_REFERENCE;
    return a_turn * (int64_t)aim->n_turns;
}

static enum status write_session(struct filling *f, const struct aim *aim,
    struct session_plan *session, struct error *err)
{
    int64_t previous_id = 0;
    enum status s = plan_write_session(&f->p, session, err);
    for (size_t t = 0; t < aim->n_turns && !s; t++) {
        const struct aimed_turn *turn = &aim->turns[t];
        const struct behaviour_action *a = &turn->actions[turn->chosen];
        const struct plan_prompt *prompt = &f->p.in.prompts[session->prompts[t]];
        struct plan_turn place = { .position = (int64_t)t,
            .task_id = prompt->task_id,
            .prompt_id = prompt->prompt_id,
            .previous_id = previous_id,
            .context = session->context };
        s = fill_pool_count(&f->pool, &place, a->llm, a->added, err);
        previous_id = f->p.in.llms[f->p.in.actor_llm[a->llm]].llm_id;
        if (!s)
            s = plan_write_turn(&f->p, session, (int64_t)t, err);
        if (!s)
            s = plan_write_references(&f->p, session, (int64_t)t, err);
        if (!s)
            s = plan_write_path(
                &f->p, session, (int64_t)t, turn->actions, turn->n, turn->chosen, err);
    }
    return s;
}

/* One session that hits the cell; *why is set where there can be none. */
static enum status add_session(
    struct filling *f, const struct cell_key *key, const char **why, struct error *err)
{
    const struct recipe *r = f->p.in.recipe;
    int min_turns = r->sessions.min_turns > 0 ? r->sessions.min_turns : 1;
    int max_turns = r->sessions.max_turns > 0 ? r->sessions.max_turns : 5;
    struct aim aim;
    struct error miss = ERROR_INIT;
    enum status s = aim_draw(
        &f->p.in, key, (size_t)min_turns, (size_t)max_turns, &f->rng, &aim, &miss);
    if (s == E_NOT_FOUND)
        *why = why_unreachable;
    if (s)
        return s == E_NOT_FOUND ? OK : error_set(err, s, "%s", miss.msg);
    struct session_plan session = { .index = f->index,
        .block = plan_block(f->index - FILL_FIRST_INDEX),
        .n_turns = aim.n_turns };
    int found = 0;
    session.prompts = calloc(aim.n_turns + 1, sizeof *session.prompts);
    s = session.prompts ? choose_scene(f, key, aim.at, &session, &found, err)
                        : error_nomem(err, aim.n_turns * sizeof *session.prompts);
    double usd = usd_of_session(f, &aim);
    if (!s && !found)
        *why = why_no_scene;
    else if (!s && !affords(f, calls_of_session(f, &aim), usd))
        *why = why_budget;
    else if (!s)
        s = write_session(f, &aim, &session, err);
    if (!s && !*why) {
        f->index++;
        f->result->usd += usd;
    }
    free(session.prompts);
    aim_release(&aim);
    return s;
}

static enum status note_reason(
    struct filling *f, const struct cell_key *key, const char *why, struct error *err)
{
    struct reason *grown = realloc(f->reasons, (f->n_reasons + 1) * sizeof *grown);
    if (!grown)
        return error_nomem(err, (f->n_reasons + 1) * sizeof *grown);
    f->reasons = grown;
    grown[f->n_reasons++] = (struct reason) { *key, why };
    return OK;
}

static enum status add_gap(
    struct filling *f, const struct cell *cell, const char *why, struct error *err)
{
    struct fill_result *r = f->result;
    struct fill_gap *grown = realloc(r->gaps, (r->n_gaps + 1) * sizeof *grown);
    if (!grown)
        return error_nomem(err, (r->n_gaps + 1) * sizeof *grown);
    r->gaps = grown;
    struct fill_gap *gap = &grown[r->n_gaps++];
    *gap = (struct fill_gap) { .key = cell->key,
        .lacks = cell_lacks(cell, 0),
        .share = (double)cell->planned / (double)cell->wanted,
        .why = why };
    cell_describe(&f->p.in, &cell->key, gap->what, sizeof gap->what);
    return OK;
}

/* Late turns first, since a session to a late turn comes through the early ones; few
 * views first, since the turn of a cell with few is fanned out to those with more. */
static int compare_order(const void *a, const void *b)
{
    const struct cell *x = ((const struct wanting *)a)->cell;
    const struct cell *y = ((const struct wanting *)b)->cell;
    int n = __builtin_popcount(x->key.views) - __builtin_popcount(y->key.views);
    if (x->key.turn != y->key.turn)
        return x->key.turn > y->key.turn ? -1 : 1;
    return n ? n : (x > y) - (x < y);
}

static enum status fill_cell(struct filling *f, struct cell *cell, struct error *err)
{
    const char *why = NULL;
    enum status s = fill_from_pool(f, cell, err);
    while (cell_lacks(cell, 0) > 0 && !why && !s && !f->result->budget_reached) {
        int64_t lacks = cell_lacks(cell, 0);
        s = add_session(f, &cell->key, &why, err);
        if (!s && !why && cell_lacks(cell, 0) == lacks)
            why = why_unreachable;
        if (!s && !why)
            s = fill_pool_add_turns(&f->pool, f->p.store, &f->rng, err);
        if (!s && !why)
            s = fill_from_pool(f, cell, err);
    }
    if (!s && why && why != why_budget)
        s = note_reason(f, &cell->key, why, err);
    return s;
}

/* What is left gets sessions, cell by cell.  Where a budget will end it, the cells that
 * lack least come first; else the order that takes the fewest sessions. */
static enum status add_sessions(struct filling *f, struct error *err)
{
    static const enum cell_kind kinds[] = { CELL_CONTEXT, CELL_ACTION, CELL_PROMPT };
    int is_bounded = f->options->max_calls >= 0 || f->options->max_usd >= 0;
    struct wanting *order = NULL;
    size_t n = 0;
    enum status s = list_wanting(f, &order, &n, err);
    if (!s && !is_bounded)
        qsort(order, n, sizeof *order, compare_order);
    progress_total(f->options->progress, (int64_t)n);
    for (size_t k = 0; k < COUNT_OF(kinds) && !s; k++)
        for (size_t i = 0; i < n && !s && !f->result->budget_reached; i++) {
            if (order[i].cell->key.kind != kinds[k])
                continue;
            s = fill_cell(f, order[i].cell, err);
            progress_step(f->options->progress, 1, NULL);
        }
    free(order);
    return s;
}

/* ---- the end ---- */

static const char *reason_of(const struct filling *f, const struct cell *cell)
{
    for (size_t i = 0; i < f->n_reasons; i++)
        if (cells_find(&f->cells, &f->reasons[i].key) == cell)
            return f->reasons[i].why;
    if (cell->key.kind == CELL_STATE && cell->offered < cell->wanted)
        return why_few_actions;
    return f->result->budget_reached ? why_budget : why_unreachable;
}

/* The thinnest first, as cells_thinnest() has them. */
static int compare_gaps(const void *a, const void *b)
{
    const struct fill_gap *x = a, *y = b;
    if (x->share != y->share)
        return x->share < y->share ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static enum status report_gaps(struct filling *f, struct error *err)
{
    struct fill_result *r = f->result;
    enum status s = OK;
    for (size_t i = 0; i < f->cells.n && !s; i++) {
        const struct cell *cell = &f->cells.cell[i];
        if (cell_lacks(cell, 0) <= 0)
            continue;
        s = add_gap(f, cell, reason_of(f, cell), err);
        if (!s)
            r->gaps[r->n_gaps - 1].index = i;
    }
    if (r->n_gaps)
        qsort(r->gaps, r->n_gaps, sizeof *r->gaps, compare_gaps);
    return s;
}

static void count_thin(
    const struct cells *cells, size_t thin[N_CELL_KINDS], int64_t missing[N_CELL_KINDS])
{
    for (int k = 0; k < N_CELL_KINDS; k++) {
        thin[k] = cells_n_thin(cells, (enum cell_kind)k, 0);
        missing[k] = cells_n_missing(cells, (enum cell_kind)k, 0);
    }
}

static enum status write_run(struct filling *f, struct error *err)
{
    struct json *j = json_new_object();
    json_set_int(j, "samples", f->p.samples);
    if (f->options->max_calls >= 0)
        json_set_int(j, "max_calls", f->options->max_calls);
    if (f->options->max_usd >= 0)
        json_set_number(j, "max_usd", f->options->max_usd);
    return plan_write_run(&f->p, "fill", j, err);
}

static enum status load_anew(struct filling *f, struct error *err)
{
    fill_pool_release(&f->pool);
    cells_release(&f->cells);
    enum status s =
        cells_load(f->p.store, &f->p.in, &f->p.in.recipe->plan.minima, &f->cells, err);
    if (!s)
        s = fill_pool_open(&f->pool, f->p.store, &f->p.in, &f->cells, err);
    return s ? s : fill_pool_add_turns(&f->pool, f->p.store, &f->rng, err);
}

static enum status fill_all(struct filling *f, struct error *err)
{
    enum status s = store_int(f->p.store, FILL_FIRST_INDEX - 1, &f->index, err,
        "SELECT max(plan_index) FROM session JOIN plan USING (plan_id) WHERE seed = ? "
        "AND behaviour = 'fill'",
        "i", f->p.seed);
    f->index++;
    rng_init(&f->rng, (uint64_t)f->p.seed, "plan/fill", (uint64_t)f->last_call);
    if (!s)
        s = load_anew(f, err);
    if (!s)
        s = estimate_model_load(f->p.store, &f->p.in, &f->model, err);
    if (s)
        return s;
    count_thin(&f->cells, f->result->thin_before, f->result->missing_before);
    s = write_run(f, err);
    if (!s)
        s = complete_cells(f, err);
    if (!s)
        s = add_sessions(f, err);
    // New sessions came to states of their own, so the cells are counted anew.
    if (!s)
        s = load_anew(f, err);
    if (!s && !f->result->budget_reached)
        s = complete_cells(f, err);
    if (!s)
        s = report_gaps(f, err);
    count_thin(&f->cells, f->result->thin_after, f->result->missing_after);
    return s;
}

enum status plan_fill(struct store *store, const struct fill_options *options,
    struct fill_result *result, struct error *err)
{
    *result = (struct fill_result) { 0 };
    struct filling f = { .options = options, .result = result };
    struct plan_options plan = plan_options_init();
    plan.seed = options->seed;
    enum status s = planner_open(&f.p, store, &plan, &result->counts, err);
    if (!s && !f.p.in.n_scenes)
        s = error_set(err, E_ARG,
            "the store has no scene with a frame of every view; m4a1 ingest adds scenes");
    if (!s)
        s = store_begin(store, err);
    if (!s)
        s = plan_last_call(store, &f.last_call, err);
    if (!s)
        s = fill_all(&f, err);
    if (!s)
        s = fit_check(store, f.p.in.llms, f.p.in.n_llms, err);
    if (!s && options->estimate)
        s = plan_estimate(store, &f.p.in, f.last_call, options->estimate, err);
    // A fill that found nothing to do leaves no trace.
    if (!s && !options->dry_run && n_calls(&f) > 0)
        s = store_commit(store, err);
    store_rollback(store);
    estimate_model_free(f.model);
    fill_pool_release(&f.pool);
    cells_release(&f.cells);
    free(f.reasons);
    planner_release(&f.p);
    if (s)
        fill_result_release(result);
    return s;
}

void fill_result_release(struct fill_result *r)
{
    free(r->gaps);
    *r = (struct fill_result) { 0 };
}
