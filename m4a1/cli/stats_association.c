/* stats_association.c - how associations are distributed, whether they tell views apart,
 * and whether they say which view is worth adding. */
#include "m4a1/cli/stats_association.h"

#include <math.h>
#include <stdio.h>

#include "export/association_gain.h"
#include "export/association_spread.h"
#include "export/from_store.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/rows.h"
#include "schema/query.h"

#define SEED 1 /* of the resampling: the same data give the same interval */
#define ALL "all"

enum status stats_association_read(
    const char *path, const char *model, struct dataset **out, struct error *err)
{
    *out = NULL;
    struct store *store;
    if (!model)
        return dataset_read_all(path, out, err);
    if (!store_is_database(path))
        return error_set(err, E_ARG,
            "%s is no store: it has the associations of one model, so --model has "
            "nothing "
            "to choose",
            path);
    enum status s = store_open(path, STORE_READ, &store, err);
    if (s)
        return s;
    s = dataset_of_store(store, model, out, err);
    store_close(store);
    return s;
}

/* ---- the document ---- */

/* The models of a store, the last one first. */
static enum status add_models(
    const char *path, struct json_keeper *k, struct json *root, struct error *err)
{
    struct store *store;
    struct query *q;
    if (!store_is_database(path))
        return OK;
    enum status s = store_open(path, STORE_READ, &store, err);
    if (s)
        return s;
    struct json *list = json_keep(k, json_set_array(root, "models"));
    s = query_open(store,
        "SELECT m.name, m.identity IS NOT NULL, coalesce(a.n, 0),"
        " coalesce(json_extract(m.facts, '$.precision'), '') FROM association_model m"
        " LEFT JOIN (SELECT model, count(*) AS n FROM association GROUP BY model) a"
        " ON a.model = m.name ORDER BY m.model_id DESC",
        &q, err);
    while (!s && !(s = query_next(q, err)) && query_has_row(q)) {
        struct json *row = json_keep(k, json_add_object(list));
        json_keep(k, json_set_text(row, "model", query_text(q, 0)));
        json_keep(k, json_set_text(row, "from", query_int(q, 1) ? "clip" : "import"));
        json_keep(k, json_set_text(row, "precision", query_text(q, 3)));
        json_keep(k, json_set_int(row, "values", query_int(q, 2)));
    }
    query_close(q);
    store_close(store);
    return s;
}

static const char *task_name(const struct dataset *data, int task)
{
    return task < 0 ? ALL : data->tasks[task];
}

static enum status add_values(const struct dataset *data, int task, int view,
    struct json_keeper *k, struct json *list, struct error *err)
{
    struct association_spread a;
    enum status s = association_spread(data, task, view, &a, err);
    if (s)
        return s;
    struct json *row = json_keep(k, json_add_object(list));
    json_keep(k, json_set_text(row, "task", task_name(data, task)));
    json_keep(k, json_set_text(row, "view", view < 0 ? ALL : data->views[view]));
    json_keep_count(k, row, "n", a.n);
    json_keep_figure(k, row, "mean", a.mean);
    json_keep_figure(k, row, "deviation", a.deviation);
    json_keep_figure(k, row, "least", a.least);
    json_keep_figure(k, row, "p05", a.p05);
    json_keep_figure(k, row, "median", a.median);
    json_keep_figure(k, row, "p95", a.p95);
    json_keep_figure(k, row, "greatest", a.greatest);
    return OK;
}

/* What stands in the column "flagged", and in the JSON as a list. */
static void set_flags(
    const struct association_spread *a, struct json_keeper *k, struct json *row)
{
    const struct {
        int holds;
        const char *name;
    } flags[] = { { a->is_flat, "flat" }, { a->is_high, "high" },
        { a->is_one_view, "one view" } };
    char text[64] = "";
    size_t at = 0;
    struct json *list = json_keep(k, json_set_array(row, "flags"));
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (!flags[i].holds)
            continue;
        json_keep(k, json_add_text(list, flags[i].name));
        at += (size_t)snprintf(
            text + at, sizeof text - at, "%s%s", at ? ", " : "", flags[i].name);
    }
    json_keep(k, json_set_text(row, "flagged", at ? text : "-"));
}

static enum status add_spread(const struct dataset *data, int task, struct json_keeper *k,
    struct json *list, struct error *err)
{
    struct association_spread a;
    enum status s = association_spread(data, task, -1, &a, err);
    if (s)
        return s;
    struct json *row = json_keep(k, json_add_object(list));
    json_keep(k, json_set_text(row, "task", task_name(data, task)));
    json_keep_count(k, row, "turns", a.n_turns);
    json_keep_figure(k, row, "spread", a.spread);
    json_keep_figure(k, row, "flat_share", a.flat_share);
    json_keep(
        k, json_set_text(row, "top_view", a.top_view < 0 ? "" : data->views[a.top_view]));
    json_keep_figure(k, row, "top_share", a.top_share);
    set_flags(&a, k, row);
    return OK;
}

static const char *verdict(const struct correlation *c)
{
    if (isnan(c->low))
        return "too few";
    return c->low > 0 ? "yes" : c->high < 0 ? "opposite" : "not shown";
}

static enum status add_gain(const struct dataset *data, int task, struct json_keeper *k,
    struct json *list, struct error *err)
{
    struct association_gain g;
    enum status s = association_gain(data, task, SEED, &g, err);
    if (s)
        return s;
    struct json *row = json_keep(k, json_add_object(list));
    json_keep(k, json_set_text(row, "task", task_name(data, task)));
    json_keep_count(k, row, "pairs", g.n_pairs);
    json_keep_count(k, row, "points", g.n_points);
    json_keep_count(k, row, "scenes", g.n_scenes);
    json_keep_figure(k, row, "gain", g.gain);
    json_keep_figure(k, row, "r", g.all.r);
    json_keep_figure(k, row, "low", g.all.low);
    json_keep_figure(k, row, "high", g.all.high);
    json_keep(k, json_set_text(row, "verdict", verdict(&g.all)));
    json_keep_figure(k, row, "within_r", g.within.r);
    json_keep_figure(k, row, "within_low", g.within.low);
    json_keep_figure(k, row, "within_high", g.within.high);
    json_keep(k, json_set_text(row, "within_verdict", verdict(&g.within)));
    return OK;
}

enum status stats_add_association(const struct dataset *data, const char *model,
    struct json_keeper *k, struct json *root, struct error *err)
{
    if (model)
        json_keep(k, json_set_text(root, "model", model));
    json_keep(k, json_set_bool(root, "simulated", data->simulated));
    enum status s = add_models(data->source, k, root, err);
    struct json *values = json_keep(k, json_set_array(root, "values"));
    struct json *tasks = json_keep(k, json_set_array(root, "tasks"));
    struct json *gains = json_keep(k, json_set_array(root, "gains"));
    for (int task = -1; task < (int)data->n_tasks && !s; task++) {
        for (int view = -1; view < (int)data->n_views && !s; view++)
            s = add_values(data, task, view, k, values, err);
        if (!s)
            s = add_spread(data, task, k, tasks, err);
        if (!s)
            s = add_gain(data, task, k, gains, err);
    }
    return s;
}

/* ---- for people ---- */

/* Rows of tasks and views that have no value say nothing. */
static void print_values(const struct json *list)
{
    static const struct rows_head heads[] = { { "task", "task", 't' },
        { "view", "view", 't' }, { "n", "n", 'i' }, { "mean", "mean", 'x' },
        { "deviation", "deviation", 'x' }, { "least", "least", 'x' },
        { "5 %", "p05", 'x' }, { "median", "median", 'x' }, { "95 %", "p95", 'x' },
        { "greatest", "greatest", 'x' } };
    rows_print("values by task and view", list, heads, COUNT_OF(heads));
}

static void print_spread(const struct json *list)
{
    static const struct rows_head heads[] = { { "task", "task", 't' },
        { "turns", "turns", 'i' }, { "spread", "spread", 'x' },
        { "flat", "flat_share", 'p' }, { "nearest", "top_view", 't' },
        { "in", "top_share", 'p' }, { "flagged", "flagged", 't' } };
    rows_print("can views be told apart? (spread: median over turns of the greatest less "
               "the least)",
        list, heads, COUNT_OF(heads));
    printf("flat: in half of the turns or more the values lie within %g; high: 95 %% lie "
           "above %g;\none view: the same view is the nearest in %.0f %% of the turns. "
           "Such associations cannot choose a view.\n",
        ASSOCIATION_FLAT, ASSOCIATION_HIGH, 100 * ASSOCIATION_ONE_VIEW);
}

static void print_gains(const struct json *root)
{
    static const struct rows_head heads[] = { { "task", "task", 't' },
        { "pairs", "pairs", 'i' }, { "points", "points", 'i' },
        { "scenes", "scenes", 'i' }, { "gain", "gain", 'd' }, { "r", "r", 'd' },
        { "from", "low", 'd' }, { "to", "high", 'd' }, { "", "verdict", 't' },
        { "r in turn", "within_r", 'd' }, { "from", "within_low", 'd' },
        { "to", "within_high", 'd' }, { "", "within_verdict", 't' } };
    const struct json *list = json_get(root, "gains");
    const struct json *all = json_at(list, 0);
    if (!json_int(json_get(all, "pairs"), 0)) {
        printf("\nNothing says whether association means anything here: no turn has two "
               "scored answers of one llm\nthat differ by a view (m4a1 plan --fan-out "
               "plans them, m4a1 annotate scores them).\n");
        return;
    }
    rows_print("does it say which view is worth adding? (association against measured "
               "gain)",
        list, heads, COUNT_OF(heads));
    printf("gain: mean change of the score when a view is added, same turn and llm; r: "
           "correlation of the\nassociation with it, over (turn, view); r in turn: the "
           "same within turns; from, to: 95 %% interval\nover scenes; yes: the interval "
           "lies above 0; below %d points or %d scenes there is none.\n",
        ASSOCIATION_MIN_POINTS, ASSOCIATION_MIN_SCENES);
    if (json_bool(json_get(root, "simulated"), 0))
        printf("Answers are simulated: their gains say nothing about views.\n");
}

void stats_print_association(const struct json *root)
{
    static const struct rows_head models[] = { { "model", "model", 't' },
        { "from", "from", 't' }, { "precision", "precision", 't' },
        { "values", "values", 'i' } };
    const char *data = json_text(json_get(root, "data"), "");
    const struct json *all = json_at(json_get(root, "values"), 0);
    long long n = (long long)json_int(json_get(all, "n"), 0);
    printf("%s: %lld association%s%s%s\n", data, n, text_s(n),
        json_get(root, "model") ? " of " : "", json_text(json_get(root, "model"), ""));
    rows_print("models, the last one first; a turn has the values of the first of them "
               "that has some",
        json_get(root, "models"), models, COUNT_OF(models));
    if (!n) {
        printf("m4a1 associate computes them, m4a1 import --associations takes them from "
               "elsewhere.\n");
        return;
    }
    print_values(json_get(root, "values"));
    print_spread(json_get(root, "tasks"));
    print_gains(root);
}
