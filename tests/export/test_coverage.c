/* Coverage: counts and means of the public slice against its published figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <cmocka.h>

#include "collectors/plan.h"
#include "export/coverage.h"
#include "m4a1/base/text.h"
#include "tests/support/export_case.h"
#include "tests/support/plan_case.h"
#include "tests/support/tmo_data.h"

static struct group group_of(
    const struct dataset *data, const struct group_filter *filter)
{
    struct group group;
    struct error err = ERROR_INIT;
    assert_int_equal(coverage_group(data, filter, &group, &err), OK);
    return group;
}

static void test_sample(void **state)
{
    (void)state;
    struct dataset *data = export_parse(export_sample, 0);
    struct coverage c;
    struct error err = ERROR_INIT;
    assert_int_equal(coverage_count(data, &c, &err), OK);
    assert_int_equal(c.sessions, 3);
    assert_int_equal(c.imported, 3);
    assert_int_equal(c.scenes, 2);
    assert_int_equal(c.prompts, 4);
    assert_int_equal(c.turns, 6);
    assert_int_equal(c.shortest, 1);
    assert_int_equal(c.longest, 3);
    assert_int_equal(c.refused, 1);
    assert_int_equal(c.associated, 6);
    assert_int_equal(coverage_sessions_of(data, 2), 1);
    assert_int_equal(coverage_view_added(data, 0), 2);
    assert_int_equal(coverage_view_context(data, 1), 5);
    struct group_filter filter = GROUP_ANY;
    struct group all = group_of(data, &filter);
    assert_int_equal(all.n, 6);
    assert_true(fabs(all.score - (0.3 + 9 + 0.1 + 1.5 + 1.25 + 1) / 6) < 1e-12);
    assert_true(fabs(all.score_trained - (0.3 + 0.1 + 1.5 + 1.25 + 1) / 6) < 1e-12);
    assert_true(fabs(all.refused - 1.0 / 6) < 1e-12);
    filter.views = 3;
    assert_int_equal(group_of(data, &filter).n, 2);
    filter.task = 0;
    struct group none = group_of(data, &filter);
    assert_int_equal(none.n, 0);
    assert_true(isnan(none.score) && isnan(none.latency_s) && isnan(none.cost_usd));
    dataset_free(data);
}

/* Figures of M4A1's public slice: n, score, seconds, USD, each to the digits published. */
static void test_public(void **state)
{
    (void)state;
    static const struct {
        int cloud, n_uploaded;
        size_t n;
        double score, latency_s, cost_usd, digit;
    } rows[] = {
        { 0, -1, 170, 0.814, 7.58, 0.000052, 0.000001 },
        { 1, 0, 85, 1.364, 8.77, 0.00048, 0.00001 },
        { 1, 1, 19, 1.051, 6.34, 0.00572, 0.00001 },
        { 1, 2, 31, 1.346, 7.22, 0.01023, 0.00001 },
        { 1, 3, 47, 1.116, 8.69, 0.01370, 0.00001 },
    };
    struct dataset *data = golden_dataset();
    if (!data) {
        print_message("no shared material: the public slice of M4A1 is not there\n");
        skip();
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct group_filter filter = GROUP_ANY;
        filter.cloud = rows[i].cloud;
        filter.n_uploaded = rows[i].n_uploaded;
        struct group g = group_of(data, &filter);
        assert_int_equal(g.n, rows[i].n);
        assert_true(fabs(g.score - rows[i].score) < 0.0006);
        assert_true(fabs(g.latency_s - rows[i].latency_s) < 0.006);
        assert_true(fabs(g.cost_usd - rows[i].cost_usd) < 0.6 * rows[i].digit);
    }
    struct group_filter unseen = GROUP_ANY;
    unseen.cloud = 1;
    unseen.n_uploaded = unseen.n_context = 0;
    struct group g = group_of(data, &unseen);
    assert_int_equal(g.n, 28);
    assert_true(fabs(g.score - 1.083) < 0.0006);
    assert_true(fabs(g.latency_p50_s - 3.7) < 0.06);
    unseen.n_context = 3;
    g = group_of(data, &unseen);
    assert_int_equal(g.n, 42);
    assert_true(fabs(g.latency_p50_s - 11.4) < 0.06);
    struct coverage c;
    struct error err = ERROR_INIT;
    assert_int_equal(coverage_count(data, &c, &err), OK);
    assert_int_equal(c.scenes, 44);
    assert_int_equal(c.prompts, 20);
    assert_int_equal(c.shortest, 2);
    assert_int_equal(c.longest, 5);
    dataset_free(data);
}

/* A session that a refused call ended, and what would have come behind it. */
static void test_censoring(void **state)
{
    (void)state;
    plan_apply("{\"n\": 8, \"turns\": [3, 3], \"seed\": 1}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    struct plan_options options = plan_options_init();
    struct plan_counts planned;
    assert_int_equal(plan_make(plan_store, &options, &planned, NULL), OK);
    /* the second turn of the first session */
    int64_t refused = plan_number("SELECT c.call_id FROM call c JOIN turn t USING "
                                  "(turn_id) WHERE purpose = 'path' AND session_id = 1 "
                                  "AND position = 1");
    plan_refuse(refused);
    plan_answer_all(1);
    plan_sql("DROP TRIGGER response_is_kept");
    plan_sql("DROP TRIGGER attempt_is_kept");
    plan_sql("DELETE FROM response WHERE call_id IN (SELECT c.call_id FROM call c JOIN "
             "turn t USING (turn_id) WHERE session_id = 1 AND position = 2)");
    struct dataset *data;
    assert_int_equal(dataset_read_all(store_path(plan_store), &data, NULL), OK);
    struct censoring *cells;
    size_t n;
    assert_int_equal(coverage_censoring(data, &cells, &n, NULL), OK);
    assert_int_equal(n, 1);
    assert_int_equal(cells[0].refused, 1);
    assert_int_equal(cells[0].lost, 1);
    char *sql = text_format(
        "SELECT count(*) FROM call c JOIN turn t USING (turn_id) JOIN prompt p USING "
        "(prompt_id) WHERE c.purpose = 'path' AND NOT (session_id = 1 AND position = 2) "
        "AND llm_id = (SELECT llm_id FROM call WHERE call_id = %lld) AND task_id = "
        "(SELECT "
        "task_id FROM call JOIN turn USING (turn_id) JOIN prompt USING (prompt_id) WHERE "
        "call_id = %lld)",
        (long long)refused, (long long)refused);
    assert_int_equal(cells[0].asked, plan_number(sql));
    free(sql);
    free(cells);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_public),
        cmocka_unit_test_setup_teardown(test_censoring, plan_set_up, plan_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
