/* M4A1's behaviour: its probabilities, by hand and by drawing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <cmocka.h>

#include "collectors/behaviour.h"

static uint32_t text_only[] = { 0 };
static uint32_t all_subsets[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static double probability_of(
    const struct behaviour_action *a, size_t n, size_t llm, uint32_t added)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i].llm == llm && a[i].added == added)
            return a[i].probability;
    }
    return 0;
}

static void assert_near(double a, double b)
{
    assert_true(fabs(a - b) < 1e-12);
}

/* One local and one cloud llm, three views: local 1/2; else a size uniform in 0..3. */
static void the_published_rule(void **state)
{
    (void)state;
    struct behaviour_llm llms[] = { { 0, 0, text_only, 1 }, { 1, -1, all_subsets, 8 } };
    struct behaviour_action *a;
    size_t n;
    assert_int_equal(behaviour_eligible(llms, 2, 0, 1, &a, &n, NULL), OK);
    assert_int_equal(n, 9);
    assert_near(probability_of(a, n, 0, 0), 0.5);
    assert_near(probability_of(a, n, 1, 0), 0.125);
    assert_near(probability_of(a, n, 1, 2), 0.125 / 3);
    assert_near(probability_of(a, n, 1, 7), 0.125);
    free(a);

    /* View 1 is up: a drawn set that holds it adds only the rest. */
    assert_int_equal(behaviour_eligible(llms, 2, 2, 1, &a, &n, NULL), OK);
    assert_int_equal(n, 5);
    assert_near(probability_of(a, n, 1, 0), 0.125 + 0.125 / 3);
    assert_near(probability_of(a, n, 1, 1), 0.125 / 3 + 0.125 / 3);
    assert_near(probability_of(a, n, 1, 5), 0.125 / 3 + 0.125);
    free(a);

    /* All are up: nothing can be added. */
    assert_int_equal(behaviour_eligible(llms, 2, 7, 1, &a, &n, NULL), OK);
    assert_int_equal(n, 2);
    assert_near(probability_of(a, n, 1, 0), 0.5);
    free(a);
}

static void limits_on_images_take_actions_away(void **state)
{
    (void)state;
    struct behaviour_llm llms[] = { { 0, 1, all_subsets, 8 }, { 1, 2, all_subsets, 8 } };
    struct behaviour_action *a;
    size_t n;
    assert_int_equal(behaviour_eligible(llms, 2, 0, 1, &a, &n, NULL), OK);
    assert_int_equal(n, 4 + 7);
    assert_near(probability_of(a, n, 0, 1), 0.5 / 2 / 3);
    assert_near(probability_of(a, n, 1, 7), 0);
    free(a);
    /* Two views up: the local llm cannot be sent this dialogue any more. */
    assert_int_equal(behaviour_eligible(llms, 2, 3, 1, &a, &n, NULL), OK);
    assert_int_equal(n, 1);
    assert_near(probability_of(a, n, 1, 0), 1);
    free(a);
    /* It can when earlier views are not sent again. */
    assert_int_equal(behaviour_eligible(llms, 2, 3, 0, &a, &n, NULL), OK);
    assert_true(probability_of(a, n, 0, 4) > 0);
    free(a);
    struct error err = ERROR_INIT;
    assert_int_equal(behaviour_eligible(llms, 1, 3, 1, &a, &n, &err), E_ARG);
    assert_null(a);
}

static void several_llms_share_their_role(void **state)
{
    (void)state;
    struct behaviour_llm llms[] = { { 0, 0, text_only, 1 }, { 1, -1, all_subsets, 8 },
        { 1, -1, text_only, 1 }, { 0, 0, text_only, 1 } };
    for (uint32_t context = 0; context < 8; context++) {
        struct behaviour_action *a;
        size_t n;
        double sum = 0;
        assert_int_equal(behaviour_eligible(llms, 4, context, 1, &a, &n, NULL), OK);
        for (size_t i = 0; i < n; i++)
            sum += a[i].probability;
        assert_near(sum, 1);
        assert_near(probability_of(a, n, 0, 0), 0.25);
        assert_near(probability_of(a, n, 2, 0), 0.25);
        free(a);
    }
}

static void draws_follow_the_probabilities(void **state)
{
    (void)state;
    struct behaviour_llm llms[] = { { 0, 0, text_only, 1 }, { 1, -1, all_subsets, 8 } };
    struct behaviour_action *a;
    size_t n;
    assert_int_equal(behaviour_eligible(llms, 2, 2, 1, &a, &n, NULL), OK);
    enum { N = 100000 };
    int count[16] = { 0 };
    struct rng rng;
    rng_init(&rng, 3, "test", 0);
    for (int i = 0; i < N; i++)
        count[behaviour_draw(a, n, &rng)]++;
    for (size_t i = 0; i < n; i++) {
        double p = a[i].probability, deviation = sqrt(p * (1 - p) / N);
        assert_true(fabs((double)count[i] / N - p) < 4.5 * deviation);
    }
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_rule),
        cmocka_unit_test(limits_on_images_take_actions_away),
        cmocka_unit_test(several_llms_share_their_role),
        cmocka_unit_test(draws_follow_the_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
