/* test_policy.c - a policy file comes back as it was, and is refused where it does not
 * fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/policy.h"
#include "tests/support/tmo_data.h"

static const double scores[2][2] = { { 1, 2 }, { 3, 4 } };

static char path[] = "/tmp/m4a1-policy-XXXXXX";

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

static struct policy make(const struct dataset *data)
{
    struct policy policy = { .seed = 12,
        .learner = a2c_published(),
        .environment = environment_published(),
        .tau = 3,
        .local = 0,
        .cloud = 1 };
    struct rng rng;
    policy.environment.resource_aware = 1;
    policy.environment.network = "5G";
    assert_int_equal(split_draw(data, 0, 0.8, 12, &policy.split, NULL), OK);
    assert_int_equal(actor_critic_init(&policy.network, 3 * 4 + 2, 5, NULL), OK);
    rng_init(&rng, 1, "test/policy", 0);
    for (size_t i = 0; i < policy.network.n_params; i++)
        policy.network.params[i] = rng_normal(&rng) / 3;
    return policy;
}

static void save(const struct policy *policy, const struct dataset *data)
{
    struct error err = ERROR_INIT;
    enum status s = policy_save(policy, data, path, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(10, 3, scores);
    struct policy policy = make(data), back;
    struct error err = ERROR_INIT;
    save(&policy, data);
    enum status s = policy_load(path, data, &back, &err);
    if (s)
        print_message("%s\n", err.msg);
    assert_int_equal(s, OK);
    assert_int_equal(back.seed, 12);
    assert_int_equal(back.tau, 3);
    assert_int_equal(back.learner.steps, 30000);
    assert_true(back.learner.rmsprop_epsilon == 1e-5);
    assert_int_equal(back.environment.resource_aware, 1);
    assert_string_equal(back.environment.network, "5G");
    assert_true(back.environment.beta_usage == policy.environment.beta_usage);
    assert_int_equal(back.split.n_test, 2);
    assert_memory_equal(back.split.train, policy.split.train, 8 * sizeof(int64_t));
    assert_memory_equal(back.split.test, policy.split.test, 2 * sizeof(int64_t));
    assert_memory_equal(back.network.params, policy.network.params,
        policy.network.n_params * sizeof(double));
    policy_release(&back);
    policy_release(&policy);
    dataset_free(data);
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
    assert_non_null(at);
    buffer_add(&changed, text.data, (size_t)(at - text.data));
    buffer_add_str(&changed, to);
    buffer_add_str(&changed, at + strlen(from));
    assert_int_equal(file_write(path, changed.data, changed.len, NULL), OK);
    enum status s = policy_load(path, data, &back, &err);
    if (s != E_DATA || !strstr(err.msg, said) || !strstr(err.msg, path))
        print_message("%s -> %s: status %d, %s\n", from, to, (int)s, err.msg);
    assert_int_equal(s, E_DATA);
    assert_non_null(strstr(err.msg, said));
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(file_write(path, text.data, text.len, NULL), OK);
    buffer_release(&text);
    buffer_release(&changed);
}

static void test_broken_files(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(10, 3, scores);
    struct policy policy = make(data), back;
    save(&policy, data);
    refuse(data, "m4a1-policy", "something", "format");
    refuse(data, "\"version\": 1", "\"version\": 2", "version 2");
    refuse(data, data->digest, "00112233445566", "another data set");
    refuse(data, "\"tasks\":[\"a\"", "\"tasks\":[\"x\"", "tasks differs");
    refuse(data, "\"views\":[\"view_0\",", "\"views\":[", "views differs");
    refuse(data, "\"views\":[\"view_0\"]", "\"views\":[\"view_1\"]", "actions differs");
    refuse(data, "\"local\":\"local\"", "\"local\":\"phi\"", "llm \"phi\"");
    refuse(data, "\"device\":\"Jetson TX2\"", "\"device\":\"Abacus\"", "Abacus");
    refuse(data, "\"latency_s\":[", "\"latency_s\":[1,", "costs differs");
    refuse(data, "\"tau\":3", "\"tau\":4", "encoding differs");
    refuse(data, "\"tau\":3", "\"tau\":0", "tau");
    refuse(data, "\"k\":5", "\"k\":5.5", "k: expected a whole number");
    refuse(data, "\"ties\":\"shared\"", "\"ties\":\"first\"", "estimator differs");
    refuse(data, "\"test\":[", "\"test\":[99,", "no session 99");
    refuse(data, "\"name\":\"a2c\"", "\"name\":\"dqn\"", "learner.name");
    refuse(data, "\"hidden\": 64", "\"hidden\": 32", "network");
    refuse(data, "\"w1\": [\n        [", "\"w1\": [\n        [0,", "w1 has a row of 65");
    refuse(data, "\"w1\": [\n        [", "\"w1\": [\n        [], [", "w1 has 15 rows");
    refuse(data, "\"b3\": [", "\"b3\": [\"x\",", "b3");
    refuse(data, "\"\n}\n", "\"\n", "");

    // Unchanged, it loads still.
    assert_int_equal(policy_load(path, data, &back, NULL), OK);
    policy_release(&back);
    policy_release(&policy);
    dataset_free(data);
}

/* What a policy was trained with is not changed by writing something else down. */
static void test_changed_files(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(10, 3, scores);
    struct policy policy = make(data), back;
    save(&policy, data);
    refuse(data, "\"response\":1,", "\"response\":2,",
        "reward.response is 2, and the "
        "environment \"as-published\" has 1");
    refuse(data, "\"usage\":0.3333333333333333,", "\"usage\":0,", "reward.usage is 0");
    refuse(
        data, "\"latency_budget_s\":30", "\"latency_budget_s\":60", "latency_budget_s");
    refuse(data, "\"k\":5", "\"k\":3", "changed after m4a1 train wrote it");
    refuse(data, "\"seed\": 12", "\"seed\": 13", "changed after");
    refuse(data, "\"gamma\":0.", "\"gamma\":0.1", "changed after");
    refuse(data, "\"steps\":", "\"steps\":1", "changed after");
    refuse(data, "\"b3\": [-", "\"b3\": [", "changed after");
    refuse(data, "\"sha256\": \"", "\"sha256\": \"0", "changed after");
    refuse(data, "\"sha256\": \"", "\"sha256\": null, \"note\": \"", "changed after");

    // Laid out anew, or without the checksum that older files have not, it loads.
    struct json *root;
    struct buffer text;
    assert_int_equal(json_read_file(path, 1 << 22, 0, &root, NULL), OK);
    for (int is_old = 0; is_old <= 1; is_old++) {
        if (is_old)
            json_remove(root, "sha256");
        buffer_init(&text, 1 << 22);
        assert_int_equal(json_print(root, JSON_PRETTY, &text, NULL), OK);
        assert_int_equal(file_write(path, text.data, text.len, NULL), OK);
        buffer_release(&text);
        assert_int_equal(policy_load(path, data, &back, NULL), OK);
        policy_release(&back);
    }
    json_free(root);
    policy_release(&policy);
    dataset_free(data);
}

static void test_other_data(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(10, 3, scores);
    struct dataset *other = simple_dataset(11, 3, scores);
    struct policy policy = make(data), back;
    struct error err = ERROR_INIT;
    save(&policy, data);
    assert_int_equal(policy_load(path, other, &back, &err), E_DATA);
    assert_non_null(strstr(err.msg, "another data set"));
    assert_int_equal(policy_load("/nowhere/policy.json", data, &back, &err), E_NOT_FOUND);
    policy_release(&policy);
    dataset_free(data);
    dataset_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_changed_files),
        cmocka_unit_test(test_other_data),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
