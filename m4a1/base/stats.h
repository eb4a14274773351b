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

/* Student's t with df > 0 degrees of freedom: how likely a value is that lies further from
 * 0 than t on either side, in [0, 1]; and the t that is passed with probability p in (0, 1)
 * on either side (p = 0.05: the end of a 95 % interval).  By the continued fraction of the
 * incomplete beta function (Press et al., "Numerical Recipes", section 6.4). */
double stats_student_tails(double t, double df);
double stats_student_end(double p, double df);

/* The normal distribution: how likely a value below z is, and the z that lies above a
 * share p in (0, 1). */
double stats_normal_below(double z);
double stats_normal_at(double p);

/* Holm's step-down correction ("A simple sequentially rejective multiple test procedure",
 * 1979): adjusted[n] of p[n], such that calling every difference real whose adjusted value
 * is at most q calls any wrongly with probability at most q.  NAN stays NAN and counts as
 * no comparison.  adjusted is not p. */
void stats_holm(const double *p, size_t n, double *adjusted);

#endif
