/* sim_reply.c - the bytes of an answer and when they leave. */
#include "m4a1/simulate/sim_reply.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_event_stream.h"
#include "m4a1/simulate/sim_protocol.h"

#define EVENT_MAX (8u << 20)

/* Make the marked character of len bytes at data an invalid one. */
static void break_utf8(char *data, size_t len)
{
    size_t mark = strlen(SIM_BREAKABLE);
    for (size_t i = 0; i + mark <= len; i++)
        if (memcmp(data + i, SIM_BREAKABLE, mark) == 0)
            data[i + mark - 1] = '?';
}

enum status sim_whole(const struct sim_reply *reply, struct json *root,
    struct http_answer *answer, struct error *err)
{
    struct buffer *body = &answer->body;
    enum status status =
        root ? json_print(root, JSON_COMPACT, body, err) : error_nomem(err, 64);
    json_free(root);
    answer->content_type = "application/json";
    answer->delay_ns =
        reply->pace.first_token_ns + reply->pace.token_ns * reply->completion_tokens;
    if (status == OK && reply->fault == FAULT_MALFORMED)
        body->len = body->len * 3 / 5;
    if (status == OK && reply->fault == FAULT_BAD_UTF8)
        break_utf8(body->data, body->len);
    return status;
}

void sim_stream_begin(struct sim_stream *stream, enum sim_framing framing)
{
    static const char *const types[] = { "text/event-stream; charset=utf-8",
        "text/event-stream", "application/x-ndjson", "application/json; charset=UTF-8",
        "application/vnd.amazon.eventstream" };
    stream->framing = framing;
    stream->at_ns = stream->reply->pace.first_token_ns;
    stream->answer->content_type = types[framing];
    stream->answer->delay_ns = stream->reply->pace.first_token_ns / 2;
}

/* --- framing --- */

/* Release the bytes from start to the end of the body, in two pieces where a character
 * of several bytes lies between, or by chance anywhere (between CR and LF, too). */
static void event_release(struct sim_stream *stream, size_t start)
{
    struct buffer *body = &stream->answer->body;
    size_t split = start, end = body->len;
    while (split < end && !((unsigned char)body->data[split] & 0x80))
        split++;
    if (split == end || stream->framing == FRAMING_EVENT_STREAM) {
        uint64_t chance = rng_below(stream->rng, 3);
        split = end;
        if (chance == 0 && end > start + 1)
            split = start + (size_t)rng_below(stream->rng, end - start - 1);
        else if (chance == 1 && stream->framing == FRAMING_SSE_CRLF)
            split = end - 2; /* behind the last CR */
    }
    if (split + 1 < end) {
        body->len = split + 1;
        http_answer_mark(stream->answer, stream->at_ns);
        body->len = end;
    }
    http_answer_mark(stream->answer, stream->at_ns);
}

static void frame_begin(struct sim_stream *stream, const char *event)
{
    struct buffer *body = &stream->answer->body;
    const char *line_end = stream->framing == FRAMING_SSE_CRLF ? "\r\n" : "\n";
    if (stream->framing == FRAMING_SSE || stream->framing == FRAMING_SSE_CRLF) {
        if (event)
            (void)buffer_printf(body, "event: %s%s", event, line_end);
        (void)buffer_add_str(body, "data: ");
    } else if (stream->framing == FRAMING_ARRAY) {
        (void)buffer_add_str(body, stream->n_events ? ",\r\n" : "[");
    }
}

static void frame_end(struct sim_stream *stream)
{
    static const char *const ends[] = { "\n\n", "\r\n\r\n", "\n", "", "" };
    (void)buffer_add_str(&stream->answer->body, ends[stream->framing]);
}

/* broken: JSON that cannot be read, in a frame that is whole. */
static void event_add(
    struct sim_stream *stream, const char *event, struct json *root, int broken)
{
    struct buffer *body = &stream->answer->body, text;
    size_t start = body->len;
    if (stream->is_over || stream->status != OK || !root) {
        if (!root)
            stream->status = error_nomem(stream->err, 64);
        json_free(root);
        return;
    }
    buffer_init(&text, EVENT_MAX);
    stream->status = json_print(root, JSON_COMPACT, &text, stream->err);
    json_free(root);
    if (stream->status == OK) {
        if (broken)
            text.len -= text.len / 3;
        if (stream->reply->fault == FAULT_BAD_UTF8)
            break_utf8(text.data, text.len);
        frame_begin(stream, event);
        if (stream->framing == FRAMING_EVENT_STREAM)
            sim_event_frame(event ? event : "", buffer_str(&text), text.len, body);
        else
            (void)buffer_add(body, buffer_str(&text), text.len);
        frame_end(stream);
        stream->n_events++;
        stream->status = buffer_status(body, "the simulated stream", stream->err);
    }
    buffer_release(&text);
    if (stream->status == OK)
        event_release(stream, start);
}

void sim_stream_event(struct sim_stream *stream, const char *event, struct json *root)
{
    event_add(stream, event, root, 0);
}

void sim_stream_bytes(struct sim_stream *stream, const char *bytes)
{
    if (stream->is_over || stream->status != OK)
        return;
    (void)buffer_add_str(&stream->answer->body, bytes);
    http_answer_mark(stream->answer, stream->at_ns);
}

enum status sim_stream_end(struct sim_stream *stream)
{
    if (stream->framing == FRAMING_ARRAY)
        sim_stream_bytes(stream, "]");
    if (stream->status == OK)
        stream->status =
            buffer_status(&stream->answer->body, "the simulated stream", stream->err);
    return stream->status;
}

/* --- text --- */

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

static void error_in_stream(struct sim_stream *stream)
{
    struct sim_error error;
    sim_fail(&error, stream->reply->protocol, FAIL_IN_STREAM, stream->reply->model);
    stream->reply->protocol->stream_error(stream, &error);
    stream->is_over = 1;
}

void sim_stream_text(struct sim_stream *stream, const char *event, sim_piece *piece)
{
    const struct sim_reply *reply = stream->reply;
    size_t at = 0, i = 0, len = reply->text_len;
    while (at < len && stream->status == OK && !stream->is_over) {
        size_t n = piece_len(stream->rng, reply->text + at, len - at);
        char *words = text_copy_n(reply->text + at, n);
        if (!words) {
            stream->status = error_nomem(stream->err, n);
            return;
        }
        int last = at + n == len;
        int broken = reply->fault == FAULT_MALFORMED && i <= 1 && (i == 1 || last);
        at += n;
        i++;
        stream->tokens_out = meter_text_tokens(at);
        event_add(stream, event, piece(stream, words), broken);
        free(words);
        stream->at_ns =
            reply->pace.first_token_ns + reply->pace.token_ns * stream->tokens_out;
        if (reply->fault == FAULT_IN_STREAM && (at >= len / 2 || last))
            error_in_stream(stream);
    }
    /* All that follows the text is left out: finish reason, usage and end mark. */
    if (reply->fault == FAULT_NO_END)
        stream->is_over = 1;
}
