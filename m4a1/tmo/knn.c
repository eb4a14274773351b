/* knn.c - estimates from the nearest rows, and the rows behind them.
 *
 * The scores of a distinct row are summed exactly enough that no order of rows changes a
 * bit of an estimate.  Letters: n rows, U distinct rows, d features. */
#include "m4a1/tmo/knn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/tmo/knn_index.h"

#define LOW_UNITS 0x1p36

struct knn {
    size_t n, d, k;
    struct knn_index *index; /* owned */
    double *y;               /* [n] owned */
    double *sums;            /* [U] of the scores of a distinct row; owned */
};

static enum status check(const double *y, size_t n, size_t k, struct error *err)
{
    if (k < 1 || k > KNN_MAX_K)
        return error_set(
            err, E_ARG, "estimator: k is 1 to %d neighbours, not %zu", KNN_MAX_K, k);
    if (n < k)
        return error_set(err, E_ARG,
            "estimator: k = %zu neighbours from %zu scored rows; take a smaller k or "
            "more training sessions",
            k, n);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(y[i]))
            return error_set(
                err, E_ARG, "estimator: the score of row %zu is not finite", i);
    return OK;
}

/* Sums in whole numbers of two small units, so that no order matters: each score is
 * parted into 36 bits below the greatest score's highest bit and 36 bits below those
 * (after Demmel and Nguyen, "Fast Reproducible Floating-Point Summation", 2013).  What is
 * cut off is less than 2^-71 of the greatest score. */
static void sum_scores(struct knn *knn)
{
    double most = 0;
    int exponent;
    for (size_t i = 0; i < knn->n; i++)
        most = fmax(most, fabs(knn->y[i]));
    frexp(most, &exponent);
    exponent = exponent > -900 ? exponent : -900; // the scales stay finite
    double up = ldexp(1, 36 - exponent), down = ldexp(1, exponent - 36);
    for (size_t u = 0; u < knn_index_n_distinct(knn->index); u++) {
        size_t count;
        const uint32_t *rows = knn_index_rows(knn->index, u, &count);
        int64_t high = 0, low = 0;
        for (size_t i = 0; i < count; i++) {
            double scaled = knn->y[rows[i]] * up;
            int64_t whole = (int64_t)scaled;
            high += whole;
            low += (int64_t)((scaled - (double)whole) * LOW_UNITS);
        }
        knn->sums[u] = (double)high * down + (double)low * down / LOW_UNITS;
    }
}

enum status knn_build(const int16_t *x, const double *y, size_t n, size_t d, size_t k,
    struct knn **out, struct error *err)
{
    *out = NULL;
    enum status s = check(y, n, k, err);
    if (s)
        return s;
    struct knn *knn = calloc(1, sizeof *knn);
    if (!knn)
        return error_nomem(err, sizeof *knn);
    knn->n = n;
    knn->d = d;
    knn->k = k;
    s = knn_index_build(x, n, d, &knn->index, err);
    if (s)
        goto fail;
    knn->y = malloc(n * sizeof *y);
    knn->sums = malloc(knn_index_n_distinct(knn->index) * sizeof *knn->sums);
    if (!knn->y || !knn->sums) {
        s = error_nomem(err, n * sizeof *y);
        goto fail;
    }
    memcpy(knn->y, y, n * sizeof *y);
    sum_scores(knn);
    *out = knn;
    return OK;
fail:
    knn_free(knn);
    return s;
}

void knn_free(struct knn *knn)
{
    if (!knn)
        return;
    knn_index_free(knn->index);
    free(knn->y);
    free(knn->sums);
    free(knn);
}

size_t knn_n_rows(const struct knn *knn)
{
    return knn->n;
}

size_t knn_n_distinct(const struct knn *knn)
{
    return knn_index_n_distinct(knn->index);
}

static double weight_at(uint32_t d2)
{
    return 1 / (sqrt((double)d2) + KNN_EPSILON);
}

static double estimate_of(const struct knn *knn, const struct knn_shell *shells, size_t n)
{
    double above = 0, below = 0;
    size_t left = knn->k;
    for (size_t i = 0; i < n; i++) {
        size_t taken = shells[i].count < left ? shells[i].count : left;
        double weight = weight_at(shells[i].d2) * (double)taken;
        above += weight * (shells[i].sum / (double)shells[i].count);
        below += weight;
        left -= taken;
    }
    return above / below;
}

void knn_estimates(const struct knn *knn, const int16_t *shared, size_t n_shared,
    const int16_t *tails, size_t n, double *estimates)
{
    struct knn_shell shells[KNN_INDEX_MAX_QUERIES * KNN_MAX_K];
    size_t n_shells[KNN_INDEX_MAX_QUERIES], n_tail = knn->d - n_shared;
    for (size_t first = 0; first < n; first += KNN_INDEX_MAX_QUERIES) {
        struct knn_queries q = { shared, n_shared, tails + first * n_tail, n - first };
        if (q.n > KNN_INDEX_MAX_QUERIES)
            q.n = KNN_INDEX_MAX_QUERIES;
        knn_index_nearest(knn->index, knn->sums, knn->k, &q, shells, n_shells);
        for (size_t i = 0; i < q.n; i++)
            estimates[first + i] = estimate_of(knn, shells + i * knn->k, n_shells[i]);
    }
}

static size_t find_shells(
    const struct knn *knn, const int16_t *q, struct knn_shell *shells)
{
    struct knn_queries one = { q, knn->d, q, 1 };
    size_t n;
    knn_index_nearest(knn->index, knn->sums, knn->k, &one, shells, &n);
    return n;
}

double knn_estimate(const struct knn *knn, const int16_t *q)
{
    struct knn_shell shells[KNN_MAX_K];
    size_t n = find_shells(knn, q, shells);
    return estimate_of(knn, shells, n);
}

double knn_nearest(const struct knn *knn, const int16_t *q, size_t *n_exact)
{
    struct knn_shell shells[KNN_MAX_K];
    find_shells(knn, q, shells);
    *n_exact = shells[0].d2 ? 0 : shells[0].count;
    return sqrt((double)shells[0].d2);
}

static int by_distance(const void *va, const void *vb)
{
    const struct knn_neighbour *a = va, *b = vb;
    if (a->distance != b->distance)
        return a->distance < b->distance ? -1 : 1;
    if (a->score != b->score)
        return a->score < b->score ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

void knn_neighbours_sort(struct knn_neighbours *n)
{
    if (n->n)
        qsort(n->all, n->n, sizeof *n->all, by_distance);
}

struct gathering {
    const struct knn *knn;
    struct knn_neighbours *out;
};

/* All rows of a distinct row. */
static void gather(void *arg, size_t u, uint32_t d2)
{
    struct gathering *g = arg;
    size_t count;
    const uint32_t *rows = knn_index_rows(g->knn->index, u, &count);
    for (size_t i = 0; i < count; i++)
        g->out->all[g->out->n++] = (struct knn_neighbour) { .row = rows[i],
            .distance = sqrt((double)d2),
            .score = g->knn->y[rows[i]],
            .weight = weight_at(d2) };
}

/* Shares of places and weight, and the range over the choices among the tied: their
 * weights are equal, so the extremes take the lowest or the highest scores. */
static void share_out(struct knn_neighbours *out)
{
    size_t n_sure = out->n - out->n_at_last;
    double part = (double)out->n_taken / (double)out->n_at_last;
    double total = 0, sure = 0;
    for (size_t i = 0; i < out->n; i++) {
        struct knn_neighbour *one = &out->all[i];
        one->places = i < n_sure ? 1 : part;
        if (i < n_sure)
            sure += one->weight * one->score;
        one->weight *= one->places;
        total += one->weight;
    }
    double low = 0, high = 0;
    for (size_t i = 0; i < out->n_taken; i++) {
        low += out->all[n_sure + i].score;
        high += out->all[out->n - 1 - i].score;
    }
    double tied = 1 / (out->all[n_sure].distance + KNN_EPSILON);
    out->least = (sure + tied * low) / total;
    out->greatest = (sure + tied * high) / total;
    for (size_t i = 0; i < out->n; i++)
        out->all[i].weight /= total;
}

enum status knn_explain(const struct knn *knn, const int16_t *q,
    struct knn_neighbours *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct knn_shell shells[KNN_MAX_K];
    size_t n = find_shells(knn, q, shells);
    size_t n_rows = 0;
    for (size_t i = 0; i < n; i++)
        n_rows += shells[i].count;
    out->all = malloc(n_rows * sizeof *out->all);
    if (!out->all)
        return error_nomem(err, n_rows * sizeof *out->all);

    struct gathering gathering = { knn, out };
    knn_index_within(knn->index, q, shells[n - 1].d2, gather, &gathering);
    knn_neighbours_sort(out);
    out->n_at_last = shells[n - 1].count;
    out->n_taken = knn->k - (out->n - out->n_at_last);
    out->estimate = estimate_of(knn, shells, n);
    share_out(out);
    return OK;
}

void knn_neighbours_release(struct knn_neighbours *n)
{
    free(n->all);
    n->all = NULL;
    n->n = 0;
}
