/* test_sim_meter.c - tokens and latency by the stated rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/simulate/sim_meter.h"
#include "tests/support/chat_body.h"
#include "tests/support/sim_case.h"

static void images_are_billed_by_tiles(void **state)
{
    (void)state;
    /* 1024 x 1024 is the published example: 768 x 768, four tiles. */
    assert_int_equal(meter_image_tokens(1024, 1024, 0), 765);
    assert_int_equal(meter_image_tokens(1024, 1024, 1), 85);
    assert_int_equal(meter_image_tokens(512, 512, 0), 255);
    assert_int_equal(meter_image_tokens(513, 512, 0), 425);
    assert_int_equal(meter_image_tokens(768, 512, 0), 425);
    /* 2048 x 4096 -> 1024 x 2048 -> 768 x 1536: six tiles, as published. */
    assert_int_equal(meter_image_tokens(2048, 4096, 0), 1105);
    assert_int_equal(meter_image_tokens(1, 1, 0), 255);
    assert_int_equal(meter_text_tokens(0), 0);
    assert_int_equal(meter_text_tokens(1), 1);
    assert_int_equal(meter_text_tokens(8), 2);
    assert_int_equal(meter_text_tokens(9), 3);
}

static void prompts_add_up(void **state)
{
    (void)state;
    struct recipe *recipe = sim_recipe();
    struct sim_case c;
    assert_true(
        sim_case_open(&c, 1, recipe, chat_body(CHAT_CLOUD, "abcdefgh", 1, 2, "")));
    size_t text = strlen("View first_person:\nView side:\nabcdefgh");
    assert_int_equal(
        meter_prompt_tokens(&c.request), 3 + 4 + (int64_t)(text + 3) / 4 + 2 * 425);
    assert_int_equal(meter_cached_tokens(&c.ask), 0); /* no history */
    sim_case_close(&c);
    recipe_free(recipe);
}

/* A dialogue whose history has n_words of eight letters. */
static char *dialogue(const char *model, int n_words, int i)
{
    struct buffer body;
    buffer_init(&body, 1u << 20);
    (void)buffer_printf(&body,
        "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%d ", model, i);
    for (int k = 0; k < n_words; k++)
        (void)buffer_add_str(&body, "kitchen ");
    (void)buffer_add_str(&body, "\"},{\"role\":\"assistant\",\"content\":\"yes\"},"
                                "{\"role\":\"user\",\"content\":\"and now?\"}]}");
    return buffer_detach(&body, NULL);
}

static void long_histories_are_cached_half_of_the_time(void **state)
{
    (void)state;
    struct recipe *recipe = sim_recipe();
    enum { N = 200 };
    int n_cached = 0;
    for (int i = 0; i < N; i++) {
        struct sim_case c;
        assert_true(sim_case_open(&c, 1, recipe, dialogue(CHAT_CLOUD, 700, i)));
        int64_t cached = meter_cached_tokens(&c.ask);
        assert_int_equal(cached % 128, 0);
        assert_true(cached == 0 || cached >= 1024);
        assert_true(cached < meter_prompt_tokens(&c.request));
        assert_int_equal(cached, meter_cached_tokens(&c.ask));
        n_cached += cached > 0;
        sim_case_close(&c);
        assert_true(sim_case_open(&c, 1, recipe, dialogue(CHAT_LOCAL, 700, i)));
        assert_int_equal(meter_cached_tokens(&c.ask), 0);
        sim_case_close(&c);
        assert_true(sim_case_open(&c, 1, recipe, dialogue(CHAT_CLOUD, 400, i)));
        assert_int_equal(meter_cached_tokens(&c.ask), 0);
        sim_case_close(&c);
    }
    assert_true(n_cached > N / 3 && n_cached < 2 * N / 3);
    recipe_free(recipe);
}

static int64_t first_token_ns(const struct recipe *recipe, const char *model, int n_views)
{
    struct sim_case c;
    int64_t sum = 0;
    for (int i = 0; i < 50; i++) {
        assert_true(sim_case_open(&c, 1, recipe, chat_body(model, "x", i, n_views, "")));
        sum += meter_pace(&c.ask, meter_prompt_tokens(&c.request)).first_token_ns;
        sim_case_close(&c);
    }
    return sum / 50;
}

static void latency_grows_with_views(void **state)
{
    (void)state;
    struct recipe *recipe = sim_recipe();
    struct sim_case c;
    int64_t none = first_token_ns(recipe, CHAT_CLOUD, 0);
    int64_t three = first_token_ns(recipe, CHAT_CLOUD, 3);
    assert_true(none > 500000000 && none < 1000000000);
    assert_true(three > none + 2000000000LL && three < none + 4000000000LL);
    assert_true(sim_case_open(&c, 1, recipe, chat_body(CHAT_LOCAL, "x", 0, 0, "")));
    assert_int_equal(meter_pace(&c.ask, 5).token_ns, 1000000000 / 14);
    sim_case_close(&c);
    recipe_free(recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_billed_by_tiles),
        cmocka_unit_test(prompts_add_up),
        cmocka_unit_test(long_histories_are_cached_half_of_the_time),
        cmocka_unit_test(latency_grows_with_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
