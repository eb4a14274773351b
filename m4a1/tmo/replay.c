/* replay.c - see replay.h. */
#include "m4a1/tmo/replay.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROWS 1024

void replay_init(struct replay *replay, size_t n_features, size_t n_actions,
    size_t capacity, int masked)
{
    *replay = (struct replay) { .n_features = n_features,
        .n_actions = n_actions,
        .capacity = capacity,
        .masked = masked };
}

void replay_release(struct replay *replay)
{
    free(replay->x);
    free(replay->allowed);
    free(replay->chosen);
    free(replay->reward);
    free(replay->ended);
    free(replay->worth);
    free(replay->asked);
    *replay = (struct replay) { 0 };
}

/* Enlarge *array to n members of `size` bytes.  0 = no memory: it stays as it was. */
static int enlarge(void *array, size_t n, size_t size)
{
    void *old, *new;
    memcpy(&old, array, sizeof old);
    new = realloc(old, n * size);
    if (!new)
        return 0;
    memcpy(array, &new, sizeof new);
    return 1;
}

static enum status grow(struct replay *r, struct error *err)
{
    size_t n = r->n_rows ? 2 * r->n_rows : FIRST_ROWS;
    if (n > r->capacity + 1)
        n = r->capacity + 1;
    if (!enlarge(&r->x, n, r->n_features * sizeof *r->x) ||
        (r->masked && !enlarge(&r->allowed, n, r->n_actions)) ||
        !enlarge(&r->chosen, n, sizeof *r->chosen) ||
        !enlarge(&r->reward, n, sizeof *r->reward) ||
        !enlarge(&r->ended, n, sizeof *r->ended) ||
        !enlarge(&r->worth, n, sizeof *r->worth) ||
        !enlarge(&r->asked, n, sizeof *r->asked))
        return error_nomem(err, n * r->n_features * sizeof *r->x);
    r->n_rows = n;
    return OK;
}

enum status replay_observe(struct replay *replay, const float *x,
    const unsigned char *allowed, struct error *err)
{
    if (replay->head >= replay->n_rows) {
        enum status s = grow(replay, err);
        if (s)
            return s;
    }
    memcpy(
        replay->x + replay->head * replay->n_features, x, replay->n_features * sizeof *x);
    if (replay->masked)
        memcpy(replay->allowed + replay->head * replay->n_actions, allowed,
            replay->n_actions);
    return OK;
}

void replay_act(struct replay *replay, size_t action, double reward, int ended)
{
    size_t row = replay->head;
    replay->chosen[row] = (uint16_t)action;
    replay->reward[row] = reward;
    replay->ended[row] = ended ? 1 : 0;
    replay->asked[row] = 0;
    replay->head = (row + 1) % (replay->capacity + 1);
    if (replay->n < replay->capacity)
        replay->n++;
}

size_t replay_draw(const struct replay *replay, struct rng *rng)
{
    size_t i = (size_t)rng_below(rng, replay->n);
    // Counted from the oldest: n rows before the head.
    size_t ring = replay->capacity + 1;
    return (replay->head + ring - replay->n + i) % ring;
}

size_t replay_next(const struct replay *replay, size_t row)
{
    return (row + 1) % (replay->capacity + 1);
}
