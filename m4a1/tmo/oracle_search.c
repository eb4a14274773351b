/* oracle_search.c - branch and bound with memory; the search under limits is
 * oracle_budget.c. */
#include "m4a1/tmo/oracle_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/oracle_parts.h"

struct search_ceilings search_ceilings(void)
{
    return (
        struct search_ceilings) { .max_moves = 20000000, .max_bytes = (size_t)256 << 20 };
}

struct memory_entry *search_remember(struct search *s, size_t turn)
{
    s->problem->key(s->problem->arg, search_node(s, turn), s->key);
    return memory_find(&s->memory, turn, s->key);
}

const struct search_move *search_expand(
    struct search *s, size_t turn, struct memory_entry *entry)
{
    if (entry && entry->expanded)
        return entry->moves;
    s->n_moves += s->problem->n_actions;
    struct search_move *moves = entry ? entry->moves : s->moves[turn];
    s->problem->expand(s->problem->arg, search_node(s, turn), moves);
    if (entry)
        entry->expanded = 1;
    return moves;
}

void search_follow(
    struct search *s, size_t turn, size_t action, const struct search_move *move)
{
    if (turn + 1 >= s->problem->n_turns)
        return;
    void *next = search_node(s, turn + 1);
    memcpy(next, search_node(s, turn), s->problem->node_size);
    s->problem->follow(s->problem->arg, next, action, move);
}

int search_may_go_on(struct search *s)
{
    if (s->n_moves >= s->max_moves)
        s->gave_up = 1;
    return !s->gave_up;
}

static int by_promise(const void *va, const void *vb)
{
    const struct search_try *a = va, *b = vb;
    if (a->lacking != b->lacking)
        return a->lacking < b->lacking ? -1 : 1;
    if (a->promise != b->promise)
        return a->promise > b->promise ? -1 : 1;
    return a->action < b->action ? -1 : a->action > b->action;
}

void search_sort(struct search_try *tries, size_t n)
{
    if (n > 32) {
        qsort(tries, n, sizeof *tries, by_promise);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct search_try one = tries[i];
        size_t j = i;
        for (; j > 0 && by_promise(&one, &tries[j - 1]) < 0; j--)
            tries[j] = tries[j - 1];
        tries[j] = one;
    }
}

/* The last turn has no future: its best move is all there is to know. */
static struct search_range solve_last(const struct search_move *moves, size_t n)
{
    double best = moves[0].reward;
    for (size_t a = 1; a < n; a++)
        if (moves[a].reward > best)
            best = moves[a].reward;
    return (struct search_range) { best, best };
}

static struct search_range solve_moves(
    struct search *s, size_t turn, double need, const struct search_move *moves)
{
    size_t n = s->problem->n_actions;
    struct search_try *tries = s->tries[turn];
    for (size_t a = 0; a < n; a++)
        tries[a] = (struct search_try) { 0, moves[a].reward + s->ahead[turn + 1], a };
    search_sort(tries, n);

    struct search_range r = { -INFINITY, -INFINITY };
    for (size_t i = 0; i < n; i++) {
        const struct search_move *move = &moves[tries[i].action];
        if (tries[i].promise < need || tries[i].promise <= r.lower) {
            r.upper = fmax(r.upper, tries[i].promise);
            break;
        }
        search_follow(s, turn, tries[i].action, move);
        struct search_range rest =
            search_solve(s, turn + 1, fmax(need, r.lower) - move->reward);
        r.lower = fmax(r.lower, move->reward + rest.lower);
        r.upper = fmax(r.upper, move->reward + rest.upper);
    }
    return r;
}

struct search_range search_solve(struct search *s, size_t turn, double need)
{
    if (turn == s->problem->n_turns)
        return (struct search_range) { 0, 0 };
    struct memory_entry *entry = search_remember(s, turn);
    if (entry && (entry->lower >= entry->upper || entry->upper < need))
        return (struct search_range) { entry->lower, entry->upper };
    struct search_range r = { -INFINITY, s->ahead[turn] };
    if (!search_may_go_on(s))
        return entry ? (struct search_range) { entry->lower, fmin(entry->upper, r.upper) }
                     : r;
    const struct search_move *moves = search_expand(s, turn, entry);
    if (turn + 1 == s->problem->n_turns)
        r = solve_last(moves, s->problem->n_actions);
    else
        r = solve_moves(s, turn, need, moves);
    if (entry) {
        entry->lower = r.lower = fmax(r.lower, entry->lower);
        entry->upper = r.upper = fmin(r.upper, entry->upper);
    }
    return r;
}

/* The least action at turn by which the way, worth reward so far, still reaches target;
 * where the search gave up, the one that is known to bring most. */
static size_t pick(struct search *s, size_t turn, const struct search_move *moves,
    double reward, double target)
{
    size_t best = 0;
    double most = -INFINITY;
    for (size_t a = 0; a < s->problem->n_actions; a++) {
        double with = reward + moves[a].reward;
        if (with + s->ahead[turn + 1] < target - SEARCH_EQUAL)
            continue;
        search_follow(s, turn, a, &moves[a]);
        double found = search_solve(s, turn + 1, target - SEARCH_EQUAL - with).lower;
        if (with + found >= target - SEARCH_EQUAL)
            return a;
        if (with + found > most) {
            most = with + found;
            best = a;
        }
    }
    // Nothing behind any of them was looked at: the one that brings most now.
    if (isinf(most))
        for (size_t a = 1; a < s->problem->n_actions; a++)
            if (moves[a].reward > moves[best].reward)
                best = a;
    return best;
}

/* Go down from the start by the least actions that reach target. */
static void walk(struct search *s, double target, struct search_result *out)
{
    const struct search_problem *p = s->problem;
    for (size_t t = 0; t < p->n_turns; t++) {
        struct memory_entry *entry = search_remember(s, t);
        const struct search_move *moves = search_expand(s, t, entry);
        size_t action = pick(s, t, moves, out->reward, target);
        out->actions[t] = action;
        out->reward += moves[action].reward;
        search_follow(s, t, action, &moves[action]);
    }
}

static void solve_free(struct search *s, struct search_result *out)
{
    *out = (struct search_result) { 0 };
    struct search_range r = search_solve(s, 0, -INFINITY);
    int gave_up = s->gave_up;
    // Reading the sequence back looks at little more, and must not give up half way.
    s->max_moves = gave_up ? s->max_moves : SIZE_MAX;
    walk(s, r.lower, out);
    out->proved = !gave_up;
    out->upper = gave_up ? r.upper : out->reward;
    out->n_moves = s->n_moves;
}

static enum status check(const struct search_problem *p, struct error *err)
{
    if (!p->n_turns || p->n_turns > SEARCH_MAX_TURNS)
        return error_set(err, E_ARG,
            "the best sequence is searched for sessions of 1 to %d turns, not %zu",
            SEARCH_MAX_TURNS, p->n_turns);
    if (!p->n_actions || p->n_actions > SEARCH_MAX_ACTIONS)
        return error_set(err, E_ARG,
            "the best sequence is searched among 1 to %d actions, not %zu",
            SEARCH_MAX_ACTIONS, p->n_actions);
    if (p->n_limits > CONSTRAINTS_MAX)
        return error_set(err, E_ARG,
            "the best sequence is searched under at most %d constraints, not %zu",
            CONSTRAINTS_MAX, p->n_limits);
    return OK;
}

static int search_init(struct search *s, const struct search_problem *p,
    const struct search_ceilings *ceilings)
{
    memset(s, 0, sizeof *s);
    s->problem = p;
    s->max_moves = ceilings->max_moves;
    for (size_t t = p->n_turns; t-- > 0;)
        s->ahead[t] = s->ahead[t + 1] + p->most[t];
    s->nodes = malloc(p->n_turns * p->node_size);
    s->key = calloc(1, p->key_size ? p->key_size : 1);
    int ok = memory_init(&s->memory, p->key_size, p->n_actions, ceilings->max_bytes);
    for (size_t t = 0; t < p->n_turns; t++) {
        s->moves[t] = malloc(p->n_actions * sizeof *s->moves[t]);
        s->tries[t] = malloc(p->n_actions * sizeof *s->tries[t]);
        ok = ok && s->moves[t] && s->tries[t];
    }
    if (!ok || !s->nodes || !s->key)
        return 0;
    memcpy(s->nodes, p->start, p->node_size);
    return 1;
}

static void search_release(struct search *s)
{
    for (size_t t = 0; t < SEARCH_MAX_TURNS; t++) {
        free(s->moves[t]);
        free(s->tries[t]);
    }
    free(s->nodes);
    free(s->key);
    memory_release(&s->memory);
}

enum status search_best(const struct search_problem *problem,
    const struct search_ceilings *ceilings, struct search_result *free_of_limits,
    struct search_result *kept, struct error *err)
{
    enum status status = check(problem, err);
    if (status)
        return status;
    struct search *s = malloc(sizeof *s);
    if (!s)
        return error_nomem(err, sizeof *s);
    if (search_init(s, problem, ceilings)) {
        solve_free(s, free_of_limits);
        s->max_moves = s->n_moves + ceilings->max_moves;
        s->gave_up = 0;
        if (kept)
            status = search_within(s, free_of_limits, kept, err);
    } else {
        status = error_nomem(err, problem->n_turns * problem->node_size);
    }
    search_release(s);
    free(s);
    return status;
}
