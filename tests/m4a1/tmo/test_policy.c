/* test_policy.c - a policy file comes back as it was, and is refused where it does not
 * fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/policy.h"
#include "tests/support/policy_case.h"
#include "tests/support/tmo_data.h"

static const double scores[2][2] = { { 1, 2 }, { 3, 4 } };

static char path[] = "/tmp/m4a1-policy-XXXXXX";

#define PUBLISHED                                                                        \
    "{\"as_published\": true, \"tau\": 3, \"resource_aware\": true,"                     \
    " \"costs\": {\"network\": \"5G\"}}"

/* Everything that version 1 could not say. */
#define RICH                                                                             \
    "{\"tau\": 2, \"learner\": {\"name\": \"dqn\", \"gamma\": 0.5, \"steps\": 700},"     \
    " \"actions\": [{\"llm\": \"local\"}, {\"llm\": \"cloud\", \"views\": "              \
    "[\"view_1\"]},"                                                                     \
    "               {\"llm\": \"cloud\"}],"                                              \
    " \"constraints\": [{\"kind\": \"privacy\", \"budget\": 1},"                         \
    "                   {\"kind\": \"latency\", \"budget\": 20, \"horizon\": 2}],"       \
    " \"handling\": \"shield\", \"features\": \"one-hot\","                              \
    " \"estimator\": {\"kind\": \"ridge\", \"alpha\": 2},"                               \
    " \"costs\": {\"table\": {\"m4a1_cost_table\": 1, \"llms\": {"                       \
    "     \"local\": {\"latency_s\": [3], \"usage_usd\": [0]},"                          \
    "     \"cloud\": {\"latency_s\": [2, null, 6], \"usage_usd\": [0, 0.01],"            \
    "                 \"latency_reserve_s\": [4]}}}}}"

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static struct policy load(const struct dataset *data)
{
    struct policy back;
    struct error err = ERROR_INIT;
    if (policy_load(path, data, &back, &err))
        fail_msg("%s", err.msg);
    return back;
}

static void same_network(const struct network *a, const struct network *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->n_params, b->n_params);
    assert_memory_equal(a->params, b->params, a->n_params * sizeof *a->params);
}

static void test_published(void **state)
{
    (void)state;
    struct policy_case c = policy_case_make(PUBLISHED, 3);
    policy_case_save(&c, path);
    struct policy back = load(c.data);
    assert_int_equal(back.seed, 12);
    assert_int_equal(back.version, 2);
    assert_int_equal(back.config.tau, 3);
    assert_int_equal(back.config.learner.steps, 30000);
    assert_true(back.config.learner.rmsprop_epsilon == 1e-5);
    assert_int_equal(back.config.environment.resource_aware, 1);
    assert_int_equal(back.config.environment.handling, HANDLING_PUBLISHED);
    assert_string_equal(back.config.environment.costs.network, "5G");
    assert_true(back.config.environment.beta_usage == 1.0 / 3);
    assert_int_equal(back.config.environment.longest, 3);
    assert_string_equal(back.config.local, "local");
    assert_string_equal(back.estimator, "published");
    assert_int_equal(back.split.n_test, 2);
    assert_memory_equal(back.split.train, c.policy.split.train, 8 * sizeof(int64_t));
    assert_memory_equal(back.split.test, c.policy.split.test, 2 * sizeof(int64_t));
    same_network(&back.network, &c.policy.network);
    policy_release(&back);
    policy_case_release(&c);
}

static void test_rich(void **state)
{
    (void)state;
    struct policy_case c = policy_case_make(RICH, 3);
    policy_case_save(&c, path);
    struct policy back = load(c.data);
    const struct environment_settings *set = &back.config.environment;
    assert_int_equal(back.config.learner.kind, LEARNER_DQN);
    assert_true(back.config.learner.gamma == 0.5);
    assert_int_equal(back.n_actions, 3);
    assert_string_equal(back.actions[1].views[0], "view_1");
    assert_int_equal(set->n_constraints, 2);
    assert_int_equal(set->constraints[1].horizon, 2);
    assert_true(set->constraints[1].budget == 20);
    assert_int_equal(set->handling, HANDLING_SHIELD);
    assert_int_equal(set->resource_aware, 1);
    assert_int_equal(set->features, FEATURES_ONE_HOT);
    assert_int_equal(set->estimator.kind, ESTIMATOR_RIDGE);
    assert_true(set->estimator.alpha == 2);
    const struct cost_row *cloud = cost_table_find(set->costs.table, "cloud");
    assert_true(cloud->latency_s[0] == 2 && isnan(cloud->latency_s[1]));
    const struct cost_row *built = cost_table_find(back.costs, "cloud");
    assert_true(built->latency_s[1] == 4 && built->latency_reserve_s[1] == 8);
    same_network(&back.network, &c.policy.network);

    // The same training, and others.
    struct tmo_config config;
    assert_int_equal(tmo_config_copy(&c.policy.config, &config, NULL), OK);
    assert_false(policy_equals(&back, &config, 12, &c.policy.split)); // not resolved
    assert_int_equal(policy_resolve(&config, c.rec, NULL), OK);
    assert_true(policy_equals(&back, &config, 12, &c.policy.split));
    assert_false(policy_equals(&back, &config, 13, &c.policy.split));
    config.environment.lambda = 2;
    assert_false(policy_equals(&back, &config, 12, &c.policy.split));
    config.environment.lambda = 1;
    c.policy.split.test[0]++;
    assert_false(policy_equals(&back, &config, 12, &c.policy.split));
    tmo_config_release(&config);
    policy_release(&back);
    policy_case_release(&c);
}

/* Change one piece of the file's text; the load must fail and say said. */
static void refuse(
    const struct dataset *data, const char *from, const char *to, const char *said)
{
    struct buffer text, changed;
    struct policy back;
    struct error err = ERROR_INIT;
    buffer_init(&text, 1 << 22);
    buffer_init(&changed, 1 << 22);
    assert_int_equal(file_read(path, &text, NULL), OK);
    const char *at = strstr(buffer_str(&text), from);
    if (!at)
        fail_msg("%s is not there", from);
    buffer_add(&changed, text.data, (size_t)(at - text.data));
    buffer_add_str(&changed, to);
    buffer_add_str(&changed, at + strlen(from));
    assert_int_equal(file_write(path, changed.data, changed.len, NULL), OK);
    enum status s = policy_load(path, data, &back, &err);
    if (s != E_DATA || !strstr(err.msg, said) || !strstr(err.msg, path))
        fail_msg("%s -> %s: status %d, %s", from, to, (int)s, err.msg);
    assert_int_equal(file_write(path, text.data, text.len, NULL), OK);
    buffer_release(&text);
    buffer_release(&changed);
}

static void test_broken_files(void **state)
{
    (void)state;
    struct policy_case c = policy_case_make(PUBLISHED, 3);
    const struct dataset *data = c.data;
    policy_case_save(&c, path);
    refuse(data, "m4a1-policy", "something", "format");
    refuse(data, "\"version\": 2", "\"version\": 3", "version 3");
    refuse(data, data->digest, "00112233445566", "another data set");
    refuse(data, "\"tasks\":[\"a\"", "\"tasks\":[\"x\"", "tasks differs");
    refuse(data, "\"views\":[\"view_0\",", "\"views\":[", "data.privacy");
    refuse(data, "\"privacy\":[1,", "\"privacy\":[2,", "privacy differs");
    refuse(
        data, "\"views\":[\"view_0\"]", "\"views\":[\"view_1\"]", "actions[2] differs");
    refuse(data, "\"name\":\"local\"", "\"name\":\"phi\"", "llm \"phi\"");
    refuse(data, "\"device\":\"Jetson TX2\"", "\"device\":\"Abacus\"", "Abacus");
    refuse(data, "\"latency_s\":[", "\"latency_s\":[1,", "costs of llm \"local\" differ");
    refuse(data, "\"tau\":3,\"local\"", "\"tau\":4,\"local\"", "features");
    refuse(data, "\"tau\":3,\"local\"", "\"tau\":0,\"local\"", "config: tau");
    refuse(data, "\"n_features\":14", "\"n_features\":15", "w1 has 14 rows");
    refuse(data, "\"k\":", "\"j\":", "unknown member \"estimator.j\"");
    refuse(data, "\"test\":[", "\"test\":[99,", "no session 99");
    refuse(data, "\"name\":\"a2c\"", "\"name\":\"dqn\"", "learner.n_rollout");
    refuse(data, "\"kind\": \"actor-critic\"", "\"kind\": \"q\"", "network.kind");
    refuse(data, "\"hidden\": 64", "\"hidden\": 32", "network");
    refuse(data, "\"w1\": [\n        [", "\"w1\": [\n        [0,", "w1 has a row of 65");
    refuse(data, "\"w1\": [\n        [", "\"w1\": [\n        [], [", "w1 has 15 rows");
    refuse(data, "\"b3\": [", "\"b3\": [\"x\",", "b3");
    refuse(data, "\"\n}\n", "\"\n", "");
    policy_case_release(&c);
}

/* What a policy was trained with is not changed by writing something else down. */
static void test_changed_files(void **state)
{
    (void)state;
    struct policy_case c = policy_case_make(RICH, 3);
    const struct dataset *data = c.data;
    struct policy back;
    policy_case_save(&c, path);
    refuse(data, "\"response\":1,", "\"response\":2,", "changed after m4a1 train wrote");
    refuse(data, "\"budget\":20,", "\"budget\":60,", "changed after");
    refuse(data, "\"handling\":\"shield\"", "\"handling\":\"none\"", "changed after");
    refuse(data, "\"alpha\":2", "\"alpha\":3", "changed after");
    refuse(data, "\"seed\": 12", "\"seed\": 13", "changed after");
    refuse(data, "\"gamma\":0.", "\"gamma\":0.1", "changed after");
    refuse(data, "\"steps\":", "\"steps\":1", "changed after");
    refuse(data, "\"sha256\": \"", "\"sha256\": \"0", "changed after");
    refuse(data, "\"sha256\": \"", "\"sha256\": null, \"note\": \"", "changed after");
    refuse(data, "\"file\":null", "\"file\":\"x\",\"old\":null", "unknown member");

    // Laid out anew it loads; without its checksum, not.
    struct json *root;
    struct buffer text;
    assert_int_equal(json_read_file(path, 1 << 22, 0, &root, NULL), OK);
    for (int without = 0; without <= 1; without++) {
        if (without)
            json_remove(root, "sha256");
        buffer_init(&text, 1 << 22);
        assert_int_equal(json_print(root, JSON_PRETTY, &text, NULL), OK);
        assert_int_equal(file_write(path, text.data, text.len, NULL), OK);
        buffer_release(&text);
        assert_int_equal(policy_load(path, data, &back, NULL), without ? E_DATA : OK);
        policy_release(&back);
    }
    json_free(root);
    policy_case_release(&c);
}

static void test_other_data(void **state)
{
    (void)state;
    struct policy_case c = policy_case_make(PUBLISHED, 3);
    struct dataset *other = simple_dataset(11, 3, scores);
    struct policy back;
    struct error err = ERROR_INIT;
    policy_case_save(&c, path);
    assert_int_equal(policy_load(path, other, &back, &err), E_DATA);
    assert_non_null(strstr(err.msg, "another data set"));
    assert_int_equal(
        policy_load("/nowhere/policy.json", c.data, &back, &err), E_NOT_FOUND);
    assert_true(policy_is_file(path));
    dataset_free(other);
    policy_case_release(&c);
}

/* A file of version 1 earns what the program that wrote it said. */
static void test_version_1(void **state)
{
    (void)state;
    struct dataset *data;
    struct policy policy;
    struct recorded *rec;
    struct environment *env;
    struct evaluation got;
    struct error err = ERROR_INIT;
    size_t *train, *test;
    const char *file = "tests/fixtures/policy_v1.json";
    assert_int_equal(dataset_read("tests/fixtures/policy_v1_data.json", &data, &err), OK);
    if (policy_load(file, data, &policy, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(policy.version, 1);
    assert_int_equal(policy.seed, 3);
    assert_int_equal(policy.config.tau, 2);
    assert_int_equal(policy.config.learner.steps, 3000);
    assert_int_equal(policy.config.environment.estimator.k, 4);
    assert_string_equal(policy.config.environment.costs.device, "Raspberry Pi-5");
    assert_int_equal(tmo_config_record(&policy.config, data, &rec, &err), OK);
    assert_int_equal(
        recorded_indices(rec, policy.split.train, policy.split.n_train, &train, &err),
        OK);
    assert_int_equal(
        recorded_indices(rec, policy.split.test, policy.split.n_test, &test, &err), OK);
    assert_int_equal(environment_new(rec, &policy.config.environment, train,
                         policy.split.n_train, &env, &err),
        OK);
    const struct chooser greedy = { network_weigh, &policy.network };
    assert_int_equal(
        evaluation_run(env, test, policy.split.n_test, &greedy, 3, &got, &err), OK);
    assert_true(fabs(got.reward - 0.7887797278425305) < 1e-9);
    assert_true(fabs(got.response - 0.8069500755622544) < 1e-9);
    assert_true(fabs(got.latency_s - 1.5) < 1e-9);
    assert_true(fabs(got.usage_usd - 0.00147) < 1e-9);

    // It is checked as ever: laid out anew, and changed.
    struct buffer text;
    buffer_init(&text, 1 << 22);
    assert_int_equal(file_read(file, &text, NULL), OK);
    assert_int_equal(file_write(path, text.data, text.len, NULL), OK);
    refuse(data, "\"usage\":0.3333333333333333,", "\"usage\":0,", "reward.usage is 0");
    refuse(data, "\"k\":4", "\"k\":3", "changed after m4a1 train wrote it");
    refuse(data, "\"b3\": [", "\"b3\": [-", "changed after");
    refuse(data, "\"tau\":2", "\"tau\":3", "w1 has 10 rows, and 14 are expected");
    refuse(data, "\"latency_s\":[", "\"latency_s\":[1,", "costs: expected the costs");
    refuse(data, "\"ties\":\"shared\"", "\"ties\":\"first\"", "estimator");
    buffer_release(&text);
    free(train);
    free(test);
    environment_free(env);
    recorded_free(rec);
    policy_release(&policy);
    dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_rich),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_changed_files),
        cmocka_unit_test(test_other_data),
        cmocka_unit_test(test_version_1),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
