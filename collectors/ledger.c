/* ledger.c - SQL around one attempt; figures agree with the views of the schema. */
#include "collectors/ledger.h"

#include <math.h>
#include <string.h>

#include "m4a1/base/clock.h"
#include "schema/query.h"

enum status ledger_price(struct store *store, int64_t llm_id, int64_t at_ms,
    struct price *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT input_pusd, cache_read_pusd, cache_write_pusd, output_pusd FROM price"
        " WHERE llm_id = ? AND valid_from_ms <= ? ORDER BY valid_from_ms DESC LIMIT 1",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "ii", llm_id, at_ms);
    s = query_next(q, err);
    if (s == OK && query_has_row(q))
        *out = (struct price) { 1, query_int(q, 0), query_int(q, 1), query_int(q, 2),
            query_int(q, 3) };
    query_close(q);
    return s;
}

static int64_t product(int64_t a, int64_t b)
{
    return a > 0 && b > INT64_MAX / a ? INT64_MAX : a * b;
}

static int64_t sum(int64_t a, int64_t b)
{
    return b > INT64_MAX - a ? INT64_MAX : a + b;
}

int64_t price_most_pusd(
    const struct price *price, int64_t max_input_tokens, int64_t max_output_tokens)
{
    int64_t input = price->input_pusd;
    if (price->cache_write_pusd > input)
        input = price->cache_write_pusd;
    if (price->cache_read_pusd > input)
        input = price->cache_read_pusd;
    return sum(
        product(input, max_input_tokens), product(price->output_pusd, max_output_tokens));
}

enum status ledger_recover(struct store *store, int64_t *n_closed, struct error *err)
{
    *n_closed = 0;
    enum status s = store_run(store, err,
        "UPDATE attempt SET status = 'unknown', error_class = ?, error = 'the collector "
        "ended before an answer was stored; what it cost is unknown', closed_ms = ?"
        " WHERE status = 'sent'",
        "ti", failure_names[FAILURE_KILLED], clock_wall_ms());
    if (s == OK)
        *n_closed = store_n_changed(store);
    return s;
}

enum status ledger_spent(struct store *store, int64_t *out_pusd, struct error *err)
{
    return store_int(
        store, 0, out_pusd, err, "SELECT sum(counted_pusd) FROM attempt_cost", "");
}

enum status ledger_n_failed(
    struct store *store, int64_t call_id, int *out, struct error *err)
{
    int64_t n = 0;
    enum status s = store_int(store, 0, &n, err,
        "SELECT count(*) FROM attempt WHERE call_id = ?1 AND status = 'failed'"
        " AND error_class NOT IN ('stale_connection', 'connect') AND attempt_id > "
        "coalesce((SELECT "
        "max(attempt_id) FROM attempt"
        " WHERE call_id = ?1 AND final), 0)",
        "i", call_id);
    *out = (int)n;
    return s;
}

enum status ledger_open(struct store *store, struct job *job, struct error *err)
{
    enum status s = store_int(store, 1, &job->number, err,
        "SELECT max(number) + 1 FROM attempt WHERE call_id = ?", "i", job->call_id);
    if (s != OK)
        return s;
    s = store_run(store, err,
        "INSERT INTO attempt (call_id, number, status, sent_ms, reserved_pusd,"
        " request_sha256, request, in_flight, warm_up)"
        " VALUES (?, ?, 'sent', ?, ?, ?, ?, ?, ?)",
        "iiiItbii", job->call_id, job->number, job->sent_ms,
        job->reserved_pusd >= 0 ? &job->reserved_pusd : NULL, job->request_sha256,
        (const void *)job->packed_request.data, job->packed_request.len,
        (int64_t)job->in_flight, (int64_t)job->is_warm_up);
    if (s == OK)
        job->attempt_id = store_last_id(store);
    return s;
}

/* A duration between two stamps, or NULL where one of them was never taken. */
static const int64_t *between(int64_t from, int64_t to, int64_t *slot)
{
    *slot = to - from;
    return from > 0 && to > 0 ? slot : NULL;
}

static const int64_t *count(const int64_t *n)
{
    return *n == TOKENS_UNKNOWN ? NULL : n;
}

static enum status insert_response(
    struct store *store, const struct job *job, struct error *err)
{
    const struct answer *a = &job->answer;
    return store_run(store, err,
        "INSERT INTO response (call_id, attempt_id, text, stop_reason, provider_stop,"
        " model, fingerprint, input_tokens, cache_read_tokens, cache_write_tokens,"
        " output_tokens, reasoning_tokens, usage, provider_cost_usd, simulated)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iitttttIIIIItDi", job->call_id, job->attempt_id, a->text, stop_names[a->stop],
        a->provider_stop, a->model, a->fingerprint, count(&a->input_tokens),
        count(&a->cache_read_tokens), count(&a->cache_write_tokens),
        count(&a->output_tokens), count(&a->reasoning_tokens), a->usage,
        isfinite(a->provider_cost_usd) ? &a->provider_cost_usd : NULL,
        (int64_t)job->is_marked);
}

enum status ledger_close(
    struct store *store, const struct job *job, int is_final, struct error *err)
{
    const struct exchange *ex = &job->exchange;
    const struct answer *a = &job->answer;
    const char *status = "failed";
    if (a->failure == FAILURE_NONE)
        status = "ok";
    else if (a->failure == FAILURE_ABORTED)
        status = "unknown";
    int failed = a->failure != FAILURE_NONE;
    int64_t sent = ex->sent_mono_ns, upload, first_byte, first_token, latency;
    int64_t http_status = ex->http_status, lookup = ex->name_lookup_ns,
            connect = ex->connect_ns, reused = ex->reused;
    int64_t token_at = exchange_arrival(ex, a->first_token_end);
    enum status s = store_run(store, err,
        "UPDATE attempt SET status = ?2, final = ?3, error_class = ?4, error = ?5,"
        " closed_ms = ?6, http_status = ?7, request_id = ?8, received = ?9,"
        " queue_ns = ?10, name_lookup_ns = ?11, connect_ns = ?12, upload_ns = ?13,"
        " first_byte_ns = ?14, first_token_ns = ?15, latency_ns = ?16, reused = ?17"
        " WHERE attempt_id = ?1",
        "ititti"
        "Itbi"
        "IIIII"
        "II",
        job->attempt_id, status, (int64_t)(failed && is_final),
        failed ? failure_names[a->failure] : NULL, failed ? a->error : NULL,
        clock_wall_ms(), http_status ? &http_status : NULL, a->request_id,
        (const void *)job->packed_received.data, job->packed_received.len,
        job->handed_ns - job->picked_ns, sent ? &lookup : NULL, sent ? &connect : NULL,
        between(sent, ex->uploaded_mono_ns, &upload),
        between(sent, ex->first_byte_mono_ns, &first_byte),
        between(sent, token_at, &first_token),
        between(sent, ex->last_byte_mono_ns, &latency), sent ? &reused : NULL);
    return s == OK && !failed ? insert_response(store, job, err) : s;
}

int64_t ledger_cost_pusd(const struct job *job, const struct price *price)
{
    const struct answer *a = &job->answer;
    if (a->failure != FAILURE_NONE || !price->is_known ||
        a->input_tokens == TOKENS_UNKNOWN || a->cache_read_tokens == TOKENS_UNKNOWN ||
        a->cache_write_tokens == TOKENS_UNKNOWN || a->output_tokens == TOKENS_UNKNOWN ||
        a->reasoning_tokens == TOKENS_UNKNOWN)
        return -1;
    int64_t input = sum(product(price->input_pusd, a->input_tokens),
        sum(product(price->cache_read_pusd, a->cache_read_tokens),
            product(price->cache_write_pusd, a->cache_write_tokens)));
    return sum(
        input, product(price->output_pusd, a->output_tokens + a->reasoning_tokens));
}

int64_t ledger_counted_pusd(const struct job *job, const struct price *price)
{
    int64_t cost = ledger_cost_pusd(job, price);
    enum failure f = job->answer.failure;
    if (cost >= 0)
        return cost;
    if (f != FAILURE_NONE && f != FAILURE_ABORTED &&
        (job->exchange.http_status >= 400 || f == FAILURE_CONNECT))
        return 0;
    return job->reserved_pusd > 0 ? job->reserved_pusd : 0;
}
