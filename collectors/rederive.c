/* rederive.c - see rederive.h. */
#include "collectors/rederive.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/llm/protocol.h"
#include "collectors/llm/transport.h"
#include "collectors/server_facts.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/payload.h"
#include "schema/query.h"

#define VERSION "m4a1 " M4A1_VERSION

const char *const rederive_field_names[N_REDERIVE_FIELDS] = {
    [REDERIVE_OUTCOME] = "error_class",
    [REDERIVE_TEXT] = "text",
    [REDERIVE_STOP_REASON] = "stop_reason",
    [REDERIVE_PROVIDER_STOP] = "provider_stop",
    [REDERIVE_MODEL] = "model",
    [REDERIVE_FINGERPRINT] = "fingerprint",
    [REDERIVE_INPUT] = "input_tokens",
    [REDERIVE_CACHE_READ] = "cache_read_tokens",
    [REDERIVE_CACHE_WRITE] = "cache_write_tokens",
    [REDERIVE_OUTPUT] = "output_tokens",
    [REDERIVE_REASONING] = "reasoning_tokens",
    [REDERIVE_SERVICE_TIER] = "service_tier",
    [REDERIVE_LOAD] = "load_ns",
    [REDERIVE_SERVER] = "server_ns",
};

/* Columns of the SELECT below. */
enum { ATTEMPT, PROTOCOL, HTTP_STATUS, ERROR_CLASS, RECEIVED, FIRST_FIELD };

static const char attempts[] =
    "SELECT a.attempt_id, l.protocol, a.http_status, a.error_class, a.received, r.text,"
    " r.stop_reason, r.provider_stop, r.model, r.fingerprint, r.input_tokens,"
    " r.cache_read_tokens, r.cache_write_tokens, r.output_tokens, r.reasoning_tokens,"
    " r.service_tier, r.load_ns, r.server_ns FROM attempt a JOIN call c USING (call_id)"
    " JOIN llm l USING (llm_id) LEFT JOIN response r USING (attempt_id)"
    " WHERE a.status IN ('ok', 'failed') AND coalesce(a.error_class, '') NOT IN"
    " ('not_simulated', 'simulated')"
    " AND a.error_class IS NOT 'stale_connection' ORDER BY a.attempt_id";

/* What today's program makes of one attempt's bytes. */
struct derived {
    struct answer answer;
    struct server_facts told;
    const char *texts[N_REDERIVE_FIELDS];      /* NULL = none */
    const int64_t *numbers[N_REDERIVE_FIELDS]; /* NULL = none */
};

/* The connection ended before the body did: as the collector had found then. */
static int was_complete(const char *error_class)
{
    static const enum failure cut[] = { FAILURE_NETWORK, FAILURE_TIMEOUT,
        FAILURE_TOO_LARGE };
    for (size_t i = 0; i < COUNT_OF(cut); i++)
        if (text_equal(error_class, failure_names[cut[i]]))
            return 0;
    return 1;
}

static const char *outcome(const struct derived *d)
{
    return d->answer.failure == FAILURE_NONE ? NULL : failure_names[d->answer.failure];
}

static const int64_t *known(const int64_t *n)
{
    return *n >= 0 ? n : NULL;
}

static void list_fields(struct derived *d)
{
    const struct answer *a = &d->answer;
    if (a->failure != FAILURE_NONE)
        return;
    d->texts[REDERIVE_TEXT] = a->text;
    d->texts[REDERIVE_STOP_REASON] = stop_names[a->stop];
    d->texts[REDERIVE_PROVIDER_STOP] = a->provider_stop;
    d->texts[REDERIVE_MODEL] = a->model;
    d->texts[REDERIVE_FINGERPRINT] = a->fingerprint;
    d->texts[REDERIVE_SERVICE_TIER] = *d->told.service_tier ? d->told.service_tier : NULL;
    d->numbers[REDERIVE_INPUT] = known(&a->input_tokens);
    d->numbers[REDERIVE_CACHE_READ] = known(&a->cache_read_tokens);
    d->numbers[REDERIVE_CACHE_WRITE] = known(&a->cache_write_tokens);
    d->numbers[REDERIVE_OUTPUT] = known(&a->output_tokens);
    d->numbers[REDERIVE_REASONING] = known(&a->reasoning_tokens);
    d->numbers[REDERIVE_LOAD] = known(&d->told.load_ns);
    d->numbers[REDERIVE_SERVER] = known(&d->told.server_ns);
}

/* As the collector does it (job.c), from what the store has: not the headers. */
static enum status parse(const struct protocol *p, const struct query *q,
    const struct buffer *body, struct derived *d, struct error *err)
{
    const char *class = query_text(q, ERROR_CLASS);
    struct wire_answer wire = { (int)query_int(q, HTTP_STATUS), "", buffer_str(body),
        body->len, was_complete(class) };
    enum status s = p->parse(&wire, &d->answer, err);
    if (s != OK)
        return s;
    enum failure *f = &d->answer.failure;
    if (!wire.is_complete && wire.http_status < 400 &&
        (*f == FAILURE_TRUNCATED || *f == FAILURE_MALFORMED ||
            text_equal(class, failure_names[FAILURE_TOO_LARGE])))
        for (size_t i = 0; i < N_FAILURES; i++)
            if (text_equal(class, failure_names[i]))
                *f = (enum failure)i;
    if (*f == FAILURE_NONE && wire.http_status >= 300)
        *f = FAILURE_REQUEST;
    server_facts_read("", buffer_str(body), body->len, &d->told);
    list_fields(d);
    return OK;
}

static int is_number(size_t field)
{
    return (field >= REDERIVE_INPUT && field <= REDERIVE_REASONING) ||
           field == REDERIVE_LOAD || field == REDERIVE_SERVER;
}

static int differs_in(const struct query *q, const struct derived *d, size_t field)
{
    int column = FIRST_FIELD + (int)field - REDERIVE_TEXT;
    if (!is_number(field))
        return !text_equal(query_text(q, column), d->texts[field]);
    const int64_t *now = d->numbers[field];
    // Some servers told it in a header, and headers are not kept.
    if (!now && field == REDERIVE_SERVER)
        return 0;
    return query_is_null(q, column) ? now != NULL : !now || *now != query_int(q, column);
}

static enum status add_row(struct store *store, const struct query *q,
    const struct derived *d, const struct json *differs, struct error *err)
{
    struct buffer names;
    buffer_init(&names, 4096);
    enum status s = json_print(differs, JSON_COMPACT, &names, err);
    if (s == OK)
        s = store_run(store, err,
            "INSERT INTO rederived (attempt_id, version, derived_ms, differs, "
            "error_class,"
            " error, text, stop_reason, provider_stop, model, fingerprint, input_tokens,"
            " cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,"
            " service_tier, load_ns, server_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "itittttttttIIIIItII", query_int(q, ATTEMPT), VERSION, clock_wall_ms(),
            buffer_str(&names), outcome(d), outcome(d) ? d->answer.error : NULL,
            d->texts[REDERIVE_TEXT], d->texts[REDERIVE_STOP_REASON],
            d->texts[REDERIVE_PROVIDER_STOP], d->texts[REDERIVE_MODEL],
            d->texts[REDERIVE_FINGERPRINT], d->numbers[REDERIVE_INPUT],
            d->numbers[REDERIVE_CACHE_READ], d->numbers[REDERIVE_CACHE_WRITE],
            d->numbers[REDERIVE_OUTPUT], d->numbers[REDERIVE_REASONING],
            d->texts[REDERIVE_SERVICE_TIER], d->numbers[REDERIVE_LOAD],
            d->numbers[REDERIVE_SERVER]);
    buffer_release(&names);
    return s;
}

static enum status compare(struct store *store, int dry, const struct query *q,
    const struct derived *d, struct rederive_result *out, struct error *err)
{
    const char *before = query_text(q, ERROR_CLASS), *now = outcome(d);
    struct json *differs = json_new_array();
    int ok = differs != NULL;
    for (size_t i = 0; ok && i < N_REDERIVE_FIELDS; i++) {
        int is_other = i == REDERIVE_OUTCOME ? !text_equal(before, now)
                                             : !before && !now && differs_in(q, d, i);
        out->fields[i] += is_other;
        if (is_other)
            ok = json_add_text(differs, rederive_field_names[i]) != NULL;
    }
    enum status s = ok ? OK : error_nomem(err, 1);
    if (s == OK && json_size(differs)) {
        out->n_differ++;
        out->n_gained += before && !now;
        out->n_lost += !before && now;
        if (!out->first_attempt)
            out->first_attempt = query_int(q, ATTEMPT);
        s = dry ? OK : add_row(store, q, d, differs, err);
    }
    json_free(differs);
    return s;
}

static enum status read_attempt(struct store *store, int dry, const struct query *q,
    struct rederive_result *out, struct error *err)
{
    const struct protocol *p = protocol_find(query_text(q, PROTOCOL));
    struct derived d = { 0 };
    struct buffer body;
    size_t len = 0;
    const void *packed = query_bytes(q, RECEIVED, &len);
    // What was scrubbed of a key in pieces is no answer of the server any more.
    if (!p || !len || query_is_null(q, HTTP_STATUS)) {
        out->n_left++;
        return OK;
    }
    buffer_init(&body, EXCHANGE_MAX_BODY + 1);
    answer_init(&d.answer);
    enum status s = payload_unpack(packed, len, &body, err);
    if (s == OK && text_starts(buffer_str(&body), "(not kept")) {
        out->n_left++;
    } else if (s == OK) {
        out->n_read++;
        s = parse(p, q, &body, &d, err);
        if (s == OK)
            s = compare(store, dry, q, &d, out, err);
    }
    if (s != OK)
        (void)error_prefix(err, "attempt %lld: ", (long long)query_int(q, ATTEMPT));
    answer_release(&d.answer);
    buffer_release(&body);
    return s;
}

enum status rederive(struct store *store, int dry, struct progress *progress,
    struct rederive_result *out, struct error *err)
{
    *out = (struct rederive_result) { 0 };
    struct query *q = NULL;
    enum status s = store_begin(store, err);
    if (s == OK && !dry)
        s = store_run(
            store, err, "DELETE FROM rederived WHERE version = ?", "t", VERSION);
    if (s == OK)
        s = query_open(store, attempts, &q, err);
    if (q)
        query_bind(q, "");
    while (s == OK && (s = query_next(q, err)) == OK && query_has_row(q)) {
        s = read_attempt(store, dry, q, out, err);
        progress_step(progress, 1, NULL);
    }
    query_close(q);
    if (s == OK)
        s = store_commit(store, err);
    if (s != OK)
        store_rollback(store);
    return s;
}
