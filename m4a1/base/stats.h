/* stats.h - small statistics over arrays of doubles. */
#ifndef M4A1_BASE_STATS_H
#define M4A1_BASE_STATS_H

#include <stddef.h>

double stats_mean(const double *x, size_t n); /* NAN for n = 0 */
double stats_deviation(
    const double *x, size_t n); /* population deviation; NAN for n = 0 */

/* Quantile q in [0, 1] by linear interpolation between order statistics (Hyndman & Fan
 * type 7, as numpy and R default to); x is sorted in place.  NAN for n = 0. */
double stats_quantile(double *x, size_t n, double q);

#endif
