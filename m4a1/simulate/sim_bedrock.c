/* sim_bedrock.c - AWS Bedrock Converse: POST {any prefix}/model/{id}/converse, and
 * /converse-stream, whose frames are binary. */
#include <stdio.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_protocol.h"

/* --- the request --- */

static int match_path(const char *path, struct sim_route *route)
{
    if (sim_route_model(path, "/model/", "/converse", route))
        return 1;
    route->stream = 1;
    return sim_route_model(path, "/model/", "/converse-stream", route);
}

static int image_read(struct sim_request *request, const struct json *image,
    const char *where, struct sim_error *error)
{
    static const struct sim_image_rules rules = { 20, 3932160, 8000 };
    const char *format = json_text(json_get(image, "format"), "");
    const struct json *bytes = json_get(json_get(image, "source"), "bytes");
    char type[24];
    if (!text_equal(format, "png") && !text_equal(format, "jpeg") &&
        !text_equal(format, "gif") && !text_equal(format, "webp"))
        return sim_refuse(error, 400, "", "",
            "Value '%.20s' at '%s.image.format' failed to satisfy constraint: Member "
            "must satisfy enum value set: [png, jpeg, gif, webp]",
            format, where);
    if (!json_is_string(bytes))
        return sim_refuse(error, 400, "", "",
            "%s.image.source.bytes: the simulator takes bytes only", where);
    snprintf(type, sizeof type, "image/%s", format);
    return sim_request_image(request, json_text(bytes, ""), type, &rules, where, error);
}

static int block_read(struct sim_request *request, const char *role,
    const struct json *block, const char *where, struct sim_error *error)
{
    const struct json *text = json_get(block, "text");
    const struct json *image = json_get(block, "image");
    if (json_is_string(text)) {
        const char *words = json_text(text, "");
        if (!words[0])
            return sim_refuse(error, 400, "", "",
                "The text field in the ContentBlock object at %s is blank. Add text to "
                "the text field, and try again.",
                where);
        return sim_request_text(request, words, error);
    }
    if (!json_is_object(image) || !text_equal(role, "user"))
        return sim_refuse(error, 400, "", "",
            "The ContentBlock object at %s must set one of: text, image (of users).",
            where);
    return image_read(request, image, where, error);
}

static int message_read(struct sim_request *request, const struct json *item, size_t i,
    struct sim_error *error)
{
    const char *said = json_text(json_get(item, "role"), "");
    const char *role = text_equal(said, "user")        ? "user"
                       : text_equal(said, "assistant") ? "assistant"
                                                       : NULL;
    const struct json *content = json_get(item, "content");
    char where[64];
    size_t k = 0;
    if (!role)
        return sim_refuse(error, 400, "", "",
            "Value '%.20s' at 'messages.%zu.member.role' failed to satisfy constraint: "
            "Member must satisfy enum value set: [user, assistant]",
            said, i);
    if (!i && !text_equal(role, "user"))
        return sim_refuse(error, 400, "", "",
            "A conversation must start with a user message. Try again with a "
            "conversation that starts with a user message.");
    if (i && text_equal(request->messages[request->n_messages - 1].role, role))
        return sim_refuse(error, 400, "", "",
            "A conversation must alternate between user and assistant roles. Make sure "
            "the conversation alternates between user and assistant roles and try "
            "again.");
    if (!json_is_array(content) || !json_size(content))
        return sim_refuse(error, 400, "", "",
            "The content field in the Message object at messages.%zu is empty. Add a "
            "ContentBlock object to the content field and try again.",
            i);
    if (!sim_request_message(request, role, error))
        return 0;
    for (const struct json *block = json_first(content); block;
         block = json_next(block)) {
        snprintf(where, sizeof where, "messages.%zu.content.%zu", i, k++);
        if (!block_read(request, role, block, where, error))
            return 0;
    }
    return 1;
}

static int system_read(struct sim_request *request, struct sim_error *error)
{
    const struct json *system = json_get(request->body, "system");
    char where[64];
    size_t i = 0;
    if (!system)
        return 1;
    if (!json_is_array(system))
        return sim_refuse(error, 400, "", "", "system: an array of blocks is expected");
    for (const struct json *block = json_first(system); block; block = json_next(block)) {
        snprintf(where, sizeof where, "system.%zu", i);
        if ((!i++ && !sim_request_message(request, "system", error)) ||
            !block_read(request, "system", block, where, error))
            return 0;
    }
    return 1;
}

static int read_body(struct sim_request *request, struct sim_error *error)
{
    /* Names of other vendors; the real API takes no unknown name at all. */
    static const char *const foreign[] = { "model", "modelId", "stream", "max_tokens",
        "temperature", "seed", "top_p", NULL };
    const struct json *config = json_get(request->body, "inferenceConfig");
    const struct json *messages = json_get(request->body, "messages");
    size_t i = 0;
    if (!sim_members_check(request->body, foreign,
            "The model returned the following errors: extraneous key [",
            "] is not permitted", error) ||
        !sim_range_check(config, "temperature", 0, 1, "temperature", error) ||
        !sim_range_check(config, "topP", 0, 1, "topP", error) ||
        !sim_limit_read(request, config, "maxTokens", "maxTokens", error) ||
        !system_read(request, error))
        return 0;
    if (!json_is_array(messages) || !json_size(messages))
        return sim_refuse(error, 400, "", "",
            "Value at 'messages' failed to satisfy constraint: Member must not be null "
            "or empty");
    for (const struct json *item = json_first(messages); item; item = json_next(item))
        if (!message_read(request, item, i++, error))
            return 0;
    return 1;
}

/* --- the answer --- */

/* Cached tokens lie beside inputTokens, not inside. */
static void usage_set(const struct sim_reply *reply, struct json *root)
{
    if (!reply->has_usage)
        return;
    struct json *usage = json_set_object(root, "usage");
    json_set_int(usage, "inputTokens", reply->prompt_tokens - reply->cached_tokens);
    json_set_int(usage, "outputTokens", reply->completion_tokens);
    json_set_int(usage, "totalTokens", reply->prompt_tokens + reply->completion_tokens);
    json_set_int(usage, "cacheReadInputTokens", reply->cached_tokens);
    json_set_int(usage, "cacheWriteInputTokens", 0);
}

static void metrics_set(const struct sim_reply *reply, struct json *root)
{
    int64_t ns =
        reply->pace.first_token_ns + reply->pace.token_ns * reply->completion_tokens;
    json_set_int(json_set_object(root, "metrics"), "latencyMs", ns / 1000000);
}

static const char *stop_reason(const struct sim_reply *reply)
{
    switch (reply->way) {
    case WAY_FIELD: return "content_filtered";
    case WAY_OUTPUT: return "guardrail_intervened";
    default: return reply->is_cut ? "max_tokens" : "end_turn";
    }
}

static struct json *write_whole(const struct sim_reply *reply)
{
    struct json *root = json_new_object();
    metrics_set(reply, root);
    struct json *message = json_set_object(json_set_object(root, "output"), "message");
    struct json *content = json_set_array(message, "content");
    if (reply->way != WAY_FIELD)
        json_set_text(json_add_object(content), "text", reply->text);
    json_set_text(message, "role", "assistant");
    json_set_text(root, "stopReason", stop_reason(reply));
    usage_set(reply, root);
    return root;
}

static struct json *piece(const struct sim_stream *stream, const char *text)
{
    (void)stream;
    struct json *root = json_new_object();
    json_set_int(root, "contentBlockIndex", 0);
    json_set_text(json_set_object(root, "delta"), "text", text);
    return root;
}

static void write_stream(struct sim_stream *stream)
{
    const struct sim_reply *reply = stream->reply;
    sim_stream_begin(stream, FRAMING_EVENT_STREAM);
    struct json *root = json_new_object();
    json_set_text(root, "role", "assistant");
    sim_stream_event(stream, "messageStart", root);
    if (reply->way != WAY_FIELD) {
        sim_stream_text(stream, "contentBlockDelta", piece);
        root = json_new_object();
        json_set_int(root, "contentBlockIndex", 0);
        sim_stream_event(stream, "contentBlockStop", root);
    }
    root = json_new_object();
    json_set_text(root, "stopReason", stop_reason(reply));
    sim_stream_event(stream, "messageStop", root);
    root = json_new_object();
    usage_set(reply, root);
    metrics_set(reply, root);
    sim_stream_event(stream, "metadata", root);
}

/* --- errors and headers --- */

static struct json *error_json(const struct sim_error *error, const char *request_id)
{
    (void)request_id;
    struct json *root = json_new_object();
    json_set_text(root, "message", error->message);
    return root;
}

static void stream_error(struct sim_stream *stream, const struct sim_error *error)
{
    sim_stream_event(stream, "internalServerException", error_json(error, ""));
}

static const char *exception_name(const struct sim_error *error)
{
    if (text_ends(error->code, "Exception"))
        return error->code;
    switch (error->status) {
    case 403: return "AccessDeniedException";
    case 404: return "ResourceNotFoundException";
    case 429: return "ThrottlingException";
    case 503: return "ServiceUnavailableException";
    default:
        return error->status >= 500 ? "InternalServerException" : "ValidationException";
    }
}

static void add_headers(const struct sim_head *head, struct http_answer *answer)
{
    http_answer_header(answer, "x-amzn-RequestId", "%s", head->request_id);
    if (head->error && head->error->status != 200)
        http_answer_header(answer, "x-amzn-ErrorType", "%s", exception_name(head->error));
}

/* --- the table row --- */

static const struct sim_failure_words failures[N_SIM_FAILURES] = {
    [FAIL_KEY] = { 403, NULL, "UnrecognizedClientException",
        "The security token included in the request is invalid." },
    [FAIL_TOO_LARGE] = { 413, NULL, "ValidationException",
        "Request size limit exceeded" },
    [FAIL_MODEL] = { 400, NULL, "ValidationException",
        "The provided model identifier is invalid." },
    [FAIL_METHOD] = { 405, NULL, "ValidationException", "Method not allowed" },
    [FAIL_RATE_LIMIT] = { 429, NULL, NULL,
        "Too many requests, please wait before trying again. (simulated)" },
    [FAIL_SERVER] = { 500, NULL, NULL,
        "The system encountered an unexpected error during processing. Try your request "
        "again. (simulated)" },
    [FAIL_UNAVAILABLE] = { 503, NULL, NULL,
        "Bedrock is unable to process your request. (simulated)" },
    [FAIL_IN_STREAM] = { 200, NULL, NULL,
        "The system encountered an unexpected error during processing. Try your request "
        "again. (simulated)" },
    [FAIL_QUOTA] = { 400, NULL, "ServiceQuotaExceededException",
        "Your request exceeds the service quota for your account. (simulated)" },
    [FAIL_PAYMENT] = { 402, NULL, "PaymentRequiredException",
        "A payment instrument is required. (simulated)" },
};
static const char *const ignored[] = { "requestMetadata", "performanceConfig", NULL };
static const enum sim_way ways[] = { WAY_FIELD, WAY_OUTPUT };

const struct sim_protocol sim_bedrock = {
    .name = "bedrock-converse",
    .id_prefix = "",
    .n_id_digits = 16,
    .request_id_prefix = "",
    .scope = "bedrock-converse",
    .ignored = ignored,
    .ways = ways,
    .n_ways = COUNT_OF(ways),
    .failures = failures,
    .route = match_path,
    .read = read_body,
    .headers = add_headers,
    .error = error_json,
    .whole = write_whole,
    .stream = write_stream,
    .stream_error = stream_error,
};
