/* test_oracle.c - the best sequences of the public data against reference values, and of
 * small data sets against all sequences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/oracle.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

struct split_of {
    struct environment *env;
    size_t *test, n_test;
};

static struct split_of open_split(const struct recorded *rec, const struct json *split,
    const struct environment_settings *set)
{
    struct split_of out;
    struct error err = ERROR_INIT;
    size_t n, *train;
    int64_t *ids = golden_ids(json_get(split, "train"), &n);
    assert_int_equal(recorded_indices(rec, ids, n, &train, &err), OK);
    enum status s = environment_new(rec, set, train, n, &out.env, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    free(ids);
    free(train);
    ids = golden_ids(json_get(split, "test"), &out.n_test);
    assert_int_equal(recorded_indices(rec, ids, out.n_test, &out.test, &err), OK);
    free(ids);
    return out;
}

static void close_split(struct split_of *split)
{
    environment_free(split->env);
    free(split->test);
}

static double number(const struct json *object, const char *key)
{
    return json_number(json_get(object, key), NAN);
}

/* Greedy: the best action of each turn, whatever it leads to. */
static double greedy(const struct split_of *split)
{
    double sum = 0;
    for (size_t i = 0; i < split->n_test; i++) {
        struct episode ep;
        episode_start(&ep, split->env, RULES_MODEL, split->test[i]);
        while (!ep.done) {
            struct outcome all[9];
            size_t best = 0;
            episode_outcomes(&ep, all);
            for (size_t a = 1; a < 9; a++)
                if (all[a].reward > all[best].reward)
                    best = a;
            sum += all[best].reward / (double)ep.n_turns;
            episode_apply(&ep, best, &all[best]);
        }
    }
    return sum / (double)split->n_test;
}

static void check_sequence(const struct oracle_sequence *got, const struct json *expected)
{
    assert_true(got->proved && got->feasible);
    NEAR(got->reward, number(expected, "reward"));
    NEAR(got->upper, number(expected, "reward"));
    NEAR(got->response, number(expected, "response"));
    NEAR(got->association, number(expected, "association"));
    NEAR(got->use[CONSTRAINT_LATENCY], number(expected, "latency"));
    NEAR(got->use[CONSTRAINT_USAGE], number(expected, "usage"));
    const struct json *seq = json_get(expected, "seq");
    for (size_t t = 0; t < json_size(seq); t++)
        assert_int_equal(got->actions[t], json_int(json_at(seq, t), -1));
}

static void check_split(const struct split_of *split, const struct json *golden)
{
    struct oracle oracle;
    struct error err = ERROR_INIT;
    struct oracle_options options = oracle_options();
    assert_int_equal(
        oracle_sessions(split->env, split->test, split->n_test, &options, &oracle, &err),
        OK);
    assert_int_equal(oracle.n_sessions, split->n_test);
    assert_int_equal(oracle.n_unproved, 0);
    assert_int_equal(oracle.n_feasible, split->n_test);
    assert_int_equal(
        oracle.n_best_over, (size_t)json_int(json_get(golden, "free_n_over"), -1));
    NEAR(oracle.best, number(json_get(golden, "free"), "reward"));
    NEAR(oracle.kept, number(json_get(golden, "budget"), "reward"));
    const struct json *one = json_first(json_get(golden, "eps"));
    for (size_t i = 0; i < oracle.n_sessions; i++, one = json_next(one)) {
        const struct oracle_session *session = &oracle.sessions[i];
        assert_int_equal(split->env->rec->sessions[session->session].id,
            json_int(json_get(one, "id"), -1));
        check_sequence(&session->best, json_get(one, "free"));
        check_sequence(&session->kept, json_get(one, "budget"));
    }
    NEAR(greedy(split), number(json_get(golden, "greedy"), "reward"));
    print_message("seed %lld: %.4f, %zu moves\n",
        (long long)json_int(json_get(golden, "seed"), -1), oracle.best, oracle.n_moves);
    oracle_release(&oracle);
}

static void test_golden(void **state)
{
    (void)state;
    struct json *golden = golden_json("golden/tmo/oracle_shared_ties.json");
    struct json *splits = golden_json("golden/tmo/split.json");
    struct dataset *data = golden_dataset();
    if (!golden || !splits || !data) {
        print_message("no shared golden/tmo or public data\n");
        skip();
    }
    struct recorded *rec;
    struct recorded_settings how = recorded_published(0, 1, 5);
    struct environment_settings set = environment_published();
    assert_int_equal(recorded_build(data, &how, &rec, NULL), OK);
    for (size_t seed = 0; seed < 3; seed++) {
        char name[16];
        snprintf(name, sizeof name, "seed%zu", seed);
        struct split_of split = open_split(rec, json_get(splits, name), &set);
        check_split(&split, json_at(golden, seed));
        close_split(&split);
    }
    recorded_free(rec);
    dataset_free(data);
    json_free(golden);
    json_free(splits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
