/* stats_space.c - the state-action space of a store against the minima of its recipe. */
#include <stdio.h>
#include <stdlib.h>

#include "collectors/cells.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/rows.h"
#include "m4a1/cli/stats_plan.h"
#include "schema/query.h"

#define THIN_SHOWN 20

struct space_part {
    const struct plan_inputs *in;
    const struct cells *cells;
    struct json_keeper *k;
    struct json *space;
};

static const char *task_of(const struct plan_inputs *in, int64_t task_id)
{
    for (size_t i = 0; i < in->n_prompts; i++) {
        if (in->prompts[i].task_id == task_id)
            return in->prompts[i].task;
    }
    return "";
}

static const char *llm_of(const struct plan_inputs *in, int64_t llm_id)
{
    size_t actor = plan_inputs_actor(in, llm_id);
    return actor < in->n_actors ? in->llms[in->actor_llm[actor]].name : "";
}

static void set_views(const struct space_part *p, struct json *row, uint32_t views)
{
    struct json *list = json_keep(p->k, json_set_array(row, "views"));
    for (int i = 0; i < RECIPE_MAX_VIEWS; i++) {
        if (views >> i & 1)
            json_keep(p->k,
                json_add_text(list, p->in->view_names[i] ? p->in->view_names[i] : ""));
    }
}

/* What was wanted and what is there, a row a kind. */
static int add_minima(const struct space_part *p)
{
    struct json *list = json_keep(p->k, json_set_array(p->space, "minima"));
    int holds = 1;
    for (int kind = 0; kind < N_CELL_KINDS; kind++) {
        size_t n = cells_n(p->cells, (enum cell_kind)kind), empty = 0;
        size_t thin = cells_n_thin(p->cells, (enum cell_kind)kind, 1);
        size_t thin_planned = cells_n_thin(p->cells, (enum cell_kind)kind, 0);
        int64_t wanted = 0;
        for (size_t i = 0; i < p->cells->n; i++) {
            const struct cell *cell = &p->cells->cell[i];
            if ((int)cell->key.kind != kind)
                continue;
            empty += cell->answered == 0;
            wanted = cell->wanted;
        }
        struct json *row = json_keep(p->k, json_add_object(list));
        json_keep(p->k, json_set_text(row, "kind", cell_kind_names[kind]));
        json_keep(p->k, json_set_int(row, "minimum", wanted));
        json_keep_count(p->k, row, "cells", n);
        json_keep_count(p->k, row, "empty", empty);
        json_keep_count(p->k, row, "thin", thin);
        json_keep_count(p->k, row, "thin_when_all_is_answered", thin_planned);
        json_keep(p->k, json_set_bool(row, "holds", !thin));
        holds &= !thin;
    }
    json_keep(p->k, json_set_bool(p->space, "holds", holds));
    return holds;
}

static void add_cells(const struct space_part *p)
{
    struct json *list = json_keep(p->k, json_set_array(p->space, "cells"));
    for (size_t i = 0; i < p->cells->n; i++) {
        const struct cell *c = &p->cells->cell[i];
        char what[200];
        struct json *row = json_keep(p->k, json_add_object(list));
        cell_describe(p->in, &c->key, what, sizeof what);
        json_keep(p->k, json_set_text(row, "kind", cell_kind_names[c->key.kind]));
        json_keep(p->k, json_set_text(row, "cell", what));
        if (c->key.kind != CELL_PROMPT) {
            json_keep(p->k, json_set_text(row, "task", task_of(p->in, c->key.task_id)));
            set_views(p, row, c->key.views);
        }
        if (c->key.kind == CELL_CONTEXT)
            json_keep(p->k, json_set_int(row, "turn", c->key.turn));
        if (c->key.kind == CELL_CONTEXT || c->key.kind == CELL_ACTION)
            json_keep(p->k, json_set_text(row, "llm", llm_of(p->in, c->key.llm_id)));
        if (c->key.kind == CELL_STATE) {
            json_keep(p->k,
                json_set_text(row, "previous_llm", llm_of(p->in, c->key.previous_id)));
            json_keep(p->k, json_set_int(row, "eligible", c->offered));
        }
        json_keep(p->k, json_set_int(row, "answered", c->answered));
        json_keep(p->k, json_set_int(row, "planned", c->planned));
        json_keep(p->k, json_set_int(row, "failed", c->failed));
        json_keep(p->k, json_set_int(row, "lacks", cell_lacks(c, 1)));
    }
}

/* Answers of one task and llm by number of views in context, and by turn. */
static void add_grid_row(
    const struct space_part *p, struct json *list, int64_t task_id, const struct llm *llm)
{
    int64_t by_views[CELLS_MAX_VIEWS + 1] = { 0 }, by_turn[CELLS_MAX_TURNS] = { 0 };
    int n_views = 0, n_turns = 0;
    for (size_t i = 0; i < p->cells->n; i++) {
        const struct cell *c = &p->cells->cell[i];
        int views = __builtin_popcount(c->key.views);
        if (c->key.kind != CELL_CONTEXT || c->key.task_id != task_id ||
            c->key.llm_id != llm->llm_id)
            continue;
        by_views[views] += c->answered;
        by_turn[c->key.turn] += c->answered;
        n_views = views >= n_views ? views + 1 : n_views;
        n_turns = c->key.turn >= n_turns ? c->key.turn + 1 : n_turns;
    }
    struct json *row = json_keep(p->k, json_add_object(list));
    json_keep(p->k, json_set_text(row, "task", task_of(p->in, task_id)));
    json_keep(p->k, json_set_text(row, "llm", llm->name));
    struct json *cells = json_keep(p->k, json_set_array(row, "by_views_in_context"));
    for (int v = 0; v < n_views; v++)
        json_keep(p->k, json_add_int(cells, by_views[v]));
    cells = json_keep(p->k, json_set_array(row, "by_turn"));
    for (int t = 0; t < n_turns; t++)
        json_keep(p->k, json_add_int(cells, by_turn[t]));
}

static void add_grid(const struct space_part *p)
{
    const struct plan_inputs *in = p->in;
    struct json *list = json_keep(p->k, json_set_array(p->space, "grid"));
    for (size_t i = 0; i < in->n_prompts; i++) {
        size_t first = 0;
        while (in->prompts[first].task_id != in->prompts[i].task_id)
            first++;
        for (size_t a = 0; a < in->n_actors && first == i; a++)
            add_grid_row(p, list, in->prompts[i].task_id, &in->llms[in->actor_llm[a]]);
    }
}

static enum status build(struct store *store, struct json_keeper *k, struct json *root,
    int *holds, struct error *err)
{
    struct plan_inputs in;
    struct cells cells = { 0 };
    struct error why = ERROR_INIT;
    enum status s = plan_inputs_load(store, &in, &why);
    if (!s && !(s = cells_load(store, &in, &in.recipe->plan.minima, &cells, &why))) {
        struct space_part part = { &in, &cells, k,
            json_keep(k, json_set_object(root, "space")) };
        json_keep(k, json_set_int(part.space, "histories", cells.n_histories));
        json_keep(k, json_set_int(part.space, "beginnings", cells.n_first));
        *holds = add_minima(&part);
        add_grid(&part);
        add_cells(&part);
    }
    cells_release(&cells);
    plan_inputs_release(&in);
    // Without a recipe, or with too many views, there is nothing to hold it against.
    if (s == E_NOT_FOUND || s == E_LIMIT)
        return OK;
    return s ? error_set(err, s, "%s", why.msg) : OK;
}

enum status stats_add_space(const char *data, struct json_keeper *k, struct json *root,
    int *holds, struct error *err)
{
    struct store *store;
    *holds = -1;
    if (!store_is_database(data))
        return OK;
    enum status s = store_open(data, STORE_READ, &store, err);
    if (s)
        return s;
    if (!(s = store_run(store, err, "BEGIN", ""))) { // one snapshot
        s = build(store, k, root, holds, err);
        store_rollback(store);
    }
    store_close(store);
    return s;
}

/* ---- for people ---- */

static void print_grid(const struct json *list, const char *key, const char *title)
{
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "task", "llm" };
    size_t widest = 0;
    for (const struct json *row = json_first(list); row; row = json_next(row)) {
        size_t n = json_size(json_get(row, key));
        widest = n > widest ? n : widest;
    }
    if (!widest || widest + 2 > ROWS_MAX_COLUMNS)
        return;
    struct table *t = table_new(widest + 2);
    for (size_t i = 0; i < widest; i++)
        snprintf(cells[i + 2], ROWS_CELL, "%zu", i);
    rows_add(t, cells);
    for (const struct json *row = json_first(list); row; row = json_next(row)) {
        rows_format(json_get(row, "task"), 't', cells[0], ROWS_CELL);
        rows_format(json_get(row, "llm"), 't', cells[1], ROWS_CELL);
        for (size_t i = 0; i < widest; i++)
            rows_format(json_at(json_get(row, key), i), 'i', cells[i + 2], ROWS_CELL);
        rows_add(t, cells);
    }
    printf("\n%s\n", title);
    table_print(t);
    table_free(t);
}

static long long number(const struct json *j, const char *key)
{
    return (long long)json_int(json_get(j, key), 0);
}

struct thin_cell {
    const struct json *cell;
    double share, planned; /* of the minimum: answered, answered or planned */
    size_t index;
};

static int compare_thin(const void *a, const void *b)
{
    const struct thin_cell *x = a, *y = b;
    if (x->share != y->share)
        return x->share < y->share ? -1 : 1;
    if (x->planned != y->planned)
        return x->planned < y->planned ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* The thinnest first, as the plan's "Thinnest cell" is found. */
static void print_thin(const struct json *cells, int all)
{
    size_t n = 0;
    struct thin_cell *thin = calloc(json_size(cells) + 1, sizeof *thin);
    for (const struct json *c = json_first(cells); c && thin; c = json_next(c)) {
        long long lacks = number(c, "lacks"), has = number(c, "answered");
        if (lacks > 0) {
            double wanted = (double)(has + lacks);
            thin[n] = (struct thin_cell) { c, (double)has / wanted,
                (double)number(c, "planned") / wanted, n };
            n++;
        }
    }
    if (n) {
        qsort(thin, n, sizeof *thin, compare_thin);
        printf("\nthin cells (%zu), the thinnest first\n", n);
    }
    for (size_t i = 0; i < n && (all || i < THIN_SHOWN); i++) {
        const struct json *c = thin[i].cell;
        long long has = number(c, "answered"), planned = number(c, "planned");
        printf("  %s: %lld of %lld%s", json_text(json_get(c, "cell"), ""), has,
            has + number(c, "lacks"),
            text_equal(json_text(json_get(c, "kind"), ""), "state") ? " actions" : "");
        if (planned > has)
            printf(", %lld with what is planned", planned);
        putchar('\n');
    }
    if (n > THIN_SHOWN && !all)
        printf("  and %zu more (--all)\n", n - THIN_SHOWN);
    free(thin);
}

void stats_print_minima(const struct json *space)
{
    static const char *const kinds[N_CELL_KINDS] = {
        [CELL_CONTEXT] = "context: task, turn, views in the dialogue, llm",
        [CELL_ACTION] = "action: task, llm, views added",
        [CELL_STATE] = "state: task, views and llm before; of actions",
        [CELL_PROMPT] = "prompt"
    };
    static const struct rows_head heads[] = { { "cells of", "", 't' },
        { "minimum", "minimum", 'i' }, { "cells", "cells", 'i' },
        { "empty", "empty", 'i' }, { "thin", "thin", 'i' },
        { "thin with what is planned", "thin_when_all_is_answered", 'i' } };
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "" };
    if (!space)
        return;
    struct table *t = table_new(COUNT_OF(heads));
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        snprintf(cells[i], sizeof cells[i], "%s", heads[i].title);
    rows_add(t, cells);
    const struct json *row = json_first(json_get(space, "minima"));
    for (size_t kind = 0; row && kind < N_CELL_KINDS; row = json_next(row), kind++) {
        for (size_t i = 1; i < COUNT_OF(heads); i++)
            rows_format(
                json_get(row, heads[i].key), heads[i].type, cells[i], sizeof cells[i]);
        snprintf(cells[0], sizeof cells[0], "%s", kinds[kind]);
        rows_add(t, cells);
    }
    printf("\nminima of the recipe (answers a cell; thin: below the minimum)\n");
    table_print(t);
    table_free(t);
    printf("%s\nanswers behind %lld different histor%s and %lld beginning%s\n",
        json_bool(json_get(space, "holds"), 0) ? "pass: every minimum of the recipe holds"
                                               : "fail: not every minimum of the recipe "
                                                 "holds; m4a1 plan --fill adds what is "
                                                 "missing",
        number(space, "histories"), number(space, "histories") == 1 ? "y" : "ies",
        number(space, "beginnings"), text_s(number(space, "beginnings")));
}

void stats_print_space(const struct json *space, int all)
{
    if (!space)
        return;
    const struct json *grid = json_get(space, "grid");
    if (all) {
        print_grid(grid, "by_views_in_context", "answers by number of views in context");
        print_grid(grid, "by_turn", "answers by turn");
    }
    print_thin(json_get(space, "cells"), all);
}
