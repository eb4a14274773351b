/* estimate_spread.h - how far the cost of planned calls can come out from its estimate.
 *
 * Pure.  The estimate is a sum of means over measured answers, so the error of the sum is a
 * weighted sum of what single answers deviate by: each planned call counts 1, each measured
 * answer what it contributed, negative.  A deviation has parts that answers share - of
 * their prompt, of their dialogue, of their cell (number of images and turn) - and one of
 * its own.  Their variances are estimated from the residuals by the analysis of variance
 * (one-way, unbalanced: Searle, Casella & McCulloch, "Variance Components", 1992, chapter
 * 3), so what planned calls share with measured ones cancels, and what they share among
 * themselves adds up.  Degrees of freedom are Satterthwaite's. */
#ifndef COLLECTORS_ESTIMATE_SPREAD_H
#define COLLECTORS_ESTIMATE_SPREAD_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

enum spread_part { SPREAD_PROMPT, SPREAD_DIALOGUE, SPREAD_CELL, N_SPREAD_PARTS };

struct spread_point {
    int64_t key[N_SPREAD_PARTS]; /* which prompt, dialogue and cell */
    double weight;   /* 1 for a planned call; measured: what it adds, negative */
    double residual; /* USD off the mean that was fitted; NAN for planned */
};

struct spread_points {
    struct spread_point *at; /* owned */
    size_t n, size;
};
MUST_CHECK enum status spread_add(
    struct spread_points *points, const struct spread_point *point, struct error *err);
void spread_release(struct spread_points *points);

/* The variance of the sum's error, of the shared parts and of the rest, in USD squared, and
 * for the degrees of freedom the sum of (variance of a part)^2 / its degrees. */
struct spread {
    double shared, own;
    double by_freedom;
};

/* Points are put into another order.  All 0 below two measured points. */
struct spread spread_of(struct spread_points *points);

/* Half the length of a 95 % interval of a sum with this spread. */
double spread_half(const struct spread *s);

#endif
