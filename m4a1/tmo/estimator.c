/* estimator.c - settings, rows and queries; hands them to the estimator that is asked. */
#include "m4a1/tmo/estimator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/tmo/estimator_choose.h"
#include "m4a1/tmo/metric.h"
#include "m4a1/tmo/recorded.h"
#include "m4a1/tmo/ridge.h"
#include "m4a1/tmo/sample.h"

#define PUBLISHED_K 5

const char *const estimator_names[N_ESTIMATORS] = { "published", "ridge", "metric",
    "constant", "role", "task", "auto" };
const char *const folds_by_names[N_FOLDS_BY] = { "session", "prompt", "scene" };

struct estimator {
    struct estimator_settings settings;
    const struct recorded *rec;
    size_t *rows; /* [n] indices into rec->rows; owned */
    size_t n;
    struct knn *knn;        /* published; owned */
    int16_t *tails;         /* [A][bits] what follows the states of each action; owned */
    struct samples samples; /* ridge, metric; owned */
    struct ridge *ridge;    /* owned */
    struct metric *metric;  /* owned */
    /* constant, role, task: means and rows of each class; owned */
    double *means;
    size_t *counts;
};

struct estimator_settings estimator_defaults(void)
{
    return (struct estimator_settings) { .kind = ESTIMATOR_PUBLISHED,
        .k = 0,
        .alpha = 1,
        .choose_by = FOLDS_SESSION,
        .n_folds = 10,
        .seed = 0 };
}

static enum status find_name(const char *name, const char *const *names, size_t n,
    const char *what, size_t *out, struct error *err)
{
    char list[128] = "";
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(name, names[i])) {
            *out = i;
            return OK;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    return error_set(
        err, E_ARG, "there is no %s \"%s\"; take one of %s", what, name, list);
}

enum status estimator_kind_of(
    const char *name, enum estimator_kind *out, struct error *err)
{
    size_t at;
    enum status s = find_name(name, estimator_names, N_ESTIMATORS, "estimator", &at, err);
    *out = (enum estimator_kind)at;
    return s;
}

enum status folds_by_of(const char *name, enum folds_by *out, struct error *err)
{
    size_t at;
    enum status s =
        find_name(name, folds_by_names, N_FOLDS_BY, "way to part folds by", &at, err);
    *out = (enum folds_by)at;
    return s;
}

struct estimator_query estimator_query_of(const struct recorded *rec, size_t turn)
{
    return (struct estimator_query) {
        .states = rec->observations + turn * rec->space.n_states,
        .task = (size_t)rec->tasks[turn],
        .prompt = rec->prompts[turn],
        .context = rec->contexts[turn],
    };
}

enum status estimator_rows_of(const struct recorded *rec, const size_t *sessions,
    size_t n, int with_fan_out, size_t **out, size_t *n_out, struct error *err)
{
    *out = NULL;
    *n_out = 0;
    unsigned char *wanted = calloc(rec->n_turns ? rec->n_turns : 1, 1);
    size_t *rows = malloc((rec->n_rows ? rec->n_rows : 1) * sizeof *rows);
    if (!wanted || !rows) {
        free(wanted);
        free(rows);
        return error_nomem(err, rec->n_rows * sizeof *rows);
    }
    for (size_t i = 0; i < n; i++)
        memset(wanted + rec->sessions[sessions[i]].first, 1,
            rec->sessions[sessions[i]].n_turns);
    size_t last = with_fan_out ? rec->n_rows : rec->n_path_rows;
    for (size_t i = 0; i < last; i++)
        if (wanted[rec->rows[i].turn])
            rows[(*n_out)++] = i;
    free(wanted);
    *out = rows;
    return OK;
}

/* --- published --- */

/* The features that the published estimator compares: states, then the action's bits. */
static void join_pair(const struct recorded *rec, const struct estimator_query *query,
    size_t action, int16_t *pair)
{
    const struct space *space = &rec->space;
    memcpy(pair, query->states, space->n_states * sizeof *pair);
    // Views that the dialogue holds already add nothing, so such actions are one.
    space_bits(space, space->actions[action].llm,
        recorded_added(rec, action, query->context), pair + space->n_states);
}

static enum status fit_published(struct estimator *est, struct error *err)
{
    const struct recorded *rec = est->rec;
    const struct space *space = &rec->space;
    size_t n_bits = space_n_bits(space), d = space->n_states + n_bits;
    int16_t *x = malloc(est->n * d * sizeof *x);
    double *y = malloc(est->n * sizeof *y);
    enum status s = OK;
    est->tails = malloc(space->n_actions * n_bits * sizeof *est->tails);
    if (!x || !y || !est->tails) {
        s = error_nomem(err, est->n * d * sizeof *x);
        goto out;
    }
    for (size_t a = 0; a < space->n_actions; a++)
        space_action_bits(space, a, est->tails + a * n_bits);
    for (size_t i = 0; i < est->n; i++) {
        const struct recorded_row *row = &rec->rows[est->rows[i]];
        struct estimator_query query = estimator_query_of(rec, row->turn);
        join_pair(rec, &query, (size_t)row->action, x + i * d);
        y[i] = row->score;
    }
    s = knn_build(x, y, est->n, d, est->settings.k, &est->knn, err);
out:
    free(x);
    free(y);
    return s;
}

/* --- means --- */

static size_t class_of(const struct estimator *est, size_t task, size_t action)
{
    switch (est->settings.kind) {
    case ESTIMATOR_ROLE: return space_is_cloud(&est->rec->space, action) ? 1 : 0;
    case ESTIMATOR_TASK: return task;
    default: return 0;
    }
}

static enum status fit_means(struct estimator *est, struct error *err)
{
    const struct recorded *rec = est->rec;
    size_t n_classes = rec->space.n_tasks > 2 ? rec->space.n_tasks : 2;
    double mean = 0;
    est->means = calloc(n_classes, sizeof *est->means);
    est->counts = calloc(n_classes, sizeof *est->counts);
    if (!est->means || !est->counts)
        return error_nomem(err, n_classes * sizeof *est->means);
    for (size_t i = 0; i < est->n; i++) {
        const struct recorded_row *row = &rec->rows[est->rows[i]];
        size_t class = class_of(est, (size_t)rec->tasks[row->turn], (size_t)row->action);
        est->means[class] += row->score;
        est->counts[class]++;
        mean += row->score / (double)est->n;
    }
    // A class without a row has the mean of all.
    for (size_t i = 0; i < n_classes; i++)
        est->means[i] = est->counts[i] ? est->means[i] / (double)est->counts[i] : mean;
    return OK;
}

/* --- ridge and metric --- */

static enum status fit_samples(struct estimator *est, struct error *err)
{
    const struct estimator_settings *set = &est->settings;
    enum status s = samples_build(&est->samples, est->rec, est->rows, est->n, err);
    if (s)
        return s;
    if (set->kind == ESTIMATOR_METRIC)
        return metric_fit(&est->samples, set->n_folds, set->seed, &est->metric, err);
    struct ridge_penalties penalties = ridge_uniform(set->alpha);
    return ridge_fit(&est->samples, NULL, &penalties, &est->ridge, err);
}

/* Prompt, llm and number of shown views; each that differs is 1 apart, each view too. */
static void support_ridge(
    const struct estimator *est, const struct sample *x, struct estimator_support *out)
{
    double least = INFINITY;
    for (size_t i = 0; i < est->samples.n; i++) {
        const struct sample *row = &est->samples.all[i].x;
        double views = (double)space_count(row->shown) - (double)space_count(x->shown);
        double d = (row->prompt != x->prompt) + (row->llm != x->llm) + views * views;
        least = fmin(least, d);
        out->n_exact += d == 0;
    }
    out->nearest = sqrt(least);
}

/* Parts are groups of equal rows; each row is told. */
static enum status explain_metric(const struct estimator *est, const struct sample *x,
    struct knn_neighbours *out, struct error *err)
{
    struct metric_part *parts = malloc(metric_n_groups(est->metric) * sizeof *parts);
    out->all = malloc(est->n * sizeof *out->all);
    if (!parts || !out->all) {
        free(parts);
        knn_neighbours_release(out);
        return error_nomem(err, est->n * sizeof *out->all);
    }
    size_t n_parts = metric_parts(est->metric, x, parts);
    out->estimate = out->base = out->least = out->greatest = metric_value(est->metric, x);
    for (size_t p = 0; p < n_parts; p++)
        for (size_t i = parts[p].first; i < parts[p].first + parts[p].n; i++) {
            const struct sample_row *row = &est->samples.all[i];
            out->base -= parts[p].weight * row->y;
            out->all[out->n++] = (struct knn_neighbour) { .row = row->row,
                .distance = parts[p].distance,
                .score = row->y,
                .places = 1,
                .weight = parts[p].weight };
        }
    free(parts);
    knn_neighbours_sort(out);
    return OK;
}

/* --- all --- */

static enum status check(const struct estimator_settings *set, const struct recorded *rec,
    size_t n, struct error *err)
{
    if (set->k > KNN_MAX_K)
        return error_set(
            err, E_ARG, "estimator: k is 1 to %d neighbours, not %zu", KNN_MAX_K, set->k);
    if (!(set->alpha > 0) || isinf(set->alpha))
        return error_set(
            err, E_ARG, "estimator: alpha is a number above 0, not %g", set->alpha);
    if (set->n_folds < 2)
        return error_set(err, E_ARG, "estimator: cross-validation takes 2 folds or more");
    size_t least = set->kind != ESTIMATOR_PUBLISHED ? 1 : set->k ? set->k : PUBLISHED_K;
    if (n < least)
        return error_set(err, E_DATA,
            "%s: the training sessions have %zu scored turns of the chosen llms, fewer "
            "than the %zu that the estimator needs; annotate the data first, or take a "
            "smaller k",
            rec->data->source, n, least);
    return OK;
}

enum status estimator_fit(const struct estimator_settings *settings,
    const struct recorded *rec, const size_t *rows, size_t n, struct estimator **out,
    struct error *err)
{
    *out = NULL;
    struct estimator_settings set = *settings;
    enum status s = check(&set, rec, n, err);
    struct estimator_choice choice;
    if (!s && set.kind == ESTIMATOR_AUTO) {
        s = estimator_choose(&set, rec, rows, n, &choice, err);
        set.kind = choice.kind;
    }
    if (s)
        return s;
    if (!set.k)
        set.k = PUBLISHED_K;
    struct estimator *est = calloc(1, sizeof *est);
    if (!est)
        return error_nomem(err, sizeof *est);
    est->settings = set;
    est->rec = rec;
    est->n = n;
    est->rows = malloc(n * sizeof *rows);
    if (!est->rows) {
        s = error_nomem(err, n * sizeof *rows);
        goto fail;
    }
    memcpy(est->rows, rows, n * sizeof *rows);
    switch (set.kind) {
    case ESTIMATOR_PUBLISHED: s = fit_published(est, err); break;
    case ESTIMATOR_CONSTANT:
    case ESTIMATOR_ROLE:
    case ESTIMATOR_TASK: s = fit_means(est, err); break;
    case ESTIMATOR_RIDGE:
    case ESTIMATOR_METRIC: s = fit_samples(est, err); break;
    case ESTIMATOR_AUTO: // resolved above
        break;
    }
    if (s)
        goto fail;
    *out = est;
    return OK;
fail:
    estimator_free(est);
    return s;
}

void estimator_free(struct estimator *est)
{
    if (!est)
        return;
    free(est->rows);
    knn_free(est->knn);
    free(est->tails);
    samples_release(&est->samples);
    ridge_free(est->ridge);
    metric_free(est->metric);
    free(est->means);
    free(est->counts);
    free(est);
}

double estimator_value(
    const struct estimator *est, const struct estimator_query *query, size_t action)
{
    struct sample x;
    int16_t pair[SPACE_MAX_PAIR];
    switch (est->settings.kind) {
    case ESTIMATOR_PUBLISHED:
        join_pair(est->rec, query, action, pair);
        return knn_estimate(est->knn, pair);
    case ESTIMATOR_RIDGE:
        x = sample_of(est->rec, query, action);
        return ridge_value(est->ridge, &x);
    case ESTIMATOR_METRIC:
        x = sample_of(est->rec, query, action);
        return metric_value(est->metric, &x);
    default: return est->means[class_of(est, query->task, action)];
    }
}

/* Actions whose views the dialogue holds in part are what they add to it. */
static void share_values(
    const struct estimator *est, const struct estimator_query *query, double *by_action)
{
    const struct space *space = &est->rec->space;
    for (size_t a = 0; a < space->n_actions; a++) {
        const struct space_action *one = &space->actions[a];
        uint32_t added = recorded_added(est->rec, a, query->context);
        if (added == one->views)
            continue;
        size_t same = space_find(space, one->llm, added);
        by_action[a] =
            same == SIZE_MAX ? estimator_value(est, query, a) : by_action[same];
    }
}

void estimator_values(
    const struct estimator *est, const struct estimator_query *query, double *by_action)
{
    const struct space *space = &est->rec->space;
    if (est->settings.kind == ESTIMATOR_PUBLISHED) {
        knn_estimates(est->knn, query->states, space->n_states, est->tails,
            space->n_actions, by_action);
        share_values(est, query, by_action);
    } else
        for (size_t a = 0; a < space->n_actions; a++)
            by_action[a] = estimator_value(est, query, a);
}

void estimator_support(const struct estimator *est, const struct estimator_query *query,
    size_t action, struct estimator_support *out)
{
    *out = (struct estimator_support) { 0 };
    struct sample x = sample_of(est->rec, query, action);
    int16_t pair[SPACE_MAX_PAIR];
    switch (est->settings.kind) {
    case ESTIMATOR_PUBLISHED:
        join_pair(est->rec, query, action, pair);
        out->nearest = knn_nearest(est->knn, pair, &out->n_exact);
        break;
    case ESTIMATOR_RIDGE: support_ridge(est, &x, out); break;
    case ESTIMATOR_METRIC:
        out->nearest = metric_nearest(est->metric, &x, &out->n_exact);
        break;
    default:
        out->n_exact = est->counts[class_of(est, query->task, action)];
        out->nearest = out->n_exact ? 0 : 1;
    }
}

enum status estimator_explain(const struct estimator *est,
    const struct estimator_query *query, size_t action, struct knn_neighbours *out,
    struct error *err)
{
    memset(out, 0, sizeof *out);
    if (est->settings.kind == ESTIMATOR_METRIC) {
        struct sample x = sample_of(est->rec, query, action);
        return explain_metric(est, &x, out, err);
    }
    if (est->settings.kind != ESTIMATOR_PUBLISHED)
        return error_set(err, E_ARG,
            "estimator %s has no neighbours to show; take published or metric",
            estimator_name(est));
    int16_t pair[SPACE_MAX_PAIR];
    join_pair(est->rec, query, action, pair);
    enum status s = knn_explain(est->knn, pair, out, err);
    for (size_t i = 0; i < out->n; i++)
        out->all[i].row = est->rows[out->all[i].row];
    return s;
}

const struct estimator_settings *estimator_fitted(const struct estimator *est)
{
    return &est->settings;
}

const char *estimator_name(const struct estimator *est)
{
    return estimator_names[est->settings.kind];
}

size_t estimator_n_rows(const struct estimator *est)
{
    return est->n;
}

size_t estimator_n_distinct(const struct estimator *est)
{
    if (est->knn)
        return knn_n_distinct(est->knn);
    if (est->metric)
        return metric_n_groups(est->metric);
    size_t n = 0;
    for (size_t i = 0; i < est->samples.n; i++)
        n +=
            !i || sample_compare(&est->samples.all[i - 1].x, &est->samples.all[i].x) != 0;
    return n;
}
