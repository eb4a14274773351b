/* engine_begin.c - beginning calls: the next one in order is taken from the store, built
 * into a dialogue and given to a worker that renders it. */
#include "collectors/engine_private.h"

#include <stdio.h>

#include "collectors/ledger.h"
#include "collectors/salt.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/log.h"

#define MIN_AHEAD 2  /* rendered calls that wait for a slot; every llm may have so many */
#define MAX_AHEAD 16 /* over all llms, but for those */

/* ---- on other threads ----------------------------------------------------------- */

static void post(struct job *job)
{
    struct engine *e = job->owner;
    pthread_mutex_lock(&e->lock);
    job->next = e->inbox;
    e->inbox = job;
    pthread_mutex_unlock(&e->lock);
    pthread_cond_signal(&e->mail); // behind the lock, which the engine wants next
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

void engine_exchange_done(struct exchange *ex)
{
    struct job *job = ex->arg;
    struct engine *e = job->owner;
    // Without memory for a worker's job the engine reads the answer itself.
    if (pool_submit(e->pool, read_and_post, job, NULL) != OK)
        post(job);
}

/* ---- beginning calls ------------------------------------------------------------ */

void engine_unsendable(struct engine *e, const struct error *why)
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
    if (s == OK)
        s = dialogue_check_accepts(job->dialogue, job->llm, &why);
    if (s == E_DATA && job->dialogue)
        error_prefix(&why, "call %lld: ", (long long)job->call_id);
    if (s == OK && salt_is_needed(job->protocol, job->llm))
        s = salt_add(e->store, job->call_id, job->dialogue, &why);
    *ok = s == OK;
    if (s == E_DATA || s == E_NOT_FOUND) {
        engine_unsendable(e, &why);
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
    // Where there is one attempt only, it is not to meet a dead kept-alive connection.
    int max_attempts = e->o->max_attempts ? e->o->max_attempts : lane->llm->max_attempts;
    job->is_fresh = call->is_fresh || e->o->fresh_connections || max_attempts == 1;
    job->is_isolated = e->o->timing == ENGINE_ISOLATED;
    job->is_simulated = e->o->simulator_url != NULL;
    job->may_be_marked = e->o->is_rehearsal;
    job->picked_ns = clock_mono_ns();
    int ok = 1;
    if (!call->is_known) // it may have failed in an earlier run
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
    e->n_ahead++;
    e->n_away++;
    return OK;
}

/* How many calls of an llm may be rendered before they can be sent: a few, so that a free
 * slot does not wait for rendering, and no more, since each holds its whole body. */
static int max_ahead(const struct lane *lane)
{
    int n_free = pace_allowed(&lane->pace) - lane->pace.n_in_flight;
    return MIN_AHEAD + (n_free > 0 ? n_free : 0);
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
        // A paused llm that has filled what all may have must not hold up the others.
        int is_full = e->n_ahead >= MAX_AHEAD && lane->n_ahead >= MIN_AHEAD;
        if (lane_is_closed(lane) || is_full || lane->n_ahead >= max_ahead(lane))
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

/* What was rendered for an llm that is sent no more makes room for the others. */
static void give_back(struct engine *e, struct lane *lane)
{
    for (struct job *job; (job = lane_pop(lane)); job_free(job)) {
        struct lane_retry call = { { job->call_id, job->block, job->order },
            job->n_failed, 1, job->is_fresh, 0 };
        lane_wait(lane, &call);
        engine_drop_body(e, job);
        lane->n_ahead--;
        e->n_ahead--;
    }
}

enum status engine_begin_calls(struct engine *e, struct error *err)
{
    for (size_t i = 0; i < e->n_lanes; i++)
        if (lane_is_closed(&e->lanes[i]))
            give_back(e, &e->lanes[i]);
    // An isolated call has the machine for itself: nothing is rendered beside it.
    if (e->o->timing == ENGINE_ISOLATED && e->n_in_flight)
        return OK;
    while (!e->is_stopping && !engine_is_laden(e)) {
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
