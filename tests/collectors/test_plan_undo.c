/* Taking back a plan: what was never attempted goes, what was stays with all it needs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "collectors/plan_add.h"
#include "collectors/plan_fill.h"
#include "collectors/plan_undo.h"
#include "m4a1/base/text.h"
#include "tests/support/plan_case.h"

#define SESSIONS "{\"n\": 12, \"turns\": [2, 3], \"seed\": 1}"

static int set_up(void **state)
{
    if (plan_set_up(state))
        return 1;
    plan_apply_with(SESSIONS, "", "{\"fan_out\": 1, \"samples\": 2}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    return 0;
}

static struct plan_counts draw(int64_t n)
{
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    options.n_sessions = n;
    if (plan_make(plan_store, &options, &counts, &err))
        fail_msg("%s", err.msg);
    return counts;
}

static struct undo_result undo(const char *llm)
{
    struct undo_options options = { .llm = llm };
    struct undo_result r;
    struct error err = ERROR_INIT;
    if (plan_undo(plan_store, &options, &r, &err))
        fail_msg("%s", err.msg);
    plan_check();
    return r;
}

static int64_t n_dropped(const struct undo_result *r)
{
    return r->path + r->fan_out + r->reference + r->check;
}

static int64_t n_calls(void)
{
    return plan_number("SELECT count(*) FROM call");
}

/* Answer the path and reference calls of the first turns of this many sessions. */
static void answer_first_turns(int n_sessions)
{
    char *text = text_format(
        "INSERT INTO attempt (call_id, number, status, final, error_class, error, "
        "sent_ms,"
        " closed_ms, request_sha256, request) SELECT call_id, 1, 'failed', 0, 'network',"
        " 'no', 1, 2, 'h', x'00' FROM call c JOIN turn t USING (turn_id) WHERE"
        " c.purpose IN ('path', 'reference') AND t.position = 0 AND t.session_id <= %d",
        n_sessions);
    plan_sql(text);
    free(text);
}

static void a_plan_that_was_never_sent_goes_whole(void **state)
{
    (void)state;
    struct plan_counts c = draw(-1);
    int64_t n = n_calls();
    struct undo_options options = { .dry_run = 1 };
    struct undo_result r;
    assert_int_equal(plan_undo(plan_store, &options, &r, NULL), OK);
    assert_int_equal(n_dropped(&r), n);
    assert_int_equal(n_calls(), n); /* a dry run */
    r = undo(NULL);
    assert_int_equal(n_dropped(&r), n);
    assert_int_equal(r.path, c.path);
    assert_int_equal(r.sessions, 12);
    assert_int_equal(r.turns, c.turns);
    assert_int_equal(r.plans, 1);
    assert_int_equal(r.attempted + r.kept + r.shortened, 0);
    assert_string_equal(r.behaviour, "m4a1");
    assert_int_equal(plan_number("SELECT (SELECT count(*) FROM call) + (SELECT count(*) "
                                 "FROM turn) + (SELECT count(*) FROM session) + (SELECT "
                                 "count(*) FROM plan)"),
        0);
    /* and can be planned again, as it was */
    assert_int_equal(draw(-1).path, c.path);
    assert_int_equal(n_calls(), n);
}

static void only_the_last_plan_goes(void **state)
{
    (void)state;
    draw(4);
    int64_t n = n_calls();
    draw(9);
    struct fill_options fill = { .seed = -1, .max_calls = 30, .max_usd = -1 };
    struct fill_result filled;
    assert_int_equal(plan_fill(plan_store, &fill, &filled, NULL), OK);
    int64_t added = filled.counts.path + filled.counts.fan_out + filled.counts.reference;
    fill_result_release(&filled);
    struct undo_result r = undo(NULL);
    assert_string_equal(r.behaviour, "fill");
    assert_int_equal(n_dropped(&r), added);
    assert_int_equal(r.plans, 1);
    r = undo(NULL);
    assert_int_equal(r.sessions, 5);
    assert_int_equal(n_calls(), n);
    assert_int_equal(plan_number("SELECT count(*) FROM plan"), 1);
}

/* An llm whose parameters were wrong: nothing of it was sent, so it can be changed. */
static void an_llm_that_was_never_asked_can_be_changed(void **state)
{
    (void)state;
    draw(-1);
    struct undo_result r = undo("gpt");
    assert_true(n_dropped(&r) > 0 && r.sessions > 0);
    assert_int_equal(
        plan_number("SELECT count(*) FROM call JOIN llm USING (llm_id) WHERE "
                    "name = 'gpt'"),
        0);
    plan_apply_with(SESSIONS,
        ", \"more\": {\"role\": \"cloud\", \"like\": \"gpt\", \"model\": \"x\"}",
        "{\"fan_out\": 1}");
    /* the gaps are planned again, and nothing beyond them */
    struct plan_counts c = draw(-1);
    assert_int_equal(c.sessions, r.sessions);
    assert_int_equal(c.sessions_before, 12 - r.sessions);
    assert_int_equal(plan_number("SELECT count(DISTINCT plan_index) FROM session"), 12);
    plan_check();
}

/* Five dialogues began: their first turns stay, whatever is behind them goes. */
static void what_was_attempted_stays(void **state)
{
    (void)state;
    draw(-1);
    answer_first_turns(5);
    struct undo_result r = undo(NULL);
    assert_int_equal(r.sessions, 7);
    assert_int_equal(r.shortened, 5);
    assert_int_equal(r.attempted, 10);
    assert_int_equal(r.plans, 0);
    assert_int_equal(r.kept, 0);
    assert_int_equal(plan_number("SELECT count(*) FROM turn"), 5);
    assert_int_equal(n_calls(), 10); /* their fan-out calls and samples were not sent */
    r = undo(NULL);
    assert_int_equal(n_dropped(&r), 0);
    assert_int_equal(r.attempted, 10);
    r = undo("ref");
    assert_int_equal(n_dropped(&r), 0);
}

/* A reference of the second turn was sent, and its history with it. */
static void parents_of_what_was_attempted_stay(void **state)
{
    (void)state;
    draw(2);
    plan_sql(
        "INSERT INTO attempt (call_id, number, status, final, error_class, error, "
        "sent_ms, closed_ms, request_sha256, request) SELECT call_id, 1, 'failed', 0, "
        "'network', 'no', 1, 2, 'h', x'00' FROM call c JOIN turn t USING (turn_id) "
        "WHERE c.purpose = 'reference' AND t.position = 1 AND t.session_id = 1");
    struct undo_result r = undo(NULL);
    assert_int_equal(r.sessions, 1);
    assert_int_equal(r.kept, 2); /* the paths of both turns */
    assert_int_equal(plan_number("SELECT count(*) FROM call WHERE purpose = 'path'"), 2);
    assert_int_equal(plan_number("SELECT count(*) FROM call"), 3);
}

static void a_first_sample_stays_beside_a_further_one(void **state)
{
    (void)state;
    draw(1);
    plan_sql(
        "INSERT INTO attempt (call_id, number, status, final, error_class, error, "
        "sent_ms, closed_ms, request_sha256, request) SELECT call_id, 1, 'failed', 0, "
        "'network', 'no', 1, 2, 'h', x'00' FROM call c WHERE c.purpose = 'fan_out' AND "
        "sample = 1 AND EXISTS (SELECT 1 FROM call f WHERE f.turn_id = c.turn_id AND "
        "f.purpose = 'fan_out' AND f.sample = 0 AND f.llm_id = c.llm_id AND "
        "f.views_added = c.views_added) LIMIT 1");
    struct undo_result r = undo(NULL);
    assert_true(r.attempted == 1 && r.kept >= 2);
    assert_int_equal(
        plan_number("SELECT count(*) FROM call WHERE purpose = 'fan_out'"), 2);
}

static void a_new_llm_is_taken_back_with_its_anchors(void **state)
{
    (void)state;
    draw(6);
    plan_answer_all(0);
    int64_t n = n_calls();
    plan_apply_with(SESSIONS,
        ", \"new\": {\"role\": \"cloud\", \"like\": \"gpt\", \"model\": \"x\"}", "{}");
    struct add_options options = {
        .llm = "new", .fan_out = -2, .anchors = 0.5, .seed = -1
    };
    struct add_result added;
    assert_int_equal(plan_add_llm(plan_store, &options, &added, NULL), OK);
    struct undo_result r = undo("new");
    assert_int_equal(r.fan_out, added.counts.fan_out);
    assert_int_equal(r.plans, 0); /* the anchors are of other llms */
    r = undo(NULL);
    assert_int_equal(r.check, added.counts.check);
    assert_int_equal(r.plans, 1);
    assert_int_equal(n_calls(), n);
}

static void wrong_names_and_empty_stores_are_told(void **state)
{
    (void)state;
    struct undo_options options = { .llm = "gtp" };
    struct undo_result r;
    struct error err = ERROR_INIT;
    assert_int_equal(plan_undo(plan_store, &options, &r, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "phi, gpt, ref"));
    options.llm = NULL;
    assert_int_equal(plan_undo(plan_store, &options, &r, &err), E_NOT_FOUND);
}

/* A cap without a bound of the answers is told before anything is planned. */
static void a_missing_bound_is_told_by_plan(void **state)
{
    (void)state;
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    plan_apply_with(SESSIONS, "", "{\"max_usd\": 5}");
    assert_int_equal(plan_make(plan_store, &options, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "gpt: a spending cap needs a bound"));
    assert_non_null(strstr(err.msg, "ref: a spending cap needs a bound"));
    assert_null(strstr(err.msg, "phi:")); /* it is free */
    assert_int_equal(n_calls(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_plan_that_was_never_sent_goes_whole, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(only_the_last_plan_goes, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            an_llm_that_was_never_asked_can_be_changed, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(what_was_attempted_stays, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            parents_of_what_was_attempted_stay, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            a_first_sample_stays_beside_a_further_one, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            a_new_llm_is_taken_back_with_its_anchors, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            wrong_names_and_empty_stores_are_told, set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            a_missing_bound_is_told_by_plan, set_up, plan_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
