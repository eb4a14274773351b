/* off_policy_ask.c - walk recorded sessions beside a policy, and weigh what was earned. */
#include "m4a1/tmo/off_policy_parts.h"

#include <math.h>
#include <stdlib.h>

#include "m4a1/base/random.h"

const char *const off_policy_names[N_OFF_POLICY_FIGURES] = { "turn", "turn_robust",
    "sequence", "sequence_robust", "direct" };

/* ---- actions by what they do ---- */

uint32_t off_policy_newly(const struct off_policy *op, size_t action, uint32_t context)
{
    return op->env->rec->space.actions[action].views & ~context;
}

size_t off_policy_as_recorded(
    const struct off_policy *op, size_t action, uint32_t context)
{
    const struct recorded *rec = op->env->rec;
    uint32_t views = rec->space.actions[action].views;
    if (!rec->as_published || !views)
        return action;
    size_t found = space_find(&rec->space, rec->space.actions[action].llm,
        views & ~context ? views | context : 0);
    return found == SIZE_MAX ? action : found;
}

const struct interaction *off_policy_path(
    const struct recorded *rec, size_t session, size_t turn)
{
    size_t t = turn - rec->sessions[session].first;
    return &rec->data->sessions[session].turns[t].path;
}

size_t off_policy_llm(const struct recorded *rec, const struct interaction *path)
{
    for (size_t i = 0; i < rec->space.n_llms; i++)
        if (rec->llms[i] == path->llm)
            return i;
    return SIZE_MAX;
}

double off_policy_reward(
    const struct off_policy *op, const struct outcome *outcome, double score)
{
    return outcome->reward + op->env->settings.alpha * (score - outcome->response);
}

size_t off_policy_stand_in(const struct off_policy *op, size_t turn, size_t session)
{
    const struct recorded *rec = op->env->rec;
    if (rec->actions[turn] >= 0)
        return (size_t)rec->actions[turn];
    size_t llm = off_policy_llm(rec, off_policy_path(rec, session, turn));
    size_t found = llm == SIZE_MAX ? SIZE_MAX : space_find(&rec->space, llm, 0);
    return found == SIZE_MAX ? 0 : found;
}

/* ---- asking ---- */

/* What is at hand while one chooser is asked. */
struct asking {
    const struct off_policy *op;
    const struct chooser *chooser;
    const struct estimator *model; /* of the session's fold */
    struct response_cache cache;
    struct rng rng;
    double *p, *later; /* [A] of this turn, and of turns that are played on */
};

/* The reward that the model expects of an action, and what follows from it. */
static double expect(const struct asking *ask, const struct episode *ep, size_t action,
    struct outcome *outcome)
{
    struct estimator_query query = episode_query(ep);
    episode_outcome(ep, action, outcome);
    return off_policy_reward(
        ask->op, outcome, estimator_value(ask->model, &query, action));
}

static size_t draw(const double *p, size_t n, struct rng *rng)
{
    double u = rng_uniform(rng);
    size_t last = 0;
    for (size_t a = 0; a < n; a++) {
        if (p[a] <= 0)
            continue;
        last = a;
        u -= p[a];
        if (u < 0)
            break;
    }
    return last;
}

static int is_certain(const double *p, size_t n)
{
    size_t n_possible = 0;
    for (size_t a = 0; a < n; a++)
        n_possible += p[a] > 0;
    return n_possible < 2;
}

/* Play on from ep, which is a copy, and add up what the model expects of the policy;
 * *certain is cleared where something was drawn. */
static double play_on(struct asking *ask, struct episode ep, int *certain)
{
    size_t n = ep.env->n_actions;
    double sum = 0;
    ep.rules = RULES_MODEL;
    while (!ep.done) {
        struct outcome outcome;
        ask->chooser->weigh(ask->chooser->arg, &ep, ask->later);
        *certain &= is_certain(ask->later, n);
        size_t action =
            off_policy_as_recorded(ask->op, draw(ask->later, n, &ask->rng), ep.context);
        sum += expect(ask, &ep, action, &outcome);
        episode_apply(&ep, action, &outcome);
    }
    return sum;
}

/* The mean of several ways to play on behind an action, or of one where none is drawn. */
static double follow(struct asking *ask, const struct episode *from, size_t action,
    const struct outcome *outcome)
{
    size_t n = ask->op->settings.n_draws, done = 0;
    double sum = 0;
    int certain = 1;
    struct episode ep = *from;
    ep.rules = RULES_MODEL;
    episode_apply(&ep, action, outcome);
    do {
        sum += play_on(ask, ep, &certain);
    } while (++done < n && !certain);
    return sum / (double)done;
}

/* What the model expects of the policy: in this turn, and from it on. */
static void expect_policy(
    struct asking *ask, const struct episode *ep, double *now, double *on)
{
    *now = *on = 0;
    for (size_t a = 0; a < ep->env->n_actions; a++) {
        if (ask->p[a] <= 0)
            continue;
        struct outcome outcome;
        size_t action = off_policy_as_recorded(ask->op, a, ep->context);
        double one = expect(ask, ep, action, &outcome);
        *now += ask->p[a] * one;
        *on += ask->p[a] * (one + follow(ask, ep, action, &outcome));
    }
}

/* The policy's probability of doing what the path did. */
static double share_of_path(const struct asking *ask, const struct episode *ep)
{
    const struct recorded *rec = ep->env->rec;
    size_t turn = ep->first + ep->turn;
    size_t llm = off_policy_llm(rec, off_policy_path(rec, ep->session, turn));
    double share = 0;
    for (size_t a = 0; a < ep->env->n_actions; a++)
        if (rec->space.actions[a].llm == llm &&
            off_policy_newly(ask->op, a, ep->context) == rec->added[turn])
            share += ask->p[a];
    return share;
}

static double direct(const struct asking *ask, const struct episode *ep)
{
    const struct off_policy *op = ask->op;
    size_t n = ep->env->n_actions, at = op->measured_at[ep->first + ep->turn];
    double sum = 0;
    if (at == SIZE_MAX)
        return NAN;
    for (size_t a = 0; a < n; a++) {
        struct outcome outcome;
        if (ask->p[a] <= 0)
            continue;
        episode_outcome(ep, a, &outcome);
        sum += ask->p[a] * off_policy_reward(op, &outcome, op->measured[at * n + a]);
    }
    return sum;
}

static void ask_turn(struct asking *ask, const struct episode *ep, double before,
    struct off_policy_turn *out)
{
    const struct off_policy *op = ask->op;
    size_t turn = ep->first + ep->turn;
    double now, on, error = 0, error_on = 0;
    ask->chooser->weigh(ask->chooser->arg, ep, ask->p);
    *out = (struct off_policy_turn) { .turn = turn,
        .session = ep->session,
        .counts = 1,
        .is_last = ep->turn + 1 == ep->n_turns };
    if (!isnan(op->rewards[turn])) {
        out->reward = op->rewards[turn];
        out->ratio = share_of_path(ask, ep) / op->propensity.path[turn];
    }
    out->product = before * out->ratio;
    expect_policy(ask, ep, &now, &on);
    if (out->ratio > 0) {
        struct outcome outcome;
        size_t action = (size_t)op->env->rec->actions[turn];
        double expected = expect(ask, ep, action, &outcome);
        error = out->reward - expected;
        error_on = error - follow(ask, ep, action, &outcome);
    }
    out->robust = now + out->ratio * error;
    out->robust_sequence = before * on + out->product * error_on;
    out->direct = direct(ask, ep);
}

static struct off_policy_turn *ask_session(
    struct asking *ask, size_t session, struct off_policy_turn *out)
{
    struct episode ep;
    double before = 1;
    episode_start(&ep, ask->op->env, RULES_RECORDED, session);
    ep.cache = &ask->cache;
    rng_init(&ask->rng, ask->op->settings.seed, "off-policy", session);
    for (; !ep.done; out++) {
        struct outcome outcome;
        ask_turn(ask, &ep, before, out);
        before = out->product;
        episode_step(&ep, off_policy_stand_in(ask->op, out->turn, session), &outcome);
    }
    return out;
}

enum status off_policy_ask(const struct off_policy *op, const struct chooser *chooser,
    struct off_policy_turn *out, struct error *err)
{
    size_t n = op->env->n_actions;
    struct asking ask = { .op = op, .chooser = chooser };
    ask.p = calloc(2 * n, sizeof *ask.p);
    if (!ask.p)
        return error_nomem(err, 2 * n * sizeof *ask.p);
    ask.later = ask.p + n;
    response_cache_init(&ask.cache, op->env);
    for (size_t i = 0; i < op->n_sessions; i++) {
        ask.model = op->estimators[op->fold_of[i]];
        out = ask_session(&ask, op->sessions[i], out);
    }
    response_cache_release(&ask.cache);
    free(ask.p);
    return OK;
}

void off_policy_behaviour(const struct off_policy *op, struct off_policy_turn *out)
{
    const struct recorded *rec = op->env->rec;
    for (size_t i = 0; i < op->n_sessions; i++) {
        const struct recorded_session *one = &rec->sessions[op->sessions[i]];
        for (size_t t = 0; t < one->n_turns; t++, out++) {
            size_t turn = one->first + t;
            double known = isnan(op->rewards[turn]) ? 0 : 1;
            double reward = known > 0 ? op->rewards[turn] : 0;
            *out = (struct off_policy_turn) { turn, op->sessions[i], known, known, known,
                reward, reward, reward, NAN, t + 1 == one->n_turns };
            if (op->measured_at[turn] != SIZE_MAX && known > 0)
                out->direct = reward;
        }
    }
}

/* ---- figures ---- */

/* What a turn adds to a figure. */
struct terms {
    double above, below, weight;
};

static struct terms terms_of(
    const struct off_policy_turn *one, enum off_policy_figure figure)
{
    switch (figure) {
    case OFF_POLICY_TURN:
        return (struct terms) { one->ratio * one->reward, one->ratio, one->ratio };
    case OFF_POLICY_SEQUENCE:
        return (struct terms) { one->product * one->reward, one->product, one->product };
    case OFF_POLICY_TURN_ROBUST:
        return (struct terms) { one->robust, one->counts, one->ratio };
    case OFF_POLICY_SEQUENCE_ROBUST:
        return (struct terms) { one->robust_sequence, one->counts, one->product };
    case OFF_POLICY_DIRECT: break;
    }
    return isnan(one->direct) ? (struct terms) { 0, 0, 0 }
                              : (struct terms) { one->direct, 1, 1 };
}

void off_policy_sums(const struct off_policy_turn *turns, size_t n,
    enum off_policy_figure figure, const struct clusters *clusters, double *above,
    double *below, double *weights)
{
    for (size_t i = 0; i < n; i++) {
        size_t c = clusters->of_turn[turns[i].turn];
        struct terms one = terms_of(&turns[i], figure);
        above[c] += one.above;
        below[c] += one.below;
        weights[c] += one.weight;
    }
}

void off_policy_summary(
    const struct off_policy_turn *turns, size_t n, struct off_policy_value *out)
{
    double w = 0, w2 = 0, product = 0, product2 = 0;
    *out = (struct off_policy_value) { .n_turns = n };
    for (enum off_policy_figure f = 0; f < N_OFF_POLICY_FIGURES; f++) {
        double above = 0, below = 0;
        for (size_t i = 0; i < n; i++) {
            struct terms one = terms_of(&turns[i], f);
            above += one.above;
            below += one.below;
        }
        out->of[f] = below > 0 ? above / below : NAN;
    }
    for (size_t i = 0; i < n; i++) {
        double last = turns[i].is_last ? turns[i].product : 0;
        out->n_direct += isnan(turns[i].direct) ? 0 : 1;
        w += turns[i].ratio;
        w2 += turns[i].ratio * turns[i].ratio;
        product += last;
        product2 += last * last;
    }
    out->effective_turns = w2 > 0 ? w * w / w2 : 0;
    out->effective_sessions = product2 > 0 ? product * product / product2 : 0;
    out->mean_ratio = n ? w / (double)n : NAN;
}
