/* cells.c - what can occur by a walk over the sets of views, what is there by SQL. */
#include "collectors/cells.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "schema/query.h"

#define MAX_CELLS ((size_t)1 << 22)

const char *const cell_kind_names[N_CELL_KINDS] = { "context", "action", "state",
    "prompt" };

/* ---- keys ---- */

struct cell_key cells_context_key(
    int64_t task_id, int turn, int64_t llm_id, uint32_t context_with)
{
    return (struct cell_key) { .kind = CELL_CONTEXT,
        .task_id = task_id,
        .llm_id = llm_id,
        .turn = turn,
        .views = context_with };
}

struct cell_key cells_action_key(int64_t task_id, int64_t llm_id, uint32_t added)
{
    return (struct cell_key) {
        .kind = CELL_ACTION, .task_id = task_id, .llm_id = llm_id, .views = added
    };
}

struct cell_key cells_state_key(
    int64_t task_id, int64_t previous_id, uint32_t context_before)
{
    return (struct cell_key) { .kind = CELL_STATE,
        .task_id = task_id,
        .previous_id = previous_id,
        .views = context_before };
}

struct cell_key cells_prompt_key(int64_t prompt_id)
{
    return (struct cell_key) { .kind = CELL_PROMPT, .prompt_id = prompt_id };
}

static int compare_keys(const void *a, const void *b)
{
    const struct cell_key *x = a, *y = b;
    const int64_t p[] = { x->kind, x->task_id, x->prompt_id, x->turn, x->views, x->llm_id,
        x->previous_id };
    const int64_t q[] = { y->kind, y->task_id, y->prompt_id, y->turn, y->views, y->llm_id,
        y->previous_id };
    for (size_t i = 0; i < COUNT_OF(p); i++) {
        if (p[i] != q[i])
            return p[i] < q[i] ? -1 : 1;
    }
    return 0;
}

struct cell *cells_find(const struct cells *cells, const struct cell_key *key)
{
    // The key is the first member of a cell.
    return cells->n
               ? bsearch(key, cells->cell, cells->n, sizeof *cells->cell, compare_keys)
               : NULL;
}

static enum status add_cell(
    struct cells *cells, const struct cell_key *key, int64_t wanted, struct error *err)
{
    if (cells->n == cells->size) {
        size_t size = cells->size ? 2 * cells->size : 256;
        struct cell *grown =
            size > MAX_CELLS ? NULL : realloc(cells->cell, size * sizeof *cells->cell);
        if (!grown)
            return error_set(err, E_LIMIT,
                "coverage: more than %zu cells of tasks, turns, views and llms",
                MAX_CELLS);
        cells->cell = grown;
        cells->size = size;
    }
    cells->cell[cells->n++] = (struct cell) { .key = *key, .wanted = wanted };
    return OK;
}

static void sort_cells(struct cells *cells)
{
    size_t kept = 0;
    if (cells->n)
        qsort(cells->cell, cells->n, sizeof *cells->cell, compare_keys);
    for (size_t i = 0; i < cells->n; i++) {
        if (!kept || compare_keys(&cells->cell[kept - 1], &cells->cell[i]) != 0)
            cells->cell[kept++] = cells->cell[i];
    }
    cells->n = kept;
}

/* ---- what can occur ---- */

/* Reachable sets before a turn, as flags over all sets of views. */
struct reach {
    char *now, *next; /* [1 << highest view + 1] */
    size_t n_sets;
};

static enum status add_possible(struct cells *cells, const struct plan_inputs *in,
    const struct recipe_minima *minima, int turn, uint32_t context, struct reach *reach,
    struct error *err)
{
    struct behaviour_action *actions;
    size_t n;
    struct error why = ERROR_INIT;
    enum status s = behaviour_eligible(in->actors, in->n_actors, context,
        in->recipe->history.keep_images, &actions, &n, &why);
    if (s == E_ARG) // a dialogue that no llm can take any further
        return OK;
    if (s)
        return error_set(err, s, "%s", why.msg);
    for (size_t i = 0; i < n && !s; i++) {
        uint32_t with = context | actions[i].added;
        int64_t llm_id = in->llms[in->actor_llm[actions[i].llm]].llm_id;
        reach->next[with] = 1;
        for (size_t p = 0; p < in->n_prompts && !s; p++) {
            int64_t task = in->prompts[p].task_id;
            if (p && in->prompts[p - 1].task_id == task)
                continue; // prompts of a task mostly follow each other; twice is sorted out
            struct cell_key key = cells_context_key(task, turn, llm_id, with);
            s = add_cell(cells, &key, minima->per_cell, err);
            key = cells_action_key(task, llm_id, actions[i].added);
            if (!s)
                s = add_cell(cells, &key, minima->per_action, err);
        }
    }
    free(actions);
    return s;
}

static enum status list_possible(struct cells *cells, const struct plan_inputs *in,
    const struct recipe_minima *minima, struct error *err)
{
    int highest = in->all_views ? 32 - __builtin_clz(in->all_views) : 0;
    struct reach reach = { .n_sets = (size_t)1 << highest };
    // A scripted recipe has no bound of its own; its first turns stand for all.
    int max_turns = in->recipe->sessions.max_turns;
    max_turns = max_turns <= 0 || max_turns > CELLS_MAX_TURNS ? 5 : max_turns;
    reach.now = calloc(reach.n_sets, 1);
    reach.next = calloc(reach.n_sets, 1);
    enum status s = reach.now && reach.next ? OK : error_nomem(err, reach.n_sets);
    if (!s)
        reach.now[0] = 1;
    for (int turn = 0; turn < max_turns && !s; turn++) {
        for (size_t set = 0; set < reach.n_sets && !s; set++) {
            if (reach.now[set])
                s = add_possible(cells, in, minima, turn, (uint32_t)set, &reach, err);
        }
        sort_cells(cells);
        if (!s) {
            memcpy(reach.now, reach.next, reach.n_sets);
            memset(reach.next, 0, reach.n_sets);
        }
    }
    for (size_t p = 0; p < in->n_prompts && !s; p++) {
        struct cell_key key = cells_prompt_key(in->prompts[p].prompt_id);
        s = add_cell(cells, &key, minima->per_prompt, err);
    }
    free(reach.now);
    free(reach.next);
    return s;
}

/* ---- what is there ---- */

#define FROM_CALLS                                                                       \
    " FROM call c JOIN turn t USING (turn_id) JOIN prompt m USING (prompt_id)"           \
    " JOIN session e USING (session_id) JOIN call_state s ON s.call_id = c.call_id"      \
    " LEFT JOIN call p ON p.call_id = c.parent_id"                                       \
    " WHERE c.purpose IN ('path', 'fan_out') AND c.sample = 0 AND e.plan_id IS NOT NULL"

static void count_one(
    const struct cells *cells, const struct cell_key *key, const struct query *q)
{
    struct cell *cell = cells_find(cells, key);
    if (!cell)
        return;
    cell->planned += query_int(q, 6) - query_int(q, 8);
    cell->answered += query_int(q, 7);
    cell->failed += query_int(q, 8);
}

static enum status count_calls(
    struct store *store, const struct cells *cells, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT m.task_id, t.position, c.llm_id, c.views_context, c.views_added,"
        " m.prompt_id, count(*), sum(s.state = 'done'),"
        " sum(s.state IN ('failed', 'blocked'))" FROM_CALLS " GROUP BY 1, 2, 3, 4, 5, 6",
        &q, err);
    if (s)
        return s;
    query_bind(q, "");
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct cell_key key = cells_context_key(query_int(q, 0), (int)query_int(q, 1),
            query_int(q, 2), (uint32_t)query_int(q, 3));
        count_one(cells, &key, q);
        key =
            cells_action_key(query_int(q, 0), query_int(q, 2), (uint32_t)query_int(q, 4));
        count_one(cells, &key, q);
        key = cells_prompt_key(query_int(q, 5));
        count_one(cells, &key, q);
    }
    query_close(q);
    return s;
}

static int64_t count_offered(const struct plan_inputs *in, uint32_t context)
{
    struct behaviour_action *actions;
    size_t n = 0;
    if (behaviour_eligible(in->actors, in->n_actors, context,
            in->recipe->history.keep_images, &actions, &n, NULL) == OK)
        free(actions);
    return (int64_t)n;
}

/* A row an action of a state; a state's rows follow each other. */
static enum status count_states(struct store *store, const struct plan_inputs *in,
    const struct recipe_minima *minima, struct cells *cells, struct error *err)
{
    struct query *q;
    struct cell *state = NULL;
    enum status s = query_open(store,
        "SELECT m.task_id, coalesce(p.llm_id, 0), coalesce(p.views_context, 0),"
        " sum(s.state NOT IN ('failed', 'blocked')), sum(s.state = 'done')" FROM_CALLS
        " GROUP BY 1, 2, 3, c.llm_id, c.views_added",
        &q, err);
    if (s)
        return s;
    query_bind(q, "");
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct cell_key key =
            cells_state_key(query_int(q, 0), query_int(q, 1), (uint32_t)query_int(q, 2));
        if (!state || compare_keys(&state->key, &key) != 0) {
            if ((s = add_cell(cells, &key, minima->per_state, err)))
                break;
            state = &cells->cell[cells->n - 1];
            state->offered = count_offered(in, key.views);
        }
        state->planned += query_int(q, 3) > 0;
        state->answered += query_int(q, 4) > 0;
        state->failed += query_int(q, 3) == 0;
    }
    query_close(q);
    return s;
}

static enum status count_histories(
    struct store *store, struct cells *cells, struct error *err)
{
    enum status s = store_int(store, 0, &cells->n_histories, err,
        "SELECT count(DISTINCT c.parent_id)" FROM_CALLS " AND s.state = 'done'", "");
    if (!s)
        s = store_int(store, 0, &cells->n_first, err,
            "SELECT count(*) FROM (SELECT DISTINCT e.scene_id, e.at_ms" FROM_CALLS
            " AND s.state = 'done')",
            "");
    return s;
}

enum status cells_load(struct store *store, const struct plan_inputs *in,
    const struct recipe_minima *minima, struct cells *out, struct error *err)
{
    *out = (struct cells) { 0 };
    int n_views = __builtin_popcount(in->all_views);
    if (n_views > CELLS_MAX_VIEWS)
        return error_set(err, E_LIMIT,
            "coverage by sets of views goes up to %d views, and there are %d: the sets "
            "are too many to be measured each",
            CELLS_MAX_VIEWS, n_views);
    enum status s = list_possible(out, in, minima, err);
    sort_cells(out);
    if (!s)
        s = count_calls(store, out, err);
    if (!s)
        s = count_states(store, in, minima, out, err);
    sort_cells(out);
    if (!s)
        s = count_histories(store, out, err);
    if (s)
        cells_release(out);
    return s;
}

void cells_release(struct cells *cells)
{
    free(cells->cell);
    *cells = (struct cells) { 0 };
}

/* ---- looking ---- */

int64_t cell_lacks(const struct cell *cell, int answered_only)
{
    int64_t has = answered_only ? cell->answered : cell->planned;
    return cell->wanted > has ? cell->wanted - has : 0;
}

size_t cells_n_thin(const struct cells *cells, enum cell_kind kind, int answered_only)
{
    size_t n = 0;
    for (size_t i = 0; i < cells->n; i++)
        n += cells->cell[i].key.kind == kind &&
             cell_lacks(&cells->cell[i], answered_only) > 0;
    return n;
}

int64_t cells_n_missing(const struct cells *cells, enum cell_kind kind, int answered_only)
{
    int64_t n = 0;
    for (size_t i = 0; i < cells->n; i++)
        if (cells->cell[i].key.kind == kind)
            n += cell_lacks(&cells->cell[i], answered_only);
    return n;
}

size_t cells_n(const struct cells *cells, enum cell_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < cells->n; i++)
        n += cells->cell[i].key.kind == kind;
    return n;
}

const struct cell *cells_thinnest(const struct cells *cells, int answered_only)
{
    const struct cell *thinnest = NULL;
    double least = 0;
    for (size_t i = 0; i < cells->n; i++) {
        const struct cell *cell = &cells->cell[i];
        if (!cell->wanted)
            continue;
        double share = (double)(answered_only ? cell->answered : cell->planned) /
                       (double)cell->wanted;
        if (!thinnest || share < least) {
            thinnest = cell;
            least = share;
        }
    }
    return thinnest;
}

static const char *task_name(const struct plan_inputs *in, int64_t task_id)
{
    for (size_t i = 0; i < in->n_prompts; i++) {
        if (in->prompts[i].task_id == task_id)
            return in->prompts[i].task;
    }
    return "a retired task";
}

static const char *llm_name(const struct plan_inputs *in, int64_t llm_id)
{
    for (size_t i = 0; i < in->n_llms; i++) {
        if (in->llms[i].llm_id == llm_id)
            return in->llms[i].name;
    }
    return "a retired llm";
}

static const char *views_name(
    const struct plan_inputs *in, uint32_t views, struct buffer *out)
{
    buffer_clear(out);
    for (int i = 0; i < RECIPE_MAX_VIEWS; i++) {
        if (views >> i & 1)
            buffer_printf(out, "%s%s", out->len ? "+" : "",
                in->view_names[i] ? in->view_names[i] : "?");
    }
    return out->len ? buffer_str(out) : "no view";
}

void cell_describe(
    const struct plan_inputs *in, const struct cell_key *key, char *out, size_t size)
{
    struct buffer names;
    buffer_init(&names, 4096);
    const char *views = views_name(in, key->views, &names);
    const char *task = task_name(in, key->task_id), *llm = llm_name(in, key->llm_id);
    if (key->kind == CELL_CONTEXT)
        snprintf(
            out, size, "%s, turn %d, %s with %s in context", task, key->turn, llm, views);
    else if (key->kind == CELL_ACTION)
        snprintf(out, size, "%s, %s adding %s", task, llm, views);
    else if (key->kind == CELL_STATE)
        snprintf(out, size, "%s after %s with %s in context", task,
            key->previous_id ? llm_name(in, key->previous_id) : "nothing", views);
    else
        snprintf(out, size, "prompt %lld", (long long)key->prompt_id);
    for (size_t i = 0; key->kind == CELL_PROMPT && i < in->n_prompts; i++) {
        const struct plan_prompt *p = &in->prompts[i];
        if (p->prompt_id == key->prompt_id)
            snprintf(out, size, "prompt %s (%s)", p->id ? p->id : p->text, p->task);
    }
    out[text_utf8_valid(out, strlen(out))] = '\0';
    buffer_release(&names);
}
