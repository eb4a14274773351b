/* sim_azure_openai.c - Azure OpenAI: POST {any prefix}/openai/deployments/{deployment}/
 * chat/completions?api-version=...; the body is that of OpenAI's chat completions, whose
 * model does not count. */
#include <stdio.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_protocol.h"

static int match_path(const char *path, struct sim_route *route)
{
    return sim_route_model(path, "/openai/deployments/", "/chat/completions", route);
}

static int check_request(
    const struct http_request *http, struct sim_request *request, struct sim_error *error)
{
    (void)request;
    const char *version = http_query(http, "api-version");
    if (!version || !*version)
        return sim_refuse(error, 404, "404", "", "Resource not found");
    return 1;
}

static void add_headers(const struct sim_head *head, struct http_answer *answer)
{
    http_answer_header(answer, "apim-request-id", "%s", head->request_id);
    http_answer_header(answer, "x-request-id", "%s", head->request_id);
    http_answer_header(answer, "x-ms-region", "Simulated");
    sim_rate_headers(head, answer);
}

/* A blocked prompt comes with the verdict of the filters. */
static struct json *error_json(const struct sim_error *error, const char *request_id)
{
    if (!text_equal(error->code, "content_filter"))
        return sim_openai_error(error, request_id);
    struct json *root = json_new_object();
    struct json *body = json_set_object(root, "error");
    json_set_text(body, "message", error->message);
    json_set_null(body, "type");
    json_set_text(body, "param", "prompt");
    json_set_text(body, "code", error->code);
    json_set_int(body, "status", error->status);
    struct json *inner = json_set_object(body, "innererror");
    json_set_text(inner, "code", "ResponsibleAIPolicyViolation");
    struct json *violence =
        json_set_object(json_set_object(inner, "content_filter_result"), "violence");
    json_set_bool(violence, "filtered", 1);
    json_set_text(violence, "severity", "medium");
    return root;
}

static const struct sim_failure_words failures[N_SIM_FAILURES] = {
    [FAIL_KEY] = { 401, NULL, "401",
        "Access denied due to invalid subscription key or wrong API endpoint." },
    [FAIL_TOO_LARGE] = { 413, NULL, "413", "Request too large: more than 64 MiB." },
    [FAIL_MODEL] = { 404, NULL, "DeploymentNotFound",
        "The API deployment {model} for this resource does not exist." },
    [FAIL_METHOD] = { 405, NULL, "405", "Not allowed: use POST" },
    [FAIL_RATE_LIMIT] = { 429, NULL, "429",
        "Requests to the ChatCompletions_Create Operation have exceeded the call rate "
        "limit of your current pricing tier. Please retry later. (simulated)" },
    [FAIL_SERVER] = { 500, NULL, "InternalServerError",
        "The server had an error while processing your request. (simulated)" },
    [FAIL_UNAVAILABLE] = { 503, NULL, "ServiceUnavailable",
        "The service is temporarily unable to process your request. (simulated)" },
    [FAIL_IN_STREAM] = { 200, "server_error", "server_error",
        "The server had an error while processing your request. (simulated)" },
    [FAIL_QUOTA] = { 429, "insufficient_quota", "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. "
        "(simulated)" },
    [FAIL_PAYMENT] = { 402, NULL, "402", "Payment is required. (simulated)" },
    [FAIL_FILTER] = { 400, NULL, "content_filter",
        "The response was filtered due to the prompt triggering the content management "
        "policy. Please modify your prompt and retry. (simulated)" },
};
static const char *const ignored[] = { "model", "stream", "stream_options", "user",
    "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", NULL };
static const enum sim_way ways[] = { WAY_PROMPT, WAY_OUTPUT };

const struct sim_protocol sim_azure_openai = {
    .name = "azure-openai",
    .id_prefix = "chatcmpl-",
    .n_id_digits = 29,
    .request_id_prefix = "",
    .key_header = "api-key",
    .scope = "azure-openai",
    .ignored = ignored,
    .ways = ways,
    .n_ways = COUNT_OF(ways),
    .failures = failures,
    .route = match_path,
    .check = check_request,
    .read = sim_chat_read,
    .headers = add_headers,
    .error = error_json,
    .whole = sim_chat_whole,
    .stream = sim_chat_stream,
    .stream_error = sim_chat_stream_error,
};
