/* sim_openai_chat.c - OpenAI Chat Completions: POST {any prefix}/v1/chat/completions. */
#include <stdio.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_protocol.h"

/* --- the request --- */

static int image_read(struct sim_request *request, const struct json *part,
    const char *where, struct sim_error *error)
{
    char param[128];
    snprintf(param, sizeof param, "%s.image_url", where);
    const struct json *object = json_get(part, "image_url");
    if (!json_is_object(object))
        return sim_refuse(error, 400, "invalid_type", param,
            "Invalid type for '%s': expected an object with a url.", param);
    snprintf(param, sizeof param, "%s.image_url.url", where);
    const struct json *url = json_get(object, "url");
    if (!json_is_string(url))
        return sim_refuse(error, 400, url ? "invalid_type" : "missing_required_parameter",
            param, "Invalid or missing '%s': expected a string.", param);
    const struct json *detail = json_get(object, "detail");
    const char *level = json_text(detail, detail ? "" : "auto");
    if (!text_equal(level, "auto") && !text_equal(level, "low") &&
        !text_equal(level, "high")) {
        snprintf(param, sizeof param, "%s.image_url.detail", where);
        return sim_refuse(error, 400, "invalid_value", param,
            "Invalid value for '%s': supported values are 'low', 'high' and 'auto'.",
            param);
    }
    return sim_request_data_url(
        request, json_text(url, ""), text_equal(level, "low"), param, error);
}

/* Tokens of a second of sound that a user sends: one for 100 ms. */
#define SOUND_TOKENS 10

static int sound_read(struct sim_request *request, const struct json *part,
    const char *where, struct sim_error *error)
{
    char param[128];
    const struct json *sound = json_get(part, "input_audio");
    const struct json *data = json_get(sound, "data");
    const char *format = json_text(json_get(sound, "format"), "");
    snprintf(param, sizeof param, "%s.input_audio", where);
    if (!json_is_object(sound) || !json_is_string(data))
        return sim_refuse(error, 400, "missing_required_parameter", param,
            "Invalid or missing '%s': expected an object with data and format.", param);
    if (text_equal(format, "mp3"))
        return sim_refuse(error, 400, "invalid_value", param,
            "The simulator hears 'wav' only: it cannot tell how long an mp3 is.");
    if (!text_equal(format, "wav"))
        return sim_refuse(error, 400, "invalid_value", param,
            "Invalid value for '%s.format': '%.40s'. Supported values are 'wav' and "
            "'mp3'.",
            param, format);
    return sim_request_sound(request, json_text(data, ""), SOUND_TOKENS, param, error);
}

static int part_read(struct sim_request *request, const char *role,
    const struct json *part, const char *where, struct sim_error *error)
{
    const char *type = json_text(json_get(part, "type"), "");
    if (text_equal(type, "text")) {
        const struct json *value = json_get(part, "text");
        if (!json_is_string(value))
            return sim_refuse(error, 400, "invalid_type", where,
                "Invalid type for '%s.text': expected a string.", where);
        return sim_request_text(request, json_text(value, ""), error);
    }
    int is_sound = text_equal(type, "input_audio");
    if (!is_sound && !text_equal(type, "image_url"))
        return sim_refuse(error, 400, "invalid_value", where,
            "Invalid value for '%s.type': '%.40s'. Supported values are 'text', "
            "'image_url' and 'input_audio'.",
            where, type);
    if (!text_equal(role, "user"))
        return sim_refuse(error, 400, "invalid_value", where,
            "Invalid content at '%s': only user messages may hold images and audio.",
            where);
    return is_sound ? sound_read(request, part, where, error)
                    : image_read(request, part, where, error);
}

static int content_read(struct sim_request *request, const char *role,
    const struct json *content, size_t i, struct sim_error *error)
{
    char where[64];
    if (json_is_string(content))
        return sim_request_text(request, json_text(content, ""), error);
    snprintf(where, sizeof where, "messages[%zu].content", i);
    if (json_is_null(content) && text_equal(role, "assistant"))
        return 1;
    if (!json_is_array(content) || !json_size(content))
        return sim_refuse(error, 400,
            content ? "invalid_type" : "missing_required_parameter", where,
            "Invalid or missing '%s': expected a string or an array of parts.", where);
    size_t k = 0;
    for (const struct json *part = json_first(content); part;
         part = json_next(part), k++) {
        snprintf(where, sizeof where, "messages[%zu].content[%zu]", i, k);
        if (!part_read(request, role, part, where, error))
            return 0;
    }
    return 1;
}

static int message_read(struct sim_request *request, const struct json *item, size_t i,
    struct sim_error *error)
{
    static const char *const roles[] = { "system", "developer", "user", "assistant" };
    const char *role = json_text(json_get(item, "role"), "");
    char param[64];
    snprintf(param, sizeof param, "messages[%zu].role", i);
    for (size_t k = 0; k < COUNT_OF(roles); k++)
        if (text_equal(role, roles[k]))
            return sim_request_message(request, roles[k], error) &&
                   content_read(request, roles[k], json_get(item, "content"), i, error);
    return sim_refuse(error, 400, "invalid_value", param,
        "Invalid value for '%s': '%.40s'. Supported values are 'system', "
        "'developer', 'user' and 'assistant'.",
        param, role);
}

static int messages_read(struct sim_request *request, struct sim_error *error)
{
    const struct json *messages = json_get(request->body, "messages");
    if (!messages)
        return sim_refuse(error, 400, "missing_required_parameter", "messages",
            "Missing required parameter: 'messages'.");
    if (!json_is_array(messages))
        return sim_refuse(error, 400, "invalid_type", "messages",
            "Invalid type for 'messages': expected an array of objects.");
    if (!json_size(messages))
        return sim_refuse(error, 400, "empty_array", "messages",
            "Invalid 'messages': expected 1 to %d messages, found 0.", SIM_MAX_MESSAGES);
    size_t i = 0;
    for (const struct json *item = json_first(messages); item; item = json_next(item))
        if (!message_read(request, item, i++, error))
            return 0;
    return 1;
}

static int limit_read(struct sim_request *request, struct sim_error *error)
{
    static const char old[] = "max_tokens", now[] = "max_completion_tokens";
    if (!sim_limit_read(request, request->body, old, old, error) ||
        !sim_limit_read(request, request->body, now, now, error))
        return 0;
    if (json_get(request->body, old) && json_get(request->body, now))
        return sim_refuse(error, 400, "invalid_parameter_combination", old,
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not "
            "supported.");
    return 1;
}

static int flags_read(struct sim_request *request, struct sim_error *error)
{
    const struct json *body = request->body;
    if (!sim_stream_read(request, error))
        return 0;
    const struct json *options = json_get(body, "stream_options");
    if (options && !json_is_null(options)) {
        if (!request->stream)
            return sim_refuse(error, 400, "", "stream_options",
                "The 'stream_options' parameter is only allowed when 'stream' is "
                "enabled.");
        request->include_usage = json_bool(json_get(options, "include_usage"), 0);
    }
    return sim_range_check(body, "temperature", 0, 2, "temperature", error) &&
           sim_range_check(body, "top_p", 0, 1, "top_p", error) &&
           sim_range_check(body, "n", 1, 1, "n", error) && limit_read(request, error);
}

int sim_chat_read(struct sim_request *request, struct sim_error *error)
{
    return flags_read(request, error) && messages_read(request, error);
}

static int read_body(struct sim_request *request, struct sim_error *error)
{
    return sim_request_model(request, error) && sim_chat_read(request, error);
}

static int match_path(const char *path, struct sim_route *route)
{
    (void)route;
    return text_ends(path, "/v1/chat/completions");
}

/* --- the answer --- */

static int is_azure(const struct sim_reply *reply)
{
    return reply->protocol == &sim_azure_openai;
}

static struct json *reply_object(const struct sim_reply *reply, const char *kind)
{
    struct json *root = json_new_object();
    json_set_text(root, "id", reply->id);
    json_set_text(root, "object", kind);
    json_set_int(root, "created", SIM_CREATED);
    json_set_text(root, "model", reply->model);
    return root;
}

static void tail_set(struct json *root)
{
    json_set_text(root, "service_tier", "default");
    json_set_text(root, "system_fingerprint", SIM_FINGERPRINT);
}

static void usage_set(const struct sim_reply *reply, struct json *root)
{
    struct json *usage = json_set_object(root, "usage");
    json_set_int(usage, "prompt_tokens", reply->prompt_tokens);
    json_set_int(usage, "completion_tokens", reply->completion_tokens);
    json_set_int(usage, "total_tokens", reply->prompt_tokens + reply->completion_tokens);
    struct json *prompt = json_set_object(usage, "prompt_tokens_details");
    json_set_int(prompt, "cached_tokens", reply->cached_tokens);
    json_set_int(prompt, "audio_tokens", reply->audio_tokens);
    struct json *completion = json_set_object(usage, "completion_tokens_details");
    json_set_int(completion, "reasoning_tokens", 0);
    json_set_int(completion, "audio_tokens", 0);
    json_set_int(completion, "accepted_prediction_tokens", 0);
    json_set_int(completion, "rejected_prediction_tokens", 0);
}

/* Azure's verdict of its filters over a prompt or an answer. */
static void filters_set(struct json *object, const char *key, int filtered)
{
    static const char *const kinds[] = { "hate", "self_harm", "sexual", "violence" };
    struct json *results = json_set_object(object, key);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct json *result = json_set_object(results, kinds[i]);
        int this_one = filtered && i + 1 == COUNT_OF(kinds);
        json_set_bool(result, "filtered", this_one);
        json_set_text(result, "severity", this_one ? "medium" : "safe");
    }
}

static void prompt_filters_set(struct json *root)
{
    struct json *result = json_add_object(json_set_array(root, "prompt_filter_results"));
    json_set_int(result, "prompt_index", 0);
    filters_set(result, "content_filter_results", 0);
}

static const char *finish_reason(const struct sim_reply *reply)
{
    if (reply->way == WAY_OUTPUT)
        return "content_filter";
    return reply->is_cut ? "length" : "stop";
}

struct json *sim_chat_whole(const struct sim_reply *reply)
{
    struct json *root = reply_object(reply, "chat.completion");
    struct json *choice = json_add_object(json_set_array(root, "choices"));
    json_set_int(choice, "index", 0);
    struct json *message = json_set_object(choice, "message");
    json_set_text(message, "role", "assistant");
    if (reply->way == WAY_FIELD || reply->way == WAY_OUTPUT)
        json_set_null(message, "content");
    else
        json_set_text(message, "content", reply->text);
    if (reply->way == WAY_FIELD)
        json_set_text(message, "refusal", reply->text);
    else
        json_set_null(message, "refusal");
    json_set_array(message, "annotations");
    json_set_null(choice, "logprobs");
    json_set_text(choice, "finish_reason", finish_reason(reply));
    if (is_azure(reply)) {
        filters_set(choice, "content_filter_results", reply->way == WAY_OUTPUT);
        prompt_filters_set(root);
    }
    if (reply->has_usage)
        usage_set(reply, root);
    tail_set(root);
    return root;
}

/* --- streams --- */

static struct json *chunk_object(const struct sim_stream *stream)
{
    struct json *root = reply_object(stream->reply, "chat.completion.chunk");
    tail_set(root);
    return root;
}

/* A chunk with one choice; its delta is where the caller goes on, unless it is NULL. */
static struct json *chunk(
    const struct sim_stream *stream, const char *finish, struct json **delta)
{
    struct json *root = chunk_object(stream);
    struct json *choice = json_add_object(json_set_array(root, "choices"));
    json_set_int(choice, "index", 0);
    struct json *object = json_set_object(choice, "delta");
    if (delta)
        *delta = object;
    json_set_null(choice, "logprobs");
    if (finish)
        json_set_text(choice, "finish_reason", finish);
    else
        json_set_null(choice, "finish_reason");
    if (is_azure(stream->reply))
        filters_set(
            choice, "content_filter_results", finish && stream->reply->way == WAY_OUTPUT);
    if (stream->reply->include_usage)
        json_set_null(root, "usage");
    return root;
}

static struct json *piece(const struct sim_stream *stream, const char *text)
{
    struct json *delta, *root = chunk(stream, NULL, &delta);
    json_set_text(delta, stream->reply->way == WAY_FIELD ? "refusal" : "content", text);
    return root;
}

void sim_chat_stream(struct sim_stream *stream)
{
    const struct sim_reply *reply = stream->reply;
    struct json *delta;
    sim_stream_begin(stream, FRAMING_SSE);
    if (is_azure(reply)) {
        struct json *filters = reply_object(reply, "");
        json_set_array(filters, "choices");
        prompt_filters_set(filters);
        sim_stream_event(stream, NULL, filters);
    }
    struct json *first = chunk(stream, NULL, &delta);
    json_set_text(delta, "role", "assistant");
    json_set_text(delta, "content", "");
    json_set_null(delta, "refusal");
    sim_stream_event(stream, NULL, first);
    if (reply->way != WAY_OUTPUT)
        sim_stream_text(stream, NULL, piece);
    sim_stream_event(stream, NULL, chunk(stream, finish_reason(reply), NULL));
    if (reply->include_usage && reply->has_usage) {
        struct json *last = chunk_object(stream);
        json_set_array(last, "choices");
        usage_set(reply, last);
        sim_stream_event(stream, NULL, last);
    }
    sim_stream_bytes(stream, "data: [DONE]\n\n");
}

void sim_chat_stream_error(struct sim_stream *stream, const struct sim_error *error)
{
    sim_stream_event(stream, NULL, sim_openai_error(error, ""));
}

void sim_openai_headers(const struct sim_head *head, struct http_answer *answer)
{
    http_answer_header(answer, "x-request-id", "%s", head->request_id);
    http_answer_header(answer, "openai-processing-ms", "%lld",
        (long long)(head->processing_ns / 1000000));
    http_answer_header(answer, "openai-version", "2020-10-01");
    sim_rate_headers(head, answer);
}

/* --- the table row --- */

const struct sim_failure_words sim_openai_failures[N_SIM_FAILURES] = {
    [FAIL_KEY] = { 401, NULL, "invalid_api_key", "Incorrect API key provided: invalid." },
    [FAIL_TOO_LARGE] = { 413, NULL, NULL, "Request too large: more than 64 MiB." },
    [FAIL_MODEL] = { 404, NULL, "model_not_found",
        "The model `{model}` does not exist or you do not have access to it." },
    [FAIL_METHOD] = { 405, NULL, NULL, "Not allowed: use POST" },
    [FAIL_RATE_LIMIT] = { 429, "requests", "rate_limit_exceeded",
        "Rate limit reached for {model} on requests per min (RPM): Limit 10000. Please "
        "try again later. (simulated)" },
    [FAIL_SERVER] = { 500, NULL, NULL,
        "The server had an error while processing your request. (simulated)" },
    [FAIL_UNAVAILABLE] = { 503, NULL, NULL,
        "The engine is currently overloaded, please try again later. (simulated)" },
    [FAIL_IN_STREAM] = { 200, "server_error", "server_error",
        "The server had an error while processing your request. (simulated)" },
    [FAIL_QUOTA] = { 429, "insufficient_quota", "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. "
        "(simulated)" },
    [FAIL_PAYMENT] = { 402, "billing_error", "payment_required",
        "Your account has no credit left. (simulated)" },
};
static const char *const ignored[] = { "stream", "stream_options", "user", "metadata",
    "store", "service_tier", "safety_identifier", "prompt_cache_key", NULL };
static const enum sim_way ways[] = { WAY_FIELD };

const struct sim_protocol sim_openai_chat = {
    .name = "openai-chat",
    .id_prefix = "chatcmpl-",
    .n_id_digits = 29,
    .request_id_prefix = "req_",
    .n_request_id_digits = 32,
    .scope = "",
    .ignored = ignored,
    .ways = ways,
    .n_ways = COUNT_OF(ways),
    .failures = sim_openai_failures,
    .route = match_path,
    .read = read_body,
    .headers = sim_openai_headers,
    .error = sim_openai_error,
    .whole = sim_chat_whole,
    .stream = sim_chat_stream,
    .stream_error = sim_chat_stream_error,
};
