/* When a failed attempt is made again. */
#include "collectors/llm/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "m4a1/base/text.h"

#define MS INT64_C(1000000)
#define NOON_MS INT64_C(1792670400000) /* 2026-10-22T12:00:00Z */

static void test_final(void **state)
{
    (void)state;
    static const int again[] = { 408, 409, 429, 500, 502, 503, 529 };
    static const int final[] = { 400, 401, 402, 403, 404, 413, 422 };
    for (size_t i = 0; i < 7; i++) {
        assert_false(
            retry_is_final(protocol_failure_of_status(again[i]), again[i], NULL));
        assert_true(retry_is_final(protocol_failure_of_status(final[i]), final[i], NULL));
    }
    assert_false(retry_is_final(FAILURE_NETWORK, 0, NULL));
    assert_false(retry_is_final(FAILURE_TRUNCATED, 200, ""));
    assert_false(retry_is_final(FAILURE_MALFORMED, 200, ""));
    assert_true(retry_is_final(FAILURE_QUOTA, 429, ""));
    assert_true(retry_is_final(FAILURE_QUOTA, 429, "x-should-retry: true\r\n"));
    assert_true(retry_is_final(FAILURE_SERVER, 500, "X-Should-Retry: false\r\n"));
    assert_false(retry_is_final(FAILURE_REQUEST, 400, "x-should-retry: true\r\n"));
}

static void test_after(void **state)
{
    (void)state;
    assert_int_equal(retry_after_ns("retry-after-ms: 250.5\r\nretry-after: 9\r\n", 0),
        250 * MS + 500000);
    assert_int_equal(retry_after_ns("Retry-After: 3\r\n", 0), 3 * SECOND_NS);
    assert_int_equal(
        retry_after_ns("Retry-After: Thu, 22 Oct 2026 12:00:07 GMT\r\n", NOON_MS),
        7 * SECOND_NS);
    assert_int_equal(
        retry_after_ns("Retry-After: Thu, 22 Oct 2026 11:00:00 GMT\r\n", NOON_MS), 0);
    // By the server's own clock, where it tells it: this one may be wrong by days.
    static const char dated[] = "Date: Thu, 22 Oct 2026 12:00:00 GMT\r\n"
                                "Retry-After: Thu, 22 Oct 2026 12:00:07 GMT\r\n";
    assert_int_equal(retry_after_ns(dated, NOON_MS), 7 * SECOND_NS);
    assert_int_equal(retry_after_ns(dated, NOON_MS + 86400000), 7 * SECOND_NS);
    assert_int_equal(retry_after_ns(dated, 0), 7 * SECOND_NS);
    assert_int_equal(
        retry_after_ns("Date: noon\r\nRetry-After: Thu, 22 Oct 2026 12:00:07 "
                       "GMT\r\n",
            NOON_MS),
        7 * SECOND_NS);
    assert_int_equal(retry_after_ns("Retry-After: soon\r\n", 0), -1);
    assert_int_equal(retry_after_ns("Retry-After: -5\r\n", 0), -1);
    assert_int_equal(retry_after_ns("X-Retry-After: 5\r\n", 0), -1);
    assert_int_equal(retry_after_ns(NULL, 0), -1);
}

static void test_wait(void **state)
{
    (void)state;
    static const int64_t full_ms[] = { 500, 1000, 2000, 4000, 8000, 8000, 8000 };
    struct rng rng, again;
    rng_init(&rng, 1, "collect/jitter", 0);
    rng_init(&again, 1, "collect/jitter", 0);
    for (int n = 1; n <= 7; n++) {
        int64_t wait = retry_wait_ns(n, "", 0, &rng);
        assert_in_range(wait, full_ms[n - 1] * MS * 3 / 4, full_ms[n - 1] * MS);
        assert_int_equal(wait, retry_wait_ns(n, "", 0, &again)); // seeded
    }
    assert_int_equal(retry_wait_ns(5, "retry-after: 20\r\n", 0, &rng), 20 * SECOND_NS);
    // A server that asks for no time at all is not asked again at once, and again.
    assert_in_range(
        retry_wait_ns(3, "retry-after: 0\r\n", 0, &rng), 1500 * MS, 2000 * MS);
    assert_in_range(
        retry_wait_ns(3, "Retry-After: Thu, 22 Oct 2026 11:00:00 GMT\r\n", NOON_MS, &rng),
        1500 * MS, 2000 * MS);
}

/* What no server means: taken for a week, which is longer than any wait, and never for a
 * number that overflows. */
static void test_absurd(void **state)
{
    (void)state;
    static const int64_t week = 7 * 86400 * SECOND_NS;
    static const struct {
        const char *headers;
        int64_t ns;
    } rows[] = {
        { "retry-after: 604800\r\n", week },
        { "retry-after: 604801\r\n", week },
        { "retry-after: 99999999999999999999\r\n", week },
        { "retry-after: 1e300\r\n", week },
        { "retry-after-ms: 1e300\r\n", week },
        { "retry-after-ms: 9223372036854775808\r\n", week },
        { "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n", week },
        { "retry-after: 1e999\r\n", -1 },
        { "retry-after: inf\r\n", -1 },
        { "retry-after: nan\r\n", -1 },
        { "retry-after: -1e300\r\n", -1 },
        { "retry-after: 5 minutes\r\n", -1 },
        { "retry-after: \r\n", -1 },
        { "retry-after: 1111111111111111111111111111111111111111111111111111111111111111"
          "1111111111111111\r\n",
            week },
    };
    struct rng rng;
    rng_init(&rng, 1, "collect/jitter", 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ns = retry_after_ns(rows[i].headers, NOON_MS);
        if (ns != rows[i].ns)
            fail_msg("%s: %lld", rows[i].headers, (long long)ns);
        int64_t wait = retry_wait_ns(1, rows[i].headers, NOON_MS, &rng);
        if (wait <= 0 || wait > week || (ns > 0 && wait != ns))
            fail_msg("%s: waits %lld", rows[i].headers, (long long)wait);
    }
    assert_int_equal(
        retry_exhausted_ns("x-ratelimit-remaining-tokens: 0\r\n"
                           "x-ratelimit-reset-tokens: 999999999h999999999h\r\n",
            NOON_MS),
        week);
    assert_int_equal(
        retry_exhausted_ns("anthropic-ratelimit-tokens-remaining: 0\r\n"
                           "anthropic-ratelimit-tokens-reset: 9999-12-31T23:59:59Z\r\n",
            NOON_MS),
        week);
}

static void test_exhausted(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        int64_t ns;
    } rows[] = {
        { "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 6m0s\r\n",
            360 * SECOND_NS },
        { "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 20ms\r\n",
            20 * MS },
        { "x-ratelimit-remaining-tokens: 7\r\nx-ratelimit-reset-tokens: 20ms\r\n", 0 },
        { "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: later\r\n", 0 },
        // Anthropic names a time; now is 2026-10-22T10:00:00Z.
        { "anthropic-ratelimit-requests-remaining: 0\r\n"
          "anthropic-ratelimit-requests-reset: 2026-10-22T10:00:07Z\r\n",
            7 * SECOND_NS },
        { "anthropic-ratelimit-input-tokens-remaining: 0\r\n"
          "anthropic-ratelimit-input-tokens-reset: 2026-10-22T12:00:01.25+02:00\r\n",
            2 * SECOND_NS },
        { "anthropic-ratelimit-output-tokens-remaining: 0\r\n"
          "anthropic-ratelimit-output-tokens-reset: 2026-10-22T09:59:00Z\r\n",
            0 },
        // For the server it is 09:58, whatever this machine's clock shows.
        { "date: Thu, 22 Oct 2026 09:58:00 GMT\r\n"
          "anthropic-ratelimit-output-tokens-remaining: 0\r\n"
          "anthropic-ratelimit-output-tokens-reset: 2026-10-22T09:59:00Z\r\n",
            60 * SECOND_NS },
        { "anthropic-ratelimit-tokens-remaining: 0\r\n"
          "anthropic-ratelimit-tokens-reset: tomorrow\r\n",
            0 },
        { "anthropic-ratelimit-requests-remaining: 12\r\n"
          "anthropic-ratelimit-requests-reset: 2026-10-22T10:00:07Z\r\n",
            0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (retry_exhausted_ns(rows[i].headers, INT64_C(1792663200000)) != rows[i].ns)
            fail_msg("%s: %lld", rows[i].headers,
                (long long)retry_exhausted_ns(rows[i].headers, INT64_C(1792663200000)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_final),
        cmocka_unit_test(test_after),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_absurd),
        cmocka_unit_test(test_exhausted),
    };
    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
