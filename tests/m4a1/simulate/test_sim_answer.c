/* test_sim_answer.c - qualities and refusals depend on role, task and views as said. */
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
#include "m4a1/simulate/sim_answer.h"
#include "tests/support/chat_body.h"
#include "tests/support/sim_case.h"

#define N 400 /* scenes a mean is taken over */

static struct recipe *recipe;

static int open_recipe(void **state)
{
    (void)state;
    recipe = sim_recipe();
    return recipe ? 0 : -1;
}

static int close_recipe(void **state)
{
    (void)state;
    recipe_free(recipe);
    return 0;
}

static void open_case(
    struct sim_case *c, const char *model, const char *task, int scene, int n_views)
{
    const char *text = sim_prompt(recipe, task);
    char extra[32];
    /* Without a picture the scene would not show in the request. */
    snprintf(extra, sizeof extra, "\"seed\":%d,", scene);
    assert_non_null(text);
    assert_true(
        sim_case_open(c, 1, recipe, chat_body(model, text, scene, n_views, extra)));
    assert_string_equal(c->ask.task, task);
}

static double mean_quality(const char *model, const char *task, int n_views)
{
    double sum = 0;
    for (int scene = 0; scene < N; scene++) {
        struct sim_case c;
        open_case(&c, model, task, scene, n_views);
        double quality = sim_quality(&c.ask);
        assert_true(quality >= 1 && quality <= 10);
        sum += quality;
        sim_case_close(&c);
    }
    return sum / N;
}

static void roles_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        enum llm_role role;
    } models[] = { { CHAT_LOCAL, LLM_LOCAL }, { CHAT_CLOUD, LLM_CLOUD },
        { CHAT_REFERENCE, LLM_REFERENCE }, { CHAT_JUDGE, LLM_JUDGE } };
    for (size_t i = 0; i < COUNT_OF(models); i++) {
        struct sim_case c;
        assert_true(
            sim_case_open(&c, 1, recipe, chat_body(models[i].model, "hi", 0, 0, "")));
        assert_int_equal(c.ask.role, models[i].role);
        assert_null(c.ask.task);
        sim_case_close(&c);
    }
    struct sim_case c;
    assert_false(sim_case_open(&c, 1, recipe, chat_body("nobody", "hi", 0, 0, "")));
    sim_case_close(&c);
}

/* One model as cloud and judge: the marks in the text decide. */
static void a_model_with_two_roles_is_judged_by_the_text(void **state)
{
    (void)state;
    struct llm llms[2] = { { .role = LLM_CLOUD, .model = (char *)"both" },
        { .role = LLM_JUDGE, .model = (char *)"both" } };
    struct recipe two = { .llms = llms, .n_llms = 2 };
    struct sim_case c;
    assert_true(sim_case_open(&c, 1, &two, chat_body("both", "Compare.", 0, 0, "")));
    assert_int_equal(c.ask.role, LLM_CLOUD);
    sim_case_close(&c);
    assert_true(sim_case_open(
        &c, 1, &two, chat_body("both", "<candidate>\nI can't\n</candidate>", 0, 0, "")));
    assert_int_equal(c.ask.role, LLM_JUDGE);
    sim_case_close(&c);
}

static void quality_rises_with_the_role(void **state)
{
    (void)state;
    for (size_t i = 0; i < recipe->n_tasks; i++) {
        double local = mean_quality(CHAT_LOCAL, recipe->tasks[i], 3);
        double cloud = mean_quality(CHAT_CLOUD, recipe->tasks[i], 3);
        double reference = mean_quality(CHAT_REFERENCE, recipe->tasks[i], 3);
        print_message("%-17s local %.2f cloud %.2f reference %.2f\n", recipe->tasks[i],
            local, cloud, reference);
        assert_true(local + 0.2 < cloud);
        assert_true(cloud < reference);
    }
    /* Tasks differ in what they ask of a small llm, so that there is something to learn. */
    double query =
        mean_quality(CHAT_CLOUD, "Query", 3) - mean_quality(CHAT_LOCAL, "Query", 3);
    double message = mean_quality(CHAT_CLOUD, "Message Editing", 3) -
                     mean_quality(CHAT_LOCAL, "Message Editing", 3);
    assert_true(query > message + 2);
}

static void views_help_some_tasks(void **state)
{
    (void)state;
    double query[4], message[4];
    for (int n = 0; n < 4; n++) {
        query[n] = mean_quality(CHAT_CLOUD, "Query", n);
        message[n] = mean_quality(CHAT_CLOUD, "Message Editing", n);
    }
    print_message("Query %.2f %.2f %.2f %.2f\n", query[0], query[1], query[2], query[3]);
    assert_true(query[1] - query[0] > 2);
    assert_true(query[1] - query[0] > query[2] - query[1]);
    assert_true(query[2] - query[1] > query[3] - query[2]);
    assert_true(query[3] > query[2]);
    assert_true(fabs(message[3] - message[0]) < 0.3);
}

static void the_particular_view_matters(void **state)
{
    (void)state;
    double sum = 0, squares = 0;
    for (int scene = 0; scene < N; scene++) {
        struct sim_case c;
        open_case(&c, CHAT_CLOUD, "Query", scene, 1);
        double quality = sim_quality(&c.ask);
        sum += quality;
        squares += quality * quality;
        sim_case_close(&c);
    }
    double deviation = sqrt(squares / N - sum / N * (sum / N));
    assert_true(deviation > 0.52); /* more than the noise of 0.5 alone */
}

/* The same picture twice is one view. */
static void a_view_sent_again_adds_nothing(void **state)
{
    (void)state;
    struct sim_case once, again;
    open_case(&once, CHAT_CLOUD, "Query", 5, 1);
    open_case(&again, CHAT_CLOUD, "Query", 5, 1);
    again.request.images =
        realloc(again.request.images, 2 * sizeof *again.request.images);
    again.request.images[1] = again.request.images[0];
    again.request.n_images = 2;
    assert_true(sim_quality(&once.ask) == sim_quality(&again.ask));
    sim_case_close(&once);
    sim_case_close(&again);
}

static int has_keyword(const char *text)
{
    return strstr(text, "sorry") || strstr(text, "I don't have") || strstr(text, "can't");
}

static double refusal_rate(const char *model, const char *task, int n_views)
{
    int n = 0;
    for (int scene = 0; scene < N; scene++) {
        struct sim_case c;
        struct buffer text;
        char mark[64];
        buffer_init(&text, 1u << 16);
        open_case(&c, model, task, scene, n_views);
        int refused = sim_answer(&c.ask, &text);
        snprintf(mark, sizeof mark, "[simulated answer, quality %.1f of 10]",
            sim_quality(&c.ask));
        if (refused != has_keyword(text.data) ||
            refused == (strstr(text.data, mark) != NULL))
            fail_msg("refused %d: %s", refused, text.data);
        assert_int_equal(text_utf8_valid(text.data, text.len), text.len);
        n += refused;
        buffer_release(&text);
        sim_case_close(&c);
    }
    return (double)n / N;
}

static void small_llms_refuse_more_and_more_so_blind(void **state)
{
    (void)state;
    double local_blind = refusal_rate(CHAT_LOCAL, "Query", 0);
    double local_seeing = refusal_rate(CHAT_LOCAL, "Query", 3);
    double cloud_blind = refusal_rate(CHAT_CLOUD, "Query", 0);
    double cloud_seeing = refusal_rate(CHAT_CLOUD, "Query", 3);
    double message = refusal_rate(CHAT_LOCAL, "Message Editing", 0);
    assert_true(refusal_rate(CHAT_LOCAL, "Recommendation", 0) > cloud_seeing);
    assert_true(refusal_rate(CHAT_CLOUD, "Assistive System", 2) < 0.1);
    assert_true(local_blind > 0.19 && local_blind < 0.35);
    assert_true(local_seeing < local_blind / 2 && message < local_blind / 2);
    assert_true(cloud_blind > cloud_seeing && cloud_blind < local_blind);
}

static void answers_name_their_views(void **state)
{
    (void)state;
    int n_named = 0;
    for (int scene = 0; scene < 20; scene++) {
        struct sim_case c;
        struct buffer text;
        buffer_init(&text, 1u << 16);
        open_case(&c, CHAT_REFERENCE, "Query", scene, 3);
        if (!sim_answer(&c.ask, &text)) {
            n_named++;
            assert_non_null(strstr(text.data, "I looked at the first_person view, the "
                                              "side view and the overhead view."));
        }
        buffer_release(&text);
        sim_case_close(&c);
    }
    assert_true(n_named > 15);
}

static void words_of_the_user_never_make_a_refusal(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct sim_case c;
        struct buffer text;
        char extra[32];
        snprintf(extra, sizeof extra, "\"seed\":%d,", i);
        buffer_init(&text, 1u << 16);
        assert_true(sim_case_open(&c, 1, recipe,
            chat_body(CHAT_REFERENCE, "sorry can't sorryest I don't have naïveté", 1, 1,
                extra)));
        int refused = sim_answer(&c.ask, &text);
        assert_int_equal(refused, has_keyword(text.data));
        buffer_release(&text);
        sim_case_close(&c);
    }
}

static void seed_and_request_fix_the_answer(void **state)
{
    (void)state;
    struct buffer text[3];
    int differ = 0;
    for (int scene = 0; scene < 20; scene++) {
        for (int i = 0; i < 3; i++) {
            struct sim_case c;
            buffer_init(&text[i], 1u << 16);
            open_case(&c, CHAT_CLOUD, "Recommendation", scene, 2);
            c.ask.seed = i == 2 ? 2 : 1;
            sim_answer(&c.ask, &text[i]);
            sim_case_close(&c);
        }
        assert_string_equal(text[0].data, text[1].data);
        differ += strcmp(text[0].data, text[2].data) != 0;
        for (int i = 0; i < 3; i++)
            buffer_release(&text[i]);
    }
    assert_true(differ > 15);
}

static void unknown_tasks_have_their_own_gain(void **state)
{
    (void)state;
    double a = sim_task_gain(1, "Repair advice"), b = sim_task_gain(1, "Night watch");
    assert_true(a >= 0.3 && a < 2.3 && b >= 0.3 && b < 2.3 && a != b);
    assert_true(a == sim_task_gain(1, "Repair advice"));
    assert_true(sim_task_gain(1, NULL) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_are_told_apart),
        cmocka_unit_test(a_model_with_two_roles_is_judged_by_the_text),
        cmocka_unit_test(quality_rises_with_the_role),
        cmocka_unit_test(views_help_some_tasks),
        cmocka_unit_test(the_particular_view_matters),
        cmocka_unit_test(a_view_sent_again_adds_nothing),
        cmocka_unit_test(small_llms_refuse_more_and_more_so_blind),
        cmocka_unit_test(answers_name_their_views),
        cmocka_unit_test(words_of_the_user_never_make_a_refusal),
        cmocka_unit_test(seed_and_request_fix_the_answer),
        cmocka_unit_test(unknown_tasks_have_their_own_gain),
    };
    return cmocka_run_group_tests(tests, open_recipe, close_recipe);
}
