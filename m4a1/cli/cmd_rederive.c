/* cmd_rederive.c - m4a1 rederive: today's parsers, prices and rules over stored answers. */
#include <stdio.h>
#include <string.h>

#include "annotate/refusal.h"
#include "annotate/scores.h"
#include "collectors/rederive.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/terminal.h"
#include "schema/query.h"
#include "schema/recipe.h"

#define MAX_PROBLEMS (1u << 20)

static const struct cli_option options[] = {
    { "prices", "FILE",
        "add the price rows of a recipe, or of a list of rows for llms of the store" },
    { "dry-run", NULL,
        "tell what differs and write nothing; exit 1 where something does" },
    { "json", NULL, "print it as JSON" },
    { NULL, NULL, NULL },
};

/* Costs before or after: the sum that is known, and answers without. */
struct costs {
    double usd;
    int64_t n_unknown;
};

struct outcome {
    struct rederive_result parsed;
    struct costs before, after;
    int64_t n_prices, n_refusals;
};

static enum status read_costs(struct store *store, struct costs *out, struct error *err)
{
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT total(cost_pusd / 1e12), coalesce(sum(cost_pusd IS NULL), 0)"
        " FROM response_cost WHERE attempt_id IS NOT NULL",
        &q, err);
    if (s)
        return s;
    query_bind(q, "");
    s = query_next(q, err);
    if (!s && query_has_row(q)) {
        out->usd = query_double(q, 0);
        out->n_unknown = query_int(q, 1);
    }
    query_close(q);
    return s;
}

static enum status add_prices(
    struct cli *cli, struct store *store, int64_t *n_added, struct error *err)
{
    const char *path = cli_value(cli, "prices");
    struct buffer problems;
    if (!path)
        return OK;
    buffer_init(&problems, MAX_PROBLEMS);
    enum status s = recipe_add_prices(store, path, n_added, &problems, err);
    if (s)
        terminal_print(stderr, buffer_str(&problems));
    buffer_release(&problems);
    return s;
}

static enum status derive(
    struct cli *cli, struct store *store, int dry, struct outcome *out, struct error *err)
{
    int64_t n_attempts = 0;
    enum status s =
        store_int(store, 0, &n_attempts, err, "SELECT count(*) FROM attempt", "");
    if (!s)
        s = read_costs(store, &out->before, err);
    if (!s && !dry)
        s = add_prices(cli, store, &out->n_prices, err);
    if (!s) {
        struct progress *p = cli_progress(cli, "reading answers anew", n_attempts);
        s = rederive(store, dry, p, &out->parsed, err);
        progress_free(p);
    }
    if (!s && !dry)
        s = scores_mark_refusals(store, &out->n_refusals, err);
    return s ? s : read_costs(store, &out->after, err);
}

static enum status print_json(const struct outcome *o, struct error *err)
{
    const struct rederive_result *r = &o->parsed;
    struct json *j = json_new_object();
    int ok = json_set_int(j, "attempts_read", r->n_read) &&
             json_set_int(j, "attempts_left_out", r->n_left) &&
             json_set_int(j, "differ", r->n_differ) &&
             json_set_int(j, "answers_gained", r->n_gained) &&
             json_set_int(j, "answers_lost", r->n_lost) &&
             json_set_int(j, "prices_added", o->n_prices) &&
             json_set_int(j, "refusals_marked", o->n_refusals) &&
             json_set_number(j, "cost_before_usd", o->before.usd) &&
             json_set_number(j, "cost_after_usd", o->after.usd) &&
             json_set_int(j, "cost_unknown_before", o->before.n_unknown) &&
             json_set_int(j, "cost_unknown_after", o->after.n_unknown);
    struct json *fields = json_set_object(j, "fields");
    ok = ok && fields;
    for (size_t i = 0; ok && i < N_REDERIVE_FIELDS; i++)
        if (r->fields[i])
            ok = json_set_int(fields, rederive_field_names[i], r->fields[i]) != NULL;
    enum status s = ok ? cli_print_json(j, err) : error_nomem(err, 1);
    json_free(j);
    return s;
}

static void print_people(const struct outcome *o, const char *path, int dry)
{
    const struct rederive_result *r = &o->parsed;
    char before[32], after[32];
    printf(
        "%lld stored attempts were read anew (%lld have no bytes, or a protocol unknown "
        "here): ",
        (long long)r->n_read, (long long)r->n_left);
    if (!r->n_differ)
        printf("today's parsers say the same of all.\n");
    else
        printf("%lld differ.\n", (long long)r->n_differ);
    for (size_t i = 0; i < N_REDERIVE_FIELDS; i++)
        if (r->fields[i])
            printf("  %-18s differs in %lld\n", rederive_field_names[i],
                (long long)r->fields[i]);
    if (r->n_gained || r->n_lost)
        printf("%lld failures would be answers today, %lld answers would be failures.\n",
            (long long)r->n_gained, (long long)r->n_lost);
    if (r->n_differ && !dry)
        printf("What was stored stays; today's reading is in the table rederived:\n"
               "  sqlite3 -readonly %s \"SELECT attempt_id, differs FROM rederived\"\n",
            path);
    if (dry)
        return;
    text_usd(o->before.usd, before, sizeof before);
    text_usd(o->after.usd, after, sizeof after);
    printf("%lld price rows were added: the answers cost %s (%lld unknown), before %s "
           "(%lld unknown).\n",
        (long long)o->n_prices, after, (long long)o->after.n_unknown, before,
        (long long)o->before.n_unknown);
    printf("%lld answers were marked by the refusal rule \"%s\".\n",
        (long long)o->n_refusals, REFUSAL_VERSION);
}

static enum status run(struct cli *cli, struct error *err)
{
    struct store *store = NULL;
    struct outcome outcome = { 0 };
    int dry = cli_flag(cli, "dry-run");
    if (dry && cli_value(cli, "prices"))
        return cli_usage(cli, err, "--prices adds rows; --dry-run writes none");
    enum status s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (!s)
        s = derive(cli, store, dry, &outcome, err);
    store_close(store);
    if (!s && cli_flag(cli, "json"))
        s = print_json(&outcome, err);
    else if (!s)
        print_people(&outcome, cli_arg(cli, 0), dry);
    return !s && dry && outcome.parsed.n_differ ? E_DATA : s;
}

const struct verb verb_rederive = {
    .name = "rederive",
    .stage = STAGE_CURATE,
    .args = "STORE",
    .min_args = 1,
    .max_args = 1,
    .summary =
        "read stored answers with today's parsers, prices and rules; sends nothing",
    .help =
        "A store keeps the bytes that servers sent. This verb parses them again with "
        "this\n"
        "version of m4a1, adds price rows, and marks answers by newer refusal rules. No\n"
        "request is sent and no answer changes: what is read differently today goes "
        "into\n"
        "the table rederived, with the version, and only the view rederived_answer uses\n"
        "it. Use it after an update, or when a price was missing or has changed.\n"
        "\n"
        "A price row that billed an answer keeps its figures; a new one with a date of\n"
        "its own re-prices the answers that were sent from that day on.\n"
        "\n"
        "  m4a1 rederive study.m4a1 --dry-run       what would differ\n"
        "  m4a1 rederive study.m4a1\n"
        "  m4a1 rederive study.m4a1 --prices november.json\n",
    .options = options,
    .run = run,
};
