/* openai_responses_answer.c - OpenAI Responses, what comes back: one response object, or
 * a stream of events whose last one holds it whole.
 *
 * A response that is whole is believed; the deltas before it are for the time of the
 * first token, and for servers whose last event has no text. */
#include "collectors/llm/openai_responses.h"

#include "m4a1/base/text.h"

static void read_usage(struct reading *r, const struct json *given)
{
    const struct json *usage = reading_usage(r, given);
    if (!usage)
        return;
    const struct json *in = json_get(usage, "input_tokens_details");
    const struct json *out = json_get(usage, "output_tokens_details");
    reading_tokens(r, reading_count(json_get(usage, "input_tokens"), TOKENS_UNKNOWN),
        reading_count(json_get(in, "cached_tokens"), 0),
        reading_count(json_get(in, "cache_write_tokens"), 0),
        reading_count(json_get(usage, "output_tokens"), TOKENS_UNKNOWN),
        reading_count(json_get(out, "reasoning_tokens"), 0));
}

static void read_content(struct reading *r, const struct json *content)
{
    for (const struct json *p = json_first(content); p; p = json_next(p)) {
        const char *type = json_text(json_get(p, "type"), "");
        if (text_equal(type, "output_text"))
            reading_text(r, json_text(json_get(p, "text"), NULL));
        else if (text_equal(type, "refusal"))
            reading_refusal(r, json_text(json_get(p, "refusal"), NULL));
    }
}

static int is_call(const struct json *item)
{
    return text_ends(json_text(json_get(item, "type"), ""), "_call");
}

/* Returns true where a tool is called. */
static int read_output(struct reading *r, const struct json *output)
{
    int has_message = 0, has_call = 0;
    for (const struct json *item = json_first(output); item; item = json_next(item)) {
        has_message |= text_equal(json_text(json_get(item, "type"), NULL), "message") &&
                       json_size(json_get(item, "content"));
        has_call |= is_call(item);
    }
    if (has_message) { // the deltas said the same
        buffer_clear(&r->text);
        buffer_clear(&r->refusal);
    }
    for (const struct json *item = json_first(output); item; item = json_next(item))
        if (text_equal(json_text(json_get(item, "type"), NULL), "message"))
            read_content(r, json_get(item, "content"));
    return has_call;
}

static void read_stop(struct reading *r, const struct json *response, int has_call)
{
    const char *status = json_text(json_get(response, "status"), "");
    const struct json *details = json_get(response, "incomplete_details");
    const char *why = json_text(json_get(details, "reason"), NULL);
    struct answer *a = r->a;
    reading_keep(r, &a->provider_stop, why ? why : status);
    if (text_equal(status, "completed"))
        a->stop = has_call && !r->text.len && !r->refusal.len ? STOP_TOOL : STOP_STOP;
    else if (text_equal(why, "max_output_tokens"))
        a->stop = STOP_LENGTH;
    else if (text_equal(why, "content_filter"))
        a->stop = STOP_FILTER;
    else if (!text_equal(status, "incomplete"))
        reading_fail(r, FAILURE_SERVER, "the server did not finish its response");
}

/* A response as far as it is: model and id are known from the first event on. */
static void read_names(struct reading *r, const struct json *response)
{
    reading_keep(r, &r->a->model, json_text(json_get(response, "model"), NULL));
    if (!r->a->request_id)
        reading_keep(r, &r->a->request_id, json_text(json_get(response, "id"), NULL));
}

static void read_response(struct reading *r, const struct json *response)
{
    read_names(r, response);
    read_usage(r, json_get(response, "usage"));
    if (openai_error(r, response))
        return;
    if (!json_is_array(json_get(response, "output"))) {
        reading_fail(r, FAILURE_MALFORMED, "the response has no output");
        return;
    }
    r->has_answer = 1;
    read_stop(r, response, read_output(r, json_get(response, "output")));
}

static void take_document(struct reading *r, const struct json *root)
{
    if (r->wire->http_status >= 400)
        (void)openai_error(r, root);
    else
        read_response(r, root);
}

static void take(struct reading *r, const char *event, const struct json *root)
{
    const char *type = json_text(json_get(root, "type"), event);
    const struct json *response = json_get(root, "response");
    if (r->is_document) {
        take_document(r, root);
    } else if (text_equal(type, "response.output_text.delta")) {
        reading_text(r, json_text(json_get(root, "delta"), NULL));
    } else if (text_equal(type, "response.refusal.delta")) {
        reading_refusal(r, json_text(json_get(root, "delta"), NULL));
    } else if (text_starts(type, "response.reasoning") && text_ends(type, ".delta")) {
        r->has_token |= reading_is_said(json_get(root, "delta"));
    } else if (text_equal(type, "response.completed") ||
               text_equal(type, "response.incomplete") ||
               text_equal(type, "response.failed")) {
        read_response(r, response);
        r->is_done = 1;
    } else if (text_equal(type, "error")) { // flat, or as all other errors
        if (!openai_error(r, root))
            reading_error(r, 0, json_text(json_get(root, "code"), NULL), NULL,
                json_text(json_get(root, "message"), NULL));
    } else if (!openai_error(r, root)) {
        read_names(r, response);
    }
}

enum status openai_responses_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err)
{
    return reading_run(wire, take, "x-request-id", 0, out, err);
}
