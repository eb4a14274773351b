/* chat_reply.c - the bytes of an answer and when they leave. */
#include "m4a1/simulate/chat_reply.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

static struct json *reply_object(const struct chat_reply *reply, const char *kind)
{
    struct json *root = json_new_object();
    json_set_text(root, "id", reply->id);
    json_set_text(root, "object", kind);
    json_set_int(root, "created", CHAT_CREATED);
    json_set_text(root, "model", reply->model);
    return root;
}

static void usage_set(const struct chat_reply *reply, struct json *root)
{
    struct json *usage = json_set_object(root, "usage");
    json_set_int(usage, "prompt_tokens", reply->prompt_tokens);
    json_set_int(usage, "completion_tokens", reply->completion_tokens);
    json_set_int(usage, "total_tokens", reply->prompt_tokens + reply->completion_tokens);
    struct json *prompt = json_set_object(usage, "prompt_tokens_details");
    json_set_int(prompt, "cached_tokens", reply->cached_tokens);
    json_set_int(prompt, "audio_tokens", 0);
    struct json *completion = json_set_object(usage, "completion_tokens_details");
    json_set_int(completion, "reasoning_tokens", 0);
    json_set_int(completion, "audio_tokens", 0);
    json_set_int(completion, "accepted_prediction_tokens", 0);
    json_set_int(completion, "rejected_prediction_tokens", 0);
}

enum status chat_reply_whole(
    const struct chat_reply *reply, struct http_answer *answer, struct error *err)
{
    struct json *root = reply_object(reply, "chat.completion");
    struct json *choice = json_add_object(json_set_array(root, "choices"));
    json_set_int(choice, "index", 0);
    struct json *message = json_set_object(choice, "message");
    json_set_text(message, "role", "assistant");
    json_set_text(message, "content", reply->text);
    json_set_null(message, "refusal");
    json_set_array(message, "annotations");
    json_set_null(choice, "logprobs");
    json_set_text(choice, "finish_reason", reply->finish_reason);
    usage_set(reply, root);
    json_set_text(root, "service_tier", "default");
    json_set_text(root, "system_fingerprint", CHAT_FINGERPRINT);
    enum status status = json_print(root, JSON_COMPACT, &answer->body, err);
    json_free(root);
    answer->content_type = "application/json";
    answer->delay_ns =
        reply->pace.first_token_ns + reply->pace.token_ns * reply->completion_tokens;
    if (status == OK && reply->broken)
        answer->body.len = answer->body.len * 3 / 5;
    return status;
}

/* --- streams --- */

struct stream {
    const struct chat_reply *reply;
    int include_usage;
    struct rng *rng;
    struct http_answer *answer;
    int64_t at_ns; /* of the next event */
};

static struct json *chunk_object(const struct stream *stream)
{
    struct json *root = reply_object(stream->reply, "chat.completion.chunk");
    json_set_text(root, "service_tier", "default");
    json_set_text(root, "system_fingerprint", CHAT_FINGERPRINT);
    return root;
}

/* Release the bytes from start to the end of the body, in two pieces where a character
 * of several bytes lies between, or by chance anywhere. */
static void event_release(struct stream *stream, size_t start)
{
    struct buffer *body = &stream->answer->body;
    size_t split = start, end = body->len;
    while (split < end && !((unsigned char)body->data[split] & 0x80))
        split++;
    if (split == end && rng_below(stream->rng, 3) == 0)
        split = start + (size_t)rng_below(stream->rng, end - start - 1);
    if (split + 1 < end) {
        body->len = split + 1;
        http_answer_mark(stream->answer, stream->at_ns);
        body->len = end;
    }
    http_answer_mark(stream->answer, stream->at_ns);
}

static enum status event_add(
    struct stream *stream, const struct json *root, int broken, struct error *err)
{
    struct buffer *body = &stream->answer->body;
    size_t start = body->len;
    (void)buffer_add_str(body, "data: ");
    enum status status = json_print(root, JSON_COMPACT, body, err);
    if (status != OK)
        return status;
    if (broken)
        body->len -= (body->len - start) / 3;
    (void)buffer_add_str(body, "\n\n");
    status = buffer_status(body, "the simulated stream", err);
    if (status == OK)
        event_release(stream, start);
    return status;
}

/* A chunk with one choice: a role, a piece of content or a finish reason. */
static enum status chunk_add(struct stream *stream, const char *role, const char *content,
    const char *finish, int broken, struct error *err)
{
    struct json *root = chunk_object(stream);
    struct json *choice = json_add_object(json_set_array(root, "choices"));
    json_set_int(choice, "index", 0);
    struct json *delta = json_set_object(choice, "delta");
    if (role) {
        json_set_text(delta, "role", role);
        json_set_null(delta, "refusal");
    }
    if (content)
        json_set_text(delta, "content", content);
    json_set_null(choice, "logprobs");
    if (finish)
        json_set_text(choice, "finish_reason", finish);
    else
        json_set_null(choice, "finish_reason");
    if (stream->include_usage)
        json_set_null(root, "usage");
    enum status status = event_add(stream, root, broken, err);
    json_free(root);
    return status;
}

/* Length of a piece of one to four words at the beginning of text. */
static size_t piece_len(struct rng *rng, const char *text, size_t len)
{
    size_t n = 0;
    for (uint64_t words = 1 + rng_below(rng, 4); words && n < len; words--) {
        const char *blank = n + 1 < len ? memchr(text + n + 1, ' ', len - n - 1) : NULL;
        n = blank ? (size_t)(blank - text) : len;
    }
    return n;
}

static enum status content_add(struct stream *stream, struct error *err)
{
    const struct chat_reply *reply = stream->reply;
    enum status status = OK;
    size_t at = 0, i = 0;
    while (at < reply->text_len && status == OK) {
        size_t n = piece_len(stream->rng, reply->text + at, reply->text_len - at);
        char *piece = text_copy_n(reply->text + at, n);
        if (!piece)
            return error_nomem(err, n);
        int broken = reply->broken && (i == 1 || at + n == reply->text_len) && i <= 1;
        at += n;
        i++;
        status = chunk_add(stream, NULL, piece, NULL, broken, err);
        stream->at_ns =
            reply->pace.first_token_ns + reply->pace.token_ns * meter_text_tokens(at);
        free(piece);
    }
    return status;
}

static enum status usage_add(struct stream *stream, struct error *err)
{
    struct json *root = chunk_object(stream);
    json_set_array(root, "choices");
    usage_set(stream->reply, root);
    enum status status = event_add(stream, root, 0, err);
    json_free(root);
    return status;
}

enum status chat_reply_stream(const struct chat_reply *reply, int include_usage,
    struct rng *rng, struct http_answer *answer, struct error *err)
{
    struct stream stream = { reply, include_usage, rng, answer,
        reply->pace.first_token_ns };
    answer->content_type = "text/event-stream; charset=utf-8";
    answer->delay_ns = reply->pace.first_token_ns / 2;
    enum status status = chunk_add(&stream, "assistant", "", NULL, 0, err);
    if (status == OK)
        status = content_add(&stream, err);
    if (status == OK)
        status = chunk_add(&stream, NULL, NULL, reply->finish_reason, 0, err);
    if (status == OK && include_usage)
        status = usage_add(&stream, err);
    if (status == OK) {
        (void)buffer_add_str(&answer->body, "data: [DONE]\n\n");
        http_answer_mark(answer, stream.at_ns);
    }
    return status;
}
