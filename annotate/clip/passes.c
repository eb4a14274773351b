/* passes.c - cutting a batch, memory, threads. */
#include "annotate/clip/passes.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Rows of a pass: enough for the products to be at their best, few enough for what a block
 * writes to stay in the third-level cache (measured: docs/benchmarks.md). */
#define PASS_ROWS 400
#define MIN_SHARE 8 /* rows that are worth a thread of their own */

struct passes {
    struct linear_engine *engine;
    struct linear_lane **lanes; /* [n] */
    struct team *team;
    const struct kernels *kernels;
    size_t n;
};

/* --- threads --- */

struct make_lanes {
    struct passes *p;
    struct error *errors; /* [n] */
};

static void make_lane(void *arg, size_t rank, size_t size)
{
    struct make_lanes *work = arg;
    (void)size;
    if (linear_lane_new(work->p->engine, &work->p->lanes[rank], &work->errors[rank]))
        work->p->lanes[rank] = NULL;
}

enum status passes_new(
    unsigned n_threads, int bf16, struct passes **out, struct error *err)
{
    *out = NULL;
    struct passes *p = calloc(1, sizeof *p);
    if (!p)
        return error_nomem(err, sizeof *p);
    p->kernels = kernels_best();
    enum status s = linear_engine_new(bf16, &p->engine, err);
    if (s == OK)
        s = team_new(n_threads, linear_thread_init, &p->team, err);
    if (s) {
        passes_free(p);
        return s;
    }
    p->n = team_size(p->team);
    struct make_lanes work = { p, calloc(p->n, sizeof *work.errors) };
    p->lanes = calloc(p->n, sizeof *p->lanes);
    if (!p->lanes || !work.errors)
        s = error_nomem(err, p->n * sizeof *work.errors);
    else
        team_run(p->team, p->n, make_lane, &work);
    for (size_t i = 0; i < p->n && s == OK; i++)
        if (!p->lanes[i])
            s = error_set(err, work.errors[i].code, "%s", work.errors[i].msg);
    free(work.errors);
    if (s) {
        passes_free(p);
        return s;
    }
    *out = p;
    return OK;
}

void passes_free(struct passes *p)
{
    if (!p)
        return;
    team_free(p->team);
    for (size_t i = 0; p->lanes && i < p->n; i++)
        linear_lane_free(p->lanes[i]);
    free(p->lanes);
    linear_engine_free(p->engine);
    free(p);
}

size_t passes_n_rooms(const struct passes *p)
{
    return p->n + 1; // the last is for all together
}

struct call {
    struct passes *p;
    void (*work)(void *arg, struct linear_lane *lane);
    void *arg;
};

static void run_call(void *arg, size_t rank, size_t size)
{
    struct call *call = arg;
    (void)size;
    call->work(call->arg, call->p->lanes[rank]);
}

void passes_call(
    struct passes *p, void (*work)(void *arg, struct linear_lane *lane), void *arg)
{
    struct call call = { p, work, arg };
    team_run(p->team, 1, run_call, &call);
}

/* --- a batch --- */

struct batch {
    struct passes *p;
    const struct pass_kind *kind;
    const struct clip_probe *probe;
    float *out;
    const size_t *bounds; /* [n_passes + 1] items at which passes begin */
    size_t n_passes;
    atomic_size_t next;
    const size_t *rows; /* before each item */
    struct member *members;
};

static struct member *join(struct batch *b, size_t rank, size_t size)
{
    struct member *m = &b->members[rank];
    *m = (struct member) { .kernels = b->p->kernels,
        .lane = b->p->lanes[rank],
        .team = b->p->team,
        .rank = rank,
        .size = size,
        .probe = b->probe };
    return m;
}

/* Room i, made larger where that is needed, for the items [first, end). */
static enum status prepare_room(const struct batch *b, size_t i, size_t first, size_t end,
    size_t n_members, struct error *err)
{
    struct room *room = &b->kind->rooms[i];
    size_t n_rows = b->rows[end] - b->rows[first], n_items = end - first;
    enum status s = OK;
    if (room->max_rows < n_rows || room->max_sequences < n_items ||
        room->n_members < n_members) {
        room_release(room);
        s = b->kind->make_room(b->kind->tower, n_rows, n_items, n_members, room, err);
    }
    if (s == OK)
        b->kind->begin(b->kind, first, end, room);
    return s;
}

/* Passes for oneself, until none is left. */
static void work_alone(void *arg, size_t rank, size_t size)
{
    struct batch *b = arg;
    struct member *m = join(b, rank, size);
    m->rank = 0;
    m->size = 1;
    size_t i;
    while (m->status == OK && (i = atomic_fetch_add(&b->next, 1)) < b->n_passes) {
        // The first pass of each thread's share, then the second of each, and so on: the
        // shares are level, which the passes of one share are not.
        size_t k = i % size * (b->n_passes / size) + i / size;
        size_t first = b->bounds[k], end = b->bounds[k + 1];
        if (first == end)
            continue;
        m->status = prepare_room(b, rank, first, end, 1, &m->err);
        if (m->status == OK)
            b->kind->run(b->kind, m, first, end, &b->kind->rooms[rank],
                b->out + first * b->kind->projection);
    }
}

static void work_together(void *arg, size_t rank, size_t size)
{
    struct batch *b = arg;
    size_t first = b->bounds[0], end = b->bounds[1];
    b->kind->run(b->kind, join(b, rank, size), first, end, &b->kind->rooms[b->p->n],
        b->out + first * b->kind->projection);
}

static enum status first_failure(const struct batch *b, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (b->members[i].status)
            return error_set(err, b->members[i].status, "%s", b->members[i].err.msg);
    return OK;
}

/* Passes over the items [0, n) for each thread alone, each about as long as the others. */
static enum status run_apart(struct batch *b, size_t n, struct error *err)
{
    const size_t *rows = b->rows;
    size_t n_threads = b->p->n,
           rounds = (rows[n] / n_threads + PASS_ROWS - 1) / PASS_ROWS;
    size_t n_passes = n_threads * (rounds ? rounds : 1), i = 0;
    n_passes = n_passes < n ? n_passes : n;
    size_t *bounds = calloc(n_passes + 1, sizeof *bounds);
    if (!bounds)
        return error_nomem(err, (n_passes + 1) * sizeof *bounds);
    for (size_t k = 1; k <= n_passes; k++) {
        while (i < n && rows[i + 1] * n_passes <= rows[n] * k)
            i++;
        bounds[k] = i;
    }
    b->bounds = bounds;
    b->n_passes = n_passes;
    atomic_store(&b->next, 0);
    team_run(b->p->team, n_threads, work_alone, b);
    free(bounds);
    return first_failure(b, n_threads, err);
}

/* One pass over the items [first, end) by all threads that have enough rows. */
static enum status run_joint(struct batch *b, size_t first, size_t end, struct error *err)
{
    const size_t bounds[2] = { first, end };
    size_t size = (b->rows[end] - b->rows[first]) / MIN_SHARE;
    size = size < 1 ? 1 : size > b->p->n ? b->p->n : size;
    enum status s = prepare_room(b, b->p->n, first, end, size, err);
    if (s)
        return s;
    b->bounds = bounds;
    team_run(b->p->team, size, work_together, b);
    b->bounds = NULL;
    return first_failure(b, size, err);
}

enum status passes_run(struct passes *p, const struct pass_kind *kind, const size_t *rows,
    size_t n, const struct clip_probe *probe, float *out, struct error *err)
{
    struct batch b = { .p = p, .kind = kind, .probe = probe, .out = out, .rows = rows };
    size_t apart = n - n % p->n;
    b.members = calloc(p->n, sizeof *b.members);
    if (!b.members)
        return error_nomem(err, p->n * sizeof *b.members);
    enum status s = apart ? run_apart(&b, apart, err) : OK;
    for (size_t end; s == OK && apart < n; apart = end) {
        for (end = apart + 1; end < n && rows[end + 1] - rows[apart] <= 2 * PASS_ROWS;)
            end++;
        s = run_joint(&b, apart, end, err);
    }
    free(b.members);
    return s;
}
