/* Ollama's own chat: what is sent for a dialogue, and what comes back read. */
#include "collectors/llm/ollama.h"

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

#define NDJSON "Content-Type: application/x-ndjson\r\n"

static struct answer a;

static void parse(const char *headers, const char *body)
{
    protocol_read(&protocol_ollama, &a, 200, headers, body, strlen(body), 1);
}

#define MESSAGE(content)                                                                 \
    "{\"model\":\"llava:7b\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{"      \
    "\"role\":\"assistant\",\"content\":\"" content "\"},\"done\":"
#define COUNTS                                                                           \
    ",\"total_duration\":5000000000,\"load_duration\":1500000000,\"prompt_eval_count\":" \
    "30,\"prompt_eval_duration\":100,\"eval_count\":12,\"eval_duration\":9007199254}"

static void test_whole(void **state)
{
    (void)state;
    parse("", MESSAGE("Two cups.") "true,\"done_reason\":\"stop\"" COUNTS);
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_string_equal(a.text, "Two cups.");
    assert_int_equal(a.stop, STOP_STOP);
    assert_string_equal(a.provider_stop, "stop");
    assert_string_equal(a.model, "llava:7b");
    assert_null(a.request_id);
    protocol_expect_tokens(&a, 30, 0, 0, 12, 0);
    // Times stay with the counts, in ns.
    assert_non_null(strstr(a.usage, "\"load_duration\":1500000000"));
    assert_non_null(strstr(a.usage, "\"eval_duration\":9007199254"));
    assert_int_equal(a.first_token_end, 0);
}

static void test_ends(void **state)
{
    (void)state;
    // A count that is not there is unknown, not 0.
    parse("", MESSAGE("x") "true,\"done_reason\":\"length\",\"eval_count\":3}");
    assert_int_equal(a.stop, STOP_LENGTH);
    protocol_expect_tokens(&a, TOKENS_UNKNOWN, 0, 0, 3, 0);
    // Old servers give no reason.
    parse("", MESSAGE("x") "true}");
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_int_equal(a.stop, STOP_OTHER);
    assert_null(a.usage);
    protocol_expect_tokens(&a, -1, -1, -1, -1, -1);
    // Thoughts are no part of the text.
    parse("", "{\"message\":{\"content\":\"\",\"thinking\":\"Hm\"},\"done\":true,"
              "\"done_reason\":\"length\"}");
    assert_string_equal(a.text, "");
    assert_int_equal(a.stop, STOP_LENGTH);
    parse("", "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{}}]},"
              "\"done\":true,\"done_reason\":\"stop\"}");
    assert_int_equal(a.stop, STOP_TOOL);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct wire_row rows[] = {
        { 404, "", "{\"error\":\"model 'x' not found\"}", FAILURE_REQUEST, "not found" },
        { 400, "", "{\"error\":\"bad image\"}", FAILURE_REQUEST, "bad image" },
        { 401, "", "{\"error\":\"unauthorized\"}", FAILURE_AUTH, "unauthorized" },
        { 429, "", "{\"error\":\"slow down\"}", FAILURE_RATE_LIMIT, "slow down" },
        { 500, "", "{\"error\":\"out of memory\"}", FAILURE_SERVER, "out of memory" },
        { 502, "", "{\"error\":\"no upstream\"}", FAILURE_SERVER, "no upstream" },
        { 503, "", "server busy", FAILURE_SERVER, "server busy" },
        { 200, "", "{\"error\":\"gone\"}", FAILURE_SERVER, "gone" },
        { 200, NDJSON, "{\"error\":\"gone\"}\n", FAILURE_SERVER, "gone" },
        { 200, NDJSON, MESSAGE("a") "false}\n{\"error\":\"runner died\"}\n",
            FAILURE_SERVER, "runner died" },
        { 200, "", MESSAGE("a") "false}\n{\"error\":\"runner died\"}\n", FAILURE_SERVER,
            "runner died" },
        { 200, NDJSON, MESSAGE("a") "false}\n{\"mess\n", FAILURE_MALFORMED, "not JSON" },
        { 200, NDJSON, MESSAGE("a") "false}\n", FAILURE_TRUNCATED, "end mark" },
        { 200, "", MESSAGE("a") "false}", FAILURE_TRUNCATED, "not done" },
        { 200, "", MESSAGE("") "true,\"done_reason\":\"load\"}", FAILURE_MALFORMED,
            "loaded" },
        { 200, "", "{\"done\":true}", FAILURE_MALFORMED, "no answer" },
        { 200, "", "<html>", FAILURE_MALFORMED, "<html>" },
        { 200, NDJSON, "", FAILURE_MALFORMED, "empty" },
    };
    protocol_expect_failures(&protocol_ollama, rows, COUNT_OF(rows));
}

#define FIRST MESSAGE("") "false}\n"
#define SECOND MESSAGE("Two ") "false}\n"
#define STREAM                                                                           \
    FIRST SECOND MESSAGE("cups \\u00e9") "false}\r\n\n" MESSAGE(                         \
        "") "true,\"done_reason\":\"stop\"" COUNTS

static void test_stream(void **state)
{
    (void)state;
    const char *headers[] = { "", NDJSON };
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        parse(headers[i], STREAM "\n");
        assert_int_equal(a.failure, FAILURE_NONE);
        assert_string_equal(a.text, "Two cups \xC3\xA9");
        assert_int_equal(a.stop, STOP_STOP);
        protocol_expect_tokens(&a, 30, 0, 0, 12, 0);
        assert_int_equal(a.first_token_end, strlen(FIRST SECOND));
    }
    // The last line may lack its end where the connection ended well.
    parse(NDJSON, STREAM);
    assert_int_equal(a.failure, FAILURE_NONE);
    parse(NDJSON, "{\"message\":{\"content\":\"\",\"thinking\":\"Hm\"},\"done\":false}\n"
                  "{\"message\":{\"content\":\"\"},\"done\":true}\n");
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_true(a.first_token_end > 0); // a thought is a token
    // What is whole before the connection breaks is an answer.
    protocol_read(&protocol_ollama, &a, 200, NDJSON, STREAM "\n", strlen(STREAM "\n"), 0);
    assert_int_equal(a.failure, FAILURE_NONE);
}

static void test_every_cut(void **state)
{
    (void)state;
    static const char whole[] = MESSAGE("abc") "true,\"done_reason\":\"stop\"" COUNTS;
    protocol_expect_no_half(&protocol_ollama, "", whole, strlen(whole));
    protocol_expect_no_half(&protocol_ollama, "", STREAM "\n", strlen(STREAM "\n"));
    protocol_expect_no_half(&protocol_ollama, NDJSON, STREAM "\n", strlen(STREAM "\n"));
}

#define MESSAGES(answer)                                                                 \
    "\"model\":\"the-model\",\"messages\":[{\"role\":\"system\",\"content\":\"Be "       \
    "brief.\"},{\"role\":\"user\",\"content\":\"View first_person:\\nView front:\\nWhat" \
    " is \\\"here\\\"?\",\"images\":[\"%s\",\"%s\"]},{\"role\":\"assistant\","           \
    "\"content\":\"" answer "\"},{\"role\":\"user\",\"content\":\"And what else?\"}]"

static void test_render(void **state)
{
    (void)state;
    protocol_expect_render(&protocol_ollama, "{\"num_ctx\":8192,\"temperature\":0}", 0,
        "Cups.",
        "{" MESSAGES("Cups.") ",\"stream\":false,\"truncate\":false,\"options\":{"
                              "\"num_ctx\":8192,\"temperature\":0}}");
    protocol_expect_render(&protocol_ollama,
        "{\"options\":{\"num_ctx\":1},\"seed\":7,\"keep_alive\":\"5m\",\"think\":false,"
        "\"truncate\":true}",
        1, "\"images\":[\"sha256:",
        "{" MESSAGES("\\\"images\\\":[\\\"sha256:") ",\"stream\":true,\"options\":{\"num_"
                                                    "ctx\":1,\"seed\":7},\"keep_alive\":"
                                                    "\"5m\",\"think\":false,\"truncate\":"
                                                    "true}");
}

static void test_check(void **state)
{
    (void)state;
    const struct protocol *p = &protocol_ollama;
    protocol_expect_check(p, "m", "{\"num_ctx\":8192}", NULL, NULL);
    protocol_expect_check(p, "m", "{\"options\":{\"num_ctx\":8192}}", NULL, NULL);
    protocol_expect_check(p, "m", "{}", NULL, "\"num_ctx\" is needed");
    protocol_expect_check(p, "m", "{\"stream\":true}", NULL, "sets it itself");
    protocol_expect_check(p, "m", "{\"options\":3}", NULL, "an object");
    protocol_expect_check(
        p, "m", "{\"num_ctx\":1,\"options\":{\"num_ctx\":1}}", NULL, "said twice");
}

static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *parameters;
        int64_t n;
    } rows[] = { { "{}", -1 }, { "{\"num_predict\":64}", 64 },
        { "{\"num_predict\":-2}", -1 }, { "{\"options\":{\"num_predict\":9}}", 9 } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct llm llm = { 0 };
        assert_int_equal(json_parse(rows[i].parameters, strlen(rows[i].parameters), "p",
                             0, &llm.parameters, NULL),
            OK);
        assert_int_equal(protocol_ollama.max_output_tokens(&llm), rows[i].n);
        json_free(llm.parameters);
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
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("ollama", tests, NULL, release);
}
