/* knn_index.h - exact nearest rows among vectors of small integers that repeat a lot.
 *
 * Rows with the same features are one distinct row.  Distinct rows lie in blocks of 16,
 * feature by feature, so that 16 distances are summed side by side in 16 bits (in 32 where
 * they could be larger).  A scan of blocks is faster than a tree here: 29 features leave a
 * tree little to cut off (docs/benchmarks.md).  Squared distances are integers, so two are
 * equal exactly when they should be.
 *
 * A built index depends on no order of rows, is read-only, and knows no scores: values of
 * distinct rows are given with the question.  Letters: n rows, U distinct rows, d
 * features. */
#ifndef M4A1_TMO_KNN_INDEX_H
#define M4A1_TMO_KNN_INDEX_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define KNN_INDEX_MAX_FEATURE 500 /* with MAX_FEATURES: a squared distance fits 32 bits */
#define KNN_INDEX_MAX_FEATURES 2000 /* d */
#define KNN_INDEX_MAX_QUERIES 16    /* of one call */

struct knn_index; /* opaque */

/* x [n][d], row-major, within +-KNN_INDEX_MAX_FEATURE; copied.  n >= 1, d >= 1.  On
 * success *out is freed with knn_index_free().  E_ARG names what is out of range. */
MUST_CHECK enum status knn_index_build(
    const int16_t *x, size_t n, size_t d, struct knn_index **out, struct error *err);
void knn_index_free(struct knn_index *index); /* NULL is fine */

size_t knn_index_n_distinct(const struct knn_index *index);
/* The rows of distinct row u, rising; *count of them. */
const uint32_t *knn_index_rows(const struct knn_index *index, size_t u, size_t *count);

/* All rows at one distance. */
struct knn_shell {
    uint32_t d2; /* squared distance */
    size_t count;
    double sum; /* of the values of its distinct rows */
};

/* Up to KNN_INDEX_MAX_QUERIES vectors that share their first features. */
struct knn_queries {
    const int16_t *shared; /* [n_shared] */
    size_t n_shared;       /* <= d */
    const int16_t *tails;  /* [n][d - n_shared] */
    size_t n;
};

/* The shells, nearest first, that hold the k nearest rows of each query: the last one
 * whole.  values [U]; shells [n][k], n_shells [n].  1 <= k <= n. */
void knn_index_nearest(const struct knn_index *index, const double *values, size_t k,
    const struct knn_queries *queries, struct knn_shell *shells, size_t *n_shells);

/* The distinct rows within squared distance `limit` of q [d]: calls found(arg, u, d2) for
 * each, in no order that means anything. */
void knn_index_within(const struct knn_index *index, const int16_t *q, uint32_t limit,
    void (*found)(void *arg, size_t u, uint32_t d2), void *arg);

#endif
