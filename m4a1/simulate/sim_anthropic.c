/* sim_anthropic.c - Anthropic Messages: POST {any prefix}/v1/messages. */
#include <stdio.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_protocol.h"

#define VERSION_OLD "2023-06-01"
#define VERSION_NEW "2026-10-21" /* refuses sampling parameters */
#define MANY_IMAGES 20
#define MANY_SIDE_PX 2000

/* --- the request --- */

static int match_path(const char *path, struct sim_route *route)
{
    (void)route;
    return text_ends(path, "/v1/messages");
}

static int check_request(
    const struct http_request *http, struct sim_request *request, struct sim_error *error)
{
    static const char *const sampling[] = { "temperature", "top_p", "top_k", NULL };
    const char *version = http_header(http, "anthropic-version");
    if (!version || !*version)
        return sim_refuse(error, 400, "", "", "anthropic-version: header is required");
    if (text_equal(version, VERSION_NEW))
        return sim_members_check(request->body, sampling, "",
            ": Extra inputs are not permitted (since anthropic-version " VERSION_NEW ")",
            error);
    if (!text_equal(version, VERSION_OLD))
        return sim_refuse(error, 400, "", "",
            "anthropic-version: \"%.20s\" is not a valid version. Use \"" VERSION_NEW
            "\" or \"" VERSION_OLD "\".",
            version);
    return 1;
}

static int image_read(struct sim_request *request, const struct json *block,
    const char *where, struct sim_error *error)
{
    static const struct sim_image_rules rules = { 600, 5u << 20, 8000 };
    const struct json *source = json_get(block, "source");
    const char *type = json_text(json_get(source, "media_type"), "");
    const struct json *data = json_get(source, "data");
    char param[128];
    if (!text_equal(json_text(json_get(source, "type"), ""), "base64"))
        return sim_refuse(error, 400, "", "",
            "%s.image.source: the simulator fetches nothing: send \"base64\"", where);
    snprintf(param, sizeof param, "%s.image.source.base64.media_type", where);
    if (!text_equal(type, "image/jpeg") && !text_equal(type, "image/png") &&
        !text_equal(type, "image/gif") && !text_equal(type, "image/webp"))
        return sim_refuse(error, 400, "", "",
            "%s: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
            param);
    snprintf(param, sizeof param, "%s.image.source.base64.data", where);
    if (!json_is_string(data))
        return sim_refuse(error, 400, "", "", "%s: Field required", param);
    return sim_request_image(request, json_text(data, ""), type, &rules, param, error);
}

static int block_read(struct sim_request *request, const char *role,
    const struct json *block, const char *where, struct sim_error *error)
{
    const char *type = json_text(json_get(block, "type"), "");
    if (text_equal(type, "text")) {
        const char *text = json_text(json_get(block, "text"), "");
        if (!*text)
            return sim_refuse(
                error, 400, "", "", "%s: text content blocks must be non-empty", where);
        return sim_request_text(request, text, error);
    }
    if (!text_equal(type, "image") || !text_equal(role, "user"))
        return sim_refuse(error, 400, "", "",
            "%s: Input tag '%.40s' found using 'type' does not match any of the "
            "expected tags here: 'text', 'image' (of users)",
            where, type);
    return image_read(request, block, where, error);
}

/* A text or blocks of a message that was begun. */
static int content_read(struct sim_request *request, const char *role,
    const struct json *content, const char *where, struct sim_error *error)
{
    char place[96];
    size_t i = 0;
    if (json_is_string(content)) {
        if (!*json_text(content, ""))
            return sim_refuse(
                error, 400, "", "", "%s: text content must be non-empty", where);
        return sim_request_text(request, json_text(content, ""), error);
    }
    if (!json_is_array(content) || !json_size(content))
        return sim_refuse(error, 400, "", "",
            "%s: Input should be a valid string or a list that is not empty", where);
    for (const struct json *block = json_first(content); block;
         block = json_next(block)) {
        snprintf(place, sizeof place, "%s.%zu", where, i++);
        if (!block_read(request, role, block, place, error))
            return 0;
    }
    return 1;
}

static int message_read(struct sim_request *request, const struct json *item, size_t i,
    struct sim_error *error)
{
    const char *role = json_text(json_get(item, "role"), "");
    const char *known = text_equal(role, "user")        ? "user"
                        : text_equal(role, "assistant") ? "assistant"
                                                        : NULL;
    char where[64];
    if (text_equal(role, "system"))
        return sim_refuse(error, 400, "", "",
            "messages: Unexpected role \"system\". The Messages API accepts a top-level "
            "`system` parameter, not \"system\" as an input message role.");
    if (!known)
        return sim_refuse(error, 400, "", "",
            "messages.%zu.role: Input should be 'user' or 'assistant'", i);
    snprintf(where, sizeof where, "messages.%zu.content", i);
    return sim_request_message(request, known, error) &&
           content_read(request, known, json_get(item, "content"), where, error);
}

/* With more than 20 images in a request, each has a lower ceiling. */
static int many_images_check(const struct sim_request *request, struct sim_error *error)
{
    for (size_t i = 0; request->n_images > MANY_IMAGES && i < request->n_images; i++)
        if (request->images[i].width_px > MANY_SIDE_PX ||
            request->images[i].height_px > MANY_SIDE_PX)
            return sim_refuse(error, 400, "", "",
                "At least one of the image dimensions exceed max allowed size for "
                "many-image requests: %d pixels",
                MANY_SIDE_PX);
    return 1;
}

static int messages_read(struct sim_request *request, struct sim_error *error)
{
    const struct json *system = json_get(request->body, "system");
    const struct json *messages = json_get(request->body, "messages");
    size_t i = 0;
    if (system && (!sim_request_message(request, "system", error) ||
                      !content_read(request, "system", system, "system", error)))
        return 0;
    if (!json_is_array(messages))
        return sim_refuse(error, 400, "", "", "messages: %s",
            messages ? "Input should be a valid list" : "Field required");
    if (!json_size(messages))
        return sim_refuse(
            error, 400, "", "", "messages: at least one message is required");
    for (const struct json *item = json_first(messages); item; item = json_next(item))
        if (!message_read(request, item, i++, error))
            return 0;
    return many_images_check(request, error);
}

static int read_body(struct sim_request *request, struct sim_error *error)
{
    /* Names of other vendors; the real API takes no unknown name at all. */
    static const char *const foreign[] = { "seed", "n", "max_completion_tokens",
        "max_output_tokens", "stop", "stream_options", "response_format",
        "presence_penalty", "frequency_penalty", NULL };
    const struct json *body = request->body;
    if (!sim_request_model(request, error) ||
        !sim_members_check(
            body, foreign, "", ": Extra inputs are not permitted", error) ||
        !sim_stream_read(request, error))
        return 0;
    if (!json_get(body, "max_tokens"))
        return sim_refuse(error, 400, "", "", "max_tokens: Field required");
    return sim_limit_read(request, body, "max_tokens", "max_tokens", error) &&
           sim_range_check(body, "temperature", 0, 1, "temperature", error) &&
           sim_range_check(body, "top_p", 0, 1, "top_p", error) &&
           messages_read(request, error);
}

/* --- the answer --- */

/* Cached tokens lie beside input_tokens, not inside. */
static void usage_set(const struct sim_reply *reply, struct json *object, int64_t output)
{
    struct json *usage = json_set_object(object, "usage");
    json_set_int(usage, "input_tokens", reply->prompt_tokens - reply->cached_tokens);
    json_set_int(usage, "cache_creation_input_tokens", 0);
    json_set_int(usage, "cache_read_input_tokens", reply->cached_tokens);
    json_set_int(usage, "output_tokens", output);
    json_set_text(usage, "service_tier", "standard");
}

static void stop_set(const struct sim_reply *reply, struct json *object)
{
    json_set_text(object, "stop_reason",
        reply->way == WAY_FIELD ? "refusal"
        : reply->is_cut         ? "max_tokens"
                                : "end_turn");
    json_set_null(object, "stop_sequence");
    if (reply->way == WAY_FIELD) {
        struct json *details = json_set_object(object, "stop_details");
        json_set_text(details, "type", "refusal");
        json_set_null(details, "category");
        json_set_text(details, "explanation", reply->text);
    }
}

/* Fills a message up to its content, which is returned. */
static struct json *message_fill(struct json *root, const struct sim_reply *reply)
{
    json_set_text(root, "id", reply->id);
    json_set_text(root, "type", "message");
    json_set_text(root, "role", "assistant");
    json_set_text(root, "model", reply->model);
    return json_set_array(root, "content");
}

static struct json *write_whole(const struct sim_reply *reply)
{
    struct json *root = json_new_object();
    struct json *content = message_fill(root, reply);
    if (reply->way != WAY_FIELD) {
        struct json *block = json_add_object(content);
        json_set_text(block, "type", "text");
        json_set_text(block, "text", reply->text);
    }
    stop_set(reply, root);
    if (reply->has_usage)
        usage_set(reply, root, reply->completion_tokens);
    return root;
}

static struct json *event_new(const char *type)
{
    struct json *root = json_new_object();
    json_set_text(root, "type", type);
    return root;
}

static void begin_event(struct sim_stream *stream)
{
    struct json *root = event_new("message_start");
    struct json *message = json_set_object(root, "message");
    message_fill(message, stream->reply);
    json_set_null(message, "stop_reason");
    json_set_null(message, "stop_sequence");
    if (stream->reply->has_usage)
        usage_set(stream->reply, message, 1);
    sim_stream_event(stream, "message_start", root);
}

static struct json *piece(const struct sim_stream *stream, const char *text)
{
    (void)stream;
    struct json *root = event_new("content_block_delta");
    json_set_int(root, "index", 0);
    struct json *delta = json_set_object(root, "delta");
    json_set_text(delta, "type", "text_delta");
    json_set_text(delta, "text", text);
    return root;
}

static void block_events(struct sim_stream *stream)
{
    struct json *root = event_new("content_block_start");
    json_set_int(root, "index", 0);
    struct json *block = json_set_object(root, "content_block");
    json_set_text(block, "type", "text");
    json_set_text(block, "text", "");
    sim_stream_event(stream, "content_block_start", root);
    sim_stream_event(stream, "ping", event_new("ping"));
    sim_stream_text(stream, "content_block_delta", piece);
    root = event_new("content_block_stop");
    json_set_int(root, "index", 0);
    sim_stream_event(stream, "content_block_stop", root);
}

static void write_stream(struct sim_stream *stream)
{
    const struct sim_reply *reply = stream->reply;
    sim_stream_begin(stream, FRAMING_SSE);
    begin_event(stream);
    if (reply->way != WAY_FIELD)
        block_events(stream);
    struct json *root = event_new("message_delta");
    stop_set(reply, json_set_object(root, "delta"));
    if (reply->has_usage)
        json_set_int(
            json_set_object(root, "usage"), "output_tokens", reply->completion_tokens);
    sim_stream_event(stream, "message_delta", root);
    sim_stream_event(stream, "message_stop", event_new("message_stop"));
}

/* --- errors and headers --- */

static const char *error_type(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 402: return "billing_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 504: return "timeout_error";
    case 529: return "overloaded_error";
    default: return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

static struct json *error_json(const struct sim_error *error, const char *request_id)
{
    struct json *root = event_new("error");
    struct json *body = json_set_object(root, "error");
    json_set_text(
        body, "type", error->status == 200 ? error->type : error_type(error->status));
    json_set_text(body, "message", error->message);
    if (error->status == 429 && *error->code)
        json_set_text(body, "error_code", error->code);
    if (*request_id)
        json_set_text(root, "request_id", request_id);
    return root;
}

static void stream_error(struct sim_stream *stream, const struct sim_error *error)
{
    sim_stream_event(stream, "error", error_json(error, ""));
}

static void add_headers(const struct sim_head *head, struct http_answer *answer)
{
    static const struct {
        const char *name;
        int64_t limit;
        int counts_tokens;
    } rates[] = { { "requests", 4000, 0 }, { "tokens", SIM_TOKEN_LIMIT, 1 },
        { "input-tokens", SIM_TOKEN_LIMIT, 1 }, { "output-tokens", 400000, 0 } };
    char name[64], reset[32];
    int limited = head->error && head->error->retry_ms >= 0;
    int64_t wait_ms = limited ? head->error->retry_ms : 1000;
    http_answer_header(answer, "request-id", "%s", head->request_id);
    http_answer_header(
        answer, "anthropic-organization-id", "00000000-0000-4000-8000-000000000000");
    clock_iso8601(clock_wall_ms() + wait_ms, reset, sizeof reset);
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        int64_t left =
            rates[i].limit - (rates[i].counts_tokens ? head->prompt_tokens : 1);
        if (limited && i == 0)
            left = 0;
        snprintf(name, sizeof name, "anthropic-ratelimit-%s-limit", rates[i].name);
        http_answer_header(answer, name, "%lld", (long long)rates[i].limit);
        snprintf(name, sizeof name, "anthropic-ratelimit-%s-remaining", rates[i].name);
        http_answer_header(answer, name, "%lld", (long long)(left > 0 ? left : 0));
        snprintf(name, sizeof name, "anthropic-ratelimit-%s-reset", rates[i].name);
        http_answer_header(answer, name, "%s", reset);
    }
    sim_retry_after(head, answer);
}

/* --- the table row --- */

static const struct sim_failure_words failures[N_SIM_FAILURES] = {
    [FAIL_KEY] = { 401, NULL, NULL, "invalid x-api-key" },
    [FAIL_TOO_LARGE] = { 413, NULL, NULL, "Request exceeds the maximum size" },
    [FAIL_MODEL] = { 404, NULL, NULL, "model: {model}" },
    [FAIL_METHOD] = { 405, NULL, NULL, "Method Not Allowed" },
    [FAIL_RATE_LIMIT] = { 429, NULL, NULL,
        "This request would exceed the rate limit for your organization of 4000 requests "
        "per minute. (simulated)" },
    [FAIL_SERVER] = { 500, NULL, NULL, "Internal server error (simulated)" },
    [FAIL_UNAVAILABLE] = { 503, NULL, NULL, "Service unavailable (simulated)" },
    [FAIL_OVERLOADED] = { 529, NULL, NULL, "Overloaded (simulated)" },
    [FAIL_IN_STREAM] = { 200, "overloaded_error", NULL, "Overloaded (simulated)" },
    [FAIL_QUOTA] = { 429, NULL, "enforced_spend_limit_reached",
        "This workspace has reached its spend limit. (simulated)" },
    [FAIL_PAYMENT] = { 402, NULL, NULL,
        "Your credit balance is too low to access the API. (simulated)" },
};
static const char *const ignored[] = { "stream", "metadata", "service_tier", NULL };
static const enum sim_way ways[] = { WAY_FIELD };

const struct sim_protocol sim_anthropic = {
    .name = "anthropic",
    .id_prefix = "msg_01",
    .n_id_digits = 22,
    .request_id_prefix = "req_01",
    .n_request_id_digits = 22,
    .key_header = "x-api-key",
    .scope = "anthropic",
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
