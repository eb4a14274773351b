/* ollama_answer.c - Ollama's own chat, what comes back: one document, or a document a
 * line; {"error": "..."} instead, also behind the first lines of a 200.
 *
 * A stream's last document has done: true, the counts and the times (in ns).  There are
 * no classes for cached input and for reasoning, so those counts are 0; prompt_eval_count
 * can be absent, and is unknown then.  The times go into the usage: a load_duration of a
 * second or more is a cold start, and no latency of the model. */
#include "collectors/llm/ollama.h"

#include <string.h>

#include "collectors/llm/ndjson.h"
#include "collectors/llm/reading.h"
#include "m4a1/base/text.h"

static enum stop stop_of(const char *reason)
{
    if (text_equal(reason, "stop"))
        return STOP_STOP;
    return text_equal(reason, "length") ? STOP_LENGTH : STOP_OTHER;
}

static void take_usage(struct reading *r, const struct json *j)
{
    static const char *const keys[] = { "prompt_eval_count", "eval_count",
        "total_duration", "load_duration", "prompt_eval_duration", "eval_duration" };
    struct json *usage = json_new_object();
    int n = 0;
    r->no_memory |= !usage;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const struct json *value = json_get(j, keys[i]);
        if (!value)
            continue;
        r->no_memory |= !json_set_copy(usage, keys[i], value);
        n++;
    }
    if (n) {
        reading_usage(r, usage);
        reading_tokens(r, reading_count(json_get(j, "prompt_eval_count"), TOKENS_UNKNOWN),
            0, 0, reading_count(json_get(j, "eval_count"), TOKENS_UNKNOWN), 0);
    }
    json_free(usage);
}

static void take_message(struct reading *r, const struct json *m)
{
    r->has_answer = 1;
    reading_text(r, json_text(json_get(m, "content"), NULL));
    r->has_token |=
        reading_is_said(json_get(m, "thinking")) || json_size(json_get(m, "tool_calls"));
    if (json_size(json_get(m, "tool_calls")))
        r->a->stop = STOP_TOOL;
}

static void take_end(struct reading *r, const struct json *j)
{
    const char *reason = json_text(json_get(j, "done_reason"), NULL);
    r->is_done = 1;
    reading_keep(r, &r->a->provider_stop, reason);
    if (r->a->stop != STOP_TOOL)
        r->a->stop = stop_of(reason);
    take_usage(r, j);
    // Only a request without messages is answered so.
    if ((text_equal(reason, "load") || text_equal(reason, "unload")) && !r->text.len)
        reading_fail(r, FAILURE_MALFORMED, "the server only (un)loaded the model");
}

static void take(struct reading *r, const char *event, const struct json *j)
{
    (void)event;
    const struct json *e = json_get(j, "error");
    if (e && !json_is_null(e)) {
        const char *message = json_text(json_get(e, "message"), json_text(e, NULL));
        reading_error(
            r, (int)json_int(json_get(j, "status_code"), 0), NULL, NULL, message);
        return;
    }
    if (json_is_object(json_get(j, "message")))
        take_message(r, json_get(j, "message"));
    reading_keep(r, &r->a->model, json_text(json_get(j, "model"), NULL));
    if (json_bool(json_get(j, "done"), 0))
        take_end(r, j);
    else if (r->is_document && r->has_answer)
        reading_fail(r, FAILURE_TRUNCATED, "the answer says that it is not done");
}

static int take_line(const char *line, size_t len, size_t end, void *arg)
{
    return reading_event(arg, take, "", line, len, end);
}

static enum status read_lines(struct reading *r, struct error *err)
{
    struct ndjson lines;
    struct error why = ERROR_INIT;
    ndjson_init(&lines, READING_MAX_EVENT);
    enum status s = ndjson_feed(&lines, r->wire->body, r->wire->len, take_line, r, &why);
    if (s == OK && r->wire->is_complete)
        s = ndjson_end(&lines, take_line, r, &why);
    ndjson_release(&lines);
    if (s == E_LIMIT)
        reading_fail(r, FAILURE_MALFORMED, why.msg);
    else if (s != OK)
        return error_set(err, s, "%s", why.msg);
    reading_end_stream(r);
    return OK;
}

/* True where a body is a document a line; one of one line is told by its type. */
static int is_stream(const struct wire_answer *wire)
{
    char type[100];
    if (!reading_may_stream(wire))
        return 0;
    if (wire_header(wire->headers, "content-type", type, sizeof type) &&
        strstr(type, "ndjson"))
        return 1;
    const char *lf = memchr(wire->body, '\n', wire->len);
    return lf && lf + 1 < wire->body + wire->len && lf[1] == '{';
}

enum status ollama_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err)
{
    struct reading r;
    reading_begin(&r, wire, out);
    enum status s =
        is_stream(wire) ? read_lines(&r, err) : reading_document(&r, take, err);
    return reading_finish(&r, NULL, s, err);
}
