/* openai_answer.c - OpenAI Chat Completions, what comes back: a whole JSON document or
 * a stream of server-sent events, an answer or an error in any of the forms that
 * servers have for it, also inside a 200.
 *
 * Counts follow openapi.json, CompletionUsage: cached_tokens and cache_write_tokens are
 * part of prompt_tokens, reasoning_tokens of completion_tokens; ours are disjoint. */
#include "collectors/llm/openai_chat.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collectors/llm/sse.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

#define MAX_TEXT (8u << 20)
#define MAX_TOKENS 1000000000 /* no answer has more: such a count is nonsense */
#define MAX_QUOTED 400        /* bytes of a body that an error message quotes */

/* What has been read so far, from one document or from many chunks. */
struct reading {
    struct answer *a;
    struct buffer text, refusal;
    int has_choice;   /* choices[0] was there */
    int is_done;      /* data: [DONE] */
    int no_memory;    /* a copy failed */
    int is_malformed; /* an event is not JSON */
};

static void keep(struct reading *r, char **slot, const char *s)
{
    if (!s || !*s)
        return;
    char *copy = text_copy(s);
    if (!copy) {
        r->no_memory = 1;
        return;
    }
    free(*slot);
    *slot = copy;
}

/* Text that a person and SQLite can read whatever the server sent: cut to max bytes,
 * broken UTF-8 and control characters replaced. */
static char *readable(const char *s, size_t len, size_t max)
{
    char *copy = text_copy_n(s, len < max ? len : max);
    if (!copy)
        return NULL;
    size_t n = len < max ? len : max;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)copy[i] < 0x20 || copy[i] == 0x7f)
            copy[i] = ' ';
    for (size_t i = 0; (i += text_utf8_valid(copy + i, n - i)) < n;)
        copy[i] = '?';
    return copy;
}

/* ---- errors --------------------------------------------------------------------- */

static int one_of(const char *s, const char *const *list, size_t n)
{
    for (size_t i = 0; s && i < n; i++)
        if (!strcasecmp(s, list[i]))
            return 1;
    return 0;
}

/* code and type are words; some servers send the HTTP status as code. */
static enum failure failure_of_words(const char *code, const char *type)
{
    static const char *const quota[] = { "insufficient_quota", "credit_balance_exhausted",
        "billing_hard_limit_reached", "billing_not_active",
        "enforced_spend_limit_reached", "insufficient_credits" };
    static const char *const rate[] = { "rate_limit_exceeded", "rate_limit_error",
        "rate_limited", "too_many_requests", "requests", "tokens" };
    static const char *const filter[] = { "content_filter", "content_policy_violation" };
    static const char *const auth[] = { "invalid_api_key", "authentication_error",
        "permission_error" };
    static const char *const request[] = { "invalid_request_error",
        "exceed_context_size_error", "context_length_exceeded", "model_not_found" };
    const char *words[] = { code, type };
    for (size_t i = 0; i < 2; i++) {
        if (one_of(words[i], quota, COUNT_OF(quota)))
            return FAILURE_QUOTA;
        if (one_of(words[i], filter, COUNT_OF(filter)))
            return FAILURE_FILTER;
        if (one_of(words[i], rate, COUNT_OF(rate)))
            return FAILURE_RATE_LIMIT;
        if (one_of(words[i], auth, COUNT_OF(auth)))
            return FAILURE_AUTH;
        if (one_of(words[i], request, COUNT_OF(request)))
            return FAILURE_REQUEST;
    }
    return FAILURE_NONE;
}

static int status_in(const struct json *code)
{
    if (json_is_int(code))
        return (int)json_int(code, 0);
    const char *s = json_text(code, "");
    int64_t n = 0;
    return text_to_int(s, "code", 400, 599, &n, NULL) == OK ? (int)n : 0;
}

/* The error object or text of a document; NULL where it is no error. */
static const struct json *error_of(const struct json *j)
{
    const struct json *e = json_get(j, "error");
    if (json_is_object(e) || json_is_string(e))
        return e;
    if (text_equal(json_text(json_get(j, "object"), NULL), "error"))
        return j;
    return NULL;
}

static void set_error(struct reading *r, int http_status, const struct json *e)
{
    const struct json *code = json_get(e, "code");
    const char *type = json_text(json_get(e, "type"), NULL);
    const char *message = json_text(json_get(e, "message"), json_text(e, NULL));
    enum failure of_words = failure_of_words(json_text(code, NULL), type);
    enum failure of_status = protocol_failure_of_status(http_status);
    if (of_status == FAILURE_NONE)
        of_status = protocol_failure_of_status(status_in(code));
    // A status says how to go on; words may say more, but not make a 5xx final.
    if (of_status == FAILURE_NONE)
        r->a->failure = of_words != FAILURE_NONE ? of_words : FAILURE_SERVER;
    else if (of_words == FAILURE_QUOTA ||
             (of_words == FAILURE_FILTER && http_status == 400))
        r->a->failure = of_words;
    else
        r->a->failure = of_status;
    char *said =
        readable(message ? message : "", message ? strlen(message) : 0, MAX_TEXT);
    const char *word = json_text(code, type);
    free(r->a->error);
    r->a->error = text_format("%s%s%s", word ? word : "", word && said ? ": " : "",
        said && *said ? said : "the server gave no reason");
    r->no_memory |= !said || !r->a->error;
    free(said);
}

static void fail(struct reading *r, enum failure failure, const char *what,
    const struct wire_answer *wire)
{
    char *quoted = readable(wire->body ? wire->body : "", wire->len, MAX_QUOTED);
    r->a->failure = failure;
    free(r->a->error);
    r->a->error = wire->len ? text_format("%s: %s%s", what, quoted ? quoted : "",
                                  wire->len > MAX_QUOTED ? "..." : "")
                            : text_format("%s: the body is empty", what);
    r->no_memory |= !quoted || !r->a->error;
    free(quoted);
}

/* ---- usage ---------------------------------------------------------------------- */

/* A count, or what stands for one that is absent; nonsense is unknown. */
static int64_t count(const struct json *j, int64_t absent)
{
    if (!j || json_is_null(j))
        return absent;
    int64_t n = json_is_int(j) ? json_int(j, TOKENS_UNKNOWN) : TOKENS_UNKNOWN;
    return n < 0 || n > MAX_TOKENS ? TOKENS_UNKNOWN : n;
}

/* whole minus parts; unknown where they contradict each other. */
static int64_t rest_of(int64_t whole, int64_t part_a, int64_t part_b)
{
    if (whole < 0 || part_a < 0 || part_b < 0 || part_a > whole ||
        part_b > whole - part_a)
        return TOKENS_UNKNOWN;
    return whole - part_a - part_b;
}

static void read_usage(struct reading *r, const struct json *root)
{
    const struct json *usage = json_get(root, "usage");
    if (!json_is_object(usage)) // Groq's streams
        usage = json_get(json_get(root, "x_groq"), "usage");
    if (!json_is_object(usage))
        return;
    const struct json *in = json_get(usage, "prompt_tokens_details");
    const struct json *out = json_get(usage, "completion_tokens_details");
    const struct json *timings = json_get(root, "timings"); // llama-server
    struct answer *a = r->a;
    a->cache_read_tokens =
        count(json_get(in, "cached_tokens"), count(json_get(timings, "cache_n"), 0));
    a->cache_write_tokens = count(json_get(in, "cache_write_tokens"), 0);
    a->input_tokens = rest_of(count(json_get(usage, "prompt_tokens"), TOKENS_UNKNOWN),
        a->cache_read_tokens, a->cache_write_tokens);
    a->reasoning_tokens = count(json_get(out, "reasoning_tokens"), 0);
    a->output_tokens =
        rest_of(count(json_get(usage, "completion_tokens"), TOKENS_UNKNOWN),
            a->reasoning_tokens, 0);
    if (json_is_number(json_get(usage, "cost"))) // OpenRouter
        a->provider_cost_usd = json_number(json_get(usage, "cost"), 0);

    struct buffer text;
    buffer_init(&text, MAX_TEXT);
    if (json_print(usage, JSON_COMPACT, &text, NULL) == OK)
        keep(r, &a->usage, buffer_str(&text));
    buffer_release(&text);
}

/* ---- choices -------------------------------------------------------------------- */

/* A string, or an array of parts with texts, as some servers have it.  Returns the
 * number of bytes added. */
static size_t add_content(struct buffer *to, const struct json *content)
{
    size_t before = to->len;
    if (json_is_string(content))
        buffer_add_str(to, json_text(content, ""));
    for (const struct json *p = json_is_array(content) ? json_first(content) : NULL; p;
         p = json_next(p))
        buffer_add_str(to, json_text(json_get(p, "text"), ""));
    return to->len - before;
}

static int is_said(const struct json *j)
{
    return *json_text(j, "") != '\0';
}

/* The message of a whole answer or the delta of a chunk.  True where it brings a token. */
static int read_message(struct reading *r, const struct json *m)
{
    size_t n = add_content(&r->text, json_get(m, "content"));
    n += add_content(&r->refusal, json_get(m, "refusal"));
    return n || is_said(json_get(m, "reasoning_content")) ||
           is_said(json_get(m, "reasoning")) || json_size(json_get(m, "tool_calls"));
}

/* One document: the whole answer or a chunk.  True where it brings a token. */
static int read_document(struct reading *r, const struct json *root)
{
    const struct json *choice = json_at(json_get(root, "choices"), 0);
    int has_token = 0;
    if (choice) {
        r->has_choice = 1;
        const struct json *m = json_get(choice, "message");
        has_token = read_message(r, m ? m : json_get(choice, "delta"));
        keep(r, &r->a->provider_stop, json_text(json_get(choice, "finish_reason"), NULL));
    }
    keep(r, &r->a->model, json_text(json_get(root, "model"), NULL));
    keep(r, &r->a->fingerprint, json_text(json_get(root, "system_fingerprint"), NULL));
    if (!r->a->request_id) {
        const char *groq = json_text(json_get(json_get(root, "x_groq"), "id"), NULL);
        keep(r, &r->a->request_id, groq ? groq : json_text(json_get(root, "id"), NULL));
    }
    read_usage(r, root);
    return has_token;
}

static enum stop stop_of(const char *word, int is_refusal)
{
    static const struct {
        const char *word;
        enum stop stop;
    } words[] = { { "stop", STOP_STOP }, { "eos", STOP_STOP }, { "length", STOP_LENGTH },
        { "model_length", STOP_LENGTH }, { "content_filter", STOP_FILTER },
        { "tool_calls", STOP_TOOL }, { "function_call", STOP_TOOL } };
    if (is_refusal)
        return STOP_REFUSAL;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (text_equal(words[i].word, word))
            return words[i].stop;
    return STOP_OTHER;
}

/* ---- whole and streamed --------------------------------------------------------- */

static enum status read_whole(
    struct reading *r, const struct wire_answer *wire, struct error *err)
{
    struct json *root = NULL;
    struct error why = ERROR_INIT;
    enum status s =
        json_parse(wire->body ? wire->body : "", wire->len, "answer", 0, &root, &why);
    if (s == E_NOMEM)
        return error_set(err, s, "%s", why.msg);
    const struct json *e = error_of(root);
    if (wire->http_status >= 400) {
        // {"message": ...} and {"detail": ...} are errors of a kind under such a status.
        const struct json *plain =
            json_get(root, "message") ? root : json_get(root, "detail");
        if (e || json_is_string(plain) || json_is_object(plain))
            set_error(r, wire->http_status, e ? e : plain);
        else
            fail(r, protocol_failure_of_status(wire->http_status), "answer of the server",
                wire);
    } else if (s != OK) {
        if (wire->is_complete)
            fail(r, FAILURE_MALFORMED, why.msg, wire);
        else
            fail(r, FAILURE_TRUNCATED, "the connection ended inside the answer", wire);
    } else if (e) {
        set_error(r, wire->http_status, e);
    } else {
        read_document(r, root);
        if (!r->has_choice)
            fail(r, FAILURE_MALFORMED, "the answer has no choices", wire);
    }
    json_free(root);
    return OK;
}

static int take_event(
    const char *event, const char *data, size_t len, size_t end, void *arg)
{
    struct reading *r = arg;
    (void)event;
    if (text_equal(data, "[DONE]")) {
        r->is_done = 1;
        return 1;
    }
    struct json *chunk = NULL;
    enum status s = json_parse(data, len, "event", 0, &chunk, NULL);
    if (s != OK) {
        r->no_memory |= s == E_NOMEM;
        r->is_malformed |= s != E_NOMEM;
        return 1;
    }
    const struct json *e = error_of(chunk);
    if (e)
        set_error(r, 200, e);
    else if (read_document(r, chunk) && !r->a->first_token_end)
        r->a->first_token_end = end;
    json_free(chunk);
    return e != NULL;
}

static enum status read_stream(
    struct reading *r, const struct wire_answer *wire, struct error *err)
{
    struct sse sse;
    sse_init(&sse, OPENAI_MAX_EVENT);
    struct error why = ERROR_INIT;
    enum status s = sse_feed(&sse, wire->body, wire->len, take_event, r, &why);
    if (s == OK && wire->is_complete)
        s = sse_end(&sse, take_event, r, &why);
    sse_release(&sse);
    if (s == E_LIMIT)
        fail(r, FAILURE_MALFORMED, why.msg, wire);
    else if (s != OK)
        return error_set(err, s, "%s", why.msg);
    if (r->a->failure != FAILURE_NONE)
        return OK;
    if (r->is_malformed)
        fail(r, wire->is_complete ? FAILURE_MALFORMED : FAILURE_TRUNCATED,
            "the stream has an event that is not JSON", wire);
    else if (!r->is_done && !(wire->is_complete && r->a->provider_stop))
        fail(r, FAILURE_TRUNCATED, "the stream ended before its end mark", wire);
    else if (!r->has_choice)
        fail(r, FAILURE_MALFORMED, "the stream brought no choices", wire);
    return OK;
}

static int is_document(const char *body, size_t len)
{
    size_t i = 0;
    while (i < len && isspace((unsigned char)body[i]))
        i++;
    return i == len || body[i] == '{' || body[i] == '[' || body[i] == '<';
}

static void finish(struct reading *r, const struct wire_answer *wire)
{
    struct answer *a = r->a;
    char id[200];
    const char *header = wire_header(wire->headers, "x-request-id", id, sizeof id);
    if (!header)
        header = wire_header(wire->headers, "apim-request-id", id, sizeof id);
    if (header && text_utf8_valid(header, strlen(header)) == strlen(header))
        keep(r, &a->request_id, header);
    if (a->failure != FAILURE_NONE)
        return;
    if (text_equal(a->provider_stop, "error")) {
        fail(r, FAILURE_SERVER, "the server stopped with an error", wire);
        return;
    }
    int is_refusal = r->refusal.len && !r->text.len;
    a->stop = stop_of(a->provider_stop, is_refusal);
    a->text = text_copy(buffer_str(is_refusal ? &r->refusal : &r->text));
    r->no_memory |= !a->text;
}

enum status openai_chat_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err)
{
    struct reading r = { .a = out };
    answer_init(out);
    buffer_init(&r.text, MAX_TEXT);
    buffer_init(&r.refusal, MAX_TEXT);
    enum status s = OK;
    if (wire->http_status < 400 && wire->http_status != 0 &&
        !is_document(wire->body, wire->len))
        s = read_stream(&r, wire, err);
    else
        s = read_whole(&r, wire, err);
    if (s == OK && (r.text.failed == E_LIMIT || r.refusal.failed == E_LIMIT))
        fail(&r, FAILURE_TOO_LARGE, "the answer's text is too long", wire);
    if (s == OK)
        finish(&r, wire);
    if (s == OK &&
        (r.no_memory || r.text.failed == E_NOMEM || r.refusal.failed == E_NOMEM))
        s = error_nomem(err, wire->len);
    buffer_release(&r.text);
    buffer_release(&r.refusal);
    return s;
}
