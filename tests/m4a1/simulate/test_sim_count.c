/* test_sim_count.c - faults by probability and times seen; counts that add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/simulate/sim_count.h"
#include "tests/support/chat_body.h"
#include "tests/support/sim_case.h"

/* Seven kinds, two of which need something that not each request has. */
#define KINDS                                                                            \
    (FAULT_BIT(FAULT_RATE_LIMIT) | FAULT_BIT(FAULT_SERVER_ERROR) |                       \
        FAULT_BIT(FAULT_DROPPED) | FAULT_BIT(FAULT_CUT) | FAULT_BIT(FAULT_QUOTA) |       \
        FAULT_BIT(FAULT_NO_END) | FAULT_BIT(FAULT_UNPARSABLE))

static void faults_have_their_probability(void **state)
{
    (void)state;
    struct recipe *recipe = sim_recipe();
    enum { N = 2000 };
    int kinds[N_FAULTS] = { 0 }, n_judge_kinds[N_FAULTS] = { 0 };
    for (int i = 0; i < N; i++) {
        struct sim_case c, judge;
        assert_true(sim_case_open(&c, 1, recipe, chat_body(CHAT_CLOUD, "x", i, 1, "")));
        assert_true(
            sim_case_open(&judge, 1, recipe, chat_body(CHAT_JUDGE, "x", i, 1, "")));
        kinds[sim_fault_draw(&c.ask, 0.3, KINDS, 1)]++;
        n_judge_kinds[sim_fault_draw(&judge.ask, 1, KINDS, 1)]++;
        assert_int_equal(sim_fault_draw(&c.ask, 0, KINDS, 1), FAULT_NONE);
        assert_int_not_equal(sim_fault_draw(&c.ask, 1, KINDS, FAULT_TIMES), FAULT_NONE);
        assert_int_equal(sim_fault_draw(&c.ask, 1, KINDS, FAULT_TIMES + 1), FAULT_NONE);
        assert_int_not_equal(sim_fault_draw(&judge.ask, 1, KINDS, 2), FAULT_UNPARSABLE);
        sim_case_close(&c);
        sim_case_close(&judge);
    }
    assert_in_range(kinds[FAULT_NONE], 0.66 * N, 0.74 * N);
    assert_int_equal(kinds[FAULT_UNPARSABLE], 0);
    assert_int_equal(n_judge_kinds[FAULT_NONE], 0);
    for (int k = 1; k < N_FAULTS; k++) {
        int possible = (KINDS & FAULT_BIT(k)) && k != FAULT_NO_END;
        if (possible && k != FAULT_UNPARSABLE)
            assert_in_range(kinds[k], 0.04 * N, 0.08 * N);
        else
            assert_int_equal(kinds[k], 0);
        if (possible)
            assert_in_range(n_judge_kinds[k], 0.13 * N, 0.21 * N);
        else
            assert_int_equal(n_judge_kinds[k], 0);
    }
    recipe_free(recipe);
}

static void kinds_are_named(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    unsigned kinds;
    assert_int_equal(sim_fault_kinds("quota,no_usage", &kinds, &err), OK);
    assert_int_equal(kinds, FAULT_BIT(FAULT_QUOTA) | FAULT_BIT(FAULT_NO_USAGE));
    for (int k = 1; k < N_FAULTS; k++) {
        assert_int_equal(sim_fault_kinds(sim_fault_names[k], &kinds, NULL), OK);
        assert_int_equal(kinds, FAULT_BIT(k));
        assert_int_equal(sim_fault_answers((enum sim_fault)k), k >= FAULT_UNPARSABLE);
    }
    assert_int_equal(sim_fault_kinds("cut,droped", &kinds, &err), E_ARG);
    assert_non_null(strstr(err.msg, "\"dropped\""));
    assert_int_equal(sim_fault_kinds("none", &kinds, NULL), E_ARG);
    assert_int_equal(sim_fault_kinds("", &kinds, NULL), E_ARG);
    assert_int_equal(FAULT_DEFAULT & (FAULT_BIT(FAULT_QUOTA) | FAULT_BIT(FAULT_PAYMENT) |
                                         FAULT_BIT(FAULT_NO_USAGE)),
        0);
}

static void requests_are_recognised(void **state)
{
    (void)state;
    struct recipe *recipe = sim_recipe();
    struct sim_count *count;
    struct json *root = json_new_object();
    enum { N = 5000 }; /* makes the table grow */
    assert_int_equal(count_new(recipe, &count, NULL), OK);
    for (int round = 1; round <= 3; round++)
        for (int i = 0; i < N; i += round) {
            char hash[HASH_HEX];
            hash_hex(&i, sizeof i, hash);
            if (round == 1 || (round == 2 && i % 2 == 0))
                assert_int_equal(count_seen(count, hash), round);
        }
    count_json(count, root);
    const struct json *requests = json_get(root, "requests");
    assert_int_equal(json_int(json_get(requests, "distinct"), 0), N);
    assert_int_equal(json_int(json_get(requests, "seen_again"), 0), N / 2);
    json_free(root);
    count_free(count);
    count_free(NULL);
    recipe_free(recipe);
}

static int64_t figure(const struct json *root, const char *object, const char *key)
{
    return json_int(json_get(json_get(root, object), key), -1);
}

static void outcomes_add_up(void **state)
{
    (void)state;
    struct recipe *recipe = sim_recipe();
    struct sim_count *count;
    assert_int_equal(count_new(recipe, &count, NULL), OK);
    void *notes[7];
    for (int i = 0; i < 7; i++)
        notes[i] = count_begin(count, i < 6 ? CHAT_CLOUD : NULL);
    notes[0] = count_note(notes[0], COUNT_ANSWER, FAULT_NONE);
    notes[1] = count_note(notes[1], COUNT_REFUSAL, FAULT_NONE);
    notes[2] = count_note(notes[2], COUNT_ANSWER, FAULT_UNPARSABLE);
    notes[3] = count_note(notes[3], COUNT_FAULT, FAULT_CUT);
    notes[4] = count_note(notes[4], COUNT_ANSWER, FAULT_NONE);
    const struct sim_bill bill = { 100, 20, 1500000000, 5, 3, 1 };
    count_bill(count, notes[0], &bill);
    for (int i = 0; i < 4; i++)
        count_done(count, notes[i], i == 3 ? HTTP_BROKEN : HTTP_SENT);
    count_done(count, notes[4], HTTP_GONE);
    count_done(count, notes[6], HTTP_SENT); /* never got beyond invalid */
    count_done(count, NULL, HTTP_SENT);     /* no chat request */
    struct json *root = json_new_object();
    count_json(count, root);
    assert_int_equal(figure(root, "requests", "seen"), 7);
    assert_int_equal(figure(root, "requests", "answered"), 3);
    assert_int_equal(figure(root, "requests", "faulted"), 1);
    assert_int_equal(figure(root, "requests", "invalid"), 1);
    assert_int_equal(figure(root, "requests", "abandoned"), 1);
    assert_int_equal(figure(root, "requests", "in_flight"), 1);
    assert_int_equal(figure(root, "requests", "peak_in_flight"), 7);
    assert_int_equal(figure(root, "faults", "cut"), 1);
    assert_int_equal(figure(root, "faults", "unparsable"), 1);
    assert_int_equal(figure(root, "faults", "dropped"), 0);
    assert_int_equal(json_int(json_get(root, "refusals"), 0), 1);
    const struct json *models = json_get(root, "models");
    assert_int_equal(figure(models, CHAT_CLOUD, "seen"), 6);
    assert_int_equal(figure(models, CHAT_CLOUD, "answered"), 3);
    assert_int_equal(figure(models, CHAT_CLOUD, "in_flight"), 1);
    assert_int_equal(figure(models, CHAT_CLOUD, "prompt_tokens"), 100);
    assert_true(
        json_number(json_get(json_get(models, CHAT_CLOUD), "answer_s"), 0) == 1.5);
    const struct json *cloud = json_get(models, CHAT_CLOUD);
    assert_int_equal(json_int(json_get(cloud, "texts"), -1), 5);
    assert_int_equal(json_int(json_get(cloud, "images"), -1), 3);
    assert_int_equal(json_int(json_get(cloud, "sounds"), -1), 1);
    assert_int_equal(figure(models, CHAT_LOCAL, "seen"), 0);
    json_free(root);
    count_free(count);
    recipe_free(recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_have_their_probability),
        cmocka_unit_test(kinds_are_named),
        cmocka_unit_test(requests_are_recognised),
        cmocka_unit_test(outcomes_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
