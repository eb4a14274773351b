/* engine.c - the loop on the thread that owns the store.
 *
 * Each turn of the loop: take what workers finished, begin calls (dialogue from the
 * store, rendering to a worker), then one transaction that closes attempts and opens
 * new ones, then hand the new ones to the transport. */
#include "collectors/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collectors/engine_private.h"
#include "collectors/ledger.h"
#include "collectors/preflight.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/log.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define CACHE_BYTES (64u << 20)
#define LONGEST_NAP_NS INT64_C(100000000) /* so that Ctrl-C is seen soon */
#define MAX_AHEAD 2                 /* rendered calls that wait for a slot, an llm */
#define SIMULATOR_TOKEN "simulated" /* what the simulator gets to see for a key */
#define DEFAULT_OUTPUT_TOKENS                                                            \
    32768 /* bound of an answer where no cap asks for a real one */

void engine_options_init(struct engine_options *o)
{
    *o = (struct engine_options) {
        .max_usd = -1,
        .in_flight = 16,
        .limit = -1,
        .grace_s = 60,
        .connect_timeout_s = 30,
        .seed = 1,
        .n_workers = 2,
        .pace_rules = &pace_rules_default,
    };
}

void engine_result_release(struct engine_result *r)
{
    for (size_t i = 0; i < r->n_llms; i++)
        free(r->llms[i].name);
    free(r->llms);
    r->llms = NULL;
    r->n_llms = 0;
}

/* ---- on other threads ----------------------------------------------------------- */

static void post(struct job *job)
{
    struct engine *e = job->owner;
    pthread_mutex_lock(&e->lock);
    job->next = e->inbox;
    e->inbox = job;
    pthread_cond_signal(&e->mail);
    pthread_mutex_unlock(&e->lock);
}

static void render_and_post(void *arg)
{
    job_render(arg);
    post(arg);
}

static void read_and_post(void *arg)
{
    job_read(arg);
    post(arg);
}

static void on_exchange_done(struct exchange *ex)
{
    struct job *job = ex->arg;
    struct engine *e = job->owner;
    // Without memory for a worker's job the engine reads the answer itself.
    if (pool_submit(e->pool, read_and_post, job, NULL) != OK)
        post(job);
}

/* ---- beginning calls ------------------------------------------------------------ */

static void note_unsendable(struct engine *e, const struct error *why)
{
    struct engine_result *r = e->result;
    log_error("%s", why->msg);
    if (!r->n_unsendable++)
        snprintf(r->first_unsendable, sizeof r->first_unsendable, "%s", why->msg);
}

/* A call that cannot be said is left alone: the rest of the plan goes on. */
static enum status build(struct engine *e, struct job *job, int *ok, struct error *err)
{
    struct error why = ERROR_INIT;
    enum status s =
        dialogue_build(e->store, e->cache, job->call_id, job->llm, &job->dialogue, &why);
    if (s == OK && job->llm->max_images >= 0 &&
        dialogue_n_images(job->dialogue) > (size_t)job->llm->max_images)
        s = error_set(&why, E_DATA, "call %lld has %zu images, but llm %s accepts %d",
            (long long)job->call_id, dialogue_n_images(job->dialogue), job->llm->name,
            job->llm->max_images);
    *ok = s == OK;
    if (s == E_DATA || s == E_NOT_FOUND) {
        note_unsendable(e, &why);
        return OK;
    }
    return s == OK ? OK : error_set(err, s, "%s", why.msg);
}

static enum status begin_call(
    struct engine *e, struct lane *lane, const struct lane_retry *call, struct error *err)
{
    enum status s = lane_take(lane, e->store, call, err);
    if (s != OK)
        return s;
    struct job *job = job_new();
    if (!job)
        return error_nomem(err, sizeof *job);
    job->owner = e;
    job->lane = lane;
    job->llm = lane->llm;
    job->protocol = lane->protocol;
    job->call_id = call->call.call_id;
    job->block = call->call.block;
    job->order = call->call.order;
    job->n_failed = call->n_failed;
    job->is_fresh = call->is_fresh;
    job->is_simulated = e->o->simulator_url != NULL;
    job->picked_ns = clock_mono_ns();
    int ok = 1;
    if (!call->n_failed) // it may have failed in an earlier run
        s = ledger_n_failed(e->store, job->call_id, &job->n_failed, err);
    if (s == OK)
        s = build(e, job, &ok, err);
    if (s == OK && ok)
        s = pool_submit(e->pool, render_and_post, job, err);
    if (s != OK || !ok) {
        job_free(job);
        return s;
    }
    lane->n_ahead++;
    e->n_away++;
    return OK;
}

/* The lane whose next call comes first in the order over all llms. */
static enum status pick_lane(
    struct engine *e, struct lane **out, struct lane_retry *call, struct error *err)
{
    *out = NULL;
    int64_t now = clock_mono_ns();
    for (size_t i = 0; i < e->n_lanes; i++) {
        struct lane *lane = &e->lanes[i];
        struct lane_retry first;
        int found = 0;
        if (lane_is_closed(lane) || lane->n_ahead >= MAX_AHEAD)
            continue;
        enum status s = lane_peek(lane, e->store, now, &first, &found, err);
        if (s != OK)
            return s;
        if (found && (!*out || ready_before(&first.call, &call->call))) {
            *out = lane;
            *call = first;
        }
    }
    return OK;
}

static enum status begin_calls(struct engine *e, struct error *err)
{
    while (!e->is_stopping) {
        struct lane *lane = NULL;
        struct lane_retry call;
        enum status s = pick_lane(e, &lane, &call, err);
        if (s != OK || !lane)
            return s;
        s = begin_call(e, lane, &call, err);
        if (s != OK)
            return s;
    }
    return OK;
}

/* ---- sending -------------------------------------------------------------------- */

/* Sets what the job reserves.  *fits is 0 where the cap has no room for it now. */
static enum status reserve(
    struct engine *e, struct lane *lane, struct job *job, int *fits, struct error *err)
{
    struct price price;
    job->sent_ms = clock_wall_ms();
    enum status s = ledger_price(e->store, job->llm->llm_id, job->sent_ms, &price, err);
    if (s != OK)
        return s;
    job->reserved_pusd = -1;
    *fits = 1;
    if (!price.is_known)
        return OK;
    job->reserved_pusd =
        price_most_pusd(&price, job->max_input_tokens, job->max_output_tokens);
    if (e->cap_pusd < 0 || job->reserved_pusd == 0 ||
        (job->reserved_pusd <= e->cap_pusd &&
            e->spent_pusd <= e->cap_pusd - job->reserved_pusd))
        return OK;
    *fits = 0;
    // While other attempts hold reservations, room may still come.
    if (e->reserved_pusd == 0)
        lane->is_capped = e->result->cap_reached = 1;
    return OK;
}

static struct ready_call place_of(const struct job *job)
{
    return (struct ready_call) { job->call_id, job->block, job->order };
}

/* The lane that may send now and whose call comes first. */
static enum status pick_sender(struct engine *e, struct lane **out, struct error *err)
{
    *out = NULL;
    if (e->is_stopping || e->n_in_flight >= e->o->in_flight)
        return OK;
    int64_t now = clock_mono_ns();
    for (size_t i = 0; i < e->n_lanes; i++) {
        struct lane *lane = &e->lanes[i];
        struct job *job = lane->first;
        if (!job || lane_is_closed(lane) ||
            pace_wait_ns(
                &lane->pace, job->max_input_tokens + job->max_output_tokens, now))
            continue;
        int fits = 0;
        enum status s = reserve(e, lane, job, &fits, err);
        if (s != OK)
            return s;
        struct ready_call mine = place_of(job);
        struct ready_call best = *out ? place_of((*out)->first) : mine;
        if (fits && (!*out || ready_before(&mine, &best)))
            *out = lane;
    }
    return OK;
}

static enum status open_attempt(struct engine *e, struct lane *lane, struct error *err)
{
    struct job *job = lane_pop(lane);
    struct job **end = &e->opened;
    while (*end)
        end = &(*end)->next;
    *end = job;
    lane->n_ahead--;
    job->in_flight = ++e->n_in_flight;
    job->is_warm_up = !lane->is_warm;
    lane->is_warm = 1;
    pace_sent(
        &lane->pace, job->max_input_tokens + job->max_output_tokens, clock_mono_ns());
    if (job->reserved_pusd > 0) {
        e->reserved_pusd += job->reserved_pusd;
        e->spent_pusd += job->reserved_pusd;
    }
    lane->figures.n_sent++;
    if (++e->result->n_sent == e->o->limit)
        e->result->limit_reached = e->is_stopping = 1;
    return ledger_open(e->store, job, err);
}

static int64_t seconds_ns(double s)
{
    return s > 0 && s < 1e9 ? (int64_t)(s * 1e9) : 0;
}

static void hand_over(struct engine *e)
{
    while (e->opened) {
        struct job *job = e->opened;
        struct lane *lane = job->lane;
        e->opened = job->next;
        job->next = NULL;
        struct exchange *ex = &job->exchange;
        ex->url = lane->url;
        ex->key_env = job->is_simulated ? NULL : job->llm->key_env;
        ex->token = job->is_simulated && job->llm->key_env ? SIMULATOR_TOKEN : NULL;
        ex->body = buffer_str(&job->body);
        ex->len = job->body.len;
        ex->is_fresh = job->is_fresh;
        ex->timeout_ns = seconds_ns(job->llm->timeout_s);
        ex->connect_timeout_ns = seconds_ns(e->o->connect_timeout_s);
        ex->done = on_exchange_done;
        ex->arg = job;
        job->handed_ns = clock_mono_ns();
        e->n_away++;
        transport_send(e->transport, ex);
    }
}

/* ---- one turn of the loop ------------------------------------------------------- */

static void take_rendered(struct engine *e, struct job *job)
{
    struct lane *lane = job->lane;
    if (job->max_output_tokens < 0)
        job->max_output_tokens = DEFAULT_OUTPUT_TOKENS;
    if (job->failed.code == OK) {
        lane_push(lane, job);
        return;
    }
    lane->n_ahead--;
    (void)error_prefix(&job->failed, "call %lld: ", (long long)job->call_id);
    note_unsendable(e, &job->failed);
    job_free(job);
}

static void take_inbox(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    struct job *job = e->inbox, *oldest = NULL;
    e->inbox = NULL;
    pthread_mutex_unlock(&e->lock);
    while (job) { // newest first: turn it round
        struct job *next = job->next;
        job->next = oldest;
        oldest = job;
        job = next;
    }
    struct job **end = &e->read;
    while (*end)
        end = &(*end)->next;
    while ((job = oldest)) {
        oldest = job->next;
        job->next = NULL;
        e->n_away--;
        if (job->attempt_id == 0) {
            take_rendered(e, job);
        } else {
            *end = job;
            end = &job->next;
        }
    }
}

static enum status settle_all(struct engine *e, struct error *err)
{
    while (e->read) {
        struct job *job = e->read;
        if (!job->is_read)
            job_read(job);
        if (!job->is_read)
            return error_set(err, job->failed.code, "%s", job->failed.msg);
        enum status s = engine_settle(e, job, err);
        if (s != OK)
            return s;
        e->read = job->next;
        job_free(job);
    }
    return OK;
}

/* Close and open attempts in one transaction. */
static enum status write_down(struct engine *e, struct error *err)
{
    struct lane *sender = NULL;
    enum status s = e->read ? OK : pick_sender(e, &sender, err);
    if (s != OK || (!e->read && !sender))
        return s;
    s = store_begin(e->store, err);
    if (s == OK)
        s = settle_all(e, err);
    if (s == OK)
        s = pick_sender(e, &sender, err);
    while (s == OK && sender) {
        s = open_attempt(e, sender, err);
        if (s == OK)
            s = pick_sender(e, &sender, err);
    }
    if (s == OK)
        s = store_commit(e->store, err);
    if (s != OK)
        store_rollback(e->store);
    else
        hand_over(e);
    return s;
}

static void look_for_interrupt(struct engine *e)
{
    int asked = e->o->interrupted ? *e->o->interrupted : 0;
    if (!asked)
        return;
    int64_t now = clock_mono_ns();
    if (!e->interrupted_ns) {
        e->interrupted_ns = now;
        e->is_stopping = e->result->interrupted = 1;
        if (e->n_in_flight)
            log_warn(
                "finishing %d calls in flight (up to %.0f s); interrupt again to give "
                "them up: they may be billed all the same",
                e->n_in_flight, e->o->grace_s);
    }
    if (!e->is_aborted &&
        (asked > 1 || now - e->interrupted_ns > seconds_ns(e->o->grace_s))) {
        e->is_aborted = 1;
        transport_abort(e->transport);
    }
}

/* True where nothing is under way and nothing can come. */
static int is_over(const struct engine *e)
{
    if (e->n_away || e->read)
        return 0;
    for (size_t i = 0; !e->is_stopping && i < e->n_lanes; i++) {
        const struct lane *lane = &e->lanes[i];
        if (!lane_is_closed(lane) && (lane->first || lane->n_waiting || lane->has_head))
            return 0;
    }
    return 1;
}

/* Until a job comes back, or something else may have become possible. */
static void nap(struct engine *e)
{
    int64_t now = clock_mono_ns(), until = now + LONGEST_NAP_NS;
    for (size_t i = 0; !e->is_stopping && i < e->n_lanes; i++) {
        struct lane *lane = &e->lanes[i];
        for (size_t k = 0; k < lane->n_waiting; k++)
            if (lane->waiting[k].due_ns > now && lane->waiting[k].due_ns < until)
                until = lane->waiting[k].due_ns;
        const struct job *job = lane->first;
        int64_t wait = job ? pace_wait_ns(&lane->pace,
                                 job->max_input_tokens + job->max_output_tokens, now)
                           : 0;
        if (wait > 0 && wait < until - now)
            until = now + wait;
    }
    struct timespec ts = { (time_t)(until / 1000000000), (long)(until % 1000000000) };
    pthread_mutex_lock(&e->lock);
    while (!e->inbox && pthread_cond_timedwait(&e->mail, &e->lock, &ts) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&e->lock);
}

static enum status loop(struct engine *e, struct error *err)
{
    for (;;) {
        look_for_interrupt(e);
        take_inbox(e);
        enum status s = begin_calls(e, err);
        if (s == OK)
            s = write_down(e, err);
        if (s == OK) // answers may have made calls ready
            s = begin_calls(e, err);
        if (s != OK || is_over(e))
            return s;
        nap(e);
    }
}

/* ---- a run ---------------------------------------------------------------------- */

static enum status make_lanes(struct engine *e, const int *used, struct error *err)
{
    e->lanes = calloc(e->n_llms ? e->n_llms : 1, sizeof *e->lanes);
    if (!e->lanes)
        return error_nomem(err, e->n_llms * sizeof *e->lanes);
    for (size_t i = 0; i < e->n_llms; i++) {
        if (!used[i])
            continue;
        enum status s = lane_init(&e->lanes[e->n_lanes], &e->llms[i], e->o->simulator_url,
            e->o->pace_rules, clock_mono_ns(), err);
        if (s != OK)
            return s;
        e->n_lanes++;
    }
    return OK;
}

static enum status prepare(struct engine *e, struct error *err)
{
    const struct engine_options *o = e->o;
    struct preflight_rules rules = { &e->scope, o->simulator_url != NULL,
        o->allow_unpriced, o->max_usd >= 0 };
    e->cap_pusd = o->max_usd < 0 ? -1 : (int64_t)(o->max_usd * 1e12);
    enum status s = ledger_recover(e->store, &e->result->n_recovered, err);
    if (s == OK)
        s = ledger_spent(e->store, &e->spent_pusd, err);
    if (s == OK)
        s = llm_load_all(e->store, 1, &e->llms, &e->n_llms, err);
    if (s != OK)
        return s;
    int *used = calloc(e->n_llms ? e->n_llms : 1, sizeof *used);
    if (!used)
        return error_nomem(err, e->n_llms * sizeof *used);
    s = preflight(e->store, &rules, e->llms, e->n_llms, used, err);
    if (s == OK)
        s = make_lanes(e, used, err);
    free(used);
    if (s == OK)
        s = ready_fill(e->store, &e->scope, err);
    return s;
}

static enum status start_threads(struct engine *e, struct error *err)
{
    enum status s = image_cache_new(CACHE_BYTES, &e->cache, err);
    if (s == OK)
        s = pool_new(e->o->n_workers, &e->pool, err);
    if (s == OK)
        s = transport_new((unsigned)e->o->in_flight, &e->transport, err);
    return s;
}

static void free_jobs(struct job *job)
{
    while (job) {
        struct job *next = job->next;
        job_free(job);
        job = next;
    }
}

/* Ends the threads first: after that nobody else holds a job. */
static void release(struct engine *e)
{
    transport_free(e->transport);
    pool_free(e->pool);
    free_jobs(e->inbox);
    free_jobs(e->read);
    free_jobs(e->opened);
    for (size_t i = 0; i < e->n_lanes; i++) {
        free_jobs(e->lanes[i].first);
        lane_release(&e->lanes[i]);
    }
    free(e->lanes);
    image_cache_free(e->cache);
    llm_free_all(e->llms, e->n_llms);
    pthread_cond_destroy(&e->mail);
    pthread_mutex_destroy(&e->lock);
}

static enum status report(struct engine *e, struct error *err)
{
    struct engine_result *r = e->result;
    r->counted_pusd = e->spent_pusd;
    enum status s = store_int(
        e->store, 0, &r->known_pusd, err, "SELECT sum(cost_pusd) FROM attempt_cost", "");
    if (s)
        return s;
    r->llms = calloc(e->n_lanes ? e->n_lanes : 1, sizeof *r->llms);
    if (!r->llms)
        return error_nomem(err, e->n_lanes * sizeof *r->llms);
    for (size_t i = 0; i < e->n_lanes; i++) {
        struct lane *lane = &e->lanes[i];
        lane->figures.is_given_up = lane->is_refused || pace_is_given_up(&lane->pace);
        r->llms[r->n_llms++] = lane->figures;
        lane->figures.name = NULL;
    }
    // The scope's own rule for failed calls does not matter here: nothing is asked.
    return ready_count(e->store, &e->scope, &r->counts, err);
}

static enum status verdict(const struct engine *e, struct error *err)
{
    const struct ready_counts *c = &e->result->counts;
    if (e->is_unmarked)
        return error_set(err, E_DATA,
            "the answers of %s are not marked as simulated; nothing more was sent and "
            "none was kept as an answer",
            e->o->simulator_url);
    if (c->n_done == c->n_calls)
        return OK;
    if (e->result->interrupted)
        return error_set(err, E_INTERRUPTED,
            "interrupted: %lld of %lld calls have an answer; collect again to go on",
            (long long)c->n_done, (long long)c->n_calls);
    return error_set(err, E_PARTIAL,
        "%lld of %lld calls have an answer; %lld failed, %lld can still be asked, %lld "
        "wait for those",
        (long long)c->n_done, (long long)c->n_calls, (long long)c->n_failed,
        (long long)c->n_ready, (long long)c->n_waiting);
}

static enum status init_lock(struct engine *e, struct error *err)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return error_nomem(err, sizeof attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&e->mail, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&e->lock, NULL);
    return OK;
}

enum status engine_run(struct store *store, const struct engine_options *o,
    struct engine_result *result, struct error *err)
{
    memset(result, 0, sizeof *result);
    int64_t started_ns = clock_mono_ns();
    struct engine e = { .store = store, .o = o, .result = result };
    e.scope =
        (struct ready_rules) { o->purposes, o->n_purposes, o->retry_failed, o->seed };
    rng_init(&e.rng, o->seed, "collect/jitter", 0);
    enum status s = init_lock(&e, err);
    if (s != OK)
        return s;
    s = prepare(&e, err);
    if (s == OK)
        s = ready_count(store, &e.scope, &result->counts, err);
    if (s == OK &&
        (result->counts.n_ready || (o->retry_failed && result->counts.n_failed))) {
        progress_total(o->progress, result->counts.n_ready + result->counts.n_waiting);
        s = start_threads(&e, err);
        if (s == OK)
            s = loop(&e, err);
    }
    if (s == OK)
        s = report(&e, err);
    if (s == OK)
        s = verdict(&e, err);
    release(&e);
    result->elapsed_ns = clock_mono_ns() - started_ns;
    return s;
}
