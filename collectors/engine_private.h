/* engine_private.h - what the files of the engine share. */
#ifndef COLLECTORS_ENGINE_PRIVATE_H
#define COLLECTORS_ENGINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "collectors/engine.h"
#include "collectors/frame_cache.h"
#include "collectors/job.h"
#include "collectors/lane.h"
#include "collectors/reserve.h"
#include "m4a1/base/pool.h"
#include "m4a1/base/random.h"

struct engine {
    struct store *store;
    const struct engine_options *o;
    struct engine_result *result;
    struct ready_rules scope;
    struct llm *llms;
    size_t n_llms;
    struct lane *lanes;
    size_t n_lanes;
    struct frame_cache *cache;
    struct transport *transport;
    struct pool *pool;
    struct rng rng; /* of jitter */

    pthread_mutex_t lock; /* guards inbox and is_awaited */
    pthread_cond_t mail;
    struct job *inbox; /* from workers, newest first */
    int is_awaited;    /* the engine waits for room for bodies, and is woken by it */
    atomic_llong n_body_bytes; /* of requests that are rendered and not uploaded yet */

    /* The rest is the engine's thread's own. */
    int64_t run_id; /* 0 until something is sent */
    int n_ahead;    /* being rendered, or rendered, over all lanes */
    int n_away;     /* jobs with a worker or the transport */
    int n_in_flight;
    int64_t cap_pusd;        /* -1 = none */
    int64_t spent_pusd;      /* counted, open reservations included */
    int64_t reserved_pusd;   /* of open attempts */
    struct job *read;        /* to be settled */
    struct job *settled;     /* in the transaction that is open */
    struct reserve *reserve; /* keeps answers that the store cannot take */
    struct job *opened;      /* committed as sent next */
    int is_stopping, is_aborted, is_unmarked;
    const char *marked_url; /* a real server was to be there, its answers are simulated */
    int64_t stopped_ns;     /* since when nothing new is sent; 0 = not stopped */
    int64_t locked_ns; /* since when another program holds the database; 0 = none does */
    int64_t deadline_ns; /* of the monotonic clock; 0 = none */
};

/* engine_rescue.c: the store has failed, as err says.  Waits for the calls in flight and
 * keeps their answers in the reserve; err then says so, too.  Returns err's status. */
enum status engine_rescue(struct engine *e, struct error *err);

/* engine_options.c: the options as JSON, for the run's row. */
MUST_CHECK enum status engine_options_text(
    const struct engine_options *o, struct buffer *out, struct error *err);

/* engine.c: take what workers and the transport gave back; stop sending, as from now; look
 * whether the user, the deadline or the grace period ask for it; wait for something new. */
void engine_take_inbox(struct engine *e);
void engine_stop(struct engine *e, int64_t now);
void engine_look_for_stop(struct engine *e);
void engine_nap(struct engine *e);

/* True where the bodies of requests take as much memory as they may. */
int engine_is_laden(const struct engine *e);
/* Give a job's body up: it is uploaded, or will not be.  Any thread that holds the job. */
void engine_drop_body(struct engine *e, struct job *job);

/* engine_begin.c */
MUST_CHECK enum status engine_begin_calls(struct engine *e, struct error *err);
void engine_exchange_done(struct exchange *ex);
/* A call that cannot be sent is told and left alone. */
void engine_unsendable(struct engine *e, const struct error *why);

/* engine_send.c: the lane that may send now and whose call goes first (NULL: none), its
 * attempt as a row, and all that were opened to the transport. */
MUST_CHECK enum status engine_pick_sender(
    struct engine *e, struct lane **out, struct error *err);
MUST_CHECK enum status engine_open_attempt(
    struct engine *e, struct lane *lane, struct error *err);
void engine_hand_over(struct engine *e);
int64_t engine_seconds_ns(double s);

/* Close a job's attempt in the open transaction, decide whether its call is asked again
 * and when, and settle its money. */
MUST_CHECK enum status engine_settle(
    struct engine *e, struct job *job, struct error *err);

#endif
