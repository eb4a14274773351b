/* bedrock_answer.c - AWS Bedrock Converse, what comes back: one document, or frames of
 * an event stream that each hold one.
 *
 * Cached input is beside inputTokens, not inside; there is no class for reasoning.  What
 * kind of error it is stands in the header x-amzn-ErrorType or, in a stream, in the
 * frame.  A stream ends with messageStop and then metadata, which has the usage. */
#include "collectors/llm/bedrock.h"

#include <string.h>
#include <strings.h>

#include "collectors/llm/event_stream.h"
#include "collectors/llm/reading.h"
#include "m4a1/base/text.h"

#define MAX_TYPE 200

/* ---- errors --------------------------------------------------------------------- */

static enum failure failure_of_type(const char *type)
{
    static const struct {
        const char *type;
        enum failure failure;
    } types[] = {
        { "ThrottlingException", FAILURE_RATE_LIMIT },
        { "TooManyRequestsException", FAILURE_RATE_LIMIT },
        { "ServiceQuotaExceededException", FAILURE_QUOTA },
        { "ModelNotReadyException", FAILURE_SERVER }, // 429, but nobody asked too often
        { "ModelTimeoutException", FAILURE_TIMEOUT },
        { "ModelErrorException", FAILURE_SERVER }, // 424
        { "ModelStreamErrorException", FAILURE_SERVER },
        { "InternalServerException", FAILURE_SERVER },
        { "ServiceUnavailableException", FAILURE_SERVER },
        { "ValidationException", FAILURE_REQUEST },
        { "ResourceNotFoundException", FAILURE_REQUEST },
        { "ConflictException", FAILURE_REQUEST },
        { "AccessDeniedException", FAILURE_AUTH },
        { "UnrecognizedClientException", FAILURE_AUTH },
        { "InvalidSignatureException", FAILURE_AUTH },
        { "IncompleteSignatureException", FAILURE_AUTH },
        { "MissingAuthenticationTokenException", FAILURE_AUTH },
        { "InvalidClientTokenId", FAILURE_AUTH },
        { "ExpiredTokenException", FAILURE_AUTH },
        { "ExpiredToken", FAILURE_AUTH },
    };
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (!strcasecmp(type, types[i].type))
            return types[i].failure;
    return FAILURE_NONE;
}

/* type is a name, maybe with a namespace before ("...#Name") and an address behind
 * ("Name:http://..."). */
static void take_error(struct reading *r, const char *type, const struct json *j)
{
    char name[MAX_TYPE];
    const char *hash = strchr(type, '#');
    size_t n = strcspn(hash ? hash + 1 : type, ":");
    n = n < sizeof name ? n : sizeof name - 1;
    memcpy(name, hash ? hash + 1 : type, n);
    name[n] = '\0';
    const char *message =
        json_text(json_get(j, "message"), json_text(json_get(j, "Message"), NULL));
    enum failure of_type = failure_of_type(name);
    reading_error(r, 0, NULL, *name ? name : NULL, message);
    if (of_type != FAILURE_NONE)
        r->a->failure = of_type;
    // "Too many tokens per day, please wait before trying again."
    if (r->a->failure == FAILURE_RATE_LIMIT && message && strstr(message, "per day"))
        r->a->failure = FAILURE_QUOTA;
}

static void take_http_error(struct reading *r, const struct json *j)
{
    char header[MAX_TYPE];
    const char *type =
        wire_header(r->wire->headers, "x-amzn-errortype", header, sizeof header);
    if (!type || text_utf8_valid(type, strlen(type)) < strlen(type))
        type = json_text(json_get(j, "__type"), "");
    if (*type || json_get(j, "message") || json_get(j, "Message"))
        take_error(r, type, j);
}

/* ---- answers -------------------------------------------------------------------- */

static enum stop stop_of(const char *reason)
{
    static const struct {
        const char *reason;
        enum stop stop;
    } reasons[] = {
        { "end_turn", STOP_STOP },
        { "stop_sequence", STOP_STOP },
        { "max_tokens", STOP_LENGTH },
        { "model_context_window_exceeded", STOP_LENGTH },
        { "tool_use", STOP_TOOL },
        { "malformed_tool_use", STOP_TOOL },
        { "guardrail_intervened", STOP_FILTER },
        { "content_filtered", STOP_FILTER },
        { "refusal", STOP_REFUSAL },
    };
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (text_equal(reason, reasons[i].reason))
            return reasons[i].stop;
    return STOP_OTHER;
}

static void take_stop(struct reading *r, const char *reason)
{
    r->a->stop = stop_of(reason);
    reading_keep(r, &r->a->provider_stop, reason);
}

/* Usage, the server's own latency, and which model a router chose. */
static void take_metadata(struct reading *r, const struct json *j)
{
    struct json *usage = reading_usage(r, json_get(j, "usage"));
    const struct json *metrics = json_get(j, "metrics");
    const struct json *router = json_get(json_get(j, "trace"), "promptRouter");
    reading_keep(r, &r->a->model, json_text(json_get(router, "invokedModelId"), NULL));
    if (!usage)
        return;
    int64_t fresh = reading_count(json_get(usage, "inputTokens"), TOKENS_UNKNOWN);
    int64_t read = reading_count(json_get(usage, "cacheReadInputTokens"), 0);
    int64_t write = reading_count(json_get(usage, "cacheWriteInputTokens"), 0);
    int64_t out = reading_count(json_get(usage, "outputTokens"), TOKENS_UNKNOWN);
    int is_known = fresh >= 0 && read >= 0 && write >= 0;
    reading_tokens(
        r, is_known ? fresh + read + write : TOKENS_UNKNOWN, read, write, out, 0);
    if (json_is_object(metrics))
        r->no_memory |= !json_set_copy(usage, "metrics", metrics);
}

static void take_block(struct reading *r, const struct json *block)
{
    const struct json *thought = json_get(block, "reasoningContent");
    reading_text(r, json_text(json_get(block, "text"), NULL));
    r->has_token |=
        reading_is_said(json_get(thought, "text")) ||
        reading_is_said(json_get(json_get(thought, "reasoningText"), "text")) ||
        json_get(block, "toolUse") != NULL;
}

static void take_document(struct reading *r, const char *event, const struct json *j)
{
    (void)event;
    if (r->wire->http_status >= 400) {
        take_http_error(r, j);
        return;
    }
    const struct json *message = json_get(json_get(j, "output"), "message");
    r->has_answer = json_is_object(message);
    const struct json *block = json_first(json_get(message, "content"));
    for (; block; block = json_next(block))
        take_block(r, block);
    take_stop(r, json_text(json_get(j, "stopReason"), NULL));
    take_metadata(r, j);
}

static void take_event(struct reading *r, const char *event, const struct json *j)
{
    if (text_equal(event, "messageStart"))
        r->has_answer = 1;
    else if (text_equal(event, "contentBlockDelta"))
        take_block(r, json_get(j, "delta"));
    else if (text_equal(event, "messageStop"))
        take_stop(r, json_text(json_get(j, "stopReason"), NULL));
    else if (text_equal(event, "metadata")) {
        take_metadata(r, j);
        r->is_done = r->a->provider_stop != NULL;
    }
}

static int take_frame(const struct event_frame *frame, void *arg)
{
    struct reading *r = arg;
    int is_event = text_equal(frame->kind, "event");
    // An error frame has its words in headers and need not have a payload.
    if (!is_event && !frame->len) {
        take_error(r, frame->name, NULL);
        return 1;
    }
    return reading_event(r, is_event ? take_event : take_error, frame->name,
        frame->payload, frame->len, frame->end);
}

static enum status read_frames(struct reading *r, struct error *err)
{
    struct event_stream es;
    struct error why = ERROR_INIT;
    event_stream_init(&es, READING_MAX_EVENT);
    enum status s =
        event_stream_feed(&es, r->wire->body, r->wire->len, take_frame, r, &why);
    event_stream_release(&es);
    if (s == E_DATA || s == E_LIMIT)
        reading_fail(r, FAILURE_MALFORMED, why.msg);
    else if (s != OK)
        return error_set(err, s, "%s", why.msg);
    reading_end_stream(r);
    return OK;
}

enum status bedrock_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err)
{
    struct reading r;
    reading_begin(&r, wire, out);
    r.may_end_unmarked = 1;
    // The first byte of a frame's length is 0; no JSON begins so.
    int is_stream = reading_may_stream(wire) && !wire->body[0];
    enum status s =
        is_stream ? read_frames(&r, err) : reading_document(&r, take_document, err);
    return reading_finish(&r, "x-amzn-requestid", s, err);
}
