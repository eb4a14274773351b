/* evaluate_agent.c - see evaluate_agent.h. */
#include "m4a1/cli/evaluate_agent.h"

#include <math.h>
#include <stdio.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/collecting.h"
#include "m4a1/tmo/agent.h"

/* Ask what the round still lacks. */
static enum status ask_round(
    struct cli *cli, struct agent *agent, struct engine_options *o, struct error *err)
{
    static const char *const purposes[] = { "agent" };
    struct engine_result r = { 0 };
    o->purposes = purposes;
    o->n_purposes = COUNT_OF(purposes);
    o->llm_ids[0] = agent->llm_id;
    o->n_llm_ids = 1;
    o->progress = cli_progress(cli, "asking the agent", 0);
    enum status s = engine_run(agent->store, o, &r, err);
    progress_free(o->progress);
    o->progress = NULL;
    // What stays open is for agent_take_round() to say; what failed is a decision, too.
    if (s == E_PARTIAL && (r.cap_reached || r.deadline_reached || r.n_unsendable))
        s = error_set(err, E_PARTIAL, "the agent was not asked everything: %s",
            r.n_unsendable       ? r.first_unsendable
            : r.deadline_reached ? "the deadline came first"
                                 : "the spending cap is reached (--max-usd)");
    else if (s == E_PARTIAL)
        s = OK;
    engine_result_release(&r);
    return s;
}

static enum status ask_all(
    struct cli *cli, struct agent *agent, struct engine_options *o, struct error *err)
{
    int done = 0;
    enum status s = OK;
    while (!s && !done) {
        int64_t open;
        s = agent_plan_round(agent, &done, &open, err);
        if (!s && (open || o->retry_failed))
            s = ask_round(cli, agent, o, err);
        if (!s)
            s = agent_take_round(agent, err);
    }
    return s;
}

static void add_up(struct evaluate_agent *out, const struct agent *agent)
{
    double latency_s, usage_usd, n = (double)agent->n_decisions;
    double n_before = (double)out->n_decisions;
    agent_means(agent, &latency_s, &usage_usd);
    out->latency_s = (out->latency_s * n_before + latency_s * n) / (n_before + n);
    out->usage_usd = (out->usage_usd * n_before + usage_usd * n) / (n_before + n);
    out->n_decisions += agent->n_decisions;
    out->n_calls += agent->n_calls;
    out->n_failed += agent->n_failed;
}

enum status evaluate_agent(struct cli *cli, struct evaluation_table *table, size_t trial,
    const struct environment *env, struct evaluate_agent *out, struct error *err)
{
    const char *llm = cli_value(cli, "agent"), *path = cli_arg(cli, 0);
    const struct trial *one = &table->trials[trial];
    struct engine_options o;
    struct agent agent = { 0 };
    struct store *store = NULL;
    if (!llm)
        return OK;
    if (!store_is_database(path))
        return cli_usage(cli, err,
            "--agent asks an llm that a store's recipe configures, and %s is no store",
            path);
    snprintf(out->row, sizeof out->row, "Agent %.100s", llm);
    enum status s = store_open(path, STORE_WRITE, &store, err);
    if (!s)
        s = collecting_options(cli, store, &o, err);
    if (!s)
        s = agent_begin(&agent, env, store, llm, one->test, one->n_test, err);
    if (!s)
        s = ask_all(cli, &agent, &o, err);
    store_close(store);
    const struct chooser chooser = { agent_weigh, &agent };
    if (!s)
        s = evaluation_table_add(
            table, out->row, trial, env, &chooser, EVALUATE_RETURN, err);
    if (!s)
        add_up(out, &agent);
    agent_release(&agent);
    return s;
}

void evaluate_agent_tell(const struct evaluate_agent *agent)
{
    char usd[32] = "unknown USD", seconds[32] = "unknown seconds";
    if (!*agent->row)
        return;
    if (!isnan(agent->usage_usd))
        text_usd(agent->usage_usd, usd, sizeof usd);
    if (!isnan(agent->latency_s))
        snprintf(seconds, sizeof seconds, "%.3f s", agent->latency_s);
    printf("\n%s: %zu decision%s from %zu call%s (equal states are asked once). A "
           "decision takes\n%s and %s, which its row does not count. %zu named no listed "
           "action (%.0f %%):\nthe local llm answered those turns.\n",
        agent->row, agent->n_decisions, text_s((int64_t)agent->n_decisions),
        agent->n_calls, text_s((int64_t)agent->n_calls), seconds, usd, agent->n_failed,
        100 * (double)agent->n_failed / (double)agent->n_decisions);
}

void evaluate_agent_keep(
    struct json_keeper *k, struct json *root, const struct evaluate_agent *agent)
{
    if (!*agent->row)
        return;
    struct json *o = json_keep(k, json_set_object(root, "agent"));
    json_keep(k, json_set_text(o, "row", agent->row));
    json_keep_count(k, o, "decisions", agent->n_decisions);
    json_keep_count(k, o, "calls", agent->n_calls);
    json_keep_count(k, o, "failed", agent->n_failed);
    json_keep_figure(k, o, "latency_s", agent->latency_s);
    json_keep_figure(k, o, "usage_usd", agent->usage_usd);
}
