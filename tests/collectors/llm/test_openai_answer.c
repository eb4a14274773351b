/* What servers send for a chat completion, read into answers and failures. */
#include "collectors/llm/openai_chat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"

static struct answer a;

static void parse(int http_status, const char *headers, const char *body, int is_complete)
{
    struct wire_answer wire = { http_status, headers, body, strlen(body), is_complete };
    answer_release(&a);
    assert_int_equal(openai_chat_read(&wire, "x-request-id", &a, NULL), OK);
}

static void parse_200(const char *body)
{
    parse(200, "", body, 1);
}

static void expect_tokens(int64_t in, int64_t read, int64_t write, int64_t out, int64_t r)
{
    assert_int_equal(a.input_tokens, in);
    assert_int_equal(a.cache_read_tokens, read);
    assert_int_equal(a.cache_write_tokens, write);
    assert_int_equal(a.output_tokens, out);
    assert_int_equal(a.reasoning_tokens, r);
}

#define CHOICE(message, finish)                                                          \
    "\"choices\":[{\"index\":0,\"message\":" message ",\"finish_reason\":" finish "}]"

static void test_whole(void **state)
{
    (void)state;
    parse(200, "X-Request-ID:  req-1 \r\n",
        "{\"id\":\"c1\",\"model\":\"gpt-x-2026\",\"system_fingerprint\":\"fp\"," CHOICE(
            "{\"role\":\"assistant\",\"content\":\"Hi \\u00e9\",\"refusal\":null}",
            "\"stop\"") ",\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":30,"
                        "\"total_tokens\":130,"
                        "\"cost\":0.00125,\"prompt_tokens_details\":{\"cached_tokens\":"
                        "64,"
                        "\"cache_write_tokens\":6},\"completion_tokens_details\":{"
                        "\"reasoning_tokens\":20}}}",
        1);
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "Hi \xC3\xA9");
    assert_int_equal(a.stop, STOP_STOP);
    assert_string_equal(a.request_id, "req-1");
    assert_string_equal(a.model, "gpt-x-2026");
    assert_string_equal(a.fingerprint, "fp");
    assert_true(a.provider_cost_usd == 0.00125);
    assert_non_null(strstr(a.usage, "\"total_tokens\":130"));
    expect_tokens(30, 64, 6, 10, 20);
}

static void test_usage(void **state)
{
    (void)state;
    // None reported: unknown, never 0.
    parse_200("{" CHOICE("{\"content\":\"x\"}", "\"stop\"") "}");
    expect_tokens(-1, -1, -1, -1, -1);
    assert_null(a.usage);
    assert_true(isnan(a.provider_cost_usd));
    // Totals only (Ollama, vLLM): no such classes, so 0.
    parse_200("{" CHOICE("{\"content\":\"x\"}",
        "\"stop\"") ",\"usage\":{\"prompt_tokens\":7,"
                    "\"completion_tokens\":3,\"prompt_tokens_details\":null}}");
    expect_tokens(7, 0, 0, 3, 0);
    // llama-server counts its cache in timings.
    parse_200("{" CHOICE(
        "{\"content\":\"x\"}", "\"stop\"") ",\"usage\":{\"prompt_tokens\":7,"
                                           "\"completion_tokens\":3},\"timings\":{"
                                           "\"cache_n\":5,\"prompt_n\":2}}");
    expect_tokens(2, 5, 0, 3, 0);
    // Groq's streams.
    parse_200("{" CHOICE("{\"content\":\"x\"}",
        "\"stop\"") ",\"usage\":null,\"x_groq\":{\"id\":"
                    "\"g1\",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}}");
    expect_tokens(7, 0, 0, 3, 0);
    assert_string_equal(a.request_id, "g1");
    // Counts that contradict each other, or are none, are unknown.
    parse_200("{" CHOICE(
        "{\"content\":\"x\"}", "\"stop\"") ",\"usage\":{\"prompt_tokens\":7,"
                                           "\"completion_tokens\":-3,\"prompt_tokens_"
                                           "details\":{\"cached_tokens\":8}}}");
    expect_tokens(-1, 8, 0, -1, 0);
}

static void expect_stop(const char *body, const char *text, enum stop stop)
{
    parse_200(body);
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, text);
    assert_int_equal(a.stop, stop);
}

static void test_stops(void **state)
{
    (void)state;
    expect_stop("{" CHOICE("{\"content\":null}", "\"length\"") "}", "", STOP_LENGTH);
    expect_stop(
        "{" CHOICE("{\"content\":\"\"}", "\"model_length\"") "}", "", STOP_LENGTH);
    expect_stop("{" CHOICE("{\"content\":null,\"refusal\":\"No.\"}", "\"stop\"") "}",
        "No.", STOP_REFUSAL);
    expect_stop("{" CHOICE("{}", "\"content_filter\"") "}", "", STOP_FILTER);
    expect_stop("{" CHOICE("{\"content\":\"x\"}", "\"eos\"") "}", "x", STOP_STOP);
    expect_stop("{" CHOICE("{\"content\":\"x\"}", "\"odd\"") "}", "x", STOP_OTHER);
    expect_stop(
        "{" CHOICE("{\"content\":null,\"tool_calls\":[{}]}", "\"tool_calls\"") "}", "",
        STOP_TOOL);
    expect_stop(
        "{" CHOICE("{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"text\":\"b\"}]}",
            "\"stop\"") "}",
        "ab", STOP_STOP);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        int http_status;
        const char *body;
        enum failure failure;
        const char *says;
    } rows[] = {
        { 400,
            "{\"error\":{\"message\":\"bad image\",\"type\":\"invalid_request_error\"}}",
            FAILURE_REQUEST, "bad image" },
        { 401, "{\"error\":{\"message\":\"no key\"}}", FAILURE_AUTH, "no key" },
        { 402, "{\"error\":{\"code\":402,\"message\":\"pay\"}}", FAILURE_QUOTA, "pay" },
        { 404, "not found", FAILURE_REQUEST, "not found" },
        { 422,
            "{\"detail\":[{\"loc\":[\"body\",\"messages\",0],\"msg\":\"Field required\"},"
            "{\"msg\":\"x\"}]}",
            FAILURE_REQUEST, "body.messages.#: Field required; x" },
        { 404, "{\"detail\":\"Not Found\"}", FAILURE_REQUEST, "Not Found" },
        { 429, "{\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}",
            FAILURE_QUOTA, "insufficient_quota" },
        { 429, "{\"error\":{\"message\":\"m\",\"code\":\"rate_limit_exceeded\"}}",
            FAILURE_RATE_LIMIT, "m" },
        { 429, "{\"object\":\"error\",\"message\":\"slow\",\"code\":\"1300\"}",
            FAILURE_RATE_LIMIT, "slow" },
        { 400, "{\"error\":{\"message\":\"m\",\"code\":\"content_filter\"}}",
            FAILURE_FILTER, "m" },
        { 503, "{\"error\":{\"code\":503,\"message\":\"Loading model\"}}", FAILURE_SERVER,
            "Loading model" },
        { 500, "", FAILURE_SERVER, "empty" },
        { 500, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}",
            FAILURE_SERVER, "m" },
        { 200, "{\"error\":{\"message\":\"up\",\"code\":502}}", FAILURE_SERVER, "up" },
        { 200, "{\"error\":{\"message\":\"up\",\"code\":\"429\"}}", FAILURE_RATE_LIMIT,
            "up" },
        { 200, "{\"error\":\"just text\"}", FAILURE_SERVER, "just text" },
        { 200, "{\"error\":{\"type\":\"insufficient_quota\",\"message\":\"x\"}}",
            FAILURE_QUOTA, "x" },
        { 200, "<html>", FAILURE_MALFORMED, "<html>" },
        { 200, "", FAILURE_MALFORMED, "empty" },
        { 200, "{\"choices\":[]}", FAILURE_MALFORMED, "no choices" },
        { 200, "{\"choices\":[{\"finish_reason\":\"error\",\"message\":{}}]}",
            FAILURE_SERVER, "stopped with an error" },
        { 500, "\x01\xff bytes", FAILURE_SERVER, " ? bytes" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        parse(rows[i].http_status, "", rows[i].body, 1);
        if (a.failure != rows[i].failure || !a.error || !strstr(a.error, rows[i].says))
            fail_msg("%d %s: %s: %s", rows[i].http_status, rows[i].body,
                failure_names[a.failure], a.error ? a.error : "(nothing)");
        assert_null(a.text);
    }
}

#define DELTA(delta) "data: {\"choices\":[{\"index\":0,\"delta\":" delta "}]}\n\n"
#define FINISH(reason)                                                                   \
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason          \
    "\"}]}\n\n"

static void test_stream(void **state)
{
    (void)state;
    static const char first[] = DELTA("{\"role\":\"assistant\",\"content\":\"\"}");
    static const char second[] = DELTA("{\"content\":\"Hel\"}");
    parse_200(DELTA("{\"role\":\"assistant\",\"content\":\"\"}")
            DELTA("{\"content\":\"Hel\"}") DELTA("{\"content\":\"lo\"}")
                FINISH("stop") "data: {\"choices\":[],\"usage\":"
                               "{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: "
                               "[DONE]\n\n");
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "Hello");
    assert_int_equal(a.stop, STOP_STOP);
    expect_tokens(9, 0, 0, 2, 0);
    assert_int_equal(a.first_token_end, sizeof first - 1 + sizeof second - 1);
    // A token that is thought is a token.
    parse_200(
        DELTA("{\"reasoning_content\":\"Hm\"}") FINISH("length") "data: [DONE]\n\n");
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "");
    assert_int_equal(a.stop, STOP_LENGTH);
    assert_int_equal(a.first_token_end, strlen(DELTA("{\"reasoning_content\":\"Hm\"}")));
    parse_200(DELTA("{\"refusal\":\"No\"}") FINISH("stop") "data: [DONE]\n\n");
    assert_int_equal(a.stop, STOP_REFUSAL);
    assert_string_equal(a.text, "No");
    // No end mark, but a finish reason and a clean end (Mistral's older servers).
    parse_200(DELTA("{\"content\":\"x\"}") FINISH("stop"));
    assert_int_equal(a.failure, FAILURE_NONE);
}

static void test_broken_streams(void **state)
{
    (void)state;
    const char *half = DELTA("{\"content\":\"Half\"}");
    parse(200, "", half, 1);
    assert_int_equal(a.failure, FAILURE_TRUNCATED);
    parse(200, "", DELTA("{\"content\":\"x\"}") FINISH("stop"), 0);
    assert_int_equal(a.failure, FAILURE_TRUNCATED);
    parse(200, "", DELTA("{\"content\":\"x\"}") FINISH("stop") "data: [DONE]\n\n", 0);
    assert_int_equal(a.failure, FAILURE_NONE); // whole before the connection broke
    parse_200(DELTA("{\"content\":\"Half\"}") "data: "
                                              "{\"error\":{\"message\":\"gone\",\"code\":"
                                              "429}}\n\ndata: [DONE]\n\n");
    assert_int_equal(a.failure, FAILURE_RATE_LIMIT);
    parse_200("data: {\"choices\":[{\"del\n\ndata: [DONE]\n\n");
    assert_int_equal(a.failure, FAILURE_MALFORMED);
    parse_200("data: [DONE]\n\n");
    assert_int_equal(a.failure, FAILURE_MALFORMED);
}

/* A 200 that says nothing is asked again, not kept as an empty answer. */
static void test_no_message(void **state)
{
    (void)state;
    static const char *const bodies[] = { "{\"choices\":[{}]}", "{\"choices\":[null]}",
        "{\"choices\":[1]}",
        "{\"choices\":[{\"message\":null,\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"message\":{\"content\":7},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"message\":{\"content\":{}},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"message\":{\"content\":null},\"finish_reason\":\"stop\"}]}" };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        parse_200(bodies[i]);
        assert_int_equal(a.failure, FAILURE_MALFORMED);
    }
    parse_200(
        "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}");
    assert_int_equal(a.failure, FAILURE_NONE);
    parse_200(
        "{\"choices\":[{\"message\":{\"content\":null},\"finish_reason\":\"length\"}]}");
    assert_int_equal(a.failure, FAILURE_NONE);
    parse_200(
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}}]}\n\n" DELTA(
            "{\"content\":\"mine\"}") FINISH("stop") "data: [DONE]\n\n");
    assert_string_equal(a.text, "mine");
}

/* Wherever a whole answer is cut, nothing but the whole is an answer. */
static void test_every_cut(void **state)
{
    (void)state;
    static const char whole[] = "{" CHOICE("{\"content\":\"abc\"}", "\"stop\"") "}";
    static const char stream[] =
        DELTA("{\"content\":\"abc\"}") FINISH("stop") "data: [DONE]";
    const char *bodies[] = { whole, stream };
    for (size_t k = 0; k < COUNT_OF(bodies); k++) {
        size_t len = strlen(bodies[k]);
        for (size_t n = 0; n < len; n++) {
            struct wire_answer wire = { 200, "", bodies[k], n, 0 };
            answer_release(&a);
            assert_int_equal(openai_chat_read(&wire, "x-request-id", &a, NULL), OK);
            assert_int_not_equal(a.failure, FAILURE_NONE);
        }
    }
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
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_broken_streams),
        cmocka_unit_test(test_no_message),
        cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests_name("openai_answer", tests, NULL, release);
}
