/* Behaviours: their probabilities, by hand and by drawing over many seeds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <cmocka.h>

#include "collectors/behaviour.h"
#include "m4a1/base/text.h"
#include "schema/recipe.h"
#include "tests/support/recipe_samples.h"

static uint32_t text_only[] = { 0 };
static const struct accepts_view views[ACCEPTS_MAX_VIEWS] = { { "first_person",
                                                                  VIEW_IMAGE, 1 },
    { "overhead", VIEW_IMAGE, 1 }, { "side", VIEW_IMAGE, 1 } };
#define TAKES(n)                                                                         \
    {                                                                                    \
        n, -1, -1, 0                                                                     \
    }
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
    struct behaviour_llm llms[] = { { 0, text_only, 1, TAKES(0), views },
        { 1, all_subsets, 8, TAKES(-1), views } };
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
    struct behaviour_llm llms[] = { { 0, all_subsets, 8, TAKES(1), views },
        { 1, all_subsets, 8, TAKES(2), views } };
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

/* Bit 0 an image, 1 a video of three frames, 2 a text, 3 sound. */
static const struct accepts_view four_kinds[ACCEPTS_MAX_VIEWS] = { { "side", VIEW_IMAGE,
                                                                       1 },
    { "clip", VIEW_VIDEO, 3 }, { "log", VIEW_TEXT, 0 }, { "mic", VIEW_AUDIO, 0 } };

static void limits_on_kinds_take_actions_away(void **state)
{
    (void)state;
    static uint32_t sets[] = { 0, 1, 2, 3, 4, 8, 12, 15 };
    struct behaviour_llm llms[] = { { 1, sets, 8, { 3, -1, -1, 0 }, four_kinds },
        { 1, sets, 8, { -1, 0, 0, 1 }, four_kinds } };
    struct behaviour_action *a;
    size_t n;
    assert_int_equal(behaviour_eligible(llms, 2, 0, 1, &a, &n, NULL), OK);
    assert_int_equal(n, 4 + 3); // {} 1 2 4; {} 1 8
    assert_true(probability_of(a, n, 0, 2) > 0);
    assert_near(probability_of(a, n, 0, 3), 0); // four pictures
    assert_true(probability_of(a, n, 1, 8) > 0);
    free(a);
    /* The clip is up: the first llm has no room for the image, the second is not sent it. */
    assert_int_equal(behaviour_eligible(llms, 2, 2, 1, &a, &n, NULL), OK);
    assert_near(probability_of(a, n, 0, 1), 0);
    assert_true(probability_of(a, n, 0, 4) > 0);
    assert_true(probability_of(a, n, 1, 1) > 0);
    free(a);
}

static void several_llms_share_their_role(void **state)
{
    (void)state;
    struct behaviour_llm llms[] = { { 0, text_only, 1, TAKES(0), views },
        { 1, all_subsets, 8, TAKES(-1), views }, { 1, text_only, 1, TAKES(-1), views },
        { 0, text_only, 1, TAKES(0), views } };
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

/* One local and two cloud llms behind one view, as every behaviour below is asked. */
struct case_ {
    const char *behaviour;
    struct behaviour_choice choice;
};

static int64_t seen[16];
static double wanted[16];

static const struct case_ cases[] = {
    { "m4a1", { .context = 2 } },
    { "uniform", { .context = 2 } },
    { "balanced", { .context = 2, .seen = seen } },
    { "policy", { .context = 2, .wanted = wanted, .epsilon = 0.25 } },
    { "policy", { .context = 2, .wanted = wanted, .epsilon = 0.25, .greedy = 1 } },
    { "policy", { .context = 2, .wanted = wanted } },
    { "fixed", { .context = 2, .llm = 1, .views = 3 } },
};

static struct behaviour_action *weigh(const struct case_ *c, size_t *n)
{
    struct behaviour_llm llms[] = { { 0, text_only, 1, TAKES(0), views },
        { 1, all_subsets, 8, TAKES(-1), views }, { 1, text_only, 1, TAKES(-1), views } };
    struct behaviour_action *a;
    assert_int_equal(behaviour_eligible(llms, 3, 2, 1, &a, n, NULL), OK);
    assert_int_equal(*n, 6); /* local; cloud adding nothing, 0, 2 or both; the other */
    for (size_t i = 0; i < *n; i++) {
        seen[i] = i == 1 || i == 4 ? 3 : 4 + (int64_t)i;
        wanted[i] = i == 2 ? 3 : i == 5 ? 1 : 0;
    }
    assert_int_equal(behaviour_find(c->behaviour)->weigh(&c->choice, a, *n, NULL), OK);
    return a;
}

static void probabilities_are_those_of_the_rules(void **state)
{
    (void)state;
    static const double expected[COUNT_OF(cases)][6] = {
        { 0.5, (0.125 + 0.125 / 3) / 2 * 2 / 2, 0, 0, 0, 0.25 },
        { 1.0 / 6, 1.0 / 6, 1.0 / 6, 1.0 / 6, 1.0 / 6, 1.0 / 6 },
        { 0, 0.5, 0, 0, 0.5, 0 },
        { 0.25 / 6, 0.25 / 6, 0.75 * 0.75 + 0.25 / 6, 0.25 / 6, 0.25 / 6,
            0.75 * 0.25 + 0.25 / 6 },
        { 0.25 / 6, 0.25 / 6, 0.75 + 0.25 / 6, 0.25 / 6, 0.25 / 6, 0.25 / 6 },
        { 0, 0, 0.75, 0, 0, 0.25 },
        { 0, 0, 1, 0, 0, 0 },
    };
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        size_t n;
        struct behaviour_action *a = weigh(&cases[c], &n);
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            if (c || i == 0 || i == 1 || i == 5) /* the rest of m4a1 is told above */
                assert_near(a[i].probability, expected[c][i]);
            sum += a[i].probability;
        }
        assert_near(sum, 1);
        free(a);
    }
}

/* Each seed draws once, as a plan does; the frequencies are those that are stored. */
static void draws_follow_the_probabilities(void **state)
{
    (void)state;
    enum { N = 40000 };
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        size_t n;
        struct behaviour_action *a = weigh(&cases[c], &n);
        int count[16] = { 0 };
        for (int i = 0; i < N; i++) {
            struct rng rng;
            rng_init(&rng, (uint64_t)i, "test", c);
            count[behaviour_draw(a, n, &rng)]++;
        }
        for (size_t i = 0; i < n; i++) {
            double p = a[i].probability, deviation = sqrt(p * (1 - p) / N);
            if (fabs((double)count[i] / N - p) > 4.5 * deviation)
                fail_msg("%s %zu, action %zu: drawn %d of %d, probability %g",
                    cases[c].behaviour, c, i, count[i], N, p);
        }
        free(a);
    }
}

static void a_policy_that_wants_nothing_eligible_is_uniform(void **state)
{
    (void)state;
    struct behaviour_action a[4] = { { 0, 0, 0 } };
    const double none[4] = { 0 };
    const struct behaviour_choice choice = { .wanted = none, .greedy = 1 };
    assert_int_equal(behaviour_find("policy")->weigh(&choice, a, 4, NULL), OK);
    for (size_t i = 0; i < 4; i++)
        assert_near(a[i].probability, 0.25);
}

static void a_fixed_action_has_to_be_eligible(void **state)
{
    (void)state;
    struct behaviour_action a[] = { { 0, 1, 0.5 }, { 1, 0, 0.5 } };
    struct behaviour_choice choice = { .context = 2, .llm = 0, .views = 3 };
    struct error err = ERROR_INIT;
    assert_int_equal(behaviour_find("fixed")->weigh(&choice, a, 2, &err), OK);
    assert_near(a[0].probability, 1); /* view 1 is there already */
    choice.views = 4;
    assert_int_equal(behaviour_find("fixed")->weigh(&choice, a, 2, &err), E_ARG);
}

static void recipes_know_the_same_behaviours(void **state)
{
    (void)state;
    for (size_t i = 0; i < BEHAVIOUR_N; i++) {
        const char *name = behaviours[i].name;
        char *plan = text_format("\"plan\": {\"behaviour\": \"%s\"%s%s}, \"actions\"",
            name, behaviours[i].needs_policy ? ", \"policy\": \"/dev/null\"" : "",
            behaviours[i].needs_action ? ", \"action\": {\"llm\": \"gpt\"}" : "");
        char *text = with(small, "\"actions\"", plan);
        struct recipe *recipe = good(text);
        assert_string_equal(recipe->plan.behaviour, name);
        recipe_free(recipe);
        free(text);
        free(plan);
    }
    assert_null(behaviour_find("M4A1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_rule),
        cmocka_unit_test(limits_on_images_take_actions_away),
        cmocka_unit_test(limits_on_kinds_take_actions_away),
        cmocka_unit_test(several_llms_share_their_role),
        cmocka_unit_test(probabilities_are_those_of_the_rules),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(a_policy_that_wants_nothing_eligible_is_uniform),
        cmocka_unit_test(a_fixed_action_has_to_be_eligible),
        cmocka_unit_test(recipes_know_the_same_behaviours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
