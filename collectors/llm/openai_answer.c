/* openai_answer.c - OpenAI Chat Completions, what comes back: a whole JSON document or
 * a stream of server-sent events, an answer or an error in any of the forms that
 * servers have for it, also inside a 200.
 *
 * Counts follow openapi.json, CompletionUsage: cached_tokens and cache_write_tokens are
 * part of prompt_tokens, reasoning_tokens of completion_tokens; ours are disjoint. */
#include "collectors/llm/openai_chat.h"

#include <stdlib.h>

#include "m4a1/base/text.h"

#define MAX_DETAIL 4096 /* bytes of a list of mistakes in a message */

/* ---- errors --------------------------------------------------------------------- */

static int status_in(const struct json *code)
{
    if (json_is_int(code))
        return (int)json_int(code, 0);
    const char *s = json_text(code, "");
    int64_t n = 0;
    return text_to_int(s, "code", 400, 599, &n, NULL) == OK ? (int)n : 0;
}

static void error_object(struct reading *r, const struct json *e)
{
    const struct json *code = json_get(e, "code");
    int inside = status_in(code);
    if (!inside)
        inside = status_in(json_get(e, "raw_status_code")); // Mistral
    reading_error(r, inside, json_text(code, NULL), json_text(json_get(e, "type"), NULL),
        json_text(json_get(e, "message"), json_text(e, NULL)));
}

/* {"detail": "..."}, {"detail": {...}} or a list of mistakes, as FastAPI has it. */
static void error_detail(struct reading *r, const struct json *detail)
{
    if (!json_is_array(detail)) {
        error_object(r, detail);
        return;
    }
    struct buffer all;
    buffer_init(&all, MAX_DETAIL);
    for (const struct json *j = json_first(detail); j; j = json_next(j)) {
        const struct json *where = json_get(j, "loc");
        buffer_add_str(&all, all.len ? "; " : "");
        for (const struct json *k = json_first(where); k; k = json_next(k))
            buffer_printf(&all, "%s%s", json_text(k, "#"), json_next(k) ? "." : ": ");
        buffer_add_str(&all, json_text(json_get(j, "msg"), json_text(j, "?")));
    }
    r->no_memory |= all.failed == E_NOMEM;
    reading_error(r, 0, NULL, NULL, buffer_str(&all));
    buffer_release(&all);
}

int openai_error(struct reading *r, const struct json *root)
{
    const struct json *e = json_get(root, "error"), *detail = json_get(root, "detail");
    int is_failed = r->wire->http_status >= 400;
    if (json_is_object(e) || json_is_string(e))
        error_object(r, e);
    else if (text_equal(json_text(json_get(root, "object"), NULL), "error") ||
             (is_failed && json_get(root, "message")))
        error_object(r, root);
    else if (is_failed &&
             (json_is_string(detail) || json_is_object(detail) || json_size(detail)))
        error_detail(r, detail);
    else
        return 0;
    return 1;
}

/* ---- usage ---------------------------------------------------------------------- */

static void read_usage(struct reading *r, const struct json *root)
{
    const struct json *groq = json_get(root, "x_groq");
    const struct json *given = json_get(root, "usage");
    const struct json *timings = json_get(root, "timings"); // llama-server
    if (!json_is_object(given))                             // Groq's streams
        given = json_get(groq, "usage");
    if (!json_is_object(given) && !json_is_object(timings))
        return;
    struct json *usage = reading_usage(r, given);
    if (json_is_object(timings)) {
        struct json *wrapped = json_new_object();
        r->no_memory |= !json_set_copy(wrapped, "timings", timings);
        usage = reading_usage(r, wrapped);
        json_free(wrapped);
    }
    const struct json *in = json_get(usage, "prompt_tokens_details");
    const struct json *out = json_get(usage, "completion_tokens_details");
    const struct json *cached = json_get(json_get(usage, "timings"), "cache_n");
    reading_tokens(r, reading_count(json_get(usage, "prompt_tokens"), TOKENS_UNKNOWN),
        reading_count(json_get(in, "cached_tokens"), reading_count(cached, 0)),
        reading_count(json_get(in, "cache_write_tokens"), 0),
        reading_count(json_get(usage, "completion_tokens"), TOKENS_UNKNOWN),
        reading_count(json_get(out, "reasoning_tokens"), 0));
    r->a->provider_cost_usd = reading_cost_usd(json_get(usage, "cost")); // OpenRouter
}

/* ---- choices -------------------------------------------------------------------- */

/* A string, or an array of parts with texts, as some servers have it; a part without
 * text is thought (Mistral), which is a token all the same. */
static void read_content(struct reading *r, const struct json *content)
{
    reading_text(r, json_text(content, NULL));
    for (const struct json *p = json_is_array(content) ? json_first(content) : NULL; p;
         p = json_next(p)) {
        reading_text(r, json_text(json_get(p, "text"), NULL));
        r->has_token |= json_get(p, "thinking") != NULL;
    }
}

/* The message of a whole answer or the delta of a chunk. */
static void read_message(struct reading *r, const struct json *m)
{
    read_content(r, json_get(m, "content"));
    reading_refusal(r, json_text(json_get(m, "refusal"), NULL));
    r->has_token |= reading_is_said(json_get(m, "reasoning_content")) ||
                    reading_is_said(json_get(m, "reasoning")) ||
                    json_size(json_get(m, "tool_calls"));
}

static enum stop stop_of(const char *word)
{
    static const struct {
        const char *word;
        enum stop stop;
    } words[] = { { "stop", STOP_STOP }, { "eos", STOP_STOP }, { "length", STOP_LENGTH },
        { "model_length", STOP_LENGTH }, { "content_filter", STOP_FILTER },
        { "tool_calls", STOP_TOOL }, { "function_call", STOP_TOOL } };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (text_equal(words[i].word, word))
            return words[i].stop;
    return STOP_OTHER;
}

/* A whole answer has a message, and one that stopped by itself has something in it. */
static int is_message(const struct json *m, const char *why)
{
    const struct json *content = json_get(m, "content");
    if (text_equal(why, "content_filter"))
        return 1; /* Azure leaves the message out */
    if (!json_is_object(m) || json_is_number(content) || json_is_object(content))
        return 0;
    int is_empty = !content || json_is_null(content);
    return !is_empty || !text_equal(why, "stop") ||
           json_is_string(json_get(m, "refusal")) || json_get(m, "reasoning_content") ||
           json_get(m, "reasoning") || json_size(json_get(m, "tool_calls"));
}

static void read_choice(struct reading *r, const struct json *choice)
{
    const struct json *m = json_get(choice, "message");
    const char *why = json_text(json_get(choice, "finish_reason"), NULL);
    if (json_int(json_get(choice, "index"), 0) != 0)
        return; /* only one was asked for */
    if (r->is_document && r->wire->http_status < 400 && !json_get(choice, "error") &&
        !is_message(m, why)) {
        reading_fail(r, FAILURE_MALFORMED, "the answer's choice has no message");
        return;
    }
    r->has_answer = 1;
    read_message(r, m ? m : json_get(choice, "delta"));
    if (json_is_object(json_get(choice, "error"))) // OpenRouter
        openai_error(r, choice);
    else if (text_equal(why, "error")) // Mistral
        reading_fail(r, FAILURE_SERVER, "the server stopped with an error");
    if (why && *why)
        r->a->stop = stop_of(why);
    reading_keep(r, &r->a->provider_stop, why);
}

/* OpenRouter names who really answered; without it a fingerprint says too little. */
static void read_fingerprint(struct reading *r, const struct json *root)
{
    const char *provider = json_text(json_get(root, "provider"), NULL);
    const char *print = json_text(json_get(root, "system_fingerprint"), NULL);
    if (!provider || !*provider || !print || !*print) {
        reading_keep(r, &r->a->fingerprint, provider && *provider ? provider : print);
        return;
    }
    char *both = text_format("%s/%s", provider, print);
    r->no_memory |= !both;
    reading_keep(r, &r->a->fingerprint, both);
    free(both);
}

/* One document: the whole answer, a chunk of it, or an error. */
static void take(struct reading *r, const char *event, const struct json *root)
{
    (void)event;
    if (openai_error(r, root))
        return;
    const struct json *choice = json_at(json_get(root, "choices"), 0);
    if (choice)
        read_choice(r, choice);
    else if (r->is_document && r->wire->http_status < 400)
        reading_fail(r, FAILURE_MALFORMED, "the answer has no choices");
    reading_keep(r, &r->a->model, json_text(json_get(root, "model"), NULL));
    read_fingerprint(r, root);
    if (!r->a->request_id) {
        const char *groq = json_text(json_get(json_get(root, "x_groq"), "id"), NULL);
        reading_keep(
            r, &r->a->request_id, groq ? groq : json_text(json_get(root, "id"), NULL));
    }
    read_usage(r, root);
}

enum status openai_chat_read(const struct wire_answer *wire, const char *id_header,
    struct answer *out, struct error *err)
{
    return reading_run(wire, take, id_header, 1, out, err);
}
