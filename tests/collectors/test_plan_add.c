/* A new llm over the histories that are there, anchors beside it, and what drifted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "collectors/plan_add.h"
#include "export/drift.h"
#include "m4a1/base/text.h"
#include "tests/support/plan_case.h"

#define SESSIONS "{\"n\": 12, \"turns\": [2, 3], \"seed\": 1}"
#define NEW_LLMS                                                                         \
    ", \"new\": {\"role\": \"cloud\", \"like\": \"gpt\", \"model\": \"n\", "             \
    "\"accepts\": "                                                                      \
    "{\"image\": 1}}, \"ref2\": {\"role\": \"reference\", \"like\": \"gpt\", "           \
    "\"model\": "                                                                        \
    "\"r2\", \"views\": \"all\"}, \"j\": {\"role\": \"judge\", \"like\": \"gpt\", "      \
    "\"model\": \"j\"}"

static int set_up(void **state)
{
    if (plan_set_up(state))
        return 1;
    plan_apply_with(SESSIONS, "", "{\"fan_out\": 1}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    if (plan_make(plan_store, &options, &counts, NULL))
        return 1;
    plan_answer_all(0);
    plan_apply_with(SESSIONS, NEW_LLMS, "{\"anchors\": 0.25}");
    return 0;
}

static struct add_result add(const char *llm, int64_t fan_out)
{
    struct add_options options = {
        .llm = llm, .fan_out = fan_out, .anchors = -1, .seed = -1
    };
    struct add_result result;
    struct error err = ERROR_INIT;
    if (plan_add_llm(plan_store, &options, &result, &err))
        fail_msg("%s", err.msg);
    return result;
}

static void every_history_is_asked(void **state)
{
    (void)state;
    struct add_result r = add("new", -2);
    assert_int_equal(r.n_turns, plan_number("SELECT count(*) FROM turn"));
    /* new accepts one image: 3 actions behind none, 1 behind one, none behind two */
    assert_int_equal(r.counts.fan_out,
        plan_number("SELECT sum(CASE coalesce(p.views_context, 0) WHEN 0 THEN 3 WHEN 3 "
                    "THEN 0 ELSE 1 END) FROM call c LEFT JOIN call p ON p.call_id = "
                    "c.parent_id WHERE c.purpose = 'path'"));
    assert_int_equal(r.n_without_action,
        plan_number("SELECT count(*) FROM call c JOIN call p ON p.call_id = c.parent_id "
                    "WHERE c.purpose = 'path' AND p.views_context = 3"));
    assert_int_equal(
        plan_number(
            "SELECT count(*) FROM call c JOIN llm l USING (llm_id) WHERE l.name = "
            "'new' AND (c.purpose <> 'fan_out' OR c.probability <> 1)"),
        0);
    /* a quarter of each old llm's answers, rounded up, and at least ten */
    assert_int_equal(r.counts.check,
        plan_number(
            "SELECT sum(min(n, max(10, cast(ceil(n / 4.0) AS INTEGER)))) FROM (SELECT "
            "count(*) AS "
            "n FROM call c WHERE EXISTS (SELECT 1 FROM response r WHERE r.call_id "
            "= c.call_id) GROUP BY llm_id)"));
    assert_int_equal(plan_number("SELECT count(*) FROM call WHERE purpose = 'check' AND "
                                 "sample = 1"),
        r.counts.check);
    plan_check();

    r = add("new", -2); /* again: nothing */
    assert_int_equal(r.counts.fan_out + r.counts.check, 0);

    r = add("ref2", -2);
    assert_int_equal(r.counts.reference, r.n_turns);
    assert_true(r.counts.check > 0); /* anchors of its own, with the next number */
    assert_true(plan_number("SELECT max(sample) FROM call WHERE purpose = 'check'") <= 2);
    plan_check();
}

static void some_actions_have_a_probability(void **state)
{
    (void)state;
    add("new", 1);
    assert_int_equal(
        plan_number(
            "SELECT count(*) FROM call c JOIN llm l USING (llm_id) LEFT JOIN call "
            "p ON p.call_id = c.parent_id WHERE l.name = 'new' AND "
            "abs(c.probability - CASE coalesce(p.views_context, 0) WHEN 0 THEN "
            "1.0 / 3 ELSE 1 END) > 1e-12"),
        0);
    assert_int_equal(
        plan_number("SELECT max(n) FROM (SELECT count(*) AS n FROM call c "
                    "JOIN llm l USING (llm_id) WHERE l.name = 'new' GROUP BY "
                    "turn_id)"),
        1);
    plan_check();
}

static void histories_that_failed_are_left_out(void **state)
{
    (void)state;
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    options.n_sessions = 13;
    assert_int_equal(plan_make(plan_store, &options, &counts, NULL), OK);
    plan_refuse(plan_number("SELECT min(call_id) FROM call c WHERE purpose = 'path' AND "
                            "NOT EXISTS (SELECT 1 FROM response r WHERE r.call_id = "
                            "c.call_id)"));
    struct add_result r = add("new", -2);
    /* the first turn can be asked, what lies behind the refusal cannot */
    assert_int_equal(
        plan_number("SELECT count(*) FROM turn") - r.n_turns, counts.turns - 1);
    plan_check();
}

static void wrong_names_are_told(void **state)
{
    (void)state;
    struct add_options options = {
        .llm = "nwe", .fan_out = -2, .anchors = -1, .seed = -1
    };
    struct add_result result;
    struct error err = ERROR_INIT;
    assert_int_equal(plan_add_llm(plan_store, &options, &result, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "phi, gpt, ref, new"));
    options.llm = "j";
    assert_int_equal(plan_add_llm(plan_store, &options, &result, &err), E_ARG);
    assert_non_null(strstr(err.msg, "annotate"));
}

/* Old answers took 2 s, those to the same calls asked again take 3 s and 10 tokens more,
 * from another model. */
static void answer_anchors(int every, const char *model)
{
    plan_sql("INSERT INTO attempt (call_id, number, status, sent_ms, closed_ms, "
             "request_sha256, request, latency_ns) SELECT call_id, 1, 'ok', "
             "1800000000000, 1800000003000, 'h', x'00', 3000000000 + call_id FROM call "
             "WHERE purpose = 'check'");
    char *text = text_format(
        "INSERT INTO response (call_id, attempt_id, text, model, input_tokens,"
        " cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,"
        " simulated) SELECT a.call_id, a.attempt_id, 'yes', '%s', 100 + 1000 * (SELECT "
        "count(*) FROM call_view v WHERE v.call_id = a.call_id), 0, 0, 60, 0, %d FROM "
        "attempt a JOIN call c USING (call_id) WHERE c.purpose = 'check'",
        model, every);
    plan_sql(text);
    free(text);
}

static const struct drift_llm *find(const struct drift *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++) {
        if (text_equal(d->llms[i].name, name))
            return &d->llms[i];
    }
    fail_msg("no anchors of %s", name);
    return NULL;
}

static void drift_is_measured(void **state)
{
    (void)state;
    struct drift d;
    add("new", -2);
    assert_int_equal(drift_load(plan_store, &d, NULL), OK);
    const struct drift_llm *gpt = find(&d, "gpt");
    assert_int_equal(gpt->n_pairs, 0);
    assert_true(gpt->n_open > 1);
    drift_release(&d);

    answer_anchors(0, "m2");
    plan_sql(
        "INSERT INTO score (response_id, scorer, version, value) SELECT response_id, "
        "'ratio', '1', 1 FROM response WHERE model = 'm'");
    plan_sql(
        "INSERT INTO score (response_id, scorer, version, value) SELECT response_id, "
        "'ratio', '1', 1 + (response_id % 2) * 0.001 - 0.0005 FROM response WHERE "
        "model = 'm2'");
    assert_int_equal(drift_load(plan_store, &d, NULL), OK);
    gpt = find(&d, "gpt");
    assert_int_equal(gpt->n_open, 0);
    assert_int_equal(gpt->n_pairs,
        plan_number("SELECT count(*) FROM call c JOIN llm l USING (llm_id) WHERE "
                    "purpose = 'check' AND l.name = 'gpt'"));
    const struct drift_change *latency = &gpt->changes[DRIFT_LATENCY];
    assert_int_equal(latency->n, gpt->n_pairs);
    assert_true(fabs(latency->first - 2) < 1e-9);
    assert_true(fabs(latency->difference - 1) < 1e-5);
    assert_true(latency->low <= latency->difference &&
                latency->high >= latency->difference &&
                latency->verdict == DRIFT_CHANGED);
    assert_true(gpt->n_pairs >= DRIFT_MIN_PAIRS);
    assert_true(fabs(gpt->changes[DRIFT_OUTPUT].difference - 10) < 1e-12);
    assert_true(fabs(gpt->changes[DRIFT_COST].difference - 10 * 2e-6) < 1e-12);
    assert_true(gpt->changes[DRIFT_INPUT].difference == 0);
    assert_int_equal(gpt->changes[DRIFT_INPUT].verdict, DRIFT_NO_SHOWN);
    assert_true(gpt->changes[DRIFT_CACHE_READ].is_all_zero);
    assert_int_equal(gpt->changes[DRIFT_REFUSED].n, 0);
    assert_true(isnan(gpt->changes[DRIFT_REFUSED].difference));
    assert_int_equal(gpt->n_models, 1);
    assert_string_equal(gpt->models[0].first, "m");
    assert_string_equal(gpt->models[0].again, "m2");
    assert_int_equal(gpt->models[0].n, gpt->n_pairs);
    drift_release(&d);
}

static void simulated_and_real_are_not_paired(void **state)
{
    (void)state;
    struct drift d;
    add("new", -2);
    answer_anchors(1, "m");
    assert_int_equal(drift_load(plan_store, &d, NULL), OK);
    assert_int_equal(find(&d, "gpt")->n_pairs, 0);
    assert_true(find(&d, "gpt")->n_mixed > 0);
    drift_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_history_is_asked, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            some_actions_have_a_probability, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            histories_that_failed_are_left_out, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(wrong_names_are_told, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(drift_is_measured, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            simulated_and_real_are_not_paired, set_up, plan_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
