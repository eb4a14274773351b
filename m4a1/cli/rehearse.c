/* rehearse.c - copy, simulator, and the estimate of the time that the real run takes. */
#include "m4a1/cli/rehearse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/collecting.h"
#include "m4a1/simulate/simulate.h"
#include "schema/llm.h"
#include "schema/recipe.h"

struct rehearsal {
    char *path, *keep; /* of the copy; keep NULL = it is removed */
    struct recipe *recipe;
    struct llm *llms; /* of the store, with their limits */
    size_t n_llms;
    struct simulator *simulator;
    double time_scale;
    int in_flight;
};

/* --- the copy --- */

static void remove_copy(const char *path)
{
    static const char *const tails[] = { "", "-wal", "-shm", ".lock" };
    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        char *file = text_format("%s%s", path, tails[i]);
        if (file)
            unlink(file);
        free(file);
    }
}

/* Without the minutes' limits a rehearsal at time scale 0 takes no minutes; they are
 * reckoned with afterwards. */
static enum status lift_limits(struct store *copy, struct error *err)
{
    struct llm *llms = NULL;
    size_t n = 0;
    enum status s = llm_load_all(copy, 0, &llms, &n, err);
    if (!s)
        s = store_begin(copy, err);
    for (size_t i = 0; i < n && !s; i++) {
        llms[i].rpm = llms[i].tpm = 0;
        s = llm_save(copy, &llms[i], err);
    }
    if (!s)
        s = store_commit(copy, err);
    if (s)
        store_rollback(copy);
    llm_free_all(llms, n);
    return s;
}

/* The simulator serves all llms of the store: calls may wait for some that the recipe
 * does not name any more. */
static enum status load_recipe(
    struct rehearsal *r, struct store *store, struct error *err)
{
    struct llm *all = NULL;
    size_t n = 0;
    enum status s = recipe_of_store(store, &r->recipe, err);
    if (!s)
        s = llm_load_all(store, 1, &all, &n, err);
    if (s)
        return s;
    llm_free_all(r->recipe->llms, r->recipe->n_llms);
    r->recipe->llms = all;
    r->recipe->n_llms = n;
    return llm_load_all(store, 1, &r->llms, &r->n_llms, err);
}

static enum status make_copy(struct rehearsal *r, const char *path, struct error *err)
{
    struct store *store = NULL;
    enum status s = store_open(path, STORE_READ, &store, err);
    if (!s)
        s = load_recipe(r, store, err);
    if (!s)
        s = store_backup(store, r->path, err);
    store_close(store);
    return s;
}

static enum status read_options(
    struct cli *cli, struct rehearsal *r, const char *path, struct error *err)
{
    const char *keep = cli_value(cli, "keep");
    enum status s = cli_double(cli, "time-scale", 0, 0, 1000, &r->time_scale, err);
    if (s)
        return s;
    if (cli_value(cli, "simulator"))
        return cli_usage(
            cli, err, "--rehearse starts its own simulator: leave --simulator out");
    if (keep && file_exists(keep))
        return error_set(
            err, E_ARG, "%s is there already: give --keep another name", keep);
    r->keep = keep ? text_copy(keep) : NULL;
    r->path = text_format("%s.rehearsal-%ld", keep ? keep : path, (long)getpid());
    return r->path && (r->keep || !keep) ? OK : error_nomem(err, strlen(path));
}

enum status rehearse_open(
    struct cli *cli, struct rehearsal **out, struct store **store, struct error *err)
{
    const char *path = cli_arg(cli, 0);
    *out = NULL;
    *store = NULL;
    if (!cli_flag(cli, "rehearse")) {
        if (cli_value(cli, "keep") || cli_value(cli, "time-scale"))
            return cli_usage(
                cli, err, "--keep and --time-scale are for --rehearse, which is missing");
        return store_open(path, STORE_WRITE, store, err);
    }
    struct rehearsal *r = calloc(1, sizeof *r);
    if (!r)
        return error_nomem(err, sizeof *r);
    enum status s = read_options(cli, r, path, err);
    if (!s)
        s = make_copy(r, path, err);
    if (!s)
        s = store_open(r->path, STORE_WRITE, store, err);
    if (!s && r->time_scale <= 0)
        s = lift_limits(*store, err);
    simulate_raise_limit();
    struct simulate_options simulate = {
        .recipe = r->recipe, .seed = 1, .time_scale = r->time_scale
    };
    if (!s)
        s = simulate_start(&simulate, &r->simulator, err);
    if (s) {
        store_close(*store);
        *store = NULL;
        return rehearse_close(r, s, err);
    }
    *out = r;
    return OK;
}

void rehearse_options(struct rehearsal *rehearsal, struct engine_options *o)
{
    if (!rehearsal)
        return;
    o->simulator_url = simulate_url(rehearsal->simulator);
    o->is_rehearsal = 1;
    o->grace_s = 0; /* nothing in flight is paid for */
    rehearsal->in_flight = o->timing == ENGINE_ISOLATED ? 1 : o->in_flight;
}

enum status rehearse_close(
    struct rehearsal *rehearsal, enum status status, struct error *err)
{
    struct rehearsal *r = rehearsal;
    int done = status == OK || status == E_PARTIAL || status == E_INTERRUPTED;
    if (!r)
        return status;
    simulate_stop(r->simulator);
    if (r->keep && done && rename(r->path, r->keep) != 0)
        status = error_errno(err, "cannot keep the copy as %s", r->keep);
    if (r->path)
        remove_copy(r->path);
    recipe_free(r->recipe);
    llm_free_all(r->llms, r->n_llms);
    free(r->path);
    free(r->keep);
    free(r);
    return status;
}

/* --- the time of the real run --- */

struct llm_time {
    double call_s; /* a call at the simulated latencies */
    double busy_s; /* all of the llm's, one after the other */
    double wall_s; /* with its slots, and within its limits a minute */
};

static const struct llm *find_llm(const struct rehearsal *r, const char *name)
{
    for (size_t i = 0; i < r->n_llms; i++)
        if (text_equal(r->llms[i].name, name))
            return &r->llms[i];
    return NULL;
}

/* stats counts by model, and several llms may have the same one. */
static struct llm_time time_of(
    const struct rehearsal *r, const struct engine_llm *l, const struct json *stats)
{
    struct llm_time t = { 0, 0, 0 };
    const struct llm *llm = find_llm(r, l->name);
    if (!llm)
        return t;
    const struct json *model = json_get(json_get(stats, "models"), llm->model);
    double n = json_number(json_get(model, "answered"), 0);
    if (n > 0)
        t.call_s = json_number(json_get(model, "answer_s"), 0) / n;
    t.busy_s = t.call_s * (double)l->n_answered;
    t.wall_s = t.busy_s / (llm->slots > 0 ? llm->slots : 1);
    if (llm->rpm > 0)
        t.wall_s = fmax(t.wall_s, 60 * (double)l->n_answered / (double)llm->rpm);
    if (llm->tpm > 0)
        t.wall_s = fmax(t.wall_s,
            60 * (double)(l->input_tokens + l->output_tokens) / (double)llm->tpm);
    return t;
}

/* llms work side by side, but no more calls at once than --in-flight; slowest is the
 * one that the others wait for, NULL where --in-flight is. */
static double total_s(const struct rehearsal *r, const struct engine_result *result,
    const struct json *stats, const char **slowest)
{
    double longest = 0, busy = 0;
    *slowest = NULL;
    for (size_t i = 0; i < result->n_llms; i++) {
        struct llm_time t = time_of(r, &result->llms[i], stats);
        busy += t.busy_s;
        if (t.wall_s > longest) {
            longest = t.wall_s;
            *slowest = result->llms[i].name;
        }
    }
    busy /= r->in_flight > 0 ? r->in_flight : 1;
    if (busy > longest)
        *slowest = NULL;
    return fmax(busy, longest);
}

/* --- output --- */

static void print_llms(const struct rehearsal *r, const struct engine_result *result,
    const struct json *stats)
{
    struct table *t = table_new(8);
    table_row(t, "llm", "calls", "failed", "tokens in", "tokens out", "cost", "s a call",
        "time");
    for (size_t i = 0; i < result->n_llms; i++) {
        const struct engine_llm *l = &result->llms[i];
        struct llm_time time = time_of(r, l, stats);
        char calls[24], failed[24], in[24], out[24], cost[40], call_s[24], took[32];
        snprintf(calls, sizeof calls, "%lld", (long long)l->n_answered);
        snprintf(failed, sizeof failed, "%lld", (long long)l->n_failed);
        snprintf(in, sizeof in, "%lld", (long long)l->input_tokens);
        snprintf(out, sizeof out, "%lld", (long long)l->output_tokens);
        if (l->n_cost_unknown)
            snprintf(cost, sizeof cost, "unknown");
        else
            text_usd((double)l->cost_pusd / 1e12, cost, sizeof cost);
        snprintf(call_s, sizeof call_s, "%.2f", time.call_s);
        table_row(t, l->name, calls, failed, in, out, cost, call_s,
            text_duration(time.wall_s, took, sizeof took));
    }
    table_print(t);
    table_free(t);
}

static void print_people(const struct rehearsal *r, const struct engine_result *result,
    const struct json *stats, const char *store_path)
{
    const char *slowest;
    double s = total_s(r, result, stats, &slowest), cost = 0;
    int64_t tokens = 0;
    char took[32], usd[40], wait[32];
    for (size_t i = 0; i < result->n_llms; i++) {
        cost += (double)result->llms[i].cost_pusd / 1e12;
        tokens += result->llms[i].input_tokens + result->llms[i].output_tokens;
    }
    printf("Rehearsed in a copy, with simulated answers; %s is as it was.\n", store_path);
    if (result->n_sent)
        print_llms(r, result, stats);
    printf("%lld of %lld calls have an answer in the copy, %lld of them from this "
           "rehearsal: %lld tokens,\n"
           "%s at the recipe's prices, about %s at the simulated latencies%s%s%s.\n",
        (long long)result->counts.n_done, (long long)result->counts.n_calls,
        (long long)result->n_answered, (long long)tokens, text_usd(cost, usd, sizeof usd),
        text_duration(s, took, sizeof took), slowest ? " (the others wait for " : "",
        slowest ? slowest : "", slowest ? ")" : "");
    printf("The rehearsal itself took %s.\n",
        text_duration((double)result->elapsed_ns / 1e9, wait, sizeof wait));
    if (result->limit_reached || result->deadline_reached || result->interrupted)
        printf("It ended early: the figures are of the calls that were sent.\n");
    if (result->cap_reached)
        printf("The spending cap would stop the real run before its end.\n");
    if (result->counts.n_failed)
        printf("%lld call%s failed for good, as refused prompts do.\n",
            (long long)result->counts.n_failed, text_s(result->counts.n_failed));
    if (result->n_unsendable)
        printf("%lld call%s cannot be sent; the first: %s\n",
            (long long)result->n_unsendable, text_s(result->n_unsendable),
            result->first_unsendable);
    for (size_t i = 0; i < result->n_llms; i++)
        if (result->llms[i].is_given_up)
            printf(
                "%s was left alone before its calls were done.\n", result->llms[i].name);
    if (r->keep)
        printf("The copy is kept: m4a1 status %s\n", r->keep);
    printf(
        "Judgements are not in it, since they are planned behind the answers: m4a1 plan "
        "--dry-run\nreckons with them.\n");
    printf("Latencies and lengths are made up (docs/simulator.md); m4a1 plan --dry-run\n"
           "reckons with what was measured.\n");
}

static enum status print_machine(const struct rehearsal *r,
    const struct engine_result *result, const struct json *stats, struct error *err)
{
    const char *slowest;
    struct json *root = json_new_object();
    enum status s = collecting_json(root, result, err);
    struct json *rehearsal = json_set_object(root, "rehearsal");
    json_set_number(rehearsal, "time_scale", r->time_scale);
    json_set_number(rehearsal, "hours", total_s(r, result, stats, &slowest) / 3600);
    struct json *llms = json_set_object(rehearsal, "llms");
    for (size_t i = 0; i < result->n_llms && !s; i++) {
        struct llm_time time = time_of(r, &result->llms[i], stats);
        struct json *j = json_set_object(llms, result->llms[i].name);
        json_set_number(j, "call_s", time.call_s);
        if (!json_set_number(j, "hours", time.wall_s / 3600))
            s = error_nomem(err, sizeof *result);
    }
    if (r->keep)
        json_set_text(rehearsal, "kept", r->keep);
    if (!s)
        s = cli_print_json(root, err);
    json_free(root);
    return s;
}

enum status rehearse_print(struct cli *cli, struct rehearsal *rehearsal,
    const struct engine_result *result, struct error *err)
{
    struct json *stats = NULL;
    enum status s = simulate_stats(rehearsal->simulator, &stats, err);
    if (!s && cli_flag(cli, "json"))
        s = print_machine(rehearsal, result, stats, err);
    else if (!s)
        print_people(rehearsal, result, stats, cli_arg(cli, 0));
    json_free(stats);
    return s;
}
