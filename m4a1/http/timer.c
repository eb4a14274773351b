/* timer.c - a binary heap under a mutex; the thread sleeps until the nearest due time.
 *
 * One thread for all connections keeps a thousand delayed answers cheap. */
#include "m4a1/http/timer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "m4a1/base/clock.h"

struct entry {
    int64_t due_ns;
    uint64_t order; /* breaks ties: first added, first fired */
    void *item;
};

struct timer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    timer_fire *fire;
    struct entry *heap; /* [capacity], the earliest at 0 */
    size_t n, capacity;
    uint64_t n_added;
    int stopped;
};

static int earlier(const struct entry *a, const struct entry *b)
{
    if (a->due_ns != b->due_ns)
        return a->due_ns < b->due_ns;
    return a->order < b->order;
}

static void sift_up(struct entry *heap, size_t i)
{
    struct entry moved = heap[i];
    while (i > 0 && earlier(&moved, &heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = moved;
}

static void sift_down(struct entry *heap, size_t n)
{
    size_t i = 0;
    struct entry moved = heap[0];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && earlier(&heap[child + 1], &heap[child]))
            child++;
        if (!earlier(&heap[child], &moved))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

static void *take_first(struct timer *timer)
{
    void *item = timer->heap[0].item;
    timer->heap[0] = timer->heap[--timer->n];
    if (timer->n)
        sift_down(timer->heap, timer->n);
    return item;
}

static void *timer_run(void *arg)
{
    struct timer *timer = arg;
    pthread_mutex_lock(&timer->lock);
    while (timer->n || !timer->stopped) {
        if (!timer->n) {
            pthread_cond_wait(&timer->changed, &timer->lock);
            continue;
        }
        int64_t due = timer->heap[0].due_ns;
        if (!timer->stopped && due > clock_mono_ns()) {
            struct timespec until = { .tv_sec = (time_t)(due / 1000000000),
                .tv_nsec = (long)(due % 1000000000) };
            pthread_cond_timedwait(&timer->changed, &timer->lock, &until);
            continue;
        }
        void *item = take_first(timer);
        pthread_mutex_unlock(&timer->lock);
        timer->fire(item);
        pthread_mutex_lock(&timer->lock);
    }
    pthread_mutex_unlock(&timer->lock);
    return NULL;
}

enum status timer_new(
    size_t capacity, timer_fire *fire, struct timer **out, struct error *err)
{
    *out = NULL;
    struct timer *timer = calloc(1, sizeof *timer);
    struct entry *heap = calloc(capacity ? capacity : 1, sizeof *heap);
    if (!timer || !heap) {
        free(timer);
        free(heap);
        return error_nomem(err, capacity * sizeof *heap);
    }
    timer->fire = fire;
    timer->heap = heap;
    timer->capacity = capacity;
    pthread_mutex_init(&timer->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&timer->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&timer->thread, NULL, timer_run, timer) != 0) {
        timer->stopped = 1;
        pthread_cond_destroy(&timer->changed);
        pthread_mutex_destroy(&timer->lock);
        free(heap);
        free(timer);
        return error_set(err, E_NOMEM, "cannot start the timer's thread");
    }
    *out = timer;
    return OK;
}

void timer_add(struct timer *timer, int64_t due_ns, void *item)
{
    pthread_mutex_lock(&timer->lock);
    int waits = !timer->stopped && timer->n < timer->capacity;
    if (waits) {
        timer->heap[timer->n] = (struct entry) { due_ns, timer->n_added++, item };
        sift_up(timer->heap, timer->n++);
        if (timer->heap[0].item == item)
            pthread_cond_signal(&timer->changed);
    }
    pthread_mutex_unlock(&timer->lock);
    if (!waits)
        timer->fire(item);
}

void timer_stop(struct timer *timer)
{
    pthread_mutex_lock(&timer->lock);
    int running = !timer->stopped;
    timer->stopped = 1;
    pthread_cond_signal(&timer->changed);
    pthread_mutex_unlock(&timer->lock);
    if (running)
        pthread_join(timer->thread, NULL);
}

void timer_free(struct timer *timer)
{
    if (!timer)
        return;
    timer_stop(timer);
    pthread_cond_destroy(&timer->changed);
    pthread_mutex_destroy(&timer->lock);
    free(timer->heap);
    free(timer);
}
