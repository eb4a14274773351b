/* sim_openai_responses.c - OpenAI Responses: POST {any prefix}/v1/responses. */
#include <stdio.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_protocol.h"

/* --- the request --- */

static int image_read(struct sim_request *request, const struct json *part,
    const char *where, struct sim_error *error)
{
    char param[128];
    snprintf(param, sizeof param, "%s.image_url", where);
    const struct json *url = json_get(part, "image_url");
    if (!json_is_string(url))
        return sim_refuse(error, 400, url ? "invalid_type" : "missing_required_parameter",
            param, "Invalid or missing '%s': expected a string (a data URL).", param);
    const char *level = json_text(json_get(part, "detail"), "auto");
    if (!text_equal(level, "auto") && !text_equal(level, "low") &&
        !text_equal(level, "high") && !text_equal(level, "original")) {
        snprintf(param, sizeof param, "%s.detail", where);
        return sim_refuse(error, 400, "invalid_value", param,
            "Invalid value: '%.20s'. Supported values are: 'low', 'high', 'auto' and "
            "'original'.",
            level);
    }
    return sim_request_data_url(
        request, json_text(url, ""), text_equal(level, "low"), param, error);
}

static int part_read(struct sim_request *request, const char *role,
    const struct json *part, const char *where, struct sim_error *error)
{
    const char *type = json_text(json_get(part, "type"), "");
    int answers = text_equal(role, "assistant");
    const char *key = answers && text_equal(type, "refusal") ? "refusal" : "text";
    if (text_equal(type, answers ? "output_text" : "input_text") ||
        text_equal(key, "refusal")) {
        const struct json *value = json_get(part, key);
        if (!json_is_string(value))
            return sim_refuse(error, 400, "invalid_type", where,
                "Invalid type for '%s.%s': expected a string.", where, key);
        return sim_request_text(request, json_text(value, ""), error);
    }
    if (answers || !text_equal(type, "input_image"))
        return sim_refuse(error, 400, "invalid_value", where,
            "Invalid value: '%.40s' at '%s'. Supported values are: %s.", type, where,
            answers ? "'output_text' and 'refusal'" : "'input_text' and 'input_image'");
    return image_read(request, part, where, error);
}

static int item_read(struct sim_request *request, const struct json *item, size_t i,
    struct sim_error *error)
{
    static const char *const roles[] = { "system", "developer", "user", "assistant" };
    const struct json *content = json_get(item, "content");
    const char *role = json_text(json_get(item, "role"), "");
    char where[64];
    size_t k = 0, n = 0;
    while (k < COUNT_OF(roles) && !text_equal(roles[k], role))
        k++;
    snprintf(where, sizeof where, "input[%zu]", i);
    if (k == COUNT_OF(roles) ||
        !text_equal(json_text(json_get(item, "type"), "message"), "message"))
        return sim_refuse(error, 400, "invalid_value", where,
            "Invalid '%s': the simulator takes messages, whose roles are 'system', "
            "'developer', 'user' and 'assistant'.",
            where);
    if (!sim_request_message(request, roles[k], error))
        return 0;
    if (json_is_string(content))
        return sim_request_text(request, json_text(content, ""), error);
    if (!json_is_array(content))
        return sim_refuse(error, 400, "invalid_type", where,
            "Invalid or missing '%s.content': expected a string or an array.", where);
    for (const struct json *part = json_first(content); part; part = json_next(part)) {
        snprintf(where, sizeof where, "input[%zu].content[%zu]", i, n++);
        if (!part_read(request, roles[k], part, where, error))
            return 0;
    }
    return 1;
}

static int input_read(struct sim_request *request, struct sim_error *error)
{
    const struct json *input = json_get(request->body, "input");
    const struct json *instructions = json_get(request->body, "instructions");
    size_t i = 0;
    if (json_is_string(instructions) &&
        (!sim_request_message(request, "system", error) ||
            !sim_request_text(request, json_text(instructions, ""), error)))
        return 0;
    if (json_is_string(input))
        return sim_request_message(request, "user", error) &&
               sim_request_text(request, json_text(input, ""), error);
    if (!json_is_array(input) || !json_size(input))
        return sim_refuse(error, 400,
            input ? "invalid_type" : "missing_required_parameter", "input",
            input ? "Invalid type for 'input': expected a string or an array with "
                    "items."
                  : "Missing required parameter: 'input'.");
    for (const struct json *item = json_first(input); item; item = json_next(item))
        if (!item_read(request, item, i++, error))
            return 0;
    return 1;
}

static int read_body(struct sim_request *request, struct sim_error *error)
{
    static const char *const chat_only[] = { "messages", "max_tokens",
        "max_completion_tokens", "seed", "n", "stop", "frequency_penalty",
        "presence_penalty", "response_format", NULL };
    const struct json *body = request->body;
    return sim_request_model(request, error) &&
           sim_members_check(body, chat_only, "Unsupported parameter: '",
               "' is not supported in the Responses API.", error) &&
           sim_stream_read(request, error) &&
           sim_range_check(body, "temperature", 0, 2, "temperature", error) &&
           sim_range_check(body, "top_p", 0, 1, "top_p", error) &&
           sim_limit_read(
               request, body, "max_output_tokens", "max_output_tokens", error) &&
           input_read(request, error);
}

static int match_path(const char *path, struct sim_route *route)
{
    (void)route;
    return text_ends(path, "/v1/responses");
}

/* --- the answer --- */

/* The message's id: that of the response with another prefix. */
static void id_set(const struct sim_reply *reply, struct json *object, const char *key)
{
    char id[80];
    snprintf(id, sizeof id, "msg_%s", reply->id + sizeof "resp_" - 1);
    json_set_text(object, key, id);
}

static void part_fill(struct json *part, const struct sim_reply *reply, const char *text)
{
    int refused = reply->way == WAY_FIELD;
    json_set_text(part, "type", refused ? "refusal" : "output_text");
    json_set_text(part, refused ? "refusal" : "text", text);
    if (!refused) {
        json_set_array(part, "annotations");
        json_set_array(part, "logprobs");
    }
}

static const char *status_of(const struct sim_reply *reply)
{
    return reply->is_cut || reply->way == WAY_OUTPUT ? "incomplete" : "completed";
}

/* whole: with its text; else as it stands when it begins. */
static void message_fill(struct json *item, const struct sim_reply *reply, int whole)
{
    id_set(reply, item, "id");
    json_set_text(item, "type", "message");
    json_set_text(item, "role", "assistant");
    json_set_text(item, "status", whole ? status_of(reply) : "in_progress");
    struct json *content = json_set_array(item, "content");
    if (whole && reply->way != WAY_OUTPUT)
        part_fill(json_add_object(content), reply, reply->text);
}

static void usage_set(const struct sim_reply *reply, struct json *root)
{
    struct json *usage = json_set_object(root, "usage");
    json_set_int(usage, "input_tokens", reply->prompt_tokens);
    struct json *input = json_set_object(usage, "input_tokens_details");
    json_set_int(input, "cached_tokens", reply->cached_tokens);
    json_set_int(input, "cache_write_tokens", 0);
    json_set_int(usage, "output_tokens", reply->completion_tokens);
    json_set_int(json_set_object(usage, "output_tokens_details"), "reasoning_tokens", 0);
    json_set_int(usage, "total_tokens", reply->prompt_tokens + reply->completion_tokens);
}

static void fill_settings(struct json *root, const struct sim_reply *reply)
{
    json_set_null(root, "instructions");
    json_set_null(root, "max_output_tokens");
    json_set_object(root, "metadata");
    json_set_text(root, "model", reply->model);
    json_set_bool(root, "parallel_tool_calls", 1);
    json_set_null(root, "previous_response_id");
    json_set_text(root, "service_tier", "default");
    json_set_number(root, "temperature", 1);
    json_set_text(
        json_set_object(json_set_object(root, "text"), "format"), "type", "text");
    json_set_text(root, "tool_choice", "auto");
    json_set_array(root, "tools");
    json_set_number(root, "top_p", 1);
    json_set_text(root, "truncation", "disabled");
}

static void response_fill(struct json *root, const struct sim_reply *reply, int whole)
{
    json_set_text(root, "id", reply->id);
    json_set_text(root, "object", "response");
    json_set_int(root, "created_at", SIM_CREATED);
    json_set_text(root, "status", whole ? status_of(reply) : "in_progress");
    json_set_null(root, "error");
    if (whole && text_equal(status_of(reply), "incomplete"))
        json_set_text(json_set_object(root, "incomplete_details"), "reason",
            reply->way == WAY_OUTPUT ? "content_filter" : "max_output_tokens");
    else
        json_set_null(root, "incomplete_details");
    fill_settings(root, reply);
    struct json *output = json_set_array(root, "output");
    if (whole)
        message_fill(json_add_object(output), reply, 1);
    if (whole && reply->has_usage)
        usage_set(reply, root);
}

static struct json *write_whole(const struct sim_reply *reply)
{
    struct json *root = json_new_object();
    response_fill(root, reply, 1);
    return root;
}

/* --- streams --- */

static struct json *event_new(const struct sim_stream *stream, const char *type)
{
    struct json *root = json_new_object();
    json_set_text(root, "type", type);
    json_set_int(root, "sequence_number", (int64_t)stream->n_events);
    return root;
}

static void response_event(struct sim_stream *stream, const char *type, int whole)
{
    struct json *root = event_new(stream, type);
    response_fill(json_set_object(root, "response"), stream->reply, whole);
    sim_stream_event(stream, type, root);
}

static void item_event(struct sim_stream *stream, const char *type, int whole)
{
    struct json *root = event_new(stream, type);
    json_set_int(root, "output_index", 0);
    message_fill(json_set_object(root, "item"), stream->reply, whole);
    sim_stream_event(stream, type, root);
}

static struct json *part_event(const struct sim_stream *stream, const char *type)
{
    struct json *root = event_new(stream, type);
    id_set(stream->reply, root, "item_id");
    json_set_int(root, "output_index", 0);
    json_set_int(root, "content_index", 0);
    return root;
}

static struct json *piece(const struct sim_stream *stream, const char *text)
{
    int refused = stream->reply->way == WAY_FIELD;
    struct json *root = part_event(
        stream, refused ? "response.refusal.delta" : "response.output_text.delta");
    json_set_text(root, "delta", text);
    if (!refused)
        json_set_array(root, "logprobs");
    return root;
}

static void text_events(struct sim_stream *stream)
{
    const struct sim_reply *reply = stream->reply;
    int refused = reply->way == WAY_FIELD;
    const char *done = refused ? "response.refusal.done" : "response.output_text.done";
    struct json *part = part_event(stream, "response.content_part.added");
    part_fill(json_set_object(part, "part"), reply, "");
    sim_stream_event(stream, "response.content_part.added", part);
    sim_stream_text(
        stream, refused ? "response.refusal.delta" : "response.output_text.delta", piece);
    struct json *root = part_event(stream, done);
    json_set_text(root, refused ? "refusal" : "text", reply->text);
    if (!refused)
        json_set_array(root, "logprobs");
    sim_stream_event(stream, done, root);
    part = part_event(stream, "response.content_part.done");
    part_fill(json_set_object(part, "part"), reply, reply->text);
    sim_stream_event(stream, "response.content_part.done", part);
}

static void write_stream(struct sim_stream *stream)
{
    const struct sim_reply *reply = stream->reply;
    sim_stream_begin(stream, FRAMING_SSE);
    response_event(stream, "response.created", 0);
    response_event(stream, "response.in_progress", 0);
    item_event(stream, "response.output_item.added", 0);
    if (reply->way != WAY_OUTPUT)
        text_events(stream);
    item_event(stream, "response.output_item.done", 1);
    response_event(stream,
        text_equal(status_of(reply), "incomplete") ? "response.incomplete"
                                                   : "response.completed",
        1);
}

static void stream_error(struct sim_stream *stream, const struct sim_error *error)
{
    struct json *root = event_new(stream, "error");
    json_set_text(root, "code", error->code);
    json_set_text(root, "message", error->message);
    json_set_null(root, "param");
    sim_stream_event(stream, "error", root);
}

/* --- the table row --- */

static const char *const ignored[] = { "stream", "stream_options", "user", "metadata",
    "store", "service_tier", "safety_identifier", "prompt_cache_key", "include", NULL };
static const enum sim_way ways[] = { WAY_FIELD, WAY_OUTPUT };

const struct sim_protocol sim_openai_responses = {
    .name = "openai-responses",
    .id_prefix = "resp_",
    .n_id_digits = 48,
    .request_id_prefix = "req_",
    .n_request_id_digits = 32,
    .scope = "openai-responses",
    .ignored = ignored,
    .ways = ways,
    .n_ways = COUNT_OF(ways),
    .failures = sim_openai_failures,
    .route = match_path,
    .read = read_body,
    .headers = sim_openai_headers,
    .error = sim_openai_error,
    .whole = write_whole,
    .stream = write_stream,
    .stream_error = stream_error,
};
