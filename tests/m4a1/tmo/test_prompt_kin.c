/* test_prompt_kin.c - prompts that say something alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/prompt_kin.h"

static void test_worked_example(void **state)
{
    (void)state;
    // Three prompts; "lights" is in two, all other words in one: log(1 + 3/2) and log 4.
    static const char *const texts[] = { "Lights on, on!", "the LIGHTS", "cook" };
    double rare = log(4), common = log(2.5);
    double first = sqrt(common * common + 4 * rare * rare);
    double second = sqrt(common * common + rare * rare);
    struct prompt_kin *kin;
    assert_int_equal(prompt_kin_build(texts, 3, &kin, NULL), OK);
    assert_int_equal(kin[0].n, 1);
    assert_int_equal(kin[0].prompt[0], 1);
    assert_true(
        fabs((double)kin[0].similarity[0] - common * common / first / second) < 1e-6);
    assert_int_equal(kin[1].n, 1);
    assert_int_equal(kin[1].prompt[0], 0);
    assert_int_equal(kin[2].n, 0);
    free(kin);
}

static void test_nearest_first_and_no_more_than_fit(void **state)
{
    (void)state;
    // Prompt i shares words w1 .. wi with the last one.
    static char texts[30][256];
    const char *list[30];
    for (size_t i = 0; i < 30; i++) {
        list[i] = texts[i];
        for (size_t w = 0; w <= i; w++)
            snprintf(texts[i] + strlen(texts[i]), 16, "w%zu ", w);
    }
    struct prompt_kin *kin;
    assert_int_equal(prompt_kin_build(list, 30, &kin, NULL), OK);
    const struct prompt_kin *last = &kin[29];
    assert_int_equal(last->n, PROMPT_KIN_MAX);
    for (size_t i = 0; i < last->n; i++) {
        assert_int_equal(last->prompt[i], 28 - i);
        assert_true(!i || last->similarity[i] <= last->similarity[i - 1]);
        assert_true(last->similarity[i] > 0 && last->similarity[i] <= 1);
    }
    free(kin);
}

static void test_any_text(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "  ?!", "\xc3\xa4pfel kochen",
        "\xc3\xa4pfel", "\xff\xfe" };
    struct prompt_kin *kin;
    assert_int_equal(prompt_kin_build(texts, 5, &kin, NULL), OK);
    assert_int_equal(kin[0].n + kin[1].n + kin[4].n, 0);
    assert_int_equal(kin[2].n, 1);
    assert_int_equal(kin[2].prompt[0], 3);
    free(kin);
    assert_int_equal(prompt_kin_build(NULL, 0, &kin, NULL), OK);
    free(kin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_nearest_first_and_no_more_than_fit),
        cmocka_unit_test(test_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
