/* reading.c - see reading.h. */
#include "collectors/llm/reading.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collectors/llm/sse.h"
#include "m4a1/base/text.h"

#define MAX_TOKENS 100000000 /* no answer has more: such a count is nonsense */
#define MAX_QUOTED 400       /* bytes of a body that an error message quotes */
#define MAX_ID 200
#define MAX_USAGE 100 /* members of a usage object; no provider has half of it */
#define MAX_USAGE_TEXT (64u << 10)
#define USAGE_CUT "m4a1_cut" /* stands in the usage where some of it was left out */
#define MAX_COST_USD 1e6     /* no answer costs more: such a cost is nonsense */
#define MAX_LOCATION 300     /* bytes of an address that an error message repeats */

/* ---- pieces --------------------------------------------------------------------- */

void reading_keep(struct reading *r, char **slot, const char *s)
{
    if (!s || !*s)
        return;
    char *copy = text_copy(s);
    if (!copy) {
        r->no_memory = 1;
        return;
    }
    json_join_halves(copy);
    free(*slot);
    *slot = copy;
}

struct json *reading_usage(struct reading *r, const struct json *usage)
{
    if (!json_is_object(usage))
        return r->usage;
    if (!r->usage)
        r->usage = json_new_object();
    r->no_memory |= !r->usage;
    size_t n = 0, n_kept = json_size(r->usage);
    for (const struct json *j = json_first(usage); j && n < MAX_USAGE;
         j = json_next(j), n++) {
        int is_new = !json_get(r->usage, json_key(j));
        if ((json_is_null(j) && !is_new) || (is_new && n_kept >= MAX_USAGE))
            continue;
        r->no_memory |= !json_set_copy(r->usage, json_key(j), j);
        n_kept += (size_t)is_new;
    }
    r->is_usage_cut |= n == MAX_USAGE || n_kept >= MAX_USAGE;
    return r->usage;
}

static void keep_usage(struct reading *r)
{
    struct buffer text;
    buffer_init(&text, MAX_USAGE_TEXT);
    if (r->usage && r->is_usage_cut)
        r->no_memory |= !json_set_bool(r->usage, USAGE_CUT, 1);
    if (r->usage && json_print(r->usage, JSON_COMPACT, &text, NULL) == OK)
        reading_keep(r, &r->a->usage, buffer_str(&text));
    else if (text.failed == E_LIMIT)
        reading_keep(r, &r->a->usage, "{\"" USAGE_CUT "\":true}");
    r->no_memory |= text.failed == E_NOMEM;
    buffer_release(&text);
    json_free(r->usage);
    r->usage = NULL;
}

static void add(struct reading *r, struct buffer *to, const char *s)
{
    if (s && *s) {
        buffer_add_str(to, s);
        r->has_token = 1;
    }
}

void reading_text(struct reading *r, const char *s)
{
    add(r, &r->text, s);
}

void reading_refusal(struct reading *r, const char *s)
{
    add(r, &r->refusal, s);
}

int reading_is_said(const struct json *j)
{
    return *json_text(j, "") != '\0';
}

int64_t reading_count(const struct json *j, int64_t absent)
{
    if (!j || json_is_null(j))
        return absent;
    int64_t n = json_is_int(j) ? json_int(j, TOKENS_UNKNOWN) : TOKENS_UNKNOWN;
    return n < 0 || n > MAX_TOKENS ? TOKENS_UNKNOWN : n;
}

double reading_cost_usd(const struct json *j)
{
    double usd = json_number(j, -1);
    return usd >= 0 && usd <= MAX_COST_USD ? usd : (double)NAN;
}

/* whole minus parts; unknown where they contradict each other. */
static int64_t rest_of(int64_t whole, int64_t part_a, int64_t part_b)
{
    if (whole < 0 || part_a < 0 || part_b < 0 || part_a > whole ||
        part_b > whole - part_a)
        return TOKENS_UNKNOWN;
    return whole - part_a - part_b;
}

void reading_tokens(struct reading *r, int64_t input_total, int64_t cache_read,
    int64_t cache_write, int64_t output_total, int64_t reasoning)
{
    struct answer *a = r->a;
    a->cache_read_tokens = cache_read;
    a->cache_write_tokens = cache_write;
    a->input_tokens = rest_of(input_total, cache_read, cache_write);
    a->reasoning_tokens = reasoning;
    a->output_tokens = rest_of(output_total, reasoning, 0);
}

/* ---- failures ------------------------------------------------------------------- */

/* Text that a person and SQLite can read whatever the server sent: cut to max bytes,
 * broken UTF-8 and control characters replaced. */
static char *readable(const char *s, size_t len, size_t max)
{
    size_t n = len < max ? len : max;
    char *copy = text_copy_n(s, n);
    if (!copy)
        return NULL;
    json_join_halves(copy);
    n = strnlen(copy, n);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)copy[i] < 0x20 || copy[i] == 0x7f)
            copy[i] = ' ';
    for (size_t i = 0; (i += text_utf8_valid(copy + i, n - i)) < n;)
        copy[i] = '?';
    return copy;
}

void reading_fail(struct reading *r, enum failure failure, const char *what)
{
    size_t len = r->wire->len;
    char *quoted = readable(r->wire->body ? r->wire->body : "", len, MAX_QUOTED);
    r->a->failure = failure;
    free(r->a->error);
    r->a->error = len ? text_format("%s: %s%s", what, quoted ? quoted : "",
                            len > MAX_QUOTED ? "..." : "")
                      : text_format("%s: the body is empty", what);
    r->no_memory |= !quoted || !r->a->error;
    free(quoted);
}

static enum failure failure_of_word(const char *word)
{
    static const struct {
        const char *word;
        enum failure failure;
    } words[] = {
        { "insufficient_quota", FAILURE_QUOTA },
        { "credit_balance_exhausted", FAILURE_QUOTA },
        { "billing_hard_limit_reached", FAILURE_QUOTA },
        { "billing_not_active", FAILURE_QUOTA },
        { "billing_error", FAILURE_QUOTA },
        { "enforced_spend_limit_reached", FAILURE_QUOTA },
        { "insufficient_credits", FAILURE_QUOTA },
        { "content_filter", FAILURE_FILTER },
        { "content_policy_violation", FAILURE_FILTER },
        { "image_content_policy_violation", FAILURE_FILTER },
        { "bio_policy", FAILURE_FILTER },
        { "rate_limit_exceeded", FAILURE_RATE_LIMIT },
        { "rate_limit_error", FAILURE_RATE_LIMIT },
        { "rate_limited", FAILURE_RATE_LIMIT },
        { "too_many_requests", FAILURE_RATE_LIMIT },
        { "requests", FAILURE_RATE_LIMIT },
        { "tokens", FAILURE_RATE_LIMIT },
        { "invalid_api_key", FAILURE_AUTH },
        { "authentication_error", FAILURE_AUTH },
        { "permission_error", FAILURE_AUTH },
        { "timeout_error", FAILURE_TIMEOUT },
        { "invalid_request_error", FAILURE_REQUEST },
        { "exceed_context_size_error", FAILURE_REQUEST },
        { "context_length_exceeded", FAILURE_REQUEST },
        { "model_not_found", FAILURE_REQUEST },
        { "not_found_error", FAILURE_REQUEST },
        { "request_too_large", FAILURE_REQUEST },
        { "invalid_prompt", FAILURE_REQUEST },
        { "invalid_image", FAILURE_REQUEST },
    };
    for (size_t i = 0; word && i < COUNT_OF(words); i++)
        if (!strcasecmp(word, words[i].word))
            return words[i].failure;
    return FAILURE_NONE;
}

/* Of two words the graver one: money before a filter before all else. */
static enum failure failure_of_words(const char *code, const char *type)
{
    enum failure a = failure_of_word(code), b = failure_of_word(type);
    if (a == FAILURE_QUOTA || b == FAILURE_QUOTA)
        return FAILURE_QUOTA;
    if (a == FAILURE_FILTER || b == FAILURE_FILTER)
        return FAILURE_FILTER;
    return a != FAILURE_NONE ? a : b;
}

void reading_error(struct reading *r, int inside, const char *code, const char *type,
    const char *message)
{
    int http_status = r->wire->http_status;
    enum failure of_words = failure_of_words(code, type);
    enum failure of_status = protocol_failure_of_status(http_status);
    if (of_status == FAILURE_NONE)
        of_status = protocol_failure_of_status(inside);
    // A status says how to go on; words may say more, but not make a 5xx final.
    if (of_status == FAILURE_NONE)
        r->a->failure = of_words != FAILURE_NONE ? of_words : FAILURE_SERVER;
    else if (of_words == FAILURE_QUOTA ||
             (of_words == FAILURE_FILTER && http_status == 400))
        r->a->failure = of_words;
    else
        r->a->failure = of_status;
    char *said =
        readable(message ? message : "", message ? strlen(message) : 0, READING_MAX_TEXT);
    const char *word = code && *code ? code : type;
    char *clean = readable(word ? word : "", word ? strlen(word) : 0, MAX_ID);
    free(r->a->error);
    r->a->error = text_format("%s%s%s", clean ? clean : "", word ? ": " : "",
        said && *said ? said : "the server gave no reason");
    r->no_memory |= !said || !clean || !r->a->error;
    free(said);
    free(clean);
}

/* ---- what is no answer ---------------------------------------------------------- */

/* The name of the compression whose first bytes a body has; NULL = none. */
static const char *compression_of(const struct wire_answer *wire)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *name;
    } magics[] = { { "\x1f\x8b", 2, "gzip" }, { "\x28\xb5\x2f\xfd", 4, "zstd" },
        { "\x78\x01", 2, "zlib" }, { "\x78\x9c", 2, "zlib" }, { "\x78\xda", 2, "zlib" } };
    for (size_t i = 0; i < COUNT_OF(magics); i++)
        if (wire->len >= magics[i].n && !memcmp(wire->body, magics[i].bytes, magics[i].n))
            return magics[i].name;
    return NULL;
}

static int is_redirect(const struct wire_answer *wire)
{
    return wire->http_status >= 300 && wire->http_status < 400;
}

static void fail_plainly(struct reading *r, enum failure failure, char *words)
{
    r->a->failure = failure;
    free(r->a->error);
    r->a->error = words;
    r->no_memory |= !words;
}

/* A query is not repeated: some servers put a token into it. */
static void fail_redirect(struct reading *r)
{
    char value[MAX_LOCATION];
    const char *to = wire_header(r->wire->headers, "location", value, sizeof value);
    size_t n = to ? strcspn(to, "?#") : 0;
    if (!n) {
        fail_plainly(r, FAILURE_REQUEST,
            text_format("the server answers HTTP %d without an address: is the llm's "
                        "\"url\" that of an API?",
                r->wire->http_status));
        return;
    }
    char *clean = readable(to, n, n);
    r->no_memory |= !clean;
    fail_plainly(r, FAILURE_REQUEST,
        text_format(
            "the server redirects to %s%s (HTTP %d), and no redirect is followed: "
            "if the API is there, put that address into the llm's \"url\"",
            clean ? clean : "", to[n] ? "?..." : "", r->wire->http_status));
    free(clean);
}

static void fail_compressed(struct reading *r, const char *name)
{
    enum failure failure = protocol_failure_of_status(r->wire->http_status);
    fail_plainly(r, failure != FAILURE_NONE ? failure : FAILURE_MALFORMED,
        text_format(
            "the body is compressed (%s), but nothing compressed was asked for and "
            "no Content-Encoding says so: the server, or a proxy before it, has "
            "to be mended",
            name));
}

int reading_may_stream(const struct wire_answer *wire)
{
    return wire->len && wire->http_status >= 200 && wire->http_status < 300 &&
           !compression_of(wire);
}

/* ---- whole and streamed --------------------------------------------------------- */

void reading_begin(struct reading *r, const struct wire_answer *wire, struct answer *out)
{
    *r = (struct reading) { .a = out, .wire = wire };
    answer_init(out);
    buffer_init(&r->text, READING_MAX_TEXT);
    buffer_init(&r->refusal, READING_MAX_TEXT);
}

enum status reading_document(struct reading *r, reading_take *take, struct error *err)
{
    const struct wire_answer *wire = r->wire;
    struct json *root = NULL;
    struct error why = ERROR_INIT;
    const char *compression = compression_of(wire);
    r->is_document = 1;
    if (is_redirect(wire))
        fail_redirect(r);
    else if (compression)
        fail_compressed(r, compression);
    if (r->a->failure != FAILURE_NONE)
        return OK;
    enum status s = json_parse(
        wire->body ? wire->body : "", wire->len, "answer", JSON_MEND, &root, &why);
    if (s == E_NOMEM)
        return error_set(err, s, "%s", why.msg);
    if (s == OK)
        take(r, "", root);
    else if (wire->http_status < 400 && wire->is_complete)
        reading_fail(r, FAILURE_MALFORMED, why.msg);
    else if (wire->http_status < 400)
        reading_fail(r, FAILURE_TRUNCATED, "the connection ended inside the answer");
    if (r->a->failure == FAILURE_NONE && wire->http_status >= 400)
        reading_fail(
            r, protocol_failure_of_status(wire->http_status), "answer of the server");
    else if (r->a->failure == FAILURE_NONE && !r->has_answer)
        reading_fail(r, FAILURE_MALFORMED, "this is no answer of the protocol");
    json_free(root);
    return OK;
}

int reading_event(struct reading *r, reading_take *take, const char *event,
    const char *data, size_t len, size_t end)
{
    struct json *j = NULL;
    enum status s = json_parse(data, len, "event", JSON_MEND, &j, NULL);
    if (s != OK) {
        r->no_memory |= s == E_NOMEM;
        r->is_malformed |= s != E_NOMEM;
        return 1;
    }
    r->has_token = 0;
    take(r, event, j);
    json_free(j);
    if (r->has_token && !r->a->first_token_end)
        r->a->first_token_end = end;
    return r->is_done || r->a->failure != FAILURE_NONE;
}

void reading_end_stream(struct reading *r)
{
    int is_complete = r->wire->is_complete;
    if (r->a->failure != FAILURE_NONE)
        return;
    if (r->is_malformed)
        reading_fail(r, is_complete ? FAILURE_MALFORMED : FAILURE_TRUNCATED,
            "the stream has an event that is not JSON");
    else if (!r->is_done && !(r->may_end_unmarked && is_complete && r->a->provider_stop))
        reading_fail(r, FAILURE_TRUNCATED, "the stream ended before its end mark");
    else if (!r->has_answer)
        reading_fail(r, FAILURE_MALFORMED, "the stream brought no answer");
}

struct sse_reading {
    struct reading *r;
    reading_take *take;
};

static int take_sse(
    const char *event, const char *data, size_t len, size_t end, void *arg)
{
    const struct sse_reading *s = arg;
    if (text_equal(data, "[DONE]")) { // OpenAI's end mark is not JSON
        s->r->is_done = 1;
        return 1;
    }
    return reading_event(s->r, s->take, event, data, len, end);
}

static enum status read_sse(struct reading *r, reading_take *take, struct error *err)
{
    struct sse sse;
    struct sse_reading arg = { r, take };
    struct error why = ERROR_INIT;
    sse_init(&sse, READING_MAX_EVENT);
    enum status s = sse_feed(&sse, r->wire->body, r->wire->len, take_sse, &arg, &why);
    if (s == OK && r->wire->is_complete)
        s = sse_end(&sse, take_sse, &arg, &why);
    sse_release(&sse);
    if (s == E_LIMIT)
        reading_fail(r, FAILURE_MALFORMED, why.msg);
    else if (s != OK)
        return error_set(err, s, "%s", why.msg);
    reading_end_stream(r);
    return OK;
}

static int looks_like_document(const char *body, size_t len)
{
    size_t i = 0;
    while (i < len && isspace((unsigned char)body[i]))
        i++;
    return i == len || body[i] == '{' || body[i] == '[' || body[i] == '<';
}

static void make_answer(struct reading *r)
{
    struct answer *a = r->a;
    if (r->text.failed == E_LIMIT || r->refusal.failed == E_LIMIT)
        reading_fail(r, FAILURE_TOO_LARGE, "the answer's text is too long");
    int is_refusal = r->refusal.len && !r->text.len;
    char *text = text_copy(buffer_str(is_refusal ? &r->refusal : &r->text));
    json_join_halves(text);
    r->no_memory |= !text;
    if (a->failure != FAILURE_NONE) {
        a->unfinished = text;
        return;
    }
    a->text = text;
    if (is_refusal)
        a->stop = STOP_REFUSAL;
}

enum status reading_finish(
    struct reading *r, const char *id_header, enum status s, struct error *err)
{
    char id[MAX_ID];
    const char *header =
        id_header ? wire_header(r->wire->headers, id_header, id, sizeof id) : NULL;
    if (header && text_utf8_valid(header, strlen(header)) == strlen(header))
        reading_keep(r, &r->a->request_id, header);
    keep_usage(r);
    if (s == OK)
        make_answer(r);
    if (s == OK &&
        (r->no_memory || r->text.failed == E_NOMEM || r->refusal.failed == E_NOMEM))
        s = error_nomem(err, r->wire->len);
    buffer_release(&r->text);
    buffer_release(&r->refusal);
    return s;
}

enum status reading_run(const struct wire_answer *wire, reading_take *take,
    const char *id_header, int may_end_unmarked, struct answer *out, struct error *err)
{
    struct reading r;
    reading_begin(&r, wire, out);
    r.may_end_unmarked = may_end_unmarked;
    int is_stream =
        reading_may_stream(wire) && !looks_like_document(wire->body, wire->len);
    enum status s = is_stream ? read_sse(&r, take, err) : reading_document(&r, take, err);
    return reading_finish(&r, id_header, s, err);
}
