/* association_spread.c - see association_spread.h. */
#include "export/association_spread.h"

#include <math.h>
#include <stdlib.h>

#include "export/dataset_build.h"
#include "m4a1/base/stats.h"

struct sums {
    double *values, *spreads; /* one a (turn, view), one a turn */
    size_t n, n_turns, n_flat;
    double *top; /* [n_views] turns in which it is the nearest */
};

static void add_turn(
    struct sums *sums, const struct dataset *data, const struct turn *turn, int view)
{
    double least = INFINITY, greatest = -INFINITY;
    size_t n = 0, n_top = 0;
    for (size_t v = 0; v < data->n_views; v++) {
        double x = turn->association[v];
        if (isnan(x) || (view >= 0 && (size_t)view != v))
            continue;
        sums->values[sums->n++] = x;
        least = fmin(least, x);
        greatest = fmax(greatest, x);
        n++;
    }
    if (n < 2)
        return;
    for (size_t v = 0; v < data->n_views; v++)
        n_top += turn->association[v] == greatest;
    for (size_t v = 0; v < data->n_views; v++)
        if (turn->association[v] == greatest)
            sums->top[v] += 1.0 / (double)n_top;
    sums->spreads[sums->n_turns++] = greatest - least;
    sums->n_flat += greatest - least < ASSOCIATION_FLAT;
}

static void summarise(
    struct sums *sums, const struct dataset *data, struct association_spread *out)
{
    out->n = sums->n;
    out->mean = stats_mean(sums->values, sums->n);
    out->deviation = stats_deviation(sums->values, sums->n);
    out->least = stats_quantile(sums->values, sums->n, 0);
    out->p05 = stats_quantile(sums->values, sums->n, 0.05);
    out->median = stats_quantile(sums->values, sums->n, 0.5);
    out->p95 = stats_quantile(sums->values, sums->n, 0.95);
    out->greatest = stats_quantile(sums->values, sums->n, 1);
    out->n_turns = sums->n_turns;
    out->spread = stats_quantile(sums->spreads, sums->n_turns, 0.5);
    out->flat_share = sums->n_turns ? (double)sums->n_flat / (double)sums->n_turns : NAN;
    out->top_view = -1;
    out->top_share = NAN;
    for (size_t v = 0; v < data->n_views && sums->n_turns; v++) {
        double share = sums->top[v] / (double)sums->n_turns;
        if (out->top_view < 0 || share > out->top_share) {
            out->top_view = (int)v;
            out->top_share = share;
        }
    }
    if (out->n_turns < ASSOCIATION_MIN_TURNS)
        return;
    out->is_flat = out->flat_share >= ASSOCIATION_FLAT_SHARE;
    out->is_high = out->p05 > ASSOCIATION_HIGH;
    out->is_one_view = out->top_share >= ASSOCIATION_ONE_VIEW;
}

enum status association_spread(const struct dataset *data, int task, int view,
    struct association_spread *out, struct error *err)
{
    *out = (struct association_spread) { 0 };
    size_t n_turns = 0;
    for (size_t i = 0; i < data->n_sessions; i++)
        n_turns += data->sessions[i].n_turns;
    struct sums sums = { calloc(n_turns * data->n_views + 1, sizeof(double)),
        calloc(n_turns + 1, sizeof(double)), 0, 0, 0,
        calloc(data->n_views + 1, sizeof(double)) };
    enum status s = OK;
    if (!sums.values || !sums.spreads || !sums.top)
        s = error_nomem(err, n_turns * (data->n_views + 1) * sizeof(double));
    for (size_t i = 0; i < data->n_sessions && !s; i++) {
        const struct session *session = &data->sessions[i];
        for (size_t t = 0; t < session->n_turns; t++) {
            const struct turn *turn = &session->turns[t];
            if (turn->association && (task < 0 || turn->task == task))
                add_turn(&sums, data, turn, view);
        }
    }
    if (!s)
        summarise(&sums, data, out);
    free(sums.values);
    free(sums.spreads);
    free(sums.top);
    return s;
}
