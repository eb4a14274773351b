/* oracle.c - sessions as problems for oracle_search.h. */
#include "m4a1/tmo/oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/text.h"

struct oracle_options oracle_options(void)
{
    return (struct oracle_options) { .ceilings = search_ceilings() };
}

/* ---- a session as a problem ---- */

struct view_of_world {
    const struct environment *env;
    size_t n_states;          /* numbers of the observation that estimates depend on */
    struct outcome *outcomes; /* [A] */
    size_t *actions;          /* [n_actions] those that are offered, in order */
    size_t n_actions;
};

static void expand(const void *arg, const void *node, struct search_move *moves)
{
    const struct view_of_world *view = arg;
    episode_outcomes(node, view->outcomes);
    for (size_t a = 0; a < view->n_actions; a++) {
        const struct outcome *o = &view->outcomes[view->actions[a]];
        moves[a].reward = o->reward;
        moves[a].cost = (struct turn_cost) { { o->latency_s, o->usage_usd, o->privacy } };
    }
}

static void follow(
    const void *arg, void *node, size_t action, const struct search_move *move)
{
    const struct view_of_world *view = arg;
    const struct outcome outcome = { .reward = move->reward,
        .latency_s = move->cost.of[CONSTRAINT_LATENCY],
        .usage_usd = move->cost.of[CONSTRAINT_USAGE],
        .privacy = move->cost.of[CONSTRAINT_PRIVACY] };
    episode_apply(node, view->actions[action], &outcome);
}

/* The observation, the views of the dialogue, and those that each provider was sent. */
static void key(const void *arg, const void *node, void *out)
{
    const struct view_of_world *view = arg;
    const struct episode *ep = node;
    unsigned char *to = out;
    memcpy(to, &ep->context, sizeof ep->context);
    to += sizeof ep->context;
    memcpy(to, ep->sent, view->env->rec->n_providers * sizeof *ep->sent);
    to += view->env->rec->n_providers * sizeof *ep->sent;
    memcpy(to, ep->states, view->n_states * sizeof *ep->states);
}

static size_t key_size(const struct view_of_world *view)
{
    return sizeof(uint32_t) * (1 + view->env->rec->n_providers) +
           view->n_states * sizeof(int16_t);
}

static enum status view_init(
    struct view_of_world *view, const struct environment *env, struct error *err)
{
    size_t n = env->n_actions;
    *view = (struct view_of_world) { .env = env,
        .n_states = oracle_reads_states(env) ? env->rec->space.n_states : 0 };
    view->outcomes = malloc(n * sizeof *view->outcomes);
    view->actions = malloc(n * sizeof *view->actions);
    if (!view->outcomes || !view->actions)
        return error_nomem(err, n * sizeof *view->outcomes);
    for (size_t a = 0; a < n; a++)
        if (!env->offered || env->offered[a])
            view->actions[view->n_actions++] = a;
    return OK;
}

static void view_release(struct view_of_world *view)
{
    free(view->outcomes);
    free(view->actions);
}

static void name_actions(
    const struct view_of_world *view, size_t n_turns, struct search_result *result)
{
    for (size_t t = 0; t < n_turns; t++)
        result->actions[t] = view->actions[result->actions[t]];
}

static enum status search_session(const struct view_of_world *view, size_t session,
    const struct search_ceilings *ceilings, struct search_result *best,
    struct search_result *kept, struct error *err)
{
    const struct environment *env = view->env;
    double most[SEARCH_MAX_TURNS];
    struct turn_cost least[SEARCH_MAX_TURNS];
    size_t n_turns = env->rec->sessions[session].n_turns;
    if (n_turns > SEARCH_MAX_TURNS)
        return error_set(err, E_ARG,
            "session %lld has %zu turns; the oracle searches sessions of up to %d",
            (long long)env->rec->sessions[session].id, n_turns, SEARCH_MAX_TURNS);
    enum status s = oracle_bounds(env, session, most, least, err);
    if (s)
        return s;
    struct episode start;
    episode_start(&start, env, RULES_MODEL, session);
    const struct search_problem problem = { .n_turns = n_turns,
        .n_actions = view->n_actions,
        .node_size = sizeof start,
        .key_size = key_size(view),
        .start = &start,
        .limits = env->settings.constraints,
        .n_limits = env->settings.n_constraints,
        .most = most,
        .least = least,
        .arg = view,
        .expand = expand,
        .follow = follow,
        .key = key };
    s = search_best(&problem, ceilings, best, kept, err);
    if (s)
        return s;
    name_actions(view, n_turns, best);
    name_actions(view, n_turns, kept);
    return OK;
}

/* ---- results ---- */

/* Play the sequence, so that its figures are those that an evaluation reports. */
static void replay(const struct environment *env, size_t session,
    const struct search_result *found, struct oracle_sequence *out)
{
    struct episode ep;
    episode_start(&ep, env, RULES_MODEL, session);
    double n = (double)ep.n_turns;
    *out = (struct oracle_sequence) { .proved = found->proved, .feasible = 1 };
    while (!ep.done) {
        struct outcome o;
        out->actions[ep.turn] = found->actions[ep.turn];
        episode_step(&ep, found->actions[ep.turn], &o);
        out->reward += o.reward / n;
        out->response += o.response / n;
        out->association += o.association / n;
    }
    out->upper = found->proved ? out->reward : fmax(found->upper / n, out->reward);
    memcpy(out->use, ep.ledger.total, sizeof out->use);
    for (size_t i = 0; i < env->settings.n_constraints; i++) {
        out->excess[i] = ledger_excess(&ep.ledger, i);
        out->feasible = out->feasible && out->excess[i] <= 0;
    }
}

static void add(struct oracle *out, const struct oracle_session *one)
{
    out->best += one->best.reward;
    out->best_upper += one->best.upper;
    out->n_best_over += !one->best.feasible;
    out->n_unproved += !one->best.proved || !one->kept.proved;
    if (one->kept.feasible) {
        out->n_feasible++;
        out->kept += one->kept.reward;
        out->kept_upper += one->kept.upper;
    } else {
        out->n_infeasible_unproved += !one->kept.proved;
    }
}

static void take_means(struct oracle *out)
{
    double n = (double)out->n_sessions, n_feasible = (double)out->n_feasible;
    out->best /= n;
    out->best_upper /= n;
    out->kept = out->n_feasible ? out->kept / n_feasible : NAN;
    out->kept_upper = out->n_feasible ? out->kept_upper / n_feasible : NAN;
}

static enum status search_all(const struct view_of_world *view, const size_t *sessions,
    size_t n, const struct oracle_options *options, struct oracle *out, struct error *err)
{
    const struct environment *env = view->env;
    for (size_t i = 0; i < n; i++) {
        size_t n_turns = env->rec->sessions[sessions[i]].n_turns;
        if (!n_turns)
            continue;
        struct search_result best, kept;
        enum status s =
            search_session(view, sessions[i], &options->ceilings, &best, &kept, err);
        if (s)
            return s;
        struct oracle_session *one = &out->sessions[out->n_sessions++];
        one->session = sessions[i];
        one->n_turns = n_turns;
        replay(env, sessions[i], &best, &one->best);
        replay(env, sessions[i], &kept, &one->kept);
        out->n_moves += best.n_moves + kept.n_moves;
        add(out, one);
        if (options->report && options->report(options->arg, i + 1, n))
            return error_set(err, E_INTERRUPTED,
                "the search for best sequences was stopped after %zu of %zu sessions",
                i + 1, n);
    }
    if (!out->n_sessions)
        return error_set(
            err, E_ARG, "the %zu sessions have no turns to find a best sequence for", n);
    take_means(out);
    return OK;
}

enum status oracle_sessions(const struct environment *env, const size_t *sessions,
    size_t n, const struct oracle_options *options, struct oracle *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    out->ceilings = options->ceilings;
    out->sessions = calloc(n ? n : 1, sizeof *out->sessions);
    if (!out->sessions)
        return error_nomem(err, n * sizeof *out->sessions);
    struct view_of_world view;
    enum status s = view_init(&view, env, err);
    if (!s)
        s = search_all(&view, sessions, n, options, out, err);
    if (s)
        oracle_release(out);
    view_release(&view);
    return s;
}

void oracle_release(struct oracle *oracle)
{
    free(oracle->sessions);
    memset(oracle, 0, sizeof *oracle);
}

void oracle_unproved(const struct oracle *oracle, char *text, size_t size)
{
    text[0] = '\0';
    if (!oracle->n_unproved)
        return;
    int n = snprintf(text, size,
        "in %zu of %zu sessions the search for the best sequence stopped behind %zu "
        "moves: the bound lies between %.4f and %.4f without constraints",
        oracle->n_unproved, oracle->n_sessions, oracle->ceilings.max_moves, oracle->best,
        oracle->best_upper);
    if (oracle->n_infeasible_unproved && n > 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n,
            "; for %zu session%s it is open whether the budgets can be met",
            oracle->n_infeasible_unproved,
            text_s((int64_t)oracle->n_infeasible_unproved));
}

void oracle_weigh(void *player, const struct episode *ep, double *p)
{
    const struct oracle_player *play = player;
    const struct oracle *oracle = play->oracle;
    memset(p, 0, ep->env->n_actions * sizeof *p);
    for (size_t i = 0; i < oracle->n_sessions; i++) {
        const struct oracle_session *one = &oracle->sessions[i];
        if (one->session != ep->session)
            continue;
        p[(play->kept ? &one->kept : &one->best)->actions[ep->turn]] = 1;
        return;
    }
}
