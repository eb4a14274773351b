/* sim_ollama.c - Ollama: POST {any prefix}/api/chat; streams are NDJSON. */
#include <stdio.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_protocol.h"

#define LOAD_NS 20000000 /* of a model that is in memory; within the first token's time */

/* --- the request --- */

static int match_path(const char *path, struct sim_route *route)
{
    route->stream = 1; /* unless the body says otherwise */
    return text_ends(path, "/api/chat");
}

static int message_read(struct sim_request *request, const struct json *item, size_t i,
    struct sim_error *error)
{
    static const char *const roles[] = { "system", "user", "assistant" };
    const struct json *content = json_get(item, "content");
    const struct json *images = json_get(item, "images");
    const char *role = json_text(json_get(item, "role"), "");
    char where[64];
    size_t k = 0;
    while (k < COUNT_OF(roles) && !text_equal(roles[k], role))
        k++;
    if (k == COUNT_OF(roles))
        return sim_refuse(error, 400, "", "",
            "invalid role: \"%.40s\" (messages[%zu]), must be one of [\"user\", "
            "\"assistant\", \"system\"]",
            role, i);
    if (!sim_request_message(request, roles[k], error))
        return 0;
    if (content && !json_is_string(content))
        return sim_refuse(error, 400, "", "",
            "json: cannot unmarshal into Go struct field ChatRequest.messages.content of "
            "type string (messages[%zu])",
            i);
    if (images && !json_is_null(images) && !json_is_array(images))
        return sim_refuse(error, 400, "", "",
            "json: cannot unmarshal into Go struct field ChatRequest.messages.images "
            "(messages[%zu])",
            i);
    snprintf(where, sizeof where, "messages[%zu].images", i);
    if (!sim_request_text(request, json_text(content, ""), error))
        return 0;
    request->label = ""; /* images come before or behind all the text: no label is sure */
    for (const struct json *image = json_first(images); image; image = json_next(image))
        if (!sim_request_image(request, json_text(image, ""), NULL, NULL, where, error))
            return 0;
    return 1;
}

/* num_predict: -1 and -2 stand for no limit. */
static int options_read(struct sim_request *request, struct sim_error *error)
{
    const struct json *options = json_get(request->body, "options");
    const struct json *limit = json_get(options, "num_predict");
    if (options && !json_is_object(options) && !json_is_null(options))
        return sim_refuse(error, 400, "", "",
            "json: cannot unmarshal into Go struct field ChatRequest.options");
    if (limit && (!json_is_int(limit) || json_int(limit, 0) < -2))
        return sim_refuse(error, 400, "", "",
            "option \"num_predict\" must be of type integer, at least -2");
    if (json_int(limit, 0) > 0)
        request->max_tokens = json_int(limit, 0);
    return sim_range_check(options, "temperature", 0, 1e6, "temperature", error) &&
           sim_range_check(options, "num_ctx", 1, 1e9, "num_ctx", error);
}

static int read_body(struct sim_request *request, struct sim_error *error)
{
    const struct json *messages = json_get(request->body, "messages");
    size_t i = 0;
    if (!json_is_string(json_get(request->body, "model")))
        return sim_refuse(error, 400, "", "", "model is required");
    if (!sim_request_model(request, error) || !sim_stream_read(request, error) ||
        !options_read(request, error))
        return 0;
    if (!json_is_array(messages) || !json_size(messages))
        return sim_refuse(error, 400, "", "",
            "the simulator needs messages: an array that is not empty");
    for (const struct json *item = json_first(messages); item; item = json_next(item))
        if (!message_read(request, item, i++, error))
            return 0;
    return 1;
}

/* --- the answer --- */

static struct json *line(const struct sim_reply *reply, const char *text, int done)
{
    struct json *root = json_new_object();
    json_set_text(root, "model", reply->model);
    json_set_text(root, "created_at", SIM_CREATED_TEXT);
    struct json *message = json_set_object(root, "message");
    json_set_text(message, "role", "assistant");
    json_set_text(message, "content", text);
    if (done)
        json_set_text(root, "done_reason", reply->is_cut ? "length" : "stop");
    json_set_bool(root, "done", done);
    return root;
}

/* The durations are the simulated ones, in nanoseconds. */
static void counts_set(const struct sim_reply *reply, struct json *root)
{
    if (!reply->has_usage)
        return;
    int64_t first = reply->pace.first_token_ns;
    int64_t load = first < 2 * LOAD_NS ? first / 2 : LOAD_NS;
    int64_t output = reply->pace.token_ns * reply->completion_tokens;
    json_set_int(root, "total_duration", first + output);
    json_set_int(root, "load_duration", load);
    json_set_int(root, "prompt_eval_count", reply->prompt_tokens);
    json_set_int(root, "prompt_eval_duration", first - load);
    json_set_int(root, "eval_count", reply->completion_tokens);
    json_set_int(root, "eval_duration", output);
}

static struct json *write_whole(const struct sim_reply *reply)
{
    struct json *root = line(reply, reply->text, 1);
    counts_set(reply, root);
    return root;
}

static struct json *piece(const struct sim_stream *stream, const char *text)
{
    return line(stream->reply, text, 0);
}

static void write_stream(struct sim_stream *stream)
{
    sim_stream_begin(stream, FRAMING_NDJSON);
    sim_stream_text(stream, NULL, piece);
    struct json *last = line(stream->reply, "", 1);
    counts_set(stream->reply, last);
    sim_stream_event(stream, NULL, last);
}

static struct json *error_json(const struct sim_error *error, const char *request_id)
{
    (void)request_id;
    struct json *root = json_new_object();
    json_set_text(root, "error", error->message);
    return root;
}

static void stream_error(struct sim_stream *stream, const struct sim_error *error)
{
    sim_stream_event(stream, NULL, error_json(error, ""));
}

static void add_headers(const struct sim_head *head, struct http_answer *answer)
{
    (void)head;
    (void)answer; /* a local server sends none of its own */
}

/* --- the table row --- */

static const struct sim_failure_words failures[N_SIM_FAILURES] = {
    [FAIL_KEY] = { 401, NULL, NULL, "unauthorized" },
    [FAIL_TOO_LARGE] = { 413, NULL, NULL, "request body too large" },
    [FAIL_MODEL] = { 404, NULL, NULL, "model '{model}' not found" },
    [FAIL_METHOD] = { 405, NULL, NULL, "405 method not allowed" },
    [FAIL_RATE_LIMIT] = { 429, NULL, NULL, "too many concurrent requests (simulated)" },
    [FAIL_SERVER] = { 500, NULL, NULL,
        "llama runner process has terminated (simulated)" },
    [FAIL_UNAVAILABLE] = { 503, NULL, NULL,
        "server busy, please try again.  maximum pending requests exceeded (simulated)" },
    [FAIL_IN_STREAM] = { 200, NULL, NULL,
        "an error was encountered while running the model (simulated)" },
    [FAIL_QUOTA] = { 402, NULL, NULL,
        "you've reached your usage limit, upgrade for higher limits (simulated)" },
    [FAIL_PAYMENT] = { 402, NULL, NULL, "payment required (simulated)" },
};
static const char *const ignored[] = { "stream", "keep_alive", NULL };

const struct sim_protocol sim_ollama = {
    .name = "ollama",
    .id_prefix = "",
    .n_id_digits = 16,
    .request_id_prefix = "",
    .scope = "ollama",
    .ignored = ignored,
    .failures = failures,
    .route = match_path,
    .read = read_body,
    .headers = add_headers,
    .error = error_json,
    .whole = write_whole,
    .stream = write_stream,
    .stream_error = stream_error,
};
