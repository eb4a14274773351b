/* anthropic_answer.c - Anthropic Messages, what comes back: one message, or a stream of
 * events that ends with message_stop.
 *
 * input_tokens leaves out what was read from or written to a cache; output_tokens holds
 * what was thought, of which newer versions tell the part (thinking_tokens).  In a stream
 * message_start counts the input and message_delta, cumulatively, the output. */
#include "collectors/llm/anthropic.h"

#include "collectors/llm/reading.h"
#include "m4a1/base/text.h"

/* {"type":"error","error":{"type","message"},"request_id"}; llama-server's /v1/messages
 * has OpenAI's shape with a number as code. */
static int read_error(struct reading *r, const struct json *root)
{
    const struct json *e = json_get(root, "error");
    if (!json_is_object(e) && !json_is_string(e))
        return 0;
    const struct json *code = json_get(e, "code"), *details = json_get(e, "details");
    const char *word =
        json_text(code, json_text(json_get(e, "error_code"),
                            json_text(json_get(details, "error_code"), NULL)));
    reading_error(r, json_is_int(code) ? (int)json_int(code, 0) : 0, word,
        json_text(json_get(e, "type"), NULL),
        json_text(json_get(e, "message"), json_text(e, NULL)));
    reading_keep(r, &r->a->request_id, json_text(json_get(root, "request_id"), NULL));
    return 1;
}

static int64_t sum(int64_t a, int64_t b, int64_t c)
{
    return a < 0 || b < 0 || c < 0 ? TOKENS_UNKNOWN : a + b + c;
}

static void read_usage(struct reading *r, const struct json *given)
{
    const struct json *usage = reading_usage(r, given);
    if (!usage)
        return;
    const struct json *out = json_get(usage, "output_tokens_details");
    int64_t fresh = reading_count(json_get(usage, "input_tokens"), TOKENS_UNKNOWN);
    int64_t read = reading_count(json_get(usage, "cache_read_input_tokens"), 0);
    int64_t written = reading_count(json_get(usage, "cache_creation_input_tokens"), 0);
    reading_tokens(r, sum(fresh, read, written), read, written,
        reading_count(json_get(usage, "output_tokens"), TOKENS_UNKNOWN),
        reading_count(json_get(out, "thinking_tokens"), 0));
}

static enum stop stop_of(const char *word)
{
    static const struct {
        const char *word;
        enum stop stop;
    } words[] = { { "end_turn", STOP_STOP }, { "stop_sequence", STOP_STOP },
        { "max_tokens", STOP_LENGTH }, { "model_context_window_exceeded", STOP_LENGTH },
        { "tool_use", STOP_TOOL }, { "refusal", STOP_REFUSAL } };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (text_equal(words[i].word, word))
            return words[i].stop;
    return STOP_OTHER;
}

/* stop_reason and stop_details of a message or of a message_delta. */
static void read_stop(struct reading *r, const struct json *from)
{
    const char *why = json_text(json_get(from, "stop_reason"), NULL);
    if (!why || !*why)
        return;
    reading_keep(r, &r->a->provider_stop, why);
    r->a->stop = stop_of(why);
    if (r->a->stop != STOP_REFUSAL)
        return;
    // What the server explains stands for a text that was not written; it is no token.
    const struct json *details = json_get(from, "stop_details");
    int has_token = r->has_token;
    if (!r->refusal.len)
        reading_refusal(r, json_text(json_get(details, "explanation"),
                               json_text(json_get(details, "category"), NULL)));
    r->has_token = has_token;
}

/* A block of a message, or the delta of one: text, or something thought or called. */
static void read_block(struct reading *r, const struct json *block)
{
    const char *type = json_text(json_get(block, "type"), "");
    if (text_equal(type, "text") || text_equal(type, "text_delta"))
        reading_text(r, json_text(json_get(block, "text"), NULL));
    else
        r->has_token |= reading_is_said(json_get(block, "thinking")) ||
                        reading_is_said(json_get(block, "data")) || // redacted_thinking
                        reading_is_said(json_get(block, "partial_json")) ||
                        text_equal(type, "tool_use");
}

static void read_message(struct reading *r, const struct json *m)
{
    const struct json *content = json_get(m, "content");
    r->has_answer |= json_is_array(content);
    for (const struct json *b = json_first(content); b; b = json_next(b))
        read_block(r, b);
    reading_keep(r, &r->a->model, json_text(json_get(m, "model"), NULL));
    reading_keep(r, &r->a->request_id, json_text(json_get(m, "id"), NULL));
    read_usage(r, json_get(m, "usage"));
    read_stop(r, m);
}

static void take(struct reading *r, const char *event, const struct json *root)
{
    const char *type = json_text(json_get(root, "type"), event);
    if (read_error(r, root))
        return;
    if (r->is_document) {
        if (r->wire->http_status < 400)
            read_message(r, root);
    } else if (text_equal(type, "message_start")) {
        read_message(r, json_get(root, "message"));
    } else if (text_equal(type, "content_block_start")) {
        read_block(r, json_get(root, "content_block"));
    } else if (text_equal(type, "content_block_delta")) {
        read_block(r, json_get(root, "delta"));
    } else if (text_equal(type, "message_delta")) {
        read_stop(r, json_get(root, "delta"));
        read_usage(r, json_get(root, "usage"));
    } else if (text_equal(type, "message_stop")) {
        r->is_done = 1;
    }
}

enum status anthropic_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err)
{
    return reading_run(wire, take, "request-id", 0, out, err);
}
