/* Quantiles and Student's t against published tables. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "m4a1/base/stats.h"

static void near(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.12g is not %.12g", a, b);
}

static void means_and_quantiles(void **state)
{
    (void)state;
    double x[] = { 4, 1, 3, 2 };
    near(stats_mean(x, 4), 2.5, 0);
    near(stats_deviation(x, 4), sqrt(1.25), 1e-15);
    near(stats_quantile(x, 4, 0.5), 2.5, 0);
    near(stats_quantile(x, 4, 0.9), 3.7, 1e-15);
    assert_true(isnan(stats_mean(x, 0)) && isnan(stats_quantile(x, 0, 0.5)));
}

/* Two-sided 5 % and 1 % points as every table of t prints them. */
static void students_t_is_that_of_the_tables(void **state)
{
    (void)state;
    static const struct {
        double df, five, one;
    } table[] = { { 1, 12.706205, 63.656741 }, { 2, 4.302653, 9.924843 },
        { 9, 2.262157, 3.249836 }, { 30, 2.042272, 2.749996 },
        { 120, 1.979930, 2.617421 }, { 1e6, 1.959966, 2.575834 } };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        near(stats_student_end(0.05, table[i].df), table[i].five, 2e-6);
        near(stats_student_end(0.01, table[i].df), table[i].one, 2e-6);
        near(stats_student_tails(table[i].five, table[i].df), 0.05, 1e-6);
        near(stats_student_tails(-table[i].one, table[i].df), 0.01, 1e-6);
    }
    near(stats_student_tails(0, 5), 1, 1e-12);
    near(stats_student_tails(INFINITY, 5), 0, 0);
    near(stats_student_end(0.05, 2.5), 3.558, 2e-2); /* between 2 and 3 */
}

static void normal_distribution(void **state)
{
    (void)state;
    near(stats_normal_below(0), 0.5, 1e-15);
    near(stats_normal_below(1.959963984540054), 0.975, 1e-14);
    near(stats_normal_at(0.975), 1.959963984540054, 1e-12);
    near(stats_normal_at(0.005), -2.5758293035489004, 1e-12);
}

/* The example of R's p.adjust(c(.01, .02, .03, .04), "holm"), and ties and missing ones. */
static void holm(void **state)
{
    (void)state;
    double p[] = { 0.03, 0.01, NAN, 0.04, 0.02 }, q[5];
    const double want[] = { 0.06, 0.04, NAN, 0.06, 0.06 };
    stats_holm(p, 5, q);
    for (int i = 0; i < 5; i++)
        if (i == 2)
            assert_true(isnan(q[i]));
        else
            near(q[i], want[i], 1e-15);
    double ties[] = { 0.5, 0, 0.5 };
    stats_holm(ties, 3, q);
    near(q[0], 1, 0);
    near(q[1], 0, 0);
    near(q[2], 1, 0);
    stats_holm(ties, 0, q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_and_quantiles),
        cmocka_unit_test(students_t_is_that_of_the_tables),
        cmocka_unit_test(normal_distribution),
        cmocka_unit_test(holm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
