/* test_agent.c - what an llm that chooses is told, and which replies name an action. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "m4a1/simulate/sim_agent.h"
#include "m4a1/tmo/agent.h"
#include "m4a1/tmo/live.h"
#include "tests/support/world_data.h"

static void test_reads_replies(void **state)
{
    (void)state;
    assert_int_equal(agent_read("3", 9), 3);
    assert_int_equal(agent_read("**Action 12.** It is cheap.", 12), 12);
    assert_int_equal(agent_read("12", 11), 0);
    assert_int_equal(agent_read("0", 9), 0);
    assert_int_equal(agent_read("the local one", 9), 0);
    assert_int_equal(agent_read("", 9), 0);
    assert_int_equal(agent_read("99999999999999999999999999999999", 9), 0);
}

static struct world make(void)
{
    struct world w;
    const struct world_shape shape = { 2, 2, 2, 6, 4 };
    world_make(&w, &shape, 1);
    return w;
}

static void ask(const struct episode *ep, const size_t *past, struct buffer *out,
    size_t *options, size_t *n)
{
    buffer_clear(out);
    assert_int_equal(agent_question(ep, past, out, options, n, NULL), OK);
}

/* In an empty dialogue every action is another option; where it holds all views, one is
 * left for each llm, since nothing can be added. */
static void test_lists_what_differs(void **state)
{
    (void)state;
    struct world w = make();
    struct environment_settings set = environment_defaults();
    set.costs.table = &w.costs;
    struct environment *env = world_environment(&w, &set);
    struct episode ep;
    struct buffer text;
    size_t n, options[64], past[8] = { 0 }, session = 0;
    buffer_init(&text, 1 << 20);
    while (w.rec->sessions[session].n_turns < 2)
        session++;
    episode_start(&ep, env, RULES_MODEL, session);
    ask(&ep, past, &text, options, &n);
    assert_int_equal(n, env->n_actions);
    assert_int_equal(sim_agent_actions(buffer_str(&text)), n);
    assert_non_null(strstr(buffer_str(&text), "Earlier turns: none"));
    assert_non_null(strstr(buffer_str(&text), "Views that the dialogue holds: none"));
    assert_non_null(strstr(buffer_str(&text), "Budget of latency: 30 of 30 s remain"));
    assert_non_null(
        strstr(buffer_str(&text), w.rec->prompt_texts[w.rec->prompts[ep.first]]));

    for (size_t a = 0; a < env->n_actions; a++)
        if (recorded_added(w.rec, a, 0) == 3)
            past[0] = a;
    struct outcome outcome;
    episode_step(&ep, past[0], &outcome);
    ask(&ep, past, &text, options, &n);
    assert_int_equal(n, w.rec->space.n_llms);
    assert_null(strstr(buffer_str(&text), "Budget of latency: 30 of 30 s remain"));
    assert_null(strstr(buffer_str(&text), "Earlier turns: none"));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(recorded_added(w.rec, options[i], ep.context), 0);
    buffer_release(&text);
    environment_free(env);
    world_release(&w);
}

static void test_seed_of_a_policy(void **state)
{
    (void)state;
    assert_int_equal(live_seed("00000000000aff"), 10);
    assert_true(live_seed("ffffffffffffffff") == (INT64_C(1) << 48) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_replies),
        cmocka_unit_test(test_lists_what_differs),
        cmocka_unit_test(test_seed_of_a_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
