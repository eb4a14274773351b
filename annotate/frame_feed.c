/* frame_feed.c - a ring of batches: read by the caller, prepared by a pool. */
#include "annotate/frame_feed.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/clip/prepare.h"
#include "m4a1/base/pool.h"
#include "schema/query.h"

#define N_SLOTS 3 /* one with the caller, two under way */

struct slot;

struct item {
    struct slot *slot;
    int64_t frame_id;
    void *bytes; /* owned; freed by the worker */
    size_t len;
    float *pixels; /* inside the slot's */
    enum status status;
    struct error err;
};

struct slot {
    struct frame_feed *feed;
    struct item items[FRAME_FEED_BATCH];
    size_t n, n_pending; /* n_pending under the feed's lock */
    float *pixels;       /* [FRAME_FEED_BATCH][3][S][S], owned */
};

struct frame_feed {
    struct store *store;
    const int64_t *frame_ids;
    size_t n, n_read; /* frames; those handed to the workers */
    size_t n_given;   /* batches given to the caller */
    const struct clip_preparation *how;
    struct pool *pool;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    struct slot slots[N_SLOTS];
};

static size_t n_numbers(const struct frame_feed *feed)
{
    return (size_t)3 * feed->how->crop * feed->how->crop;
}

static void prepare_item(void *arg)
{
    struct item *item = arg;
    struct frame_feed *feed = item->slot->feed;
    item->err = (struct error)ERROR_INIT;
    item->status =
        prepare_file(item->bytes, item->len, feed->how, NULL, item->pixels, &item->err);
    free(item->bytes);
    item->bytes = NULL;
    pthread_mutex_lock(&feed->lock);
    if (--item->slot->n_pending == 0)
        pthread_cond_signal(&feed->ready);
    pthread_mutex_unlock(&feed->lock);
}

static enum status read_frame(
    struct frame_feed *feed, struct item *item, struct error *err)
{
    struct query *q;
    enum status s =
        query_open(feed->store, "SELECT bytes FROM frame WHERE frame_id = ?", &q, err);
    if (s)
        return s;
    query_bind(q, "i", item->frame_id);
    s = query_next(q, err);
    if (!s) {
        const void *bytes = query_has_row(q) ? query_bytes(q, 0, &item->len) : NULL;
        item->len = bytes ? item->len : 0;
        item->bytes = malloc(item->len + 1);
        if (!item->bytes)
            s = error_nomem(err, item->len);
        else if (bytes)
            memcpy(item->bytes, bytes, item->len);
    }
    query_close(q);
    return s;
}

/* Read the next frames into a slot and let the workers have them. */
static enum status fill(struct frame_feed *feed, struct slot *slot, struct error *err)
{
    enum status s = OK;
    slot->n = 0;
    while (!s && slot->n < FRAME_FEED_BATCH && feed->n_read < feed->n) {
        struct item *item = &slot->items[slot->n];
        item->frame_id = feed->frame_ids[feed->n_read];
        s = read_frame(feed, item, err);
        if (s)
            break;
        feed->n_read++;
        slot->n++;
    }
    // The count first: a worker may be done before the last one is submitted.
    pthread_mutex_lock(&feed->lock);
    slot->n_pending = s ? 0 : slot->n;
    pthread_mutex_unlock(&feed->lock);
    for (size_t i = 0; i < slot->n; i++) {
        struct item *item = &slot->items[i];
        if (!s)
            s = pool_submit(feed->pool, prepare_item, item, err);
        if (s) {
            free(item->bytes);
            item->bytes = NULL;
        }
    }
    return s;
}

enum status frame_feed_open(struct store *store, const int64_t *frame_ids, size_t n,
    const struct clip_preparation *how, unsigned n_workers, struct frame_feed **out,
    struct error *err)
{
    *out = NULL;
    struct frame_feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return error_nomem(err, sizeof *feed);
    feed->store = store;
    feed->frame_ids = frame_ids;
    feed->n = n;
    feed->how = how;
    pthread_mutex_init(&feed->lock, NULL);
    pthread_cond_init(&feed->ready, NULL);
    enum status s = pool_new(n_workers, &feed->pool, err);
    for (size_t i = 0; i < N_SLOTS && !s; i++) {
        struct slot *slot = &feed->slots[i];
        slot->feed = feed;
        slot->pixels = malloc(FRAME_FEED_BATCH * n_numbers(feed) * sizeof *slot->pixels);
        if (!slot->pixels)
            s = error_nomem(
                err, FRAME_FEED_BATCH * n_numbers(feed) * sizeof *slot->pixels);
        for (size_t k = 0; k < FRAME_FEED_BATCH && !s; k++) {
            slot->items[k].slot = slot;
            slot->items[k].pixels = slot->pixels + k * n_numbers(feed);
        }
    }
    for (size_t i = 0; i < N_SLOTS && !s; i++)
        s = fill(feed, &feed->slots[i], err);
    if (s)
        frame_feed_close(feed);
    else
        *out = feed;
    return s;
}

/* Move what could be prepared together. */
static enum status gather(struct frame_feed *feed, struct slot *slot,
    struct frame_batch *batch, struct error *err)
{
    for (size_t i = 0; i < slot->n; i++) {
        const struct item *item = &slot->items[i];
        if (item->status == E_NOMEM)
            return error_set(err, item->status, "%s", item->err.msg);
        if (item->status) {
            if (!batch->n_broken++)
                error_set(&batch->broken, item->status, "frame %lld: %s",
                    (long long)item->frame_id, item->err.msg);
            continue;
        }
        if (batch->n < i)
            memcpy(slot->items[batch->n].pixels, item->pixels,
                n_numbers(feed) * sizeof *item->pixels);
        batch->frame_ids[batch->n++] = item->frame_id;
    }
    return OK;
}

enum status frame_feed_next(
    struct frame_feed *feed, struct frame_batch *batch, int *has_batch, struct error *err)
{
    *batch = (struct frame_batch) { 0 };
    *has_batch = 0;
    // The slot that the caller had is free again.
    if (feed->n_given) {
        enum status s = fill(feed, &feed->slots[(feed->n_given - 1) % N_SLOTS], err);
        if (s)
            return s;
    }
    struct slot *slot = &feed->slots[feed->n_given % N_SLOTS];
    if (!slot->n)
        return OK;
    pthread_mutex_lock(&feed->lock);
    while (slot->n_pending)
        pthread_cond_wait(&feed->ready, &feed->lock);
    pthread_mutex_unlock(&feed->lock);
    feed->n_given++;
    batch->pixels = slot->pixels;
    *has_batch = 1;
    return gather(feed, slot, batch, err);
}

void frame_feed_close(struct frame_feed *feed)
{
    if (!feed)
        return;
    pool_free(feed->pool);
    for (size_t i = 0; i < N_SLOTS; i++)
        free(feed->slots[i].pixels);
    pthread_cond_destroy(&feed->ready);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}
