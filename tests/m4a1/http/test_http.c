/* test_http.c - a real server and raw sockets: bodies, delays, streams, misbehaviour,
 * a thousand connections, and stopping while requests are under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "m4a1/http/http.h"
#include "tests/support/http_client.h"

#define MS 1000000
#define MAX_BODY 100000

struct fixture {
    struct http_server *server;
    uint16_t port;
    pthread_mutex_t lock;
    int n_handled, n_outcomes[4];
};

static void answer_echo(const struct http_request *request, struct http_answer *answer)
{
    const char *header = http_header(request, "x-test");
    const char *argument = http_query(request, "q");
    http_answer_header(answer, "X-Echo", "%s", header ? header : "none");
    http_answer_header(answer, "X-Query", "%s", argument ? argument : "none");
    (void)buffer_printf(&answer->body, "%s %s %zu %d ", request->method, request->path,
        request->body_len, request->too_large);
    (void)buffer_add(&answer->body, request->body, request->body_len);
    answer->status = request->too_large ? 413 : 200;
}

static void answer_stream(struct http_answer *answer)
{
    answer->content_type = "text/event-stream";
    for (int i = 0; i < 4; i++) {
        (void)buffer_printf(&answer->body, "data: piece %d\n\n", i);
        http_answer_mark(answer, (50 + i * 50) * (int64_t)MS);
    }
}

static void handle(
    void *arg, const struct http_request *request, struct http_answer *answer)
{
    struct fixture *fixture = arg;
    const char *path = request->path;
    pthread_mutex_lock(&fixture->lock);
    fixture->n_handled++;
    pthread_mutex_unlock(&fixture->lock);
    answer->note = fixture;
    if (text_starts(path, "/stream"))
        answer_stream(answer);
    else
        answer_echo(request, answer);
    if (text_starts(path, "/delay/"))
        answer->delay_ns = strtol(path + 7, NULL, 10) * MS;
    if (text_starts(path, "/work"))
        clock_sleep_ns(100 * MS);
    if (text_starts(path, "/work/delay"))
        answer->delay_ns = 200 * MS;
    if (text_equal(path, "/drop"))
        answer->ending = HTTP_DROP;
    if (text_ends(path, "/cut")) {
        answer->ending = HTTP_CUT;
        answer->cut_at = 20;
    }
    if (text_equal(path, "/too-many-headers"))
        for (int i = 0; i <= HTTP_MAX_HEADERS; i++)
            http_answer_header(answer, "X-More", "%d", i);
}

static void on_done(void *arg, void *note, enum http_outcome outcome)
{
    struct fixture *fixture = arg;
    assert_ptr_equal(note, fixture);
    pthread_mutex_lock(&fixture->lock);
    fixture->n_outcomes[outcome]++;
    pthread_mutex_unlock(&fixture->lock);
}

static int handled(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    int n = fixture->n_handled;
    pthread_mutex_unlock(&fixture->lock);
    return n;
}

static int outcomes(struct fixture *fixture, enum http_outcome outcome)
{
    pthread_mutex_lock(&fixture->lock);
    int n = fixture->n_outcomes[outcome];
    pthread_mutex_unlock(&fixture->lock);
    return n;
}

/* Connections that end early are counted a moment later. */
static void wait_for(struct fixture *fixture, enum http_outcome outcome, int n)
{
    for (int i = 0; i < 300 && outcomes(fixture, outcome) < n; i++)
        clock_sleep_ns(10 * MS);
    assert_int_equal(outcomes(fixture, outcome), n);
}

/* An answer is counted before its last byte leaves. */
static void assert_sent(struct fixture *fixture, int n)
{
    assert_int_equal(outcomes(fixture, HTTP_SENT), n);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct http_options options = { .max_body = MAX_BODY,
        .n_workers = 2,
        .handler = handle,
        .done = on_done,
        .arg = fixture };
    pthread_mutex_init(&fixture->lock, NULL);
    if (http_server_new(&options, &fixture->server, NULL) != OK)
        return -1;
    fixture->port = http_server_port(fixture->server);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    http_server_free(fixture->server);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    return 0;
}

static void method_path_header_and_body_arrive(void **state)
{
    struct fixture *fixture = *state;
    struct client_reply reply;
    char value[64], url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", fixture->port);
    assert_string_equal(http_server_url(fixture->server), url);
    client_exchange(fixture->port, "POST", "/a%20b?p=2&q=1%202", "X-TEST: seven\r\n",
        "{\"x\":1}", &reply);
    assert_int_equal(reply.end, CLIENT_WHOLE);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body.data, "POST /a b 7 0 {\"x\":1}");
    assert_string_equal(client_header(&reply, "x-echo", value, sizeof value), "seven");
    assert_string_equal(client_header(&reply, "x-query", value, sizeof value), "1 2");
    client_reply_release(&reply);
    client_exchange(fixture->port, "GET", "/x", "", NULL, &reply);
    assert_string_equal(reply.body.data, "GET /x 0 0 ");
    assert_string_equal(client_header(&reply, "x-echo", value, sizeof value), "none");
    assert_string_equal(client_header(&reply, "x-query", value, sizeof value), "none");
    client_reply_release(&reply);
    assert_sent(fixture, 2);
}

static void one_connection_serves_many_requests(void **state)
{
    struct fixture *fixture = *state;
    int fd = client_connect(fixture->port);
    assert_true(fd >= 0);
    for (int i = 0; i < 5; i++) {
        struct client_reply reply;
        assert_int_equal(
            client_send(fd, "POST", i % 2 ? "/a" : "/stream", "", "abc", 3), 0);
        client_receive(fd, &reply);
        assert_int_equal(reply.end, CLIENT_WHOLE);
        assert_int_equal(reply.status, 200);
        client_reply_release(&reply);
    }
    close(fd);
    assert_sent(fixture, 5);
}

static void a_body_above_the_ceiling_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct client_reply reply;
    char *body = malloc(10 * MAX_BODY + 1);
    memset(body, 'x', 10 * MAX_BODY);
    body[MAX_BODY] = '\0';
    client_exchange(fixture->port, "POST", "/", "", body, &reply);
    assert_int_equal(reply.status, 200);
    assert_true(reply.body.len > MAX_BODY);
    client_reply_release(&reply);
    body[MAX_BODY] = 'x';
    body[10 * MAX_BODY] = '\0';
    client_exchange(fixture->port, "POST", "/", "", body, &reply);
    assert_int_equal(reply.status, 413);
    assert_string_equal(reply.body.data, "POST / 0 1 ");
    client_reply_release(&reply);
    free(body);
}

static void delays_count_from_arrival(void **state)
{
    struct fixture *fixture = *state;
    struct client_reply reply;
    client_exchange(fixture->port, "GET", "/delay/150", "", NULL, &reply);
    assert_true(reply.first_ns - reply.sent_ns >= 145 * MS);
    assert_true(reply.first_ns - reply.sent_ns < 1000 * MS);
    client_reply_release(&reply);
    /* The handler works for 100 ms of these 200. */
    client_exchange(fixture->port, "GET", "/work/delay", "", NULL, &reply);
    assert_true(reply.first_ns - reply.sent_ns >= 195 * MS);
    assert_true(reply.first_ns - reply.sent_ns < 290 * MS);
    client_reply_release(&reply);
}

static void a_stream_comes_in_its_pieces(void **state)
{
    struct fixture *fixture = *state;
    struct client_reply reply;
    char value[64];
    client_exchange(fixture->port, "GET", "/stream", "", NULL, &reply);
    assert_int_equal(reply.end, CLIENT_WHOLE);
    assert_string_equal(
        client_header(&reply, "content-type", value, sizeof value), "text/event-stream");
    assert_int_equal(reply.n_pieces, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(reply.piece_end[i], (i + 1) * strlen("data: piece 0\n\n"));
    assert_true(reply.last_ns - reply.sent_ns >= 195 * MS);
    /* Headers are sent at once, not with the first piece. */
    assert_true(reply.first_ns - reply.sent_ns < 195 * MS);
    client_reply_release(&reply);
}

static void connections_break_as_told(void **state)
{
    struct fixture *fixture = *state;
    struct client_reply reply;
    client_exchange(fixture->port, "POST", "/drop", "", "abc", &reply);
    assert_int_equal(reply.end, CLIENT_NONE);
    client_reply_release(&reply);
    client_exchange(fixture->port, "POST", "/cut", "", "0123456789", &reply);
    assert_int_equal(reply.end, CLIENT_BROKEN);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.len, 20);
    client_reply_release(&reply);
    client_exchange(fixture->port, "POST", "/stream/cut", "", "", &reply);
    assert_int_equal(reply.end, CLIENT_BROKEN);
    assert_int_equal(reply.body.len, 20);
    assert_int_equal(reply.n_pieces, 2);
    client_reply_release(&reply);
    wait_for(fixture, HTTP_BROKEN, 3);
}

static void an_answer_that_cannot_be_made_is_a_500(void **state)
{
    struct fixture *fixture = *state;
    struct client_reply reply;
    client_exchange(fixture->port, "GET", "/too-many-headers", "", NULL, &reply);
    assert_int_equal(reply.status, 500);
    assert_sent(fixture, 1);
    client_reply_release(&reply);
}

static void a_client_that_leaves_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    static const char *const paths[] = { "/delay/100", "/stream" };
    for (int i = 0; i < 2; i++) {
        int fd = client_connect(fixture->port);
        assert_int_equal(client_send(fd, "GET", paths[i], "", "", 0), 0);
        while (handled(fixture) <= i)
            clock_sleep_ns(MS);
        close(fd);
    }
    wait_for(fixture, HTTP_GONE, 2);
    assert_int_equal(outcomes(fixture, HTTP_SENT), 0);
}

/* Lines of /proc/self/task: the threads of this process. */
static int count_threads(void)
{
    char line[256];
    int n = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (text_starts(line, "Threads:"))
            n = (int)strtol(line + 8, NULL, 10);
    if (file)
        fclose(file);
    return n;
}

static void a_thousand_wait_at_once(void **state)
{
    struct fixture *fixture = *state;
    enum { N_CLIENTS = 1000 };
    static int fds[N_CLIENTS];
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < 2 * N_CLIENTS + 100)
        skip();
    int n_threads = count_threads();
    for (int i = 0; i < N_CLIENTS; i++) {
        fds[i] = client_connect(fixture->port);
        assert_true(fds[i] >= 0);
        assert_int_equal(client_send(fds[i], "GET", "/delay/2000", "", "", 0), 0);
    }
    while (handled(fixture) < N_CLIENTS)
        clock_sleep_ns(5 * MS);
    assert_int_equal(outcomes(fixture, HTTP_SENT), 0); /* all are in flight */
    assert_int_equal(count_threads(), n_threads);
    int64_t latest = 0;
    for (int i = 0; i < N_CLIENTS; i++) {
        struct client_reply reply;
        client_receive(fds[i], &reply);
        assert_int_equal(reply.end, CLIENT_WHOLE);
        latest = reply.last_ns > latest ? reply.last_ns : latest;
        client_reply_release(&reply);
        close(fds[i]);
    }
    assert_sent(fixture, N_CLIENTS);
}

static void a_stop_ends_what_is_under_way(void **state)
{
    struct fixture *fixture = *state;
    enum { N_CLIENTS = 60 };
    int fds[N_CLIENTS];
    static const char *const paths[] = { "/delay/60000", "/stream", "/work" };
    for (int i = 0; i < N_CLIENTS; i++) {
        fds[i] = client_connect(fixture->port);
        assert_int_equal(client_send(fds[i], "GET", paths[i % 3], "", "", 0), 0);
    }
    while (handled(fixture) < 5)
        clock_sleep_ns(MS);
    int64_t start = clock_mono_ns();
    http_server_free(fixture->server);
    fixture->server = NULL;
    assert_true(clock_mono_ns() - start < 5000LL * MS);
    int n = 0;
    for (int i = 0; i < 4; i++)
        n += outcomes(fixture, (enum http_outcome)i);
    assert_int_equal(n, handled(fixture)); /* each is over exactly once */
    assert_true(outcomes(fixture, HTTP_STOPPED) > 0);
    for (int i = 0; i < N_CLIENTS; i++) {
        struct client_reply reply;
        client_receive(fds[i], &reply);
        client_reply_release(&reply);
        close(fds[i]);
    }
}

static void addresses_are_checked(void **state)
{
    struct fixture *fixture = *state;
    struct http_options options = { .max_body = 10, .handler = handle, .arg = fixture };
    struct http_server *other;
    struct error err = ERROR_INIT;
    options.port = fixture->port;
    assert_int_equal(http_server_new(&options, &other, &err), E_IO);
    assert_null(other);
    assert_non_null(strstr(err.msg, "in use"));
    options.port = 0;
    options.host = "localhost.example";
    assert_int_equal(http_server_new(&options, &other, &err), E_ARG);
    assert_non_null(strstr(err.msg, "localhost.example"));
    options.host = "::1";
    if (http_server_new(&options, &other, &err) == OK) {
        assert_true(text_starts(http_server_url(other), "http://[::1]:"));
        http_server_free(other);
    }
    http_server_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(method_path_header_and_body_arrive),
        TEST(one_connection_serves_many_requests),
        TEST(a_body_above_the_ceiling_is_told),
        TEST(delays_count_from_arrival),
        TEST(a_stream_comes_in_its_pieces),
        TEST(connections_break_as_told),
        TEST(an_answer_that_cannot_be_made_is_a_500),
        TEST(a_client_that_leaves_is_noticed),
        TEST(a_thousand_wait_at_once),
        TEST(a_stop_ends_what_is_under_way),
        TEST(addresses_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
