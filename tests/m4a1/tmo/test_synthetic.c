/* test_synthetic.c - made-up data have the shape and the means that they are said to have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include "export/dataset_build.h"
#include "m4a1/tmo/synthetic.h"

static struct dataset *make(size_t n_views, size_t n_tasks, size_t n_turns, uint64_t seed)
{
    const struct synthetic_shape shape = { n_views, n_tasks, n_turns, 2000 };
    struct dataset *data;
    assert_int_equal(synthetic_make(&shape, seed, &data, NULL), OK);
    return data;
}

static void test_shape(void **state)
{
    (void)state;
    struct dataset *data = make(4, 3, 6, 1);
    assert_int_equal(data->n_sessions, 2000);
    assert_int_equal(data->n_views, 4);
    assert_int_equal(data->n_tasks, 3);
    assert_int_equal(data->n_llms, 2);
    assert_int_equal(data->llms[0].cloud, 0);
    assert_int_equal(data->llms[1].cloud, 1);
    for (size_t i = 0; i < data->n_sessions; i++) {
        uint32_t context = 0;
        assert_int_equal(data->sessions[i].n_turns, 6);
        for (size_t t = 0; t < 6; t++) {
            const struct turn *turn = &data->sessions[i].turns[t];
            uint32_t shown = interaction_shown(&turn->path);
            assert_int_equal(turn->path.views_added, shown & ~context);
            context |= shown;
            assert_int_equal(turn->path.views_context, context);
            assert_true(turn->path.llm == 1 || !shown);
            assert_true(turn->path.score >= 0 && turn->path.score <= 2);
            for (size_t v = 0; v < 4; v++)
                assert_true(turn->association[v] >= 0.1 && turn->association[v] < 0.5);
        }
    }
    dataset_free(data);
}

/* Means over 2,000 first turns stray by less than five standard errors. */
static void test_means(void **state)
{
    (void)state;
    struct dataset *data = make(3, 4, 5, 2);
    double local = 0, plain = 0, viewed = 0;
    size_t n_local = 0, n_plain = 0, n_viewed = 0, n_views = 0;
    for (size_t i = 0; i < data->n_sessions; i++) {
        const struct interaction *it = &data->sessions[i].turns[0].path;
        if (it->llm == 0) {
            local += it->score;
            n_local++;
        } else if (!it->n_image_index) {
            plain += it->score;
            n_plain++;
        } else {
            // Less what its views add, all scores have one mean (clipping takes little).
            viewed += it->score - 0.1 * (double)it->n_image_index;
            n_viewed++;
            n_views += it->n_image_index;
        }
    }
    assert_true(fabs((double)n_local / 2000 - 0.5) < 5 * sqrt(0.25 / 2000));
    assert_true(fabs((double)n_viewed / (double)(n_plain + n_viewed) - 0.7) < 0.08);
    assert_true(fabs((double)n_views / (double)n_viewed - 2) < 0.16);
    assert_true(fabs(local / (double)n_local - 0.7) < 0.05);
    assert_true(fabs(plain / (double)n_plain - 1) < 0.09);
    assert_true(fabs(viewed / (double)n_viewed - 1) < 0.06);
    dataset_free(data);
}

static void test_one_seed_one_data_set(void **state)
{
    (void)state;
    struct dataset *a = make(2, 2, 2, 7), *b = make(2, 2, 2, 7), *c = make(2, 2, 2, 8);
    assert_string_equal(a->digest, b->digest);
    assert_string_not_equal(a->digest, c->digest);
    dataset_free(a);
    dataset_free(b);
    dataset_free(c);
}

static void test_costs(void **state)
{
    (void)state;
    struct cost_table *table;
    struct error err = { 0 };
    assert_int_equal(synthetic_costs("Jetson TX2", 10, &table, NULL), OK);
    const struct cost_row *cloud = cost_table_find(table, "cloud");
    const struct cost_row *local = cost_table_find(table, "local");
    assert_true(fabs(cloud->latency_s[0] - 0.5) < 1e-12);
    assert_true(fabs(cloud->latency_s[10] - 15.5) < 1e-12);
    assert_true(fabs(cloud->usage_usd[3] - 0.0125) < 1e-12);
    assert_true(local->latency_s[0] > 0.01 && local->latency_s[0] < 0.012);
    cost_table_free(table);
    assert_int_equal(synthetic_costs("Abacus", 3, &table, &err), E_ARG);
    assert_non_null(strstr(err.msg, "Abacus"));
}

static void test_out_of_range(void **state)
{
    (void)state;
    const struct synthetic_shape bad[] = { { 0, 1, 1, 1 }, { 11, 1, 1, 1 },
        { 1, 0, 1, 1 }, { 1, 101, 1, 1 }, { 1, 1, 0, 1 }, { 1, 1, 65, 1 }, { 1, 1, 1, 0 },
        { 1, 1, 1, 1000001 } };
    struct dataset *data;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(synthetic_make(&bad[i], 0, &data, NULL), E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_means),
        cmocka_unit_test(test_one_seed_one_data_set),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
