/* test_planner.c - a look-ahead where the greedy choice is wrong, where the future is
 * unlikely, and where nothing is unknown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include "m4a1/base/buffer.h"
#include "m4a1/tmo/baselines.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/oracle.h"
#include "tests/support/tmo_data.h"

/* n_short sessions of one turn and n_long of two, of one view and one task.  The first
 * turn scores 1 locally and 0.8 in the cloud; behind a local answer the second one scores
 * 0, behind a cloud one 3. */
static struct dataset *make_data(size_t n_short, size_t n_long)
{
    struct buffer text;
    buffer_init(&text, 1000000);
    for (size_t i = 0; i < n_short + n_long; i++) {
        int cloud = i % 2, is_long = i >= n_short;
        buffer_printf(&text,
            "%s{\"id\": %zu, \"image_paths\": "
            "[\"Scenario_%zu_Modality_0_Activity_0.jpg\"],"
            " \"interactions\": [{\"question\": \"q\", \"task_cat\": \"a\", \"action\": "
            "%d,"
            " \"answer\": \"yes\", \"score\": %g, \"interaction_time\": 1,"
            " \"usage_cost\": 0, \"image_index\": null}",
            i ? ", " : "[", i, i, cloud, cloud ? 0.8 : 1);
        if (is_long)
            buffer_printf(&text,
                ", {\"question\": \"q\", \"task_cat\": \"a\", \"action\": %d, "
                "\"answer\": "
                "\"yes\", \"score\": %d, \"interaction_time\": 1, \"usage_cost\": 0, "
                "\"image_index\": null}",
                (int)(i / 2 % 2), cloud ? 3 : 0);
        buffer_printf(
            &text, "], \"association_score\": [%s]}", is_long ? "[0.1], [0.1]" : "[0.1]");
    }
    buffer_add_char(&text, ']');
    struct dataset *data = text_dataset(buffer_str(&text));
    buffer_release(&text);
    return data;
}

/* The mean reward of a planner, and the oracle's, over the two-turn sessions. */
static double play(size_t n_short, const char *name, double *bound, size_t *n_local)
{
    enum { LONG = 8 };
    struct dataset *data = make_data(n_short, LONG);
    struct recorded *rec;
    struct environment *env;
    struct recorded_settings how = recorded_published(0, 1, 2);
    struct environment_settings set = environment_published();
    set.estimator.k = 1;
    assert_int_equal(recorded_build(data, &how, &rec, NULL), OK);
    size_t all[64], n = n_short + LONG;
    for (size_t i = 0; i < n; i++)
        all[i] = i;
    assert_int_equal(environment_new(rec, &set, all, n, &env, NULL), OK);

    struct baseline b;
    struct baseline_settings how_made = baseline_defaults();
    assert_int_equal(baseline_make(env, name, &how_made, &b, NULL), OK);
    struct evaluation got;
    assert_int_equal(
        evaluation_run(env, all + n_short, LONG, &b.chooser, 0, &got, NULL), OK);
    baseline_release(&b);

    struct oracle oracle;
    struct oracle_options options = oracle_options();
    assert_int_equal(
        oracle_sessions(env, all + n_short, LONG, &options, &oracle, NULL), OK);
    *bound = oracle.best;
    *n_local = got.n_local;
    oracle_release(&oracle);
    environment_free(env);
    recorded_free(rec);
    dataset_free(data);
    return got.reward;
}

static void test_looks_ahead(void **state)
{
    (void)state;
    double bound, greedy, ahead;
    size_t n_local;
    greedy = play(0, "planner:1", &bound, &n_local);
    assert_true(greedy < bound - 0.5);
    // One task, one length: nothing is unknown, and two turns are all there are.
    ahead = play(0, "planner", &bound, &n_local);
    assert_true(fabs(ahead - bound) < 1e-12);
    ahead = play(0, "planner:4", &bound, &n_local);
    assert_true(fabs(ahead - bound) < 1e-12);
}

/* With 8 sessions of two turns and n of one, the second turn weighs 4 / (n + 4) of the
 * first.  The cloud costs the first turn 0.2 and its latency and usage, and brings 3. */
static void test_weighs_the_end(void **state)
{
    (void)state;
    double bound;
    size_t n_local;
    play(4, "planner", &bound, &n_local);
    assert_int_equal(n_local, 8);
    play(50, "planner", &bound, &n_local);
    assert_int_equal(n_local, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looks_ahead),
        cmocka_unit_test(test_weighs_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
