/* collecting.c - options and summaries of the verbs that send calls. */
#include "m4a1/cli/collecting.h"

#include <stdio.h>
#include <string.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/timespan.h"
#include "schema/llm.h"
#include "schema/query.h"
#include "schema/recipe.h"

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
             json_set_bool(j, "left_alone", l->is_given_up) &&
             json_set_bool(j, "cap_reached", l->is_capped);
    struct json *slots = json_set_object(j, "at_once");
    ok = ok && json_set_int(slots, "ceiling", l->slots) &&
         json_set_int(slots, "now", l->slots_now) &&
         json_set_int(slots, "least", l->slots_least);
    if (ok && l->n_answered)
        ok = json_set_number(j, "mean_latency_s", mean_latency_s(l)) != NULL;
    return ok;
}

enum status collecting_json(
    struct json *j, const struct engine_result *r, struct error *err)
{
    int ok = json_set_int(j, "attempts", r->n_sent) &&
             json_set_int(j, "answered", r->n_answered) &&
             json_set_int(j, "attempts_failed", r->n_attempts_failed) &&
             json_set_int(j, "recovered", r->n_recovered) &&
             json_set_int(j, "taken_in", r->n_taken_in) &&
             json_set_int(j, "unsendable", r->n_unsendable) &&
             json_set_bool(j, "cap_reached", r->cap_reached) &&
             json_set_bool(j, "limit_reached", r->limit_reached) &&
             json_set_bool(j, "deadline_reached", r->deadline_reached) &&
             json_set_bool(j, "interrupted", r->interrupted) &&
             json_set_number(j, "known_usd", usd(r->known_pusd)) &&
             json_set_number(j, "counted_usd", usd(r->counted_pusd)) &&
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
    return ok ? OK : error_nomem(err, sizeof *r);
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

static void print_remarks(const struct engine_result *r, const struct engine_options *o,
    const char *verb, const char *path)
{
    char cap[32];
    if (r->cap_reached)
        printf("The cap of %s is reached: what the next call may cost does not fit under "
               "it.\n"
               "Go on with a higher one: m4a1 %s %s --max-usd X\n",
            text_usd(o->max_usd, cap, sizeof cap), verb, path);
    for (size_t i = 0; i < r->n_llms; i++) {
        const struct engine_llm *l = &r->llms[i];
        if (l->is_capped && !r->cap_reached)
            printf("%s: its own cap is reached; raise limits.max_usd in the recipe.\n",
                l->name);
        if (l->slots_least < l->slots)
            printf(
                "%s turned calls away: of %d at once as few as %d were sent, %d at the "
                "end.\n",
                l->name, l->slots, l->slots_least, l->slots_now);
    }
    if (r->deadline_reached)
        printf("Stopped in time for the deadline.\n");
    if (r->limit_reached)
        printf("Stopped at --limit.\n");
    for (size_t i = 0; i < r->n_llms; i++)
        if (r->llms[i].is_given_up)
            printf("%s was left alone, its calls stay open: %s\n", r->llms[i].name,
                r->llms[i].last_error);
    if (r->n_unsendable)
        printf("%lld call%s cannot be sent; the first: %s\n", (long long)r->n_unsendable,
            text_s(r->n_unsendable), r->first_unsendable);
    if (r->counts.n_failed)
        printf(
            "%lld call%s failed for good: m4a1 status %s tells why; --retry-failed asks "
            "again.\n",
            (long long)r->counts.n_failed, text_s(r->counts.n_failed), path);
    if (r->counts.n_ready && !r->cap_reached)
        printf("Run m4a1 %s %s%s%s again to go on.\n", verb, path,
            o->simulator_url ? " --simulator " : "",
            o->simulator_url ? o->simulator_url : "");
}

/* "cost $1.54, and up to $0.81 for requests whose cost is not known" */
static void print_money(const struct engine_result *r)
{
    char known[32], more[32];
    printf("the store has cost %s", text_usd(usd(r->known_pusd), known, sizeof known));
    if (r->counted_pusd > r->known_pusd)
        printf(", and up to %s for requests whose cost is not known",
            text_usd(usd(r->counted_pusd - r->known_pusd), more, sizeof more));
    printf(".\n");
}

void collecting_print(const struct engine_result *r, const struct engine_options *o,
    const char *verb, const char *path)
{
    char took[32];
    if (r->n_taken_in)
        printf(
            "%lld answers that an earlier run had kept beside the full store were taken "
            "in.\n",
            (long long)r->n_taken_in);
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
        printf("%lld of %lld calls have an answer; %lld attempts in %s; ",
            (long long)r->counts.n_done, (long long)r->counts.n_calls,
            (long long)r->n_sent,
            text_duration((double)r->elapsed_ns / 1e9, took, sizeof took));
        print_money(r);
    }
    print_remarks(r, o, verb, path);
}

/* ---- options -------------------------------------------------------------------- */

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

static enum status read_deadline(
    struct cli *cli, struct engine_options *o, struct error *err)
{
    const char *until = cli_value(cli, "until"), *length = cli_value(cli, "for");
    int64_t now_ms = clock_wall_ms(), ms = 0;
    if (until && length)
        return cli_usage(cli, err, "give --until or --for, not both");
    if (until && !timespan_until(until, now_ms, &o->until_ms))
        return cli_usage(cli, err,
            "--until wants a time like 07:30 (the next one here) or 2026-11-23T07:30Z, "
            "not "
            "\"%s\"",
            until);
    if (until && o->until_ms <= now_ms)
        return cli_usage(cli, err, "--until: %s is over already", until);
    if (until && o->until_ms - now_ms > TIMESPAN_LONGEST_MS)
        return cli_usage(cli, err, "--until: %s is more than a year away", until);
    if (length && !timespan_length(length, &ms))
        return cli_usage(cli, err,
            "--for wants a length of time like 8h, 90m, 1h30m or 45s, not \"%s\"",
            length);
    if (length)
        o->until_ms = now_ms + ms;
    return OK;
}

/* "--llm a,b": the llms' ids. */
static enum status read_llms(
    struct cli *cli, struct store *store, struct engine_options *o, struct error *err)
{
    const char *names = cli_value(cli, "llm");
    struct llm *llms = NULL;
    size_t n_llms = 0;
    enum status s = names ? llm_load_all(store, 1, &llms, &n_llms, err) : OK;
    for (const char *name = names; !s && name;) {
        size_t len = strcspn(name, ","), i = 0;
        while (i < n_llms &&
               (strlen(llms[i].name) != len || strncmp(llms[i].name, name, len) != 0))
            i++;
        if (i == n_llms)
            s = cli_usage(
                cli, err, "--llm: the store has no llm \"%.*s\"", (int)len, name);
        else if (o->n_llm_ids == ENGINE_MAX_CHOSEN)
            s = cli_usage(cli, err, "--llm takes at most %d names", ENGINE_MAX_CHOSEN);
        else
            o->llm_ids[o->n_llm_ids++] = llms[i].llm_id;
        name = name[len] ? name + len + 1 : NULL;
    }
    llm_free_all(llms, n_llms);
    return s;
}

enum status collecting_options(
    struct cli *cli, struct store *store, struct engine_options *o, struct error *err)
{
    int64_t max_attempts = 0, in_flight = 0, seed = 0;
    double grace_s = 0;
    engine_options_init(o);
    enum status s = cli_double(cli, "max-usd", -1, 0, 1e6, &o->max_usd, err);
    if (!s)
        s = cli_int(cli, "max-attempts", 0, 1, 1000, &max_attempts, err);
    if (!s)
        s = cli_int(cli, "in-flight", o->in_flight, 1, 1000, &in_flight, err);
    if (!s)
        s = cli_int(cli, "seed", 1, 0, INT64_MAX, &seed, err);
    if (!s)
        s = cli_double(cli, "grace", o->grace_s, 0, 86400, &grace_s, err);
    if (!s)
        s = read_deadline(cli, o, err);
    if (!s)
        s = read_llms(cli, store, o, err);
    if (s)
        return s;
    o->grace_s = grace_s;
    o->max_attempts = (int)max_attempts;
    o->in_flight = (int)in_flight;
    o->seed = (uint64_t)seed;
    o->retry_failed = cli_flag(cli, "retry-failed");
    o->allow_unpriced = cli_flag(cli, "allow-unpriced");
    o->simulator_url = cli_value(cli, "simulator");
    o->interrupted = &cli_interrupted;
    cli_catch_interrupts();
    /* A simulator is near: whether it is there shows at once. */
    static const struct pace_rules near = { 5, 200000000, 1000000000, 4, 0 };
    if (o->simulator_url)
        o->pace_rules = &near;
    if (o->simulator_url && !text_starts(o->simulator_url, "http://") &&
        !text_starts(o->simulator_url, "https://"))
        return cli_usage(cli, err,
            "--simulator wants an address such as http://127.0.0.1:8089, not \"%s\"",
            o->simulator_url);
    return recipe_cap(store, o, err);
}
