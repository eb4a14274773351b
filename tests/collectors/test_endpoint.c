/* What local servers tell of themselves, asked over real sockets. */
#include "collectors/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/llm/fetch.h"
#include "m4a1/base/text.h"
#include "tests/support/raw_server.h"
#include "tests/support/store_fixture.h"

static struct error err;

struct page {
    const char *request, *body; /* "GET /props" */
};

/* Answers the pages of its table, all else with 404. */
static int serve(struct raw_connection *c, const struct raw_request *request, void *arg)
{
    for (const struct page *p = arg; p->request; p++) {
        size_t n = strlen(p->request);
        if (!strncmp(request->head, p->request, n) && request->head[n] == ' ') {
            raw_answer(c, 200, "", p->body);
            return 1;
        }
    }
    raw_answer(c, 404, "", "{\"error\":\"not found\"}");
    return 1;
}

static const struct page ollama[] = {
    { "GET /api/version", "{\"version\":\"0.12.6\"}" },
    { "GET /api/tags", "{\"models\":[{\"name\":\"other:7b\",\"digest\":\"no\"},"
                       "{\"name\":\"model-of-a:latest\",\"digest\":\"8dd30f6b0cb1\","
                       "\"details\":{\"quantization_level\":\"Q4_0\"}}]}" },
    { "POST /api/show", "{\"model_info\":{\"general.architecture\":\"llama\","
                        "\"llama.context_length\":4096}}" },
    { "GET /api/ps", "{\"models\":[{\"name\":\"model-of-a:latest\",\"size\":4000,"
                     "\"size_vram\":3000}]}" },
    { NULL, NULL },
};
static const struct page llama_cpp[] = {
    { "GET /props", "{\"default_generation_settings\":{\"n_ctx\":8192},\"total_slots\":4,"
                    "\"model_path\":\"/home/somebody/"
                    "llava-7b.Q5_K_M.gguf\",\"build_info\":\"b6800\"}" },
    { NULL, NULL },
};
static const struct page vllm[] = {
    { "GET /v1/models", "{\"object\":\"list\",\"data\":[{\"id\":\"model-of-a\","
                        "\"owned_by\":\"vllm\",\"max_model_len\":32768}]}" },
    { "GET /version", "{\"version\":\"0.11.0\"}" },
    { NULL, NULL },
};
static const struct page nothing[] = { { "GET /props", "[1,2" }, { NULL, NULL } };

static struct endpoint_facts ask(const struct page *pages, const char *suffix)
{
    struct endpoint_facts f;
    struct raw_server *server = raw_server_start(serve, (void *)(uintptr_t)pages);
    char *url = text_format("%s%s", raw_server_url(server), suffix);
    struct llm llm = { .url = url, .model = (char *)(uintptr_t) "model-of-a" };
    assert_int_equal(endpoint_ask(&llm, &f, &err), OK);
    raw_server_stop(server);
    free(url);
    return f;
}

static void test_each_server(void **state)
{
    (void)state;
    struct endpoint_facts f = ask(ollama, "/v1");
    assert_string_equal(f.server, "ollama");
    assert_string_equal(f.build, "0.12.6");
    assert_string_equal(f.model_digest, "8dd30f6b0cb1");
    assert_string_equal(f.quantisation, "Q4_0");
    assert_string_equal(f.gpu, "75 % in video memory");
    assert_int_equal(f.context_tokens, 4096);
    assert_int_equal(f.slots, -1);
    endpoint_facts_release(&f);

    f = ask(llama_cpp, "");
    assert_string_equal(f.server, "llama.cpp");
    assert_string_equal(f.build, "b6800");
    assert_string_equal(f.model_digest, "llava-7b.Q5_K_M.gguf"); // and no folder
    assert_string_equal(f.quantisation, "Q5_K_M");
    assert_int_equal(f.slots, 4);
    assert_int_equal(f.context_tokens, 8192);
    assert_null(f.gpu);
    endpoint_facts_release(&f);

    f = ask(vllm, "");
    assert_string_equal(f.server, "vllm");
    assert_string_equal(f.build, "0.11.0");
    assert_int_equal(f.context_tokens, 32768);
    endpoint_facts_release(&f);

    f = ask(nothing, "");
    assert_null(f.server);
    endpoint_facts_release(&f);
}

/* A server that tells what it was sent, at length. */
static int tell_the_key(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    const char *key = strstr(request->head, "Bearer ");
    char body[8000];
    if (!strncmp(request->head, "GET /v1/models ", 15))
        raw_answer(
            c, 200, "", "{\"data\":[{\"id\":\"model-of-a\",\"owned_by\":\"vllm\"}]}");
    else if (!strncmp(request->head, "GET /version ", 13)) {
        snprintf(body, sizeof body, "{\"version\":\"1\\u001b[31m %.*s %07000d\"}",
            key ? (int)strcspn(key, "\r\n") : 0, key ? key : "", 0);
        raw_answer(c, 200, "", body);
    } else {
        raw_answer(c, 404, "", "{}");
    }
    return 1;
}

static void test_neither_key_nor_length(void **state)
{
    (void)state;
    struct store_fixture s;
    struct endpoint_facts f;
    struct raw_server *server = raw_server_start(tell_the_key, NULL);
    char *url = text_copy(raw_server_url(server));
    struct llm llm = { .url = url,
        .model = (char *)(uintptr_t) "model-of-a",
        .key_env = (char *)(uintptr_t) "M4A1_TEST_KEY" };
    setenv("M4A1_TEST_KEY", "sk-planted-7f3a9b2c", 1);
    assert_int_equal(endpoint_ask(&llm, &f, &err), OK);
    assert_int_equal(strlen(f.build), 200);
    assert_true(text_starts(f.build, "1 [31m Bearer ******************* 000"));
    store_fixture_open(&s, "keep");
    int64_t id = store_fixture_llm(&s, "a", "http://127.0.0.1:1", NULL);
    assert_int_equal(endpoint_save(s.store, id, &f, &err), OK);
    endpoint_facts_release(&f);
    store_fixture_close(&s);
    raw_server_stop(server);
    free(url);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct endpoint_facts f;
    struct llm llm = { .url = (char *)(uintptr_t) "http://127.0.0.1:1",
        .model = (char *)(uintptr_t) "m" };
    assert_int_equal(endpoint_ask(&llm, &f, &err), OK);
    assert_null(f.server);
    endpoint_facts_release(&f);
}

static void test_rows_change_only_with_facts(void **state)
{
    (void)state;
    struct store_fixture s;
    struct endpoint_facts f = ask(llama_cpp, "");
    store_fixture_open(&s, "keep");
    int64_t llm = store_fixture_llm(&s, "a", "http://127.0.0.1:1", NULL);
    assert_int_equal(endpoint_save(s.store, llm, &f, &err), OK);
    assert_int_equal(endpoint_save(s.store, llm, &f, &err), OK);
    assert_int_equal(store_fixture_int(&s, "SELECT count(*) FROM endpoint"), 1);
    f.slots = 2;
    assert_int_equal(endpoint_save(s.store, llm, &f, &err), OK);
    assert_int_equal(store_fixture_int(&s, "SELECT count(*) FROM endpoint"), 2);
    assert_int_equal(
        store_fixture_int(&s, "SELECT slots FROM endpoint ORDER BY endpoint_id DESC"), 2);
    // The old facts again are news again.
    f.slots = 4;
    assert_int_equal(endpoint_save(s.store, llm, &f, &err), OK);
    assert_int_equal(store_fixture_int(&s, "SELECT count(*) FROM endpoint"), 3);
    endpoint_facts_release(&f);
    store_fixture_close(&s);
}

static int tell_date(
    struct raw_connection *c, const struct raw_request *request, void *arg)
{
    (void)arg;
    int is_post = !strncmp(request->head, "POST /there ", 12);
    raw_answer(c, is_post ? 418 : 200, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        is_post ? request->body : "{}");
    return 1;
}

static void test_fetch(void **state)
{
    (void)state;
    struct fetched f;
    struct raw_server *server = raw_server_start(tell_date, NULL);
    char *url = text_format("%s/there", raw_server_url(server));
    assert_int_equal(fetch(url, NULL, "{\"a\":1}", INT64_C(2000000000), &f, &err), OK);
    assert_int_equal(f.http_status, 418);
    assert_string_equal(buffer_str(&f.body), "{\"a\":1}");
    assert_int_equal(f.date_ms, INT64_C(784111777000));
    fetched_release(&f);
    raw_server_stop(server);
    assert_int_equal(fetch(url, NULL, NULL, INT64_C(2000000000), &f, &err), E_NET);
    assert_int_equal(f.http_status, 0);
    fetched_release(&f);
    free(url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_server),
        cmocka_unit_test(test_neither_key_nor_length),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_rows_change_only_with_facts),
        cmocka_unit_test(test_fetch),
    };
    return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
