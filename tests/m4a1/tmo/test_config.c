/* test_config.c - a config from JSON and back: every member, what follows, what is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/config.h"
#include "tests/support/tmo_data.h"

static enum status take(struct tmo_config *config, const char *text, struct error *err)
{
    struct json *json;
    assert_int_equal(json_parse(text, strlen(text), "text", 0, &json, NULL), OK);
    enum status s = tmo_config_read(config, json, "my.json", err);
    json_free(json);
    return s;
}

static struct tmo_config settled(const char *text)
{
    struct tmo_config config;
    struct error err = ERROR_INIT;
    tmo_config_init(&config, 0);
    if (take(&config, text, &err) || tmo_config_settle(&config, &err))
        fail_msg("%s: %s", text, err.msg);
    return config;
}

static void print(const struct tmo_config *config, struct buffer *out)
{
    struct json *o = json_new_object();
    buffer_init(out, 1 << 20);
    assert_int_equal(tmo_config_write(config, 1, o, NULL), OK);
    assert_int_equal(json_print(o, JSON_CANONICAL, out, NULL), OK);
    json_free(o);
}

/* What is written reads back as the same, and so does its copy. */
static void goes_round(const char *text)
{
    struct tmo_config config = settled(text), copy;
    struct buffer first, again;
    struct error err = ERROR_INIT;
    assert_int_equal(tmo_config_copy(&config, &copy, NULL), OK);
    tmo_config_release(&config);
    print(&copy, &first);
    tmo_config_release(&copy);
    tmo_config_init(&config, 0);
    if (take(&config, buffer_str(&first), &err))
        fail_msg("%s", err.msg);
    print(&config, &again);
    assert_string_equal(buffer_str(&first), buffer_str(&again));
    tmo_config_release(&config);
    buffer_release(&first);
    buffer_release(&again);
}

static void test_round_trips(void **state)
{
    (void)state;
    goes_round("{}");
    goes_round("{\"as_published\": true, \"resource_aware\": true}");
    goes_round("{\"learner\": {\"name\": \"ppo\", \"clip_range\": 0.1}}");
    goes_round(
        "{\"tau\": 7, \"actions\": [{\"llm\": \"gpt\", \"views\": [\"side\", \"top\"]},"
        " {\"llm\": \"phi\"}], \"transitions\": \"recorded\","
        " \"features\": \"published\", \"handling\": \"lagrangian\", \"lambda\": 3,"
        " \"dual_rate\": 0.5, \"longest\": 9, \"constraints\": [{\"kind\": \"privacy\","
        " \"budget\": 2, \"horizon\": 5}], \"estimator\": {\"kind\": \"metric\","
        " \"k\": 9, \"alpha\": 2, \"choose_by\": \"prompt\", \"n_folds\": 4,"
        " \"seed\": 8}, \"costs\": {\"device\": \"Jetson Nano\", \"network\": \"4G\","
        " \"timing\": \"loaded\", \"quantile\": \"p99\", \"table\":"
        " {\"m4a1_cost_table\": 1, \"llms\": {\"phi\": {\"latency_s\": [1],"
        " \"usage_usd\": [0]}}}}, \"reward\": {\"response\": 2, \"association\": 0,"
        " \"latency\": 0.1, \"usage\": 0.2}, \"learner\": {\"name\": \"dqn\","
        " \"buffer_size\": 500}, \"split\": {\"train_share\": 0.7, \"by\": \"scene\"}}");
}

/* What is not said keeps its value; what is said last counts. */
static void test_overriding(void **state)
{
    (void)state;
    struct tmo_config config = settled("{\"tau\": 7, \"learner\": {\"name\": \"dqn\"}}");
    assert_int_equal(take(&config, "{\"learner\": {\"gamma\": 0.5}}", NULL), OK);
    assert_int_equal(config.tau, 7);
    assert_int_equal(config.learner.kind, LEARNER_DQN);
    assert_true(config.learner.gamma == 0.5 && config.learner.learning_rate == 1e-4);
    assert_int_equal(take(&config, "{\"learner\": {\"name\": \"a2c\"}}", NULL), OK);
    assert_true(config.learner.gamma == 0.99);
    assert_int_equal(take(&config, "{\"learner\": {\"name\": \"ppo\"}}", NULL), OK);
    assert_true(config.learner.steps == 1000000 && config.learner.recombine == 1);
    assert_int_equal(config.environment.estimator.kind, ESTIMATOR_AUTO);

    // The other world begins with its own defaults.
    assert_int_equal(take(&config, "{\"as_published\": true}", NULL), OK);
    assert_int_equal(config.tau, 5);
    assert_int_equal(config.environment.estimator.kind, ESTIMATOR_PUBLISHED);
    assert_int_equal(config.environment.transitions, TRANSITIONS_RECORDED);
    assert_int_equal(config.learner.kind, LEARNER_A2C);
    assert_int_equal(take(&config, "{\"learner\": {\"name\": \"ppo\"}}", NULL), OK);
    assert_true(config.learner.steps == 30000 && config.learner.recombine == 0);
    tmo_config_release(&config);
}

static void test_what_follows(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum constraint_handling handling;
        int resource_aware;
    } cases[] = {
        { "{}", HANDLING_NONE, 0 },
        { "{\"constraints\": [{\"kind\": \"latency\", \"budget\": 3}]}", HANDLING_SHIELD,
            1 },
        { "{\"constraints\": [{\"kind\": \"latency\", \"budget\": 3}],"
          " \"handling\": \"none\"}",
            HANDLING_NONE, 0 },
        { "{\"handling\": \"penalty\"}", HANDLING_PENALTY, 1 },
        { "{\"handling\": \"penalty\", \"resource_aware\": false}", HANDLING_PENALTY, 0 },
        { "{\"as_published\": true}", HANDLING_NONE, 0 },
        { "{\"as_published\": true, \"resource_aware\": true}", HANDLING_PUBLISHED, 1 },
        { "{\"constraints\": []}", HANDLING_NONE, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tmo_config config = settled(cases[i].text);
        assert_int_equal(config.environment.handling, cases[i].handling);
        assert_int_equal(config.environment.resource_aware, cases[i].resource_aware);
        tmo_config_release(&config);
    }
    struct error err = ERROR_INIT;
    struct tmo_config config;
    tmo_config_init(&config, 0);
    assert_int_equal(
        take(&config, "{\"constraints\": [], \"handling\": \"penalty\"}", &err), OK);
    assert_int_equal(tmo_config_settle(&config, &err), E_ARG);
    assert_non_null(strstr(err.msg, "nothing to handle"));
    tmo_config_release(&config);
    tmo_config_init(&config, 0);
    assert_int_equal(
        take(&config, "{\"resource_aware\": false, \"handling\": \"published\"}", &err),
        OK);
    assert_int_equal(tmo_config_settle(&config, &err), E_ARG);
    tmo_config_release(&config);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "{\"taus\": 5}", "unknown member \"taus\", did you mean \"tau\"" },
        { "{\"tau\": 0}", "tau: expected a whole number from 1 to 64" },
        { "{\"tau\": 2.5}", "tau: expected a whole number" },
        { "{\"tau\": \"5\"}", "tau: expected" },
        { "{\"as_published\": 1}", "as_published: expected true or false" },
        { "{\"handling\": \"shields\"}", "handling: expected one of \"none\"" },
        { "{\"lambda\": -1}", "lambda: expected a number from 0" },
        { "{\"estimator\": {\"kind\": \"tree\"}}", "estimator.kind: expected one of" },
        { "{\"estimator\": {\"kinds\": 1}}", "unknown member \"estimator.kinds\"" },
        { "{\"estimator\": 5}", "estimator: expected an object" },
        { "{\"costs\": {\"device\": \"Jetson\"}}", "costs.device: no device \"Jetson\"" },
        { "{\"costs\": {\"network\": \"6G\"}}", "there are: Wired, WiFi, 5G, 4G" },
        { "{\"costs\": {\"table\": {}}}", "costs.table: expected" },
        { "{\"costs\": {\"file\": 5}}", "costs.file: expected a text or null" },
        { "{\"reward\": {\"speed\": 1}}", "unknown member \"reward.speed\"" },
        { "{\"constraints\": [{\"kind\": \"time\", \"budget\": 1}]}",
            "constraints.kind: expected one of \"latency\"" },
        { "{\"constraints\": [{\"kind\": \"usage\"}]}", "kind and budget of each" },
        { "{\"constraints\": [{\"kind\": \"usage\", \"budget\": 1, \"turns\": 2}]}",
            "unknown member \"constraints.turns\"" },
        { "{\"constraints\": [{\"kind\": \"usage\", \"budget\": 1},"
          " {\"kind\": \"usage\", \"budget\": 2}]}",
            "constraints: " },
        { "{\"constraints\": [{\"kind\": \"usage\", \"budget\": 1e-300}]}",
            "constraints: constraint 0 (usage): a budget is 0 or" },
        { "{\"learner\": {\"name\": \"sarsa\"}}", "learner.name: expected one of" },
        { "{\"learner\": {\"name\": \"dqn\", \"clip_range\": 0.1}}",
            "unknown member \"learner.clip_range\" of dqn" },
        { "{\"learner\": {\"gamma\": 2}}", "learner.gamma: 2 is not" },
        { "{\"learner\": {\"steps\": 1.5}}", "learner.steps: 1.5 is not a whole" },
        { "{\"actions\": \"some\"}", "actions: expected one of \"all\", \"recorded\"" },
        { "{\"actions\": [{\"views\": []}]}", "actions: expected \"all\"" },
        { "{\"split\": {\"by\": \"prompt\"}}", "split.by: expected" },
        { "{\"split\": {\"train_share\": 1}}", "split.train_share: expected" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tmo_config config;
        struct error err = ERROR_INIT;
        tmo_config_init(&config, 0);
        assert_int_equal(take(&config, cases[i].text, &err), E_DATA);
        if (!strstr(err.msg, cases[i].said) || strncmp(err.msg, "my.json: ", 9) != 0)
            fail_msg("%s: %s", cases[i].text, err.msg);
        tmo_config_release(&config);
    }
}

static void test_constraints_as_text(void **state)
{
    (void)state;
    struct tmo_config config;
    struct error err = ERROR_INIT;
    const struct constraint *list = config.environment.constraints;
    tmo_config_init(&config, 0);
    assert_int_equal(tmo_config_constrain(&config, "latency=20.5", 1, &err), OK);
    assert_int_equal(tmo_config_constrain(&config, "privacy=2:5", 0, &err), OK);
    assert_int_equal(config.environment.n_constraints, 2);
    assert_true(list[0].kind == CONSTRAINT_LATENCY && list[0].budget == 20.5);
    assert_int_equal(list[0].horizon, 0);
    assert_true(list[1].kind == CONSTRAINT_PRIVACY && list[1].budget == 2);
    assert_int_equal(list[1].horizon, 5);
    static const char *const bad[] = { "latency", "latency=", "=3", "speed=3",
        "latency=-1", "latency=x", "usage=1:0", "usage=1:65", "usage=1:x",
        "privacy=3:5" };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(tmo_config_constrain(&config, bad[i], 0, &err), E_ARG);
    tmo_config_release(&config);
}

static const double scores[2][2] = { { 1, 2 }, { 3, 4 } };

static void test_recording(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(10, 3, scores);
    struct recorded *rec;
    struct error err = ERROR_INIT;
    struct tmo_config config =
        settled("{\"actions\": [{\"llm\": \"cloud\", \"views\": [\"view_1\"]},"
                " {\"llm\": \"local\"}], \"costs\": {\"of_data\": false}}");
    assert_int_equal(tmo_config_record(&config, data, &rec, &err), OK);
    assert_int_equal(rec->space.n_actions, 2);
    assert_int_equal(rec->space.actions[0].views, 2);
    recorded_free(rec);
    tmo_config_release(&config);

    static const struct {
        const char *text, *said;
    } bad[] = {
        { "{\"actions\": [{\"llm\": \"gpt\"}]}", "actions[0] asks llm \"gpt\"" },
        { "{\"actions\": [{\"llm\": \"local\"}, {\"llm\": \"cloud\", \"views\":"
          " [\"roof\"]}]}",
            "actions[1] shows view \"roof\"" },
        { "{\"as_published\": true, \"local\": \"phi\"}", "--local phi:" },
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        config = settled(bad[i].text);
        assert_int_equal(tmo_config_record(&config, data, &rec, &err), E_ARG);
        assert_null(rec);
        if (!strstr(err.msg, bad[i].said))
            fail_msg("%s: %s", bad[i].text, err.msg);
        tmo_config_release(&config);
    }
    dataset_free(data);
}

static void test_splits(void **state)
{
    (void)state;
    char path[] = "/tmp/m4a1-split-XXXXXX";
    static const char text[] =
        "{\"a\": {\"train\": [0, 1], \"test\": [2]},"
        " \"seed4\": {\"train\": [3], \"test\": [4, 5]}, \"note\": 1}";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(file_write(path, text, strlen(text), NULL), OK);
    struct dataset *data = simple_dataset(10, 3, scores);
    struct tmo_config config = settled("{\"split\": {\"train_share\": 0.6}}");
    struct split split;
    struct error err = ERROR_INIT;
    assert_int_equal(tmo_config_split(&config, data, 1, &split, &err), OK);
    assert_int_equal(split.n_train, 6);
    split_release(&split);
    config.split_from = text_format("%s:seed{seed}", path);
    assert_int_equal(tmo_config_split(&config, data, 4, &split, &err), OK);
    assert_int_equal(split.n_test, 2);
    assert_int_equal(split.test[1], 5);
    split_release(&split);
    assert_int_equal(tmo_config_split(&config, data, 5, &split, &err), E_DATA);
    assert_non_null(strstr(err.msg, "no split \"seed5\"; it has a, seed4"));
    tmo_config_release(&config);
    dataset_free(data);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_overriding),
        cmocka_unit_test(test_what_follows),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_constraints_as_text),
        cmocka_unit_test(test_recording),
        cmocka_unit_test(test_splits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
