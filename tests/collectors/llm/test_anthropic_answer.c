/* What Anthropic's servers send for a message, read into answers and failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/llm/protocol.h"
#include "m4a1/base/text.h"
#include "tests/support/answer_case.h"

static const struct protocol *const p = &protocol_anthropic;
static struct answer a;

#define EVENT(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define START                                                                            \
    EVENT("message_start",                                                               \
        ",\"message\":{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\","   \
        "\"model\":\"claude-opus-4-8\",\"content\":[],\"stop_reason\":null,"             \
        "\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":6,"              \
        "\"cache_read_input_tokens\":64,\"output_tokens\":1}}")
#define PING "event: ping\ndata: {\"type\": \"ping\"}\n\n"
#define THINK                                                                            \
    EVENT("content_block_start",                                                         \
        ",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}")      \
    EVENT("content_block_delta",                                                         \
        ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Hm.\"}")     \
    EVENT("content_block_delta",                                                         \
        ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQB\"}")  \
    EVENT("content_block_stop", ",\"index\":0")
#define TEXT_START                                                                       \
    EVENT("content_block_start",                                                         \
        ",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
#define TEXT(s)                                                                          \
    EVENT("content_block_delta",                                                         \
        ",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"" s "\"}")
#define DELTA(stop, usage)                                                               \
    EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" stop                         \
                           "\",\"stop_sequence\":null},\"usage\":{" usage "}")
#define STOP EVENT("message_stop", "")

static void test_whole(void **state)
{
    (void)state;
    static const char body[] =
        "{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
        "\"claude-opus-4-8\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"Hm\"},"
        "{\"type\":\"text\",\"text\":\"A red \"},{\"type\":\"text\",\"text\":\"cup.\"}],"
        "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":"
        "25,\"cache_creation_input_tokens\":6,\"cache_read_input_tokens\":64,"
        "\"cache_creation\":{\"ephemeral_5m_input_tokens\":6},\"output_tokens\":30,"
        "\"output_tokens_details\":{\"thinking_tokens\":18},"
        "\"service_tier\":\"standard\"}}";
    answer_case_whole(p, body, 0, "A red cup.", STOP_STOP);
    answer_case_read(p, 200, "request-id: req_011\r\n", body, 1, &a);
    answer_case_tokens(&a, 25, 64, 6, 12, 18);
    assert_string_equal(a.request_id, "req_011");
    assert_string_equal(a.model, "claude-opus-4-8");
    assert_string_equal(a.provider_stop, "end_turn");
    assert_non_null(strstr(a.usage, "\"service_tier\":\"standard\""));
}

static void test_stream(void **state)
{
    (void)state;
    static const char thought[] = START PING THINK TEXT_START TEXT("Caf\xC3\xA9") TEXT(
        " table") DELTA("end_turn",
        "\"output_tokens\":15,\"output_tokens_details\":{\"thinking_tokens\":9}") STOP;
    answer_case_whole(p, thought, 2, "Caf\xC3\xA9 table", STOP_STOP);
    answer_case_read(p, 200, "", thought, 1, &a);
    answer_case_tokens(&a, 25, 64, 6, 6, 9);
    assert_string_equal(a.request_id, "msg_01");
    // The first token is a thought one.
    const char *end = strstr(thought, "Hm.");
    end = strstr(end, "\n\n") + 2;
    assert_int_equal(a.first_token_end, end - thought);

    // Counts are cumulative, and the last event may say all of them again.
    answer_case_read(p, 200, "",
        START TEXT_START TEXT("x") DELTA("max_tokens", "\"output_tokens\":4")
            DELTA("max_tokens", "\"input_tokens\":26,\"output_tokens\":7,"
                                "\"cache_read_input_tokens\":null") STOP,
        1, &a);
    answer_case_tokens(&a, 26, 64, 6, 7, 0);
    assert_int_equal(a.stop, STOP_LENGTH);
}

static void test_stops(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum stop stop;
    } rows[] = { { "end_turn", STOP_STOP }, { "stop_sequence", STOP_STOP },
        { "max_tokens", STOP_LENGTH }, { "model_context_window_exceeded", STOP_LENGTH },
        { "tool_use", STOP_TOOL }, { "pause_turn", STOP_OTHER }, { "odd", STOP_OTHER } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *body = text_format("{\"type\":\"message\",\"content\":[{\"type\":\"text\","
                                 "\"text\":\"x\"}],\"stop_reason\":\"%s\"}",
            rows[i].word);
        answer_case_read(p, 200, "", body, 1, &a);
        assert_int_equal(a.failure, FAILURE_NONE);
        assert_int_equal(a.stop, rows[i].stop);
        free(body);
    }
    answer_case_tokens(&a, -1, -1, -1, -1, -1); // no usage: unknown, never 0
    // Thinking took all that was allowed: an empty text is an answer.
    answer_case_read(p, 200, "",
        "{\"type\":\"message\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"Hm\"}],"
        "\"stop_reason\":\"max_tokens\",\"usage\":{\"input_tokens\":9,"
        "\"output_tokens\":64}}",
        1, &a);
    assert_int_equal(a.stop, STOP_LENGTH);
    assert_string_equal(a.text, "");
    answer_case_tokens(&a, 9, 0, 0, 64, 0);
}

static void test_refusals(void **state)
{
    (void)state;
    answer_case_read(p, 200, "",
        "{\"type\":\"message\",\"content\":[],\"stop_reason\":\"refusal\","
        "\"stop_details\":{\"type\":\"refusal\",\"category\":\"cyber\","
        "\"explanation\":\"This asks for malware.\"},\"usage\":{\"input_tokens\":9,"
        "\"output_tokens\":0}}",
        1, &a);
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_int_equal(a.stop, STOP_REFUSAL);
    assert_string_equal(a.text, "This asks for malware.");
    // What was said before it is the answer's text.
    answer_case_read(p, 200, "",
        START TEXT_START TEXT("I cannot.") EVENT("message_delta",
            ",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":{\"type\":"
            "\"refusal\",\"explanation\":null,\"category\":null}},"
            "\"usage\":{\"output_tokens\":3}") STOP,
        1, &a);
    assert_int_equal(a.stop, STOP_REFUSAL);
    assert_string_equal(a.text, "I cannot.");
    answer_case_tokens(&a, 25, 64, 6, 3, 0);
    answer_case_read(
        p, 200, "", START DELTA("refusal", "\"output_tokens\":0") STOP, 1, &a);
    assert_int_equal(a.stop, STOP_REFUSAL);
    assert_string_equal(a.text, "");
    assert_int_equal(a.first_token_end, 0);
}

#define ERROR(type)                                                                      \
    "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"m\"}}"

static void test_failures(void **state)
{
    (void)state;
    static const struct answer_case_failure rows[] = {
        { 400, ERROR("invalid_request_error"), FAILURE_REQUEST, "m" },
        { 401, ERROR("authentication_error"), FAILURE_AUTH, "authentication_error" },
        { 402, ERROR("billing_error"), FAILURE_QUOTA, "billing_error" },
        { 403, ERROR("permission_error"), FAILURE_AUTH, "permission_error" },
        { 404, ERROR("not_found_error"), FAILURE_REQUEST, "not_found_error" },
        { 409, ERROR("conflict_error"), FAILURE_REQUEST, "conflict_error" },
        { 413, ERROR("request_too_large"), FAILURE_REQUEST, "request_too_large" },
        { 429, ERROR("rate_limit_error"), FAILURE_RATE_LIMIT, "rate_limit_error" },
        { 429, ERROR("enforced_spend_limit_reached"), FAILURE_QUOTA, "spend_limit" },
        { 500, ERROR("api_error"), FAILURE_SERVER, "api_error" },
        { 504, ERROR("timeout_error"), FAILURE_SERVER, "timeout_error" },
        { 529, ERROR("overloaded_error"), FAILURE_SERVER, "overloaded_error" },
        { 529, "overloaded", FAILURE_SERVER, "overloaded" },
        { 200, ERROR("rate_limit_error"), FAILURE_RATE_LIMIT, "m" },
        { 200, ERROR("overloaded_error"), FAILURE_SERVER, "m" },
        { 200, ERROR("timeout_error"), FAILURE_TIMEOUT, "m" },
        { 400,
            "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\","
            "\"error_code\":\"image_dimensions_too_large\",\"message\":\"too wide\"}}",
            FAILURE_REQUEST, "image_dimensions_too_large: too wide" },
        // llama-server answers on /v1/messages with OpenAI's errors.
        { 500, "{\"error\":{\"code\":500,\"message\":\"x\",\"type\":\"server_error\"}}",
            FAILURE_SERVER, "x" },
        { 200, "{\"type\":\"message\"}", FAILURE_MALFORMED, "no answer" },
        { 200, "<html>", FAILURE_MALFORMED, "<html>" },
        { 200, "", FAILURE_MALFORMED, "empty" },
        { 200, START "event: error\ndata: " ERROR("overloaded_error") "\n\n" STOP,
            FAILURE_SERVER, "overloaded_error" },
        { 200, START TEXT_START TEXT("x") DELTA("end_turn", "\"output_tokens\":1"),
            FAILURE_TRUNCATED, "end mark" },
        { 200, START "data: {\"type\n\n" STOP, FAILURE_MALFORMED, "not JSON" },
        { 200, STOP, FAILURE_MALFORMED, "no answer" },
    };
    answer_case_failures(p, rows, COUNT_OF(rows));
    answer_case_read(p, 429, "",
        "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\"},"
        "\"request_id\":\"req_9\"}",
        1, &a);
    assert_string_equal(a.request_id, "req_9");
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
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests_name("anthropic_answer", tests, NULL, release);
}
