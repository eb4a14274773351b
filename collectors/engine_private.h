/* engine_private.h - what engine.c and engine_settle.c share. */
#ifndef COLLECTORS_ENGINE_PRIVATE_H
#define COLLECTORS_ENGINE_PRIVATE_H

#include <pthread.h>
#include "collectors/engine.h"
#include "collectors/image_cache.h"
#include "collectors/job.h"
#include "collectors/lane.h"
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
    struct image_cache *cache;
    struct transport *transport;
    struct pool *pool;
    struct rng rng; /* of jitter */

    pthread_mutex_t lock; /* guards inbox */
    pthread_cond_t mail;
    struct job *inbox; /* from workers, newest first */

    /* The rest is the engine's thread's own. */
    int n_away; /* jobs with a worker or the transport */
    int n_in_flight;
    int64_t cap_pusd;      /* -1 = none */
    int64_t spent_pusd;    /* counted, open reservations included */
    int64_t reserved_pusd; /* of open attempts */
    struct job *read;      /* to be settled */
    struct job *opened;    /* committed as sent next */
    int is_stopping, is_aborted, is_unmarked;
    int64_t interrupted_ns;
};

/* Close a job's attempt in the open transaction, decide whether its call is asked again
 * and when, and settle its money. */
MUST_CHECK enum status engine_settle(
    struct engine *e, struct job *job, struct error *err);

#endif
