/* Slots, rates, pauses and the breaker, on a clock that the test turns. */
#include "collectors/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static void send_and_fail(struct pace *p, int n, int64_t now)
{
    for (int i = 0; i < n; i++) {
        pace_sent(p, 0, now);
        pace_done(p, PACE_BROKEN, 0, 0, -1, 0, now);
    }
}

static void test_slots(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, &pace_rules_default, 2, 0, 0, 0);
    pace_sent(&p, 5, 0);
    assert_int_equal(pace_wait_ns(&p, 5, 0), 0);
    pace_sent(&p, 5, 0);
    assert_true(pace_wait_ns(&p, 5, 0) == PACE_LATER);
    pace_done(&p, PACE_ANSWERED, 0, 5, 5, 0, S);
    assert_int_equal(pace_wait_ns(&p, 5, S), 0);
}

/* However calls come, no minute sees more than rpm and one second's burst. */
static void test_requests_a_minute(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, &pace_rules_default, 1000, 120, 0, 0);
    int n = 0;
    for (int64_t now = 0; now < 60 * S; now += S / 100) {
        while (!pace_wait_ns(&p, 1, now)) {
            pace_sent(&p, 1, now);
            n++;
        }
    }
    assert_in_range(n, 119, 122);
}

static void test_tokens_a_minute(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, &pace_rules_default, 10, 0, 6000, 0);
    pace_sent(&p, 6000, 0);
    assert_in_range(pace_wait_ns(&p, 1000, 0), 10 * S - 10, 10 * S + 10);
    // What was reserved and not used comes back.
    pace_done(&p, PACE_ANSWERED, 0, 6000, 2000, 0, 0);
    assert_int_equal(pace_wait_ns(&p, 1000, 0), 0);
    // A call larger than the bucket goes when the bucket is full.
    assert_true(pace_wait_ns(&p, 100000, 0) > 0);
    assert_int_equal(pace_wait_ns(&p, 100000, 61 * S), 0);
}

static void test_second_429_pauses(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, &pace_rules_default, 10, 0, 0, 0);
    pace_sent(&p, 0, 0);
    pace_sent(&p, 0, 0);
    pace_done(&p, PACE_LIMITED, 0, 0, -1, 5 * S, 0);
    assert_int_equal(pace_wait_ns(&p, 0, 0), 0);
    pace_done(&p, PACE_LIMITED, 0, 0, -1, 5 * S, 0);
    assert_int_equal(pace_wait_ns(&p, 0, 0), 5 * S);
    assert_int_equal(pace_wait_ns(&p, 0, 5 * S), 0);
    // A server that says it has no more requests left is believed at once.
    pace_sent(&p, 0, 5 * S);
    pace_done(&p, PACE_ANSWERED, 0, 0, 0, 3 * S, 5 * S);
    assert_int_equal(pace_wait_ns(&p, 0, 5 * S), 3 * S);
}

static void test_breaker(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, &pace_rules_default, 8, 0, 0, 0);
    send_and_fail(&p, 4, 0);
    assert_int_equal(pace_wait_ns(&p, 0, 0), 0);
    send_and_fail(&p, 1, 0);
    assert_int_equal(pace_wait_ns(&p, 0, 0), 2 * S);
    send_and_fail(&p, 3, 0); // those were in flight already
    assert_int_equal(pace_wait_ns(&p, 0, 0), 2 * S);
    // Then one call at a time; the next failure doubles the pause.
    assert_int_equal(pace_wait_ns(&p, 0, 2 * S), 0);
    pace_sent(&p, 0, 2 * S);
    assert_true(pace_wait_ns(&p, 0, 2 * S) == PACE_LATER);
    pace_done(&p, PACE_BROKEN, 0, 0, -1, 0, 2 * S);
    assert_int_equal(pace_wait_ns(&p, 0, 2 * S), 4 * S);
    // An answer, even a refusal, closes it.
    pace_sent(&p, 0, 6 * S);
    pace_done(&p, PACE_ANSWERED, 0, 0, -1, 0, 6 * S);
    pace_sent(&p, 0, 6 * S);
    assert_int_equal(pace_wait_ns(&p, 0, 6 * S), 0);
    assert_false(pace_is_given_up(&p));
}

static void test_given_up(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, &pace_rules_default, 8, 0, 0, 0);
    send_and_fail(&p, 5, 0);
    int64_t now = 0;
    for (int i = 1; i < pace_rules_default.give_up_after; i++) {
        assert_false(pace_is_given_up(&p));
        now += pace_wait_ns(&p, 0, now);
        send_and_fail(&p, 1, now);
    }
    assert_true(pace_is_given_up(&p));
    assert_int_equal(now, (2 + 4 + 8 + 16) * S);
}

/* Additive up, halved on a 429, once for all calls that were in flight together. */
static void test_slots_adapt(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, &pace_rules_default, 16, 0, 0, 0);
    assert_int_equal(pace_allowed(&p), 16);
    for (int i = 0; i < 16; i++)
        pace_sent(&p, 0, S);
    assert_int_equal(pace_wait_ns(&p, 0, S), PACE_LATER);
    for (int i = 0; i < 5; i++) // of the same flight: one halving
        pace_done(&p, PACE_LIMITED, S, 0, -1, 0, 2 * S);
    assert_int_equal(pace_allowed(&p), 8);
    for (int i = 0; i < 3; i++)
        pace_done(&p, PACE_ANSWERED, S, 0, 0, 0, 2 * S);
    // Eight are still in flight: as many as may be.
    assert_int_equal(pace_wait_ns(&p, 0, 2 * S), PACE_LATER);
    for (int i = 0; i < 8; i++)
        pace_done(&p, PACE_ANSWERED, S, 0, 0, 0, 2 * S);
    assert_int_equal(pace_allowed(&p), 9); // eleven answers: one more, and a bit
    // Down to one, never to none.
    for (int i = 3; i < 13; i++) {
        pace_sent(&p, 0, i * S);
        pace_done(&p, PACE_LIMITED, i * S, 0, -1, 0, i * S);
    }
    assert_int_equal(pace_allowed(&p), 1);
    assert_int_equal(p.least, 1);
    // And up to the ceiling again, not above.
    for (int i = 0; i < 500; i++) {
        pace_sent(&p, 0, 20 * S);
        pace_done(&p, PACE_ANSWERED, 20 * S, 0, 0, 0, 20 * S);
    }
    assert_int_equal(pace_allowed(&p), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_requests_a_minute),
        cmocka_unit_test(test_tokens_a_minute),
        cmocka_unit_test(test_second_429_pauses),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_slots_adapt),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
