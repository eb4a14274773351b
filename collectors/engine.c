/* engine.c - the loop on the thread that owns the store.
 *
 * Each turn of the loop: take what workers finished, begin calls (dialogue from the
 * store, rendering to a worker), then one transaction that closes attempts and opens
 * new ones, then hand the new ones to the transport. */
#include "collectors/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collectors/endpoint.h"
#include "collectors/engine_private.h"
#include "collectors/fit.h"
#include "collectors/ledger.h"
#include "collectors/preflight.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/log.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define CACHE_BYTES (64u << 20)
#define LONGEST_NAP_NS INT64_C(100000000)       /* so that Ctrl-C is seen soon */
#define LONGEST_LOCKED_NS INT64_C(300000000000) /* by another program, the database */
#define LONGEST_RUN_MS (INT64_C(10) * 365 * 86400 * 1000)
#define DEFAULT_OUTPUT_TOKENS                                                            \
    32768 /* bound of an answer where no cap asks for a real one */

void engine_result_release(struct engine_result *r)
{
    for (size_t i = 0; i < r->n_llms; i++)
        free(r->llms[i].name);
    free(r->llms);
    r->llms = NULL;
    r->n_llms = 0;
}

/* ---- one turn of the loop ------------------------------------------------------- */

static void take_rendered(struct engine *e, struct job *job)
{
    struct lane *lane = job->lane;
    if (job->max_output_tokens < 0)
        job->max_output_tokens = DEFAULT_OUTPUT_TOKENS;
    atomic_fetch_add(&e->n_body_bytes, (long long)job->body.len);
    if (job->failed.code == OK) {
        lane_push(lane, job);
        return;
    }
    engine_drop_body(e, job);
    lane->n_ahead--;
    e->n_ahead--;
    (void)error_prefix(&job->failed, "call %lld: ", (long long)job->call_id);
    engine_unsendable(e, &job->failed);
    job_free(job);
}

void engine_take_inbox(struct engine *e)
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
            engine_drop_body(e, job); // of one that was never uploaded, too
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
        job->next = e->settled;
        e->settled = job;
    }
    return OK;
}

static void free_jobs(struct job *job)
{
    while (job) {
        struct job *next = job->next;
        job_free(job);
        job = next;
    }
}

/* Another program holds the database.  What came stays in memory meanwhile, so there is no
 * harm in waiting for longer than SQLite does, until the user gives up. */
static int may_wait_for_database(struct engine *e, const struct error *why)
{
    int64_t now = clock_mono_ns();
    if (!e->locked_ns) {
        e->locked_ns = now;
        log_warn("%s (this run tries for %d minutes)", why->msg,
            (int)(LONGEST_LOCKED_NS / 60 / 1000000000));
    }
    return !e->is_aborted && now - e->locked_ns < LONGEST_LOCKED_NS;
}

/* Close and open attempts in one transaction. */
static enum status write_down(struct engine *e, struct error *err)
{
    struct lane *sender = NULL;
    enum status s = e->read ? OK : engine_pick_sender(e, &sender, err);
    if (s != OK || (!e->read && !sender))
        return s;
    struct error why = ERROR_INIT;
    s = store_begin(e->store, &why);
    if (s == E_LOCKED && may_wait_for_database(e, &why))
        return OK;
    if (s != OK)
        return error_set(err, s, "%s", why.msg);
    e->locked_ns = 0;
    s = settle_all(e, err);
    if (s == OK)
        s = engine_pick_sender(e, &sender, err);
    while (s == OK && sender) {
        s = engine_open_attempt(e, sender, err);
        if (s == OK)
            s = engine_pick_sender(e, &sender, err);
    }
    if (s == OK)
        s = store_commit(e->store, err);
    if (s != OK) {
        store_rollback(e->store);
        return s;
    }
    free_jobs(e->settled);
    e->settled = NULL;
    engine_hand_over(e);
    return OK;
}

void engine_stop(struct engine *e, int64_t now)
{
    e->is_stopping = 1;
    if (!e->stopped_ns)
        e->stopped_ns = now;
}

/* Ctrl-C and the deadline: nothing new is sent, what is in flight has some grace. */
void engine_look_for_stop(struct engine *e)
{
    int asked = e->o->interrupted ? *e->o->interrupted : 0;
    int64_t now = clock_mono_ns();
    if (asked && !e->result->interrupted) {
        e->result->interrupted = 1;
        engine_stop(e, now);
        if (e->n_in_flight)
            log_warn(
                "finishing %d calls in flight (up to %.0f s); interrupt again to give "
                "them up: they may be billed all the same",
                e->n_in_flight, e->o->grace_s);
    }
    if (e->deadline_ns && now >= e->deadline_ns && !e->stopped_ns) {
        engine_stop(e, now);
    }
    if (!e->is_aborted && e->stopped_ns &&
        (asked > 1 || now - e->stopped_ns > engine_seconds_ns(e->o->grace_s))) {
        e->is_aborted = 1;
        transport_abort(e->transport);
    }
}

/* No call is sent that would, as its llm answers lately, not be done by the deadline. */
static void look_for_deadline(struct engine *e)
{
    int64_t now = clock_mono_ns();
    for (size_t i = 0; e->deadline_ns && i < e->n_lanes; i++) {
        struct lane *lane = &e->lanes[i];
        lane->is_late = e->deadline_ns - now <= lane->longest_ns;
        if (lane->is_late && (lane->first || lane->n_waiting || lane->has_head))
            e->result->deadline_reached = 1;
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
void engine_nap(struct engine *e)
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
    e->is_awaited = engine_is_laden(e);
    int was_awaited = e->is_awaited;
    while (!e->inbox && e->is_awaited == was_awaited &&
           pthread_cond_timedwait(&e->mail, &e->lock, &ts) != ETIMEDOUT)
        ;
    e->is_awaited = 0;
    pthread_mutex_unlock(&e->lock);
}

static enum status loop(struct engine *e, struct error *err)
{
    for (;;) {
        engine_look_for_stop(e);
        look_for_deadline(e);
        engine_take_inbox(e);
        enum status s = engine_begin_calls(e, err);
        if (s == OK)
            s = write_down(e, err);
        if (s == OK) // answers may have made calls ready
            s = engine_begin_calls(e, err);
        if (s != OK || is_over(e))
            return s;
        engine_nap(e);
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
        struct lane *lane = &e->lanes[e->n_lanes];
        enum status s = lane_init(lane, &e->llms[i], e->o->simulator_url,
            e->o->pace_rules, clock_mono_ns(), err);
        if (s != OK)
            return s;
        e->n_lanes++;
        s = ledger_spent_by(e->store, e->llms[i].llm_id, &lane->spent_pusd, err);
        if (s == OK && e->deadline_ns)
            s = ledger_longest(e->store, e->llms[i].llm_id, &lane->longest_ns, err);
        if (s != OK)
            return s;
    }
    return OK;
}

static enum status prepare(struct engine *e, struct error *err)
{
    const struct engine_options *o = e->o;
    struct preflight_rules rules = { .scope = &e->scope,
        .is_simulated = o->simulator_url != NULL,
        .is_rehearsal = o->is_rehearsal,
        .allow_unpriced = o->allow_unpriced,
        .has_cap = o->max_usd >= 0 };
    e->cap_pusd = o->max_usd < 0 ? -1 : (int64_t)(o->max_usd * 1e12);
    enum status s = llm_load_all(e->store, 1, &e->llms, &e->n_llms, err);
    if (s == OK)
        s = reserve_take_in(e->store, e->llms, e->n_llms, &e->result->n_taken_in, err);
    if (s == OK)
        s = ledger_recover(e->store, &e->result->n_recovered, err);
    if (s == OK)
        s = ready_fill(e->store, &e->scope, err);
    if (s == OK)
        s = ledger_spent(e->store, &e->spent_pusd, err);
    if (s != OK)
        return s;
    int *used = calloc(e->n_llms ? e->n_llms : 1, sizeof *used);
    if (!used)
        return error_nomem(err, e->n_llms * sizeof *used);
    const struct fit_run fit = { &e->scope, e->llms, e->n_llms, used, o->progress,
        o->interrupted };
    s = preflight(e->store, &rules, e->llms, e->n_llms, used, err);
    if (s == OK)
        s = fit_pictures(e->store, &fit, err);
    if (s == OK)
        s = make_lanes(e, used, err);
    free(used);
    return s;
}

/* What the servers of local llms tell of themselves, before they have work to do. */
static enum status ask_endpoints(struct engine *e, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; s == OK && !e->o->simulator_url && i < e->n_lanes; i++) {
        const struct llm *llm = e->lanes[i].llm;
        struct endpoint_facts facts;
        if (llm->role != LLM_LOCAL)
            continue;
        s = endpoint_ask(llm, &facts, err);
        if (s == OK && facts.slots > 0 && facts.slots < llm->slots)
            log_warn(
                "llm %s: its server answers %lld calls at once, but slots is %d: the "
                "others wait inside their latency",
                llm->name, (long long)facts.slots, llm->slots);
        if (s == OK && facts.server)
            s = endpoint_save(e->store, llm->llm_id, &facts, err);
        endpoint_facts_release(&facts);
    }
    return s;
}

static enum status start_threads(struct engine *e, struct error *err)
{
    enum status s = frame_cache_new(CACHE_BYTES, &e->cache, err);
    if (s == OK)
        s = pool_new(e->o->n_workers, &e->pool, err);
    if (s == OK)
        s = transport_new((unsigned)e->o->in_flight, &e->transport, err);
    return s;
}

/* Ends the threads first: after that nobody else holds a job. */
static void release(struct engine *e)
{
    transport_free(e->transport);
    pool_free(e->pool);
    reserve_close(e->reserve);
    free_jobs(e->inbox);
    free_jobs(e->read);
    free_jobs(e->settled);
    free_jobs(e->opened);
    for (size_t i = 0; i < e->n_lanes; i++) {
        free_jobs(e->lanes[i].first);
        lane_release(&e->lanes[i]);
    }
    free(e->lanes);
    frame_cache_free(e->cache);
    llm_free_all(e->llms, e->n_llms);
    pthread_cond_destroy(&e->mail);
    pthread_mutex_destroy(&e->lock);
}

static enum status report(struct engine *e, struct error *err)
{
    struct engine_result *r = e->result;
    r->counted_pusd = e->spent_pusd;
    enum status s = store_int(e->store, 0, &r->known_pusd, err,
        "SELECT " PUSD_SUM("cost_pusd") " FROM attempt_cost", "");
    if (s)
        return s;
    r->llms = calloc(e->n_lanes ? e->n_lanes : 1, sizeof *r->llms);
    if (!r->llms)
        return error_nomem(err, e->n_lanes * sizeof *r->llms);
    for (size_t i = 0; i < e->n_lanes; i++) {
        struct lane *lane = &e->lanes[i];
        lane->figures.is_given_up = lane->is_refused || pace_is_given_up(&lane->pace);
        lane->figures.slots = lane->pace.slots;
        lane->figures.slots_now = pace_allowed(&lane->pace);
        lane->figures.slots_least = lane->pace.least;
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
    if (e->marked_url)
        return error_set(err, E_DATA,
            "the answers of %s are marked as simulated, but this run asks real servers; "
            "nothing more was sent and none was kept as an answer: mend the llm's url, "
            "or "
            "collect with --simulator into a store of its own",
            e->marked_url);
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

/* Tells in the run's row how it ended; s itself stays what it is. */
static enum status end_run(struct engine *e, enum status s, struct error *err)
{
    const char *outcome = s == OK              ? "done"
                          : s == E_PARTIAL     ? "partial"
                          : s == E_INTERRUPTED ? "interrupted"
                                               : "failed";
    if (!e->run_id)
        return s;
    if (s == OK)
        return ledger_run_end(e->store, e->run_id, outcome, err);
    struct error why = ERROR_INIT;
    if (ledger_run_end(e->store, e->run_id, outcome, &why) != OK)
        log_warn("the run's end could not be written: %s", why.msg);
    return s;
}

/* The wall clock is asked once: should it jump later, the deadline stays where it is. */
static int64_t deadline_ns(int64_t until_ms)
{
    int64_t left_ms = until_ms - clock_wall_ms();
    if (left_ms > LONGEST_RUN_MS)
        left_ms = LONGEST_RUN_MS;
    int64_t ns = clock_mono_ns() + (left_ms > 0 ? left_ms : 0) * 1000000;
    return ns > 0 ? ns : 1;
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
    struct error why = ERROR_INIT;
    struct engine e = { .store = store, .o = o, .result = result };
    e.scope = (struct ready_rules) { o->purposes, o->n_purposes, o->retry_failed, o->seed,
        o->shard, o->n_shards, o->n_llm_ids ? o->llm_ids : NULL, o->n_llm_ids };
    if (o->until_ms)
        e.deadline_ns = deadline_ns(o->until_ms);
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
        s = ask_endpoints(&e, err);
        if (s == OK)
            s = reserve_open(store, o->in_flight, &e.reserve, err);
        if (s == OK)
            s = start_threads(&e, err);
        if (s == OK && (s = loop(&e, &why)) != OK) {
            s = engine_rescue(&e, &why);
            (void)error_set(err, s, "%s", why.msg);
        }
    }
    if (s == OK)
        s = report(&e, err);
    if (s == OK)
        s = verdict(&e, err);
    s = end_run(&e, s, err);
    release(&e);
    result->elapsed_ns = clock_mono_ns() - started_ns;
    return s;
}
