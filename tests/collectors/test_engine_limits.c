/* How the engine shares, adapts, stops and measures: against real sockets and stores. */
#include "collectors/engine.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "tests/support/raw_server.h"
#include "tests/support/store_fixture.h"

static struct error err;

static enum status run(
    struct store_fixture *f, const struct engine_options *o, struct engine_result *r)
{
    err = (struct error)ERROR_INIT;
    return engine_run(f->store, o, r, &err);
}

static void use_16_slots(struct llm *llm)
{
    llm->slots = 16;
    llm->max_attempts = 50;
}

static void use_own_cap(struct llm *llm)
{
    llm->slots = 8;
    llm->max_usd = 0.002;
}

/* ---- adaptive concurrency ------------------------------------------------------- */

/* A server that takes so many calls at once and turns the others away. */
struct narrow {
    atomic_int n_now, most, n_turned_away;
    int room;
};

static int answer_few(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)request;
    struct narrow *n = arg;
    int now = atomic_fetch_add(&n->n_now, 1) + 1;
    int ok = now <= n->room;
    raw_sleep_ms(ok ? 10 : 1);
    atomic_fetch_sub(&n->n_now, 1);
    if (ok) {
        raw_chat(c, "", "fine");
    } else {
        atomic_fetch_add(&n->n_turned_away, 1);
        raw_answer(c, 429, "retry-after-ms: 20\r\n",
            "{\"error\":{\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}}");
    }
    return 1;
}

static void test_concurrency_adapts(void **state)
{
    (void)state;
    struct narrow narrow = { .room = 4 };
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_few, &narrow);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_16_slots);
    store_fixture_price(&f, llm, 0, 0);
    for (int i = 0; i < 150; i++)
        store_fixture_session(&f, llm, 1, 0);
    engine_options_init(&o);
    assert_int_equal(run(&f, &o, &r), OK);
    // It began with 16 at once and was halved twice at least; the rate of refusals falls.
    assert_int_equal(r.llms[0].slots, 16);
    assert_in_range(r.llms[0].slots_least, 1, 4);
    assert_in_range(r.llms[0].slots_now, 1, 8);
    assert_true(atomic_load(&narrow.n_turned_away) < 90);
    assert_int_equal(store_fixture_int(&f, "SELECT max(llm_in_flight) FROM attempt"), 16);
    int64_t late =
        store_fixture_int(&f, "SELECT max(llm_in_flight) FROM attempt WHERE attempt_id >"
                              " (SELECT max(attempt_id) / 2 FROM attempt)");
    assert_in_range(late, 1, 9);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- fairness ------------------------------------------------------------------- */

static int answer_slowly(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)request;
    raw_sleep_ms(*(const int *)arg);
    raw_chat(c, "", "fine");
    return 1;
}

/* A slow llm with slots for all does not keep the calls in flight from a quick one. */
static void test_llms_share_fairly(void **state)
{
    (void)state;
    static const int slow_ms = 300, quick_ms = 5;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *slow =
        raw_server_start(answer_slowly, (void *)(uintptr_t)&slow_ms);
    struct raw_server *quick =
        raw_server_start(answer_slowly, (void *)(uintptr_t)&quick_ms);
    int64_t a = store_fixture_llm(&f, "slow", raw_server_url(slow), use_16_slots);
    int64_t b = store_fixture_llm(&f, "quick", raw_server_url(quick), use_16_slots);
    store_fixture_price(&f, a, 0, 0);
    store_fixture_price(&f, b, 0, 0);
    for (int i = 0; i < 40; i++) {
        if (i < 16)
            store_fixture_session(&f, a, 1, 0);
        store_fixture_session(&f, b, 1, 0);
    }
    engine_options_init(&o);
    o.in_flight = 4;
    assert_int_equal(run(&f, &o, &r), OK);
    engine_result_release(&r);
    // Before the tenth of the slow one's calls was sent, most of the quick one's were, too:
    // by the order of calls alone they would be about 25.
    assert_true(
        store_fixture_int(&f,
            "SELECT count(*) FROM attempt JOIN call USING (call_id) WHERE llm_id ="
            " 2 AND attempt_id < (SELECT attempt_id FROM attempt JOIN call USING"
            " (call_id) WHERE llm_id = 1 ORDER BY attempt_id LIMIT 1 OFFSET 9)") >= 34);
    raw_server_stop(slow);
    raw_server_stop(quick);
    store_fixture_close(&f);
}

/* ---- caps, deadlines, shards ---------------------------------------------------- */

static void test_cap_of_one_llm(void **state)
{
    (void)state;
    static const int ms = 2;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_slowly, (void *)(uintptr_t)&ms);
    int64_t a = store_fixture_llm(&f, "capped", raw_server_url(server), use_own_cap);
    int64_t b = store_fixture_llm(&f, "free", raw_server_url(server), NULL);
    store_fixture_price(&f, a, 1000000, 2000000); // an answer costs 0.00012
    store_fixture_price(&f, b, 1000000, 2000000);
    for (int i = 0; i < 40; i++) {
        store_fixture_session(&f, a, 1, 0);
        store_fixture_session(&f, b, 1, 0);
    }
    engine_options_init(&o);
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    assert_false(r.cap_reached); // the cap of all
    assert_true(r.llms[0].is_capped && !r.llms[1].is_capped);
    assert_in_range(r.llms[0].n_answered, 12, 16);
    assert_int_equal(r.llms[1].n_answered, 40);
    assert_true(
        store_fixture_int(&f, "SELECT sum(counted_pusd) FROM attempt_cost JOIN"
                              " call USING (call_id) WHERE llm_id = 1") <= 2000000000);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* Asks to wait for longer than anyone would: the header with this number. */
static int ask_to_wait(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    static const char *const headers[] = { "Retry-After: 86400\r\n",
        "Retry-After: 1e300\r\n", "retry-after-ms: 99999999999999999999\r\n",
        "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n" };
    (void)request;
    raw_answer(c, 429, headers[*(const int *)arg],
        "{\"error\":{\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}}");
    return 1;
}

static void test_absurd_waits(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct store_fixture f;
        struct engine_result r;
        struct engine_options o;
        store_fixture_open(&f, "keep");
        struct raw_server *server = raw_server_start(ask_to_wait, &i);
        int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
        store_fixture_price(&f, llm, 0, 0);
        for (int k = 0; k < 5; k++)
            store_fixture_session(&f, llm, 1, 0);
        engine_options_init(&o);
        int64_t begun = clock_mono_ns();
        assert_int_equal(run(&f, &o, &r), E_PARTIAL);
        assert_true(clock_mono_ns() - begun < INT64_C(5000000000));
        // The llm is left for a later run: no call has failed for good, few were tried.
        assert_in_range(r.n_sent, 1, 4);
        assert_int_equal(r.n_answered, 0);
        assert_int_equal(r.n_failed, 0);
        assert_int_equal(r.counts.n_ready, 5);
        engine_result_release(&r);
        raw_server_stop(server);
        store_fixture_close(&f);
    }
}

static void test_deadline(void **state)
{
    (void)state;
    static const int ms = 100;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_slowly, (void *)(uintptr_t)&ms);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 0, 0);
    for (int i = 0; i < 60; i++)
        store_fixture_session(&f, llm, 1, 0);
    engine_options_init(&o);
    o.until_ms = clock_wall_ms() + 1000;
    int64_t deadline_ns = clock_mono_ns() + 1000000000;
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    assert_true(r.deadline_reached);
    assert_false(r.interrupted);
    // It used the time it had, and everything was done by then.
    assert_in_range(r.n_answered, 10, 20);
    assert_int_equal(r.n_answered, r.n_sent);
    assert_true(clock_mono_ns() < deadline_ns + 20000000);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM run WHERE outcome = 'partial' AND"
                              " options ->> '$.until_ms' > 0"),
        1);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* A deadline that a call in flight overruns ends after the grace period. */
static void test_deadline_and_grace(void **state)
{
    (void)state;
    static const int ms = 1500;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_slowly, (void *)(uintptr_t)&ms);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 0, 0);
    store_fixture_session(&f, llm, 1, 0);
    engine_options_init(&o);
    o.until_ms = clock_wall_ms() + 200; // how long the llm takes is not known yet
    o.grace_s = 0.2;
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    assert_in_range(r.elapsed_ns, 390000000, 900000000);
    assert_int_equal(store_fixture_int(&f,
                         "SELECT count(*) FROM attempt WHERE error_class = 'aborted'"),
        1);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_shards_share_the_sessions(void **state)
{
    (void)state;
    static const int ms = 0;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_slowly, (void *)(uintptr_t)&ms);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 0, 0);
    for (int i = 0; i < 60; i++)
        store_fixture_session(&f, llm, 2, 0);
    engine_options_init(&o);
    int64_t n_sum = 0;
    for (int i = 1; i <= 3; i++) {
        o.shard = i;
        o.n_shards = 3;
        assert_int_equal(run(&f, &o, &r), OK); // complete as far as it is this shard's
        assert_int_equal(r.counts.n_done, r.counts.n_calls);
        assert_in_range(r.counts.n_calls, 20, 60);
        assert_int_equal(r.n_sent, r.counts.n_calls);
        n_sum += r.n_sent;
        engine_result_release(&r);
    }
    assert_int_equal(n_sum, 120);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response"), 120);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- timing --------------------------------------------------------------------- */

static void test_isolated(void **state)
{
    (void)state;
    struct narrow narrow = { .room = 1 };
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_few, &narrow);
    int64_t a = store_fixture_llm(&f, "a", raw_server_url(server), use_16_slots);
    int64_t b = store_fixture_llm(&f, "b", raw_server_url(server), use_16_slots);
    store_fixture_price(&f, a, 0, 0);
    store_fixture_price(&f, b, 0, 0);
    for (int i = 0; i < 8; i++) {
        store_fixture_session(&f, a, 1, 0);
        store_fixture_session(&f, b, 1, 0);
    }
    engine_options_init(&o);
    o.timing = ENGINE_ISOLATED;
    o.limit = 8;
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    engine_result_release(&r);
    o.fresh_connections = 1;
    o.limit = -1;
    assert_int_equal(run(&f, &o, &r), OK);
    engine_result_release(&r);
    assert_int_equal(atomic_load(&narrow.n_turned_away), 0);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE timing ="
                                           " 'isolated' AND in_flight = 1"),
        16);
    // Warm, then fresh: each attempt says which, and which run it is of.
    assert_int_equal(
        store_fixture_int(&f, "SELECT sum(reused) FROM attempt WHERE run_id = 1"), 7);
    assert_int_equal(
        store_fixture_int(&f, "SELECT sum(reused) FROM attempt WHERE run_id = 2"), 0);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM run WHERE timing = 'isolated' AND"
                              " ended_ms >= started_ms AND version LIKE 'm4a1 %'"),
        2);
    assert_int_equal(
        store_fixture_int(&f, "SELECT group_concat(outcome) = 'partial,done' FROM run"),
        1);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_lag_is_recorded(void **state)
{
    (void)state;
    static const int ms = 10;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_slowly, (void *)(uintptr_t)&ms);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_16_slots);
    store_fixture_price(&f, llm, 0, 0);
    for (int i = 0; i < 100; i++)
        store_fixture_session(&f, llm, 1, 3);
    engine_options_init(&o);
    assert_int_equal(run(&f, &o, &r), OK);
    engine_result_release(&r);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE loop_lag_ns > 0"), 100);
    print_message("loop lag with 16 in flight: median %lld us, worst %lld us\n",
        (long long)store_fixture_int(&f, "SELECT loop_lag_ns / 1000 FROM attempt ORDER BY"
                                         " loop_lag_ns LIMIT 1 OFFSET 50"),
        (long long)store_fixture_int(&f, "SELECT max(loop_lag_ns) / 1000 FROM attempt"));
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- errors that repeat --------------------------------------------------------- */

static int fail_one_prompt(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    const char *how = arg;
    int is_poisoned = strstr(request->body, "View side") != NULL;
    if (!is_poisoned)
        raw_chat(c, "", "fine");
    else if (text_equal(how, "same"))
        raw_answer(c, 500, "retry-after-ms: 1\r\n",
            "{\"error\":{\"code\":500,\"message\":\"got exception: Chunk not found\"}}");
    else if (text_equal(how, "overloaded"))
        raw_answer(c, 503, "retry-after-ms: 1\r\n", "{\"error\":{\"code\":503}}");
    else
        raw_printf(c,
            "HTTP/1.1 500 Whatever\r\nretry-after-ms: 1\r\nContent-Length: 4\r\n\r\n%04d",
            request->number);
    return 1;
}

static const struct pace_rules no_breaker = { 0, 0, 0, 0, 0 };

/* How many attempts a call had that always failed. */
static int64_t n_tried(const char *how, int max_attempts)
{
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(fail_one_prompt, (void *)(uintptr_t)how);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_16_slots);
    store_fixture_price(&f, llm, 0, 0);
    for (int i = 0; i < 40; i++)
        store_fixture_session(&f, llm, 1, i == 5 ? 2 : 0);
    engine_options_init(&o);
    o.max_attempts = max_attempts;
    o.pace_rules = &no_breaker;
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    assert_int_equal(r.n_failed, 1);
    assert_int_equal(r.n_answered, 39);
    engine_result_release(&r);
    int64_t n = store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE call_id = 6");
    assert_int_equal(
        store_fixture_int(&f, "SELECT sum(final) FROM attempt WHERE call_id = 6"), 1);
    raw_server_stop(server);
    store_fixture_close(&f);
    return n;
}

static void test_same_error_again_is_final(void **state)
{
    (void)state;
    assert_int_equal(n_tried("same", 8), 3);
    assert_int_equal(n_tried("another each time", 8), 8);
    assert_int_equal(n_tried("overloaded", 8), 8); // says itself that it is for now
    assert_int_equal(n_tried("same", 1), 1);
    assert_int_equal(n_tried("overloaded", 1), 1);
}

/* ---- an outage ------------------------------------------------------------------ */

static int answer_but_for_a_while(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    int is_down = request->number >= 20 && request->number < 60;
    if (is_down)
        raw_answer(c, 503, "retry-after-ms: 1\r\n", "{\"error\":{\"message\":\"down\"}}");
    else
        raw_chat(c, "", "fine");
    return 1;
}

/* A server that was there and comes back costs no call, however long it is away. */
static void test_outage(void **state)
{
    (void)state;
    static const struct pace_rules rules = { 5, 1000000, 4000000, 5, 100 };
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_but_for_a_while, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 0, 0);
    for (int i = 0; i < 60; i++)
        store_fixture_session(&f, llm, 1, 0);
    engine_options_init(&o);
    o.pace_rules = &rules;
    if (run(&f, &o, &r) != OK) // each call has three attempts, the server failed forty
        fail_msg("%s", err.msg);
    assert_int_equal(r.n_failed, 0);
    assert_int_equal(r.n_answered, 60);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE status = 'failed'"),
        40);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- llms that stop, beside others ---------------------------------------------- */

static int take_no_key(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)request, (void)arg;
    raw_sleep_ms(20); // time enough to render what could go next
    raw_answer(c, 401, "", "{\"error\":{\"message\":\"no such key\"}}");
    return 1;
}

/* What was rendered for llms that will be sent no more keeps no room from the others. */
static void test_closed_llms_hold_up_nobody(void **state)
{
    (void)state;
    static const int quick_ms = 1;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    store_fixture_open(&f, "keep");
    struct raw_server *refusing = raw_server_start(take_no_key, NULL);
    struct raw_server *good =
        raw_server_start(answer_slowly, (void *)(uintptr_t)&quick_ms);
    int64_t llms[4];
    const char *const names[] = { "bad", "worse", "worst", "good" };
    for (int i = 0; i < 4; i++) {
        llms[i] = store_fixture_llm(
            &f, names[i], raw_server_url(i < 3 ? refusing : good), use_16_slots);
        store_fixture_price(&f, llms[i], 0, 0);
    }
    for (int i = 0; i < 305; i++)
        store_fixture_session(&f, llms[i < 300 ? i % 3 : 3], 1, 0);
    engine_options_init(&o);
    o.in_flight = 4;
    alarm(20); // it used to wait for ever
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    alarm(0);
    assert_int_equal(r.n_answered, 5);
    engine_result_release(&r);
    raw_server_stop(refusing);
    raw_server_stop(good);
    store_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concurrency_adapts),
        cmocka_unit_test(test_llms_share_fairly),
        cmocka_unit_test(test_cap_of_one_llm),
        cmocka_unit_test(test_absurd_waits),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_deadline_and_grace),
        cmocka_unit_test(test_shards_share_the_sessions),
        cmocka_unit_test(test_isolated),
        cmocka_unit_test(test_lag_is_recorded),
        cmocka_unit_test(test_same_error_again_is_final),
        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_closed_llms_hold_up_nobody),
    };
    return cmocka_run_group_tests_name("engine_limits", tests, NULL, NULL);
}
