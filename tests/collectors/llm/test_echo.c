/* The example of docs/adding-a-protocol.md: it works against a server, and what the page
 * quotes is what was built here. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/llm/transport.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "tests/support/answer_case.h"
#include "tests/support/echo_protocol.h"
#include "tests/support/raw_server.h"

static const struct protocol *const p = &protocol_echo;
static struct answer a;

/* ---- answers -------------------------------------------------------------------- */

#define WHOLE "{\"echo\":\"A cup.\",\"end\":\"done\",\"words\":{\"heard\":12,\"said\":3}}"
#define STREAM                                                                           \
    "data: {\"piece\":\"A \"}\n\ndata: {\"piece\":\"cup.\"}\n\n"                         \
    "data: {\"end\":\"full\",\"words\":{\"heard\":12,\"said\":2}}\n\n"

static void test_answers(void **state)
{
    (void)state;
    answer_case_whole(p, WHOLE, 0, "A cup.", STOP_STOP);
    answer_case_read(p, 200, "echo-id: e-1\r\n", WHOLE, 1, &a);
    answer_case_tokens(&a, 12, 0, 0, 3, 0);
    assert_string_equal(a.request_id, "e-1");
    answer_case_whole(p, STREAM, 2, "A cup.", STOP_LENGTH);
    static const struct answer_case_failure rows[] = {
        { 500, "{\"trouble\":\"no voice\"}", FAILURE_SERVER, "no voice" },
        { 401, "{\"trouble\":\"who?\"}", FAILURE_AUTH, "who?" },
        { 200, "{\"trouble\":\"wait\",\"code\":\"busy\"}", FAILURE_RATE_LIMIT, "wait" },
        { 200, "data: {\"piece\":\"A \"}\n\ndata: {\"trouble\":\"gone\"}\n\n",
            FAILURE_SERVER, "gone" },
        { 200, "{\"echo\":\"A cup.\"}", FAILURE_MALFORMED, "no answer" },
        { 200, "<html>", FAILURE_MALFORMED, "<html>" },
    };
    answer_case_failures(p, rows, COUNT_OF(rows));
}

/* ---- against a server ----------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int is_done;

static void on_done(struct exchange *ex)
{
    (void)ex;
    pthread_mutex_lock(&lock);
    is_done = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* The server's side: takes what Echo asks for, and answers in pieces. */
static int speak(struct raw_connection *c, const struct raw_request *request, void *arg)
{
    char **seen = arg;
    *seen = text_format("%s%s", request->head, request->body);
    raw_stream_begin(c, "echo-id: e-2\r\n");
    raw_stream_chunk(c, "data: {\"piece\":\"You said: \"}\n\ndata: {\"pie");
    raw_stream_chunk(c, "ce\":\"what is it?\"}\n\n");
    raw_stream_chunk(
        c, "data: {\"end\":\"done\",\"words\":{\"heard\":4,\"said\":5}}\n\n");
    raw_stream_end(c);
    return 1;
}

/* One call from the llm to the answer, as the collector makes it. */
static void ask(const struct llm *llm, const struct dialogue *d, const char *base)
{
    struct body body;
    body_init(&body);
    assert_int_equal(protocol_check(p, llm, NULL), OK);
    assert_int_equal(protocol_render(p, llm, d, &body, NULL), OK);
    char *url = protocol_url(p, llm, base), *headers = protocol_headers(p, llm);
    struct exchange ex = { .url = url,
        .extra = headers,
        .key = protocol_key(p, llm),
        .body = &body,
        .timeout_ns = INT64_C(5000000000),
        .connect_timeout_ns = INT64_C(2000000000),
        .done = on_done };
    struct transport *t = NULL;
    assert_int_equal(transport_new(1, &t, NULL), OK);
    transport_send(t, &ex);
    pthread_mutex_lock(&lock);
    while (!is_done)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    transport_free(t);
    assert_int_equal(ex.end, EXCHANGE_COMPLETE);
    struct wire_answer wire = { ex.http_status, buffer_str(&ex.headers),
        buffer_str(&ex.received), ex.received.len, 1 };
    answer_release(&a);
    assert_int_equal(p->parse(&wire, &a, NULL), OK);
    exchange_release(&ex);
    body_release(&body);
    free(url);
    free(headers);
}

static void test_server(void **state)
{
    (void)state;
    char *seen = NULL;
    struct raw_server *server = raw_server_start(speak, &seen);
    struct dialogue_part part = { .text = (char *)"What is it?" };
    struct dialogue_message message = { 0, &part, 1 };
    struct dialogue d = {
        .system_prompt = (char *)"Be brief.", .messages = &message, .n_messages = 1
    };
    struct llm llm = { .name = (char *)"nymph",
        .model = (char *)"narcissus",
        .key_env = (char *)"M4A1_TEST_KEY",
        .stream = 1,
        .parameters = json_new_object(),
        .options = json_new_object() };
    setenv("M4A1_TEST_KEY", "planted-echo-key", 1);
    struct error err = ERROR_INIT;
    assert_int_equal(protocol_check(p, &llm, &err), E_ARG);
    assert_non_null(strstr(err.msg, "\"most\""));
    json_set_int(llm.parameters, "most", 64);
    json_set_text(llm.options, "voice", "high");

    ask(&llm, &d, raw_server_url(server));
    assert_non_null(strstr(seen, "POST /echo/narcissus/say?pieces=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(seen, "echo-version: 1\r\n"));
    assert_non_null(strstr(seen, "echo-voice: high\r\n"));
    assert_non_null(strstr(seen, "echo-key: planted-echo-key\r\n"));
    assert_null(strstr(seen, "Authorization"));
    assert_non_null(strstr(seen, "{\"manner\":\"Be brief.\",\"lines\":[{\"by\":\"me\","
                                 "\"text\":\"What is it?\"}],\"most\":64}"));
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "You said: what is it?");
    assert_string_equal(a.request_id, "e-2");
    answer_case_tokens(&a, 4, 0, 0, 5, 0);
    free(seen);
    json_free(llm.parameters);
    json_free(llm.options);
    raw_server_stop(server);
}

/* ---- the page ------------------------------------------------------------------- */

/* True where line, of len bytes, is a whole line of the source. */
static int is_line_of(const char *source, const char *line, size_t len)
{
    for (const char *at = source; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (!strncmp(at, line, len) && at[len] == '\n')
            return 1;
    }
    return 0;
}

static void test_page(void **state)
{
    (void)state;
    struct buffer page, source;
    buffer_init(&page, 1 << 20);
    buffer_init(&source, 1 << 20);
    assert_int_equal(file_read("docs/adding-a-protocol.md", &page, NULL), OK);
    assert_int_equal(file_read("tests/support/echo_protocol.c", &source, NULL), OK);
    int is_code = 0;
    size_t n_lines = 0;
    for (const char *line = buffer_str(&page); *line;) {
        size_t len = strcspn(line, "\n");
        if (!strncmp(line, "```", 3)) {
            is_code = !strncmp(line, "```c\n", 5);
        } else if (is_code && len) {
            n_lines++;
            if (!is_line_of(buffer_str(&source), line, len))
                fail_msg(
                    "tests/support/echo_protocol.c has no line \"%.*s\"", (int)len, line);
        }
        line += len + (line[len] == '\n');
    }
    assert_true(n_lines > 60);
    buffer_release(&page);
    buffer_release(&source);
}

static int release(void **state)
{
    (void)state;
    answer_release(&a);
    return 0;
}

int main(void)
{
    answer_init(&a);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_page),
    };
    return cmocka_run_group_tests_name("echo", tests, NULL, release);
}
