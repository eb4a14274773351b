/* agent.c - see agent.h. */
#include "m4a1/tmo/agent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/dataset.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/identity.h"
#include "schema/query.h"

#define QUESTION_MAX ((size_t)8 << 20)

/* ---- the question ---- */

static void add_views(struct buffer *out, const struct dataset *data, uint32_t set)
{
    const char *between = "";
    for (size_t v = 0; v < data->n_views; v++)
        if (set >> v & 1) {
            buffer_printf(out, "%s%s", between, data->views[v]);
            between = ", ";
        }
}

static const char *llm_name(const struct recorded *rec, size_t action)
{
    return rec->data->llms[rec->llms[rec->space.actions[action].llm]].name;
}

static void add_situation(struct buffer *out, const struct episode *ep)
{
    const struct recorded *rec = ep->env->rec;
    const struct dataset *data = rec->data;
    size_t turn = ep->first + ep->turn;
    buffer_printf(out, "Task: %s\nPrompt: %s\n", data->tasks[rec->tasks[turn]],
        rec->prompt_texts[rec->prompts[turn]]);
    buffer_add_str(out, "Views that there are, with their level of privacy:");
    for (size_t v = 0; v < data->n_views; v++)
        buffer_printf(out, "%s %s (%d)", v ? "," : "", data->views[v], data->privacy[v]);
    buffer_add_str(out, "\nViews that the dialogue holds: ");
    add_views(out, data, ep->context);
    buffer_add_str(out, ep->context ? "\n" : "none\n");
}

static void add_past(struct buffer *out, const struct episode *ep, const size_t *past)
{
    const struct recorded *rec = ep->env->rec;
    uint32_t context = 0;
    buffer_add_str(out, ep->turn ? "Earlier turns:\n" : "Earlier turns: none\n");
    for (size_t t = 0; t < ep->turn; t++) {
        uint32_t added = recorded_added(rec, past[t], context);
        buffer_printf(out, "- task %s: %s, %s",
            rec->data->tasks[rec->tasks[ep->first + t]], llm_name(rec, past[t]),
            added ? "new views " : "no new view");
        add_views(out, rec->data, added);
        buffer_add_char(out, '\n');
        context |= added;
    }
}

static void add_budgets(struct buffer *out, const struct episode *ep)
{
    const struct environment_settings *set = &ep->env->settings;
    for (size_t i = 0; i < set->n_constraints; i++) {
        const struct constraint *c = &set->constraints[i];
        buffer_printf(out, "Budget of %s: %.4g of %.4g %s remain",
            constraint_names[c->kind], ep->ledger.remaining[i], ep->ledger.budget[i],
            constraint_units[c->kind]);
        if (c->horizon)
            buffer_printf(out, " for the last %zu turns", c->horizon);
        buffer_add_char(out, '\n');
    }
}

static void add_worth(struct buffer *out, const struct environment_settings *set)
{
    buffer_printf(out,
        "The worth of a turn is %.3g x score of the answer (1 = as good as the best "
        "llm's) + %.3g x how much the shown views have to do with the prompt (0 to 1) - "
        "%.3g x seconds - %.3g x USD, both scaled to 0 to 1 over the actions.\n",
        set->alpha, set->beta_association, set->beta_latency, set->beta_usage);
}

/* Whether an option that is listed already does the same as action a. */
static int is_listed(const struct episode *ep, const size_t *options, size_t n, size_t a)
{
    const struct recorded *rec = ep->env->rec;
    const struct space_action *actions = rec->space.actions;
    for (size_t i = 0; i < n; i++)
        if (actions[options[i]].llm == actions[a].llm &&
            recorded_added(rec, options[i], ep->context) ==
                recorded_added(rec, a, ep->context))
            return 1;
    return 0;
}

enum status agent_question(const struct episode *ep, const size_t *past,
    struct buffer *out, size_t *options, size_t *n, struct error *err)
{
    const struct recorded *rec = ep->env->rec;
    size_t n_actions = rec->space.n_actions;
    struct outcome *outcomes = calloc(n_actions, sizeof *outcomes);
    unsigned char *allowed = calloc(n_actions, 1);
    *n = 0;
    if (!outcomes || !allowed) {
        free(outcomes);
        free(allowed);
        return error_nomem(err, n_actions * sizeof *outcomes);
    }
    episode_outcomes(ep, outcomes);
    episode_allowed(ep, allowed);
    buffer_add_str(out,
        "You decide which language model answers the next turn of a dialogue, and which "
        "camera views it is shown. A local model answers on the device. What a cloud "
        "model is shown leaves the device.\n\n");
    add_situation(out, ep);
    add_past(out, ep, past);
    add_budgets(out, ep);
    add_worth(out, &ep->env->settings);
    buffer_add_str(out, "\n<actions>\n");
    for (size_t a = 0; a < n_actions; a++) {
        uint32_t added = recorded_added(rec, a, ep->context);
        if (!allowed[a] || is_listed(ep, options, *n, a))
            continue;
        options[(*n)++] = a;
        buffer_printf(out, "%zu. %s (%s), %s", *n, llm_name(rec, a),
            space_is_cloud(&rec->space, a) ? "cloud" : "local",
            added ? "new views " : "no new view");
        add_views(out, rec->data, added);
        buffer_printf(out, ": about %.3g s, %.3g USD\n", outcomes[a].latency_s,
            outcomes[a].usage_usd);
    }
    buffer_add_str(out, "</actions>\n\nAnswer with the number of one action, and nothing "
                        "else.");
    free(outcomes);
    free(allowed);
    return buffer_status(out, "the agent's question", err);
}

size_t agent_read(const char *answer, size_t n)
{
    size_t number = 0;
    answer += strcspn(answer, "0123456789");
    for (; *answer >= '0' && *answer <= '9' && number <= n; answer++)
        number = 10 * number + (size_t)(*answer - '0');
    return number <= n ? number : 0;
}

/* ---- beginning ---- */

static enum status unknown_llm(struct store *store, const char *llm, struct error *err)
{
    struct query *q;
    struct buffer names;
    buffer_init(&names, 1 << 16);
    enum status s = query_open(store,
        "SELECT name FROM llm WHERE retired_ms IS NULL AND protocol IS NOT NULL"
        " ORDER BY llm_id",
        &q, err);
    while (!s && !(s = query_next(q, err)) && query_has_row(q))
        buffer_printf(&names, "%s%s", names.len ? ", " : "", query_text(q, 0));
    query_close(q);
    if (!s)
        s = error_set(err, E_ARG,
            "store %s has no llm \"%s\" that can be asked; it has %s", store_path(store),
            llm, names.len ? buffer_str(&names) : "none");
    buffer_release(&names);
    return s;
}

enum status agent_begin(struct agent *agent, const struct environment *env,
    struct store *store, const char *llm, const size_t *sessions, size_t n,
    struct error *err)
{
    size_t n_turns = env->rec->n_turns;
    *agent = (struct agent) { .env = env, .store = store, .n = n };
    agent->name = text_copy(llm);
    agent->episodes = calloc(n + 1, sizeof *agent->episodes);
    agent->calls = calloc(n + 1, sizeof *agent->calls);
    agent->decisions = calloc(n_turns + 1, sizeof *agent->decisions);
    agent->past = calloc(n_turns + 1, sizeof *agent->past);
    if (!agent->name || !agent->episodes || !agent->calls || !agent->decisions ||
        !agent->past)
        return error_nomem(err, n_turns * sizeof *agent->decisions);
    for (size_t i = 0; i < n; i++)
        episode_start(&agent->episodes[i], env, RULES_MODEL, sessions[i]);
    enum status s = store_int(store, 0, &agent->llm_id, err,
        "SELECT llm_id FROM llm WHERE name = ? AND retired_ms IS NULL"
        " AND protocol IS NOT NULL",
        "t", llm);
    if (!s && !agent->llm_id)
        s = unknown_llm(store, llm, err);
    return s ? s
             : store_run(store, err,
                   "DELETE FROM call WHERE purpose = 'agent' AND llm_id = ?1 AND NOT"
                   " EXISTS (SELECT 1 FROM attempt a WHERE a.call_id = call.call_id)",
                   "i", agent->llm_id);
}

void agent_release(struct agent *agent)
{
    free(agent->name);
    free(agent->episodes);
    free(agent->calls);
    free(agent->decisions);
    free(agent->past);
    *agent = (struct agent) { 0 };
}

/* ---- rounds ---- */

static enum status insert_call(
    struct agent *agent, size_t i, const char *text, struct error *err)
{
    const struct episode *ep = &agent->episodes[i];
    const struct recorded *rec = agent->env->rec;
    int64_t session =
        dataset_session(rec->data, rec->sessions[ep->session].id)->session_id;
    struct query *q;
    char identity[HASH_HEX];
    enum status s = query_open(agent->store,
        "SELECT s.identity, l.identity, t.turn_id FROM session s JOIN turn t USING"
        " (session_id), llm l WHERE s.session_id = ? AND t.position = ? AND l.llm_id = ?",
        &q, err);
    if (s)
        return s;
    query_bind(q, "iii", session, (int64_t)ep->turn, agent->llm_id);
    s = query_next(q, err);
    if (!s && !query_has_row(q))
        s = error_set(err, E_DATA, "%s lacks turn %zu of session %lld",
            store_path(agent->store), ep->turn, (long long)session);
    if (!s) {
        const struct call_name name = { .session = query_text(q, 0),
            .turn = (int64_t)ep->turn,
            .purpose = "agent",
            .llm = query_text(q, 1),
            .text = text };
        s = call_identity(&name, identity, err);
    }
    if (!s)
        s = store_run(agent->store, err,
            "INSERT INTO call (identity, turn_id, purpose, llm_id, text)"
            " VALUES (?, ?, 'agent', ?, ?)",
            "tiit", identity, query_int(q, 2), agent->llm_id, text);
    query_close(q);
    agent->calls[i] = s ? 0 : store_last_id(agent->store);
    return s;
}

/* The call of the question that the session asks now: one that is there, or a new one. */
static enum status find_call(struct agent *agent, size_t i, size_t *options,
    struct buffer *text, struct error *err)
{
    const struct episode *ep = &agent->episodes[i];
    size_t n;
    buffer_clear(text);
    enum status s = agent_question(ep, agent->past + ep->first, text, options, &n, err);
    if (!s)
        s = store_int(agent->store, 0, &agent->calls[i], err,
            "SELECT call_id FROM call WHERE purpose = 'agent' AND llm_id = ? AND text = "
            "?",
            "it", agent->llm_id, buffer_str(text));
    if (!s && !agent->calls[i])
        s = insert_call(agent, i, buffer_str(text), err);
    return s;
}

/* Whether an earlier session of this round asks the same. */
static int is_asked(const struct agent *agent, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (agent->calls[k] == agent->calls[i])
            return 1;
    return 0;
}

static enum status count_open(struct agent *agent, int64_t *open, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; i < agent->n && !s; i++) {
        int64_t is_open = 0;
        if (!agent->calls[i] || is_asked(agent, i))
            continue;
        agent->n_calls++;
        s = store_int(agent->store, 0, &is_open, err,
            "SELECT NOT EXISTS (SELECT 1 FROM response WHERE call_id = ?1) AND NOT EXISTS"
            " (SELECT 1 FROM attempt WHERE call_id = ?1 AND final)",
            "i", agent->calls[i]);
        *open += is_open;
    }
    return s;
}

enum status agent_plan_round(
    struct agent *agent, int *done, int64_t *open, struct error *err)
{
    size_t *options = calloc(agent->env->n_actions, sizeof *options);
    struct buffer text;
    *done = 1;
    *open = 0;
    if (!options)
        return error_nomem(err, agent->env->n_actions * sizeof *options);
    buffer_init(&text, QUESTION_MAX);
    enum status s = store_begin(agent->store, err);
    for (size_t i = 0; i < agent->n && !s; i++) {
        agent->calls[i] = 0;
        if (agent->episodes[i].done)
            continue;
        *done = 0;
        s = find_call(agent, i, options, &text, err);
    }
    if (!s)
        s = store_commit(agent->store, err);
    store_rollback(agent->store);
    if (!s)
        s = count_open(agent, open, err);
    buffer_release(&text);
    free(options);
    return s;
}

/* The local llm where it may answer, else the first action that is allowed. */
static size_t fall_back(const struct agent *agent, const size_t *options, size_t n)
{
    const struct space *space = &agent->env->rec->space;
    for (size_t i = 0; i < n; i++)
        if (!space_is_cloud(space, options[i]) && !space->actions[options[i]].views)
            return options[i];
    return options[0];
}

static enum status decide(struct agent *agent, size_t i, const size_t *options, size_t n,
    struct agent_decision *out, struct error *err)
{
    struct query *q;
    size_t number = 0;
    *out = (struct agent_decision) { 0, 1, NAN, NAN };
    enum status s = query_open(agent->store,
        "SELECT r.text, a.latency_ns / 1e9, x.total_pusd / 1e12 FROM answer r"
        " LEFT JOIN attempt a USING (attempt_id)"
        " LEFT JOIN response_cost x ON x.response_id = r.response_id"
        " WHERE r.call_id = ?",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", agent->calls[i]);
    if (!(s = query_next(q, err)) && query_has_row(q)) {
        number = agent_read(query_text(q, 0), n);
        if (!query_is_null(q, 1))
            out->latency_s = query_double(q, 1);
        if (!query_is_null(q, 2))
            out->usage_usd = query_double(q, 2);
    }
    query_close(q);
    out->failed = !number;
    out->action = number ? options[number - 1] : fall_back(agent, options, n);
    return s;
}

static enum status take(struct agent *agent, size_t i, size_t *options,
    struct buffer *text, struct error *err)
{
    struct episode *ep = &agent->episodes[i];
    struct agent_decision *decision = &agent->decisions[ep->first + ep->turn];
    struct outcome outcome;
    size_t n;
    buffer_clear(text);
    enum status s = agent_question(ep, agent->past + ep->first, text, options, &n, err);
    if (!s)
        s = decide(agent, i, options, n, decision, err);
    if (s)
        return s;
    agent->past[ep->first + ep->turn] = decision->action;
    agent->n_decisions++;
    agent->n_failed += decision->failed ? 1 : 0;
    episode_step(ep, decision->action, &outcome);
    return OK;
}

enum status agent_take_round(struct agent *agent, struct error *err)
{
    size_t *options = calloc(agent->env->n_actions, sizeof *options);
    struct buffer text;
    int64_t open = 0;
    size_t n_calls = agent->n_calls;
    if (!options)
        return error_nomem(err, agent->env->n_actions * sizeof *options);
    buffer_init(&text, QUESTION_MAX);
    enum status s = count_open(agent, &open, err);
    agent->n_calls = n_calls;
    if (!s && open)
        s = error_set(err, E_PARTIAL,
            "%lld questions to the agent have no answer yet; the same command goes on",
            (long long)open);
    for (size_t i = 0; i < agent->n && !s; i++)
        if (agent->calls[i])
            s = take(agent, i, options, &text, err);
    buffer_release(&text);
    free(options);
    return s;
}

/* ---- what it chose ---- */

void agent_weigh(void *agent, const struct episode *ep, double *p)
{
    const struct agent *a = agent;
    for (size_t i = 0; i < ep->env->n_actions; i++)
        p[i] = 0;
    p[a->decisions[ep->first + ep->turn].action] = 1;
}

/* Adds x to a mean over what is known. */
static void add_known(double x, double *sum, size_t *n)
{
    if (isnan(x))
        return;
    *sum += x;
    ++*n;
}

void agent_means(const struct agent *agent, double *latency_s, double *usage_usd)
{
    size_t n_seconds = 0, n_usd = 0;
    *latency_s = *usage_usd = 0;
    for (size_t i = 0; i < agent->n; i++) {
        const struct episode *ep = &agent->episodes[i];
        for (size_t t = 0; t < ep->n_turns; t++) {
            const struct agent_decision *d = &agent->decisions[ep->first + t];
            add_known(d->latency_s, latency_s, &n_seconds);
            add_known(d->usage_usd, usage_usd, &n_usd);
        }
    }
    *latency_s = n_seconds ? *latency_s / (double)n_seconds : NAN;
    *usage_usd = n_usd ? *usage_usd / (double)n_usd : NAN;
}
