/* cmd_plan.c - m4a1 plan: draw sessions and write down every call before any is sent. */
#include <stdio.h>

#include "collectors/plan.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"

static const struct cli_option options[] = {
    { "sessions", "N", "sessions in all (default: the recipe's sessions.n)" },
    { "seed", "N", "another plan beside the recipe's (default: sessions.seed)" },
    { "fan-out", "N", "other actions asked each turn, or 'all' (default: plan.fan_out)" },
    { "dry-run", NULL, "count the calls and write nothing" },
    { "json", NULL, "the counts as JSON" },
    { NULL, NULL, NULL },
};

static enum status print_counts(
    const struct cli *cli, const struct plan_counts *c, struct error *err)
{
    if (cli_flag(cli, "json")) {
        struct json *j = json_new_object();
        json_set_int(j, "sessions", c->sessions);
        json_set_int(j, "sessions_before", c->sessions_before);
        json_set_int(j, "turns", c->turns);
        json_set_int(j, "scenes", c->scenes);
        json_set_int(j, "instants", c->instants);
        struct json *calls = json_set_object(j, "calls");
        json_set_int(calls, "path", c->path);
        json_set_int(calls, "fan_out", c->fan_out);
        json_set_int(calls, "reference", c->reference);
        json_set_bool(j, "written", !cli_flag(cli, "dry-run"));
        enum status s =
            json_size(calls) == 3 ? cli_print_json(j, err) : error_nomem(err, 64);
        json_free(j);
        return s;
    }
    if (!c->sessions) {
        printf("Nothing to add: the %lld sessions of this plan are there already.\n",
            (long long)c->sessions_before);
        return OK;
    }
    printf("%s %lld session%s with %lld turns over %lld scene%s (%lld instant%s):\n"
           "%lld calls = %lld along the paths + %lld fan-out + %lld references.\n",
        cli_flag(cli, "dry-run") ? "Would plan" : "Planned", (long long)c->sessions,
        c->sessions == 1 ? "" : "s", (long long)c->turns, (long long)c->scenes,
        c->scenes == 1 ? "" : "s", (long long)c->instants, c->instants == 1 ? "" : "s",
        (long long)(c->path + c->fan_out + c->reference), (long long)c->path,
        (long long)c->fan_out, (long long)c->reference);
    if (c->sessions_before)
        printf("%lld sessions were planned before.\n", (long long)c->sessions_before);
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct plan_options plan = { .fan_out = -2, .dry_run = cli_flag(cli, "dry-run") };
    struct plan_counts counts;
    enum status s = cli_int(cli, "sessions", -1, 0, 100000000, &plan.n_sessions, err);
    if (!s)
        s = cli_int(cli, "seed", -1, 0, INT64_MAX, &plan.seed, err);
    if (!s && text_equal(cli_value(cli, "fan-out"), "all"))
        plan.fan_out = -1;
    else if (!s)
        s = cli_int(cli, "fan-out", -2, 0, 1 << 20, &plan.fan_out, err);
    if (s)
        return s;
    struct store *store;
    s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (s)
        return s;
    plan.progress = cli_progress(cli, "planning sessions", 0);
    s = plan_make(store, &plan, &counts, err);
    progress_free(plan.progress);
    store_close(store);
    return s ? s : print_counts(cli, &counts, err);
}

const struct verb verb_plan = {
    .name = "plan",
    .stage = STAGE_COLLECT,
    .args = "STORE",
    .min_args = 1,
    .max_args = 1,
    .summary = "draw sessions and write down every call to be made",
    .help =
        "Draws sessions over the ingested scenes as the recipe says (or takes the "
        "scripted\n"
        "ones), and for every turn: the path action that continues the dialogue, chosen "
        "by\n"
        "the recipe's behaviour and stored with its probability; fan_out other actions "
        "with\n"
        "the same history; the reference's answer. Nothing is sent. Planning again adds\n"
        "only what is missing, so raise sessions.n (or --sessions) to extend a data "
        "set.\n\n"
        "  m4a1 plan study.m4a1 --dry-run        what would be asked\n"
        "  m4a1 plan study.m4a1                  write it down, then: m4a1 collect\n"
        "  m4a1 plan study.m4a1 --fan-out all    measure every action of every turn\n",
    .options = options,
    .run = run,
};
