/* experiment_results.c - means, deviations, intervals and verdicts. */
#include "m4a1/tmo/experiment_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/json_keep.h"
#include "m4a1/base/random.h"
#include "m4a1/base/stats.h"

#define RESAMPLES 2000
#define CONFIDENCE 0.95

struct results {
    const struct experiment_lab *lab;
    const struct experiment *e;
    struct json *const *cells;
    size_t n_seeds;
    struct json_keeper keep;
    struct json *root;
};

static const struct json *cell_at(
    const struct results *r, size_t setting, size_t row, size_t seed)
{
    return r->cells[(setting * r->e->n_rows + row) * r->n_seeds + seed];
}

static double figure_at(const struct results *r, size_t setting, size_t row, size_t seed,
    enum experiment_figure f)
{
    const struct json *cell = cell_at(r, setting, row, seed);
    const char *part = f == EX_CPU_S ? "measured" : "figures";
    return json_number(json_get(json_get(cell, part), experiment_figures[f].name), NAN);
}

/* The share of the bound, by the first row that is one. */
static double share_at(const struct results *r, size_t setting, size_t row, size_t seed)
{
    for (size_t i = 0; i < r->e->n_rows; i++)
        if (r->e->rows[i].kind == ROW_BOUND)
            return figure_at(r, setting, row, seed, EX_REWARD) /
                   figure_at(r, setting, i, seed, EX_REWARD);
    return NAN;
}

/* ---- intervals over sessions ---- */

/* One session, over all seeds that had it in their test part. */
struct cluster {
    int64_t id;
    double of, against; /* sums over seeds */
    double n;
};

static int by_id(const void *va, const void *vb)
{
    const struct cluster *a = va, *b = vb;
    return a->id < b->id ? -1 : a->id > b->id;
}

static size_t merge(struct cluster *list, size_t n)
{
    size_t kept = 0;
    qsort(list, n, sizeof *list, by_id);
    for (size_t i = 0; i < n; i++)
        if (kept && list[kept - 1].id == list[i].id) {
            list[kept - 1].of += list[i].of;
            list[kept - 1].against += list[i].against;
            list[kept - 1].n += list[i].n;
        } else {
            list[kept++] = list[i];
        }
    return kept;
}

/* The sessions of a row, and those of another beside them (SIZE_MAX = none).  Both played
 * the same sessions in the same order, since the seed alone draws the split. */
static size_t gather(const struct results *r, size_t setting, size_t of, size_t against,
    int64_t column, struct cluster **out, struct error *err)
{
    size_t n = 0, at = 0;
    for (size_t seed = 0; seed < r->n_seeds; seed++)
        n += json_size(json_get(cell_at(r, setting, of, seed), "sessions"));
    *out = calloc(n + 1, sizeof **out);
    if (!*out) {
        (void)error_nomem(err, n * sizeof **out);
        return 0;
    }
    for (size_t seed = 0; seed < r->n_seeds; seed++) {
        const struct json *a =
            json_first(json_get(cell_at(r, setting, of, seed), "sessions"));
        const struct json *b =
            against == SIZE_MAX
                ? NULL
                : json_first(json_get(cell_at(r, setting, against, seed), "sessions"));
        for (; a; a = json_next(a), b = b ? json_next(b) : NULL) {
            struct cluster *one = &(*out)[at++];
            one->id = json_int(json_at(a, 0), 0);
            one->of = json_number(json_at(a, (size_t)column), NAN);
            one->against = json_number(json_at(b, (size_t)column), 0);
            one->n = 1;
        }
    }
    return merge(*out, at);
}

enum comparison { ALONE, DIFFERENCE, RELATIVE };

static double compare(const struct cluster *sum, enum comparison how)
{
    double of = sum->of / sum->n, against = sum->against / sum->n;
    if (how == ALONE)
        return of;
    return how == DIFFERENCE ? of - against : (of - against) / fabs(against);
}

struct interval {
    double estimate, from, to;
};

static enum status bootstrap(const struct cluster *list, size_t n, enum comparison how,
    struct interval *out, struct error *err)
{
    double *values = malloc(RESAMPLES * sizeof *values);
    struct rng rng;
    struct cluster all = { 0 };
    if (!values)
        return error_nomem(err, RESAMPLES * sizeof *values);
    rng_init(&rng, 0, "experiment/bootstrap", 0);
    for (size_t i = 0; i < n; i++) {
        all.of += list[i].of;
        all.against += list[i].against;
        all.n += list[i].n;
    }
    for (size_t b = 0; b < RESAMPLES; b++) {
        struct cluster sum = { 0 };
        for (size_t i = 0; i < n; i++) {
            const struct cluster *one = &list[rng_below(&rng, n)];
            sum.of += one->of;
            sum.against += one->against;
            sum.n += one->n;
        }
        values[b] = compare(&sum, how);
    }
    out->estimate = compare(&all, how);
    out->from = stats_quantile(values, RESAMPLES, (1 - CONFIDENCE) / 2);
    out->to = stats_quantile(values, RESAMPLES, (1 + CONFIDENCE) / 2);
    free(values);
    return OK;
}

/* NAN all over where the row keeps nothing by session. */
static enum status interval_of(const struct results *r, size_t setting, size_t of,
    size_t against, enum experiment_figure figure, enum comparison how,
    struct interval *out, struct error *err)
{
    struct cluster *list = NULL;
    int64_t column = 0;
    enum status s = OK;
    *out = (struct interval) { NAN, NAN, NAN };
    for (size_t i = 0; i < N_BY_SESSION; i++)
        if (experiment_by_session[i] == figure)
            column = (int64_t)i + 1;
    if (!column)
        return OK;
    size_t n = gather(r, setting, of, against, column, &list, err);
    if (!list)
        return E_NOMEM;
    if (n >= 2)
        s = bootstrap(list, n, how, out, err);
    free(list);
    return s;
}

/* ---- figures ---- */

static enum status add_figure(struct results *r, size_t setting, size_t row,
    enum experiment_figure f, struct json *figures, struct error *err)
{
    double *x = malloc(r->n_seeds * sizeof *x);
    size_t n = 0;
    if (!x)
        return error_nomem(err, r->n_seeds * sizeof *x);
    for (size_t seed = 0; seed < r->n_seeds; seed++) {
        double one = f == EX_SHARE ? share_at(r, setting, row, seed)
                                   : figure_at(r, setting, row, seed, f);
        if (isfinite(one))
            x[n++] = one;
    }
    enum status s = OK;
    if (n) {
        struct interval interval;
        struct json *o =
            json_keep(&r->keep, json_set_object(figures, experiment_figures[f].name));
        json_keep_figure(&r->keep, o, "mean", stats_mean(x, n));
        json_keep_figure(&r->keep, o, "deviation", stats_deviation(x, n));
        struct json *each = json_keep(&r->keep, json_set_array(o, "by_seed"));
        for (size_t i = 0; i < n; i++)
            json_keep(&r->keep, json_add_number(each, x[i]));
        s = interval_of(r, setting, row, SIZE_MAX, f, ALONE, &interval, err);
        if (!s && isfinite(interval.from)) {
            json_keep_figure(&r->keep, o, "from", interval.from);
            json_keep_figure(&r->keep, o, "to", interval.to);
        }
    }
    free(x);
    return s;
}

static enum status add_setting(
    struct results *r, size_t setting, struct json *list, struct error *err)
{
    const struct experiment_setting *one = &r->e->settings[setting];
    struct json *o = json_keep(&r->keep, json_add_object(list));
    json_keep(&r->keep, json_set_text(o, "label", one->label));
    json_keep_figure(&r->keep, o, "x", one->x);
    struct json *names = json_keep(&r->keep, json_set_object(o, "values"));
    for (size_t i = 0; i < r->e->n_factors; i++) {
        const struct experiment_value *value = experiment_value_of(r->e, setting, i);
        if (!value)
            continue;
        json_keep(&r->keep, json_set_text(names, r->e->factors[i].name, value->label));
        if (value->published)
            json_keep(&r->keep, json_set_copy(o, "published", value->published));
    }
    struct json *rows = json_keep(&r->keep, json_set_array(o, "rows"));
    enum status s = OK;
    for (size_t row = 0; row < r->e->n_rows && !s; row++) {
        struct json *line = json_keep(&r->keep, json_add_object(rows));
        json_keep(&r->keep, json_set_text(line, "row", r->e->rows[row].name));
        struct json *figures = json_keep(&r->keep, json_set_object(line, "figures"));
        for (int f = 0; f < N_EX_FIGURES && !s; f++)
            s = add_figure(r, setting, row, (enum experiment_figure)f, figures, err);
    }
    return s;
}

/* ---- claims ---- */

static size_t row_of(const struct experiment *e, const char *name)
{
    for (size_t i = 0; i < e->n_rows; i++)
        if (strcmp(e->rows[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static const char *verdict(const struct interval *i, double least, double most)
{
    if (isnan(i->from))
        return "open";
    if (i->from >= least && i->to <= most)
        return "holds";
    return i->to < least || i->from > most ? "fails" : "open";
}

static enum status add_claim(struct results *r, size_t setting, const struct json *claim,
    struct json *list, struct error *err)
{
    const char *of = json_text(json_get(claim, "of"), "");
    const char *against = json_text(json_get(claim, "against"), NULL);
    const char *figure = json_text(json_get(claim, "figure"), "reward");
    size_t row = row_of(r->e, of), other = against ? row_of(r->e, against) : SIZE_MAX;
    enum experiment_figure f = experiment_figure_of(figure);
    if (row == SIZE_MAX || f == N_EX_FIGURES || (against && other == SIZE_MAX))
        return error_set(err, E_DATA,
            "experiment %s: claim \"%s\" speaks of a row or figure that is not there",
            r->e->name, json_text(json_get(claim, "text"), ""));
    int relative = json_bool(json_get(claim, "relative"), 0);
    double least = json_number(json_get(claim, "least"), -INFINITY);
    double most = json_number(json_get(claim, "most"), INFINITY);
    struct interval interval;
    enum status s = interval_of(r, setting, row, other, f,
        !against   ? ALONE
        : relative ? RELATIVE
                   : DIFFERENCE,
        &interval, err);
    if (s)
        return s;
    struct json *o = json_keep(&r->keep, json_add_copy(list, claim));
    json_keep(&r->keep, json_set_text(o, "setting", r->e->settings[setting].label));
    json_keep_figure(&r->keep, o, "estimate", interval.estimate);
    json_keep_figure(&r->keep, o, "from", interval.from);
    json_keep_figure(&r->keep, o, "to", interval.to);
    json_keep(&r->keep, json_set_text(o, "verdict", verdict(&interval, least, most)));
    return OK;
}

/* ---- all ---- */

static void add_head(struct results *r)
{
    const struct experiment *e = r->e;
    const struct dataset *data = r->lab->data, *other = r->lab->other;
    struct json_keeper *k = &r->keep;
    json_keep(k, json_set_text(r->root, "experiment", e->name));
    json_keep(k, json_set_text(r->root, "kind",
                     e->kind == EXPERIMENT_ESTIMATORS ? "estimators" : "policies"));
    json_keep(k, json_set_text(r->root, "title", e->title));
    json_keep(k, json_set_text(r->root, "question", e->question));
    json_keep(k, json_set_text(r->root, "version", M4A1_VERSION));
    json_keep(k, json_set_text(r->root, "data", data ? data->source : "synthetic"));
    json_keep(k, json_set_text(r->root, "digest", data ? data->digest : ""));
    json_keep(k, json_set_bool(r->root, "simulated", data && data->simulated));
    if (other) {
        json_keep(k, json_set_text(r->root, "evaluated_on", other->source));
        json_keep(k, json_set_text(r->root, "evaluated_on_digest", other->digest));
    }
    json_keep(k, json_set_int(r->root, "seeds", (int64_t)r->n_seeds));
    if (r->lab->steps)
        json_keep(k, json_set_int(r->root, "steps", r->lab->steps));
    if (json_get(e->root, "columns"))
        json_keep(k, json_set_copy(r->root, "columns", json_get(e->root, "columns")));
    if (json_get(e->root, "plots"))
        json_keep(k, json_set_copy(r->root, "plots", json_get(e->root, "plots")));
}

enum status experiment_results(const struct experiment_lab *lab,
    struct json *const *cells, size_t n_seeds, struct json **out, struct error *err)
{
    struct results r = { .lab = lab,
        .e = lab->experiment,
        .cells = cells,
        .n_seeds = n_seeds,
        .keep = { 1 },
        .root = json_new_object() };
    enum status s = OK;
    *out = NULL;
    if (!r.root)
        return error_nomem(err, 64);
    add_head(&r);
    struct json *settings = json_keep(&r.keep, json_set_array(r.root, "settings"));
    for (size_t i = 0; i < r.e->n_settings && !s; i++)
        s = add_setting(&r, i, settings, err);
    struct json *claims = json_keep(&r.keep, json_set_array(r.root, "claims"));
    for (size_t i = 0; i < r.e->n_settings && !s; i++)
        for (const struct json *c = json_first(json_get(r.e->root, "claims")); c && !s;
             c = json_next(c))
            s = add_claim(&r, i, c, claims, err);
    if (!s && !r.keep.ok)
        s = error_nomem(err, 1024);
    if (s) {
        json_free(r.root);
        return s;
    }
    *out = r.root;
    return OK;
}
