/* Google Gemini: what is sent for a dialogue, and what comes back read. */
#include "collectors/llm/gemini.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/text.h"
#include "tests/support/protocol_case.h"

static struct answer a;

static void parse_200(const char *body)
{
    protocol_read(&protocol_gemini, &a, 200, "", body, strlen(body), 1);
}

#define PARTS(parts, finish)                                                             \
    "\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[" parts "]}," finish    \
    "\"index\":0}]"
#define STOP "\"finishReason\":\"STOP\","
#define USAGE(counts) ",\"usageMetadata\":{" counts "}"

static void test_whole(void **state)
{
    (void)state;
    parse_200("{" PARTS("{\"text\":\"Hm.\",\"thought\":true},{\"text\":\"Two \"},"
                        "{\"text\":\"cups \\u00e9\"}",
        STOP) USAGE("\"promptTokenCount\":300,\"cachedContentTokenCount\":128,"
                    "\"candidatesTokenCount\":10,\"thoughtsTokenCount\":40,"
                    "\"totalTokenCount\":350") ",\"modelVersion\":\"gemini-2.5-flash\","
                                               "\"responseId\":\"r1\"}");
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "Two cups \xC3\xA9");
    assert_int_equal(a.stop, STOP_STOP);
    assert_string_equal(a.provider_stop, "STOP");
    assert_string_equal(a.model, "gemini-2.5-flash");
    assert_string_equal(a.request_id, "r1");
    assert_int_equal(a.first_token_end, 0);
    protocol_expect_tokens(&a, 172, 128, 0, 10, 40);
    assert_non_null(strstr(a.usage, "\"totalTokenCount\":350"));
}

static void expect_tokens(
    const char *usage, int64_t input, int64_t cached, int64_t output, int64_t reasoning)
{
    char *body = text_format(
        "{" PARTS("{\"text\":\"x\"}", STOP) ",\"usageMetadata\":{%s}}", usage);
    parse_200(body);
    protocol_expect_tokens(&a, input, cached, 0, output, reasoning);
    free(body);
}

static void test_usage(void **state)
{
    (void)state;
    parse_200("{" PARTS("{\"text\":\"x\"}", STOP) "}");
    protocol_expect_tokens(&a, -1, -1, -1, -1, -1);
    assert_null(a.usage);
    expect_tokens("\"promptTokenCount\":7,\"candidatesTokenCount\":3,"
                  "\"totalTokenCount\":10",
        7, 0, 3, 0);
    // A count of 0 is left out; what the total leaves tells it from one that is missing.
    expect_tokens("\"promptTokenCount\":7,\"thoughtsTokenCount\":60,"
                  "\"totalTokenCount\":67",
        7, 0, 0, 60);
    expect_tokens(
        "\"promptTokenCount\":7,\"thoughtsTokenCount\":60", 7, 0, TOKENS_UNKNOWN, 60);
    // Results of tools are input, too.
    expect_tokens("\"promptTokenCount\":7,\"toolUsePromptTokenCount\":5,"
                  "\"candidatesTokenCount\":3,\"totalTokenCount\":15",
        12, 0, 3, 0);
    // Nonsense is unknown.
    expect_tokens("\"promptTokenCount\":7,\"cachedContentTokenCount\":9,"
                  "\"candidatesTokenCount\":-3",
        TOKENS_UNKNOWN, 9, TOKENS_UNKNOWN, 0);
}

static void test_stops(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum stop stop;
    } rows[] = { { "STOP", STOP_STOP }, { "MAX_TOKENS", STOP_LENGTH },
        { "SAFETY", STOP_FILTER }, { "RECITATION", STOP_FILTER },
        { "LANGUAGE", STOP_FILTER }, { "BLOCKLIST", STOP_FILTER },
        { "PROHIBITED_CONTENT", STOP_FILTER }, { "SPII", STOP_FILTER },
        { "IMAGE_SAFETY", STOP_FILTER }, { "MALFORMED_FUNCTION_CALL", STOP_TOOL },
        { "OTHER", STOP_OTHER }, { "NEW_ONE", STOP_OTHER } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        // Thinking can leave no room for an answer: a candidate without content.
        char *body = text_format(
            "{\"candidates\":[{\"finishReason\":\"%s\",\"index\":0}]}", rows[i].reason);
        parse_200(body);
        assert_int_equal(a.failure, FAILURE_NONE);
        assert_string_equal(a.text, "");
        assert_int_equal(a.stop, rows[i].stop);
        assert_string_equal(a.provider_stop, rows[i].reason);
        free(body);
    }
}

/* A prompt that is blocked is HTTP 200 without candidates: an answer, not an error. */
static void test_blocked_prompt(void **state)
{
    (void)state;
    parse_200(
        "{\"promptFeedback\":{\"blockReason\":\"SAFETY\",\"safetyRatings\":[]}" USAGE(
            "\"promptTokenCount\":20,\"totalTokenCount\":20") "}");
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "");
    assert_int_equal(a.stop, STOP_FILTER);
    assert_string_equal(a.provider_stop, "prompt blocked: SAFETY");
    protocol_expect_tokens(&a, 20, 0, 0, 0, 0);
    parse_200("data: {\"promptFeedback\":{\"blockReason\":\"JAILBREAK\"}}\n\n");
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_int_equal(a.stop, STOP_FILTER);
    assert_string_equal(a.provider_stop, "prompt blocked: JAILBREAK");
}

#define DETAILS(status, details)                                                         \
    "{\"error\":{\"code\":429,\"message\":\"Quota exceeded\",\"status\":\"" status       \
    "\",\"details\":[" details "]}}"
#define RETRY_INFO                                                                       \
    "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"17.5s\"}"
#define QUOTA(id)                                                                        \
    "{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{"       \
    "\"quotaMetric\":\"m\",\"quotaId\":\"" id "\"}]}"
#define ERROR(code, status)                                                              \
    "{\"error\":{\"code\":" #code ",\"message\":\"why\",\"status\":\"" status "\"}}"

static void test_errors(void **state)
{
    (void)state;
    static const struct wire_row rows[] = {
        { 400, "", ERROR(400, "INVALID_ARGUMENT"), FAILURE_REQUEST,
            "INVALID_ARGUMENT: why" },
        { 400, "", ERROR(400, "FAILED_PRECONDITION"), FAILURE_REQUEST, "why" },
        { 400, "",
            "{\"error\":{\"code\":400,\"message\":\"API key not valid.\",\"status\":"
            "\"INVALID_ARGUMENT\",\"details\":[{\"@type\":\"type.googleapis.com/"
            "google.rpc.ErrorInfo\",\"reason\":\"API_KEY_INVALID\"}]}}",
            FAILURE_AUTH, "API key not valid" },
        { 403, "", ERROR(403, "PERMISSION_DENIED"), FAILURE_AUTH, "PERMISSION_DENIED" },
        { 404, "", ERROR(404, "NOT_FOUND"), FAILURE_REQUEST, "NOT_FOUND" },
        { 402, "", ERROR(402, "PAYMENT"), FAILURE_QUOTA, "why" },
        { 429, "", DETAILS("RESOURCE_EXHAUSTED", RETRY_INFO), FAILURE_RATE_LIMIT,
            "RESOURCE_EXHAUSTED: Quota exceeded" },
        { 429, "", DETAILS("RESOURCE_EXHAUSTED", QUOTA("PerMinuteOfIt") "," RETRY_INFO),
            FAILURE_RATE_LIMIT, "Quota exceeded" },
        { 429, "", DETAILS("RESOURCE_EXHAUSTED", QUOTA("RequestsPerMinute")),
            FAILURE_RATE_LIMIT, "Quota exceeded" },
        { 429, "", DETAILS("RESOURCE_EXHAUSTED", ""), FAILURE_RATE_LIMIT, "Quota" },
        { 429, "", DETAILS("RESOURCE_EXHAUSTED", QUOTA("unnamed")), FAILURE_QUOTA,
            "Quota" },
        { 429, "",
            DETAILS("RESOURCE_EXHAUSTED",
                QUOTA(
                    "GenerateRequestsPerDayPerProjectPerModel-FreeTier") "," RETRY_INFO),
            FAILURE_QUOTA, "Quota" },
        { 500, "", ERROR(500, "INTERNAL"), FAILURE_SERVER, "INTERNAL" },
        { 503, "", ERROR(503, "UNAVAILABLE"), FAILURE_SERVER, "UNAVAILABLE" },
        { 504, "", ERROR(504, "DEADLINE_EXCEEDED"), FAILURE_SERVER, "why" },
        { 503, "", "<html>busy", FAILURE_SERVER, "<html>busy" },
        { 400, "", "[" ERROR(400, "INVALID_ARGUMENT") "]", FAILURE_REQUEST, "why" },
        { 200, "", ERROR(503, "UNAVAILABLE"), FAILURE_SERVER, "why" },
        { 200, "", ERROR(429, "RESOURCE_EXHAUSTED"), FAILURE_RATE_LIMIT, "why" },
        { 200, "", "data: " ERROR(503, "UNAVAILABLE") "\n\n", FAILURE_SERVER, "why" },
        { 200, "", "{}", FAILURE_MALFORMED, "no answer of the protocol" },
        { 200, "", "{\"promptFeedback\":{}}", FAILURE_MALFORMED, "promptFeedback" },
        { 200, "", "[]", FAILURE_MALFORMED, "no answer" },
        { 200, "", "", FAILURE_MALFORMED, "empty" },
    };
    protocol_expect_failures(&protocol_gemini, rows, COUNT_OF(rows));
}

static void test_retry_delay(void **state)
{
    (void)state;
    static const struct {
        const char *delay;
        int64_t ns;
    } rows[] = { { "17s", INT64_C(17000000000) }, { "0.25s", 250000000 }, { "0s", 0 },
        { "s", -1 }, { "17", -1 }, { "-1s", -1 }, { "1e999s", -1 }, { "nans", -1 },
        { "", -1 } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *body = text_format(
            "{\"error\":{\"code\":429,\"message\":\"m\",\"details\":[{\"@type\":\"x/"
            "google.rpc.RetryInfo\",\"retryDelay\":\"%s\"}]}}",
            rows[i].delay);
        protocol_read(&protocol_gemini, &a, 429, "", body, strlen(body), 1);
        assert_int_equal(a.failure, FAILURE_RATE_LIMIT);
        assert_int_equal(a.retry_after_ns, rows[i].ns);
        free(body);
    }
    parse_200("{" PARTS("{\"text\":\"x\"}", STOP) "}");
    assert_int_equal(a.retry_after_ns, -1);
}

#define EVENT(j) "data: {" j "}\n\n"
#define FIRST EVENT(PARTS("{\"text\":\"Hm\",\"thought\":true}", ""))
#define STREAM                                                                           \
    FIRST EVENT(PARTS("{\"text\":\"Two \"}", "")                                         \
            USAGE("\"promptTokenCount\":9,\"candidatesTokenCount\":1,"                   \
                  "\"totalTokenCount\":10")) EVENT(PARTS("{\"text\":\"cups\"}", STOP)    \
            USAGE("\"promptTokenCount\":9,\"candidatesTokenCount\":4,"                   \
                  "\"thoughtsTokenCount\":2,\"totalTokenCount\":15"))

static void test_stream(void **state)
{
    (void)state;
    parse_200(STREAM);
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "Two cups");
    assert_int_equal(a.stop, STOP_STOP);
    protocol_expect_tokens(&a, 9, 0, 0, 4, 2);          // cumulative: the last counts
    assert_int_equal(a.first_token_end, strlen(FIRST)); // a thought is a token
    // A connection that ends well before a finishReason was cut all the same.
    parse_200(FIRST);
    assert_int_equal(a.failure, FAILURE_TRUNCATED);
    // Without alt=sse the chunks are a list.
    parse_200(
        "[{" PARTS("{\"text\":\"a\"}", "") "},\n{" PARTS("{\"text\":\"b\"}", STOP) "}]");
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "ab");
    parse_200("[{" PARTS("{\"text\":\"a\"}", "") "}]");
    assert_int_equal(a.failure, FAILURE_TRUNCATED);
}

static void test_every_cut(void **state)
{
    (void)state;
    static const char whole[] = "{" PARTS("{\"text\":\"abc\"}", STOP) "}";
    protocol_expect_no_half(&protocol_gemini, "", whole, strlen(whole));
    protocol_expect_no_half(&protocol_gemini, "", STREAM, strlen(STREAM));
}

#define CONTENTS(answer)                                                                 \
    "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"View first_person:\"},{"    \
    "\"inlineData\":{\"mimeType\":\"image/jpeg\",\"data\":\"%s\"}},{\"text\":\"View "    \
    "front:\"},{\"inlineData\":{\"mimeType\":\"image/jpeg\",\"data\":\"%s\"}},{"         \
    "\"text\":\"What is "                                                                \
    "\\\"here\\\"?\"}]},{\"role\":\"model\",\"parts\":[{\"text\":\"" answer              \
    "\"}]},{\"role\":\"user\",\"parts\":[{\"text\":\"And what else?\"}]}]"
#define SYSTEM "\"systemInstruction\":{\"parts\":[{\"text\":\"Be brief.\"}]},"

static void test_render(void **state)
{
    (void)state;
    protocol_expect_render(
        &protocol_gemini, "{}", 0, "Cups.", "{" SYSTEM CONTENTS("Cups.") "}");
    // An answer that looks like an image, and one that is empty.
    protocol_expect_render(&protocol_gemini, "{}", 1,
        "\"data\":\"sha256:", "{" SYSTEM CONTENTS("\\\"data\\\":\\\"sha256:") "}");
    protocol_expect_render(&protocol_gemini, "{\"temperature\":0,\"safetySettings\":[]}",
        0, "",
        "{" SYSTEM CONTENTS(
            "(no answer)") ",\"generationConfig\":{\"temperature\":0},\"safetySettings\":"
                           "[]}");
    protocol_expect_render(&protocol_gemini,
        "{\"seed\":7,\"generationConfig\":{\"topP\":1}}", 0, "Cups.",
        "{" SYSTEM CONTENTS("Cups.") ",\"generationConfig\":{\"topP\":1,\"seed\":7}}");
}

static void test_check(void **state)
{
    (void)state;
    const struct protocol *p = &protocol_gemini;
    protocol_expect_check(p, "gemini-2.5-flash", "{\"temperature\":0}", NULL, NULL);
    protocol_expect_check(p, "models/gemini", "{}", NULL, "before the slash");
    protocol_expect_check(p, "g", "{\"contents\":[]}", NULL, "sets it itself");
    protocol_expect_check(p, "g", "{\"candidateCount\":2}", NULL, "has to be 1");
    protocol_expect_check(
        p, "g", "{\"generationConfig\":{\"candidateCount\":2}}", NULL, "has to be 1");
    protocol_expect_check(p, "g", "{\"generationConfig\":1}", NULL, "an object");
    protocol_expect_check(
        p, "g", "{\"topP\":1,\"generationConfig\":{\"topP\":1}}", NULL, "said twice");
    protocol_expect_check(p, "g", "{}", "{\"auth\":\"x\"}", "no option");
}

static void test_address(void **state)
{
    (void)state;
    char model[] = "gemini-2.5-flash";
    struct llm llm = { .model = model };
    char *url = protocol_url(&protocol_gemini, &llm, "https://g.example");
    assert_string_equal(
        url, "https://g.example/v1beta/models/gemini-2.5-flash:generateContent");
    free(url);
    llm.stream = 1;
    url = protocol_url(&protocol_gemini, &llm, "https://g.example/v1beta");
    assert_string_equal(url,
        "https://g.example/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    free(url);
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
        cmocka_unit_test(test_blocked_prompt),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_retry_delay),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_address),
    };
    return cmocka_run_group_tests_name("gemini", tests, NULL, release);
}
