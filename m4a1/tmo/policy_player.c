/* policy_player.c - a policy's own world without data: an environment over one blank
 * session whose tasks are those of the dialogue that is played.
 *
 * So observations, budgets and the shield are the environment's own, and nothing of them
 * is written a second time.  Its estimator is never asked for a choice. */
#include "m4a1/tmo/policy_player.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct policy_player {
    struct policy policy;
    char sha256[HASH_HEX];
    struct recorded *rec; /* of policy.about with the blank session */
    struct environment *env;
    double *features, *scores; /* [F], [A] */
    unsigned char *allowed;    /* [A] */
};

/* One session as long as a dialogue may get.  Its first turn takes the first action, so
 * that there is a row for the estimator to be fitted on. */
static enum status add_session(
    struct dataset *about, const struct config_action *first, struct error *err)
{
    struct session *session = about->sessions = calloc(1, sizeof *session);
    if (!session)
        return error_nomem(err, sizeof *session);
    about->n_sessions = 1;
    session->turns = calloc(POLICY_PLAYER_MAX_TURNS, sizeof *session->turns);
    if (!session->turns)
        return error_nomem(err, POLICY_PLAYER_MAX_TURNS * sizeof *session->turns);
    session->n_turns = POLICY_PLAYER_MAX_TURNS;
    for (size_t t = 0; t < session->n_turns; t++)
        session->turns[t].path.latency_s = session->turns[t].path.cost_usd = NAN;
    struct interaction *path = &session->turns[0].path;
    for (size_t i = 0; i < about->n_llms; i++)
        if (strcmp(about->llms[i].name, first->llm) == 0)
            path->llm = (int)i;
    for (size_t v = 0; v < about->n_views; v++)
        for (size_t i = 0; i < first->n_views; i++)
            if (strcmp(about->views[v], first->views[i]) == 0)
                path->views_added |= UINT32_C(1) << v;
    path->views_context = path->views_added;
    return OK;
}

/* Encode with the listed actions of the file, whatever the data said. */
static enum status record(struct policy_player *p, struct error *err)
{
    struct policy *policy = &p->policy;
    struct tmo_config config = policy->config;
    if (!config.environment.as_published) {
        config.actions = ACTIONS_LISTED;
        config.listed = policy->actions;
        config.n_listed = policy->n_actions;
    }
    enum status s = tmo_config_record(&config, policy->about, &p->rec, err);
    if (!s && p->rec->space.n_actions != policy->n_actions)
        s = error_set(err, E_DATA, "it has %zu actions, and its views make %zu",
            policy->n_actions, p->rec->space.n_actions);
    return s;
}

static enum status build(struct policy_player *p, struct error *err)
{
    struct environment_settings set = p->policy.config.environment;
    const size_t train[] = { 0 };
    set.estimator = estimator_defaults();
    set.estimator.kind = ESTIMATOR_CONSTANT;
    if (p->policy.version > 1) // version 1 has its profiles by name
        set.costs.table = p->policy.costs;
    enum status s = add_session(p->policy.about, &p->policy.actions[0], err);
    if (!s)
        s = record(p, err);
    if (!s)
        s = environment_new(p->rec, &set, train, 1, &p->env, err);
    if (!s && p->env->n_features != p->policy.n_features)
        s = error_set(err, E_DATA,
            "its network sees %zu features, and its encoding has %zu",
            p->policy.n_features, p->env->n_features);
    if (s)
        return s;
    p->features = calloc(p->env->n_features, sizeof *p->features);
    p->scores = calloc(p->env->n_actions, sizeof *p->scores);
    p->allowed = calloc(p->env->n_actions, 1);
    return p->features && p->scores && p->allowed
               ? OK
               : error_nomem(err, p->env->n_features * sizeof *p->features);
}

enum status policy_player_open(
    const char *path, struct policy_player **out, struct error *err)
{
    *out = NULL;
    struct policy_player *p = calloc(1, sizeof *p);
    if (!p)
        return error_nomem(err, sizeof *p);
    enum status s = policy_read(path, &p->policy, p->sha256, err);
    if (!s) {
        s = build(p, err);
        if (s == E_ARG)
            s = E_DATA;
        if (s)
            error_prefix(err, "%s: ", path);
    }
    if (s)
        policy_player_free(p);
    else
        *out = p;
    return s;
}

void policy_player_free(struct policy_player *p)
{
    if (!p)
        return;
    environment_free(p->env);
    recorded_free(p->rec);
    policy_release(&p->policy);
    free(p->features);
    free(p->scores);
    free(p->allowed);
    free(p);
}

const struct policy *policy_player_policy(const struct policy_player *p)
{
    return &p->policy;
}

const char *policy_player_sha256(const struct policy_player *p)
{
    return p->sha256;
}

const struct space *policy_player_space(const struct policy_player *p)
{
    return &p->rec->space;
}

size_t policy_player_llm(const struct policy_player *p, size_t llm)
{
    return (size_t)p->rec->llms[llm];
}

uint32_t policy_player_added(
    const struct policy_player *p, size_t action, uint32_t context)
{
    return p->rec->space.actions[action].views & ~context;
}

/* The action that a past turn took.  As published: the views that the dialogue holds where
 * it brought some, none where it brought none (recorded.h). */
static size_t action_of(
    const struct policy_player *p, const struct policy_turn *turn, uint32_t before)
{
    const struct space *space = &p->rec->space;
    uint32_t views = turn->added;
    if (p->rec->as_published)
        views = turn->added ? turn->context : 0;
    for (size_t a = 0; a < space->n_actions; a++) {
        uint32_t does = p->rec->as_published ? space->actions[a].views
                                             : space->actions[a].views & ~before;
        if (policy_player_llm(p, space->actions[a].llm) == turn->llm && does == views)
            return a;
    }
    return SIZE_MAX;
}

static enum status replay(struct policy_player *p, struct episode *ep,
    const struct policy_turn *past, size_t n_past, size_t task, struct error *err)
{
    if (n_past >= POLICY_PLAYER_MAX_TURNS)
        return error_set(err, E_ARG, "a policy plays dialogues of up to %d turns",
            POLICY_PLAYER_MAX_TURNS);
    for (size_t t = 0; t < n_past; t++)
        p->rec->tasks[t] = (int)past[t].task;
    p->rec->tasks[n_past] = (int)task;
    episode_start(ep, p->env, RULES_MODEL, 0);
    for (size_t t = 0; t < n_past; t++) {
        struct outcome outcome;
        size_t action = action_of(p, &past[t], t ? past[t - 1].context : 0);
        if (action == SIZE_MAX)
            return error_set(err, E_ARG,
                "turn %zu of the dialogue did what no action of the policy does", t);
        episode_step(ep, action, &outcome);
    }
    return OK;
}

enum status policy_player_weigh(struct policy_player *p, const struct policy_turn *past,
    size_t n_past, size_t task, double *probabilities, struct error *err)
{
    const struct network *net = &p->policy.network;
    struct episode ep;
    size_t n = p->env->n_actions;
    enum status s = replay(p, &ep, past, n_past, task, err);
    if (s)
        return s;
    episode_observe(&ep, p->features);
    episode_allowed(&ep, p->allowed);
    memset(probabilities, 0, n * sizeof *probabilities);
    if (net->kind == NETWORK_Q) {
        probabilities[network_greedy(net, p->features, p->allowed)] = 1;
        return OK;
    }
    double most = -INFINITY, sum = 0;
    network_scores(net, p->features, p->scores);
    for (size_t a = 0; a < n; a++)
        if (p->allowed[a] && p->scores[a] > most)
            most = p->scores[a];
    for (size_t a = 0; a < n; a++)
        if (p->allowed[a])
            sum += probabilities[a] = exp(p->scores[a] - most);
    for (size_t a = 0; a < n; a++)
        probabilities[a] /= sum;
    return OK;
}
