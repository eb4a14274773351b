/* bootstrap.c - draw clusters, recompute, and cut off tails. */
#include "m4a1/tmo/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/random.h"
#include "m4a1/base/stats.h"

#define RESAMPLES_MIN 100
#define RESAMPLES_MAX 1000000

struct bootstrap_settings bootstrap_defaults(void)
{
    return (struct bootstrap_settings) { .n_resamples = 10000, .level = 0.95 };
}

static enum status check(const struct bootstrap_settings *set, struct error *err)
{
    if (set->n_resamples < RESAMPLES_MIN || set->n_resamples > RESAMPLES_MAX)
        return error_set(err, E_ARG, "bootstrap: %zu resamples, and %d to %d can be had",
            set->n_resamples, RESAMPLES_MIN, RESAMPLES_MAX);
    if (!(set->level > 0 && set->level < 1))
        return error_set(err, E_ARG,
            "bootstrap: an interval's level lies between 0 and 1, not %g", set->level);
    return OK;
}

/* (sum b)^2 / sum b^2: how many equal clusters would be as good. */
static double effective(const struct bootstrap_sums *sums, size_t figure)
{
    size_t n = sums->n_clusters;
    const double *b = (sums->weights ? sums->weights : sums->below) + figure * n;
    double sum = 0, squares = 0;
    for (size_t c = 0; c < n; c++) {
        sum += b[c];
        squares += b[c] * b[c];
    }
    return squares > 0 ? sum * sum / squares : 0;
}

static double ratio(const double *above, const double *below, size_t n)
{
    double a = 0, b = 0;
    for (size_t c = 0; c < n; c++) {
        a += above[c];
        b += below[c];
    }
    return b != 0 ? a / b : NAN;
}

/* All figures of one resample, into replicates[p * B + at]. */
static void resample(const struct bootstrap_sums *sums, const double *times,
    double *replicates, size_t n_resamples, size_t at)
{
    size_t n = sums->n_clusters;
    for (size_t p = 0; p < sums->n_figures; p++) {
        const double *above = sums->above + p * n, *below = sums->below + p * n;
        double a = 0, b = 0;
        for (size_t c = 0; c < n; c++) {
            a += times[c] * above[c];
            b += times[c] * below[c];
        }
        replicates[p * n_resamples + at] = b != 0 ? a / b : NAN;
    }
}

/* The clusters that any figure has something of: the others were not sampled. */
static size_t list_sampled(const struct bootstrap_sums *sums, size_t *sampled)
{
    size_t n = 0;
    for (size_t c = 0; c < sums->n_clusters; c++) {
        int any = 0;
        for (size_t p = 0; p < sums->n_figures; p++) {
            size_t at = p * sums->n_clusters + c;
            any |= sums->above[at] != 0 || sums->below[at] != 0;
        }
        if (any)
            sampled[n++] = c;
    }
    return n;
}

/* How often each of the n_clusters is drawn: as many in all as were sampled. */
static void draw_times(size_t n_clusters, const size_t *sampled, size_t n, uint64_t seed,
    size_t index, double *times)
{
    struct rng rng;
    rng_init(&rng, seed, "bootstrap", index);
    memset(times, 0, n_clusters * sizeof *times);
    for (size_t i = 0; i < n; i++)
        times[sampled[rng_below(&rng, n)]]++;
}

/* Move the defined ones of x[n] to the front, and say how many there are. */
static size_t keep_defined(double *x, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            x[kept++] = x[i];
    return kept;
}

/* The interval around value by its replicates x[n], which are sorted on the way. */
static struct interval cut(
    double value, double *x, size_t n, double n_clusters, double level)
{
    struct interval out = { value, NAN, NAN };
    size_t kept = keep_defined(x, n);
    if (isnan(value) || n_clusters < BOOTSTRAP_MIN_CLUSTERS || kept < n / 2)
        return out;
    double t = stats_student_end(1 - level, n_clusters - 1);
    double tail = stats_normal_below(-sqrt(n_clusters / (n_clusters - 1)) * t);
    out.low = stats_quantile(x, kept, tail);
    out.high = stats_quantile(x, kept, 1 - tail);
    return out;
}

/* The level at which the interval of these replicates begins to hold 0. */
static double p_of(const double *x, size_t n, double n_clusters)
{
    size_t below = 0, above = 0, defined = 0;
    for (size_t i = 0; i < n; i++) {
        below += x[i] <= 0;
        above += x[i] >= 0;
        defined += isnan(x[i]) ? 0 : 1;
    }
    if (n_clusters < BOOTSTRAP_MIN_CLUSTERS || defined < n / 2)
        return NAN;
    double tail = (double)((below < above ? below : above) + 1) / (double)(defined + 1);
    if (tail >= 0.5)
        return 1;
    double t = -stats_normal_at(tail) / sqrt(n_clusters / (n_clusters - 1));
    return stats_student_tails(t, n_clusters - 1);
}

static void compare(const struct bootstrap_sums *sums, size_t reference,
    const struct bootstrap_settings *set, double *replicates, double *work,
    struct comparison *out)
{
    size_t n = sums->n_clusters, b = set->n_resamples;
    const double *base = replicates + reference * b;
    double n_base = effective(sums, reference);
    double value = ratio(sums->above + reference * n, sums->below + reference * n, n);
    for (size_t p = 0; p < sums->n_figures; p++) {
        out[p] = (struct comparison) { { NAN, NAN, NAN }, NAN, NAN };
        if (p == reference)
            continue;
        double n_own = effective(sums, p);
        double least = n_own < n_base ? n_own : n_base;
        for (size_t i = 0; i < b; i++)
            work[i] = replicates[p * b + i] - base[i];
        double own = ratio(sums->above + p * n, sums->below + p * n, n);
        out[p].p = isnan(own - value) ? NAN : p_of(work, b, least);
        out[p].difference = cut(own - value, work, b, least, set->level);
    }
}

/* work holds 2P numbers. */
static void adjust(struct comparison *all, size_t n, double *work)
{
    for (size_t p = 0; p < n; p++)
        work[p] = all[p].p;
    stats_holm(work, n, work + n);
    for (size_t p = 0; p < n; p++)
        all[p].adjusted = work[n + p];
}

enum status bootstrap_run(const struct bootstrap_sums *sums, size_t reference,
    const struct bootstrap_settings *settings, struct interval *figures,
    struct comparison *comparisons, struct error *err)
{
    size_t n = sums->n_clusters, n_figures = sums->n_figures, b = settings->n_resamples;
    enum status s = check(settings, err);
    if (s)
        return s;
    size_t n_work = b > 2 * n_figures ? b : 2 * n_figures;
    double *times = calloc(n + 1, sizeof *times);
    size_t *sampled = calloc(n + 1, sizeof *sampled), n_sampled = 0;
    double *work = calloc(n_work, sizeof *work);
    double *replicates = calloc(n_figures * b + 1, sizeof *replicates);
    if (!times || !sampled || !work || !replicates) {
        s = error_nomem(err, n_figures * b * sizeof *replicates);
        goto done;
    }
    n_sampled = list_sampled(sums, sampled);
    for (size_t i = 0; i < b; i++) {
        draw_times(n, sampled, n_sampled, settings->seed, i, times);
        resample(sums, times, replicates, b, i);
    }
    if (reference < n_figures) {
        compare(sums, reference, settings, replicates, work, comparisons);
        adjust(comparisons, n_figures, work);
    }
    for (size_t p = 0; p < n_figures; p++)
        figures[p] = cut(ratio(sums->above + p * n, sums->below + p * n, n),
            replicates + p * b, b, effective(sums, p), settings->level);
done:
    free(times);
    free(sampled);
    free(work);
    free(replicates);
    return s;
}

/* ---- clusters ---- */

struct named {
    const char *name;
    size_t session;
};

static int by_name(const void *va, const void *vb)
{
    const struct named *a = va, *b = vb;
    int c = strcmp(a->name, b->name);
    return c ? c : (a->session > b->session) - (a->session < b->session);
}

/* scenes[session], numbered from 0 without a gap. */
static enum status number_scenes(
    const struct recorded *rec, size_t *scenes, size_t *n, struct error *err)
{
    struct named *all = calloc(rec->n_sessions + 1, sizeof *all);
    if (!all)
        return error_nomem(err, rec->n_sessions * sizeof *all);
    for (size_t i = 0; i < rec->n_sessions; i++) {
        const char *name = rec->data->sessions[i].scene;
        all[i] = (struct named) { name ? name : "", i };
    }
    qsort(all, rec->n_sessions, sizeof *all, by_name);
    *n = 0;
    for (size_t i = 0; i < rec->n_sessions; i++) {
        if (!i || !all[i].name[0] || strcmp(all[i].name, all[i - 1].name) != 0)
            ++*n;
        scenes[all[i].session] = *n - 1;
    }
    free(all);
    return OK;
}

enum status clusters_build(
    const struct recorded *rec, enum folds_by by, struct clusters *out, struct error *err)
{
    *out = (struct clusters) { .by = by };
    out->of_turn = calloc(rec->n_turns + 1, sizeof *out->of_turn);
    size_t *of_session = calloc(rec->n_sessions + 1, sizeof *of_session);
    enum status s = out->of_turn && of_session
                        ? OK
                        : error_nomem(err, rec->n_turns * sizeof *out->of_turn);
    for (size_t i = 0; i < rec->n_sessions && !s; i++)
        of_session[i] = i;
    out->n = by == FOLDS_PROMPT ? rec->n_prompts : rec->n_sessions;
    if (!s && by == FOLDS_SCENE)
        s = number_scenes(rec, of_session, &out->n, err);
    for (size_t i = 0; i < rec->n_sessions && !s; i++) {
        const struct recorded_session *one = &rec->sessions[i];
        for (size_t t = one->first; t < one->first + one->n_turns; t++)
            out->of_turn[t] = by == FOLDS_PROMPT ? rec->prompts[t] : of_session[i];
    }
    free(of_session);
    if (s)
        clusters_release(out);
    return s;
}

void clusters_release(struct clusters *clusters)
{
    free(clusters->of_turn);
    *clusters = (struct clusters) { .by = clusters->by };
}
