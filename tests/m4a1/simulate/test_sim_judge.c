/* test_sim_judge.c - the judge reads the qualities and replies as it is asked to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_judge.h"
#include "tests/support/chat_body.h"
#include "tests/support/sim_case.h"

#define Q(x) "text [simulated answer, quality " x " of 10]"

static void qualities_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double candidate, reference;
    } cases[] = {
        { "A: " Q("6.4") " B: " Q("9.0"), 6.4, 9 },
        { "A: I'm sorry, but I can't. B: " Q("9.0"), 1, 9 },
        { "nothing at all", 1, 1 },
        { "<candidate>\n" Q("3.1") "\n</candidate><reference>" Q("10.0") "</reference>",
            3.1, 10 },
        { "<reference>" Q("8.2") "</reference> <candidate>" Q("7.0") "</candidate>", 7,
            8.2 },
        { "<candidate>I don't have it</candidate><reference>" Q("8.0") "</reference>", 1,
            8 },
        { "<candidate>" Q("5.0") "</candidate><reference>sorry</reference>", 5, 1 },
        /* Marks of the history and tags of the instructions are left alone. */
        { "Reply by <candidate> and <reference>. History: " Q("2.0") "<candidate>" Q(
              "5.5") "</candidate><reference>" Q("6.5") "</reference>",
            5.5, 6.5 },
        { "[simulated answer, quality 99 of 10]" Q("4.0") Q("5.0"), 4, 5 },
        { "[simulated answer, quality of 10] [simulated answer, quality 3", 1, 1 },
        { "<candidate>", 1, 1 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double candidate, reference;
        sim_judge_read(cases[i].text, &candidate, &reference);
        if (candidate != cases[i].candidate || reference != cases[i].reference)
            fail_msg("%s: %g and %g", cases[i].text, candidate, reference);
    }
}

static void replies_are_scores_with_noise(void **state)
{
    (void)state;
    struct recipe *recipe = sim_recipe();
    double sum[2] = { 0 };
    enum { N = 500 };
    int differ = 0;
    assert_non_null(recipe);
    for (int i = 0; i < N; i++) {
        struct sim_case c;
        struct buffer reply;
        struct json *root;
        char text[300];
        snprintf(text, sizeof text,
            "Request %d <candidate>%s</candidate>"
            "<reference>%s</reference>",
            i, Q("4.3"), Q("9.8"));
        buffer_init(&reply, 4096);
        assert_true(sim_case_open(&c, 3, recipe, chat_body(CHAT_JUDGE, text, 0, 0, "")));
        assert_int_equal(c.ask.role, LLM_JUDGE);
        sim_judge_reply(&c.ask, 0, &reply);
        assert_int_equal(json_parse(reply.data, reply.len, "reply", 0, &root, NULL), OK);
        assert_int_equal(json_size(root), 2);
        const struct json *a = json_get(root, "candidate"),
                          *b = json_get(root, "reference");
        assert_true(json_is_int(a) && json_is_int(b));
        assert_in_range(json_int(a, 0), 1, 10);
        assert_in_range(json_int(b, 0), 1, 10);
        differ += json_int(a, 0) != 4;
        sum[0] += json_number(a, 0);
        sum[1] += json_number(b, 0);
        json_free(root);
        buffer_clear(&reply);
        sim_judge_reply(&c.ask, 1, &reply);
        assert_null(strpbrk(reply.data, "{0123456789"));
        buffer_release(&reply);
        sim_case_close(&c);
    }
    assert_true(fabs(sum[0] / N - 4.3) < 0.15);
    assert_true(sum[1] / N > 9.4 && sum[1] / N <= 10);
    assert_true(differ > N / 10);
    recipe_free(recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(qualities_are_read),
        cmocka_unit_test(replies_are_scores_with_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
