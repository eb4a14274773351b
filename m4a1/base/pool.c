/* pool.c - worker threads over one queue. */
#include "m4a1/base/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct job {
    struct job *next;
    pool_job *run;
    void *arg;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct job *head, **tail;
    size_t n_open; /* queued and running */
    int closing;
    unsigned n_threads;
    pthread_t *threads;
};

static void *pool_worker(void *arg)
{
    struct pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->head && !pool->closing)
            pthread_cond_wait(&pool->work, &pool->lock);
        struct job *job = pool->head;
        if (!job)
            break;
        pool->head = job->next;
        if (!pool->head)
            pool->tail = &pool->head;
        pthread_mutex_unlock(&pool->lock);
        job->run(job->arg);
        free(job);
        pthread_mutex_lock(&pool->lock);
        if (--pool->n_open == 0)
            pthread_cond_broadcast(&pool->idle);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

enum status pool_new(unsigned n_threads, struct pool **out, struct error *err)
{
    *out = NULL;
    if (!n_threads) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        n_threads = n > 0 ? (unsigned)n : 1;
    }
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return error_nomem(err, sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->tail = &pool->head;
    pool->threads = calloc(n_threads, sizeof *pool->threads);
    if (!pool->threads) {
        pool_free(pool);
        return error_nomem(err, n_threads * sizeof *pool->threads);
    }
    while (pool->n_threads < n_threads) {
        if (pthread_create(&pool->threads[pool->n_threads], NULL, pool_worker, pool) !=
            0) {
            unsigned n = pool->n_threads;
            pool_free(pool);
            return error_set(err, E_NOMEM, "worker thread %u of %u could not be started",
                n + 1, n_threads);
        }
        pool->n_threads++;
    }
    *out = pool;
    return OK;
}

enum status pool_submit(struct pool *pool, pool_job *run, void *arg, struct error *err)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return error_nomem(err, sizeof *job);
    job->run = run;
    job->arg = arg;
    pthread_mutex_lock(&pool->lock);
    *pool->tail = job;
    pool->tail = &job->next;
    pool->n_open++;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_signal(&pool->work); // behind the lock, which the one who wakes wants
    return OK;
}

void pool_wait(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->n_open)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = 1;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}
