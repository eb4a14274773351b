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
#include "m4a1/base/buffer.h"
#include "m4a1/base/random.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/oracle.h"
#include "m4a1/tmo/synthetic.h"
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

/* ---- small data sets against all sequences ---- */

/* Sessions of up to 3 turns over 2 views with scores, tasks and associations at random. */
static struct dataset *random_dataset(struct rng *rng)
{
    struct buffer text;
    buffer_init(&text, 100000);
    for (size_t i = 0; i < 8; i++) {
        size_t n_turns = 1 + (size_t)rng_below(rng, 3), held = 0;
        buffer_printf(&text,
            "%s{\"id\": %zu, \"image_paths\": "
            "[\"Scenario_%zu_Modality_0_Activity_0.jpg\", "
            "\"Scenario_%zu_Modality_1_Activity_0.jpg\"], \"interactions\": [",
            i ? ", " : "[", i, i, i);
        for (size_t t = 0; t < n_turns; t++) {
            size_t cloud = (size_t)rng_below(rng, 2), before = held;
            held |= cloud ? (size_t)rng_below(rng, 4) : 0;
            buffer_printf(&text,
                "%s{\"question\": \"q%d\", \"task_cat\": \"%c\", \"action\": %zu, "
                "\"answer\": \"yes\", \"score\": %.17g, \"interaction_time\": 1.5, "
                "\"usage_cost\": 0.001, \"image_index\": %s}",
                t ? ", " : "", (int)rng_below(rng, 3), (int)('a' + rng_below(rng, 2)),
                cloud, 0.5 * (double)rng_below(rng, 5),
                held == before ? "null"
                : held == 3    ? "[0, 1]"
                : held == 1    ? "[0]"
                               : "[1]");
        }
        buffer_add_str(&text, "], \"association_score\": [");
        for (size_t t = 0; t < n_turns; t++)
            buffer_printf(&text, "%s[%.17g, %.17g]", t ? ", " : "", rng_uniform(rng),
                rng_uniform(rng));
        buffer_add_str(&text, "]}");
    }
    buffer_add_char(&text, ']');
    struct dataset *data = text_dataset(buffer_str(&text));
    buffer_release(&text);
    data->privacy[1] = 3;
    return data;
}

/* Every sequence in order; the first among equals stays. */
static void exhaust(const struct episode *ep, int limited, double reward, size_t *actions,
    double *best, double *least, size_t *best_actions)
{
    const struct environment *env = ep->env;
    if (ep->done) {
        double over = 0;
        for (size_t i = 0; limited && i < env->settings.n_constraints; i++)
            over += ledger_excess(&ep->ledger, i) / env->settings.constraints[i].budget;
        if (over < *least - 1e-9 || (over < *least + 1e-9 && reward > *best + 1e-9)) {
            *best = reward;
            *least = over;
            memcpy(best_actions, actions, ep->n_turns * sizeof *actions);
        }
        return;
    }
    for (size_t a = 0; a < env->n_actions; a++) {
        if (env->offered && !env->offered[a])
            continue;
        struct episode next = *ep;
        struct outcome outcome;
        episode_step(&next, a, &outcome);
        actions[ep->turn] = a;
        exhaust(
            &next, limited, reward + outcome.reward, actions, best, least, best_actions);
    }
}

static void expect_best(const struct environment *env, size_t session, int limited,
    const struct oracle_sequence *got)
{
    double best = -INFINITY, least = INFINITY;
    size_t actions[3], best_actions[3];
    struct episode ep;
    episode_start(&ep, env, RULES_MODEL, session);
    exhaust(&ep, limited, 0, actions, &best, &least, best_actions);
    assert_true(got->proved);
    NEAR(got->reward, best / (double)ep.n_turns);
    assert_memory_equal(got->actions, best_actions, ep.n_turns * sizeof *actions);
    if (limited)
        assert_int_equal(got->feasible, least <= 0);
}

/* Worlds, estimators, constraints of all kinds and horizons, some actions taken away. */
static struct environment *random_environment(struct rng *rng, const struct recorded *rec)
{
    struct environment_settings set =
        rec->as_published ? environment_published() : environment_defaults();
    static const enum estimator_kind kinds[] = { ESTIMATOR_PUBLISHED, ESTIMATOR_RIDGE,
        ESTIMATOR_METRIC, ESTIMATOR_ROLE };
    set.estimator.kind = kinds[rng_below(rng, 4)];
    set.estimator.k = 2;
    set.n_constraints = (size_t)rng_below(rng, 4);
    static const double budgets[] = { 12, 0.012, 3 };
    for (size_t i = 0; i < set.n_constraints; i++)
        set.constraints[i] = (struct constraint) { (enum constraint_kind)i,
            budgets[i] * (0.2 + rng_uniform(rng)), (size_t)rng_below(rng, 3) };
    struct environment *env;
    struct error err = ERROR_INIT;
    const size_t train[] = { 0, 1, 2, 3, 4, 5 };
    enum status s = environment_new(rec, &set, train, 6, &env, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    if (rng_below(rng, 3) == 0) {
        unsigned char offered[5] = { 0, 1, 0, 1, 1 };
        assert_int_equal(environment_offer(env, offered, NULL), OK);
    }
    return env;
}

static void test_random_data(void **state)
{
    (void)state;
    size_t n_over = 0, n_bound = 0, n_all = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "data", 0);
        struct dataset *data = random_dataset(&rng);
        struct recorded *rec;
        struct recorded_settings how =
            rng_below(&rng, 2) ? recorded_published(0, 1, 2) : recorded_defaults();
        how.tau = 1 + (size_t)rng_below(&rng, 3);
        assert_int_equal(recorded_build(data, &how, &rec, NULL), OK);
        struct environment *env = random_environment(&rng, rec);
        struct oracle oracle;
        struct oracle_options options = oracle_options();
        const size_t all[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
        assert_int_equal(oracle_sessions(env, all, 8, &options, &oracle, NULL), OK);
        for (size_t i = 0; i < 8; i++, n_all++) {
            const struct oracle_session *one = &oracle.sessions[i];
            expect_best(env, i, 0, &one->best);
            expect_best(env, i, 1, &one->kept);
            n_over += !one->kept.feasible;
            n_bound += one->kept.feasible && one->kept.reward < one->best.reward;
        }
        oracle_release(&oracle);
        environment_free(env);
        recorded_free(rec);
        dataset_free(data);
    }
    print_message("%zu sessions: budgets out of reach in %zu, binding in %zu\n", n_all,
        n_over, n_bound);
    assert_true(n_over > 20 && n_bound > 20 && n_over + n_bound < n_all);
}

/* ---- sizes that cannot be searched through, and refusals ---- */

static struct environment *synthetic_environment(struct dataset *data,
    enum estimator_kind kind, struct recorded **rec, struct cost_table **table)
{
    struct recorded_settings how = recorded_defaults();
    struct environment_settings set = environment_defaults();
    struct environment *env;
    struct error err = ERROR_INIT;
    assert_int_equal(recorded_build(data, &how, rec, NULL), OK);
    assert_int_equal(synthetic_costs("Jetson TX2", data->n_views, table, &err), OK);
    set.costs.table = *table;
    set.estimator.kind = kind;
    set.estimator.k = 5;
    const size_t train[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    enum status s = environment_new(*rec, &set, train, 16, &env, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    return env;
}

static void check_size(size_t n_views, size_t n_turns, enum estimator_kind kind,
    size_t max_moves, int proved)
{
    struct synthetic_shape shape = { n_views, 3, n_turns, 20 };
    struct dataset *data;
    struct recorded *rec;
    struct cost_table *table;
    assert_int_equal(synthetic_make(&shape, 1, &data, NULL), OK);
    struct environment *env = synthetic_environment(data, kind, &rec, &table);
    struct oracle oracle;
    struct oracle_options options = oracle_options();
    const size_t session = 17;
    char text[512];
    options.ceilings.max_moves = max_moves;
    assert_int_equal(oracle_sessions(env, &session, 1, &options, &oracle, NULL), OK);
    oracle_unproved(&oracle, text, sizeof text);
    print_message("%zu views, %zu turns: %.3f to %.3f, %zu moves. %s\n", n_views, n_turns,
        oracle.best, oracle.best_upper, oracle.n_moves, text);
    assert_int_equal(oracle.n_unproved, proved ? 0 : 1);
    assert_int_equal(text[0] == '\0', proved);
    if (proved)
        assert_true(oracle.best_upper == oracle.best);
    else
        assert_true(oracle.best_upper > oracle.best);
    oracle_release(&oracle);
    environment_free(env);
    cost_table_free(table);
    recorded_free(rec);
    dataset_free(data);
}

static void test_sizes(void **state)
{
    (void)state;
    check_size(3, 3, ESTIMATOR_PUBLISHED, 20000000, 1);
    check_size(10, 3, ESTIMATOR_PUBLISHED, 20000, 0);
    check_size(3, 10, ESTIMATOR_PUBLISHED, 20000, 0);
    // Estimates that look at the views of the dialogue only leave few nodes.
    check_size(3, 20, ESTIMATOR_RIDGE, 20000, 1);
    check_size(6, 6, ESTIMATOR_ROLE, 200000, 1);
}

static int stop(void *arg, size_t n_done, size_t n_all)
{
    size_t *n = arg;
    assert_int_equal(n_all, 3);
    *n = n_done;
    return n_done == 2;
}

static void test_report_and_chooser(void **state)
{
    (void)state;
    static const double score[2][2] = { { 1, 0 }, { 0, 2 } };
    struct dataset *data = simple_dataset(8, 3, score);
    struct recorded *rec;
    struct recorded_settings how = recorded_published(0, 1, 3);
    struct environment_settings set = environment_published();
    struct environment *env;
    const size_t train[] = { 0, 1, 2, 3, 4 }, test[] = { 5, 6, 7 };
    size_t n_done = 0;
    assert_int_equal(recorded_build(data, &how, &rec, NULL), OK);
    assert_int_equal(environment_new(rec, &set, train, 5, &env, NULL), OK);
    struct oracle oracle;
    struct oracle_options options = oracle_options();
    options.report = stop;
    options.arg = &n_done;
    assert_int_equal(
        oracle_sessions(env, test, 3, &options, &oracle, NULL), E_INTERRUPTED);
    assert_int_equal(n_done, 2);
    assert_int_equal(oracle_sessions(env, test, 0, &options, &oracle, NULL), E_ARG);

    options = oracle_options();
    assert_int_equal(oracle_sessions(env, test, 3, &options, &oracle, NULL), OK);
    struct oracle_player player = { &oracle, 1 };
    struct chooser chooser = { oracle_weigh, &player };
    struct evaluation got;
    assert_int_equal(evaluation_run(env, test, 3, &chooser, 0, &got, NULL), OK);
    NEAR(got.reward, oracle.kept);
    oracle_release(&oracle);
    environment_free(env);
    recorded_free(rec);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_random_data),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_report_and_chooser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
