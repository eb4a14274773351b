/* The transport over real sockets, against bytes that real servers and broken ones send. */
#include "collectors/llm/transport.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "tests/support/raw_server.h"

#define MS INT64_C(1000000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t n_done;

/* A body that owns nothing. */
static struct body_piece braces = { "{}", 2, NULL };
static const struct body small = { .pieces = &braces, .n_pieces = 1, .len = 2 };

static void on_done(struct exchange *ex)
{
    (void)ex;
    pthread_mutex_lock(&lock);
    n_done++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for(size_t n)
{
    pthread_mutex_lock(&lock);
    while (n_done < n)
        pthread_cond_wait(&changed, &lock);
    n_done = 0;
    pthread_mutex_unlock(&lock);
}

static void ask(struct transport *t, struct exchange *ex, const char *url)
{
    if (!ex->body)
        ex->body = &small;
    ex->url = url;
    ex->done = on_done;
    if (!ex->timeout_ns)
        ex->timeout_ns = 5000 * MS;
    ex->connect_timeout_ns = 2000 * MS;
    transport_send(t, ex);
}

/* One exchange with a server of its own. */
static void exchange(struct exchange *ex, raw_handler *handler, void *arg)
{
    struct raw_server *server = raw_server_start(handler, arg);
    struct transport *t = NULL;
    assert_int_equal(transport_new(4, &t, NULL), OK);
    ask(t, ex, raw_server_url(server));
    wait_for(1);
    transport_free(t);
    raw_server_stop(server);
}

/* ---- a large upload, an interim answer ------------------------------------------ */

static int take_large(struct raw_connection *c, const struct raw_request *r, void *arg)
{
    assert_null(strstr(r->head, "Expect:"));
    assert_non_null(strstr(r->head, "Content-Type: application/json\r\n"));
    assert_int_equal(r->len, *(size_t *)arg);
    assert_int_equal(r->body[r->len - 1], 'z');
    raw_send(c, "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n");
    raw_sleep_ms(150);
    raw_answer(c, 200, "X-Late: 2\r\n", "{\"a\":1}");
    return 1;
}

static void test_large_upload(void **state)
{
    (void)state;
    size_t len = 8u << 20;
    char *bytes = malloc(len);
    memset(bytes, 'a', len);
    bytes[len - 1] = 'z';
    struct body_piece pieces[] = { { bytes, 5, NULL }, { bytes + 5, len - 6, NULL },
        { bytes + len - 1, 1, NULL } };
    struct body body = { .pieces = pieces, .n_pieces = COUNT_OF(pieces), .len = len };
    struct exchange ex = { .body = &body };
    exchange(&ex, take_large, &len);
    assert_int_equal(ex.end, EXCHANGE_COMPLETE);
    assert_int_equal(ex.http_status, 200);
    assert_string_equal(buffer_str(&ex.received), "{\"a\":1}");
    // Headers and stamps are those of the answer, not of the interim one.
    assert_null(strstr(buffer_str(&ex.headers), "X-Early"));
    assert_non_null(strstr(buffer_str(&ex.headers), "X-Late: 2"));
    assert_true(ex.uploaded_mono_ns > ex.sent_mono_ns);
    assert_true(ex.first_byte_mono_ns - ex.uploaded_mono_ns >= 100 * MS);
    assert_true(ex.last_byte_mono_ns >= ex.first_byte_mono_ns);
    exchange_release(&ex);
    free(bytes);
}

/* ---- stamps of a slow stream ---------------------------------------------------- */

static int drip(struct raw_connection *c, const struct raw_request *r, void *arg)
{
    (void)r, (void)arg;
    raw_stream_begin(c, "");
    for (int i = 0; i < 4; i++) {
        raw_stream_chunk(c, "12345");
        raw_sleep_ms(60);
    }
    raw_stream_end(c);
    return 1;
}

static void test_arrivals(void **state)
{
    (void)state;
    struct exchange ex = { 0 };
    exchange(&ex, drip, NULL);
    assert_int_equal(ex.received.len, 20);
    int64_t first = exchange_arrival(&ex, 1), third = exchange_arrival(&ex, 11);
    assert_in_range(third - first, 70 * MS, 300 * MS);
    assert_int_equal(exchange_arrival(&ex, 5), first);
    assert_true(exchange_arrival(&ex, 20) == ex.last_byte_mono_ns);
    assert_int_equal(exchange_arrival(&ex, 21), 0);
    exchange_release(&ex);
}

/* ---- ends ----------------------------------------------------------------------- */

static int play(struct raw_connection *c, const struct raw_request *r, void *arg)
{
    (void)r;
    const char *how = arg;
    if (text_equal(how, "short"))
        raw_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc");
    else if (text_equal(how, "reset"))
        raw_reset(c);
    else if (text_equal(how, "not http"))
        raw_send(c, "SSH-2.0-OpenSSH_9.2\r\n");
    else if (text_equal(how, "redirect"))
        raw_answer(c, 302, "Location: http://127.0.0.1:1/\r\n", "");
    else if (text_equal(how, "large"))
        for (int i = 0; i < 400; i++)
            raw_printf(c, "%s%065536d",
                i ? "" : "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", i);
    else if (text_equal(how, "headers"))
        for (int i = 0; i < 400; i++)
            raw_printf(c, "%sX-%d: %01000d\r\n", i ? "" : "HTTP/1.1 200 OK\r\n", i, i);
    else if (text_equal(how, "stall"))
        raw_sleep_ms(600);
    return 0;
}

static void expect_end(const char *how, enum exchange_end end, int http_status)
{
    struct exchange ex = { .timeout_ns = text_equal(how, "stall") ? 200 * MS : 0 };
    exchange(&ex, play, (void *)(uintptr_t)how);
    if (ex.end != end || ex.http_status != http_status)
        fail_msg("%s: end %d, status %d: %s", how, ex.end, ex.http_status, ex.error);
    assert_int_equal(ex.error[0] == '\0', end == EXCHANGE_COMPLETE);
    assert_true(ex.received.len <= EXCHANGE_MAX_BODY);
    assert_true(ex.sent_mono_ns > 0);
    if (text_equal(how, "short"))
        assert_string_equal(buffer_str(&ex.received), "abc");
    if (text_equal(how, "large"))
        assert_non_null(strstr(ex.error, "larger than 16 MiB"));
    if (text_equal(how, "headers"))
        assert_non_null(strstr(ex.error, "headers of the answer are larger than 64 KiB"));
    exchange_release(&ex);
}

static void test_ends(void **state)
{
    (void)state;
    expect_end("short", EXCHANGE_BROKEN, 200);
    expect_end("nothing", EXCHANGE_BROKEN, 0);
    expect_end("reset", EXCHANGE_BROKEN, 0);
    expect_end("not http", EXCHANGE_BROKEN, 0);
    expect_end("redirect", EXCHANGE_COMPLETE, 302); // shown, not followed
    expect_end("large", EXCHANGE_TOO_LARGE, 200);
    expect_end("stall", EXCHANGE_TIMED_OUT, 0);
    expect_end("headers", EXCHANGE_TOO_LARGE, 200);
}

static void test_unreached(void **state)
{
    (void)state;
    static const char *const urls[] = { "http://127.0.0.1:1/", "file:///etc/passwd",
        "http://no-such-host.invalid/", "not an address at all" };
    struct transport *t = NULL;
    assert_int_equal(transport_new(4, &t, NULL), OK);
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct exchange ex = { 0 };
        ask(t, &ex, urls[i]);
        wait_for(1);
        if (ex.end != EXCHANGE_UNREACHED || !ex.error[0] || ex.sent_mono_ns)
            fail_msg("%s: end %d: %s", urls[i], ex.end, ex.error);
        exchange_release(&ex);
    }
    // A key that is not there: the request does not leave.
    struct exchange ex = { .key = { .env = "M4A1_NO_SUCH_KEY" } };
    ask(t, &ex, "http://127.0.0.1:1/");
    wait_for(1);
    assert_int_equal(ex.end, EXCHANGE_UNREACHED);
    assert_non_null(strstr(ex.error, "M4A1_NO_SUCH_KEY"));
    exchange_release(&ex);
    transport_free(t);
}

static int count_and_close(
    struct raw_connection *c, const struct raw_request *r, void *arg)
{
    (void)arg;
    if (r->on_connection > 0)
        return 0; // without a word
    raw_answer(c, 200, "", "{}");
    return 1;
}

/* A POST that libcurl would send again by itself is stopped and reported. */
static void test_no_second_post(void **state)
{
    (void)state;
    struct raw_server *server = raw_server_start(count_and_close, NULL);
    struct transport *t = NULL;
    assert_int_equal(transport_new(4, &t, NULL), OK);
    struct exchange first = { 0 }, second = { 0 }, third = { .is_fresh = 1 };
    ask(t, &first, raw_server_url(server));
    wait_for(1);
    assert_int_equal(first.end, EXCHANGE_COMPLETE);
    assert_false(first.reused);
    ask(t, &second, raw_server_url(server));
    wait_for(1);
    assert_int_equal(second.end, EXCHANGE_STALE);
    assert_true(second.reused);
    ask(t, &third, raw_server_url(server));
    wait_for(1);
    assert_int_equal(third.end, EXCHANGE_COMPLETE);
    assert_false(third.reused);
    assert_int_equal(raw_server_n_requests(server), 3);
    transport_free(t);
    raw_server_stop(server);
    exchange_release(&first);
    exchange_release(&second);
    exchange_release(&third);
}

static void test_loopback_needs_no_proxy(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    struct exchange ex = { 0 };
    exchange(&ex, drip, NULL);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_int_equal(ex.end, EXCHANGE_COMPLETE);
    exchange_release(&ex);
}

static int sleep_long(struct raw_connection *c, const struct raw_request *r, void *arg)
{
    (void)r, (void)arg;
    raw_sleep_ms(500);
    raw_answer(c, 200, "", "{}");
    return 1;
}

static void test_abort(void **state)
{
    (void)state;
    struct raw_server *server = raw_server_start(sleep_long, NULL);
    struct transport *t = NULL;
    struct exchange ex[8];
    memset(ex, 0, sizeof ex);
    assert_int_equal(transport_new(4, &t, NULL), OK);
    for (int i = 0; i < 8; i++)
        ask(t, &ex[i], raw_server_url(server));
    raw_sleep_ms(100);
    int64_t before = clock_mono_ns();
    transport_abort(t);
    wait_for(8);
    assert_true(clock_mono_ns() - before < 200 * MS);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(ex[i].end, EXCHANGE_ABORTED);
        exchange_release(&ex[i]);
    }
    transport_free(t);
    raw_server_stop(server);
}

/* Those that were handed over and not begun yet, too. */
static void test_abort_before_begin(void **state)
{
    (void)state;
    struct raw_server *server = raw_server_start(sleep_long, NULL);
    struct transport *t = NULL;
    struct exchange ex[200];
    memset(ex, 0, sizeof ex);
    assert_int_equal(transport_new(4, &t, NULL), OK);
    for (size_t i = 0; i < COUNT_OF(ex); i++)
        ask(t, &ex[i], raw_server_url(server));
    int64_t before = clock_mono_ns();
    transport_abort(t);
    wait_for(COUNT_OF(ex));
    assert_true(clock_mono_ns() - before < 400 * MS);
    transport_free(t);
    for (size_t i = 0; i < COUNT_OF(ex); i++) {
        assert_int_equal(ex[i].end, EXCHANGE_ABORTED);
        exchange_release(&ex[i]);
    }
    raw_server_stop(server);
}

/* ---- many at once --------------------------------------------------------------- */

#define N_LARGE 24
#define LARGE (2u << 20)

static int take_any(struct raw_connection *c, const struct raw_request *r, void *arg)
{
    (void)arg;
    char mark[32];
    snprintf(mark, sizeof mark, "%zu %.3s", r->len, r->body + r->len - 3);
    raw_answer(c, 200, "", mark);
    return 1;
}

static int n_uploaded;

static void on_uploaded(struct exchange *ex)
{
    (void)ex;
    n_uploaded++; // on the transport's thread only
}

/* Bodies that are lent from the same place, each with an end of its own. */
static void test_many_uploads(void **state)
{
    (void)state;
    struct raw_server *server = raw_server_start(take_any, NULL);
    struct transport *t = NULL;
    static struct exchange ex[N_LARGE];
    static struct body bodies[N_LARGE];
    static struct body_piece pieces[N_LARGE][2];
    static char ends[N_LARGE][16];
    char *shared = malloc(LARGE), expected[32];
    memset(shared, 'a', LARGE);
    assert_int_equal(transport_new(N_LARGE, &t, NULL), OK);
    n_uploaded = 0;
    for (int i = 0; i < N_LARGE; i++) {
        snprintf(ends[i], sizeof ends[i], "%03d", i);
        pieces[i][0] = (struct body_piece) { shared, LARGE, NULL };
        pieces[i][1] = (struct body_piece) { ends[i], 3, NULL };
        bodies[i] =
            (struct body) { .pieces = pieces[i], .n_pieces = 2, .len = LARGE + 3 };
        ex[i].body = &bodies[i];
        ex[i].uploaded = on_uploaded;
        ask(t, &ex[i], raw_server_url(server));
    }
    wait_for(N_LARGE);
    transport_free(t);
    assert_int_equal(n_uploaded, N_LARGE);
    for (int i = 0; i < N_LARGE; i++) {
        snprintf(expected, sizeof expected, "%u %03d", LARGE + 3, i);
        assert_int_equal(ex[i].end, EXCHANGE_COMPLETE);
        assert_string_equal(buffer_str(&ex[i].received), expected);
        assert_in_range(
            ex[i].uploaded_mono_ns, ex[i].sent_mono_ns, ex[i].first_byte_mono_ns);
        exchange_release(&ex[i]);
    }
    raw_server_stop(server);
    free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_upload),
        cmocka_unit_test(test_arrivals),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_unreached),
        cmocka_unit_test(test_no_second_post),
        cmocka_unit_test(test_loopback_needs_no_proxy),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_abort_before_begin),
        cmocka_unit_test(test_many_uploads),
    };
    return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
