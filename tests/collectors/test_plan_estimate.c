/* Estimates: guessed before anything is measured, then by the measured means. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "collectors/plan.h"
#include "m4a1/base/text.h"
#include "tests/support/plan_case.h"

static struct plan_estimate estimate(int64_t n_sessions)
{
    struct plan_options options = plan_options_init();
    struct plan_estimate e = { 0 };
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    options.n_sessions = n_sessions;
    options.dry_run = 1;
    options.estimate = &e;
    if (plan_make(plan_store, &options, &counts, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(e.calls, counts.path + counts.fan_out + counts.reference);
    return e;
}

static const struct estimate_llm *find(const struct plan_estimate *e, const char *name)
{
    for (size_t i = 0; i < e->n_llms; i++) {
        if (text_equal(e->llms[i].name, name))
            return &e->llms[i];
    }
    fail_msg("no llm %s", name);
    return NULL;
}

#define JUDGE                                                                            \
    ", \"j\": {\"role\": \"judge\", \"like\": \"gpt\", \"model\": \"j\", \"limits\": "   \
    "{\"rpm\": 60}}"

static void what_is_not_measured_is_guessed(void **state)
{
    (void)state;
    plan_apply_with(
        "{\"n\": 20, \"turns\": [2, 3], \"seed\": 1}", JUDGE, "{\"fan_out\": 1}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    struct plan_estimate e = estimate(-1);
    const struct estimate_llm *gpt = find(&e, "gpt");
    assert_int_equal(gpt->basis, BASIS_GUESSED);
    assert_int_equal(e.n_guessed, 4);
    assert_int_equal(e.n_unpriced, 1); /* the judge has no price here */
    assert_false(find(&e, "j")->is_priced);
    /* path and fan-out calls are judged, the reference is not */
    assert_int_equal(e.judgements, e.calls - find(&e, "ref")->calls);
    assert_int_equal(find(&e, "j")->calls, e.judgements);
    assert_true(gpt->usd_low < 0.5 * gpt->usd && gpt->usd_high > 2 * gpt->usd);
    assert_true(find(&e, "phi")->usd == 0 && find(&e, "phi")->is_priced);
    assert_true(e.usd > 0 && e.usd_low < e.usd && e.usd < e.usd_high);
    /* a judge that takes 60 calls a minute needs a second each */
    assert_true(find(&e, "j")->hours >= (double)e.judgements / 3600 - 1e-9);
    assert_true(e.hours >= find(&e, "j")->hours + gpt->hours - 1e-9);
    assert_int_equal(plan_number("SELECT count(*) FROM call"), 0);
    assert_true(e.thinnest.wanted > 0);
    plan_estimate_release(&e);
}

/* Every answer has 100 + 1000 tokens a view in, 50 out; 1 and 2 USD a million. */
static void what_is_measured_is_used(void **state)
{
    (void)state;
    plan_apply_with(
        "{\"n\": 60, \"turns\": [2, 3], \"seed\": 1}", "", "{\"fan_out\": 2}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    assert_int_equal(plan_make(plan_store, &options, &counts, NULL), OK);
    plan_answer_all(1);
    struct plan_estimate e = estimate(120);
    assert_int_equal(find(&e, "gpt")->basis, BASIS_SIMULATED);
    assert_int_equal(e.n_simulated, 3);
    plan_estimate_release(&e);

    /* real answers push the simulated ones aside */
    options.n_sessions = 100;
    assert_int_equal(plan_make(plan_store, &options, &counts, NULL), OK);
    plan_answer_all(0);
    e = estimate(200);
    const struct estimate_llm *ref = find(&e, "ref"), *gpt = find(&e, "gpt");
    assert_int_equal(ref->basis, BASIS_MEASURED);
    assert_int_equal(ref->n_measured,
        plan_number(
            "SELECT count(*) FROM response JOIN call USING (call_id) WHERE purpose "
            "= 'reference' AND NOT simulated"));
    /* the reference sees both views always */
    assert_true(fabs(ref->input_tokens - 2100.0 * (double)ref->calls) < 1e-6);
    assert_true(fabs(ref->output_tokens - 50.0 * (double)ref->calls) < 1e-6);
    assert_true(fabs(ref->usd - (double)ref->calls * 2200e-6) < 1e-9);
    assert_true(fabs(ref->usd_high - ref->usd_low) < 1e-9); /* no spread was measured */
    /* 2 s a call over the one slot that it has */
    assert_true(fabs(ref->hours - 2.0 * (double)ref->calls / 3600) < 1e-9);
    assert_true(fabs(ref->latency_s - 2) < 1e-9);

    /* the sum over gpt's calls by their views, as the plan has them */
    struct plan_counts more;
    options.n_sessions = 200;
    assert_int_equal(plan_make(plan_store, &options, &more, NULL), OK);
    double expected = (double)plan_number(
        "SELECT sum(100 + 1000 * (SELECT count(*) FROM call_view v WHERE v.call_id = "
        "c.call_id)) FROM call c JOIN llm l USING (llm_id) WHERE l.name = 'gpt' AND NOT "
        "EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id)");
    assert_true(fabs(gpt->input_tokens - expected) < 1e-3);
    plan_estimate_release(&e);
}

/* What was measured with one view only is carried over to two by the fitted line. */
static void other_numbers_of_images_are_fitted(void **state)
{
    (void)state;
    plan_apply_with(
        "{\"n\": 60, \"turns\": [2, 2], \"seed\": 1}", "", "{\"fan_out\": 1}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    assert_int_equal(plan_make(plan_store, &options, &counts, NULL), OK);
    plan_answer_all(0);
    plan_sql("DROP TRIGGER response_is_kept");
    plan_sql("DROP TRIGGER attempt_is_kept");
    plan_sql("DELETE FROM response WHERE call_id IN (SELECT call_id FROM call WHERE "
             "views_context = 3)");
    struct plan_inputs in;
    struct estimate_model *model;
    assert_int_equal(plan_inputs_load(plan_store, &in, NULL), OK);
    assert_int_equal(estimate_model_load(plan_store, &in, &model, NULL), OK);
    struct estimate_call one = estimate_one(model, 1, 1, 0, 10);
    struct estimate_call two = estimate_one(model, 1, 2, 0, 10);
    assert_true(fabs(one.input_tokens - 1100) < 1e-6);
    assert_true(fabs(two.input_tokens - 2100) < 1e-6);
    assert_true(two.usd_low < two.usd && two.usd < two.usd_high);
    assert_true(one.usd_low == one.usd && one.usd_high == one.usd);
    estimate_model_free(model);
    plan_inputs_release(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_is_not_measured_is_guessed, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_measured_is_used, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            other_numbers_of_images_are_fitted, plan_set_up, plan_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
