/* Filling: thin cells get calls and aimed sessions, within a budget, and what cannot be
 * filled is told with the reason. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "collectors/plan_fill.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/plan_case.h"

#define SESSIONS "{\"n\": 4, \"turns\": [2, 3], \"seed\": 1}"

static struct fill_result fill(int64_t max_calls, double max_usd)
{
    struct fill_options options = {
        .seed = -1, .max_calls = max_calls, .max_usd = max_usd
    };
    struct fill_result result;
    struct error err = ERROR_INIT;
    if (plan_fill(plan_store, &options, &result, &err) != OK)
        fail_msg("%s", err.msg);
    return result;
}

static int64_t n_calls(const struct fill_result *r)
{
    return r->counts.path + r->counts.fan_out + r->counts.reference;
}

static size_t n_thin(void)
{
    struct plan_inputs in;
    struct cells cells;
    size_t n = 0;
    assert_int_equal(plan_inputs_load(plan_store, &in, NULL), OK);
    assert_int_equal(
        cells_load(plan_store, &in, &in.recipe->plan.minima, &cells, NULL), OK);
    for (int k = 0; k < N_CELL_KINDS; k++)
        n += cells_n_thin(&cells, (enum cell_kind)k, 0);
    cells_release(&cells);
    plan_inputs_release(&in);
    return n;
}

static void draw(void)
{
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    assert_int_equal(plan_make(plan_store, &options, &counts, NULL), OK);
}

static void every_minimum_holds_afterwards(void **state)
{
    (void)state;
    plan_apply_with(SESSIONS, "",
        "{\"samples\": 2, \"minima\": {\"per_cell\": 3, \"per_action\": 12, "
        "\"per_state\": 2, \"per_prompt\": 20}}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    plan_add_scene(2, "b", "[\"tool\"]", 2);
    draw();
    assert_true(n_thin() > 10);
    struct fill_result r = fill(-1, -1);
    assert_true(r.counts.sessions > 0 && r.counts.fan_out > 0);
    assert_int_equal(r.n_gaps, 0);
    assert_int_equal(r.budget_reached, 0);
    assert_int_equal(n_thin(), 0);
    for (int k = 0; k < N_CELL_KINDS; k++)
        assert_int_equal(r.thin_after[k], 0);
    fill_result_release(&r);
    plan_check();

    /* nothing is left to be done, and a drawn plan still means sessions.n */
    r = fill(-1, -1);
    assert_int_equal(n_calls(&r), 0);
    assert_int_equal(plan_number("SELECT count(*) FROM plan"), 2);
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    options.n_sessions = 6;
    assert_int_equal(plan_make(plan_store, &options, &counts, NULL), OK);
    assert_int_equal(counts.sessions_before, 4);
    assert_int_equal(counts.sessions, 2);
    fill_result_release(&r);
    plan_check();
}

static void what_failed_is_made_up_for(void **state)
{
    (void)state;
    plan_apply_with(SESSIONS, "", "{\"minima\": {\"per_cell\": 2}}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    draw();
    struct fill_result r = fill(-1, -1);
    fill_result_release(&r);
    /* the first calls of dialogues fail for good: all behind them is lost */
    int64_t last = plan_number("SELECT max(call_id) FROM call"), id = 0;
    for (int i = 0; i < 8; i++) {
        char *next = text_format("SELECT min(call_id) FROM call WHERE purpose = 'path' "
                                 "AND parent_id IS NULL AND call_id > %lld",
            (long long)id);
        plan_refuse(id = plan_number(next));
        free(next);
    }
    assert_true(n_thin() > 0);
    r = fill(-1, -1);
    assert_true(n_calls(&r) > 0);
    assert_int_equal(n_thin(), 0);
    /* no call was put behind a failed one */
    char *lost = text_format("SELECT count(*) FROM call c JOIN call_state s USING "
                             "(call_id) WHERE s.state = 'blocked' AND c.call_id > %lld",
        (long long)last);
    assert_int_equal(plan_number(lost), 0);
    free(lost);
    fill_result_release(&r);
    plan_check();
}

static void budgets_are_kept(void **state)
{
    (void)state;
    plan_apply_with(SESSIONS, "", "{\"fan_out\": 1}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    draw();
    int64_t before = plan_number("SELECT count(*) FROM call");
    struct fill_result r = fill(17, -1);
    assert_true(r.budget_reached);
    assert_true(n_calls(&r) > 10 && n_calls(&r) <= 17);
    assert_int_equal(plan_number("SELECT count(*) FROM call"), before + n_calls(&r));
    assert_true(r.n_gaps > 0 && strstr(r.gaps[0].why, "budget"));
    fill_result_release(&r);

    r = fill(-1, 0.05);
    assert_true(r.budget_reached);
    assert_true(r.usd > 0.02 && r.usd <= 0.05);
    fill_result_release(&r);

    r = fill(0, -1);
    assert_int_equal(n_calls(&r), 0);
    fill_result_release(&r);
    plan_check();
}

static size_t thin_of(const size_t thin[N_CELL_KINDS])
{
    return thin[CELL_CONTEXT] + thin[CELL_ACTION] + thin[CELL_STATE] + thin[CELL_PROMPT];
}

/* Of 40 calls each fills a cell or the last one of it, not one cell in five. */
static void a_budget_completes_cells(void **state)
{
    (void)state;
    plan_apply_with("{\"n\": 30, \"turns\": [2, 3], \"seed\": 1}", "",
        "{\"minima\": {\"per_cell\": 12, \"per_state\": 0, \"per_prompt\": 0}}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    draw();
    struct fill_result r = fill(40, -1);
    assert_int_equal(n_calls(&r), 40);
    assert_int_equal(r.missing_before[CELL_CONTEXT] - r.missing_after[CELL_CONTEXT], 40);
    assert_true(r.thin_before[CELL_CONTEXT] >= r.thin_after[CELL_CONTEXT] + 5);
    fill_result_release(&r);

    /* also in dollars; the gaps tell the thinnest first */
    r = fill(-1, 0.03);
    assert_true(r.budget_reached && r.usd <= 0.03);
    assert_true(thin_of(r.thin_before) > thin_of(r.thin_after));
    for (size_t i = 1; i < r.n_gaps; i++)
        assert_true(r.gaps[i - 1].share <= r.gaps[i].share);
    fill_result_release(&r);
    plan_check();
}

/* One prompt needs a tag that no scene has; phi alone cannot have two actions. */
static void gaps_are_told_with_the_reason(void **state)
{
    (void)state;
    plan_apply_with("{\"n\": 4, \"turns\": [2, 2], \"seed\": 1}", "",
        "{\"minima\": {\"per_cell\": 1, \"per_state\": 6}}");
    plan_add_scene(1, "a", "[]", 2);
    struct fill_result r = fill(-1, -1);
    int no_scene = 0, few = 0;
    for (size_t i = 0; i < r.n_gaps; i++) {
        no_scene |= strstr(r.gaps[i].why, "no scene suits") &&
                    strstr(r.gaps[i].what, "prompt q2");
        few |= strstr(r.gaps[i].why, "fewer actions") != NULL;
    }
    assert_true(no_scene);
    assert_true(few);
    fill_result_release(&r);
    plan_check();
}

static void a_dry_run_writes_nothing(void **state)
{
    (void)state;
    plan_apply_with(SESSIONS, "", "{}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    struct plan_estimate estimate;
    struct fill_options options = {
        .seed = -1, .max_calls = -1, .max_usd = -1, .dry_run = 1, .estimate = &estimate
    };
    struct fill_result r;
    assert_int_equal(plan_fill(plan_store, &options, &r, NULL), OK);
    assert_int_equal(estimate.calls, n_calls(&r));
    assert_int_equal(plan_number("SELECT count(*) FROM call"), 0);
    assert_int_equal(plan_number("SELECT count(*) FROM plan"), 0);
    plan_estimate_release(&estimate);
    fill_result_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            every_minimum_holds_afterwards, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            what_failed_is_made_up_for, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(budgets_are_kept, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            a_budget_completes_cells, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            gaps_are_told_with_the_reason, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            a_dry_run_writes_nothing, plan_set_up, plan_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
