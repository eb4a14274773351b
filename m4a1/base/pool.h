/* pool.h - a fixed number of worker threads that take jobs in order. */
#ifndef M4A1_BASE_POOL_H
#define M4A1_BASE_POOL_H

#include "m4a1/base/error.h"

struct pool;
typedef void pool_job(void *arg);

/* n_threads 0 means one a processor. */
MUST_CHECK enum status pool_new(unsigned n_threads, struct pool **out, struct error *err);
MUST_CHECK enum status pool_submit(
    struct pool *pool, pool_job *job, void *arg, struct error *err);
void pool_wait(struct pool *pool); /* until all jobs submitted so far are done */
void pool_free(struct pool *pool); /* waits, then ends the threads; NULL is fine */

#endif
