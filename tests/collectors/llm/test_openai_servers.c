/* Bodies as the servers that speak Chat Completions send them, each with its own ways. */
#include <math.h>
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

static const struct protocol *const p = &protocol_openai_chat;
static struct answer a;

static void read_200(const char *body)
{
    answer_case_read(p, 200, "", body, 1, &a);
    if (a.failure != FAILURE_NONE)
        fail_msg("%s: %s", body, a.error);
}

/* Bytes behind the event with the finish reason: a clean end there is an end, too. */
static size_t behind_finish(const char *stream)
{
    const char *end = strstr(stream, "\"finish_reason\":\"stop\"");
    return strlen(strstr(end, "}\n\n") + 1);
}

#define HEAD "\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,"
#define CHUNK                                                                            \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
#define SAID(s, finish)                                                                  \
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"" s     \
    "\"},\"finish_reason\":\"" finish "\"}],"
#define DELTA(s)                                                                         \
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" s "\"},\"finish_reason\":"     \
    "null}]"
#define FINISH(why)                                                                      \
    "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" why "\"}]"
#define DONE "data: [DONE]\n\n"

static void test_llama_cpp(void **state)
{
    (void)state;
    // The first delta has a null, usage and timings come with the last chunk.
    static const char stream[] = CHUNK
        "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":"
        "null},\"finish_reason\":null}],\"model\":\"m.gguf\","
        "\"system_fingerprint\":\"b5000-de3ff81\"}\n\n" CHUNK
        "\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"Hm\"},"
        "\"finish_reason\":null}]}\n\n" CHUNK DELTA("A cup.") "}\n\n" CHUNK FINISH(
            "stop") "}\n\n" CHUNK "\"choices\":[],\"usage\":{\"completion_tokens\":12,"
                    "\"prompt_tokens\":300,"
                    "\"total_tokens\":312},\"timings\":{\"cache_n\":299,\"prompt_n\":1,"
                    "\"prompt_ms\":0.3,\"predicted_n\":12,\"predicted_ms\":211.5}}"
                    "\n\n" DONE;
    answer_case_whole(p, stream, behind_finish(stream), "A cup.", STOP_STOP);
    read_200(stream);
    answer_case_tokens(&a, 1, 299, 0, 12, 0);
    assert_string_equal(a.fingerprint, "b5000-de3ff81");
    assert_non_null(strstr(a.usage, "\"timings\":{\"cache_n\":299,\"prompt_n\":1"));
    assert_non_null(strstr(a.usage, "\"total_tokens\":312"));
    static const struct answer_case_failure rows[] = {
        { 400,
            "{\"error\":{\"code\":400,\"message\":\"the request exceeds the available "
            "context size\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":"
            "18080,\"n_ctx\":4096}}",
            FAILURE_REQUEST, "exceeds the available" },
        { 500,
            "{\"error\":{\"code\":500,\"message\":\"image input is not supported - hint: "
            "if this is unexpected, you may need to provide the mmproj\",\"type\":"
            "\"server_error\"}}",
            FAILURE_SERVER, "mmproj" },
        { 503,
            "{\"error\":{\"message\":\"Loading model\",\"type\":\"unavailable_error\","
            "\"code\":503}}",
            FAILURE_SERVER, "Loading model" },
        { 401,
            "{\"error\":{\"message\":\"Invalid API Key\",\"type\":"
            "\"authentication_error\",\"code\":401}}",
            FAILURE_AUTH, "Invalid API Key" },
    };
    answer_case_failures(p, rows, COUNT_OF(rows));
}

static void test_vllm_sglang_lm_studio(void **state)
{
    (void)state;
    // vLLM: nulls for what it does not count; usage on each chunk where asked for.
    static const char stream[] = CHUNK "\"model\":\"qwen\"," DELTA(
        "A ") ",\"usage\":{\"prompt_tokens\":20,"
              "\"total_tokens\":21,\"completion_tokens\":1}}\n\n" CHUNK DELTA(
                  "cup.") ",\"usage"
                          "\":{\"prompt_tokens\":20,\"total_tokens\":22,\"completion_"
                          "tokens\":2}}\n\n" CHUNK FINISH(
                              "stop") ",\"usage\":{\"prompt_tokens\":20,\"total_tokens\":"
                                      "22,"
                                      "\"completion_tokens\":2,\"prompt_tokens_details\":"
                                      "null}}\n\n" DONE;
    answer_case_whole(p, stream, behind_finish(stream), "A cup.", STOP_STOP);
    read_200(stream);
    answer_case_tokens(&a, 20, 0, 0, 2, 0);
    // SGLang with --enable-cache-report.
    read_200("{" HEAD SAID("x", "stop") "\"usage\":{\"prompt_tokens\":20,"
                                        "\"completion_tokens\":2,\"prompt_tokens_"
                                        "details\":{\"cached_tokens\":16}}}");
    answer_case_tokens(&a, 4, 16, 0, 2, 0);
    // LM Studio.
    read_200("{" HEAD SAID("x", "stop") "\"model\":\"qwen2-vl\",\"usage\":{"
                                        "\"prompt_tokens\":20,\"completion_tokens\":2,"
                                        "\"total_tokens\":22},\"stats\":{},"
                                        "\"system_fingerprint\":\"qwen2-vl\"}");
    answer_case_tokens(&a, 20, 0, 0, 2, 0);
    static const struct answer_case_failure rows[] = {
        { 400,
            "{\"object\":\"error\",\"message\":\"At most 1 image(s) may be provided in "
            "one prompt.\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}",
            FAILURE_REQUEST, "At most 1 image(s)" },
        { 400, "{\"error\":\"Model unloaded\"}", FAILURE_REQUEST, "Model unloaded" },
    };
    answer_case_failures(p, rows, COUNT_OF(rows));
}

static void test_open_router(void **state)
{
    (void)state;
    static const char stream[] =
        ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" CHUNK
        "\"provider\":\"DeepInfra\",\"model\":\"qwen/qwen3-vl\",\"system_fingerprint\":"
        "\"fp_1\"," DELTA("A cup.") "}\n\n" CHUNK "\"provider\":\"DeepInfra\"," FINISH(
            "stop") ",\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":9,"
                    "\"total_tokens\":59,\"cost\":0.000214,\"cost_details\":{"
                    "\"upstream_inference_cost\":null},\"prompt_tokens_details\":{"
                    "\"cached_tokens\":"
                    "10},\"completion_tokens_details\":{\"reasoning_tokens\":4}}}"
                    "\n\n" DONE;
    answer_case_whole(p, stream, behind_finish(stream), "A cup.", STOP_STOP);
    read_200(stream);
    answer_case_tokens(&a, 40, 10, 0, 5, 4);
    assert_true(a.provider_cost_usd == 0.000214);
    assert_string_equal(a.fingerprint, "DeepInfra");
    read_200("{" HEAD SAID("x", "stop") "\"provider\":\"Azure\",\"system_fingerprint\":"
                                        "\"fp_1\"}");
    assert_string_equal(a.fingerprint, "Azure/fp_1");
    assert_true(isnan(a.provider_cost_usd));
    static const struct answer_case_failure rows[] = {
        { 402, "{\"error\":{\"code\":402,\"message\":\"Insufficient credits\"}}",
            FAILURE_QUOTA, "Insufficient credits" },
        { 200, "{\"error\":{\"code\":429,\"message\":\"upstream is busy\"}}",
            FAILURE_RATE_LIMIT, "upstream is busy" },
        { 200,
            CHUNK DELTA(
                "A ") "}\n\n" CHUNK
                      "\"error\":{\"code\":502,\"message\":\"Provider disconnected\"},"
                      "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},"
                      "\"finish_reason\":\"error\"}]}\n\n",
            FAILURE_SERVER, "Provider disconnected" },
        { 200,
            "{" HEAD "\"choices\":[{\"index\":0,\"finish_reason\":\"error\",\"error\":{"
            "\"code\":429,\"message\":\"rate limited upstream\"},\"message\":{}}]}",
            FAILURE_RATE_LIMIT, "rate limited upstream" },
    };
    answer_case_failures(p, rows, COUNT_OF(rows));
}

static void test_groq_together(void **state)
{
    (void)state;
    static const char stream[] = CHUNK "\"model\":\"llama\"," DELTA(
        "A cup.") ",\"x_groq\":{\"id\":\"req_01j\"}}"
                  "\n\n" CHUNK FINISH(
                      "stop") ",\"usage\":null,\"x_groq\":{\"id\":\"req_01j\","
                              "\"usage\":{\"queue_time\":0.01,\"prompt_tokens\":7,"
                              "\"prompt_time\":0.002,"
                              "\"completion_tokens\":3,\"total_tokens\":10}}}\n\n" DONE;
    answer_case_whole(p, stream, behind_finish(stream), "A cup.", STOP_STOP);
    read_200(stream);
    answer_case_tokens(&a, 7, 0, 0, 3, 0);
    assert_string_equal(a.request_id, "req_01j");
    assert_non_null(strstr(a.usage, "queue_time"));
    read_200("{" HEAD SAID("x", "eos") "\"usage\":{\"prompt_tokens\":7,"
                                       "\"completion_tokens\":3}}");
    assert_int_equal(a.stop, STOP_STOP);
    assert_string_equal(a.provider_stop, "eos");
}

static void test_mistral(void **state)
{
    (void)state;
    read_200(
        "{" HEAD "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"
        "\"Hm\"}]},{\"type\":\"text\",\"text\":\"A cup.\"}]},\"finish_reason\":"
        "\"model_length\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}");
    assert_string_equal(a.text, "A cup.");
    assert_int_equal(a.stop, STOP_LENGTH);
    static const struct answer_case_failure rows[] = {
        { 429,
            "{\"object\":\"error\",\"message\":\"Rate limit exceeded\",\"type\":"
            "\"rate_limited\",\"param\":null,\"code\":\"1300\",\"raw_status_code\":429}",
            FAILURE_RATE_LIMIT, "Rate limit exceeded" },
        { 200,
            "{\"object\":\"error\",\"message\":\"Service unavailable.\",\"type\":"
            "\"internal_server_error\",\"code\":\"1000\",\"raw_status_code\":503}",
            FAILURE_SERVER, "Service unavailable" },
        { 422,
            "{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"seed\"],"
            "\"msg\":\"Extra inputs are not permitted\"}]}",
            FAILURE_REQUEST, "body.seed: Extra inputs are not permitted" },
        { 401, "{\"detail\":\"Unauthorized\"}", FAILURE_AUTH, "Unauthorized" },
    };
    answer_case_failures(p, rows, COUNT_OF(rows));
}

static void test_ollama_v1(void **state)
{
    (void)state;
    static const char stream[] = CHUNK
        "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":"
        "\"\",\"reasoning\":\"Hm\"},\"finish_reason\":null}],"
        "\"system_fingerprint\":\"fp_ollama\"}\n\n" CHUNK DELTA(
            "A cup.") "}\n\n" CHUNK FINISH("stop") "}\n\n" CHUNK
                                                   "\"choices\":[],\"usage\":{\"prompt_"
                                                   "tokens\":31,\"completion_tokens\":8,"
                                                   "\"total_tokens\":39}}\n\n" DONE;
    answer_case_whole(p, stream, behind_finish(stream), "A cup.", STOP_STOP);
    read_200(stream);
    answer_case_tokens(&a, 31, 0, 0, 8, 0);
    assert_int_equal(a.first_token_end, strstr(stream, "\n\n") + 2 - stream);
}

static void test_azure(void **state)
{
    (void)state;
    static const struct protocol *const azure = &protocol_azure_openai;
    static const char stream[] =
        "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\","
        "\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{}}]}"
        "\n\n" CHUNK
        "\"model\":\"gpt-4o-2024-11-20\"," DELTA("A cup.") "}\n\n" CHUNK FINISH(
            "stop") "}\n\n" CHUNK "\"choices\":[],\"usage\":{\"prompt_tokens\":31,"
                    "\"completion_tokens\":8}}\n\n" DONE;
    answer_case_whole(azure, stream, behind_finish(stream), "A cup.", STOP_STOP);
    answer_case_read(
        azure, 200, "apim-request-id: az-1\r\nx-request-id: other\r\n", stream, 1, &a);
    assert_string_equal(a.request_id, "az-1");
    assert_string_equal(a.model, "gpt-4o-2024-11-20");
    answer_case_tokens(&a, 31, 0, 0, 8, 0);
    answer_case_read(azure, 200, "",
        "{\"choices\":[{\"index\":0,\"finish_reason\":\"content_filter\","
        "\"content_filter_results\":{\"violence\":{\"filtered\":true}}}]}",
        1, &a);
    assert_int_equal(a.failure, FAILURE_NONE);
    assert_int_equal(a.stop, STOP_FILTER);
    static const struct answer_case_failure rows[] = {
        { 400,
            "{\"error\":{\"message\":\"The response was filtered due to the prompt "
            "triggering a policy\",\"type\":null,\"param\":\"prompt\",\"code\":"
            "\"content_filter\",\"status\":400,\"innererror\":{\"code\":"
            "\"ResponsibleAIPolicyViolation\"}}}",
            FAILURE_FILTER, "content_filter: The response was filtered" },
        { 401,
            "{\"statusCode\":401,\"message\":\"Access denied due to invalid subscription "
            "key\"}",
            FAILURE_AUTH, "Access denied" },
        { 404, "{\"error\":{\"code\":\"DeploymentNotFound\",\"message\":\"none\"}}",
            FAILURE_REQUEST, "DeploymentNotFound" },
    };
    answer_case_failures(azure, rows, COUNT_OF(rows));
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
        cmocka_unit_test(test_llama_cpp),
        cmocka_unit_test(test_vllm_sglang_lm_studio),
        cmocka_unit_test(test_open_router),
        cmocka_unit_test(test_groq_together),
        cmocka_unit_test(test_mistral),
        cmocka_unit_test(test_ollama_v1),
        cmocka_unit_test(test_azure),
    };
    return cmocka_run_group_tests_name("openai_servers", tests, NULL, release);
}
