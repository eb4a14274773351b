/* estimate_spread.c - see estimate_spread.h. */
#include "collectors/estimate_spread.h"

#include <math.h>
#include <stdlib.h>

#include "m4a1/base/stats.h"

enum status spread_add(
    struct spread_points *points, const struct spread_point *point, struct error *err)
{
    if (points->n == points->size) {
        size_t size = points->size ? 2 * points->size : 256;
        struct spread_point *grown = realloc(points->at, size * sizeof *grown);
        if (!grown)
            return error_nomem(err, size * sizeof *grown);
        points->at = grown;
        points->size = size;
    }
    points->at[points->n++] = *point;
    return OK;
}

void spread_release(struct spread_points *points)
{
    free(points->at);
    *points = (struct spread_points) { 0 };
}

#define COMPARE(part)                                                                    \
    static int compare_##part(const void *a, const void *b)                              \
    {                                                                                    \
        const struct spread_point *x = a, *y = b;                                        \
        return (x->key[part] > y->key[part]) - (x->key[part] < y->key[part]);            \
    }
COMPARE(SPREAD_PROMPT)
COMPARE(SPREAD_DIALOGUE)
COMPARE(SPREAD_CELL)

/* What the points of one part say: variance of its groups, and how it adds up. */
struct component {
    double variance;
    double weight;  /* sum over groups of (sum of weights)^2 */
    double freedom; /* groups with measured points - 1 */
};

static struct component component_of(
    struct spread_points *points, enum spread_part part, double n, double sum_squares)
{
    static int (*const compare[N_SPREAD_PARTS])(const void *, const void *) = {
        compare_SPREAD_PROMPT, compare_SPREAD_DIALOGUE, compare_SPREAD_CELL
    };
    struct component c = { 0 };
    double between = 0, sizes = 0, groups = 0;
    qsort(points->at, points->n, sizeof *points->at, compare[part]);
    for (size_t i = 0; i < points->n;) {
        double k = 0, sum = 0, weight = 0;
        int64_t key = points->at[i].key[part];
        for (; i < points->n && points->at[i].key[part] == key; i++) {
            weight += points->at[i].weight;
            if (isnan(points->at[i].residual))
                continue;
            k++;
            sum += points->at[i].residual;
        }
        c.weight += weight * weight;
        groups += k > 0;
        between += k > 0 ? sum * sum / k : 0;
        sizes += k * k;
    }
    c.freedom = groups - 1;
    if (groups < 2 || n <= groups) // nothing to tell groups from single answers by
        return c;
    double within = (sum_squares - between) / (n - groups);
    double size = (n - sizes / n) / (groups - 1);
    c.variance = fmax(0, (between / (groups - 1) - within) / size);
    return c;
}

struct spread spread_of(struct spread_points *points)
{
    struct spread s = { 0 };
    struct component parts[N_SPREAD_PARTS];
    double n = 0, mean = 0, sum_squares = 0, weights = 0, shared = 0;
    for (size_t i = 0; i < points->n; i++) {
        weights += points->at[i].weight * points->at[i].weight;
        if (isnan(points->at[i].residual))
            continue;
        n++;
        mean += points->at[i].residual;
        sum_squares += points->at[i].residual * points->at[i].residual;
    }
    if (n < 2)
        return s;
    sum_squares -= mean * mean / n;
    double total = fmax(0, sum_squares / (n - 1));
    for (int p = 0; p < N_SPREAD_PARTS; p++) {
        parts[p] = component_of(points, (enum spread_part)p, n, sum_squares);
        shared += parts[p].variance;
    }
    // The same variation can show in two parts: together they explain no more than all.
    double scale = shared > total ? total / shared : 1;
    for (int p = 0; p < N_SPREAD_PARTS; p++) {
        double variance = scale * parts[p].variance * parts[p].weight;
        s.shared += variance;
        if (variance > 0)
            s.by_freedom += variance * variance / parts[p].freedom;
    }
    s.own = (total - scale * shared) * weights;
    s.by_freedom += s.own * s.own / (n - 1);
    return s;
}

double spread_half(const struct spread *s)
{
    double variance = s->shared + s->own;
    if (variance <= 0)
        return 0;
    double freedom = s->by_freedom > 0 ? variance * variance / s->by_freedom : 1e9;
    return stats_student_end(0.05, fmax(1, freedom)) * sqrt(variance);
}
