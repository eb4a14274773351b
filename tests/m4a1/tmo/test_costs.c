/* test_costs.c - the published profiles and costs, against the authors' own figures. */
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
#include "m4a1/base/text.h"
#include "m4a1/tmo/costs.h"
#include "tests/support/tmo_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-9)

static void near_list(const struct json *list, const double *x, size_t n)
{
    assert_int_equal(json_size(list), n);
    for (size_t i = 0; i < n; i++)
        NEAR(json_number(json_at(list, i), NAN), x[i]);
}

static const char *const two[] = { "phi", "gpt" };

/* Of the published space: one local llm, one cloud llm, all actions. */
static enum status try_published(const char *device, const char *network, size_t n_views,
    struct costs *costs, struct error *err)
{
    const struct costs_settings set = { device, network, NULL };
    struct space space;
    assert_int_equal(space_init_published(&space, n_views, 1, 1, NULL), OK);
    enum status s = costs_build(&set, &space, two, costs, err);
    space_release(&space);
    return s;
}

static struct costs build(const char *device, const char *network, size_t n_views)
{
    struct costs costs;
    struct error err = ERROR_INIT;
    assert_int_equal(try_published(device, network, n_views, &costs, &err), OK);
    assert_true(costs.is_exact);
    return costs;
}

/* [local, cloud 0 views, ..., cloud X views] */
static const double *kinds(const struct costs *costs, const double *figure)
{
    static double list[COST_CELLS + 1];
    list[0] = figure[0];
    for (size_t n = 0; n <= costs->n_views; n++)
        list[1 + n] = figure[costs_cell(costs, 1, n)];
    return list;
}

static void check_profiles(const struct json *golden)
{
    assert_int_equal(json_size(json_get(golden, "local")), COSTS_N_DEVICES);
    assert_int_equal(json_size(json_get(golden, "cloud")), COSTS_N_NETWORKS);
    for (size_t i = 0; i < COSTS_N_DEVICES; i++) {
        const struct costs_device *device = &costs_devices[i];
        const struct json *one = json_get(json_get(golden, "local"), device->name);
        struct costs costs = build(device->name, COSTS_NETWORK, 3);
        NEAR(json_number(json_get(one, "GF_peak"), NAN), device->peak_gflops);
        NEAR(json_number(json_get(one, "P_max"), NAN), device->peak_watts);
        NEAR(json_number(json_get(one, "local_time"), NAN), costs.latency_s[0]);
        // USD are tiny: compare them relative to their size, too.
        double usd = json_number(json_get(one, "local_usage_cost"), NAN);
        assert_true(fabs(usd - costs.usage_usd[0]) <= 1e-12 * usd);
        costs_release(&costs);
    }
    for (size_t i = 0; i < COSTS_N_NETWORKS; i++) {
        const struct costs_network *network = &costs_networks[i];
        const struct json *one = json_get(json_get(golden, "cloud"), network->name);
        near_list(json_get(one, "cloud_time"), network->latency_s, 4);
        near_list(json_get(one, "cloud_usage_cost"), network->usage_usd, 4);
    }
}

static void check_actions(const struct json *golden)
{
    const struct json *tables = json_get(golden, "actions");
    assert_int_equal(json_size(tables), 4);
    for (const struct json *t = json_first(tables); t; t = json_next(t)) {
        int64_t n_views = 0;
        struct space space;
        assert_int_equal(text_to_int(json_key(t), "views", 1, 10, &n_views, NULL), OK);
        assert_int_equal(space_init_published(&space, (size_t)n_views, 1, 1, NULL), OK);
        assert_int_equal(json_int(json_get(t, "num_actions"), -1), space.n_actions);
        const struct json *rows = json_get(t, "table");
        assert_int_equal(json_size(rows), space.n_actions);
        for (size_t a = 0; a < space.n_actions; a++) {
            const struct json *row = json_at(rows, a);
            int16_t bits[SPACE_MAX_VIEWS + 1];
            assert_int_equal(json_int(json_get(row, "action"), -1), a);
            assert_string_equal(
                json_text(json_get(row, "where"), ""), a ? "cloud" : "local");
            uint32_t views = 0;
            const struct json *subset = json_get(row, "subset");
            for (const struct json *v = json_first(subset); v; v = json_next(v))
                views |= UINT32_C(1) << json_int(v, 31);
            assert_int_equal(views, space.actions[a].views);
            space_action_bits(&space, a, bits);
            const struct json *one_hot = json_get(row, "one_hot");
            assert_int_equal(json_size(one_hot), space.n_views + 1);
            for (size_t b = 0; b <= space.n_views; b++)
                assert_int_equal(json_int(json_at(one_hot, b), -1), bits[b]);
        }
        space_release(&space);
    }
}

static void check_normalised(const struct json *golden)
{
    const struct json *pairs = json_get(golden, "normalised");
    assert_int_equal(json_size(pairs), COSTS_N_DEVICES * COSTS_N_NETWORKS);
    for (size_t i = 0; i < COSTS_N_DEVICES * COSTS_N_NETWORKS; i++) {
        const char *device = costs_devices[i / COSTS_N_NETWORKS].name;
        const char *network = costs_networks[i % COSTS_N_NETWORKS].name;
        char key[64];
        snprintf(key, sizeof key, "%s|%s", device, network);
        const struct json *one = json_get(pairs, key);
        struct costs costs = build(device, network, 3);
        near_list(json_get(one, "latency"), kinds(&costs, costs.latency_share), 5);
        near_list(json_get(one, "usage"), kinds(&costs, costs.usage_share), 5);
        const struct json *range = json_get(one, "budget_range");
        size_t dear = costs_cell(&costs, 1, 3);
        near_list(json_get(range, "latency"),
            (double[]) { 5 * costs.latency_s[0], 5 * costs.latency_s[dear] }, 2);
        near_list(json_get(range, "usage"),
            (double[]) { 5 * costs.usage_usd[0], 5 * costs.usage_usd[dear] }, 2);
        costs_release(&costs);
    }
}

static void test_published_costs(void **state)
{
    (void)state;
    struct json *golden = golden_json("golden/tmo/costs.json");
    if (!golden) {
        print_message("no shared golden/tmo/costs.json\n");
        skip();
    }
    check_profiles(golden);
    check_actions(golden);
    check_normalised(golden);
    json_free(golden);
}

static void test_fewer_views(void **state)
{
    (void)state;
    struct costs costs = build("Jetson TX2", "WiFi", 1);
    assert_int_equal(costs.is_kind[costs_cell(&costs, 0, 1)], 0);
    NEAR(costs.latency_share[0], 0);
    NEAR(costs.latency_share[costs_cell(&costs, 1, 1)], 1);
    // 2 * 3.8e9 / 1024 * 2048 FLOPs at 1330 GFLOP/s.
    NEAR(costs.latency_s[0], 1.52e10 / 1.33e12);
    NEAR(costs.latency_share[costs_cell(&costs, 1, 0)],
        (0.5 - costs.latency_s[0]) / (1.898 - costs.latency_s[0]));
    costs_release(&costs);
}

static void test_unknown_names(void **state)
{
    (void)state;
    struct costs costs;
    struct error err = ERROR_INIT;
    assert_int_equal(try_published("Jetson TX", "Wired", 3, &costs, &err), E_ARG);
    assert_non_null(strstr(err.msg, "Jetson TX2"));
    assert_int_equal(try_published("Jetson TX2", "6G", 3, &costs, &err), E_ARG);
    assert_non_null(strstr(err.msg, "there are: Wired, WiFi, 5G, 4G"));
    assert_int_equal(try_published("Jetson TX2", "Wired", 4, &costs, &err), E_ARG);
    assert_non_null(strstr(err.msg, "come to 4"));
}

/* ---- tables ---- */

static const char *const names[] = { "phi", "gpt", "gemini" };
static const unsigned char cloud[] = { 0, 1, 1 };

static struct space three_llms(size_t n_views)
{
    struct space space;
    const struct space_shape shape = { .n_llms = 3,
        .cloud = cloud,
        .n_views = n_views,
        .n_tasks = 1,
        .tau = 1,
        .with_context = 1 };
    assert_int_equal(space_init(&space, &shape, NULL), OK);
    return space;
}

static enum status try_table(const char *json, size_t n_views, enum cost_timing timing,
    struct costs *out, struct error *err)
{
    char path[] = "/tmp/m4a1-costs-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(file_write(path, json, strlen(json), NULL), OK);
    struct cost_table *table;
    enum status s = cost_table_read(path, timing, QUANTILE_P90, &table, err);
    assert_int_equal(unlink(path), 0);
    if (s)
        return s;

    // Its own form gives it back.
    struct json *object = json_new_object();
    struct cost_table *back, *copy;
    struct buffer first, second;
    buffer_init(&first, 1 << 20);
    buffer_init(&second, 1 << 20);
    assert_int_equal(cost_table_describe(table, object, NULL), OK);
    assert_int_equal(json_print(object, JSON_COMPACT, &first, NULL), OK);
    assert_int_equal(cost_table_parse(object, "it", &back, NULL), OK);
    json_free(object);
    assert_int_equal(cost_table_copy(back, &copy, NULL), OK);
    cost_table_free(back);
    object = json_new_object();
    assert_int_equal(cost_table_describe(copy, object, NULL), OK);
    assert_int_equal(json_print(object, JSON_COMPACT, &second, NULL), OK);
    assert_string_equal(buffer_str(&first), buffer_str(&second));
    json_free(object);
    cost_table_free(copy);
    buffer_release(&first);
    buffer_release(&second);

    struct space space = three_llms(n_views);
    const struct costs_settings set = { COSTS_DEVICE, COSTS_NETWORK, table };
    s = costs_build(&set, &space, names, out, err);
    space_release(&space);
    cost_table_free(table);
    return s;
}

static void test_table(void **state)
{
    (void)state;
    struct costs costs;
    struct error err = ERROR_INIT;
    enum status s = try_table(
        "{\"m4a1_cost_table\": 1, \"llms\": {"
        "\"phi\": {\"latency_s\": [7.5], \"usage_usd\": [0.0001]},"
        "\"gpt\": {\"latency_s\": [2, null, 6], \"usage_usd\": [0, 0.01, 0.02, 0.03]},"
        "\"gemini\": {\"latency_s\": [1, 2, 3, 4], \"usage_usd\": [0, 0, 0, 0.04],"
        "             \"latency_reserve_s\": [1.5, null, 2, 4]}}}",
        3, TIMING_ANY, &costs, &err);
    if (s)
        fail_msg("%s", err.msg);
    NEAR(costs.latency_s[costs_cell(&costs, 1, 1)], 4);
    NEAR(costs.latency_s[costs_cell(&costs, 1, 3)], 8);
    NEAR(costs.latency_share[costs_cell(&costs, 0, 0)], 6.5 / 7);
    NEAR(costs.latency_share[costs_cell(&costs, 1, 3)], 1);
    NEAR(costs.latency_share[costs_cell(&costs, 2, 0)], 0);
    NEAR(costs.usage_share[costs_cell(&costs, 1, 3)], 0.75);
    NEAR(costs.usage_share[costs_cell(&costs, 2, 3)], 1);
    // Reserves: known, as a share of the cost where not, never below the cost.
    NEAR(costs.latency_reserve_s[costs_cell(&costs, 2, 0)], 1.5);
    NEAR(costs.latency_reserve_s[costs_cell(&costs, 2, 1)], 3);
    NEAR(costs.latency_reserve_s[costs_cell(&costs, 2, 2)], 3);
    NEAR(costs.latency_reserve_s[costs_cell(&costs, 1, 2)], 6);
    assert_false(costs.is_exact);
    struct buffer told;
    buffer_init(&told, 1000);
    costs_tell_filled(&costs, names, &told);
    assert_string_equal(buffer_str(&told), "gpt with 1, 3 views");
    buffer_release(&told);
    costs_release(&costs);
}

/* Ten views, as far as a space goes; a falling line ends at 0. */
static void test_ten_views(void **state)
{
    (void)state;
    struct costs costs;
    assert_int_equal(try_table("{\"m4a1_cost_table\": 1, \"llms\": {"
                               "\"phi\": {\"latency_s\": [1], \"usage_usd\": [0]},"
                               "\"gpt\": {\"latency_s\": [3, 2], \"usage_usd\": [0, 1]},"
                               "\"gemini\": {\"latency_s\": [1, 1], \"usage_usd\": [1, "
                               "1]}}}",
                         10, TIMING_ANY, &costs, NULL),
        OK);
    NEAR(costs.latency_s[costs_cell(&costs, 1, 10)], 0);
    NEAR(costs.usage_usd[costs_cell(&costs, 1, 10)], 10);
    NEAR(costs.usage_share[costs_cell(&costs, 2, 10)], 0.1);
    assert_true(costs.is_exact);
    costs_release(&costs);
}

/* A row of a profile as stats latency writes it. */
#define ROW(llm, timing, n_context, n, mean, p90, usd, energy)                           \
    "{\"llm\":\"" llm "\",\"role\":\"any\",\"timing\":\"" timing                         \
    "\",\"phase\":\"steady\",\"views_added\":[],\"n_context\":" n_context ",\"n\":" n    \
    ",\"p50_s\":1,\"p90_s\":" p90 ",\"p99_s\":null,\"mean_s\":" mean                     \
    ",\"cost_mean_usd\":" usd ",\"cost_p90_usd\":null,\"energy_mean_usd\":" energy       \
    ",\"n_cost\":" n "}"

#define LOCAL(llm, n_context, n, mean, p90)                                              \
    "{\"llm\":\"" llm "\",\"role\":\"local\",\"timing\":\"loaded\",\"views_added\":[],"  \
    "\"n_context\":" n_context ",\"n\":" n ",\"p90_s\":" p90 ",\"mean_s\":" mean         \
    ",\"cost_mean_usd\":null,\"energy_mean_usd\":0.001,\"n_cost\":0}"

static void test_profile(void **state)
{
    (void)state;
    static const char profile[] =
        "{\"m4a1_cost_profile\":1,\"made_by\":\"m4a1\",\"actions\":[" ROW(
            "phi", "loaded", "0", "20", "8", "12", "null", "0.001") "," ROW("gpt",
            "loaded", "0", "30", "3", "6", "0.01", "null") "," ROW("gpt", "loaded", "0",
            "10", "7", "8", "0.03", "null") "," ROW("gpt", "loaded", "2", "5", "9",
            "null", "0.05", "null") "," ROW("gemini", "loaded", "0", "10", "50", "60",
            "0.01", "null") "," ROW("gemini", "isolated", "0", "10", "2", "3", "0.01",
            "null") "," ROW("gemini", "isolated", "1", "10", "4", "5", "0.02",
            "null") "]}";
    struct costs costs;
    struct error err = ERROR_INIT;
    enum status s = try_table(profile, 2, TIMING_ANY, &costs, &err);
    if (s)
        fail_msg("%s", err.msg);
    NEAR(costs.latency_s[0], 8);
    NEAR(costs.usage_usd[0], 0.001);
    NEAR(costs.latency_reserve_s[0], 12);
    NEAR(costs.latency_s[costs_cell(&costs, 1, 0)], 4); // (30 * 3 + 10 * 7) / 40
    NEAR(costs.usage_usd[costs_cell(&costs, 1, 0)], 0.015);
    NEAR(costs.latency_reserve_s[costs_cell(&costs, 1, 0)], 8);
    NEAR(costs.latency_s[costs_cell(&costs, 1, 1)], 6.5);
    NEAR(
        costs.latency_reserve_s[costs_cell(&costs, 1, 2)], 18); // twice, as without views
    NEAR(costs.latency_s[costs_cell(&costs, 2, 0)], 2);         // isolated, never pooled
    NEAR(costs.latency_s[costs_cell(&costs, 2, 2)], 6);
    costs_release(&costs);

    // Loaded only: one number of views of gemini is too few for a line.
    assert_int_equal(try_table(profile, 2, TIMING_LOADED, &costs, &err), E_ARG);
    assert_non_null(strstr(err.msg, "seconds of \"gemini\" with 1 view,"));
    assert_int_equal(try_table(profile, 2, TIMING_ISOLATED, &costs, &err), E_ARG);
    assert_non_null(strstr(err.msg, "nothing of llm \"phi\""));
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *json, *said;
    } cases[] = {
        { "{}", "is no cost file" },
        { "[1", "" },
        { "{\"m4a1_cost_table\": 2}", "reads version 1" },
        { "{\"m4a1_cost_table\": 1}", "llms: expected an object" },
        { "{\"m4a1_cost_table\": 1, \"llms\": {\"phi\": [1]}}",
            "llms.phi: expected an object" },
        { "{\"m4a1_cost_table\": 1, \"llms\": {\"phi\": {\"latency_s\": [1]}}}",
            "llms.phi.usage_usd: expected a list" },
        { "{\"m4a1_cost_table\": 1, \"llms\": {\"phi\": {\"latency_s\": [-1], "
          "\"usage_usd\": [0]}}}",
            "llms.phi.latency_s: a number from 0" },
        { "{\"m4a1_cost_table\": 1, \"llms\": {\"phi\": {\"latency\": [1]}}}",
            "unknown member \"latency\"" },
        { "{\"m4a1_cost_profile\": 1, \"actions\": []}", "list of measured actions" },
        { "{\"m4a1_cost_profile\": 1, \"actions\": [{\"llm\": \"phi\"}]}",
            "no answer was measured" },
        { "{\"m4a1_cost_profile\": 1, \"actions\": [" ROW(
              "phi", "loaded", "0", "1", "1", "1", "null", "null") "]}",
            "have no price" },
        { "{\"m4a1_cost_profile\": 1, \"actions\": [" ROW(
              "phi", "loaded", "11", "1", "1", "1", "null", "0") "]}",
            "n_context" },
        { "{\"m4a1_cost_table\": 1, \"llms\": {\"phi\": {\"latency_s\": [1e308], "
          "\"usage_usd\": [0]}}}",
            "llms.phi.latency_s: a number from 0 to 1e+09" },
        { "{\"m4a1_cost_profile\": 1, \"actions\": [" ROW(
              "phi", "loaded", "0", "1", "-1", "1", "1", "null") "]}",
            "mean_s" },
        { "{\"m4a1_cost_profile\": 1, \"actions\": [" ROW(
              "phi", "loaded", "0", "1e300", "1", "1", "1", "null") "]}",
            "n_context" },
        { "{\"m4a1_cost_profile\": 1, \"actions\": [" ROW(
              "phi", "loaded", "0", "1", "1", "1e300", "1", "null") "]}",
            "seconds and USD" },
        { "{\"m4a1_cost_profile\": 1, \"actions\": [" ROW(
              "phi", "loaded", "0", "1", "1", "1", "-1", "null") "]}",
            "seconds and USD" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct costs costs;
        struct error err = ERROR_INIT;
        enum cost_timing timing =
            strstr(cases[i].said, "no answer") ? TIMING_LOADED : TIMING_ANY;
        assert_int_equal(try_table(cases[i].json, 2, timing, &costs, &err), E_DATA);
        if (!strstr(err.msg, cases[i].said) || !strstr(err.msg, "/tmp/m4a1-costs-"))
            fail_msg("%s: %s", cases[i].json, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_costs),
        cmocka_unit_test(test_fewer_views),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_ten_views),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
