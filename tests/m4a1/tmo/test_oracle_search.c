/* test_oracle_search.c - the best sequence against all sequences, on small random worlds
 * with ties, with and without limits, and with ceilings that are too low. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include "m4a1/base/random.h"
#include "m4a1/tmo/oracle_search.h"

#define MAX_T 5
#define MAX_A 5

/* A walk whose moves depend on the turn and the last window actions. */
struct world {
    size_t n_turns, n_actions, window;
    uint64_t seed;
    double step; /* rewards are multiples of it; 0 = any */
};

struct place {
    size_t turn;
    size_t recent[MAX_T];
};

static void expand(const void *arg, const void *node, struct search_move *moves)
{
    const struct world *world = arg;
    const struct place *place = node;
    uint64_t where = place->turn;
    for (size_t i = 0; i < world->window; i++)
        where = where * 37 + place->recent[i];
    struct rng rng;
    rng_init(&rng, world->seed, "moves", where);
    for (size_t a = 0; a < world->n_actions; a++) {
        double x = 4 * rng_uniform(&rng) - 1;
        moves[a].reward = world->step > 0 ? world->step * floor(x / world->step) : x;
        for (size_t k = 0; k < N_CONSTRAINT_KINDS; k++)
            moves[a].cost.of[k] = 0.25 * (double)(1 + rng_below(&rng, 8));
    }
}

static void follow(
    const void *arg, void *node, size_t action, const struct search_move *move)
{
    const struct world *world = arg;
    struct place *place = node;
    (void)move;
    place->turn++;
    for (size_t i = 1; i < world->window; i++)
        place->recent[i - 1] = place->recent[i];
    if (world->window)
        place->recent[world->window - 1] = 1 + action;
}

static void key(const void *arg, const void *node, void *out)
{
    (void)arg;
    memcpy(out, ((const struct place *)node)->recent, sizeof(size_t[MAX_T]));
}

/* What all sequences in order have for the best; the first among equals stays. */
static void exhaust(const struct search_problem *p, int limited, size_t turn,
    const struct place *place, const struct ledger *ledger, double reward,
    size_t *actions, struct search_result *best)
{
    if (turn == p->n_turns) {
        double over = 0;
        for (size_t i = 0; limited && i < p->n_limits; i++)
            over += ledger_excess(ledger, i) / p->limits[i].budget;
        int closer = over < best->excess - 1e-9;
        if (closer || (over < best->excess + 1e-9 && reward > best->reward + 1e-9)) {
            best->reward = reward;
            best->excess = over;
            memcpy(best->actions, actions, p->n_turns * sizeof *actions);
        }
        return;
    }
    struct search_move moves[MAX_A];
    expand(p->arg, place, moves);
    for (size_t a = 0; a < p->n_actions; a++) {
        struct place next = *place;
        struct ledger spent = *ledger;
        ledger_spend(&spent, p->limits, p->n_limits, &moves[a].cost);
        follow(p->arg, &next, a, &moves[a]);
        actions[turn] = a;
        exhaust(
            p, limited, turn + 1, &next, &spent, reward + moves[a].reward, actions, best);
    }
}

static void expect(const struct search_problem *p, int limited,
    const struct search_result *got, size_t *n_over)
{
    struct search_result best = { .reward = -INFINITY, .excess = INFINITY };
    struct ledger ledger;
    size_t actions[MAX_T];
    ledger_start(&ledger, p->limits, p->n_limits);
    exhaust(p, limited, 0, p->start, &ledger, 0, actions, &best);
    assert_true(got->proved);
    assert_true(fabs(got->reward - best.reward) < 1e-9);
    assert_true(fabs(got->excess - best.excess) < 1e-9);
    assert_true(got->upper == got->reward);
    assert_memory_equal(got->actions, best.actions, p->n_turns * sizeof *actions);
    *n_over += best.excess > 0;
}

static const double most[MAX_T] = { 3, 3, 3, 3, 3 };
static const struct turn_cost least[MAX_T] = { { { .25, .25, .25 } },
    { { .25, .25, .25 } }, { { .25, .25, .25 } }, { { .25, .25, .25 } },
    { { .25, .25, .25 } } };

static struct search_problem problem_of(const struct world *world,
    const struct place *start, const struct constraint *limits, size_t n)
{
    return (struct search_problem) { .n_turns = world->n_turns,
        .n_actions = world->n_actions,
        .node_size = sizeof *start,
        .key_size = sizeof start->recent,
        .start = start,
        .limits = limits,
        .n_limits = n,
        .most = most,
        .least = least,
        .arg = world,
        .expand = expand,
        .follow = follow,
        .key = key };
}

/* Budgets from too tight for any sequence to too wide to matter. */
static size_t draw_limits(
    struct rng *rng, const struct world *world, struct constraint limits[3])
{
    size_t n = 1 + (size_t)rng_below(rng, 3);
    for (size_t i = 0; i < n; i++) {
        size_t horizon = (size_t)rng_below(rng, world->n_turns + 1);
        size_t length = horizon ? horizon : world->n_turns;
        limits[i] = (struct constraint) { (enum constraint_kind)i,
            (double)length * (0.3 + 1.5 * rng_uniform(rng)), horizon };
    }
    return n;
}

static void test_random_worlds(void **state)
{
    (void)state;
    struct search_ceilings ceilings = search_ceilings();
    size_t n_over = 0, n_bound = 0, unlimited = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "world", 0);
        struct world world = { .n_turns = 1 + (size_t)rng_below(&rng, MAX_T),
            .n_actions = 1 + (size_t)rng_below(&rng, MAX_A),
            .window = (size_t)rng_below(&rng, MAX_T),
            .seed = seed,
            .step = rng_below(&rng, 2) ? 0.5 : 0 };
        struct constraint limits[3];
        size_t n = draw_limits(&rng, &world, limits);
        struct place start = { 0 };
        struct search_problem p = problem_of(&world, &start, limits, n);
        ceilings.max_bytes = rng_below(&rng, 3) ? (size_t)1 << 20 : 2000;
        struct search_result best, kept;
        assert_int_equal(search_best(&p, &ceilings, &best, &kept, NULL), OK);
        expect(&p, 0, &best, &unlimited);
        expect(&p, 1, &kept, &n_over);
        n_bound += kept.excess <= 0 && kept.reward < best.reward;
    }
    // The worlds are of all three kinds: limits that cannot be kept, that bind, neither.
    assert_int_equal(unlimited, 0);
    assert_in_range(n_over, 50, 200);
    assert_in_range(n_bound, 30, 200);
}

/* Twenty turns with one turn of memory: 5^20 sequences, but 100 nodes. */
static void test_long_walk(void **state)
{
    (void)state;
    enum { T = 20 };
    double by_turn[T];
    struct turn_cost cheap[T] = { { { 0 } } };
    struct world world = { .n_turns = T, .n_actions = MAX_A, .window = 1, .seed = 3 };
    struct place start = { 0 };
    struct constraint limit = { CONSTRAINT_LATENCY, 12, 0 };
    struct search_problem p = problem_of(&world, &start, &limit, 1);
    for (size_t t = 0; t < T; t++)
        by_turn[t] = 3;
    p.most = by_turn;
    p.least = cheap;
    struct search_ceilings ceilings = search_ceilings();
    struct search_result best, kept;
    assert_int_equal(search_best(&p, &ceilings, &best, &kept, NULL), OK);
    assert_true(best.proved && kept.proved);
    assert_true(best.n_moves <= (1 + T * MAX_A) * MAX_A);

    // Plain dynamic programming over the last action.
    double value[MAX_A + 1] = { 0 };
    for (size_t t = T; t-- > 0;) {
        double now[MAX_A + 1];
        for (size_t last = 0; last <= MAX_A; last++) {
            struct place place = { .turn = t, .recent = { last } };
            struct search_move moves[MAX_A];
            expand(&world, &place, moves);
            now[last] = -INFINITY;
            for (size_t a = 0; a < MAX_A; a++)
                now[last] = fmax(now[last], moves[a].reward + value[1 + a]);
        }
        memcpy(value, now, sizeof value);
    }
    assert_true(fabs(best.reward - value[0]) < 1e-9);
    assert_true(kept.reward <= best.reward);

    // The sequence keeps the budget and is worth what it says.
    struct ledger ledger;
    double reward = 0;
    ledger_start(&ledger, &limit, 1);
    for (size_t t = 0; t < T; t++) {
        struct search_move moves[MAX_A];
        expand(&world, &start, moves);
        ledger_spend(&ledger, &limit, 1, &moves[kept.actions[t]].cost);
        reward += moves[kept.actions[t]].reward;
        follow(&world, &start, kept.actions[t], NULL);
    }
    assert_true(kept.excess <= 0 && ledger_excess(&ledger, 0) <= 0);
    assert_true(fabs(reward - kept.reward) < 1e-9);
}

/* A search that gives up says so, and its bounds hold. */
static void test_ceiling(void **state)
{
    (void)state;
    struct world world = { .n_turns = 5, .n_actions = 5, .window = 4, .seed = 8 };
    struct place start = { 0 };
    struct constraint limit = { CONSTRAINT_USAGE, 4, 0 };
    struct search_problem p = problem_of(&world, &start, &limit, 1);
    struct search_ceilings ceilings = search_ceilings();
    struct search_result best, kept, some, some_kept;
    assert_int_equal(search_best(&p, &ceilings, &best, &kept, NULL), OK);
    assert_true(best.proved && kept.proved && kept.reward < best.reward);
    for (size_t max = 1; max + 20 < best.n_moves; max += 10) {
        ceilings.max_moves = max;
        ceilings.max_bytes = max % 3 ? (size_t)1 << 20 : 0;
        assert_int_equal(search_best(&p, &ceilings, &some, &some_kept, NULL), OK);
        assert_false(some.proved);
        assert_true(some.reward <= best.reward + 1e-9);
        assert_true(some.upper >= best.reward - 1e-9);
        assert_true(some_kept.upper >= kept.reward - 1e-9);
        assert_true(some_kept.excess > 0 || some_kept.reward <= kept.reward + 1e-9);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct world world = { .n_turns = SEARCH_MAX_TURNS + 1, .n_actions = 2 };
    struct place start = { 0 };
    struct search_problem p = problem_of(&world, &start, NULL, 0);
    struct search_ceilings ceilings = search_ceilings();
    struct search_result best;
    struct error err = ERROR_INIT;
    assert_int_equal(search_best(&p, &ceilings, &best, NULL, &err), E_ARG);
    assert_non_null(strstr(err.msg, "65"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_worlds),
        cmocka_unit_test(test_long_walk),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
