/* stats.c - small statistics over arrays of doubles. */
#include "m4a1/base/stats.h"

#include <math.h>
#include <stdlib.h>

double stats_mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : NAN;
}

double stats_deviation(const double *x, size_t n)
{
    double mean = stats_mean(x, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return n ? sqrt(sum / (double)n) : NAN;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stats_quantile(double *x, size_t n, double q)
{
    if (!n)
        return NAN;
    qsort(x, n, sizeof *x, compare_doubles);
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}

/* The continued fraction of the incomplete beta function, by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m <= 500; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double before = h;
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(h - before) <= 1e-15 * fabs(h))
            break;
    }
    return h;
}

static double beta_incomplete(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x > 0;
    double front =
        exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                     : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double stats_student_tails(double t, double df)
{
    return isinf(t) ? 0 : beta_incomplete(df / 2, 0.5, df / (df + t * t));
}

double stats_student_end(double p, double df)
{
    double low = 0, high = 1;
    while (stats_student_tails(high, df) > p && high < 1e12)
        high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-13 * high; i++) {
        double t = low + (high - low) / 2;
        if (stats_student_tails(t, df) > p)
            low = t;
        else
            high = t;
    }
    return high;
}

double stats_normal_below(double z)
{
    return 0.5 * erfc(-z / sqrt(2));
}

double stats_normal_at(double p)
{
    double low = -40, high = 40;
    for (int i = 0; i < 200 && high - low > 1e-14 * (1 + fabs(low)); i++) {
        double z = low + (high - low) / 2;
        if (stats_normal_below(z) < p)
            low = z;
        else
            high = z;
    }
    return high;
}

/* How many tests are not refused before that of p[i] is looked at; equal ones in order. */
static size_t rank_of(const double *p, size_t n, size_t i)
{
    size_t rank = 0;
    for (size_t j = 0; j < n; j++)
        rank += p[j] < p[i] || (j < i && p[j] == p[i]);
    return rank;
}

void stats_holm(const double *p, size_t n, double *adjusted)
{
    size_t n_tests = 0;
    for (size_t i = 0; i < n; i++) {
        n_tests += isnan(p[i]) ? 0 : 1;
        adjusted[i] = isnan(p[i]) ? NAN : 0;
    }
    for (size_t j = 0; j < n; j++) {
        double one = fmin(1, (double)(n_tests - rank_of(p, n, j)) * p[j]);
        for (size_t i = 0; i < n && !isnan(p[j]); i++)
            if (p[i] >= p[j] && one > adjusted[i])
                adjusted[i] = one;
    }
}
