/* stats_coverage.c - which actions have how many rows, and where too few to learn from. */
#include <stdio.h>
#include <stdlib.h>

#include "export/coverage.h"
#include "export/offers.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/rows.h"
#include "m4a1/cli/stats_plan.h"
#include "m4a1/cli/stats_topic.h"

#define CELL_VIEWS 4 /* up to so many views every subset is a column */

static void set_name_of(
    const struct dataset *data, uint32_t views, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t v = 0; v < data->n_views && at < size; v++) {
        if (views >> v & 1)
            at += (size_t)snprintf(out + at, size - at, at ? "+%zu" : "%zu", v);
    }
    if (!views)
        snprintf(out, size, "none");
}

/* Subsets in the published order: by size, then lexicographically. */
static size_t list_subsets(size_t n_views, uint32_t *out)
{
    size_t n = 0;
    for (int size = 0; size <= (int)n_views; size++) {
        // Reading view 0 as the highest digit, the lexicographic order falls.
        for (uint32_t code = (UINT32_C(1) << n_views); code-- > 0;) {
            uint32_t set = 0;
            for (size_t v = 0; v < n_views; v++)
                set |= (code >> (n_views - 1 - v) & 1) << v;
            if (__builtin_popcount(set) == size)
                out[n++] = set;
        }
    }
    return n;
}

/* One row a task and llm: how often image_index listed each set of views, the path and the
 * fan-out together.  Cells that cannot occur (offers.h) are left out. */
static enum status add_cells(struct stats_topic *t, struct error *err)
{
    const struct dataset *data = t->data;
    uint32_t sets[1 << CELL_VIEWS];
    size_t thin = 0, empty = 0, cells = 0;
    if (data->n_views > CELL_VIEWS)
        return OK;
    size_t n_sets = list_subsets(data->n_views, sets);
    char *possible;
    enum status s = offers_of_data(data, &possible, err);
    struct json *list = s ? NULL : stats_new_list(t, "cells");
    for (size_t i = 0; i < data->n_tasks * data->n_llms && !s; i++) {
        size_t task = i / data->n_llms, llm = t->order[i % data->n_llms];
        struct json *row = json_keep(&t->kept, json_add_object(list));
        json_keep(&t->kept, json_set_text(row, "task", data->tasks[task]));
        json_keep(&t->kept, json_set_text(row, "llm", data->llms[llm].name));
        struct json *counts = json_keep(&t->kept, json_set_object(row, "views"));
        for (size_t k = 0; k < n_sets && !s; k++) {
            struct group_filter filter = { (int)task, (int)llm, -1, -1, -1,
                (int64_t)sets[k], -1 };
            struct group group;
            char name[64];
            s = coverage_group(data, &filter, &group, err);
            if (s || (group.n == 0 && !possible[llm * n_sets + sets[k]]))
                continue;
            set_name_of(data, sets[k], name, sizeof name);
            json_keep_count(&t->kept, counts, name, group.n);
            cells++;
            empty += group.n == 0;
            thin += group.n > 0 && (int64_t)group.n < t->thin;
        }
    }
    struct json *sum = json_keep(&t->kept, json_set_object(t->root, "cell_counts"));
    json_keep_count(&t->kept, sum, "cells", cells);
    json_keep_count(&t->kept, sum, "empty", empty);
    json_keep_count(&t->kept, sum, "thin", thin);
    json_keep(&t->kept, json_set_int(sum, "thin_below", t->thin));
    free(possible);
    return s;
}

static void add_shape(struct stats_topic *t, const struct coverage *c)
{
    struct json *list = stats_new_list(t, "turns_a_session");
    for (size_t n = c->shortest; n <= c->longest && c->sessions; n++) {
        struct json *row = json_keep(&t->kept, json_add_object(list));
        json_keep_count(&t->kept, row, "turns", n);
        json_keep_count(&t->kept, row, "sessions", coverage_sessions_of(t->data, n));
    }
    list = stats_new_list(t, "views");
    for (size_t v = 0; v < t->data->n_views; v++) {
        struct json *row = json_keep(&t->kept, json_add_object(list));
        json_keep(&t->kept, json_set_text(row, "name", t->data->views[v]));
        json_keep(&t->kept, json_set_int(row, "privacy", t->data->privacy[v]));
        json_keep_count(&t->kept, row, "added", coverage_view_added(t->data, v));
        json_keep_count(&t->kept, row, "in_context", coverage_view_context(t->data, v));
    }
}

/* Who was refused for good where: missing turns are not missing at random. */
static enum status add_censoring(struct stats_topic *t, struct error *err)
{
    struct json *list = stats_new_list(t, "censoring");
    struct censoring *cells;
    size_t n;
    enum status s = coverage_censoring(t->data, &cells, &n, err);
    for (size_t i = 0; i < n && !s; i++) {
        struct json *row = json_keep(&t->kept, json_add_object(list));
        json_keep(&t->kept, json_set_text(row, "task", t->data->tasks[cells[i].task]));
        json_keep(&t->kept, json_set_text(row, "llm", t->data->llms[cells[i].llm].name));
        json_keep_count(&t->kept, row, "asked", cells[i].asked);
        json_keep_count(&t->kept, row, "censored", cells[i].refused);
        json_keep(&t->kept, json_set_number(row, "share",
                                (double)cells[i].refused / (double)cells[i].asked));
        json_keep_count(&t->kept, row, "turns_lost", cells[i].lost);
    }
    free(cells);
    return s;
}

enum status stats_build_coverage(struct stats_topic *t, struct error *err)
{
    struct coverage c;
    enum status s = coverage_count(t->data, &c, err);
    struct json_keeper *k = &t->kept;
    json_keep_count(k, t->root, "sessions", c.sessions);
    json_keep_count(k, t->root, "imported_sessions", c.imported);
    json_keep_count(k, t->root, "censored_sessions", c.censored);
    json_keep_count(k, t->root, "scenes", c.scenes);
    json_keep_count(k, t->root, "prompts", c.prompts);
    json_keep_count(k, t->root, "turns", c.turns);
    json_keep_count(k, t->root, "fan_out", c.fan_out);
    json_keep_count(k, t->root, "answers", c.answered);
    json_keep_count(k, t->root, "scored", c.scored);
    json_keep_count(k, t->root, "refused", c.refused);
    json_keep_count(k, t->root, "simulated", c.simulated);
    json_keep_count(k, t->root, "turns_with_associations", c.associated);
    add_shape(t, &c);
    if (!s && !(s = stats_add_tasks(t, err)) && !(s = stats_add_actions(t, err)) &&
        !(s = stats_add_context(t, err)) && !(s = stats_add_llms(t, "llms", -1, err)))
        s = add_cells(t, err);
    if (!s)
        s = add_censoring(t, err);
    if (!s)
        s = stats_add_space(t->data->source, &t->kept, t->root, &t->holds, err);
    return s;
}

/* ---- tables ---- */

/* What a column counts. */
static void print_columns(const struct json *views)
{
    int at = 0;
    printf("views in the dialogue: those that image_index lists (");
    for (const struct json *v = json_first(views); v; v = json_next(v), at++)
        printf("%s%d %s", at ? ", " : "", at, json_text(json_get(v, "name"), ""));
    printf("): all that\nit holds once the answer's action has added some; none: that "
           "action adds none\n");
}

static void print_cells(const struct json *root)
{
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "task", "llm" };
    const struct json *list = json_get(root, "cells"), *widest = NULL;
    for (const struct json *row = json_first(list); row; row = json_next(row)) {
        if (json_size(json_get(row, "views")) >= json_size(widest))
            widest = json_get(row, "views");
    }
    size_t n = 2 + json_size(widest), at = 2;
    if (!widest || n > ROWS_MAX_COLUMNS)
        return;
    struct table *t = table_new(n);
    for (const struct json *c = json_first(widest); c; c = json_next(c), at++)
        snprintf(cells[at], sizeof cells[at], "%s", json_key(c));
    rows_add(t, cells);
    for (const struct json *row = json_first(list); row; row = json_next(row)) {
        rows_format(json_get(row, "task"), 't', cells[0], sizeof cells[0]);
        rows_format(json_get(row, "llm"), 't', cells[1], sizeof cells[1]);
        at = 2;
        for (const struct json *c = json_first(widest); c; c = json_next(c), at++)
            rows_format(json_get(json_get(row, "views"), json_key(c)), 'i', cells[at],
                sizeof cells[at]);
        rows_add(t, cells);
    }
    printf("\ntask x llm x views in the dialogue (a set a column; - cannot be)\n");
    table_print(t);
    table_free(t);
}

/* One line on these cells, and what they are. */
static void print_cell_counts(const struct json *root)
{
    const struct json *sum = json_get(root, "cell_counts");
    if (!sum)
        return;
    printf(
        "\ntask x llm x views in the dialogue, path and fan-out, answered or planned:\n"
        "%lld of %lld possible cells are empty, %lld hold fewer than %lld\n",
        (long long)json_int(json_get(sum, "empty"), 0),
        (long long)json_int(json_get(sum, "cells"), 0),
        (long long)json_int(json_get(sum, "thin"), 0),
        (long long)json_int(json_get(sum, "thin_below"), 0));
    print_columns(json_get(root, "views"));
}

static long long number(const struct json *j, const char *key)
{
    return (long long)json_int(json_get(j, key), 0);
}

/* A count and the ending of its noun. */
#define S(key) number(j, key), text_s(number(j, key))

void stats_print_coverage(const struct json *j, int all)
{
    static const struct rows_head turns[] = { { "turns", "turns", 'i' },
        { "sessions", "sessions", 'i' } };
    static const struct rows_head views[] = { { "view", "name", 't' },
        { "privacy", "privacy", 'i' }, { "added", "added", 'i' },
        { "in context", "in_context", 'i' } };
    static const struct rows_head groups[] = { { "", "name", 't' }, { "n", "n", 'i' },
        { "score", "score", 'x' }, { "refusals 0", "score_refused_0", 'x' },
        { "refused", "refused", 'p' }, { "seconds", "latency_s", 's' },
        { "median", "latency_p50_s", 's' }, { "USD", "cost_usd", 'u' } };
    printf(
        "%s: %lld session%s over %lld scene%s, %lld turn%s, %lld prompt%s, %lld fan-out "
        "answer%s\n",
        json_text(json_get(j, "data"), ""), S("sessions"), S("scenes"), S("turns"),
        S("prompts"), S("fan_out"));
    printf("%lld answer%s: %lld scored, %lld refused, %lld simulated; %lld imported and "
           "%lld censored session%s; %lld turn%s with associations\n",
        S("answers"), number(j, "scored"), number(j, "refused"), number(j, "simulated"),
        number(j, "imported_sessions"), S("censored_sessions"),
        S("turns_with_associations"));
    stats_print_minima(json_get(j, "space"));
    print_cell_counts(j);
    rows_print("turns a session", json_get(j, "turns_a_session"), turns, COUNT_OF(turns));
    rows_print("tasks (path; in all tables \"refusals 0\" is the score where refusals "
               "count 0, as training takes them)",
        json_get(j, "tasks"), groups, COUNT_OF(groups));
    rows_print("actions along the path, by how many views image_index lists (see above)",
        json_get(j, "actions"), groups, COUNT_OF(groups));
    rows_print("llms (path and fan-out)", json_get(j, "llms"), groups, COUNT_OF(groups));
    rows_print("views along the path", json_get(j, "views"), views, COUNT_OF(views));
    static const struct rows_head censoring[] = { { "task", "task", 't' },
        { "llm", "llm", 't' }, { "asked", "asked", 'i' }, { "censored", "censored", 'i' },
        { "share", "share", 'p' }, { "turns lost", "turns_lost", 'i' } };
    rows_print("censored sessions, by the call that was refused for good",
        json_get(j, "censoring"), censoring, COUNT_OF(censoring));
    if (all) {
        rows_print("cloud turns that add no view, by the views that the dialogue holds",
            json_get(j, "cloud_text_only_by_context"), groups, COUNT_OF(groups));
        print_cells(j);
    }
    stats_print_space(json_get(j, "space"), all);
    if (!all)
        printf("\n--all adds the tables of cells%s.\n",
            json_get(j, "space") ? " and every thin cell" : "");
}
