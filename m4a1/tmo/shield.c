/* shield.c - a depth-first search for a way to go on within all budgets.
 *
 * It knows costs only, no estimates.  It spends in a copy of the ledger exactly as an
 * episode does, so both see the same sums, and takes a turn back by restoring what it
 * overwrote. */
#include "m4a1/tmo/shield.h"

#include <math.h>
#include <string.h>

struct search {
    const struct environment *env;
    struct ledger ledger;
    uint32_t context;
    uint32_t sent[SPACE_MAX_LLMS];
    unsigned char in_reach[CONSTRAINTS_MAX]; /* 0 = exceeded before the search began */
    int reserves; /* 1 = turns take their reserves, 0 = their costs */
    size_t nodes; /* that may still be visited */
};

/* What one turn overwrites. */
struct taken {
    double total[N_CONSTRAINT_KINDS];
    double remaining[CONSTRAINTS_MAX], peak[CONSTRAINTS_MAX];
    struct turn_cost recent;
    uint32_t context, sent;
};

static void begin(struct search *s, const struct episode *ep)
{
    const struct environment_settings *set = &ep->env->settings;
    s->env = ep->env;
    s->ledger = ep->ledger;
    s->context = ep->context;
    memcpy(s->sent, ep->sent, sizeof s->sent);
    memset(s->in_reach, 0, sizeof s->in_reach);
    for (size_t i = 0; i < set->n_constraints; i++)
        s->in_reach[i] = ledger_excess(&ep->ledger, i) == 0;
    s->nodes = SHIELD_MAX_NODES;
    s->reserves = 0;
}

/* ---- one turn ---- */

static struct turn_cost cost_of(const struct search *s, size_t action, uint32_t shown)
{
    const struct environment *env = s->env;
    const struct recorded *rec = env->rec;
    size_t llm = rec->space.actions[action].llm;
    size_t at = costs_cell(&env->costs, llm, space_count(shown));
    const struct costs *costs = &env->costs;
    struct turn_cost cost = { { costs->latency_s[at], costs->usage_usd[at], 0 } };
    if (s->reserves) {
        cost.of[CONSTRAINT_LATENCY] = costs->latency_reserve_s[at];
        cost.of[CONSTRAINT_USAGE] = costs->usage_reserve_usd[at];
    }
    if (rec->space.cloud[llm]) {
        uint32_t anew = shown & ~s->sent[rec->providers[llm]];
        for (size_t v = 0; anew >> v; v++)
            if (anew >> v & 1)
                cost.of[CONSTRAINT_PRIVACY] += rec->data->privacy[v];
    }
    return cost;
}

static void take(struct search *s, size_t action, struct taken *t)
{
    const struct environment_settings *set = &s->env->settings;
    const struct recorded *rec = s->env->rec;
    size_t llm = rec->space.actions[action].llm;
    uint32_t shown = recorded_shown(rec, action, s->context);
    uint32_t *sent = &s->sent[rec->providers[llm]];
    struct ledger *l = &s->ledger;
    struct turn_cost cost = cost_of(s, action, shown);
    memcpy(t->total, l->total, sizeof t->total);
    memcpy(t->remaining, l->remaining, sizeof t->remaining);
    memcpy(t->peak, l->peak, sizeof t->peak);
    t->recent = l->recent[l->n_turns % CONSTRAINT_MAX_HORIZON];
    t->context = s->context;
    t->sent = *sent;
    ledger_spend(l, set->constraints, set->n_constraints, &cost);
    s->context |= recorded_added(rec, action, s->context);
    if (rec->space.cloud[llm])
        *sent |= shown;
}

static void take_back(struct search *s, size_t action, const struct taken *t)
{
    const struct recorded *rec = s->env->rec;
    struct ledger *l = &s->ledger;
    l->n_turns--;
    memcpy(l->total, t->total, sizeof t->total);
    memcpy(l->remaining, t->remaining, sizeof t->remaining);
    memcpy(l->peak, t->peak, sizeof t->peak);
    l->recent[l->n_turns % CONSTRAINT_MAX_HORIZON] = t->recent;
    s->context = t->context;
    s->sent[rec->providers[rec->space.actions[action].llm]] = t->sent;
}

static int is_within(const struct search *s)
{
    for (size_t i = 0; i < s->env->settings.n_constraints; i++)
        if (s->in_reach[i] && ledger_excess(&s->ledger, i) > 0)
            return 0;
    return 1;
}

/* ---- the rest of a session ---- */

/* False where a session's budget is below n turns at the least that any turn costs. */
static int may_last(const struct search *s, size_t n)
{
    const struct environment_settings *set = &s->env->settings;
    for (size_t i = 0; i < set->n_constraints; i++) {
        const struct constraint *one = &set->constraints[i];
        double least = (double)n * s->env->cheapest[s->reserves][one->kind];
        double slack = 1e-9 * environment_scale(s->env, i);
        if (!one->horizon && s->in_reach[i] &&
            s->ledger.total[one->kind] + least > s->ledger.budget[i] + slack)
            return 0;
    }
    return 1;
}

/* One action, again and again: most often there is one that will do. */
static int can_repeat(const struct search *s, size_t action, size_t n)
{
    struct search ahead = *s;
    struct taken t;
    for (; n; n--) {
        take(&ahead, action, &t);
        if (!is_within(&ahead) || !may_last(&ahead, n - 1))
            return 0;
    }
    return 1;
}

/* Where the order of turns changes no sum, sequences are searched in one order only.  A way
 * through n turns takes n nodes: so none is begun, nor the stack filled, that cannot end. */
static int can_go_on(struct search *s, size_t n, size_t from)
{
    const struct environment *env = s->env;
    if (!n)
        return 1;
    if (n > s->nodes || !may_last(s, n))
        return 0;
    for (size_t i = from; i < env->n_completing; i++) {
        size_t action = env->completing[i];
        struct taken t;
        if (!s->nodes)
            return 0;
        s->nodes--;
        take(s, action, &t);
        int can = is_within(s) && can_go_on(s, n - 1, env->completing_in_order ? i : 0);
        take_back(s, action, &t);
        if (can)
            return 1;
    }
    return 0;
}

static int can_complete(struct search *s, size_t n)
{
    const struct environment *env = s->env;
    if (!n)
        return 1;
    if (!may_last(s, n))
        return 0;
    size_t n_try = env->n_completing < 16 ? env->n_completing : 16;
    for (size_t i = 0; i < n_try; i++)
        if (can_repeat(s, env->completing[i], n))
            return 1;
    s->nodes = SHIELD_MAX_NODES;
    return can_go_on(s, n, 0);
}

/* What needs no search: 1 = a local llm can plainly answer the rest, -1 = not even the
 * cheapest turns fit, 0 = neither is sure. */
static int plainly(const struct search *s, size_t action, size_t n)
{
    const struct environment *env = s->env;
    const struct environment_settings *set = &env->settings;
    uint32_t shown = recorded_shown(env->rec, action, s->context);
    struct turn_cost cost = cost_of(s, action, shown);
    const struct turn_cost *steady = &env->steady[s->reserves];
    int fits = steady->of[CONSTRAINT_LATENCY] < INFINITY;
    for (size_t i = 0; i < set->n_constraints; i++) {
        enum constraint_kind kind = set->constraints[i].kind;
        double slack = 1e-9 * environment_scale(env, i), budget = s->ledger.budget[i];
        double used = s->ledger.total[kind] + cost.of[kind];
        if (!s->in_reach[i])
            continue;
        if (set->constraints[i].horizon)
            fits = 0;
        else if (used + (double)n * env->cheapest[s->reserves][kind] > budget + slack)
            return -1;
        else
            fits &= used + (double)n * steady->of[kind] < budget - slack;
    }
    return fits;
}

static int leaves_enough(struct search *s, size_t action, size_t n)
{
    int plain = plainly(s, action, n);
    struct taken t;
    if (plain)
        return plain > 0;
    take(s, action, &t);
    int enough = is_within(s) && can_complete(s, n);
    take_back(s, action, &t);
    return enough;
}

int shield_can_meet(const struct episode *ep, size_t n_turns)
{
    struct search s;
    begin(&s, ep);
    for (size_t i = 0; i < ep->env->settings.n_constraints; i++)
        if (!s.in_reach[i])
            return 0;
    return can_complete(&s, n_turns);
}

/* ---- what is allowed ---- */

/* True where even the dearest action in every turn keeps within all budgets. */
static int is_slack(const struct search *s, size_t n)
{
    const struct environment_settings *set = &s->env->settings;
    for (size_t i = 0; i < set->n_constraints; i++) {
        const struct constraint *one = &set->constraints[i];
        double most = (double)n * s->env->dearest[s->reserves][one->kind];
        if (!s->in_reach[i] || s->ledger.total[one->kind] + most > s->ledger.budget[i])
            return 0;
    }
    return 1;
}

/* How far an action goes beyond the budgets that are out of reach, or would be. */
static double beyond(struct search *s, size_t action)
{
    struct taken t;
    double sum = 0;
    take(s, action, &t);
    for (size_t i = 0; i < s->env->settings.n_constraints; i++)
        sum += ledger_excess(&s->ledger, i) / environment_scale(s->env, i);
    take_back(s, action, &t);
    return sum;
}

/* Of the allowed actions (of all that are offered, where none is) keep those that go least
 * beyond. */
static void keep_least(struct search *s, unsigned char *allowed, int any)
{
    const unsigned char *offered = s->env->offered;
    double least = 0;
    size_t n = s->env->n_actions, best = n;
    for (size_t a = 0; a < n; a++) {
        if (any ? !allowed[a] : offered && !offered[a]) {
            allowed[a] = 0;
            continue;
        }
        double one = beyond(s, a);
        if (best == n || one < least) {
            memset(allowed, 0, a);
            best = a;
            least = one;
        }
        allowed[a] = one <= least;
    }
}

/* Mark the actions that leave enough for n further turns; 0 = there is none. */
static int mark(struct search *s, size_t n, unsigned char *allowed)
{
    const unsigned char *offered = s->env->offered;
    int any = 0;
    for (size_t a = 0; a < s->env->n_actions; a++)
        any |= allowed[a] = (!offered || offered[a]) && leaves_enough(s, a, n);
    return any;
}

void shield_allowed(const struct episode *ep, unsigned char *allowed)
{
    const struct environment *env = ep->env;
    const struct environment_settings *set = &env->settings;
    struct search s;
    size_t turn = ep->turn + 1;
    size_t n = set->longest > turn ? set->longest - turn : 0;
    int any = 0, out_of_reach = 0;
    begin(&s, ep);
    if (env->offered)
        memcpy(allowed, env->offered, env->n_actions);
    else
        memset(allowed, 1, env->n_actions);
    s.reserves = !env->costs.is_exact;
    if (is_slack(&s, n + 1))
        return;
    for (size_t left = n + 1; left-- > 0 && !any;) {
        s.reserves = !env->costs.is_exact;
        any = mark(&s, left, allowed);
        if (!any && s.reserves) {
            s.reserves = 0;
            any = mark(&s, left, allowed);
        }
    }
    s.reserves = 0;
    for (size_t i = 0; i < set->n_constraints; i++)
        out_of_reach |= !s.in_reach[i];
    if (!any || out_of_reach)
        keep_least(&s, allowed, any);
}
