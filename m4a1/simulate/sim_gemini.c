/* sim_gemini.c - Google Gemini: POST {any prefix}/models/{model}:generateContent, and
 * :streamGenerateContent, which is a JSON array unless alt=sse asks for events. */
#include <stdio.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_protocol.h"

#define SOUND_TOKENS 32 /* a second */
#define REASON_KEY "API_KEY_INVALID"
#define REASON_QUOTA "QUOTA"

/* --- the request --- */

static int match_path(const char *path, struct sim_route *route)
{
    if (sim_route_model(path, "/models/", ":generateContent", route))
        return 1;
    route->stream = 1;
    return sim_route_model(path, "/models/", ":streamGenerateContent", route);
}

static int check_request(
    const struct http_request *http, struct sim_request *request, struct sim_error *error)
{
    const char *alt = http_query(http, "alt");
    if (alt && !text_equal(alt, "sse") && !text_equal(alt, "json"))
        return sim_refuse(error, 400, "", "", "Invalid value \"%.20s\" for alt", alt);
    request->as_array = request->stream && !text_equal(alt, "sse");
    return 1;
}

/* Names come in camelCase, and in snake_case too. */
static const struct json *get(
    const struct json *object, const char *name, const char *snake_name)
{
    const struct json *value = json_get(object, name);
    return value ? value : json_get(object, snake_name);
}

/* The real API takes no name that it does not know. */
static int names_check(const struct json *object, const char *const *known, size_t n,
    const char *where, struct sim_error *error)
{
    for (const struct json *child = json_first(object); child; child = json_next(child)) {
        size_t i = 0;
        while (i < n && !text_equal(json_key(child), known[i]))
            i++;
        if (i == n)
            return sim_refuse(error, 400, "", "",
                "Invalid JSON payload received. Unknown name \"%.60s\"%s%s%s: Cannot "
                "find field.",
                json_key(child), *where ? " at '" : "", where, *where ? "'" : "");
    }
    return 1;
}

static int inline_read(struct sim_request *request, const struct json *data,
    const char *where, struct sim_error *error)
{
    static const struct sim_image_rules rules = { 0, 7u << 20, 0 };
    const char *type = json_text(get(data, "mimeType", "mime_type"), "");
    const struct json *bytes = json_get(data, "data");
    int is_sound = text_equal(type, "audio/wav");
    if (!is_sound && !text_starts(type, "image/"))
        return sim_refuse(
            error, 400, "", "", "Unsupported MIME type: %.60s (%s)", type, where);
    if (!json_is_string(bytes))
        return sim_refuse(error, 400, "", "",
            "Unable to process input %s (%s.inlineData.data is missing).",
            is_sound ? "audio" : "image", where);
    if (is_sound)
        return sim_request_sound(
            request, json_text(bytes, ""), SOUND_TOKENS, where, error);
    return sim_request_image(request, json_text(bytes, ""), NULL, &rules, where, error);
}

static int parts_read(struct sim_request *request, const struct json *content,
    const char *where, struct sim_error *error)
{
    const struct json *parts = json_get(content, "parts");
    char place[96];
    size_t i = 0;
    if (!json_is_array(parts) || !json_size(parts))
        return sim_refuse(error, 400, "", "",
            "* GenerateContentRequest.%s.parts: contents.parts must not be empty.",
            where);
    for (const struct json *part = json_first(parts); part; part = json_next(part)) {
        const struct json *text = json_get(part, "text");
        const struct json *data = get(part, "inlineData", "inline_data");
        snprintf(place, sizeof place, "%s.parts[%zu]", where, i++);
        if (!json_is_string(text) && !json_is_object(data))
            return sim_refuse(error, 400, "", "",
                "* GenerateContentRequest.%s.data: required oneof field 'data' must have "
                "one initialized field (the simulator takes text and inlineData)",
                place);
        if (text ? !sim_request_text(request, json_text(text, ""), error)
                 : !inline_read(request, data, place, error))
            return 0;
    }
    return 1;
}

static int contents_read(struct sim_request *request, struct sim_error *error)
{
    const struct json *system =
        get(request->body, "systemInstruction", "system_instruction");
    const struct json *contents = json_get(request->body, "contents");
    char where[64];
    size_t i = 0;
    if (system && (!sim_request_message(request, "system", error) ||
                      !parts_read(request, system, "system_instruction", error)))
        return 0;
    if (!json_is_array(contents) || !json_size(contents))
        return sim_refuse(error, 400, "", "",
            "* GenerateContentRequest.contents: contents is not specified");
    for (const struct json *item = json_first(contents); item; item = json_next(item)) {
        const char *role = json_text(json_get(item, "role"), "user");
        int model = text_equal(role, "model");
        if (!model && !text_equal(role, "user"))
            return sim_refuse(
                error, 400, "", "", "Please use a valid role: user, model.");
        snprintf(where, sizeof where, "contents[%zu]", i++);
        if (!sim_request_message(request, model ? "assistant" : "user", error) ||
            !parts_read(request, item, where, error))
            return 0;
    }
    return 1;
}

static int read_body(struct sim_request *request, struct sim_error *error)
{
    static const char *const top[] = { "contents", "systemInstruction",
        "system_instruction", "generationConfig", "generation_config", "safetySettings",
        "safety_settings", "tools", "toolConfig", "tool_config", "cachedContent",
        "cached_content", "model", "labels", "store", "serviceTier", "service_tier" };
    static const char *const config_names[] = { "stopSequences", "responseMimeType",
        "responseSchema", "responseJsonSchema", "_responseJsonSchema",
        "responseModalities", "candidateCount", "maxOutputTokens", "temperature", "topP",
        "topK", "seed", "presencePenalty", "frequencyPenalty", "responseLogprobs",
        "logprobs", "enableEnhancedCivicAnswers", "speechConfig", "thinkingConfig",
        "imageConfig", "mediaResolution", "stop_sequences", "response_mime_type",
        "response_schema", "response_json_schema", "response_modalities",
        "candidate_count", "max_output_tokens", "top_p", "top_k", "presence_penalty",
        "frequency_penalty", "response_logprobs", "speech_config", "thinking_config",
        "image_config", "media_resolution" };
    const struct json *config =
        get(request->body, "generationConfig", "generation_config");
    const char *limit =
        json_get(config, "maxOutputTokens") ? "maxOutputTokens" : "max_output_tokens";
    return names_check(request->body, top, COUNT_OF(top), "", error) &&
           names_check(config, config_names, COUNT_OF(config_names), "generation_config",
               error) &&
           sim_range_check(config, "temperature", 0, 2, "temperature", error) &&
           sim_range_check(config, "topP", 0, 1, "topP", error) &&
           sim_range_check(config, "candidateCount", 1, 1, "candidateCount", error) &&
           sim_limit_read(request, config, limit, limit, error) &&
           contents_read(request, error);
}

/* --- the answer --- */

/* Cached tokens lie inside promptTokenCount; what is 0 is left out. */
static void usage_set(const struct sim_reply *reply, struct json *root, int64_t output)
{
    if (!reply->has_usage)
        return;
    struct json *usage = json_set_object(root, "usageMetadata");
    json_set_int(usage, "promptTokenCount", reply->prompt_tokens);
    if (output)
        json_set_int(usage, "candidatesTokenCount", output);
    json_set_int(usage, "totalTokenCount", reply->prompt_tokens + output);
    if (reply->cached_tokens)
        json_set_int(usage, "cachedContentTokenCount", reply->cached_tokens);
}

static void tail_set(const struct sim_reply *reply, struct json *root)
{
    json_set_text(root, "modelVersion", reply->model);
    json_set_text(root, "responseId", reply->id);
}

/* A response with one candidate; text and reason may be NULL. */
static struct json *response(
    const struct sim_reply *reply, const char *text, const char *reason, int64_t output)
{
    struct json *root = json_new_object();
    struct json *candidate = json_add_object(json_set_array(root, "candidates"));
    if (text) {
        struct json *content = json_set_object(candidate, "content");
        struct json *part = json_add_object(json_set_array(content, "parts"));
        json_set_text(part, "text", text);
        json_set_text(content, "role", "model");
    }
    if (reason)
        json_set_text(candidate, "finishReason", reason);
    json_set_int(candidate, "index", 0);
    if (text_equal(reason, "SAFETY")) {
        struct json *rating = json_add_object(json_set_array(candidate, "safetyRatings"));
        json_set_text(rating, "category", "HARM_CATEGORY_DANGEROUS_CONTENT");
        json_set_text(rating, "probability", "MEDIUM");
        json_set_bool(rating, "blocked", 1);
    }
    usage_set(reply, root, output);
    tail_set(reply, root);
    return root;
}

static struct json *blocked(const struct sim_reply *reply)
{
    struct json *root = json_new_object();
    struct json *feedback = json_set_object(root, "promptFeedback");
    json_set_text(feedback, "blockReason", "PROHIBITED_CONTENT");
    usage_set(reply, root, 0);
    tail_set(reply, root);
    return root;
}

static const char *reason_of(const struct sim_reply *reply)
{
    if (reply->way == WAY_OUTPUT)
        return "SAFETY";
    return reply->is_cut ? "MAX_TOKENS" : "STOP";
}

static struct json *write_whole(const struct sim_reply *reply)
{
    if (reply->way == WAY_PROMPT)
        return blocked(reply);
    return response(reply, reply->way == WAY_OUTPUT ? NULL : reply->text,
        reason_of(reply), reply->completion_tokens);
}

static struct json *piece(const struct sim_stream *stream, const char *text)
{
    return response(stream->reply, text, NULL, stream->tokens_out);
}

static void write_stream(struct sim_stream *stream)
{
    const struct sim_reply *reply = stream->reply;
    sim_stream_begin(stream, reply->as_array ? FRAMING_ARRAY : FRAMING_SSE_CRLF);
    if (reply->way == WAY_PROMPT) {
        sim_stream_event(stream, NULL, blocked(reply));
        return;
    }
    if (reply->way != WAY_OUTPUT)
        sim_stream_text(stream, NULL, piece);
    sim_stream_event(stream, NULL,
        response(reply, reply->way == WAY_OUTPUT ? NULL : "", reason_of(reply),
            reply->completion_tokens));
}

/* --- errors --- */

static const char *status_word(int status)
{
    switch (status) {
    case 400: return "INVALID_ARGUMENT";
    case 401: return "UNAUTHENTICATED";
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 429: return "RESOURCE_EXHAUSTED";
    case 503: return "UNAVAILABLE";
    case 504: return "DEADLINE_EXCEEDED";
    default: return status >= 500 || status == 200 ? "INTERNAL" : "FAILED_PRECONDITION";
    }
}

static struct json *detail_add(struct json *details, const char *type)
{
    char name[96];
    struct json *detail = json_add_object(details);
    snprintf(name, sizeof name, "type.googleapis.com/google.rpc.%s", type);
    json_set_text(detail, "@type", name);
    return detail;
}

static void details_set(const struct sim_error *error, struct json *body)
{
    int wait = error->retry_ms >= 0;
    int quota = text_equal(error->code, REASON_QUOTA);
    int key = text_equal(error->code, REASON_KEY);
    if (!wait && !quota && !key)
        return;
    struct json *details = json_set_array(body, "details");
    if (key) {
        struct json *info = detail_add(details, "ErrorInfo");
        json_set_text(info, "reason", REASON_KEY);
        json_set_text(info, "domain", "googleapis.com");
        return;
    }
    struct json *failure = detail_add(details, "QuotaFailure");
    struct json *violation = json_add_object(json_set_array(failure, "violations"));
    json_set_text(violation, "quotaId",
        quota ? "GenerateRequestsPerDayPerProjectPerModel"
              : "GenerateRequestsPerMinutePerProjectPerModel");
    if (wait) {
        char delay[32];
        snprintf(delay, sizeof delay, "%lld.%03llds", (long long)error->retry_ms / 1000,
            (long long)error->retry_ms % 1000);
        json_set_text(detail_add(details, "RetryInfo"), "retryDelay", delay);
    }
}

static struct json *error_json(const struct sim_error *error, const char *request_id)
{
    (void)request_id;
    struct json *root = json_new_object();
    struct json *body = json_set_object(root, "error");
    json_set_int(body, "code", error->status == 200 ? 500 : error->status);
    json_set_text(body, "message", error->message);
    json_set_text(body, "status", status_word(error->status));
    details_set(error, body);
    return root;
}

static void stream_error(struct sim_stream *stream, const struct sim_error *error)
{
    sim_stream_event(stream, NULL, error_json(error, ""));
}

static void add_headers(const struct sim_head *head, struct http_answer *answer)
{
    http_answer_header(answer, "server-timing", "gfet4t7; dur=%lld",
        (long long)(head->processing_ns / 1000000));
}

/* --- the table row --- */

static const struct sim_failure_words failures[N_SIM_FAILURES] = {
    [FAIL_KEY] = { 400, NULL, REASON_KEY,
        "API key not valid. Please pass a valid API key." },
    [FAIL_TOO_LARGE] = { 413, NULL, NULL, "Request payload size exceeds the limit." },
    [FAIL_MODEL] = { 404, NULL, NULL,
        "models/{model} is not found for API version v1beta, or is not supported for "
        "generateContent." },
    [FAIL_METHOD] = { 405, NULL, NULL, "Method not allowed." },
    [FAIL_RATE_LIMIT] = { 429, NULL, NULL,
        "You exceeded your current quota of requests per minute. (simulated)" },
    [FAIL_SERVER] = { 500, NULL, NULL, "An internal error has occurred. (simulated)" },
    [FAIL_UNAVAILABLE] = { 503, NULL, NULL,
        "The model is overloaded. Please try again later. (simulated)" },
    [FAIL_IN_STREAM] = { 200, NULL, NULL, "An internal error has occurred. (simulated)" },
    [FAIL_QUOTA] = { 429, NULL, REASON_QUOTA,
        "You exceeded your current quota, please check your plan and billing details. "
        "(simulated)" },
    [FAIL_PAYMENT] = { 402, NULL, NULL, "Billing is not active. (simulated)" },
};
static const char *const ignored[] = { "labels", "store", "serviceTier", "service_tier",
    NULL };
static const enum sim_way ways[] = { WAY_PROMPT, WAY_OUTPUT };

const struct sim_protocol sim_gemini = {
    .name = "gemini",
    .id_prefix = "",
    .n_id_digits = 22,
    .request_id_prefix = "",
    .key_header = "x-goog-api-key",
    .scope = "gemini",
    .ignored = ignored,
    .ways = ways,
    .n_ways = COUNT_OF(ways),
    .failures = failures,
    .route = match_path,
    .check = check_request,
    .read = read_body,
    .headers = add_headers,
    .error = error_json,
    .whole = write_whole,
    .stream = write_stream,
    .stream_error = stream_error,
};
