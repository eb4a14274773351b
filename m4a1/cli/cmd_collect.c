/* cmd_collect.c - m4a1 collect: ask what the plan still lacks. */
#include <stdio.h>

#include "collectors/engine.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "schema/query.h"
#include "schema/recipe.h"

static const struct cli_option options[] = {
    { "max-usd", "X",
        "stop before the store as a whole may cost more (default: the recipe's "
        "plan.max_usd)" },
    { "simulator", "URL", "send every call to m4a1 simulate at URL, without keys" },
    { "max-attempts", "N", "attempts a call (default: each llm's own)" },
    { "in-flight", "N", "calls in flight over all llms (default: 16)" },
    { "limit", "N", "stop after N attempts" },
    { "purpose", "P",
        "only calls of this purpose: path, fan_out, reference, judge (default: all)" },
    { "retry-failed", NULL, "ask calls again that failed for good" },
    { "allow-unpriced", NULL, "also ask llms without a price; they count nothing" },
    { "seed", "N", "of the order of calls (default: 1)" },
    { "json", NULL, "the summary as JSON" },
    { NULL, NULL, NULL },
};

static double usd(int64_t pusd)
{
    return (double)pusd / 1e12;
}

static double mean_latency_s(const struct engine_llm *l)
{
    return l->n_answered ? (double)l->latency_ns / 1e9 / (double)l->n_answered : 0;
}

/* ---- output --------------------------------------------------------------------- */

static int add_llm(struct json *list, const struct engine_llm *l)
{
    struct json *j = json_add_object(list);
    int ok = json_set_text(j, "llm", l->name) && json_set_int(j, "attempts", l->n_sent) &&
             json_set_int(j, "answered", l->n_answered) &&
             json_set_int(j, "attempts_failed", l->n_attempts_failed) &&
             json_set_int(j, "failed", l->n_failed) &&
             json_set_int(j, "input_tokens", l->input_tokens) &&
             json_set_int(j, "output_tokens", l->output_tokens) &&
             json_set_number(j, "cost_usd", usd(l->cost_pusd)) &&
             json_set_int(j, "cost_unknown", l->n_cost_unknown) &&
             json_set_bool(j, "left_alone", l->is_given_up);
    if (ok && l->n_answered)
        ok = json_set_number(j, "mean_latency_s", mean_latency_s(l)) != NULL;
    return ok;
}

static enum status print_json(const struct engine_result *r, struct error *err)
{
    struct json *j = json_new_object();
    int ok = json_set_int(j, "attempts", r->n_sent) &&
             json_set_int(j, "answered", r->n_answered) &&
             json_set_int(j, "attempts_failed", r->n_attempts_failed) &&
             json_set_int(j, "recovered", r->n_recovered) &&
             json_set_int(j, "unsendable", r->n_unsendable) &&
             json_set_bool(j, "cap_reached", r->cap_reached) &&
             json_set_bool(j, "limit_reached", r->limit_reached) &&
             json_set_bool(j, "interrupted", r->interrupted) &&
             json_set_number(j, "spent_usd", usd(r->spent_pusd)) &&
             json_set_number(j, "elapsed_s", (double)r->elapsed_ns / 1e9);
    struct json *calls = json_set_object(j, "calls");
    ok = ok && json_set_int(calls, "planned", r->counts.n_calls) &&
         json_set_int(calls, "done", r->counts.n_done) &&
         json_set_int(calls, "failed", r->counts.n_failed) &&
         json_set_int(calls, "ready", r->counts.n_ready) &&
         json_set_int(calls, "waiting", r->counts.n_waiting);
    struct json *list = json_set_array(j, "llms");
    ok = ok && list;
    for (size_t i = 0; ok && i < r->n_llms; i++)
        ok = add_llm(list, &r->llms[i]);
    enum status s = ok ? cli_print_json(j, err) : error_nomem(err, 1);
    json_free(j);
    return s;
}

static void print_llms(const struct engine_result *r)
{
    struct table *t = table_new(8);
    table_row(t, "llm", "attempts", "answered", "failed", "tokens in", "tokens out",
        "cost", "mean latency");
    for (size_t i = 0; i < r->n_llms; i++) {
        const struct engine_llm *l = &r->llms[i];
        char sent[24], answered[24], failed[24], in[24], out[24], cost[40], latency[32];
        snprintf(sent, sizeof sent, "%lld", (long long)l->n_sent);
        snprintf(answered, sizeof answered, "%lld", (long long)l->n_answered);
        snprintf(failed, sizeof failed, "%lld", (long long)l->n_failed);
        snprintf(in, sizeof in, "%lld", (long long)l->input_tokens);
        snprintf(out, sizeof out, "%lld", (long long)l->output_tokens);
        if (l->n_cost_unknown)
            snprintf(cost, sizeof cost, "unknown");
        else
            text_usd(usd(l->cost_pusd), cost, sizeof cost);
        if (l->n_answered)
            snprintf(latency, sizeof latency, "%.3f s", mean_latency_s(l));
        else
            snprintf(latency, sizeof latency, "-");
        table_row(t, l->name, sent, answered, failed, in, out, cost, latency);
    }
    table_print(t);
    table_free(t);
}

static void print_remarks(const struct engine_result *r, const char *path)
{
    if (r->cap_reached)
        printf("The spending cap is reached: the next call might go over it.\n");
    if (r->limit_reached)
        printf("Stopped at --limit.\n");
    for (size_t i = 0; i < r->n_llms; i++)
        if (r->llms[i].is_given_up)
            printf("%s was left alone: it does not take calls now.\n", r->llms[i].name);
    if (r->n_unsendable)
        printf("%lld calls cannot be sent; the first: %s\n", (long long)r->n_unsendable,
            r->first_unsendable);
    if (r->counts.n_failed)
        printf(
            "%lld calls failed for good: m4a1 status %s tells why; --retry-failed asks "
            "them again.\n",
            (long long)r->counts.n_failed, path);
    if (r->counts.n_ready && !r->counts.n_failed)
        printf("Run m4a1 collect %s again to go on.\n", path);
}

static void print_summary(const struct engine_result *r, const char *path)
{
    char took[32], spent[32];
    if (r->n_recovered)
        printf("%lld attempts were in flight when an earlier run ended; their calls were "
               "asked again.\n",
            (long long)r->n_recovered);
    if (!r->counts.n_calls) {
        printf("No calls are planned: run m4a1 plan %s first.\n", path);
        return;
    }
    if (!r->n_sent) {
        printf("Nothing was sent: %lld of %lld planned calls have an answer already.\n",
            (long long)r->counts.n_done, (long long)r->counts.n_calls);
    } else {
        print_llms(r);
        printf(
            "%lld of %lld calls have an answer; %lld attempts in %s; the store has cost "
            "%s in all.\n",
            (long long)r->counts.n_done, (long long)r->counts.n_calls,
            (long long)r->n_sent,
            text_duration((double)r->elapsed_ns / 1e9, took, sizeof took),
            text_usd(usd(r->spent_pusd), spent, sizeof spent));
    }
    print_remarks(r, path);
}

/* ---- options -------------------------------------------------------------------- */

static enum status read_purpose(
    struct cli *cli, struct engine_options *o, const char **slot, struct error *err)
{
    static const char *const purposes[] = { "path", "fan_out", "reference", "judge",
        "pairwise", "check", "agent" };
    *slot = cli_value(cli, "purpose");
    if (!*slot)
        return OK;
    for (size_t i = 0; i < COUNT_OF(purposes); i++) {
        if (text_equal(purposes[i], *slot)) {
            o->purposes = slot;
            o->n_purposes = 1;
            return OK;
        }
    }
    const char *nearest = text_nearest(*slot, purposes, COUNT_OF(purposes));
    return cli_usage(cli, err, "--purpose: there is no purpose \"%s\"%s%s%s", *slot,
        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static enum status read_options(
    struct cli *cli, struct engine_options *o, const char **purpose, struct error *err)
{
    int64_t max_attempts = 0, in_flight = 0, seed = 0;
    engine_options_init(o);
    enum status s = cli_double(cli, "max-usd", -1, 0, 1e6, &o->max_usd, err);
    if (!s)
        s = cli_int(cli, "max-attempts", 0, 1, 1000, &max_attempts, err);
    if (!s)
        s = cli_int(cli, "in-flight", o->in_flight, 1, 1000, &in_flight, err);
    if (!s)
        s = cli_int(cli, "limit", -1, 1, INT64_MAX, &o->limit, err);
    if (!s)
        s = cli_int(cli, "seed", 1, 0, INT64_MAX, &seed, err);
    if (!s)
        s = read_purpose(cli, o, purpose, err);
    if (s)
        return s;
    o->max_attempts = (int)max_attempts;
    o->in_flight = (int)in_flight;
    o->seed = (uint64_t)seed;
    o->retry_failed = cli_flag(cli, "retry-failed");
    o->allow_unpriced = cli_flag(cli, "allow-unpriced");
    o->simulator_url = cli_value(cli, "simulator");
    o->interrupted = &cli_interrupted;
    if (o->simulator_url && !text_starts(o->simulator_url, "http://") &&
        !text_starts(o->simulator_url, "https://"))
        return cli_usage(cli, err,
            "--simulator wants an address such as "
            "http://127.0.0.1:8400, not \"%s\"",
            o->simulator_url);
    return OK;
}

/* The recipe's cap, where the user gave none. */
static enum status recipe_cap(
    struct store *store, struct engine_options *o, struct error *err)
{
    struct recipe *recipe = NULL;
    int64_t n = 0;
    enum status s = store_int(store, 0, &n, err, "SELECT count(*) FROM recipe", "");
    if (s || !n || o->max_usd >= 0)
        return s;
    s = recipe_of_store(store, &recipe, err);
    if (!s)
        o->max_usd = recipe->plan.max_usd;
    recipe_free(recipe);
    return s;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct engine_options o;
    struct engine_result r = { 0 };
    struct store *store = NULL;
    const char *purpose = NULL;
    enum status s = read_options(cli, &o, &purpose, err);
    if (!s)
        s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (!s)
        s = recipe_cap(store, &o, err);
    if (s) {
        store_close(store);
        return s;
    }
    o.progress = cli_progress(cli, "collecting answers", 0);
    s = engine_run(store, &o, &r, err);
    progress_free(o.progress);
    store_close(store);
    if (s == OK || s == E_PARTIAL || s == E_INTERRUPTED) {
        struct error why = ERROR_INIT;
        enum status printed = OK;
        if (cli_flag(cli, "json"))
            printed = print_json(&r, &why);
        else
            print_summary(&r, cli_arg(cli, 0));
        if (printed)
            s = error_set(err, printed, "%s", why.msg);
    }
    engine_result_release(&r);
    return s;
}

const struct verb verb_collect = {
    .name = "collect",
    .stage = STAGE_COLLECT,
    .args = "STORE",
    .min_args = 1,
    .max_args = 1,
    .summary = "ask the planned calls that have no answer yet",
    .help =
        "Sends every planned call that has no answer yet and keeps what comes back: the\n"
        "answer, tokens, cost, times, and each failed attempt with its error. It may be\n"
        "stopped or killed at any moment: run it again and it goes on; what is answered\n"
        "is never asked twice. Ctrl-C finishes what is in flight, a second one does "
        "not.\n"
        "\n"
        "Keys come from the environment variables that the recipe names. A spending cap\n"
        "counts the whole store and is never passed: the most that a call can cost is\n"
        "reserved before it is sent. Every llm needs a price, unless you say otherwise.\n"
        "\n"
        "  m4a1 collect study.m4a1 --max-usd 20\n"
        "  m4a1 collect study.m4a1 --limit 5           a first look at five answers\n"
        "  m4a1 collect study.m4a1 --simulator http://127.0.0.1:8400   a rehearsal,\n"
        "                                    free of charge; its rows say simulated\n"
        "\n"
        "Exit status: 0 all calls have an answer, 3 some have none, 130 interrupted.\n",
    .options = options,
    .run = run,
};
