/* engine_send.c - sending: which call goes next, what it reserves, its row, its request. */
#include "collectors/engine_private.h"

#include <stdio.h>

#include "collectors/ledger.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/log.h"

#define SIMULATOR_TOKEN "simulated" /* what the simulator gets to see for a key */
#define MAX_OPTIONS 65536
/* Of requests that are on their way out; beyond it nothing more is rendered.  A network that
 * is full is not filled faster by more uploads at once. */
#define MAX_BODY_BYTES (24 << 20)

static int has_room(int64_t cap_pusd, int64_t spent_pusd, int64_t more_pusd)
{
    return cap_pusd < 0 || more_pusd == 0 ||
           (more_pusd <= cap_pusd && spent_pusd <= cap_pusd - more_pusd);
}

/* The preflight saw a price; the clock has jumped to a time before the first one, and what
 * is sent now would count nothing against the caps. */
static void leave_unpriced(struct lane *lane, int64_t now_ms)
{
    char now[32];
    lane->is_refused = 1;
    snprintf(lane->figures.last_error, sizeof lane->figures.last_error,
        "it has no price for %s, which this machine's clock shows: set the clock",
        clock_iso8601(now_ms, now, sizeof now));
    log_warn("llm %s: %s; its calls are left for a later run", lane->llm->name,
        lane->figures.last_error);
}

/* Sets what the job reserves.  *fits is 0 where the cap has no room for it now. */
static enum status reserve(
    struct engine *e, struct lane *lane, struct job *job, int *fits, struct error *err)
{
    struct price price;
    job->sent_ms = clock_wall_ms();
    enum status s = ledger_dearest(
        e->store, job->llm->llm_id, job->sent_ms, job->max_input_tokens, &price, err);
    if (s != OK)
        return s;
    job->reserved_pusd = -1;
    *fits = 1;
    if (!price.is_known && !e->o->allow_unpriced) {
        leave_unpriced(lane, job->sent_ms);
        *fits = 0;
    }
    if (!price.is_known)
        return OK;
    job->reserved_pusd =
        price_most_pusd(&price, job->max_input_tokens, job->max_output_tokens);
    int fits_all = has_room(e->cap_pusd, e->spent_pusd, job->reserved_pusd);
    int fits_own = has_room(lane->cap_pusd, lane->spent_pusd, job->reserved_pusd);
    *fits = fits_all && fits_own;
    // While other attempts hold reservations, room may still come.
    if ((!fits_all && e->reserved_pusd == 0) || (!fits_own && lane->reserved_pusd == 0)) {
        lane->is_capped = lane->figures.is_capped = 1;
        e->result->cap_reached |= !fits_all;
    }
    return OK;
}

static struct ready_call place_of(const struct job *job)
{
    return (struct ready_call) { job->call_id, job->block, job->order };
}

/* Llms share the calls in flight fairly: the one that has the fewest goes first, so that
 * a slow one cannot take all of them; among equals the order of calls decides. */
static int goes_before(const struct lane *a, const struct lane *b)
{
    struct ready_call mine = place_of(a->first), other = place_of(b->first);
    return a->pace.n_in_flight != b->pace.n_in_flight
               ? a->pace.n_in_flight < b->pace.n_in_flight
               : ready_before(&mine, &other);
}

static int has_room_in_flight(const struct engine *e)
{
    if (e->o->timing == ENGINE_ISOLATED) // alone: nothing with a worker or the transport
        return e->n_away == 0 && e->n_in_flight == 0;
    return e->n_in_flight < e->o->in_flight;
}

enum status engine_pick_sender(struct engine *e, struct lane **out, struct error *err)
{
    *out = NULL;
    if (e->is_stopping || !has_room_in_flight(e))
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
        if (fits && (!*out || goes_before(lane, *out)))
            *out = lane;
    }
    return OK;
}

/* The row of this run, before its first attempt. */
static enum status begin_run(struct engine *e, struct error *err)
{
    struct buffer options;
    if (e->run_id)
        return OK;
    buffer_init(&options, MAX_OPTIONS);
    enum status s = engine_options_text(e->o, &options, err);
    if (s == OK)
        s = ledger_run_begin(e->store, engine_timing_names[e->o->timing],
            buffer_str(&options), &e->run_id, err);
    buffer_release(&options);
    return s;
}

enum status engine_open_attempt(struct engine *e, struct lane *lane, struct error *err)
{
    enum status s = begin_run(e, err);
    if (s != OK)
        return s;
    struct job *job = lane_pop(lane);
    struct job **end = &e->opened;
    while (*end)
        end = &(*end)->next;
    *end = job;
    lane->n_ahead--;
    e->n_ahead--;
    job->run_id = e->run_id;
    job->in_flight = ++e->n_in_flight;
    job->is_probe = lane->pace.n_pauses > 0;
    job->is_warm_up = !lane->is_warm;
    lane->is_warm = 1;
    pace_sent(
        &lane->pace, job->max_input_tokens + job->max_output_tokens, clock_mono_ns());
    job->llm_in_flight = lane->pace.n_in_flight;
    if (job->reserved_pusd > 0) {
        e->reserved_pusd = pusd_add(e->reserved_pusd, job->reserved_pusd);
        e->spent_pusd = pusd_add(e->spent_pusd, job->reserved_pusd);
        lane->reserved_pusd = pusd_add(lane->reserved_pusd, job->reserved_pusd);
        lane->spent_pusd = pusd_add(lane->spent_pusd, job->reserved_pusd);
    }
    lane->figures.n_sent++;
    if (++e->result->n_sent == e->o->limit)
        e->result->limit_reached = e->is_stopping = 1;
    return ledger_open(e->store, job, err);
}

int64_t engine_seconds_ns(double s)
{
    return s > 0 && s < 1e9 ? (int64_t)(s * 1e9) : 0;
}

int engine_is_laden(const struct engine *e)
{
    return atomic_load(&e->n_body_bytes) > MAX_BODY_BYTES;
}

void engine_drop_body(struct engine *e, struct job *job)
{
    atomic_fetch_sub(&e->n_body_bytes, (long long)job->body.len);
    body_release(&job->body);
}

/* A call that waits for its answer needs its images no more, so a thousand of them hold
 * little memory.  A call that is asked again is rendered again. */
static void on_uploaded(struct exchange *ex)
{
    struct job *job = ex->arg;
    struct engine *e = job->owner;
    engine_drop_body(e, job);
    pthread_mutex_lock(&e->lock);
    if (e->is_awaited && !engine_is_laden(e)) {
        e->is_awaited = 0;
        pthread_cond_signal(&e->mail);
    }
    pthread_mutex_unlock(&e->lock);
}

void engine_hand_over(struct engine *e)
{
    while (e->opened) {
        struct job *job = e->opened;
        struct lane *lane = job->lane;
        e->opened = job->next;
        job->next = NULL;
        struct exchange *ex = &job->exchange;
        ex->url = lane->url;
        ex->key = lane->key;
        ex->token = job->is_simulated ? SIMULATOR_TOKEN : NULL;
        ex->extra = lane->headers;
        ex->body_sha256 = job->request_sha256;
        ex->body = &job->body;
        ex->is_fresh = job->is_fresh;
        ex->timeout_ns = engine_seconds_ns(job->llm->timeout_s);
        ex->connect_timeout_ns = engine_seconds_ns(e->o->connect_timeout_s);
        ex->uploaded = on_uploaded;
        ex->done = engine_exchange_done;
        ex->arg = job;
        job->handed_ns = clock_mono_ns();
        e->n_away++;
        transport_send(e->transport, ex);
    }
}
