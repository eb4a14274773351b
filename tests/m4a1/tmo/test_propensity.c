/* The behaviour's probabilities: by hand, stored, and on the public data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/propensity.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12)

static const double scores[2][2] = { { 1, 2 }, { 1, 2 } };

static struct recorded *build(const struct dataset *data)
{
    struct recorded_settings settings = recorded_defaults();
    struct recorded *rec;
    assert_int_equal(recorded_build(data, &settings, &rec, NULL), OK);
    return rec;
}

/* Two views, from nothing: local 1/2; no view 1/2 * 1/3; one of them 1/2 * 1/3 * 1/2; both
 * 1/2 * 1/3.  With one view held already nothing is new where none or that one was drawn. */
static void by_hand(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(8, 3, scores);
    struct recorded *rec = build(data);
    struct propensity p;
    assert_int_equal(propensity_build(rec, &p, NULL), OK);
    assert_int_equal(p.n_by_rule, 24);
    assert_int_equal(p.n_stored, 0);
    size_t n_cloud = 0;
    for (size_t i = 0, t = 0; i < 8; i++)
        for (size_t k = 0; k < 3; k++, t++) {
            uint32_t held = rec->contexts[t], added = rec->added[t];
            double want = 0.5;
            if (data->sessions[i].turns[k].path.llm == 1) {
                n_cloud++;
                static const double of[3][3] = { { 1 / 6.0, 1 / 12.0, 1 / 6.0 },
                    { 1 / 6.0 + 1 / 12.0, 1 / 12.0 + 1 / 6.0, 0 }, { 0.5, 0, 0 } };
                want = of[space_count(held)][space_count(added)];
            }
            NEAR(p.path[t], want);
        }
    assert_int_equal(n_cloud, 12);
    propensity_release(&p);
    recorded_free(rec);
    dataset_free(data);
}

static void stored_ones_come_first(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(4, 2, scores);
    data->sessions[1].turns[0].path.probability = 0.25;
    struct recorded *rec = build(data);
    struct propensity p;
    struct error err = ERROR_INIT;
    assert_int_equal(propensity_build(rec, &p, NULL), OK);
    assert_int_equal(p.n_stored, 1);
    NEAR(p.path[2], 0.25);
    propensity_release(&p);
    data->sessions[1].turns[0].path.probability = 0;
    assert_int_equal(propensity_build(rec, &p, &err), E_DATA);
    assert_non_null(strstr(err.msg, "session 1, turn 0"));
    assert_null(p.path);
    data->sessions[1].turns[0].path.probability = 1.5;
    assert_int_equal(propensity_build(rec, &p, &err), E_DATA);
    recorded_free(rec);
    dataset_free(data);
}

/* A local llm that was shown a view is nothing that the rule does. */
static void what_the_rule_never_does(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(4, 2, scores);
    struct interaction *path = &data->sessions[0].turns[0].path;
    assert_int_equal(path->llm, 0);
    struct recorded *rec = build(data);
    rec->added[0] = 1;
    struct propensity p;
    struct error err = ERROR_INIT;
    assert_int_equal(propensity_build(rec, &p, &err), E_DATA);
    assert_non_null(strstr(err.msg, "M4A1's rule never chooses it"));
    recorded_free(rec);
    dataset_free(data);
}

static void public_data(void **state)
{
    (void)state;
    struct dataset *data = golden_dataset();
    if (!data) {
        print_message("no shared public data\n");
        skip();
    }
    struct recorded *rec = build(data);
    struct propensity p;
    assert_int_equal(propensity_build(rec, &p, NULL), OK);
    assert_int_equal(p.n_by_rule, 352);
    assert_true(fabs(p.log_likelihood + 474.18) < 0.005);
    propensity_release(&p);
    recorded_free(rec);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(stored_ones_come_first),
        cmocka_unit_test(what_the_rule_never_does),
        cmocka_unit_test(public_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
