/* metric.c - groups of equal rows, by prompt; learning is metric_learn.c's. */
#include "m4a1/tmo/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/stats.h"
#include "m4a1/tmo/ridge.h"

#define LLM_PENALTY 0.5

/* Equal training rows. */
struct group {
    uint32_t llm, before, after;
    size_t first, n; /* samples */
    double residual; /* sum of y - base */
};

struct metric {
    struct metric_weights weights;
    const struct recorded *rec;
    const struct prompt_kin *kin; /* the caller's, or own */
    struct prompt_kin *own_kin;   /* owned; NULL = the caller's are used */
    struct ridge *base;           /* owned */
    struct group *groups;         /* by prompt; owned */
    size_t n_groups;
    size_t *first;   /* [P + 1] a prompt's groups; owned */
    double *effects; /* [P] what the prompt is in the base; owned */
    /* exp(-distance) of what can differ */
    double by_llm[3], by_before[SPACE_MAX_VIEWS + 1], by_after[SPACE_MAX_VIEWS + 1];
};

struct metric_weights metric_weights_start(void)
{
    return (struct metric_weights) { .llm = 2,
        .before = 0.3,
        .after = 0.3,
        .unseen = METRIC_NEVER,
        .pull = 2,
        .prompt = 20,
        .task = 50,
        .clip = 1 };
}

/* A copy of the used samples with their scores moved inside the quantiles. */
static enum status winsorise(const struct samples *samples, const unsigned char *use,
    double clip, struct samples *out, struct error *err)
{
    *out = *samples;
    size_t n = 0;
    double *scores = malloc((samples->n ? samples->n : 1) * sizeof *scores);
    out->all = malloc((samples->n ? samples->n : 1) * sizeof *out->all);
    if (!scores || !out->all) {
        free(scores);
        free(out->all);
        *out = *samples;
        return error_nomem(err, samples->n * sizeof *out->all);
    }
    memcpy(out->all, samples->all, samples->n * sizeof *out->all);
    for (size_t i = 0; i < samples->n; i++)
        if (!use || use[i])
            scores[n++] = samples->all[i].y;
    double high = stats_quantile(scores, n, clip);
    double low = stats_quantile(scores, n, 1 - clip);
    for (size_t i = 0; i < out->n; i++)
        out->all[i].y = fmin(fmax(out->all[i].y, low), high);
    free(scores);
    return OK;
}

static struct group *group_for(struct metric *metric, const struct samples *samples,
    const struct sample *x, size_t i)
{
    if (metric->n_groups > metric->first[x->prompt]) {
        struct group *last = &metric->groups[metric->n_groups - 1];
        if (!sample_compare(&samples->all[last->first].x, x))
            return last;
    }
    struct group *group = &metric->groups[metric->n_groups++];
    *group = (struct group) {
        .llm = x->llm, .before = x->before, .after = x->after, .first = i
    };
    return group;
}

/* Samples are sorted by what groups have in common. */
static void make_groups(
    struct metric *metric, const struct samples *samples, const unsigned char *use)
{
    size_t prompt = 0;
    for (size_t i = 0; i < samples->n; i++) {
        const struct sample_row *row = &samples->all[i];
        if (use && !use[i])
            continue;
        while (prompt <= row->x.prompt)
            metric->first[prompt++] = metric->n_groups;
        struct group *group = group_for(metric, samples, &row->x, i);
        double base = ridge_value(metric->base, &row->x);
        struct sample nameless = row->x;
        nameless.prompt = SAMPLE_UNSEEN;
        metric->effects[row->x.prompt] = base - ridge_value(metric->base, &nameless);
        group->n++;
        group->residual += row->y - base;
    }
    while (prompt <= metric->rec->n_prompts)
        metric->first[prompt++] = metric->n_groups;
}

static void tabulate(struct metric *metric)
{
    for (size_t i = 0; i < 3; i++)
        metric->by_llm[i] = exp(-metric->weights.llm * (double)i);
    for (size_t i = 0; i <= SPACE_MAX_VIEWS; i++) {
        metric->by_before[i] = exp(-metric->weights.before * (double)i);
        metric->by_after[i] = exp(-metric->weights.after * (double)i);
    }
}

static enum status fit_base(struct metric *metric, const struct samples *samples,
    const unsigned char *use, struct error *err)
{
    struct ridge_penalties penalties = { .prompt = metric->weights.prompt,
        .product = RIDGE_NEVER,
        .llm = LLM_PENALTY,
        .task = metric->weights.task,
        .views = RIDGE_NEVER };
    return ridge_fit(samples, use, &penalties, &metric->base, err);
}

enum status metric_fit_with(const struct samples *samples, const unsigned char *use,
    const struct metric_weights *weights, const struct prompt_kin *kin,
    struct metric **out, struct error *err)
{
    *out = NULL;
    const struct recorded *rec = samples->rec;
    struct samples inside = *samples;
    struct metric *metric = calloc(1, sizeof *metric);
    if (!metric)
        return error_nomem(err, sizeof *metric);
    metric->weights = *weights;
    metric->rec = rec;
    metric->kin = kin;
    enum status s = OK;
    if (weights->clip < 1)
        s = winsorise(samples, use, weights->clip, &inside, err);
    if (s)
        goto fail;
    metric->groups = malloc((samples->n ? samples->n : 1) * sizeof *metric->groups);
    metric->first = calloc(rec->n_prompts + 1, sizeof *metric->first);
    metric->effects = calloc(rec->n_prompts + 1, sizeof *metric->effects);
    if (!metric->groups || !metric->first || !metric->effects)
        s = error_nomem(err, samples->n * sizeof *metric->groups);
    if (!s)
        s = fit_base(metric, &inside, use, err);
    if (s)
        goto fail;
    make_groups(metric, &inside, use);
    tabulate(metric);
    *out = metric;
fail:
    if (inside.all != samples->all)
        free(inside.all);
    if (s)
        metric_free(metric);
    return s;
}

void metric_own_kin(struct metric *metric, struct prompt_kin *kin)
{
    metric->own_kin = kin;
}

void metric_free(struct metric *metric)
{
    if (!metric)
        return;
    ridge_free(metric->base);
    free(metric->own_kin);
    free(metric->groups);
    free(metric->first);
    free(metric->effects);
    free(metric);
}

const struct metric_weights *metric_learned(const struct metric *metric)
{
    return &metric->weights;
}

/* 0 same llm, 1 another of the same role, 2 one of the other role. */
static size_t llm_step(const struct metric *metric, uint32_t a, uint32_t b)
{
    const unsigned char *cloud = metric->rec->space.cloud;
    return a == b ? 0 : !cloud[a] == !cloud[b] ? 1 : 2;
}

static double kernel(
    const struct metric *metric, const struct group *group, const struct sample *x)
{
    return metric->by_llm[llm_step(metric, group->llm, x->llm)] *
           metric->by_before[space_count(group->before ^ x->before)] *
           metric->by_after[space_count(group->after ^ x->after)];
}

static double distance(
    const struct metric *metric, const struct group *group, const struct sample *x)
{
    const struct metric_weights *w = &metric->weights;
    return w->llm * (double)llm_step(metric, group->llm, x->llm) +
           w->before * (double)space_count(group->before ^ x->before) +
           w->after * (double)space_count(group->after ^ x->after);
}

/* A prompt whose groups take part. */
struct relative {
    size_t prompt;
    double distance; /* on top of that of the rows */
    int kept_effect; /* residuals keep the prompt's effect */
};

/* The prompts that take part: the queried one, or where it has no rows, its kin. */
static size_t find_relatives(
    const struct metric *metric, const struct sample *x, struct relative *out)
{
    size_t n = 0;
    if (x->prompt >= metric->rec->n_prompts)
        return 0;
    if (metric->first[x->prompt + 1] > metric->first[x->prompt]) {
        out[n++] = (struct relative) { x->prompt, 0, 0 };
        return n;
    }
    const struct prompt_kin *kin = metric->kin ? &metric->kin[x->prompt] : NULL;
    if (!kin || metric->weights.unseen >= METRIC_NEVER)
        return 0;
    for (size_t i = 0; i < kin->n; i++)
        out[n++] = (struct relative) { kin->prompt[i],
            metric->weights.unseen * (1 - (double)kin->similarity[i]), 1 };
    return n;
}

double metric_value(const struct metric *metric, const struct sample *x)
{
    struct relative relatives[PROMPT_KIN_MAX + 1];
    size_t n = find_relatives(metric, x, relatives);
    double above = 0, below = metric->weights.pull;
    for (size_t i = 0; i < n; i++) {
        const struct relative *one = &relatives[i];
        double scale = one->distance > 0 ? exp(-one->distance) : 1;
        double effect = one->kept_effect ? metric->effects[one->prompt] : 0;
        size_t end = metric->first[one->prompt + 1];
        for (size_t g = metric->first[one->prompt]; g < end; g++) {
            const struct group *group = &metric->groups[g];
            double weight = scale * kernel(metric, group, x);
            above += weight * (group->residual + (double)group->n * effect);
            below += weight * (double)group->n;
        }
    }
    return ridge_value(metric->base, x) + above / below;
}

double metric_nearest(
    const struct metric *metric, const struct sample *x, size_t *n_exact)
{
    struct relative relatives[PROMPT_KIN_MAX + 1];
    size_t n = find_relatives(metric, x, relatives);
    double nearest = INFINITY;
    *n_exact = 0;
    for (size_t i = 0; i < n; i++) {
        const struct relative *one = &relatives[i];
        size_t end = metric->first[one->prompt + 1];
        for (size_t g = metric->first[one->prompt]; g < end; g++) {
            const struct group *group = &metric->groups[g];
            nearest = fmin(nearest, one->distance + distance(metric, group, x));
            if (one->prompt == x->prompt && group->llm == x->llm &&
                group->before == x->before && group->after == x->after)
                *n_exact += group->n;
        }
    }
    return nearest;
}

size_t metric_n_groups(const struct metric *metric)
{
    return metric->n_groups;
}

size_t metric_parts(
    const struct metric *metric, const struct sample *x, struct metric_part *parts)
{
    struct relative relatives[PROMPT_KIN_MAX + 1];
    size_t n = find_relatives(metric, x, relatives), n_parts = 0;
    double below = metric->weights.pull;
    for (size_t i = 0; i < n; i++) {
        const struct relative *one = &relatives[i];
        size_t end = metric->first[one->prompt + 1];
        for (size_t g = metric->first[one->prompt]; g < end; g++) {
            const struct group *group = &metric->groups[g];
            double d = one->distance + distance(metric, group, x), weight = exp(-d);
            parts[n_parts++] = (struct metric_part) { group->first, group->n, d, weight };
            below += weight * (double)group->n;
        }
    }
    for (size_t i = 0; i < n_parts; i++)
        parts[i].weight /= below;
    return n_parts;
}
