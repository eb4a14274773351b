/* Engine against a real store and a server of scripted bytes. */
#include "collectors/engine.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "schema/payload.h"
#include "schema/query.h"
#include "tests/support/raw_server.h"
#include "tests/support/store_fixture.h"

#define KEY "sk-planted-7f3a9b2c"

static struct error err;

static enum status run(
    struct store_fixture *f, const struct engine_options *o, struct engine_result *r)
{
    err = (struct error)ERROR_INIT;
    return engine_run(f->store, o, r, &err);
}

static enum status run_plain(struct store_fixture *f, struct engine_result *r)
{
    struct engine_options o;
    engine_options_init(&o);
    return run(f, &o, r);
}

static void use_stream(struct llm *llm)
{
    llm->stream = 1;
}

static void use_key(struct llm *llm)
{
    llm->key_env = text_copy("M4A1_TEST_KEY");
}

static void use_16_slots(struct llm *llm)
{
    llm->slots = 16;
}

static void use_short_timeout(struct llm *llm)
{
    llm->timeout_s = 0.3;
    llm->max_attempts = 1;
}

static void use_1_image(struct llm *llm)
{
    llm->accepts[VIEW_IMAGE] = 1;
}

/* ---- plain answers -------------------------------------------------------------- */

struct seen {
    char *body[16], *head[16];
};

static int answer_and_keep(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    struct seen *seen = arg;
    if (seen && request->number < 16) {
        seen->body[request->number] = text_copy(request->body);
        seen->head[request->number] = text_copy(request->head);
    }
    raw_chat(c, "x-request-id: req-7\r\n", "It is a kitchen.");
    return 1;
}

static void free_seen(struct seen *seen)
{
    for (size_t i = 0; i < COUNT_OF(seen->body); i++) {
        free(seen->body[i]);
        free(seen->head[i]);
    }
}

static void test_session_is_collected(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_and_keep, &seen);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 1000, 2000);
    store_fixture_session(&f, llm, 3, 5);

    assert_int_equal(run_plain(&f, &r), OK);
    assert_int_equal(r.n_answered, 3);
    assert_int_equal(r.counts.n_done, 3);
    assert_int_equal(r.counted_pusd, 3 * (100 * 1000 + 10 * 2000));
    assert_int_equal(r.counted_pusd,
        store_fixture_int(&f, "SELECT sum(counted_pusd) FROM attempt_cost"));
    assert_int_equal(r.n_llms, 1);
    assert_int_equal(r.llms[0].input_tokens, 300);
    engine_result_release(&r);

    // The dialogue grows along the path; views of the first turn are sent again.
    assert_null(strstr(seen.body[0], "assistant"));
    assert_non_null(strstr(seen.body[2], "\"role\":\"assistant\",\"content\":\"It is"));
    assert_non_null(strstr(seen.body[2], "View first_person:"));
    assert_non_null(strstr(seen.body[2], "View front:"));
    assert_null(strstr(seen.body[2], "View side:"));
    assert_non_null(strstr(seen.body[2], "data:image/jpeg;base64,/9j/"));
    assert_null(strstr(seen.head[0], "Authorization"));
    assert_null(strstr(seen.head[0], "Expect"));

    assert_int_equal(
        store_fixture_int(&f,
            "SELECT count(*) FROM attempt WHERE status = 'ok' AND latency_ns > 0"
            " AND first_byte_ns > 0 AND latency_ns >= first_byte_ns"
            " AND upload_ns >= 0 AND queue_ns > 0 AND in_flight = 1"
            " AND request_id = 'req-7' AND http_status = 200"),
        3);
    assert_int_equal(store_fixture_int(&f, "SELECT sum(warm_up) FROM attempt"), 1);
    assert_int_equal(store_fixture_int(&f, "SELECT sum(reused) FROM attempt"), 2);
    assert_int_equal(store_fixture_int(&f,
                         "SELECT count(*) FROM response WHERE text = 'It is a kitchen.'"
                         " AND stop_reason = 'stop' AND model = 'm-2026'"
                         " AND input_tokens = 100 AND reasoning_tokens = 0"
                         " AND simulated = 0"),
        3);

    // A second run has nothing to do and says so.
    assert_int_equal(run_plain(&f, &r), OK);
    assert_int_equal(r.n_sent, 0);
    assert_int_equal(raw_server_n_requests(server), 3);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
    free_seen(&seen);
}

static void test_history_without_images(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "drop");
    struct raw_server *server = raw_server_start(answer_and_keep, &seen);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 0, 0);
    store_fixture_session(&f, llm, 2, 7);
    assert_int_equal(run_plain(&f, &r), OK);
    engine_result_release(&r);
    assert_non_null(strstr(seen.body[0], "image_url"));
    assert_null(strstr(seen.body[1], "image_url"));
    assert_non_null(strstr(seen.body[1], "What is \\\"here\\\"?"));
    raw_server_stop(server);
    store_fixture_close(&f);
    free_seen(&seen);
}

/* What is stored of a request is what was sent, with hashes in place of the images. */
static void test_request_is_kept(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_and_keep, &seen);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 0, 0);
    store_fixture_session(&f, llm, 1, 1);
    assert_int_equal(run_plain(&f, &r), OK);
    engine_result_release(&r);

    struct query *q = NULL;
    assert_int_equal(
        query_open(
            f.store, "SELECT request, received, request_sha256 FROM attempt", &q, &err),
        OK);
    query_bind(q, "");
    assert_int_equal(query_next(q, &err), OK);
    struct buffer sent, received;
    buffer_init(&sent, 1 << 20);
    buffer_init(&received, 1 << 20);
    size_t len = 0;
    const void *bytes = query_bytes(q, 0, &len);
    assert_int_equal(payload_unpack(bytes, len, &sent, &err), OK);
    bytes = query_bytes(q, 1, &len);
    assert_int_equal(payload_unpack(bytes, len, &received, &err), OK);
    char hex[HASH_HEX];
    hash_hex(seen.body[0], strlen(seen.body[0]), hex);
    assert_string_equal(hex, query_text(q, 2));
    query_close(q);
    char *sha = store_fixture_text(
        &f, "SELECT 'sha256:' || sha256 FROM frame WHERE frame_id = 1");
    assert_non_null(strstr(sent.data, sha));
    assert_null(strstr(sent.data, "base64"));
    assert_non_null(strstr(received.data, "It is a kitchen."));
    free(sha);
    buffer_release(&sent);
    buffer_release(&received);
    raw_server_stop(server);
    store_fixture_close(&f);
    free_seen(&seen);
}

static int stream_slowly(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    assert_non_null(strstr(request->body, "\"stream_options\":{\"include_usage\":true}"));
    raw_stream_begin(c, "");
    raw_stream_chunk(c, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\","
                        "\"content\":\"\"}}],\"usage\":null}\n\n");
    raw_sleep_ms(120);
    raw_stream_chunk(c, "data: {\"choices\":[{\"delta\":{\"content\":\"One\"}}]}\n\n");
    raw_sleep_ms(120);
    raw_stream_chunk(c,
        ": keep-alive\n\ndata: {\"choices\":[{\"delta\":{\"content\":\" two\"},"
        "\"finish_reason\":\"length\"}]}\n\ndata: {\"choices\":[],\"usage\":"
        "{\"prompt_tokens\":50,\"completion_tokens\":9,"
        "\"prompt_tokens_details\":{\"cached_tokens\":20},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":4}}}\n\n"
        "data: [DONE]\n\n");
    raw_stream_end(c);
    return 1;
}

static void test_stream(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(stream_slowly, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_stream);
    store_fixture_price(&f, llm, 1, 1);
    store_fixture_session(&f, llm, 1, 0);
    assert_int_equal(run_plain(&f, &r), OK);
    engine_result_release(&r);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM response WHERE text = 'One two'"
                              " AND stop_reason = 'length' AND input_tokens = 30"
                              " AND cache_read_tokens = 20 AND output_tokens = 5"
                              " AND reasoning_tokens = 4"),
        1);
    // The empty first delta is no token: first byte, 120 ms, first token, 120 ms, end.
    int64_t byte_ms =
        store_fixture_int(&f, "SELECT first_byte_ns / 1000000 FROM attempt");
    int64_t token_ms =
        store_fixture_int(&f, "SELECT first_token_ns / 1000000 FROM attempt");
    int64_t all_ms = store_fixture_int(&f, "SELECT latency_ns / 1000000 FROM attempt");
    // Either may be noted late where the machine is busy.
    assert_in_range(token_ms - byte_ms, 60, 250);
    assert_in_range(all_ms - token_ms, 60, 250);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- faults --------------------------------------------------------------------- */

static int fail_then_answer(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    const char *how = arg;
    if (request->number > 0) {
        raw_chat(c, "", "fine");
        return 1;
    }
    if (text_equal(how, "429"))
        raw_answer(c, 429, "retry-after-ms: 300\r\n",
            "{\"error\":{\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}}");
    else if (text_equal(how, "500"))
        raw_answer(c, 500, "", "<html>oops</html>");
    else if (text_equal(how, "200"))
        raw_answer(c, 200, "", "{\"error\":{\"message\":\"upstream\",\"code\":502}}");
    else if (text_equal(how, "malformed"))
        raw_answer(c, 200, "", "{\"choices\":[{");
    else if (text_equal(how, "empty"))
        return 0;
    else if (text_equal(how, "cut")) {
        raw_stream_begin(c, "");
        raw_stream_chunk(
            c, "data: {\"choices\":[{\"delta\":{\"content\":\"Half\"}}]}\n\n");
        raw_sleep_ms(50);
        raw_reset(c);
        return 0;
    } else if (text_equal(how, "unmarked end")) {
        raw_stream_begin(c, "");
        raw_stream_chunk(
            c, "data: {\"choices\":[{\"delta\":{\"content\":\"Half\"}}]}\n\n");
        raw_stream_end(c);
    }
    return 1;
}

static void fault(const char *how, const char *error_class, int64_t http_status)
{
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server =
        raw_server_start(fail_then_answer, (void *)(uintptr_t)how);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 1000, 1000);
    store_fixture_session(&f, llm, 1, 0);
    int64_t before = clock_mono_ns();
    enum status s = run_plain(&f, &r);
    if (s != OK)
        fail_msg("%s: %s", how, err.msg);
    assert_in_range(clock_mono_ns() - before, 280000000, 2000000000);
    assert_int_equal(r.n_sent, 2);
    assert_int_equal(r.counted_pusd,
        store_fixture_int(&f, "SELECT sum(counted_pusd) FROM attempt_cost"));
    engine_result_release(&r);
    char *text =
        store_fixture_text(&f, "SELECT error_class FROM attempt WHERE number = 1");
    assert_string_equal(text, error_class);
    free(text);
    assert_int_equal(store_fixture_int(&f,
                         "SELECT coalesce(http_status, 0) FROM attempt WHERE number = 1"),
        http_status);
    assert_int_equal(
        store_fixture_int(&f, "SELECT final FROM attempt WHERE number = 1"), 0);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response"), 1);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_faults_are_asked_again(void **state)
{
    (void)state;
    fault("429", "rate_limit", 429);
    fault("500", "server", 500);
    fault("200", "server", 200);
    fault("malformed", "malformed", 200);
    fault("empty", "network", 0);
    fault("cut", "network", 200);
    fault("unmarked end", "truncated", 200);
}

/* The part of a stream that came is kept, and is no answer. */
static void test_part_of_stream_is_kept(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server =
        raw_server_start(fail_then_answer, (void *)(uintptr_t) "cut");
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 1, 1);
    store_fixture_session(&f, llm, 1, 0);
    struct engine_options o;
    engine_options_init(&o);
    o.max_attempts = 1;
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    assert_int_equal(r.n_failed, 1);
    engine_result_release(&r);
    struct query *q = NULL;
    assert_int_equal(query_open(f.store, "SELECT received FROM attempt", &q, &err), OK);
    query_bind(q, "");
    assert_int_equal(query_next(q, &err), OK);
    size_t len = 0;
    const void *bytes = query_bytes(q, 0, &len);
    struct buffer b;
    buffer_init(&b, 1 << 20);
    assert_int_equal(payload_unpack(bytes, len, &b, &err), OK);
    query_close(q);
    assert_non_null(strstr(b.data, "Half"));
    buffer_release(&b);
    // Failed for good: nothing is sent any more, unless it is asked for.
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    assert_int_equal(r.n_sent, 0);
    engine_result_release(&r);
    o.retry_failed = 1;
    assert_int_equal(run(&f, &o, &r), OK);
    assert_int_equal(r.n_sent, 1);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static int refuse(struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)request;
    const char *how = arg;
    if (text_equal(how, "quota"))
        raw_answer(c, 429, "retry-after: 1\r\n",
            "{\"error\":{\"message\":\"pay\",\"code\":\"insufficient_quota\"}}");
    else
        raw_answer(c, 400, "", "{\"error\":{\"message\":\"no\",\"code\":400}}");
    return 1;
}

static void test_refusals_are_final(void **state)
{
    (void)state;
    static const char *const hows[][2] = { { "quota", "quota" }, { "400", "request" } };
    for (size_t i = 0; i < COUNT_OF(hows); i++) {
        struct store_fixture f;
        struct engine_result r;
        store_fixture_open(&f, "keep");
        struct raw_server *server =
            raw_server_start(refuse, (void *)(uintptr_t)hows[i][0]);
        int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
        store_fixture_price(&f, llm, 1, 1);
        store_fixture_session(&f, llm, 3, 0);
        assert_int_equal(run_plain(&f, &r), E_PARTIAL);
        assert_int_equal(r.n_sent, 1);
        assert_int_equal(r.counts.n_failed, 1);
        assert_int_equal(r.counts.n_waiting, 2);
        assert_int_equal(r.llms[0].is_given_up, i == 0);
        assert_int_equal(r.counted_pusd, 0);
        engine_result_release(&r);
        char *text =
            store_fixture_text(&f, "SELECT error_class FROM attempt WHERE final");
        assert_string_equal(text, hows[i][1]);
        free(text);
        raw_server_stop(server);
        store_fixture_close(&f);
    }
}

static int stall(struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)request, (void)arg;
    raw_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"choices\":");
    raw_sleep_ms(700);
    return 0;
}

static void test_stall_times_out(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(stall, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_short_timeout);
    store_fixture_price(&f, llm, 1000, 1000);
    store_fixture_session(&f, llm, 1, 0);
    assert_int_equal(run_plain(&f, &r), E_PARTIAL);
    assert_in_range(r.elapsed_ns, 290000000, 650000000);
    // What it cost is unknown, so the whole reservation counts.
    assert_int_equal(
        r.counted_pusd, store_fixture_int(&f, "SELECT reserved_pusd FROM attempt"));
    engine_result_release(&r);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE error_class = 'timeout'"
                              " AND final AND received IS NOT NULL"),
        1);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* A server that closes a kept-alive connection without a word when it is used again. */
static int answer_once(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    if (request->on_connection > 0)
        return 0;
    raw_chat(c, "", "once");
    return 1;
}

static void test_dead_connection_is_an_attempt(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_once, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 1, 1);
    store_fixture_session(&f, llm, 3, 0);
    struct engine_options o;
    engine_options_init(&o);
    o.max_attempts = 2; // with one, each request has a connection of its own
    assert_int_equal(run(&f, &o, &r), OK);
    // Every request that the server saw is an attempt of ours: none in silence.
    assert_int_equal(raw_server_n_requests(server), r.n_sent);
    assert_int_equal(r.n_sent, 5);
    engine_result_release(&r);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM attempt"
                              " WHERE error_class = 'stale_connection' AND reused"),
        2);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* A server that is down costs a few attempts, not the plan. */
static void test_server_down(void **state)
{
    (void)state;
    static const struct pace_rules rules = { 3, 20000000, 40000000, 2, 0 };
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    int64_t llm = store_fixture_llm(&f, "a", "http://127.0.0.1:1", NULL);
    store_fixture_price(&f, llm, 1, 1);
    for (int i = 0; i < 40; i++)
        store_fixture_session(&f, llm, 1, 0);
    struct engine_options o;
    engine_options_init(&o);
    o.pace_rules = &rules;
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    assert_true(r.llms[0].is_given_up);
    assert_in_range(r.n_sent, 3, 8);
    assert_int_equal(r.counts.n_ready, 40);
    assert_int_equal(r.counted_pusd, 0);
    engine_result_release(&r);
    assert_int_equal(store_fixture_int(&f,
                         "SELECT count(*) FROM attempt WHERE error_class <> 'connect'"
                         " OR latency_ns IS NOT NULL"),
        0);
    store_fixture_close(&f);
}

/* One call in back-off does not hold up the others. */
static int fail_first_prompt(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    if (request->number == 0)
        raw_answer(c, 503, "retry-after: 1\r\n", "{}");
    else
        raw_chat(c, "", "fine");
    return 1;
}

static void test_back_off_blocks_nobody(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(fail_first_prompt, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 1, 1);
    for (int i = 0; i < 20; i++)
        store_fixture_session(&f, llm, 1, 0);
    assert_int_equal(run_plain(&f, &r), OK);
    engine_result_release(&r);
    // All others were sent within the second that the first one waited.
    assert_int_equal(store_fixture_int(&f,
                         "SELECT count(*) FROM attempt WHERE number = 1 AND sent_ms <"
                         " (SELECT sent_ms FROM attempt WHERE number = 2)"),
        20);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- refused before anything is sent -------------------------------------------- */

static void refused(void (*set)(struct llm *), int priced, uint32_t views, double max_usd,
    const char *why)
{
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_and_keep, NULL);
    int64_t llm = store_fixture_llm(&f, "abc", raw_server_url(server), set);
    if (priced)
        store_fixture_price(&f, llm, 1, 1);
    store_fixture_session(&f, llm, 1, views);
    struct engine_options o;
    engine_options_init(&o);
    o.max_usd = max_usd;
    assert_int_equal(run(&f, &o, &r), E_ARG);
    if (!strstr(err.msg, why) || !strstr(err.msg, "abc"))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
    assert_int_equal(raw_server_n_requests(server), 0);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM attempt"), 0);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void use_no_bound(struct llm *llm)
{
    json_remove(llm->parameters, "max_tokens");
}

static void use_unknown_protocol(struct llm *llm)
{
    free(llm->protocol);
    llm->protocol = text_copy("telepathy");
}

static void use_n_2(struct llm *llm)
{
    json_set_int(llm->parameters, "n", 2);
}

static void test_refused_before_sending(void **state)
{
    (void)state;
    refused(NULL, 0, 0, -1, "no price");
    refused(use_key, 1, 0, -1, "M4A1_TEST_KEY");
    refused(use_1_image, 1, 7, -1,
        "llm abc accepts 1 image, but call 1 brings 3: first_person, side, front");
    refused(use_no_bound, 1, 0, 1, "max_completion_tokens");
    refused(use_unknown_protocol, 1, 0, -1, "telepathy");
    refused(use_n_2, 1, 0, -1, "\"n\"");
}

static void test_unpriced_when_allowed(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_and_keep, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_session(&f, llm, 1, 0);
    struct engine_options o;
    engine_options_init(&o);
    o.allow_unpriced = 1;
    assert_int_equal(run(&f, &o, &r), OK);
    assert_int_equal(r.llms[0].n_cost_unknown, 1);
    engine_result_release(&r);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE reserved_pusd IS NULL"),
        1);
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- caps and limits ------------------------------------------------------------ */

static int answer_late(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)request, (void)arg;
    raw_sleep_ms(20);
    raw_chat(c, "", "fine");
    return 1;
}

static void test_cap_holds_with_16_in_flight(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_late, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_16_slots);
    store_fixture_price(&f, llm, 1000000, 2000000); // 1 and 2 USD for a million
    for (int i = 0; i < 100; i++)
        store_fixture_session(&f, llm, 1, 0);
    struct engine_options o;
    engine_options_init(&o);
    o.max_usd = 0.005; // an answer costs 0.00012, its reservation about 0.00025
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    assert_true(r.cap_reached);
    assert_true(r.counted_pusd <= 5000000000);
    // Nothing that would have fitted was left out: less than one reservation remains.
    int64_t most = store_fixture_int(&f, "SELECT max(reserved_pusd) FROM attempt");
    assert_true(r.counted_pusd + most > 5000000000);
    assert_in_range(r.n_answered, 38, 41);
    assert_in_range(store_fixture_int(&f, "SELECT max(in_flight) FROM attempt"), 10, 16);
    assert_int_equal(r.counted_pusd,
        store_fixture_int(&f, "SELECT sum(counted_pusd) FROM attempt_cost"));
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_limit(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_and_keep, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 1, 1);
    for (int i = 0; i < 10; i++)
        store_fixture_session(&f, llm, 1, 0);
    struct engine_options o;
    engine_options_init(&o);
    o.limit = 4;
    assert_int_equal(run(&f, &o, &r), E_PARTIAL);
    assert_true(r.limit_reached);
    assert_int_equal(r.n_answered, 4);
    assert_int_equal(r.counts.n_ready, 6);
    engine_result_release(&r);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_purposes(void **state)
{
    (void)state;
    static const char *const judge[] = { "judge" };
    struct seen seen = { 0 };
    struct store_fixture f;
    struct engine_result r;
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_and_keep, &seen);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 1, 1);
    int64_t call = store_fixture_session(&f, llm, 1, 1);
    store_fixture_call(&f, call, "judge", llm, "Score this.", 0, call);
    struct engine_options o;
    engine_options_init(&o);
    o.purposes = judge;
    o.n_purposes = 1;
    assert_int_equal(run(&f, &o, &r), E_PARTIAL); // its subject has no answer yet
    assert_int_equal(r.n_sent, 0);
    engine_result_release(&r);
    assert_int_equal(run_plain(&f, &r), OK);
    engine_result_release(&r);
    assert_non_null(strstr(seen.body[1], "\"content\":\"Score this.\""));
    assert_null(strstr(seen.body[1], "View"));
    raw_server_stop(server);
    store_fixture_close(&f);
    free_seen(&seen);
}

/* ---- the simulator -------------------------------------------------------------- */

static int answer_marked(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    assert_non_null(strstr(request->head, "Authorization: Bearer simulated\r\n"));
    raw_chat(c, "X-M4A1-Simulated: 1\r\n", "made up");
    return 1;
}

static void test_simulator(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    setenv("M4A1_TEST_KEY", KEY, 1);
    store_fixture_open(&f, "keep");
    struct raw_server *real = raw_server_start(answer_and_keep, NULL);
    struct raw_server *simulator = raw_server_start(answer_marked, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(real), use_key);
    store_fixture_price(&f, llm, 1, 1);
    store_fixture_session(&f, llm, 2, 0);
    engine_options_init(&o);

    // What is not marked is not taken for a rehearsal, and ends it.
    o.simulator_url = raw_server_url(real);
    assert_int_equal(run(&f, &o, &r), E_DATA);
    assert_int_equal(r.n_sent, 1);
    engine_result_release(&r);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response"), 0);

    o.simulator_url = raw_server_url(simulator);
    assert_int_equal(run(&f, &o, &r), OK);
    engine_result_release(&r);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM response WHERE simulated = 1"), 2);
    unsetenv("M4A1_TEST_KEY");
    raw_server_stop(real);
    raw_server_stop(simulator);
    store_fixture_close(&f);
}

/* ---- keys ----------------------------------------------------------------------- */

/* A server that has the bad manners to send the key back in every way. */
static int echo_key(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    assert_non_null(strstr(request->head, "Authorization: Bearer " KEY "\r\n"));
    if (request->number == 0) {
        raw_answer(c, 500, "x-request-id: " KEY "\r\n",
            "{\"error\":{\"message\":\"bad key " KEY "\"}}");
    } else if (request->number == 1) {
        raw_stream_begin(c, "");
        raw_stream_chunk(c,
            "data: {\"choices\":[{\"delta\":{\"content\":\"sk-planted\"}}]}\n\n"
            "data: {\"choices\":[{\"delta\":{\"content\":\"-7f3a9b2c\"},"
            "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        raw_stream_end(c);
    } else {
        raw_chat(c, "x-request-id: " KEY "\r\n", "your key is " KEY ".");
    }
    return 1;
}

static int holds(const char *path, const char *needle)
{
    struct buffer b;
    buffer_init(&b, 64 << 20);
    int found = 0;
    if (file_read(path, &b, NULL) == OK)
        for (size_t i = 0; i + strlen(needle) <= b.len && !found; i++)
            found = !memcmp(b.data + i, needle, strlen(needle));
    buffer_release(&b);
    return found;
}

static void test_key_is_nowhere(void **state)
{
    (void)state;
    struct store_fixture f;
    struct engine_result r;
    setenv("M4A1_TEST_KEY", KEY, 1);
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(echo_key, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_key);
    store_fixture_price(&f, llm, 1, 1);
    store_fixture_session(&f, llm, 2, 0);
    assert_int_equal(run_plain(&f, &r), OK);
    engine_result_release(&r);
    unsetenv("M4A1_TEST_KEY");
    // In no column, compressed or not...
    assert_int_equal(
        store_fixture_int(&f,
            "SELECT count(*) FROM attempt WHERE instr(coalesce(error, ''), '" KEY
            "') OR instr(coalesce(request_id, ''), '" KEY "')"),
        0);
    struct query *q = NULL;
    assert_int_equal(query_open(f.store, "SELECT received FROM attempt", &q, &err), OK);
    query_bind(q, "");
    int n = 0;
    while (query_next(q, &err) == OK && query_has_row(q)) {
        struct buffer b;
        buffer_init(&b, 1 << 20);
        size_t len = 0;
        const void *bytes = query_bytes(q, 0, &len);
        assert_int_equal(payload_unpack(bytes, len, &b, &err), OK);
        assert_null(strstr(buffer_str(&b), KEY));
        buffer_release(&b);
        n++;
    }
    query_close(q);
    assert_int_equal(n, 3);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM response WHERE text LIKE '%***%'"),
        2);
    // ...and in no byte of the store's files.
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", f.path);
    assert_true(holds(wal, "model-of-a") || holds(f.path, "model-of-a"));
    assert_false(holds(wal, KEY));
    store_fixture_reopen(&f);
    assert_false(holds(f.path, KEY));
    raw_server_stop(server);
    store_fixture_close(&f);
}

/* ---- interruption and kills ----------------------------------------------------- */

static volatile sig_atomic_t interrupted;
static pthread_t main_thread;

static void on_signal(int number)
{
    interrupted = number == SIGUSR2 ? 2 : 1;
}

static int answer_and_interrupt(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    if (request->number == 3)
        pthread_kill(main_thread, arg ? SIGUSR2 : SIGUSR1);
    raw_sleep_ms(300); // the engine looks for signals every 100 ms
    raw_chat(c, "", "fine");
    return 1;
}

static void interrupt(int twice)
{
    struct store_fixture f;
    struct engine_result r;
    struct engine_options o;
    interrupted = 0;
    main_thread = pthread_self();
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, on_signal);
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_and_interrupt, twice ? &f : NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), NULL);
    store_fixture_price(&f, llm, 1, 1);
    for (int i = 0; i < 20; i++)
        store_fixture_session(&f, llm, 1, 0);
    engine_options_init(&o);
    o.interrupted = &interrupted;
    assert_int_equal(run(&f, &o, &r), E_INTERRUPTED);
    assert_true(r.interrupted);
    assert_in_range(r.n_sent, 4, 6);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE status = 'sent'"), 0);
    assert_int_equal(
        store_fixture_int(
            &f, "SELECT count(*) > 0 FROM attempt WHERE error_class = 'aborted'"),
        twice);
    if (!twice)
        assert_int_equal(r.n_answered, r.n_sent);
    engine_result_release(&r);
    interrupted = 0;
    assert_int_equal(run(&f, &o, &r), OK);
    engine_result_release(&r);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response"), 20);
    raw_server_stop(server);
    store_fixture_close(&f);
}

static void test_interrupt(void **state)
{
    (void)state;
    interrupt(0);
    interrupt(1);
}

static int answer_soon(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    raw_sleep_ms(request->number % 5);
    raw_chat(c, "", "fine");
    return 1;
}

/* kill -9 of a collecting process at chance moments: the plan ends with one response a
 * call, and the server saw no more requests than there are attempts. */
static void test_kill_and_go_on(void **state)
{
    (void)state;
    const char *many = getenv("M4A1_KILLS");
    int n_kills = many ? (int)strtol(many, NULL, 10) : 8;
    struct store_fixture f;
    struct engine_result r;
    struct rng rng;
    rng_init(&rng, 7, "test/kill", 0);
    store_fixture_open(&f, "keep");
    struct raw_server *server = raw_server_start(answer_soon, NULL);
    int64_t llm = store_fixture_llm(&f, "a", raw_server_url(server), use_16_slots);
    store_fixture_price(&f, llm, 1000, 1000);
    for (int i = 0; i < 60; i++)
        store_fixture_session(&f, llm, 5, 3);
    for (int i = 0; i < n_kills; i++) {
        store_close(f.store);
        f.store = NULL;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct engine_options o;
            struct store *store = NULL;
            engine_options_init(&o);
            if (store_open(f.path, STORE_WRITE, &store, NULL) == OK)
                (void)!engine_run(store, &o, &r, NULL);
            store_close(store);
            _exit(0);
        }
        raw_sleep_ms((int)rng_below(&rng, 120));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        store_fixture_reopen(&f);
    }
    enum status s = run_plain(&f, &r);
    if (s != OK)
        fail_msg("%s", err.msg);
    engine_result_release(&r);
    assert_int_equal(store_fixture_int(&f, "SELECT count(*) FROM response"), 300);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(DISTINCT call_id) FROM response"), 300);
    assert_int_equal(
        store_fixture_int(&f, "SELECT count(*) FROM attempt WHERE status = 'sent'"), 0);
    int64_t n_attempts = store_fixture_int(&f, "SELECT count(*) FROM attempt");
    int64_t n_unknown = store_fixture_int(
        &f, "SELECT count(*) FROM attempt WHERE error_class = 'killed'");
    assert_int_equal(n_attempts, 300 + n_unknown);
    assert_in_range(raw_server_n_requests(server), 300, n_attempts);
    print_message("%d kills: %lld attempts, %lld unknown, server saw %d\n", n_kills,
        (long long)n_attempts, (long long)n_unknown, raw_server_n_requests(server));
    raw_server_stop(server);
    store_fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_is_collected),
        cmocka_unit_test(test_history_without_images),
        cmocka_unit_test(test_request_is_kept),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_faults_are_asked_again),
        cmocka_unit_test(test_part_of_stream_is_kept),
        cmocka_unit_test(test_refusals_are_final),
        cmocka_unit_test(test_stall_times_out),
        cmocka_unit_test(test_dead_connection_is_an_attempt),
        cmocka_unit_test(test_server_down),
        cmocka_unit_test(test_back_off_blocks_nobody),
        cmocka_unit_test(test_refused_before_sending),
        cmocka_unit_test(test_unpriced_when_allowed),
        cmocka_unit_test(test_cap_holds_with_16_in_flight),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_purposes),
        cmocka_unit_test(test_simulator),
        cmocka_unit_test(test_key_is_nowhere),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_kill_and_go_on),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
