/* association_gain.c - see association_gain.h. */
#include "export/association_gain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/random.h"
#include "m4a1/base/stats.h"
#include "m4a1/base/text.h"

/* ---- scores of the actions of one turn ---- */

struct action {
    int llm;
    uint32_t views; /* that it adds */
    double sum;     /* of the scores of its samples */
    size_t n;
};

struct actions {
    struct action *list;
    size_t n, size;
};

static double trained_score(const struct interaction *one)
{
    int refused = one->refused;
    if (refused < 0)
        refused = one->answer && refusal_published(one->answer);
    return !isnan(one->score) && refused ? 0 : one->score;
}

static void add_answer(struct actions *actions, const struct interaction *one)
{
    double score = trained_score(one);
    size_t i = 0;
    if (isnan(score))
        return;
    while (i < actions->n && (actions->list[i].llm != one->llm ||
                                 actions->list[i].views != one->views_added))
        i++;
    if (i == actions->n)
        actions->list[actions->n++] =
            (struct action) { one->llm, one->views_added, 0, 0 };
    actions->list[i].sum += score;
    actions->list[i].n++;
}

static enum status read_actions(
    const struct turn *turn, struct actions *actions, struct error *err)
{
    size_t most = turn->n_fan_out + 1;
    if (!actions->list || actions->size < most) {
        struct action *grown = realloc(actions->list, most * sizeof *grown);
        if (!grown)
            return error_nomem(err, most * sizeof *grown);
        actions->list = grown;
        actions->size = most;
    }
    actions->n = 0;
    add_answer(actions, &turn->path);
    for (size_t f = 0; f < turn->n_fan_out; f++)
        add_answer(actions, &turn->fan_out[f]);
    return OK;
}

/* ---- points ---- */

struct point {
    size_t scene, turn; /* numbers of ours */
    double x, y;        /* association, gain */
};

struct points {
    struct point *list;
    size_t n, size;
    size_t n_pairs;
};

static enum status add_point(
    struct points *points, const struct point *one, struct error *err)
{
    if (points->n == points->size) {
        size_t size = points->size ? 2 * points->size : 256;
        struct point *grown = realloc(points->list, size * sizeof *grown);
        if (!grown)
            return error_nomem(err, size * sizeof *grown);
        points->list = grown;
        points->size = size;
    }
    points->list[points->n++] = *one;
    return OK;
}

/* The mean gain of adding view, over all pairs of actions that differ by it; NAN for none. */
static double gain_of(const struct actions *actions, size_t view, size_t *n_pairs)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < actions->n; i++) {
        const struct action *with = &actions->list[i];
        if (!(with->views >> view & 1))
            continue;
        for (size_t k = 0; k < actions->n; k++) {
            const struct action *without = &actions->list[k];
            if (without->llm != with->llm ||
                without->views != (with->views & ~(UINT32_C(1) << view)))
                continue;
            sum += with->sum / (double)with->n - without->sum / (double)without->n;
            n++;
        }
    }
    *n_pairs += n;
    return n ? sum / (double)n : NAN;
}

static enum status add_turn(const struct dataset *data, const struct turn *turn,
    struct point *at, struct actions *actions, struct points *points, struct error *err)
{
    enum status s = read_actions(turn, actions, err);
    for (size_t v = 0; v < data->n_views && !s; v++) {
        at->x = turn->association[v];
        if (isnan(at->x))
            continue;
        at->y = gain_of(actions, v, &points->n_pairs);
        if (!isnan(at->y))
            s = add_point(points, at, err);
    }
    return s;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Points of one task, those of a scene beside each other or not. */
static enum status read_points(const struct dataset *data, int task, char **scenes,
    struct points *points, struct error *err)
{
    struct actions actions = { 0 };
    struct point at = { 0 };
    enum status s = OK;
    for (size_t i = 0; i < data->n_sessions; i++)
        scenes[i] = data->sessions[i].scene;
    qsort(scenes, data->n_sessions, sizeof *scenes, compare_names);
    for (size_t i = 0; i < data->n_sessions && !s; i++) {
        const struct session *session = &data->sessions[i];
        // Of equal names any place will do as long as it is the same: the first.
        size_t low = 0, high = data->n_sessions;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (strcmp(scenes[middle], session->scene) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        at.scene = low;
        for (size_t t = 0; t < session->n_turns && !s; t++, at.turn++) {
            const struct turn *turn = &session->turns[t];
            if (turn->association && (task < 0 || turn->task == task))
                s = add_turn(data, turn, &at, &actions, points, err);
        }
    }
    free(actions.list);
    return s;
}

/* ---- correlation ---- */

#define FISHER_EDGE 1e-12

/* What Pearson's r needs, by scene, so that a resample costs a sum over scenes. */
struct moments {
    double n, x, y, xx, xy, yy;
};

static void add_moments(struct moments *to, const struct moments *m)
{
    to->n += m->n;
    to->x += m->x;
    to->y += m->y;
    to->xx += m->xx;
    to->xy += m->xy;
    to->yy += m->yy;
}

static double pearson(const struct moments *m)
{
    if (m->n < 2)
        return NAN;
    double xx = m->xx - m->x * m->x / m->n, yy = m->yy - m->y * m->y / m->n;
    double xy = m->xy - m->x * m->y / m->n;
    // Rounding leaves about 1e-16 of the squares where one side is constant.
    if (xx <= 1e-12 * m->xx || yy <= 1e-12 * m->yy)
        return NAN;
    return fmax(-1, fmin(1, xy / sqrt(xx * yy)));
}

static int compare_scenes(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->scene != y->scene)
        return x->scene > y->scene ? 1 : -1;
    return (x->turn > y->turn) - (x->turn < y->turn);
}

/* Moments by scene into out[n_points]; returns the number of scenes.  The middle of all
 * points is taken away first, which keeps the sums exact. */
static size_t moments_by_scene(const struct points *points, struct moments *out)
{
    size_t n_scenes = 0;
    double x0 = 0, y0 = 0;
    for (size_t i = 0; i < points->n; i++) {
        x0 += points->list[i].x / (double)points->n;
        y0 += points->list[i].y / (double)points->n;
    }
    for (size_t i = 0; i < points->n; i++) {
        const struct point *p = &points->list[i];
        double x = p->x - x0, y = p->y - y0;
        if (!i || p->scene != p[-1].scene)
            out[n_scenes++] = (struct moments) { 0 };
        struct moments one = { 1, x, y, x * x, x * y, y * y };
        add_moments(&out[n_scenes - 1], &one);
    }
    return n_scenes;
}

/* Fisher's transformation, finite where r is 1. */
static double fisher(double r)
{
    return atanh(fmax(-1 + FISHER_EDGE, fmin(1 - FISHER_EDGE, r)));
}

static void resample(const struct moments *scenes, size_t n, struct rng *rng,
    double *scratch, struct correlation *out)
{
    size_t kept = 0;
    for (size_t b = 0; b < ASSOCIATION_RESAMPLES; b++) {
        struct moments sum = { 0 };
        for (size_t i = 0; i < n; i++)
            add_moments(&sum, &scenes[rng_below(rng, n)]);
        double r = pearson(&sum);
        if (!isnan(r))
            scratch[kept++] = fisher(r);
    }
    if (kept < ASSOCIATION_RESAMPLES / 2)
        return;
    double reach = stats_deviation(scratch, kept) * sqrt((double)n / (double)(n - 1)) *
                   stats_student_end(0.05, (double)(n - 1));
    out->low = tanh(fisher(out->r) - reach);
    out->high = tanh(fisher(out->r) + reach);
}

/* points are sorted by scene. */
static enum status correlate(const struct points *points, struct rng *rng,
    size_t *n_scenes, struct correlation *out, struct error *err)
{
    *out = (struct correlation) { NAN, NAN, NAN };
    struct moments *scenes = calloc(points->n + 1, sizeof *scenes), sum = { 0 };
    double *scratch = calloc(ASSOCIATION_RESAMPLES, sizeof *scratch);
    if (!scenes || !scratch) {
        free(scenes);
        free(scratch);
        return error_nomem(err, points->n * sizeof *scenes);
    }
    *n_scenes = moments_by_scene(points, scenes);
    for (size_t i = 0; i < *n_scenes; i++)
        add_moments(&sum, &scenes[i]);
    if (points->n >= ASSOCIATION_MIN_POINTS)
        out->r = pearson(&sum);
    if (!isnan(out->r) && *n_scenes >= ASSOCIATION_MIN_SCENES)
        resample(scenes, *n_scenes, rng, scratch, out);
    free(scenes);
    free(scratch);
    return OK;
}

/* Take the turn's means away; turns with one point say nothing and go. */
static void centre_turns(struct points *points)
{
    size_t kept = 0;
    for (size_t i = 0, end; i < points->n; i = end) {
        double x = 0, y = 0;
        for (end = i; end < points->n && points->list[end].turn == points->list[i].turn;
             end++) {
            x += points->list[end].x;
            y += points->list[end].y;
        }
        size_t n = end - i;
        for (size_t k = i; k < end && n > 1; k++) {
            points->list[kept] = points->list[k];
            points->list[kept].x -= x / (double)n;
            points->list[kept++].y -= y / (double)n;
        }
    }
    points->n = kept;
}

enum status association_gain(const struct dataset *data, int task, uint64_t seed,
    struct association_gain *out, struct error *err)
{
    *out = (struct association_gain) {
        .gain = NAN, .all = { NAN, NAN, NAN }, .within = { NAN, NAN, NAN }
    };
    struct points points = { 0 };
    struct rng rng;
    size_t n_scenes;
    char **scenes = calloc(data->n_sessions + 1, sizeof *scenes);
    if (!scenes)
        return error_nomem(err, data->n_sessions * sizeof *scenes);
    rng_init(&rng, seed, "association gain", (uint64_t)(task + 1));
    enum status s = read_points(data, task, scenes, &points, err);
    if (!s && points.n) {
        qsort(points.list, points.n, sizeof *points.list, compare_scenes);
        out->n_pairs = points.n_pairs;
        out->n_points = points.n;
        out->gain = 0;
        for (size_t i = 0; i < points.n; i++)
            out->gain += points.list[i].y / (double)points.n;
        s = correlate(&points, &rng, &out->n_scenes, &out->all, err);
        centre_turns(&points);
        if (!s)
            s = correlate(&points, &rng, &n_scenes, &out->within, err);
    }
    free(points.list);
    free(scenes);
    return s;
}
