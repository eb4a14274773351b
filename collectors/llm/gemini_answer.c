/* gemini_answer.c - Google Gemini, what comes back: one document, a stream of events of
 * the same shape, or (without alt=sse) a list of them.
 *
 * promptTokenCount holds cachedContentTokenCount; thoughtsTokenCount is beside
 * candidatesTokenCount, not inside; totalTokenCount is the sum.  Counts that are 0 may be
 * left out, so one that is absent is what the total leaves for it.  A stream has no end
 * mark: it ended well where the connection did, behind a finishReason. */
#include "collectors/llm/gemini.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "collectors/llm/reading.h"
#include "m4a1/base/text.h"

#define MAX_WAIT_S 1e9

/* ---- errors --------------------------------------------------------------------- */

/* "17s", "1.5s" in ns; -1 where it is no such text. */
static int64_t duration_ns(const char *s)
{
    size_t n = strlen(s);
    double seconds = 0;
    char *number = n > 1 && s[n - 1] == 's' ? text_copy_n(s, n - 1) : NULL;
    enum status status =
        number ? text_to_double(number, "retryDelay", 0, MAX_WAIT_S, &seconds, NULL)
               : E_ARG;
    free(number);
    return status == OK ? (int64_t)(seconds * 1e9) : -1;
}

static int contains(const char *s, const char *word)
{
    size_t n = strlen(word);
    for (; *s; s++)
        if (!strncasecmp(s, word, n))
            return 1;
    return 0;
}

/* What a list of broken quotas says: ids like
 * "GenerateRequestsPerDayPerProjectPerModel-FreeTier". */
struct quota {
    int is_broken, is_of_day, is_of_minute;
};

static void read_violations(const struct json *detail, struct quota *q)
{
    q->is_broken = 1;
    const struct json *v = json_first(json_get(detail, "violations"));
    for (; v; v = json_next(v)) {
        const char *id = json_text(json_get(v, "quotaId"), "");
        q->is_of_day |= contains(id, "PerDay") || contains(id, "PerMonth");
        q->is_of_minute |= contains(id, "PerMinute") || contains(id, "PerSecond");
    }
}

/* A quota of a day is gone even where the server names a short wait; so is one that
 * names neither its time nor a wait. */
static int is_quota_gone(const struct quota *q, int64_t retry_after_ns)
{
    return q->is_of_day || (q->is_broken && !q->is_of_minute && retry_after_ns < 0);
}

static void take_error(struct reading *r, const struct json *e)
{
    struct quota quota = { 0 };
    int is_key = 0;
    int inside = (int)json_int(json_get(e, "code"), 0);
    const char *status = json_text(json_get(e, "status"), NULL);
    const struct json *d = json_first(json_get(e, "details"));
    for (; d; d = json_next(d)) {
        const char *type = json_text(json_get(d, "@type"), "");
        if (text_ends(type, "RetryInfo"))
            r->a->retry_after_ns = duration_ns(json_text(json_get(d, "retryDelay"), ""));
        else if (text_ends(type, "QuotaFailure"))
            read_violations(d, &quota);
        is_key |= text_equal(json_text(json_get(d, "reason"), NULL), "API_KEY_INVALID");
    }
    reading_error(
        r, inside, NULL, status, json_text(json_get(e, "message"), json_text(e, NULL)));
    if (is_key) // under HTTP 400
        r->a->failure = FAILURE_AUTH;
    else if (r->a->failure == FAILURE_RATE_LIMIT &&
             is_quota_gone(&quota, r->a->retry_after_ns))
        r->a->failure = FAILURE_QUOTA;
}

/* ---- answers -------------------------------------------------------------------- */

static int64_t sum(int64_t a, int64_t b)
{
    return a < 0 || b < 0 ? TOKENS_UNKNOWN : a + b;
}

static void take_usage(struct reading *r, const struct json *usage)
{
    usage = reading_usage(r, usage);
    if (!usage)
        return;
    int64_t prompt = reading_count(json_get(usage, "promptTokenCount"), TOKENS_UNKNOWN);
    int64_t tools = reading_count(json_get(usage, "toolUsePromptTokenCount"), 0);
    int64_t cached = reading_count(json_get(usage, "cachedContentTokenCount"), 0);
    int64_t thoughts = reading_count(json_get(usage, "thoughtsTokenCount"), 0);
    int64_t total = reading_count(json_get(usage, "totalTokenCount"), TOKENS_UNKNOWN);
    int64_t input = sum(prompt, tools), without = sum(input, thoughts);
    int64_t left =
        total < 0 || without < 0 || total < without ? TOKENS_UNKNOWN : total - without;
    int64_t spoken = reading_count(json_get(usage, "candidatesTokenCount"), left);
    reading_tokens(r, input, cached, 0, sum(spoken, thoughts), thoughts);
}

static enum stop stop_of(const char *reason)
{
    static const struct {
        const char *reason;
        enum stop stop;
    } reasons[] = {
        { "STOP", STOP_STOP },
        { "MAX_TOKENS", STOP_LENGTH },
        { "SAFETY", STOP_FILTER },
        { "RECITATION", STOP_FILTER },
        { "LANGUAGE", STOP_FILTER },
        { "BLOCKLIST", STOP_FILTER },
        { "PROHIBITED_CONTENT", STOP_FILTER },
        { "SPII", STOP_FILTER },
        { "MODEL_ARMOR", STOP_FILTER },
        { "IMAGE_SAFETY", STOP_FILTER },
        { "IMAGE_PROHIBITED_CONTENT", STOP_FILTER },
        { "IMAGE_RECITATION", STOP_FILTER },
        { "MALFORMED_FUNCTION_CALL", STOP_TOOL },
        { "UNEXPECTED_TOOL_CALL", STOP_TOOL },
        { "TOO_MANY_TOOL_CALLS", STOP_TOOL },
    };
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (text_equal(reason, reasons[i].reason))
            return reasons[i].stop;
    return STOP_OTHER;
}

static void take_candidate(struct reading *r, const struct json *candidate)
{
    r->has_answer = 1;
    const struct json *p = json_first(json_get(json_get(candidate, "content"), "parts"));
    for (; p; p = json_next(p)) {
        const struct json *text = json_get(p, "text");
        if (!json_bool(json_get(p, "thought"), 0))
            reading_text(r, json_text(text, NULL));
        r->has_token |= reading_is_said(text) || json_get(p, "functionCall") != NULL;
    }
    const char *reason = json_text(json_get(candidate, "finishReason"), NULL);
    if (reason) {
        r->a->stop = stop_of(reason);
        reading_keep(r, &r->a->provider_stop, reason);
    }
}

/* A prompt that was blocked has an answer of a kind: no candidate, and why. */
static void take_block(struct reading *r, const char *reason)
{
    char *word = text_format("prompt blocked: %s", reason);
    r->no_memory |= !word;
    r->has_answer = 1;
    r->a->stop = STOP_FILTER;
    reading_keep(r, &r->a->provider_stop, word);
    free(word);
}

static void take_one(struct reading *r, const struct json *j)
{
    const struct json *e = json_get(j, "error");
    if (json_is_object(e) || json_is_string(e)) {
        take_error(r, e);
        return;
    }
    const struct json *candidate = json_at(json_get(j, "candidates"), 0);
    const char *block =
        json_text(json_get(json_get(j, "promptFeedback"), "blockReason"), NULL);
    if (candidate)
        take_candidate(r, candidate);
    else if (block && *block && !r->has_answer)
        take_block(r, block);
    reading_keep(r, &r->a->model, json_text(json_get(j, "modelVersion"), NULL));
    reading_keep(r, &r->a->request_id, json_text(json_get(j, "responseId"), NULL));
    take_usage(r, json_get(j, "usageMetadata"));
}

static void take(struct reading *r, const char *event, const struct json *j)
{
    (void)event;
    if (!json_is_array(j)) {
        take_one(r, j);
        return;
    }
    for (const struct json *k = json_first(j); k && !r->a->error; k = json_next(k))
        take_one(r, k);
    if (!r->a->error && r->has_answer && !r->a->provider_stop)
        reading_fail(r, FAILURE_TRUNCATED, "the list ended without a finishReason");
}

enum status gemini_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err)
{
    return reading_run(wire, take, NULL, 1, out, err);
}
