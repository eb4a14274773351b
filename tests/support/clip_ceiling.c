/* clip_ceiling.c - products on numbers that mean nothing. */
#include "tests/support/clip_ceiling.h"

#include <stdio.h>
#include <stdlib.h>

#include "annotate/clip/linear.h"
#include "annotate/clip/team.h"
#include "m4a1/base/clock.h"

/* Blocks with weights of their own: too many for the caches, fewer than the tower has.
 * Their time is that of the others. */
#define MAX_BLOCKS 6
#define PIECE 400 /* rows */
#define ALIGN 64

struct block {
    struct linear *qkv, *out, *fc1, *fc2;
};

struct lane {
    struct linear_lane *lane;
    float *x, *y;
    size_t max_rows;
    double seconds;
};

struct clip_ceiling {
    struct clip_tower tower;
    size_t n_patch_inputs, n_blocks;
    struct linear_engine *engine;
    struct team *team;
    struct lane *lanes;
    struct linear *patches;
    struct block blocks[MAX_BLOCKS];
    size_t n_rows, n_items, piece; /* of this run */
};

static void must(enum status s, const struct error *err)
{
    if (s == OK)
        return;
    fprintf(stderr, "clip_ceiling: %s\n", err->msg);
    exit(1);
}

static float *numbers(size_t n)
{
    float *p = aligned_alloc(ALIGN, (n * sizeof *p + ALIGN - 1) / ALIGN * ALIGN);
    if (!p)
        exit(1);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(i % 61) / 61 - 0.5f;
    return p;
}

static struct linear *make(struct clip_ceiling *c, size_t n_in, size_t n_out)
{
    struct linear *l = NULL;
    struct error err = ERROR_INIT;
    const struct linear_spec spec = { .n_in = n_in, .n_out = n_out };
    float *weight = numbers(n_in * n_out);
    const struct linear_part part = { weight, NULL, n_out };
    must(linear_new(c->lanes[0].lane, &spec, &part, 1, &l, &err), &err);
    free(weight);
    return l;
}

static void start_lane(void *arg, size_t rank, size_t size)
{
    struct clip_ceiling *c = arg;
    struct error err = ERROR_INIT;
    (void)size;
    must(linear_lane_new(c->engine, &c->lanes[rank].lane, &err), &err);
}

static void start_weights(void *arg, size_t rank, size_t size)
{
    struct clip_ceiling *c = arg;
    size_t width = c->tower.width, mlp = c->tower.mlp;
    (void)rank;
    (void)size;
    if (c->n_patch_inputs)
        c->patches = make(c, c->n_patch_inputs, width);
    for (size_t i = 0; i < c->n_blocks; i++)
        c->blocks[i] = (struct block) { make(c, width, 3 * width), make(c, width, width),
            make(c, width, mlp), make(c, mlp, width) };
}

struct clip_ceiling *clip_ceiling_new(
    const struct clip_tower *tower, size_t n_patch_inputs, unsigned n_threads)
{
    struct error err = ERROR_INIT;
    struct clip_ceiling *c = calloc(1, sizeof *c);
    if (!c)
        exit(1);
    c->tower = *tower;
    c->n_patch_inputs = n_patch_inputs;
    c->n_blocks = tower->n_layers < MAX_BLOCKS ? tower->n_layers : MAX_BLOCKS;
    must(linear_engine_new(0, &c->engine, &err), &err);
    must(team_new(n_threads, linear_thread_init, &c->team, &err), &err);
    c->lanes = calloc(n_threads, sizeof *c->lanes);
    if (!c->lanes)
        exit(1);
    team_run(c->team, n_threads, start_lane, c);
    team_run(c->team, 1, start_weights, c);
    return c;
}

void clip_ceiling_free(struct clip_ceiling *c)
{
    size_t n_threads = team_size(c->team);
    team_free(c->team);
    for (size_t i = 0; i < n_threads; i++) {
        linear_lane_free(c->lanes[i].lane);
        free(c->lanes[i].x);
        free(c->lanes[i].y);
    }
    linear_free(c->patches);
    for (size_t i = 0; i < c->n_blocks; i++) {
        linear_free(c->blocks[i].qkv);
        linear_free(c->blocks[i].out);
        linear_free(c->blocks[i].fc1);
        linear_free(c->blocks[i].fc2);
    }
    linear_engine_free(c->engine);
    free(c->lanes);
    free(c);
}

static void product(struct lane *l, const struct linear *weights, size_t n_rows)
{
    struct error err = ERROR_INIT;
    must(linear_run(l->lane, weights, l->x, l->y, n_rows, &err), &err);
}

static int64_t now_ns(const struct clip_ceiling *c)
{
    return team_size(c->team) == 1 ? clock_cpu_ns() : clock_mono_ns();
}

/* One piece through the tower; the seconds that all its blocks would take. */
static double run_piece(
    const struct clip_ceiling *c, struct lane *l, size_t n_rows, size_t n_items)
{
    int64_t begun = now_ns(c);
    if (c->patches)
        product(l, c->patches, n_rows > n_items ? n_rows - n_items : n_rows);
    const struct block *last = &c->blocks[c->n_blocks - 1];
    product(l, last->qkv, n_rows);
    product(l, last->out, n_items);
    product(l, last->fc1, n_items);
    product(l, last->fc2, n_items);
    int64_t middle = now_ns(c);
    for (size_t i = 0; i < c->n_blocks; i++) {
        product(l, c->blocks[i].qkv, n_rows);
        product(l, c->blocks[i].out, n_rows);
        product(l, c->blocks[i].fc1, n_rows);
        product(l, c->blocks[i].fc2, n_rows);
    }
    double blocks = (double)(now_ns(c) - middle) / 1e9;
    return (double)(middle - begun) / 1e9 +
           blocks * (c->tower.n_layers - 1) / (double)c->n_blocks;
}

static void make_room(const struct clip_ceiling *c, struct lane *l, size_t n_rows)
{
    size_t widest = c->tower.mlp > 3 * c->tower.width ? c->tower.mlp : 3 * c->tower.width;
    widest = widest > c->n_patch_inputs ? widest : c->n_patch_inputs;
    if (l->max_rows >= n_rows)
        return;
    free(l->x);
    free(l->y);
    l->x = numbers(n_rows * widest);
    l->y = numbers(n_rows * widest);
    l->max_rows = n_rows;
}

static void run_share(void *arg, size_t rank, size_t size)
{
    struct clip_ceiling *c = arg;
    struct lane *l = &c->lanes[rank];
    size_t rows = c->n_rows * (rank + 1) / size - c->n_rows * rank / size;
    size_t items = c->n_items * (rank + 1) / size - c->n_items * rank / size;
    size_t n = (rows + c->piece - 1) / c->piece;
    l->seconds = 0;
    for (size_t i = 0; i < n; i++)
        l->seconds += run_piece(
            c, l, rows * (i + 1) / n - rows * i / n, items * (i + 1) / n - items * i / n);
}

static double run_in_pieces(struct clip_ceiling *c, size_t piece)
{
    double slowest = 0;
    c->piece = piece;
    team_run(c->team, team_size(c->team), run_share, c);
    for (size_t i = 0; i < team_size(c->team); i++)
        slowest = c->lanes[i].seconds > slowest ? c->lanes[i].seconds : slowest;
    return slowest;
}

double clip_ceiling_run(struct clip_ceiling *c, size_t n_rows, size_t n_items)
{
    c->n_rows = n_rows;
    c->n_items = n_items;
    for (size_t i = 0; i < team_size(c->team); i++)
        make_room(c, &c->lanes[i], n_rows);
    double whole = run_in_pieces(c, n_rows);
    if (n_rows <= PIECE * team_size(c->team))
        return whole;
    double pieces = run_in_pieces(c, PIECE);
    return pieces < whole ? pieces : whole;
}
