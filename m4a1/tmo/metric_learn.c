/* metric_learn.c - the weights of the metric, by cross-validation inside the rows.
 *
 * Coordinate descent over short lists of values: a value is taken where it makes the
 * squared error of the held-out rows less beyond chance.  What serves prompts without
 * rows (`unseen`, `task`) is learned on folds by prompt, since folds by session say
 * nothing about it; the rest on folds by session.  Few rows are left with the weights to
 * start with. */
#include "m4a1/tmo/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/tmo/cross_validation.h"
#include "m4a1/tmo/folds.h"

#define N_SWEEPS 2
#define LEAST_GROUPS 5 /* sessions or prompts to learn from */
/* Standard errors over groups by which a value must be better to be taken: one-sided 5 %.
 * Scores have outliers, and the least error alone would follow them. */
#define BEYOND_CHANCE 1.645

struct learning {
    const struct samples *samples;
    const struct prompt_kin *kin;
    unsigned char *use; /* [n] */
    struct folds folds;
    struct metric_weights best;
    double *errors, *tried; /* [n] squared errors of best, and of other weights */
    double *saved;          /* [n] their difference */
};

/* A weight and the values to try. */
struct choice {
    size_t offset; /* of a double in struct metric_weights */
    size_t n;
    double values[8];
};

#define CHOICE(name, count, ...)                                                         \
    {                                                                                    \
        offsetof(struct metric_weights, name), count,                                    \
        {                                                                                \
            __VA_ARGS__                                                                  \
        }                                                                                \
    }

static const struct choice by_prompt[] = {
    CHOICE(task, 4, 10, 50, 250, METRIC_NEVER),
    CHOICE(unseen, 5, 0.5, 1, 2, 4, METRIC_NEVER),
};

static const struct choice by_session[] = {
    CHOICE(llm, 5, 0.5, 1, 2, 4, 8),
    CHOICE(after, 7, 0, 0.15, 0.3, 0.6, 1, 2, 4),
    CHOICE(before, 7, 0, 0.15, 0.3, 0.6, 1, 2, 4),
    CHOICE(pull, 5, 0.5, 1, 2, 4, 8),
    CHOICE(prompt, 4, 5, 20, 80, 320),
    CHOICE(clip, 3, 1, 0.995, 0.98),
};

static double weight_of(const struct metric_weights *weights, const struct choice *choice)
{
    double value;
    memcpy(&value, (const char *)weights + choice->offset, sizeof value);
    return value;
}

static void set_weight(
    struct metric_weights *weights, const struct choice *choice, double value)
{
    memcpy((char *)weights + choice->offset, &value, sizeof value);
}

/* The squared errors of held-out scores, not winsorised. */
static enum status measure(struct learning *l, const struct metric_weights *weights,
    double *errors, struct error *err)
{
    const struct samples *samples = l->samples;
    for (size_t fold = 0; fold < l->folds.n_folds; fold++) {
        struct metric *metric;
        for (size_t i = 0; i < samples->n; i++)
            l->use[i] = l->folds.folds[i] != fold;
        enum status s = metric_fit_with(samples, l->use, weights, l->kin, &metric, err);
        if (s)
            return s;
        for (size_t i = 0; i < samples->n; i++) {
            if (l->use[i])
                continue;
            double off = metric_value(metric, &samples->all[i].x) - samples->all[i].y;
            errors[i] = off * off;
        }
        metric_free(metric);
    }
    return OK;
}

/* The best of a weight's values, where it is better than the one that it has by more
 * than chance. */
static enum status try_values(
    struct learning *l, const struct choice *choice, struct error *err)
{
    size_t n = l->samples->n;
    double begun = weight_of(&l->best, choice);
    double best = begun, most = 0;
    struct metric_weights weights = l->best;
    for (size_t i = 0; i < choice->n; i++) {
        struct clustered_mean saved;
        if (choice->values[i] == begun)
            continue;
        set_weight(&weights, choice, choice->values[i]);
        enum status s = measure(l, &weights, l->tried, err);
        for (size_t j = 0; !s && j < n; j++)
            l->saved[j] = l->errors[j] - l->tried[j];
        if (!s)
            s = clustered_mean(
                l->saved, l->folds.groups, n, l->folds.n_groups, &saved, err);
        if (s)
            return s;
        if (saved.mean > BEYOND_CHANCE * saved.se && saved.mean > most) {
            most = saved.mean;
            best = choice->values[i];
        }
    }
    if (best == begun)
        return OK;
    set_weight(&l->best, choice, best);
    return measure(l, &l->best, l->errors, err);
}

static enum status descend(struct learning *l, const struct choice *choices, size_t n,
    enum folds_by by, size_t n_folds, uint64_t seed, struct error *err)
{
    const struct samples *samples = l->samples;
    size_t *rows = malloc(samples->n * sizeof *rows);
    if (!rows)
        return error_nomem(err, samples->n * sizeof *rows);
    for (size_t i = 0; i < samples->n; i++)
        rows[i] = samples->all[i].row;
    struct error ignored = ERROR_INIT;
    enum status s = folds_draw(
        samples->rec, rows, samples->n, by, n_folds, seed, &l->folds, &ignored);
    free(rows);
    if (s == E_DATA)
        return OK; // one session or prompt: nothing to learn from
    if (s)
        return error_set(err, s, "%s", ignored.msg);
    if (l->folds.n_groups >= LEAST_GROUPS) {
        s = measure(l, &l->best, l->errors, err);
        for (size_t i = 0; !s && i < N_SWEEPS * n; i++)
            s = try_values(l, &choices[i % n], err);
    }
    folds_release(&l->folds);
    return s;
}

enum status metric_fit(const struct samples *samples, size_t n_folds, uint64_t seed,
    struct metric **out, struct error *err)
{
    *out = NULL;
    const struct recorded *rec = samples->rec;
    struct prompt_kin *kin;
    enum status s = prompt_kin_build(rec->prompt_texts, rec->n_prompts, &kin, err);
    if (s)
        return s;
    struct learning l = {
        .samples = samples, .kin = kin, .best = metric_weights_start()
    };
    size_t room = samples->n ? samples->n : 1;
    l.use = malloc(room);
    l.errors = malloc(room * sizeof *l.errors);
    l.tried = malloc(room * sizeof *l.tried);
    l.saved = malloc(room * sizeof *l.saved);
    if (!l.use || !l.errors || !l.tried || !l.saved)
        s = error_nomem(err, room * sizeof *l.errors);
    if (!s)
        s = descend(&l, by_prompt, sizeof by_prompt / sizeof *by_prompt, FOLDS_PROMPT,
            n_folds, seed, err);
    if (!s)
        s = descend(&l, by_session, sizeof by_session / sizeof *by_session, FOLDS_SESSION,
            n_folds, seed, err);
    if (!s)
        s = metric_fit_with(samples, NULL, &l.best, kin, out, err);
    free(l.use);
    free(l.errors);
    free(l.tried);
    free(l.saved);
    if (s)
        free(kin);
    else
        metric_own_kin(*out, kin);
    return s;
}
