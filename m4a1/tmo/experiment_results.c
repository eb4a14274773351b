/* experiment_results.c - means, deviations, intervals and verdicts. */
#include "m4a1/tmo/experiment_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/json_keep.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/stats.h"
#include "m4a1/tmo/bootstrap.h"

#define RESAMPLES 2000
#define FILE_MAX ((size_t)4 << 20)

struct results {
    const struct experiment_lab *lab;
    const struct experiment *e;
    const struct experiment_outcome *const *cells;
    size_t n_seeds;
    struct json_keeper keep;
    struct json *root;
};

static const struct experiment_outcome *cell_at(
    const struct results *r, size_t setting, size_t row, size_t seed)
{
    return r->cells[(setting * r->e->n_rows + row) * r->n_seeds + seed];
}

/* ---- the bound of a row ---- */

/* A row that nothing holds to budgets is measured against the bound without them, others
 * against the bound under them; where there is one bound, against that. */
static const struct experiment_outcome *bound_of(
    const struct results *r, size_t setting, size_t row, size_t seed)
{
    const struct experiment_outcome *own = cell_at(r, setting, row, seed), *first = NULL;
    for (size_t i = 0; i < r->e->n_rows; i++) {
        const struct experiment_outcome *bound = cell_at(r, setting, i, seed);
        if (r->e->rows[i].kind != ROW_BOUND)
            continue;
        if (bound->is_constrained == own->is_constrained)
            return bound;
        first = first ? first : bound;
    }
    return first;
}

/* The share of the bound. */
static double share_at(const struct results *r, size_t setting, size_t row, size_t seed)
{
    const struct experiment_outcome *bound = bound_of(r, setting, row, seed);
    return bound ? cell_at(r, setting, row, seed)->figures[EX_REWARD] /
                       bound->figures[EX_REWARD]
                 : NAN;
}

/* ---- figures that are kept by session ---- */

/* The bound that says which sessions can keep the budgets of a row; NULL = none does. */
static const struct experiment_outcome *judge_of(
    const struct results *r, size_t setting, size_t row, size_t seed)
{
    const struct experiment_outcome *own = cell_at(r, setting, row, seed);
    for (size_t i = 0; i < r->e->n_rows; i++) {
        const struct experiment_outcome *bound = cell_at(r, setting, i, seed);
        if (r->e->rows[i].kind == ROW_BOUND && bound->is_constrained &&
            bound->n_sessions == own->n_sessions &&
            strcmp(bound->constraints, own->constraints) == 0)
            return bound;
    }
    return NULL;
}

/* Of session i in the order of the cell; NAN = none. */
static double session_figure(const struct results *r, size_t setting, size_t row,
    size_t seed, size_t i, enum experiment_figure f)
{
    const struct experiment_outcome *own = cell_at(r, setting, row, seed);
    size_t over = experiment_session_column(EX_VIOLATION);
    if (f != EX_AVOIDABLE)
        return own->by_session[i][experiment_session_column(f)];
    const struct experiment_outcome *judge = judge_of(r, setting, row, seed);
    return judge ? own->by_session[i][over] * (1 - judge->by_session[i][over]) : NAN;
}

static double figure_at(const struct results *r, size_t setting, size_t row, size_t seed,
    enum experiment_figure f)
{
    const struct experiment_outcome *own = cell_at(r, setting, row, seed);
    double sum = 0;
    if (f == EX_SHARE)
        return share_at(r, setting, row, seed);
    if (f != EX_AVOIDABLE)
        return own->figures[f];
    for (size_t i = 0; i < own->n_sessions; i++)
        sum += session_figure(r, setting, row, seed, i, f);
    return sum / (double)own->n_sessions;
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

/* A figure of the sessions of a row, and of those of another beside them (SIZE_MAX = none).
 * Both played the same sessions in the same order, since the seed alone draws the split.
 * None where the figure is not there. */
static enum status gather(const struct results *r, size_t setting, size_t of,
    size_t against, enum experiment_figure f, struct cluster **out, size_t *n,
    struct error *err)
{
    size_t most = 0, at = 0;
    *n = 0;
    for (size_t seed = 0; seed < r->n_seeds; seed++)
        most += cell_at(r, setting, of, seed)->n_sessions;
    *out = calloc(most + 1, sizeof **out);
    if (!*out)
        return error_nomem(err, most * sizeof **out);
    for (size_t seed = 0; seed < r->n_seeds; seed++) {
        const struct experiment_outcome *a = cell_at(r, setting, of, seed);
        const struct experiment_outcome *b =
            against == SIZE_MAX ? NULL : cell_at(r, setting, against, seed);
        for (size_t i = 0; i < a->n_sessions; i++) {
            struct cluster *one = &(*out)[at++];
            one->id = a->ids[i];
            one->n = 1;
            one->of = session_figure(r, setting, of, seed, i, f);
            if (b && (i >= b->n_sessions || b->ids[i] != a->ids[i]))
                return error_set(err, E_DATA,
                    "rows \"%s\" and \"%s\" played other sessions with seed %zu, so "
                    "nothing compares them; remove the folder of cells and run again",
                    r->e->rows[of].name, r->e->rows[against].name, seed);
            one->against = b ? session_figure(r, setting, against, seed, i, f) : 0;
            if (isnan(one->of) || isnan(one->against))
                return OK;
        }
    }
    *n = merge(*out, at);
    return OK;
}

enum comparison_of { ALONE, DIFFERENCE, RELATIVE };

/* A mean, a difference of means or (of - against) / |against|: each a ratio of two sums,
 * but for what is added behind it. */
static enum status resample(const struct cluster *list, size_t n, enum comparison_of how,
    struct interval *out, struct error *err)
{
    double *sums = calloc(3 * n + 1, sizeof *sums), against = 0;
    if (!sums)
        return error_nomem(err, 3 * n * sizeof *sums);
    double *above = sums, *below = sums + n, *weights = sums + 2 * n;
    for (size_t i = 0; i < n; i++)
        against += list[i].against;
    double sign = against < 0 ? -1 : 1;
    for (size_t i = 0; i < n; i++) {
        above[i] = list[i].of - (how == ALONE ? 0 : list[i].against);
        below[i] = how == RELATIVE ? sign * list[i].against : list[i].n;
        weights[i] = list[i].n;
    }
    const struct bootstrap_sums of = { 1, n, above, below, weights };
    struct bootstrap_settings settings = bootstrap_defaults();
    settings.n_resamples = RESAMPLES;
    enum status s = bootstrap_run(&of, SIZE_MAX, &settings, out, NULL, err);
    free(sums);
    return s;
}

/* NAN all over where the row keeps nothing by session. */
static enum status interval_of(const struct results *r, size_t setting, size_t of,
    size_t against, enum experiment_figure figure, enum comparison_of how,
    struct interval *out, struct error *err)
{
    struct cluster *list = NULL;
    size_t n;
    *out = (struct interval) { NAN, NAN, NAN };
    if (!(experiment_figures[figure].kinds & FIGURE_BY_SESSION))
        return OK;
    enum status s = gather(r, setting, of, against, figure, &list, &n, err);
    if (!s && n >= 2)
        s = resample(list, n, how, out, err);
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
        double one = figure_at(r, setting, row, seed, f);
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
        if (!s && isfinite(interval.low)) {
            json_keep_figure(&r->keep, o, "from", interval.low);
            json_keep_figure(&r->keep, o, "to", interval.high);
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
    if (isnan(i->low))
        return "open";
    if (i->low >= least && i->high <= most)
        return "holds";
    return i->high < least || i->low > most ? "fails" : "open";
}

static enum status add_claim(struct results *r, size_t setting, const struct json *claim,
    struct json *list, struct error *err)
{
    const char *against = json_text(json_get(claim, "against"), NULL);
    size_t row = row_of(r->e, json_text(json_get(claim, "of"), ""));
    size_t other = against ? row_of(r->e, against) : SIZE_MAX;
    enum experiment_figure f =
        experiment_figure_of(json_text(json_get(claim, "figure"), ""));
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
    json_keep_figure(&r->keep, o, "estimate", interval.value);
    json_keep_figure(&r->keep, o, "from", interval.low);
    json_keep_figure(&r->keep, o, "to", interval.high);
    json_keep(&r->keep, json_set_text(o, "verdict", verdict(&interval, least, most)));
    return OK;
}

/* ---- all ---- */

/* SHA-256 of the experiment's file in canonical form. */
static enum status add_file_digest(struct results *r, struct error *err)
{
    struct buffer text;
    char digest[HASH_HEX];
    buffer_init(&text, FILE_MAX);
    enum status s = json_print(r->e->root, JSON_CANONICAL, &text, err);
    if (!s)
        s = buffer_status(&text, r->e->file, err);
    if (!s) {
        hash_hex(text.data, text.len, digest);
        json_keep(&r->keep, json_set_text(r->root, "experiment_digest", digest));
    }
    buffer_release(&text);
    return s;
}

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
    const struct experiment_outcome *const *cells, size_t n_seeds, struct json **out,
    struct error *err)
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
    s = add_file_digest(&r, err);
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
