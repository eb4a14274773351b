/* oracle_budget.c - the best sequence under limits: least excess first, then reward, then
 * the least action numbers.
 *
 * Excess only grows on the way, so what is spent plus the least that is to come bounds
 * it; rewards are bounded by the best without limits.  A way to a node is left where an
 * earlier one to the same node brought as much and spent no more of anything. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/oracle_parts.h"

/* Sums of costs that were added in another order may differ by this share of a budget:
 * a bound on the excess must not exceed what it bounds. */
#define SLACK 1e-12
#define MAX_SPENT (CONSTRAINTS_MAX * (1 + SEARCH_MAX_TURNS))

struct within {
    struct search *s;
    struct search_result *best;
    int found; /* best holds something */
    struct ledger ledgers[SEARCH_MAX_TURNS + 1];
    double spent[MAX_SPENT];
};

static double scale(const struct constraint *limit)
{
    return limit->budget > 0 ? limit->budget : 1;
}

static double excess(const struct search_problem *p, const struct ledger *ledger)
{
    double sum = 0;
    for (size_t i = 0; i < p->n_limits; i++)
        sum += ledger_excess(ledger, i) / scale(&p->limits[i]);
    return sum;
}

/* The cost of a turn: entered, of this move, or the least of one to come. */
static double cost_at(const struct search_problem *p, const struct ledger *ledger,
    const struct search_move *move, size_t turn, enum constraint_kind kind)
{
    if (turn < ledger->n_turns)
        return ledger->recent[turn % CONSTRAINT_MAX_HORIZON].of[kind];
    return turn == ledger->n_turns ? move->cost.of[kind] : p->least[turn].of[kind];
}

/* The least use of one limit's greatest window once this move is made. */
static double least_peak(const struct search_problem *p, const struct ledger *ledger,
    const struct search_move *move, size_t i)
{
    const struct constraint *limit = &p->limits[i];
    size_t length = limit->horizon ? limit->horizon : p->n_turns;
    double peak = ledger->peak[i];
    size_t end = length < p->n_turns ? ledger->n_turns : p->n_turns - 1;
    for (; end < p->n_turns; end++) {
        double sum = 0;
        for (size_t t = end + 1 > length ? end + 1 - length : 0; t <= end; t++)
            sum += cost_at(p, ledger, move, t, limit->kind);
        peak = fmax(peak, sum);
    }
    return peak;
}

static double least_excess(const struct search_problem *p, const struct ledger *ledger,
    const struct search_move *move)
{
    double sum = 0;
    for (size_t i = 0; i < p->n_limits; i++) {
        double per = scale(&p->limits[i]);
        double over = least_peak(p, ledger, move, i) - p->limits[i].budget - SLACK * per;
        sum += over > 0 ? over / per : 0;
    }
    return sum;
}

/* Negative where the first n actions of a are less than those of b. */
static int compare_actions(const size_t *a, const size_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static int is_better(const struct within *w, double over, double reward)
{
    const struct search_result *best = w->best;
    if (!w->found || (over > 0) != (best->excess > 0))
        return !w->found || over <= 0;
    if (fabs(over - best->excess) > SLACK)
        return over < best->excess;
    if (fabs(reward - best->reward) > SEARCH_EQUAL)
        return reward > best->reward;
    return compare_actions(w->s->actions, best->actions, w->s->problem->n_turns) < 0;
}

static void consider(struct within *w, double reward)
{
    const struct search_problem *p = w->s->problem;
    double over = excess(p, &w->ledgers[p->n_turns]);
    if (!is_better(w, over, reward))
        return;
    w->found = 1;
    w->best->reward = reward;
    w->best->excess = over;
    memcpy(w->best->actions, w->s->actions, p->n_turns * sizeof *w->best->actions);
}

/* True where a way with no less excess than lacking and at most reward may be better
 * than the best so far. */
static int may_improve(const struct within *w, double lacking, double reward)
{
    if (!w->found)
        return 1;
    if (w->best->excess <= 0 && lacking > 0)
        return 0;
    if (lacking > w->best->excess + SLACK)
        return 0;
    return lacking < w->best->excess - SLACK || reward >= w->best->reward - SEARCH_EQUAL;
}

/* What was spent, as numbers of which less is better whatever follows. */
static size_t list_spent(struct within *w, size_t turn)
{
    const struct search_problem *p = w->s->problem;
    const struct ledger *ledger = &w->ledgers[turn];
    size_t n = 0;
    for (size_t i = 0; i < p->n_limits; i++) {
        const struct constraint *limit = &p->limits[i];
        w->spent[n++] = ledger->peak[i];
        size_t first =
            limit->horizon && turn + 1 > limit->horizon ? turn + 1 - limit->horizon : 0;
        for (size_t t = first; limit->horizon && t < turn; t++)
            w->spent[n++] = ledger->recent[t % CONSTRAINT_MAX_HORIZON].of[limit->kind];
    }
    return n;
}

static int is_dominated(const struct within *w, const struct memory_way *way, size_t n,
    size_t turn, double reward)
{
    if (way->reward < reward - SEARCH_EQUAL)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (way->spent[i] > w->spent[i])
            return 0;
    if (way->reward > reward + SEARCH_EQUAL)
        return 1;
    for (size_t t = 0; t < turn; t++)
        if (way->actions[t] != w->s->actions[t])
            return way->actions[t] < w->s->actions[t];
    return 1;
}

/* True where the node at turn was reached before at least as well; else remember how. */
static int came_before(
    struct within *w, struct memory_entry *entry, size_t turn, double reward)
{
    size_t n = list_spent(w, turn);
    for (const struct memory_way *way = entry->ways; way; way = way->next)
        if (is_dominated(w, way, n, turn, reward))
            return 1;
    uint16_t actions[SEARCH_MAX_TURNS];
    for (size_t t = 0; t < turn; t++)
        actions[t] = (uint16_t)w->s->actions[t];
    memory_add_way(&w->s->memory, entry, reward, w->spent, n, actions);
    return 0;
}

static void descend(struct within *w, size_t turn, double reward);

static void try_moves(
    struct within *w, size_t turn, double reward, const struct search_move *moves)
{
    struct search *s = w->s;
    const struct search_problem *p = s->problem;
    struct search_try *tries = s->tries[turn];
    for (size_t a = 0; a < p->n_actions; a++)
        tries[a] = (struct search_try) { least_excess(p, &w->ledgers[turn], &moves[a]),
            moves[a].reward + s->ahead[turn + 1], a };
    search_sort(tries, p->n_actions);
    for (size_t i = 0; i < p->n_actions; i++) {
        const struct search_move *move = &moves[tries[i].action];
        if (!may_improve(w, tries[i].lacking, reward + tries[i].promise))
            continue;
        s->actions[turn] = tries[i].action;
        w->ledgers[turn + 1] = w->ledgers[turn];
        ledger_spend(&w->ledgers[turn + 1], p->limits, p->n_limits, &move->cost);
        search_follow(s, turn, tries[i].action, move);
        descend(w, turn + 1, reward + move->reward);
    }
}

static void descend(struct within *w, size_t turn, double reward)
{
    struct search *s = w->s;
    if (turn == s->problem->n_turns) {
        consider(w, reward);
        return;
    }
    // Past the ceiling a first sequence is still brought to its end.
    if (!search_may_go_on(s) && w->found)
        return;
    struct memory_entry *entry = search_remember(s, turn);
    if (entry && came_before(w, entry, turn, reward))
        return;
    if (w->found && w->best->excess <= 0) {
        double need = w->best->reward - reward - SEARCH_EQUAL;
        if (search_solve(s, turn, need).upper < need)
            return;
    }
    try_moves(w, turn, reward, search_expand(s, turn, entry));
}

/* The best without limits, where it keeps them. */
static int keeps(struct within *w, const struct search_result *free_of_limits)
{
    struct search *s = w->s;
    const struct search_problem *p = s->problem;
    struct ledger *ledger = &w->ledgers[0];
    for (size_t t = 0; t < p->n_turns; t++) {
        size_t action = free_of_limits->actions[t];
        const struct search_move *move =
            &search_expand(s, t, search_remember(s, t))[action];
        ledger_spend(ledger, p->limits, p->n_limits, &move->cost);
        search_follow(s, t, action, move);
    }
    double over = excess(p, ledger);
    ledger_start(ledger, p->limits, p->n_limits);
    return over <= 0;
}

enum status search_within(struct search *s, const struct search_result *free_of_limits,
    struct search_result *out, struct error *err)
{
    struct within *w = calloc(1, sizeof *w);
    if (!w)
        return error_nomem(err, sizeof *w);
    size_t before = s->n_moves;
    w->s = s;
    w->best = out;
    ledger_start(&w->ledgers[0], s->problem->limits, s->problem->n_limits);
    *out = (struct search_result) { 0 };
    if (keeps(w, free_of_limits)) {
        *out = *free_of_limits;
        w->found = 1;
    }
    if (!w->found || !out->proved)
        descend(w, 0, 0);
    if (!out->proved)
        out->proved = !s->gave_up;
    out->upper = out->proved ? out->reward : free_of_limits->upper;
    out->n_moves = s->n_moves - before;
    free(w);
    return OK;
}
