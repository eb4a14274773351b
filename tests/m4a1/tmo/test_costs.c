/* test_costs.c - the published profiles and costs, against the authors' own figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
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

static struct costs build(const char *device, const char *network, size_t n_views)
{
    struct costs costs;
    struct error err = ERROR_INIT;
    assert_int_equal(costs_build(device, network, n_views, &costs, &err), OK);
    return costs;
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
        assert_int_equal(space_init(&space, (size_t)n_views, 1, 1, NULL), OK);
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
            assert_int_equal(views, space.views[a]);
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
        assert_int_equal(costs.n_kinds, 5);
        near_list(json_get(one, "latency"), costs.latency_share, 5);
        near_list(json_get(one, "usage"), costs.usage_share, 5);
        const struct json *range = json_get(one, "budget_range");
        near_list(json_get(range, "latency"),
            (double[]) { 5 * costs.latency_s[0], 5 * costs.latency_s[4] }, 2);
        near_list(json_get(range, "usage"),
            (double[]) { 5 * costs.usage_usd[0], 5 * costs.usage_usd[4] }, 2);
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
    assert_int_equal(costs.n_kinds, 3);
    NEAR(costs.latency_share[0], 0);
    NEAR(costs.latency_share[2], 1);
    // 2 * 3.8e9 / 1024 * 2048 FLOPs at 1330 GFLOP/s.
    NEAR(costs.latency_s[0], 1.52e10 / 1.33e12);
    NEAR(costs.latency_share[1],
        (0.5 - costs.latency_s[0]) / (1.898 - costs.latency_s[0]));
}

static void test_unknown_names(void **state)
{
    (void)state;
    struct costs costs;
    struct error err = ERROR_INIT;
    assert_int_equal(costs_build("Jetson TX", "Wired", 3, &costs, &err), E_ARG);
    assert_non_null(strstr(err.msg, "Jetson TX2"));
    assert_int_equal(costs_build("Jetson TX2", "6G", 3, &costs, &err), E_ARG);
    assert_non_null(strstr(err.msg, "there are: Wired, WiFi, 5G, 4G"));
    assert_int_equal(costs_build("Jetson TX2", "Wired", 4, &costs, &err), E_ARG);
    assert_non_null(strstr(err.msg, "4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_costs),
        cmocka_unit_test(test_fewer_views),
        cmocka_unit_test(test_unknown_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
