/* AWS Bedrock Converse: what is sent for a dialogue, who signs it, and what comes back
 * read. */
#include "collectors/llm/bedrock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "tests/support/event_frames.h"
#include "tests/support/protocol_case.h"

#define TYPE(name) "x-amzn-ErrorType: " name "\r\n"
#define WHY "{\"message\":\"why\"}"

static struct answer a;

static void parse(const char *headers, const char *body)
{
    protocol_read(&protocol_bedrock_converse, &a, 200, headers, body, strlen(body), 1);
}

#define ANSWER(content, stop)                                                            \
    "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[" content             \
    "]}},\"stopReason\":\"" stop "\",\"metrics\":{\"latencyMs\":551}"

static void test_whole(void **state)
{
    (void)state;
    parse("x-amzn-RequestId: r-1\r\n",
        ANSWER("{\"reasoningContent\":{\"reasoningText\":{\"text\":\"Hm\"}}},{\"text\":"
               "\"Two \"},{\"text\":\"cups.\"}",
            "end_turn") ",\"usage\":{\"inputTokens\":40,\"outputTokens\":12,"
                        "\"totalTokens\":152,\"cacheReadInputTokens\":90,"
                        "\"cacheWriteInputTokens\":10}}");
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "Two cups.");
    assert_int_equal(a.stop, STOP_STOP);
    assert_string_equal(a.provider_stop, "end_turn");
    assert_string_equal(a.request_id, "r-1");
    assert_null(a.model); // only a router says
    protocol_expect_tokens(&a, 40, 90, 10, 12, 0);
    assert_non_null(strstr(a.usage, "\"latencyMs\":551"));
    parse("", ANSWER("{\"text\":\"x\"}", "end_turn") ",\"trace\":{\"promptRouter\":{"
                                                     "\"invokedModelId\":\"arn:x\"}}}");
    assert_string_equal(a.model, "arn:x");
    protocol_expect_tokens(&a, -1, -1, -1, -1, -1);
    parse("", ANSWER("{\"text\":\"x\"}",
                  "end_turn") ",\"usage\":{\"inputTokens\":-1,\"outputTokens\":2}}");
    protocol_expect_tokens(&a, -1, 0, 0, 2, 0);
}

static void test_stops(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum stop stop;
    } rows[] = { { "end_turn", STOP_STOP }, { "stop_sequence", STOP_STOP },
        { "max_tokens", STOP_LENGTH }, { "model_context_window_exceeded", STOP_LENGTH },
        { "tool_use", STOP_TOOL }, { "malformed_tool_use", STOP_TOOL },
        { "guardrail_intervened", STOP_FILTER }, { "content_filtered", STOP_FILTER },
        { "refusal", STOP_REFUSAL }, { "malformed_model_output", STOP_OTHER } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *body = text_format(
            "{\"output\":{\"message\":{\"content\":[]}},\"stopReason\":\"%s\"}",
            rows[i].reason);
        parse("", body);
        assert_int_equal(a.failure, FAILURE_NONE);
        assert_string_equal(a.text, "");
        assert_int_equal(a.stop, rows[i].stop);
        free(body);
    }
}

static void test_errors(void **state)
{
    (void)state;
    static const struct wire_row rows[] = {
        { 429, TYPE("ThrottlingException"), WHY, FAILURE_RATE_LIMIT,
            "ThrottlingException: why" },
        { 429, TYPE("ThrottlingException:http://internal.amazon.com/coral/"), WHY,
            FAILURE_RATE_LIMIT, "ThrottlingException: why" },
        { 429, TYPE("ThrottlingException"),
            "{\"message\":\"Too many tokens per day, please wait before trying again.\"}",
            FAILURE_QUOTA, "per day" },
        { 429, TYPE("ModelNotReadyException"), WHY, FAILURE_SERVER, "NotReady" },
        { 400, TYPE("ServiceQuotaExceededException"), WHY, FAILURE_QUOTA, "why" },
        { 408, TYPE("ModelTimeoutException"), WHY, FAILURE_TIMEOUT, "why" },
        { 424, TYPE("ModelErrorException"), WHY, FAILURE_SERVER, "why" },
        { 500, TYPE("InternalServerException"), WHY, FAILURE_SERVER, "why" },
        { 503, TYPE("ServiceUnavailableException"), WHY, FAILURE_SERVER, "why" },
        { 400, TYPE("ValidationException"), WHY, FAILURE_REQUEST, "why" },
        { 404, TYPE("ResourceNotFoundException"), WHY, FAILURE_REQUEST, "why" },
        { 403, TYPE("AccessDeniedException"), WHY, FAILURE_AUTH, "why" },
        { 403, TYPE("UnrecognizedClientException"), WHY, FAILURE_AUTH, "why" },
        { 403, TYPE("InvalidSignatureException"), WHY, FAILURE_AUTH, "why" },
        { 400, TYPE("ExpiredTokenException"), WHY, FAILURE_AUTH, "why" },
        // Without the header the body may say, else the status has to do.
        { 400, "",
            "{\"__type\":\"com.amazon.coral#ThrottlingException\",\"Message\":\"m\"}",
            FAILURE_RATE_LIMIT, "ThrottlingException: m" },
        { 429, "", WHY, FAILURE_RATE_LIMIT, "why" },
        { 418, TYPE("NewException"), WHY, FAILURE_REQUEST, "NewException: why" },
        { 503, TYPE("\xff\xfe"), "<html>", FAILURE_SERVER, "<html>" },
        { 500, TYPE("InternalServerException"), "{}", FAILURE_SERVER, "no reason" },
        { 403, "", "{}", FAILURE_AUTH, "{}" },
        { 200, "", WHY, FAILURE_MALFORMED, "no answer" },
        { 200, "", "{\"output\":{}}", FAILURE_MALFORMED, "no answer" },
        { 200, "", "<html>", FAILURE_MALFORMED, "<html>" },
        { 200, "", "", FAILURE_MALFORMED, "empty" },
    };
    protocol_expect_failures(&protocol_bedrock_converse, rows, COUNT_OF(rows));
}

static void add_text(struct buffer *b, const char *delta)
{
    char *payload = text_format("{\"contentBlockIndex\":0,\"delta\":%s}", delta);
    event_frames_add(b, "event", "contentBlockDelta", payload);
    free(payload);
}

static size_t add_stream(struct buffer *b)
{
    buffer_init(b, 100000);
    event_frames_add(b, "event", "messageStart", "{\"role\":\"assistant\"}");
    add_text(b, "{\"reasoningContent\":{\"text\":\"Hm\"}}");
    size_t first_token = b->len;
    add_text(b, "{\"text\":\"Two \"}");
    add_text(b, "{\"text\":\"cups.\"}");
    event_frames_add(b, "event", "contentBlockStop", "{\"contentBlockIndex\":0}");
    event_frames_add(b, "event", "messageStop", "{\"stopReason\":\"max_tokens\"}");
    event_frames_add(b, "event", "metadata",
        "{\"usage\":{\"inputTokens\":9,\"outputTokens\":3,\"totalTokens\":12},"
        "\"metrics\":{\"latencyMs\":7}}");
    return first_token;
}

static void test_stream(void **state)
{
    (void)state;
    struct buffer b;
    size_t first_token = add_stream(&b);
    protocol_read(&protocol_bedrock_converse, &a, 200, "", b.data, b.len, 1);
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "Two cups.");
    assert_int_equal(a.stop, STOP_LENGTH);
    protocol_expect_tokens(&a, 9, 0, 0, 3, 0);
    assert_int_equal(a.first_token_end, first_token); // a thought is a token
    protocol_expect_no_half(&protocol_bedrock_converse, "", b.data, b.len);
    // A byte that got broken on the way is seen.
    b.data[b.len / 2] ^= 1;
    protocol_read(&protocol_bedrock_converse, &a, 200, "", b.data, b.len, 1);
    assert_int_equal(a.failure, FAILURE_MALFORMED);
    assert_non_null(strstr(a.error, "checksum"));
    buffer_release(&b);
}

static void expect_exception(
    const char *kind, const char *name, const char *payload, enum failure failure)
{
    struct buffer b;
    buffer_init(&b, 100000);
    event_frames_add(&b, "event", "messageStart", "{\"role\":\"assistant\"}");
    add_text(&b, "{\"text\":\"Half\"}");
    event_frames_add(&b, kind, name, payload);
    protocol_read(&protocol_bedrock_converse, &a, 200, "", b.data, b.len, 1);
    assert_int_equal(a.failure, failure);
    assert_non_null(strstr(a.error, name));
    buffer_release(&b);
}

static void test_exceptions(void **state)
{
    (void)state;
    expect_exception("exception", "throttlingException", WHY, FAILURE_RATE_LIMIT);
    expect_exception("exception", "modelStreamErrorException", WHY, FAILURE_SERVER);
    expect_exception("exception", "internalServerException", WHY, FAILURE_SERVER);
    expect_exception("exception", "serviceUnavailableException", WHY, FAILURE_SERVER);
    expect_exception("exception", "validationException", WHY, FAILURE_REQUEST);
    expect_exception("error", "InternalError", "", FAILURE_SERVER);
    struct buffer b;
    buffer_init(&b, 100000);
    event_frames_add(&b, "event", "messageStart", "{\"ro");
    protocol_read(&protocol_bedrock_converse, &a, 200, "", b.data, b.len, 1);
    assert_int_equal(a.failure, FAILURE_MALFORMED);
    buffer_release(&b);
}

static void test_every_cut(void **state)
{
    (void)state;
    static const char whole[] = ANSWER("{\"text\":\"abc\"}", "end_turn") "}";
    protocol_expect_no_half(&protocol_bedrock_converse, "", whole, strlen(whole));
}

#define MESSAGES(answer)                                                                 \
    "{\"system\":[{\"text\":\"Be brief.\"}],\"messages\":[{\"role\":\"user\","           \
    "\"content\":[{\"text\":\"View first_person:\"},{\"image\":{\"format\":\"jpeg\","    \
    "\"source\":{\"bytes\":\"%s\"}}},{\"text\":\"View front:\"},{\"image\":{"            \
    "\"format\":\"jpeg\",\"source\":{\"bytes\":\"%s\"}}},{\"text\":\"What is "           \
    "\\\"here\\\"?\"}]},{\"role\":\"assistant\",\"content\":[{\"text\":\"" answer        \
    "\"}]},{\"role\":\"user\",\"content\":[{\"text\":\"And what else?\"}]}]"

static void test_render(void **state)
{
    (void)state;
    const struct protocol *p = &protocol_bedrock_converse;
    protocol_expect_render(p, "{}", 0, "Cups.", MESSAGES("Cups.") "}");
    protocol_expect_render(p, "{\"maxTokens\":64,\"serviceTier\":{\"type\":\"flex\"}}", 1,
        "",
        MESSAGES("(no answer)") ",\"inferenceConfig\":{\"maxTokens\":64},\"serviceTier\":"
                                "{\"type\":\"flex\"}}");
    protocol_expect_render(p, "{\"inferenceConfig\":{\"topP\":1},\"temperature\":0}", 0,
        "\"bytes\":\"sha256:",
        MESSAGES("\\\"bytes\\\":\\\"sha256:") ",\"inferenceConfig\":{\"topP\":1,"
                                              "\"temperature\":0}}");
}

static void test_check(void **state)
{
    (void)state;
    const struct protocol *p = &protocol_bedrock_converse;
    protocol_expect_check(p, "m", "{\"maxTokens\":64}", NULL, NULL);
    protocol_expect_check(p, "m", "{\"inferenceConfig\":{\"maxTokens\":64}}",
        "{\"auth\":\"sigv4\",\"region\":\"us-east-1\"}", NULL);
    protocol_expect_check(p, "m", "{\"modelId\":\"x\"}", NULL, "sets it itself");
    protocol_expect_check(p, "m", "{\"inferenceConfig\":1}", NULL, "an object");
    protocol_expect_check(
        p, "m", "{\"topP\":1,\"inferenceConfig\":{\"topP\":1}}", NULL, "said twice");
    protocol_expect_check(
        p, "m", "{}", "{\"auth\":\"sigv4\"}", "needs the option \"region\"");
    protocol_expect_check(
        p, "m", "{}", "{\"region\":\"us-east-1\"}", "belongs to \"auth\": \"sigv4\"");
    protocol_expect_check(p, "m", "{}", "{\"auth\":\"iam\"}", "sigv4");
    protocol_expect_check(p, "m", "{}",
        "{\"auth\":\"sigv4\",\"region\":\"r\",\"secret_key_env\":\"wJalr/secret\"}",
        "never the key itself");
}

static void test_address(void **state)
{
    (void)state;
    char model[] = "anthropic.claude-3-5-sonnet-20241022-v2:0";
    struct llm llm = { .model = model };
    char *url = protocol_url(&protocol_bedrock_converse, &llm, "https://b.example");
    assert_string_equal(url, "https://b.example/model/"
                             "anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse");
    free(url);
    llm.stream = 1;
    url = protocol_url(&protocol_bedrock_converse, &llm, "https://b.example");
    assert_true(text_ends(url, "-v2%3A0/converse-stream"));
    free(url);
    assert_true(protocol_bedrock_converse.has_cache_switch(&llm));
    char nova[] = "amazon.nova-lite-v1:0";
    llm.model = nova;
    assert_false(protocol_bedrock_converse.has_cache_switch(&llm));
}

static void expect_lines(const struct llm *llm, const char *token, const char *expected)
{
    struct key_use use = bedrock_key(llm);
    struct key_request request = { "POST", "https://h/model/a%3A0/converse", "",
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        INT64_C(1440938160000) };
    struct error err = ERROR_INIT;
    struct buffer lines;
    buffer_init(&lines, 10000);
    enum status s = key_lines(&use, token, &request, &lines, &err);
    const char *found = s == OK ? buffer_str(&lines) : err.msg;
    if (!strstr(found, expected))
        fail_msg("\"%s\" has no \"%s\"", found, expected);
    key_wipe(&lines);
}

static void test_key(void **state)
{
    (void)state;
    static const char bearer[] = "AWS_BEARER_TOKEN_BEDROCK";
    char name[sizeof bearer];
    memcpy(name, bearer, sizeof bearer);
    struct llm llm = { .key_env = name };
    setenv(bearer, "api-key-1", 1);
    expect_lines(&llm, NULL, "Authorization: Bearer api-key-1\n");
    llm.key_env = NULL;
    static const char options[] =
        "{\"auth\":\"sigv4\",\"region\":\"eu-west-1\",\"secret_key_env\":\"MY_SECRET\"}";
    assert_int_equal(
        json_parse(options, strlen(options), "o", 0, &llm.options, NULL), OK);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("MY_SECRET");
    expect_lines(&llm, NULL, "MY_SECRET is not set");
    setenv("MY_SECRET", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 1);
    expect_lines(&llm, NULL,
        "X-Amz-Date: 20150830T123600Z\nAuthorization: AWS4-HMAC-SHA256 Credential="
        "AKIDEXAMPLE/20150830/eu-west-1/bedrock/aws4_request, SignedHeaders=host;"
        "x-amz-date, Signature=");
    setenv("AWS_SESSION_TOKEN", "token-1", 1);
    expect_lines(&llm, NULL, "X-Amz-Security-Token: token-1\n");
    expect_lines(&llm, NULL, "SignedHeaders=host;x-amz-date;x-amz-security-token");
    expect_lines(&llm, "simulated", "Authorization: Bearer simulated\n");
    json_free(llm.options);
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
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_key),
    };
    return cmocka_run_group_tests_name("bedrock", tests, NULL, release);
}
