/* knn.c - brute force over the distinct rows.
 *
 * Distinct rows are kept in a fixed order with the count and the sum of their scores,
 * so an estimate depends on no order of input.  Letters: n rows, U distinct rows,
 * d features. */
#include "m4a1/tmo/knn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FEATURE 500 /* with MAX_FEATURES: a squared distance fits 31 bits */
#define MAX_FEATURES 2000

struct row {
    const int16_t *x; /* [d] in the caller's rows; only while sorting */
    double y;
    size_t index; /* as given */
};

struct knn {
    size_t n, n_distinct, d, k;
    int16_t *x;       /* [U][d], owned */
    size_t *first;    /* [U + 1] where a distinct row's rows begin in rows[]; owned */
    double *sum;      /* [U] sum of its scores; owned */
    struct row *rows; /* [n], grouped; x is NULL once built; owned */
};

/* All rows at one distance, as far as a query has seen. */
struct shell {
    uint32_t d2; /* squared distance */
    size_t count;
    double sum; /* of scores */
};

static int compare_features(const int16_t *a, const int16_t *b, size_t d)
{
    for (size_t j = 0; j < d; j++)
        if (a[j] != b[j])
            return a[j] < b[j] ? -1 : 1;
    return 0;
}

static int compare_rows(const struct row *a, const struct row *b, size_t d)
{
    int c = compare_features(a->x, b->x, d);
    if (c)
        return c;
    if (a->y != b->y)
        return a->y < b->y ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Merge sort, since qsort() takes no d. */
static void sort_rows(struct row *rows, struct row *scratch, size_t n, size_t d)
{
    if (n < 2)
        return;
    size_t half = n / 2;
    sort_rows(rows, scratch, half, d);
    sort_rows(rows + half, scratch, n - half, d);
    memcpy(scratch, rows, half * sizeof *rows);
    size_t i = 0, j = half, out = 0;
    while (i < half && j < n)
        rows[out++] =
            compare_rows(&scratch[i], &rows[j], d) <= 0 ? scratch[i++] : rows[j++];
    while (i < half)
        rows[out++] = scratch[i++];
}

static enum status check(
    const int16_t *x, const double *y, size_t n, size_t d, size_t k, struct error *err)
{
    if (!d || d > MAX_FEATURES || n > SIZE_MAX / sizeof *x / d)
        return error_set(err, E_ARG, "estimator: %zu rows of %zu features", n, d);
    if (k < 1 || k > KNN_MAX_K)
        return error_set(
            err, E_ARG, "estimator: k is 1 to %d neighbours, not %zu", KNN_MAX_K, k);
    if (n < k)
        return error_set(err, E_ARG,
            "estimator: k = %zu neighbours from %zu scored rows; take a smaller k or "
            "more "
            "training sessions",
            k, n);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(y[i]))
            return error_set(
                err, E_ARG, "estimator: the score of row %zu is not finite", i);
        for (size_t j = 0; j < d; j++)
            if (x[i * d + j] < -MAX_FEATURE || x[i * d + j] > MAX_FEATURE)
                return error_set(err, E_ARG, "estimator: feature %zu of row %zu is %d", j,
                    i, x[i * d + j]);
    }
    return OK;
}

/* Copy each distinct row once, with the count and the sum of what it stands for. */
static void group_rows(struct knn *knn)
{
    size_t d = knn->d, u = 0;
    for (size_t i = 0; i < knn->n; i++) {
        struct row *row = &knn->rows[i];
        if (!i || compare_features(knn->x + (u - 1) * d, row->x, d) != 0) {
            memcpy(knn->x + u * d, row->x, d * sizeof *knn->x);
            knn->first[u] = i;
            knn->sum[u] = 0;
            u++;
        }
        knn->sum[u - 1] += row->y;
        row->x = NULL;
    }
    knn->first[u] = knn->n;
    knn->n_distinct = u;
}

enum status knn_build(const int16_t *x, const double *y, size_t n, size_t d, size_t k,
    struct knn **out, struct error *err)
{
    *out = NULL;
    enum status s = check(x, y, n, d, k, err);
    if (s)
        return s;

    struct row *scratch = malloc(n * sizeof *scratch);
    struct knn *knn = calloc(1, sizeof *knn);
    if (!scratch || !knn)
        goto no_memory;
    knn->n = n;
    knn->d = d;
    knn->k = k;
    knn->x = malloc(n * d * sizeof *knn->x);
    knn->first = malloc((n + 1) * sizeof *knn->first);
    knn->sum = malloc(n * sizeof *knn->sum);
    knn->rows = malloc(n * sizeof *knn->rows);
    if (!knn->x || !knn->first || !knn->sum || !knn->rows)
        goto no_memory;

    for (size_t i = 0; i < n; i++)
        knn->rows[i] = (struct row) { x + i * d, y[i], i };
    sort_rows(knn->rows, scratch, n, d);
    group_rows(knn);
    free(scratch);
    *out = knn;
    return OK;
no_memory:
    free(scratch);
    knn_free(knn);
    return error_nomem(err, n * d * sizeof *x);
}

void knn_free(struct knn *knn)
{
    if (!knn)
        return;
    free(knn->x);
    free(knn->first);
    free(knn->sum);
    free(knn->rows);
    free(knn);
}

size_t knn_n_rows(const struct knn *knn)
{
    return knn->n;
}

size_t knn_n_distinct(const struct knn *knn)
{
    return knn->n_distinct;
}

static uint32_t squared_distance(const int16_t *a, const int16_t *b, size_t d)
{
    int32_t sum = 0;
    for (size_t j = 0; j < d; j++) {
        int32_t diff = a[j] - b[j];
        sum += diff * diff;
    }
    return (uint32_t)sum;
}

/* Put a distinct row into shells[] (nearest first), and forget the shells that the k
 * places no longer reach. */
static size_t shells_add(
    struct shell *shells, size_t n, uint32_t d2, size_t count, double sum, size_t k)
{
    size_t at = 0, before = 0;
    while (at < n && shells[at].d2 < d2)
        before += shells[at++].count;
    if (at < n && shells[at].d2 == d2) {
        shells[at].count += count;
        shells[at].sum += sum;
    } else {
        if (before >= k)
            return n;
        // There are never more than k shells, for each holds a row or more.
        if (n == k)
            n--;
        memmove(shells + at + 1, shells + at, (n - at) * sizeof *shells);
        shells[at] = (struct shell) { d2, count, sum };
        n++;
    }
    size_t kept = 0;
    for (size_t places = 0; kept < n && places < k; kept++)
        places += shells[kept].count;
    return kept;
}

static size_t find_shells(const struct knn *knn, const int16_t *q, struct shell *shells)
{
    size_t n = 0, places = 0;
    for (size_t u = 0; u < knn->n_distinct; u++) {
        uint32_t d2 = squared_distance(knn->x + u * knn->d, q, knn->d);
        if (places >= knn->k && d2 > shells[n - 1].d2)
            continue;
        size_t count = knn->first[u + 1] - knn->first[u];
        n = shells_add(shells, n, d2, count, knn->sum[u], knn->k);
        places += count;
    }
    return n;
}

static double weight_at(uint32_t d2)
{
    return 1 / (sqrt((double)d2) + KNN_EPSILON);
}

double knn_estimate(const struct knn *knn, const int16_t *q)
{
    struct shell shells[KNN_MAX_K];
    size_t n = find_shells(knn, q, shells);
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

double knn_nearest(const struct knn *knn, const int16_t *q, size_t *n_exact)
{
    struct shell shells[KNN_MAX_K];
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

/* All rows up to the k-th distance, sorted. */
static void gather(
    const struct knn *knn, const int16_t *q, uint32_t last, struct knn_neighbours *out)
{
    for (size_t u = 0; u < knn->n_distinct; u++) {
        uint32_t d2 = squared_distance(knn->x + u * knn->d, q, knn->d);
        if (d2 > last)
            continue;
        for (size_t i = knn->first[u]; i < knn->first[u + 1]; i++)
            out->all[out->n++] = (struct knn_neighbour) { .row = knn->rows[i].index,
                .distance = sqrt((double)d2),
                .score = knn->rows[i].y,
                .weight = weight_at(d2) };
    }
    knn_neighbours_sort(out);
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
    struct shell shells[KNN_MAX_K];
    size_t n = find_shells(knn, q, shells);
    size_t n_rows = 0;
    for (size_t i = 0; i < n; i++)
        n_rows += shells[i].count;
    out->all = malloc(n_rows * sizeof *out->all);
    if (!out->all)
        return error_nomem(err, n_rows * sizeof *out->all);

    gather(knn, q, shells[n - 1].d2, out);
    out->n_at_last = shells[n - 1].count;
    out->n_taken = knn->k - (out->n - out->n_at_last);
    out->estimate = knn_estimate(knn, q);
    share_out(out);
    return OK;
}

void knn_neighbours_release(struct knn_neighbours *n)
{
    free(n->all);
    n->all = NULL;
    n->n = 0;
}
