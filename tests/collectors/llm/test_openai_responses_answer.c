/* What OpenAI's Responses API sends, read into answers and failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/llm/protocol.h"
#include "m4a1/base/text.h"
#include "tests/support/answer_case.h"

static const struct protocol *const p = &protocol_openai_responses;
static struct answer a;

#define PART(s) "{\"type\":\"output_text\",\"text\":\"" s "\",\"annotations\":[]}"
#define MESSAGE(parts)                                                                   \
    "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"status\":"          \
    "\"completed\",\"content\":[" parts "]}"
#define USAGE                                                                            \
    "{\"input_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":64,"              \
    "\"cache_write_tokens\":6},\"output_tokens\":30,\"output_tokens_details\":"          \
    "{\"reasoning_tokens\":20},\"total_tokens\":130}"
#define RESPONSE(status, details, output)                                                \
    "{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"" status                    \
    "\",\"error\":null,\"incomplete_details\":" details                                  \
    ",\"model\":\"gpt-5.4-2026-03-05\",\"output\":[" output "],\"usage\":" USAGE "}"
#define THOUGHT "{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[]},"
#define EVENT(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define TEXT(s) EVENT("response.output_text.delta", ",\"delta\":\"" s "\"")
#define CREATED                                                                          \
    EVENT("response.created",                                                            \
        ",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"error\":null,"    \
        "\"model\":\"gpt-5.4\",\"output\":[],\"usage\":null}")
#define COMPLETED(output)                                                                \
    EVENT("response.completed", ",\"response\":" RESPONSE("completed", "null", output))

static void test_whole(void **state)
{
    (void)state;
    static const char body[] =
        RESPONSE("completed", "null", THOUGHT MESSAGE(PART("A red ") "," PART("cup.")));
    answer_case_whole(p, body, 0, "A red cup.", STOP_STOP);
    answer_case_read(p, 200, "x-request-id: req_7\r\n", body, 1, &a);
    answer_case_tokens(&a, 30, 64, 6, 10, 20);
    assert_string_equal(a.request_id, "req_7");
    assert_string_equal(a.model, "gpt-5.4-2026-03-05");
    assert_string_equal(a.provider_stop, "completed");
}

static void test_stops(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
        enum stop stop;
    } rows[] = {
        { RESPONSE(
              "incomplete", "{\"reason\":\"max_output_tokens\"}", MESSAGE(PART("A "))),
            "A ", STOP_LENGTH },
        // All tokens were thought: empty, and an answer.
        { RESPONSE("incomplete", "{\"reason\":\"max_output_tokens\"}",
              "{\"type\":\"reasoning\"}"),
            "", STOP_LENGTH },
        { RESPONSE("incomplete", "{\"reason\":\"content_filter\"}", ""), "",
            STOP_FILTER },
        { RESPONSE("incomplete", "{\"reason\":\"odd\"}", MESSAGE(PART("x"))), "x",
            STOP_OTHER },
        { RESPONSE(
              "completed", "null", MESSAGE("{\"type\":\"refusal\",\"refusal\":\"No.\"}")),
            "No.", STOP_REFUSAL },
        { RESPONSE("completed", "null", "{\"type\":\"function_call\",\"name\":\"f\"}"),
            "", STOP_TOOL },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        answer_case_read(p, 200, "", rows[i].body, 1, &a);
        if (a.failure != FAILURE_NONE)
            fail_msg("%s: %s", rows[i].body, a.error);
        assert_string_equal(a.text, rows[i].text);
        assert_int_equal(a.stop, rows[i].stop);
    }
}

static void test_stream(void **state)
{
    (void)state;
    static const char body[] =
        CREATED EVENT("response.reasoning_summary_text.delta", ",\"delta\":\"Hm\"")
            TEXT("A red ") TEXT("cup.") COMPLETED(THOUGHT MESSAGE(PART("A red cup.")));
    answer_case_whole(p, body, 2, "A red cup.", STOP_STOP);
    answer_case_read(p, 200, "", body, 1, &a);
    answer_case_tokens(&a, 30, 64, 6, 10, 20);
    assert_string_equal(a.request_id, "resp_1");
    const char *end = strstr(strstr(body, "Hm"), "\n\n") + 2;
    assert_int_equal(a.first_token_end, end - body);

    // A last event without the text: what the deltas said counts.
    answer_case_read(p, 200, "", CREATED TEXT("A ") TEXT("cup.") COMPLETED(""), 1, &a);
    assert_string_equal(a.text, "A cup.");
    answer_case_read(p, 200, "",
        CREATED EVENT("response.refusal.delta", ",\"delta\":\"No.\"") COMPLETED(""), 1,
        &a);
    assert_int_equal(a.stop, STOP_REFUSAL);
    answer_case_read(p, 200, "",
        CREATED TEXT("A ")
            EVENT("response.incomplete", ",\"response\":" RESPONSE("incomplete",
                                             "{\"reason\":\"max_output_tokens\"}", "")),
        1, &a);
    assert_string_equal(a.text, "A ");
    assert_int_equal(a.stop, STOP_LENGTH);
}

#define FAILED(error)                                                                    \
    "{\"id\":\"r\",\"object\":\"response\",\"status\":\"failed\",\"error\":" error       \
    ",\"output\":[],\"usage\":null}"

static void test_failures(void **state)
{
    (void)state;
    static const struct answer_case_failure rows[] = {
        { 400,
            "{\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\","
            "\"param\":\"temperature\",\"code\":\"unsupported_value\"}}",
            FAILURE_REQUEST, "bad" },
        { 401, "{\"error\":{\"message\":\"no\",\"code\":\"invalid_api_key\"}}",
            FAILURE_AUTH, "no" },
        { 429, "{\"error\":{\"message\":\"no\",\"code\":\"insufficient_quota\"}}",
            FAILURE_QUOTA, "insufficient_quota" },
        { 429, "{\"error\":{\"message\":\"no\",\"code\":\"rate_limit_exceeded\"}}",
            FAILURE_RATE_LIMIT, "no" },
        { 503, "no upstream", FAILURE_SERVER, "no upstream" },
        { 200, FAILED("{\"code\":\"server_error\",\"message\":\"oops\"}"), FAILURE_SERVER,
            "oops" },
        { 200, FAILED("{\"code\":\"rate_limit_exceeded\",\"message\":\"oops\"}"),
            FAILURE_RATE_LIMIT, "oops" },
        { 200, FAILED("{\"code\":\"invalid_image\",\"message\":\"oops\"}"),
            FAILURE_REQUEST, "oops" },
        { 200, FAILED("{\"code\":\"image_content_policy_violation\",\"message\":\"o\"}"),
            FAILURE_FILTER, "o" },
        { 200, FAILED("null"), FAILURE_SERVER, "did not finish" },
        { 200, RESPONSE("in_progress", "null", ""), FAILURE_SERVER, "did not finish" },
        { 200, "{\"id\":\"r\",\"object\":\"response\"}", FAILURE_MALFORMED, "no output" },
        { 200, "{\"choices\":[]}", FAILURE_MALFORMED, "no output" },
        { 200, "", FAILURE_MALFORMED, "empty" },
        { 200, CREATED TEXT("x"), FAILURE_TRUNCATED, "end mark" },
        { 200,
            CREATED EVENT("response.failed",
                ",\"response\":" FAILED(
                    "{\"code\":\"server_error\",\"message\":\"oops\"}")),
            FAILURE_SERVER, "oops" },
        { 200,
            CREATED EVENT("error",
                ",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\",\"param\":null"),
            FAILURE_RATE_LIMIT, "slow" },
        { 200, CREATED "data: {\"error\":{\"message\":\"gone\",\"code\":502}}\n\n",
            FAILURE_SERVER, "gone" },
        { 200, CREATED "data: [DONE]\n\n", FAILURE_MALFORMED, "no answer" },
    };
    answer_case_failures(p, rows, COUNT_OF(rows));
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
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests_name("openai_responses_answer", tests, NULL, release);
}
