/* engine_settle.c - what follows from the outcome of one attempt. */
#include "collectors/engine_private.h"

#include <stdio.h>

#include "collectors/ledger.h"
#include "collectors/llm/retry.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/log.h"
#include "m4a1/base/text.h"

#define SAME_BEFORE 2 /* attempts before this one with the same error, byte by byte */
#define LONGEST_WAIT_NS (600 * SECOND_NS) /* asked for more, the llm is left alone */

static enum pace_outcome outcome_of(enum failure failure)
{
    switch (failure) {
    case FAILURE_CONNECT:
    case FAILURE_NETWORK:
    case FAILURE_TIMEOUT:
    case FAILURE_TRUNCATED:
    case FAILURE_SERVER: return PACE_BROKEN;
    case FAILURE_RATE_LIMIT: return PACE_LIMITED;
    case FAILURE_STALE:
    case FAILURE_ABORTED:
    case FAILURE_KILLED:
    case FAILURE_UNMARKED:
    case FAILURE_MARKED: return PACE_NEUTRAL;
    default: return PACE_ANSWERED;
    }
}

static int64_t n_used_tokens(const struct answer *a)
{
    if (a->failure != FAILURE_NONE)
        return a->failure == FAILURE_CONNECT ? 0 : TOKENS_UNKNOWN;
    if (a->input_tokens < 0 || a->output_tokens < 0 || a->reasoning_tokens < 0)
        return TOKENS_UNKNOWN;
    return a->input_tokens + a->output_tokens + a->reasoning_tokens;
}

static int64_t at_least_0(int64_t n)
{
    return n > 0 ? n : 0;
}

static enum status settle_money(
    struct engine *e, struct lane *lane, const struct job *job, struct error *err)
{
    int64_t cost = 0;
    enum status s = ledger_cost(e->store, job, &cost, err);
    if (s != OK)
        return s;
    int64_t counted = ledger_counted_pusd(job, cost);
    int64_t reserved = at_least_0(job->reserved_pusd);
    e->reserved_pusd = pusd_add(e->reserved_pusd, -reserved);
    e->spent_pusd = pusd_add(e->spent_pusd, counted - reserved);
    lane->reserved_pusd = pusd_add(lane->reserved_pusd, -reserved);
    lane->spent_pusd = pusd_add(lane->spent_pusd, counted - reserved);
    if (counted > reserved && job->reserved_pusd >= 0)
        log_warn("call %lld cost more than was reserved for it: image_tokens of llm %s "
                 "may be too low",
            (long long)job->call_id, job->llm->name);
    if (cost >= 0)
        lane->figures.cost_pusd = pusd_add(lane->figures.cost_pusd, cost);
    else if (job->answer.failure == FAILURE_NONE)
        lane->figures.n_cost_unknown++;
    return OK;
}

static void count_answer(struct lane *lane, const struct job *job)
{
    struct engine_llm *f = &lane->figures;
    const struct answer *a = &job->answer;
    const struct exchange *ex = &job->exchange;
    f->n_answered++;
    f->input_tokens += at_least_0(a->input_tokens) + at_least_0(a->cache_read_tokens) +
                       at_least_0(a->cache_write_tokens);
    f->output_tokens += at_least_0(a->output_tokens) + at_least_0(a->reasoning_tokens);
    int64_t latency = ex->last_byte_mono_ns - ex->sent_mono_ns;
    f->latency_ns += latency;
    // Slowly forgotten, so that one slow answer at the start does not count for ever.
    lane->longest_ns -= lane->longest_ns / 64;
    if (latency > lane->longest_ns)
        lane->longest_ns = latency;
}

/* On the progress line: also the first llm that is held back by its server. */
static void show(struct engine *e, int n_done)
{
    char note[192], usd[32], open[32], held[64] = "";
    text_usd((double)(e->spent_pusd - e->reserved_pusd) / 1e12, usd, sizeof usd);
    text_usd((double)e->reserved_pusd / 1e12, open, sizeof open);
    for (size_t i = 0; i < e->n_lanes && !*held; i++) {
        const struct pace *p = &e->lanes[i].pace;
        if (pace_allowed(p) < p->slots)
            snprintf(held, sizeof held, ", %.20s %d of %d at once", e->lanes[i].llm->name,
                pace_allowed(p), p->slots);
    }
    snprintf(note, sizeof note, "%lld failed, %s%s%s%s%s", (long long)e->result->n_failed,
        usd, e->reserved_pusd > 0 ? " and up to " : "", e->reserved_pusd > 0 ? open : "",
        e->reserved_pusd > 0 ? " in flight" : "", held);
    progress_step(e->o->progress, n_done, note);
}

/* What a failure means for the llm as a whole. */
static void judge_server(struct engine *e, struct lane *lane, const struct job *job)
{
    enum failure failure = job->answer.failure;
    int http_status = job->exchange.http_status;
    int is_redirect = http_status >= 300 && http_status < 400;
    if (failure == FAILURE_QUOTA || http_status == 401 || http_status == 404 ||
        is_redirect) {
        // Every other call of this llm would fail the same way, and for good.
        if (!lane->is_refused)
            log_warn("llm %s: %s; its other calls are left for a later run",
                job->llm->name, job->answer.error);
        lane->is_refused = 1;
    }
    if (failure == FAILURE_UNMARKED && http_status < 500 && http_status != 429) {
        e->is_unmarked = e->is_stopping = 1;
        log_error("%s: %s", lane->url, job->answer.error);
    }
    if (failure == FAILURE_MARKED) {
        if (!e->marked_url)
            log_error("%s: %s", lane->url, job->answer.error);
        e->marked_url = lane->url;
        e->is_stopping = 1;
    }
}

/* Statuses of a server, or of what stands before it, that is not there for now. */
static int says_not_now(int http_status)
{
    return http_status == 502 || http_status == 503 || http_status == 504 ||
           http_status == 529;
}

/* A server that gives a call the same error with the same bytes again and again will not
 * answer it; other calls it may. */
static enum status is_same_again(
    struct engine *e, const struct job *job, int *out, struct error *err)
{
    int http_status = job->exchange.http_status, n = 0;
    *out = 0;
    if (job->answer.failure != FAILURE_SERVER || http_status < 500 ||
        says_not_now(http_status))
        return OK;
    enum status s = ledger_n_same(e->store, job, &n, err);
    *out = n >= SAME_BEFORE;
    return s;
}

/* What the server asks to wait, in its headers or its body; -1 = it does not say. */
static int64_t asked_ns(const struct job *job, int64_t now_ms)
{
    int64_t ns = retry_after_ns(buffer_str(&job->exchange.headers), now_ms);
    return ns > 0 ? ns : job->answer.retry_after_ns;
}

/* A tenth more at most, and no more than a second: calls that were turned away together
 * should not come back together. */
static int64_t spread(struct engine *e, int64_t wait)
{
    int64_t most = wait / 10 < SECOND_NS ? wait / 10 : SECOND_NS;
    return wait + (int64_t)((double)most * rng_uniform(&e->rng));
}

/* Whether and when the call is asked again. */
static int plan_next(struct engine *e, struct lane *lane, const struct job *job)
{
    enum failure failure = job->answer.failure;
    const char *headers = buffer_str(&job->exchange.headers);
    int http_status = job->exchange.http_status;
    int64_t now_ns = clock_mono_ns(), now_ms = clock_wall_ms();
    int max_attempts = e->o->max_attempts ? e->o->max_attempts : job->llm->max_attempts;
    /* A server that is never reached costs nothing and uses up no attempt, unless the user
     * said how many there shall be. A probe that finds the server still down says nothing
     * about its call. */
    int is_down = failure == FAILURE_CONNECT || says_not_now(http_status);
    int is_counted = (failure != FAILURE_STALE || max_attempts == 1) &&
                     (failure != FAILURE_CONNECT || e->o->max_attempts > 0) &&
                     !(job->is_probe && is_down && max_attempts > 1);
    int n_failed = job->n_failed + is_counted;
    if (failure == FAILURE_ABORTED || failure == FAILURE_MARKED)
        return 0;
    if (failure != FAILURE_UNMARKED && retry_is_final(failure, http_status, headers))
        return 1;
    int64_t wait = asked_ns(job, now_ms);
    if (failure == FAILURE_STALE)
        wait = 0;
    else
        wait = wait > 0
                   ? spread(e, wait)
                   : retry_wait_ns(n_failed ? n_failed : 1, headers, now_ms, &e->rng);
    if (wait > LONGEST_WAIT_NS) {
        lane->is_refused = 1;
        log_warn("llm %s asks to wait for %lld s; its calls are left for a later run",
            job->llm->name, (long long)(wait / SECOND_NS));
        return 0;
    }
    if (n_failed >= max_attempts && is_counted)
        return failure != FAILURE_UNMARKED;
    // After a dead connection a new one: if that fails too, it is the server's doing.
    struct lane_retry retry = { { job->call_id, job->block, job->order }, n_failed, 1,
        failure == FAILURE_STALE, now_ns + wait };
    lane_wait(lane, &retry);
    return 0;
}

static enum status settle_failure(struct engine *e, struct lane *lane,
    const struct job *job, int *n_done, struct error *err)
{
    int is_final = 0;
    enum status s = is_same_again(e, job, &is_final, err);
    if (s != OK)
        return s;
    judge_server(e, lane, job);
    if (!is_final)
        is_final = plan_next(e, lane, job);
    log_debug("call %lld, attempt %lld: %s: %s", (long long)job->call_id,
        (long long)job->number, failure_names[job->answer.failure], job->answer.error);
    snprintf(lane->figures.last_error, sizeof lane->figures.last_error, "%s",
        job->answer.error);
    e->result->n_attempts_failed++;
    lane->figures.n_attempts_failed++;
    e->result->n_failed += is_final;
    lane->figures.n_failed += is_final;
    *n_done = is_final;
    return ledger_close(e->store, job, is_final, err);
}

static enum status settle_answer(struct engine *e, struct lane *lane,
    const struct job *job, int *n_done, struct error *err)
{
    enum status s = ledger_close(e->store, job, 0, err);
    if (s == OK)
        s = ready_answered(e->store, &e->scope, job->call_id, err);
    for (size_t i = 0; i < e->n_lanes; i++)
        e->lanes[i].head_is_known = 0;
    e->result->n_answered++;
    count_answer(lane, job);
    *n_done = 1;
    return s;
}

enum status engine_settle(struct engine *e, struct job *job, struct error *err)
{
    struct lane *lane = job->lane;
    const char *headers = buffer_str(&job->exchange.headers);
    enum failure failure = job->answer.failure;
    int64_t asked = retry_exhausted_ns(headers, clock_wall_ms());
    if (failure == FAILURE_RATE_LIMIT && asked_ns(job, clock_wall_ms()) > asked)
        asked = asked_ns(job, clock_wall_ms());
    int n_pauses = lane->pace.n_pauses;
    if (asked > LONGEST_WAIT_NS && !lane->is_refused) {
        lane->is_refused = 1;
        log_warn("llm %s asks to wait for %lld s; its calls are left for a later run",
            job->llm->name, (long long)(asked / SECOND_NS));
        asked = 0;
    }
    e->n_in_flight--;
    pace_done(&lane->pace, outcome_of(failure), job->handed_ns,
        job->max_input_tokens + job->max_output_tokens, n_used_tokens(&job->answer),
        asked, clock_mono_ns());
    if (lane->pace.n_pauses > n_pauses && n_pauses == 0)
        log_warn("llm %s does not answer (%s); it is paused and tried again now and then",
            job->llm->name, job->answer.error);
    int n_done = 0;
    enum status s = failure == FAILURE_NONE ? settle_answer(e, lane, job, &n_done, err)
                                            : settle_failure(e, lane, job, &n_done, err);
    if (s == OK)
        s = settle_money(e, lane, job, err);
    if (s == OK)
        show(e, n_done);
    return s;
}
