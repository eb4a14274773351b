/* engine_rescue.c - the store took no more: what is paid for is kept beside it. */
#include "collectors/engine_private.h"

#include "m4a1/base/clock.h"
#include "m4a1/base/log.h"

/* Keep every job of a list that was sent; n_lost counts those that found no room. */
static void keep_all(struct engine *e, struct job **list, int64_t *n_lost)
{
    while (*list) {
        struct job *job = *list;
        struct error why = ERROR_INIT;
        *list = job->next;
        if (!job->is_read)
            job_read(job);
        if (!job->is_read || reserve_keep(e->reserve, job, &why) != OK) {
            ++*n_lost;
            log_error("the answer of call %lld (attempt %lld) is lost: %s",
                (long long)job->call_id, (long long)job->attempt_id,
                job->is_read ? why.msg : job->failed.msg);
        }
        job_free(job);
    }
}

/* Jobs with a worker are rendered and dropped; those in flight are waited for. */
static void wait_for_all(struct engine *e, int64_t *n_lost)
{
    for (;;) {
        engine_look_for_stop(e);
        engine_take_inbox(e);
        keep_all(e, &e->read, n_lost);
        if (!e->n_away)
            return;
        engine_nap(e);
    }
}

enum status engine_rescue(struct engine *e, struct error *err)
{
    const struct error failed = *err;
    int64_t n_lost = 0;
    store_rollback(e->store);
    engine_stop(e, clock_mono_ns());
    keep_all(e, &e->settled, &n_lost);
    wait_for_all(e, &n_lost);
    e->result->n_kept = reserve_n_kept(e->reserve);
    if (e->result->n_kept)
        (void)error_set(err, failed.code,
            "%.700s. %lld answers that were in flight are kept in %.200s; the next run "
            "takes "
            "them in",
            failed.msg, (long long)e->result->n_kept, reserve_path(e->reserve));
    if (n_lost)
        log_error("%lld answers could not be kept; their calls are asked again and their "
                  "reservations count",
            (long long)n_lost);
    return failed.code;
}
