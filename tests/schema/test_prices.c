/* The views that price a response: by time, by the size of its prompt, by service tier;
 * electricity apart; and what a store of version 1 becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/store_fixture.h"

static struct error err;

static void run(struct store_fixture *f, const char *sql)
{
    err = (struct error)ERROR_INIT;
    if (store_run(f->store, &err, sql, "") != OK)
        fail_msg("%s: %s", sql, err.msg);
}

static void add_price(struct store_fixture *f, const char *tier, int64_t from_ms,
    int64_t min_tokens, int64_t input, int64_t output)
{
    assert_int_equal(
        store_run(f->store, &err,
            "INSERT INTO price (llm_id, service_tier, valid_from_ms, min_input_tokens,"
            " input_pusd, cache_read_pusd, cache_write_pusd, output_pusd, source)"
            " VALUES (1, ?, ?, ?, ?4, ?4 / 10, ?4 * 2, ?, 'test')",
            "tiiii", tier, from_ms, min_tokens, input, output),
        OK);
}

/* An answer of call 1 that was sent at this time with so many tokens. */
static void add_answer(struct store_fixture *f, int64_t sent_ms, int64_t fresh,
    int64_t cached, int64_t written, const char *tier)
{
    int64_t number = store_fixture_int(f, "SELECT count(*) + 1 FROM attempt");
    assert_int_equal(
        store_run(f->store, &err,
            "INSERT INTO attempt (call_id, number, status, sent_ms, closed_ms,"
            " request_sha256, request, latency_ns) VALUES (1, ?, 'ok', ?, ?2, 'h', x'00',"
            " 2000000000)",
            "ii", number, sent_ms),
        OK);
    assert_int_equal(
        store_run(f->store, &err,
            "INSERT INTO response (call_id, attempt_id, text, input_tokens,"
            " cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,"
            " service_tier) VALUES (1, ?, 'x', ?, ?, ?, 10, 5, ?)",
            "iiiit", store_last_id(f->store), fresh, cached, written, tier),
        OK);
}

static int64_t last_cost(struct store_fixture *f)
{
    return store_fixture_int(f, "SELECT coalesce(cost_pusd, -1) FROM response_cost"
                                " ORDER BY response_id DESC LIMIT 1");
}

static void test_right_row_is_picked(void **state)
{
    (void)state;
    struct store_fixture f;
    store_fixture_open(&f, "keep");
    assert_int_equal(store_fixture_llm(&f, "a", "http://127.0.0.1:1", NULL), 1);
    store_fixture_session(&f, 1, 1, 0);
    add_price(&f, "standard", 1000, 0, 100, 1000);
    add_price(&f, "standard", 1000, 201, 200, 3000);
    add_price(&f, "standard", 5000, 0, 50, 500);
    add_price(&f, "batch", 1000, 0, 10, 100);

    add_answer(&f, 999, 100, 0, 0, NULL); // before any price
    assert_int_equal(last_cost(&f), -1);
    add_answer(&f, 1000, 100, 0, 0, NULL);
    assert_int_equal(last_cost(&f), 100 * 100 + 15 * 1000);
    // The whole prompt counts for its size, cached tokens included.
    add_answer(&f, 2000, 100, 50, 50, NULL);
    assert_int_equal(last_cost(&f), 100 * 100 + 50 * 10 + 50 * 200 + 15 * 1000);
    add_answer(&f, 2000, 100, 50, 51, "default");
    assert_int_equal(last_cost(&f), 100 * 200 + 50 * 20 + 51 * 400 + 15 * 3000);
    // A later day without a step has one price for all prompts.
    add_answer(&f, 5000, 1000, 0, 0, "standard");
    assert_int_equal(last_cost(&f), 1000 * 50 + 15 * 500);
    add_answer(&f, 5000, 1000, 0, 0, "Batch");
    assert_int_equal(last_cost(&f), 1000 * 10 + 15 * 100);
    // No row of that tier: unknown, not the standard price.
    add_answer(&f, 5000, 1000, 0, 0, "priority");
    assert_int_equal(last_cost(&f), -1);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM response_cost WHERE energy_pusd IS"
                              " NOT NULL"),
        0);
    store_fixture_close(&f);
}

/* Counts that nobody can have had: they are unknown, and no sum breaks on them. */
static void test_nonsense_costs_nothing(void **state)
{
    (void)state;
    struct store_fixture f;
    store_fixture_open(&f, "keep");
    assert_int_equal(store_fixture_llm(&f, "a", "http://127.0.0.1:1", NULL), 1);
    store_fixture_session(&f, 1, 1, 0);
    add_price(&f, "standard", 1000, 0, INT64_C(1000000000000), 0); // a dollar a token
    add_answer(&f, 1000, 1000, 0, 0, NULL);
    assert_int_equal(last_cost(&f), INT64_C(1000000000000000));
    for (int i = 0; i < 20; i++) // beyond 64 bits, alone and together
        add_answer(&f, 1000, INT64_C(1000000000), 0, 0, NULL);
    assert_int_equal(last_cost(&f), -1);
    add_answer(&f, 1000, 1001, 0, 0, NULL);
    assert_int_equal(last_cost(&f), -1);
    assert_int_equal(store_fixture_int(&f, "SELECT sum(cost_pusd) FROM response_cost"),
        INT64_C(1000000000000000));
    assert_int_equal(store_fixture_int(&f, "SELECT sum(total_pusd) FROM response_cost"),
        INT64_C(1000000000000000));
    assert_int_equal(store_fixture_int(&f,
                         "SELECT cost_usd = 1000 AND input_tokens > 0 FROM cost_by_llm"),
        1);
    store_fixture_close(&f);
}

static void use_energy(struct llm *llm)
{
    llm->role = LLM_LOCAL;
    llm->watts = 36;
    llm->usd_per_kwh = 0.25;
}

static void test_energy_is_apart(void **state)
{
    (void)state;
    struct store_fixture f;
    store_fixture_open(&f, "keep");
    assert_int_equal(store_fixture_llm(&f, "a", "http://127.0.0.1:1", use_energy), 1);
    store_fixture_session(&f, 1, 1, 0);
    add_price(&f, "standard", 0, 0, 0, 0);
    add_answer(&f, 1, 100, 0, 0, NULL);
    // 2 s x 36 W = 72 J = 0.00002 kWh, at 0.25 USD.
    assert_int_equal(last_cost(&f), 0);
    assert_int_equal(
        store_fixture_int(&f, "SELECT energy_pusd FROM response_cost"), 5000000);
    assert_int_equal(
        store_fixture_int(&f, "SELECT total_pusd FROM response_cost"), 5000000);
    assert_int_equal(store_fixture_int(&f, "SELECT counted_pusd FROM attempt_cost"), 0);
    assert_int_equal(
        store_fixture_int(&f, "SELECT round(energy_usd * 1e9) FROM cost_by_llm"), 5000);
    // A corrected tariff holds for all answers.
    run(&f, "UPDATE llm SET settings = json_set(settings, '$.usd_per_kwh', 0.5)");
    assert_int_equal(
        store_fixture_int(&f, "SELECT energy_pusd FROM response_cost"), 10000000);
    store_fixture_close(&f);
}

/* What answers cost is the same before and after; prices are rows for every prompt. */
static void test_version_1_keeps_its_meaning(void **state)
{
    (void)state;
    char folder[] = "/tmp/m4a1-prices-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = path_join(folder, "s.m4a1");
    struct buffer b;
    buffer_init(&b, 64 << 20);
    if (file_read("tests/fixtures/store_v1.m4a1", &b, &err) != OK)
        fail_msg("%s", err.msg);
    assert_int_equal(file_write(path, b.data, b.len, &err), OK);
    buffer_release(&b);

    struct store_fixture f = { 0 };
    assert_int_equal(store_open(path, STORE_WRITE, &f.store, &err), OK);
    // As version 1 told it (tests/fixtures/README.md).
    assert_int_equal(
        store_fixture_int(&f, "SELECT sum(cost_pusd) FROM response_cost"), 122723750000);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response_cost WHERE"
                                           " total_pusd IS NOT cost_pusd"),
        0);
    assert_int_equal(store_fixture_int(&f, "SELECT sum(counted_pusd) FROM attempt_cost"),
        store_fixture_int(&f,
            "SELECT cast(round(sum(counted_usd) * 1e12) AS INTEGER) FROM cost_by_llm"));
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM price WHERE service_tier"
                                           " = 'standard' AND min_input_tokens = 0"),
        4);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE timing <> 'loaded'"
                              " OR run_id IS NOT NULL"),
        0);
    store_close(f.store);
    char *lock = text_format("%s.lock", path);
    unlink(lock);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
    free(lock);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_row_is_picked),
        cmocka_unit_test(test_nonsense_costs_nothing),
        cmocka_unit_test(test_energy_is_apart),
        cmocka_unit_test(test_version_1_keeps_its_meaning),
    };
    return cmocka_run_group_tests_name("prices", tests, NULL, NULL);
}
