/* knn.h - the published estimator: the response score an action would have earned.
 *
 * k nearest rows by Euclidean distance d, weighted by 1 / (d + 1e-6) (TMO's authors,
 * tmo/env.py).  Ties follow our rule: all rows at the k-th distance share the places
 * that are left in equal parts, which is the mean over every choice among them and
 * depends on no order of rows.
 *
 * Features are small integers, so squared distances are exact and two distances are
 * equal exactly when they should be.  Exact search over distinct rows (knn_index.h).  Once
 * built it is read-only: any number of threads may ask it. */
#ifndef M4A1_TMO_KNN_H
#define M4A1_TMO_KNN_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define KNN_MAX_K 64
#define KNN_EPSILON 1e-6

struct knn; /* opaque, defined in knn.c */

/* Build an index over n rows of d features each.
 *   x    [n][d], row-major, within +-500; copied
 *   y    [n], finite scores; copied
 *   k    1 <= k <= min(n, KNN_MAX_K)
 *   out  owned by the caller, freed with knn_free(); NULL on failure
 * E_ARG names the size or the row that is out of range. */
MUST_CHECK enum status knn_build(const int16_t *x, const double *y, size_t n, size_t d,
    size_t k, struct knn **out, struct error *err);
void knn_free(struct knn *knn); /* NULL is fine */

size_t knn_n_rows(const struct knn *knn);
size_t knn_n_distinct(const struct knn *knn); /* rows with different features */

/* The estimate at q[d], within +-500. */
double knn_estimate(const struct knn *knn, const int16_t *q);
/* The same for n vectors that share their first n_shared features: shared [n_shared],
 * tails [n][d - n_shared]; what is shared is compared once. */
void knn_estimates(const struct knn *knn, const int16_t *shared, size_t n_shared,
    const int16_t *tails, size_t n, double *estimates);

/* The distance from q[d] to the nearest row, and how many rows have its very features. */
double knn_nearest(const struct knn *knn, const int16_t *q, size_t *n_exact);

/* One row that takes part in an estimate. */
struct knn_neighbour {
    size_t row; /* as given to knn_build() */
    double distance, score;
    double places; /* 1, or its part of a place where it shares the k-th distance */
    double weight; /* its share of the estimate's weight; all add up to 1 */
};

struct knn_neighbours {
    struct knn_neighbour *all; /* by distance, then score, then row */
    size_t n;
    double estimate;
    double base; /* estimate = base + the weighted scores; 0 for the published k-NN */
    double least, greatest; /* over every choice among the rows at the k-th distance */
    size_t n_at_last;       /* rows at the k-th distance */
    size_t n_taken;         /* places they share; below n_at_last where there is a tie */
};

/* The same estimate with the rows it came from; release with knn_neighbours_release(). */
MUST_CHECK enum status knn_explain(const struct knn *knn, const int16_t *q,
    struct knn_neighbours *out, struct error *err);
void knn_neighbours_release(struct knn_neighbours *n);
/* Into the order of `all`. */
void knn_neighbours_sort(struct knn_neighbours *n);

#endif
