/* ledger.c - SQL around one attempt; figures agree with the views of the schema. */
#include "collectors/ledger.h"

#include <math.h>
#include <string.h>

#include "m4a1/base/clock.h"
#include "schema/query.h"

/* One row of four prices, of which the first is NULL where none is known. */
static enum status read_price(struct query *q, struct price *out, struct error *err)
{
    enum status s = query_next(q, err);
    if (s == OK && query_has_row(q) && !query_is_null(q, 0))
        *out = (struct price) { 1, query_int(q, 0), query_int(q, 1), query_int(q, 2),
            query_int(q, 3) };
    query_close(q);
    return s;
}

enum status ledger_price(struct store *store, int64_t llm_id, int64_t at_ms,
    struct price *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT input_pusd, cache_read_pusd, cache_write_pusd, output_pusd FROM price"
        " WHERE llm_id = ? AND valid_from_ms <= ? AND service_tier = 'standard'"
        " AND min_input_tokens = 0 ORDER BY valid_from_ms DESC LIMIT 1",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "ii", llm_id, at_ms);
    return read_price(q, out, err);
}

enum status ledger_dearest(struct store *store, int64_t llm_id, int64_t at_ms,
    int64_t max_input_tokens, struct price *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT max(input_pusd), max(cache_read_pusd), max(cache_write_pusd),"
        " max(output_pusd) FROM price p WHERE llm_id = ?1 AND min_input_tokens <= ?3"
        " AND valid_from_ms = (SELECT max(valid_from_ms) FROM price q WHERE q.llm_id = ?1"
        "  AND q.service_tier = p.service_tier AND q.valid_from_ms <= ?2)",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "iii", llm_id, at_ms, max_input_tokens);
    return read_price(q, out, err);
}

static int64_t product(int64_t a, int64_t b)
{
    return a > 0 && b > INT64_MAX / a ? INT64_MAX : a * b;
}

int64_t pusd_add(int64_t a, int64_t b)
{
    if (a == INT64_MAX || b == INT64_MAX || (b > 0 && a > INT64_MAX - b))
        return INT64_MAX;
    return b < 0 && a < INT64_MIN - b ? INT64_MIN : a + b;
}

int64_t price_most_pusd(
    const struct price *price, int64_t max_input_tokens, int64_t max_output_tokens)
{
    int64_t input = price->input_pusd;
    if (price->cache_write_pusd > input)
        input = price->cache_write_pusd;
    if (price->cache_read_pusd > input)
        input = price->cache_read_pusd;
    int64_t most = pusd_add(
        product(input, max_input_tokens), product(price->output_pusd, max_output_tokens));
    return most < PUSD_MAX_RESERVED ? most : PUSD_MAX_RESERVED;
}

enum status ledger_recover(struct store *store, int64_t *n_closed, struct error *err)
{
    *n_closed = 0;
    enum status s = store_run(store, err,
        "UPDATE attempt SET status = 'unknown', error_class = ?, error = 'the collector "
        "ended before an answer was stored; what it cost is unknown',"
        " closed_ms = max(sent_ms, ?) WHERE status = 'sent'",
        "ti", failure_names[FAILURE_KILLED], clock_wall_ms());
    if (s == OK)
        *n_closed = store_n_changed(store);
    return s;
}

enum status ledger_spent(struct store *store, int64_t *out_pusd, struct error *err)
{
    return store_int(store, 0, out_pusd, err,
        "SELECT " PUSD_SUM("counted_pusd") " FROM attempt_cost", "");
}

enum status ledger_spent_by(
    struct store *store, int64_t llm_id, int64_t *out_pusd, struct error *err)
{
    return store_int(store, 0, out_pusd, err,
        "SELECT " PUSD_SUM("counted_pusd") " FROM attempt_cost x JOIN call c"
                                           " ON c.call_id = x.call_id WHERE c.llm_id = ?",
        "i", llm_id);
}

enum status ledger_longest(
    struct store *store, int64_t llm_id, int64_t *out_ns, struct error *err)
{
    return store_int(store, 0, out_ns, err,
        "SELECT max(latency_ns) FROM (SELECT a.latency_ns FROM response r"
        " JOIN attempt a USING (attempt_id) JOIN call c ON c.call_id = r.call_id"
        " WHERE c.llm_id = ? ORDER BY r.response_id DESC LIMIT 100)",
        "i", llm_id);
}

enum status ledger_n_same(
    struct store *store, const struct job *job, int *out, struct error *err)
{
    int64_t n = 0;
    enum status s = store_int(store, 0, &n, err,
        "SELECT count(*) FROM attempt WHERE call_id = ?1 AND number BETWEEN ?2 - 2 AND"
        " ?2 - 1 AND status = 'failed' AND NOT final AND http_status = ?3"
        " AND received IS ?4",
        "iiib", job->call_id, job->number, (int64_t)job->exchange.http_status,
        (const void *)job->packed_received.data, job->packed_received.len);
    *out = (int)n;
    return s;
}

enum status ledger_run_begin(struct store *store, const char *timing, const char *options,
    int64_t *run_id, struct error *err)
{
    enum status s = store_run(store, err,
        "INSERT INTO run (version, timing, options, started_ms) VALUES (?, ?, ?, ?)",
        "ttti", "m4a1 " M4A1_VERSION, timing, options, clock_wall_ms());
    *run_id = s == OK ? store_last_id(store) : 0;
    return s;
}

enum status ledger_run_end(
    struct store *store, int64_t run_id, const char *outcome, struct error *err)
{
    return store_run(store, err,
        "UPDATE run SET ended_ms = max(started_ms, ?), outcome = ? WHERE run_id = ?",
        "iti", clock_wall_ms(), outcome, run_id);
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
        " request_sha256, request, in_flight, llm_in_flight, warm_up, run_id, timing)"
        " VALUES (?, ?, 'sent', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iiiItbiiiit", job->call_id, job->number, job->sent_ms,
        job->reserved_pusd >= 0 ? &job->reserved_pusd : NULL, job->request_sha256,
        (const void *)job->packed_request.data, job->packed_request.len,
        (int64_t)job->in_flight, (int64_t)job->llm_in_flight, (int64_t)job->is_warm_up,
        job->run_id, job->is_isolated ? "isolated" : "loaded");
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
    const struct server_facts *told = &job->told;
    return store_run(store, err,
        "INSERT INTO response (call_id, attempt_id, text, stop_reason, provider_stop,"
        " model, fingerprint, input_tokens, cache_read_tokens, cache_write_tokens,"
        " output_tokens, reasoning_tokens, usage, provider_cost_usd, simulated,"
        " service_tier, load_ns, server_ns)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iitttttIIIIItDitII", job->call_id, job->attempt_id, a->text, stop_names[a->stop],
        a->provider_stop, a->model, a->fingerprint, count(&a->input_tokens),
        count(&a->cache_read_tokens), count(&a->cache_write_tokens),
        count(&a->output_tokens), count(&a->reasoning_tokens), a->usage,
        isfinite(a->provider_cost_usd) ? &a->provider_cost_usd : NULL,
        (int64_t)job->is_marked, *told->service_tier ? told->service_tier : NULL,
        told->load_ns >= 0 ? &told->load_ns : NULL,
        told->server_ns >= 0 ? &told->server_ns : NULL);
}

/* Now, as counted from when the attempt was sent: should the wall clock jump in between,
 * the two still tell how long it was open.  What an earlier run sent has the wall clock. */
static int64_t closed_ms(const struct job *job)
{
    if (!job->sent_ms)
        return clock_wall_ms();
    return job->sent_ms + (clock_mono_ns() - job->handed_ns) / 1000000;
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
        " closed_ms = max(sent_ms, ?6), http_status = ?7, request_id = ?8, received = ?9,"
        " queue_ns = ?10, name_lookup_ns = ?11, connect_ns = ?12, upload_ns = ?13,"
        " first_byte_ns = ?14, first_token_ns = ?15, latency_ns = ?16, reused = ?17,"
        " loop_lag_ns = ?18"
        " WHERE attempt_id = ?1",
        "ititti"
        "Itbi"
        "IIIII"
        "III",
        job->attempt_id, status, (int64_t)(failed && is_final),
        failed ? failure_names[a->failure] : NULL, failed ? a->error : NULL,
        closed_ms(job), http_status ? &http_status : NULL, a->request_id,
        (const void *)job->packed_received.data, job->packed_received.len,
        job->handed_ns - job->picked_ns, sent ? &lookup : NULL, sent ? &connect : NULL,
        between(sent, ex->uploaded_mono_ns, &upload),
        between(sent, ex->first_byte_mono_ns, &first_byte),
        between(sent, token_at, &first_token),
        between(sent, ex->last_byte_mono_ns, &latency), sent ? &reused : NULL,
        sent ? &ex->loop_lag_ns : NULL);
    return s == OK && !failed ? insert_response(store, job, err) : s;
}

enum status ledger_cost(
    struct store *store, const struct job *job, int64_t *out_pusd, struct error *err)
{
    *out_pusd = -1;
    return job->answer.failure != FAILURE_NONE
               ? OK
               : store_int(store, -1, out_pusd, err,
                     "SELECT cost_pusd FROM response_cost WHERE attempt_id = ?", "i",
                     job->attempt_id);
}

int64_t ledger_counted_pusd(const struct job *job, int64_t cost_pusd)
{
    enum failure f = job->answer.failure;
    if (cost_pusd >= 0)
        return cost_pusd;
    if (f != FAILURE_NONE && f != FAILURE_ABORTED &&
        (job->exchange.http_status >= 300 || f == FAILURE_CONNECT))
        return 0;
    return job->reserved_pusd > 0 ? job->reserved_pusd : 0;
}
