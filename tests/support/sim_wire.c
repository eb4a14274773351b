/* sim_wire.c - requests are built member by member, answers walked event by event. */
#include "tests/support/sim_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/event_stream.h"
#include "m4a1/base/text.h"

const char *const wire_names[N_WIRES] = { "openai-chat", "azure-openai",
    "openai-responses", "anthropic", "gemini", "ollama", "bedrock-converse" };

/* --- requests --- */

static void add_text(enum wire wire, struct json *parts, const char *text, int answer)
{
    struct json *part = json_add_object(parts);
    if (wire == WIRE_RESPONSES)
        json_set_text(part, "type", answer ? "output_text" : "input_text");
    else if (wire != WIRE_GEMINI && wire != WIRE_BEDROCK)
        json_set_text(part, "type", "text");
    json_set_text(part, "text", text);
}

static void add_image(
    enum wire wire, struct json *parts, const char *base64, const char *type)
{
    struct json *part = json_add_object(parts), *source;
    char *url = text_format("data:%s;base64,%s", type, base64);
    switch (wire) {
    case WIRE_CHAT:
    case WIRE_AZURE:
        json_set_text(part, "type", "image_url");
        json_set_text(json_set_object(part, "image_url"), "url", url);
        break;
    case WIRE_RESPONSES:
        json_set_text(part, "type", "input_image");
        json_set_text(part, "image_url", url);
        break;
    case WIRE_ANTHROPIC:
        json_set_text(part, "type", "image");
        source = json_set_object(part, "source");
        json_set_text(source, "type", "base64");
        json_set_text(source, "media_type", type);
        json_set_text(source, "data", base64);
        break;
    case WIRE_GEMINI:
        source = json_set_object(part, "inlineData");
        json_set_text(source, "mimeType", type);
        json_set_text(source, "data", base64);
        break;
    default:
        source = json_set_object(part, "image");
        json_set_text(source, "format", type + strlen("image/"));
        json_set_text(json_set_object(source, "source"), "bytes", base64);
    }
    free(url);
}

/* One message; Ollama has its images beside the text, the others labelled within. */
static void add_message(enum wire wire, struct json *list, const char *role,
    const char *text, const struct wire_ask *ask, size_t n_images)
{
    struct json *message = json_add_object(list);
    int answer = text_equal(role, "assistant");
    json_set_text(message, "role", wire == WIRE_GEMINI && answer ? "model" : role);
    if (wire == WIRE_OLLAMA) {
        json_set_text(message, "content", text);
        struct json *images = n_images ? json_set_array(message, "images") : NULL;
        for (size_t i = 0; i < n_images; i++)
            json_add_text(images, ask->images[i]);
        return;
    }
    struct json *parts =
        json_set_array(message, wire == WIRE_GEMINI ? "parts" : "content");
    for (size_t i = 0; i < n_images; i++) {
        add_text(wire, parts, "View side:", 0);
        add_image(wire, parts, ask->images[i], ask->media_type);
    }
    add_text(wire, parts, text, answer);
}

static void set_system(enum wire wire, struct json *body, struct json *list)
{
    struct json *parts;
    switch (wire) {
    case WIRE_RESPONSES: json_set_text(body, "instructions", WIRE_SYSTEM); break;
    case WIRE_ANTHROPIC: json_set_text(body, "system", WIRE_SYSTEM); break;
    case WIRE_GEMINI:
        parts = json_set_array(json_set_object(body, "systemInstruction"), "parts");
        add_text(wire, parts, WIRE_SYSTEM, 0);
        break;
    case WIRE_BEDROCK:
        add_text(wire, json_set_array(body, "system"), WIRE_SYSTEM, 0);
        break;
    default: add_message(wire, list, "system", WIRE_SYSTEM, NULL, 0);
    }
}

static void set_rest(enum wire wire, struct json *body, const struct wire_ask *ask)
{
    int limit = ask->max_tokens ? ask->max_tokens : 500;
    static const char *const names[] = { "max_completion_tokens", "max_completion_tokens",
        "max_output_tokens", "max_tokens", "maxOutputTokens", "num_predict",
        "maxTokens" };
    static const char *const folders[] = { NULL, NULL, NULL, NULL, "generationConfig",
        "options", "inferenceConfig" };
    struct json *folder = folders[wire] ? json_set_object(body, folders[wire]) : body;
    json_set_int(folder, names[wire], limit);
    if (wire != WIRE_GEMINI && wire != WIRE_BEDROCK) {
        if (wire != WIRE_AZURE)
            json_set_text(body, "model", ask->model);
        if (ask->stream || wire == WIRE_OLLAMA)
            json_set_bool(body, "stream", ask->stream);
    }
    if (ask->stream && (wire == WIRE_CHAT || wire == WIRE_AZURE))
        json_set_bool(json_set_object(body, "stream_options"), "include_usage", 1);
}

static void set_path(enum wire wire, const struct wire_ask *ask, struct wire_request *r)
{
    static const char *const paths[] = { "/v1/chat/completions", "", "/v1/responses",
        "/v1/messages", "", "/api/chat", "" };
    if (wire == WIRE_AZURE)
        snprintf(r->path, sizeof r->path,
            "/openai/deployments/%s/chat/completions?api-version=2024-10-21", ask->model);
    else if (wire == WIRE_GEMINI)
        snprintf(r->path, sizeof r->path, "/v1beta/models/%s:%s", ask->model,
            ask->stream ? "streamGenerateContent?alt=sse" : "generateContent");
    else if (wire == WIRE_BEDROCK)
        snprintf(r->path, sizeof r->path, "/model/%s/converse%s", ask->model,
            ask->stream ? "-stream" : "");
    else
        snprintf(r->path, sizeof r->path, "%s", paths[wire]);
    snprintf(r->headers, sizeof r->headers, "Connection: close\r\n%s",
        wire == WIRE_ANTHROPIC ? "anthropic-version: 2023-06-01\r\n" : "");
}

struct wire_request wire_request(enum wire wire, const struct wire_ask *ask)
{
    struct wire_request r = { "", "", NULL };
    struct buffer text;
    struct json *body = json_new_object();
    struct json *list = json_set_array(body, wire == WIRE_RESPONSES ? "input"
                                             : wire == WIRE_GEMINI  ? "contents"
                                                                    : "messages");
    if (ask->history) {
        set_system(wire, body, list);
        add_message(wire, list, "user", WIRE_HISTORY, ask, ask->n_images);
        add_message(wire, list, "assistant", WIRE_ANSWER, ask, 0);
    }
    add_message(wire, list, "user", ask->question, ask, ask->n_images);
    set_rest(wire, body, ask);
    set_path(wire, ask, &r);
    buffer_init(&text, 64u << 20);
    if (json_print(body, JSON_COMPACT, &text, NULL) != OK)
        abort();
    json_free(body);
    r.body = buffer_detach(&text, NULL);
    return r;
}

/* --- answers --- */

static void say(struct buffer *to, const struct json *text)
{
    (void)buffer_add_str(to, json_text(text, ""));
}

static void piece(struct wire_says *out, const struct json *text)
{
    say(&out->text, text);
    out->n_pieces += *json_text(text, "") != '\0';
}

static void stop(struct wire_says *out, const struct json *word)
{
    if (json_is_string(word))
        snprintf(out->stop, sizeof out->stop, "%s", json_text(word, ""));
}

static void count(int64_t *out, const struct json *number)
{
    if (json_is_number(number))
        *out = json_int(number, -1);
}

static void chat(struct wire_says *out, const struct json *j)
{
    const struct json *choice = json_at(json_get(j, "choices"), 0);
    const struct json *usage = json_get(j, "usage");
    const struct json *message = json_get(choice, "message");
    message = message ? message : json_get(choice, "delta");
    piece(out, json_get(message, "content"));
    say(&out->refusal, json_get(message, "refusal"));
    stop(out, json_get(choice, "finish_reason"));
    count(&out->prompt, json_get(usage, "prompt_tokens"));
    count(&out->cached,
        json_get(json_get(usage, "prompt_tokens_details"), "cached_tokens"));
    count(&out->output, json_get(usage, "completion_tokens"));
}

static void responses(struct wire_says *out, const struct json *j)
{
    const char *type = json_text(json_get(j, "type"), "");
    if (text_equal(type, "response.output_text.delta"))
        piece(out, json_get(j, "delta"));
    if (text_equal(type, "response.refusal.delta"))
        say(&out->refusal, json_get(j, "delta"));
    if (text_equal(type, "error"))
        snprintf(
            out->error, sizeof out->error, "%s", json_text(json_get(j, "message"), ""));
    out->has_end |=
        text_equal(type, "response.completed") || text_equal(type, "response.incomplete");
    const struct json *response = *type ? json_get(j, "response") : j;
    const struct json *usage = json_get(response, "usage");
    if (!*type)
        for (const struct json *part =
                 json_first(json_get(json_at(json_get(j, "output"), 0), "content"));
             part; part = json_next(part)) {
            piece(out, json_get(part, "text"));
            say(&out->refusal, json_get(part, "refusal"));
        }
    if (!text_equal(json_text(json_get(response, "status"), ""), "in_progress"))
        stop(out, json_get(response, "status"));
    stop(out, json_get(json_get(response, "incomplete_details"), "reason"));
    count(&out->prompt, json_get(usage, "input_tokens"));
    count(
        &out->cached, json_get(json_get(usage, "input_tokens_details"), "cached_tokens"));
    count(&out->output, json_get(usage, "output_tokens"));
}

static void anthropic(struct wire_says *out, const struct json *j)
{
    const char *type = json_text(json_get(j, "type"), "");
    const struct json *message =
        text_equal(type, "message_start") ? json_get(j, "message") : j;
    const struct json *usage = json_get(message, "usage");
    for (const struct json *block = json_first(json_get(message, "content")); block;
         block = json_next(block))
        piece(out, json_get(block, "text"));
    piece(out, json_get(json_get(j, "delta"), "text"));
    stop(out, json_get(j, "stop_reason"));
    stop(out, json_get(json_get(j, "delta"), "stop_reason"));
    out->has_end |= text_equal(type, "message_stop");
    if (json_get(usage, "input_tokens")) {
        count(&out->prompt, json_get(usage, "input_tokens"));
        count(&out->cached, json_get(usage, "cache_read_input_tokens"));
        out->prompt += out->cached;
    }
    count(&out->output, json_get(usage, "output_tokens"));
}

static void gemini(struct wire_says *out, const struct json *j)
{
    const struct json *candidate = json_at(json_get(j, "candidates"), 0);
    const struct json *usage = json_get(j, "usageMetadata");
    for (const struct json *part =
             json_first(json_get(json_get(candidate, "content"), "parts"));
         part; part = json_next(part))
        piece(out, json_get(part, "text"));
    stop(out, json_get(candidate, "finishReason"));
    stop(out, json_get(json_get(j, "promptFeedback"), "blockReason"));
    out->has_end |= *out->stop != '\0';
    if (usage) {
        out->cached = out->output = 0; /* left out where 0 */
        count(&out->prompt, json_get(usage, "promptTokenCount"));
        count(&out->cached, json_get(usage, "cachedContentTokenCount"));
        count(&out->output, json_get(usage, "candidatesTokenCount"));
    }
}

static void ollama(struct wire_says *out, const struct json *j)
{
    piece(out, json_get(json_get(j, "message"), "content"));
    stop(out, json_get(j, "done_reason"));
    out->has_end |= json_bool(json_get(j, "done"), 0);
    count(&out->prompt, json_get(j, "prompt_eval_count"));
    count(&out->output, json_get(j, "eval_count"));
    out->cached = 0; /* there is no such count */
    if (json_is_string(json_get(j, "error")))
        snprintf(
            out->error, sizeof out->error, "%s", json_text(json_get(j, "error"), ""));
}

static void bedrock(struct wire_says *out, const struct json *j)
{
    const struct json *usage = json_get(j, "usage");
    for (const struct json *block =
             json_first(json_get(json_get(json_get(j, "output"), "message"), "content"));
         block; block = json_next(block))
        piece(out, json_get(block, "text"));
    piece(out, json_get(json_get(j, "delta"), "text"));
    stop(out, json_get(j, "stopReason"));
    out->has_end |= json_get(j, "metrics") != NULL;
    if (usage) {
        count(&out->prompt, json_get(usage, "inputTokens"));
        count(&out->cached, json_get(usage, "cacheReadInputTokens"));
        out->prompt += out->cached;
        count(&out->output, json_get(usage, "outputTokens"));
    }
    if (json_is_string(json_get(j, "message")))
        snprintf(
            out->error, sizeof out->error, "%s", json_text(json_get(j, "message"), ""));
}

static void document(enum wire wire, const char *text, size_t len, struct wire_says *out)
{
    static void (*const readers[])(struct wire_says *, const struct json *) = { chat,
        chat, responses, anthropic, gemini, ollama, bedrock };
    struct json *root;
    if (json_parse(text, len, "answer", JSON_UNIQUE_KEYS, &root, NULL) != OK) {
        out->is_broken = 1;
        return;
    }
    const struct json *error = json_get(root, "error");
    if (json_is_object(error))
        snprintf(out->error, sizeof out->error, "%s",
            json_text(json_get(error, "message"), ""));
    readers[wire](out, root);
    json_free(root);
}

/* The data of each event; the line ends of the stream are LF or CR LF throughout. */
static void events(enum wire wire, const char *at, struct wire_says *out)
{
    while (*at) {
        size_t n = strcspn(at, "\r\n");
        if (n >= 6 && strncmp(at, "data: ", 6) == 0) {
            if (n == 12 && strncmp(at, "data: [DONE]", n) == 0)
                out->has_end = 1;
            else
                document(wire, at + 6, n - 6, out);
        } else if (n && strncmp(at, "event: ", 7) != 0) {
            out->is_broken = 1;
        }
        at += n;
        at += *at == '\r';
        at += *at == '\n';
    }
}

static void lines(enum wire wire, const char *at, struct wire_says *out)
{
    while (*at) {
        size_t n = strcspn(at, "\n");
        document(wire, at, n, out);
        at += n;
        at += *at == '\n';
    }
}

static int frame(const struct event_frame *frame, void *arg)
{
    document(WIRE_BEDROCK, frame->payload, frame->len, arg);
    return 0;
}

static void frames(const struct client_reply *reply, struct wire_says *out)
{
    struct event_stream stream;
    event_stream_init(&stream, 1u << 20);
    if (event_stream_feed(&stream, reply->body.data, reply->body.len, frame, out, NULL) !=
        OK)
        out->is_broken = 1;
    event_stream_release(&stream);
}

void wire_read(
    enum wire wire, int stream, const struct client_reply *reply, struct wire_says *out)
{
    const char *body = buffer_str(&reply->body);
    memset(out, 0, sizeof *out);
    buffer_init(&out->text, 1u << 20);
    buffer_init(&out->refusal, 1u << 20);
    out->prompt = out->cached = out->output = -1;
    if (!stream)
        document(wire, body, reply->body.len, out);
    else if (wire == WIRE_BEDROCK)
        frames(reply, out);
    else if (wire == WIRE_OLLAMA)
        lines(wire, body, out);
    else
        events(wire, body, out);
}

void wire_says_release(struct wire_says *says)
{
    buffer_release(&says->text);
    buffer_release(&says->refusal);
}
