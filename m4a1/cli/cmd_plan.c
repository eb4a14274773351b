/* cmd_plan.c - m4a1 plan: write down every call before any is sent; draw sessions, fill
 * what is thin, or fan a new llm out over the histories that are there. */
#include <stdio.h>

#include "collectors/plan_add.h"
#include "collectors/plan_fill.h"
#include "export/json_keep.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/plan_policy.h"
#include "schema/recipe.h"

#define GAPS_SHOWN 12

static const struct cli_option options[] = {
    { "sessions", "N", "sessions in all (default: the recipe's sessions.n)" },
    { "seed", "N", "another plan beside the recipe's (default: sessions.seed)" },
    { "fan-out", "N", "other actions asked each turn, or 'all' (default: plan.fan_out)" },
    { "samples", "N", "how often each action is asked (default: plan.samples)" },
    { "behaviour", "B",
        "m4a1, uniform, balanced, policy or fixed (default: plan.behaviour)" },
    { "policy", "FILE", "the policy of --behaviour policy (default: plan.policy)" },
    { "epsilon", "X", "share of uniform choices beside it (default: plan.epsilon)" },
    { "greedy", NULL, "take the policy's best action, not its probabilities" },
    { "fill", NULL, "add calls and sessions until the minima of the recipe hold" },
    { "max-calls", "N", "with --fill: add at most N calls (default: no bound)" },
    { "max-usd", "X", "with --fill: expect at most so much for them (default: none)" },
    { "add-llm", "NAME", "ask this llm over the histories that are there" },
    { "anchors", "X",
        "with --add-llm: share of old answers asked again (default: plan.anchors)" },
    { "dry-run", NULL, "say what it would take and write nothing" },
    { "json", NULL, "the counts and the estimate as JSON" },
    { NULL, NULL, NULL },
};

/* ---- what it will take ---- */

static void set_estimate(
    struct json_keeper *k, struct json *root, const struct plan_estimate *e)
{
    struct json *j = json_keep(k, json_set_object(root, "estimate"));
    json_keep(k, json_set_int(j, "calls", e->calls));
    json_keep(k, json_set_int(j, "judgements", e->judgements));
    json_keep(k, json_set_number(j, "input_tokens", e->input_tokens));
    json_keep(k, json_set_number(j, "output_tokens", e->output_tokens));
    json_keep(k, json_set_number(j, "usd", e->usd));
    json_keep(k, json_set_number(j, "usd_low", e->usd_low));
    json_keep(k, json_set_number(j, "usd_high", e->usd_high));
    json_keep(k, json_set_number(j, "hours", e->hours));
    if (e->thinnest.wanted) {
        struct json *cell = json_keep(k, json_set_object(j, "thinnest_cell"));
        json_keep(k, json_set_text(cell, "cell", e->thinnest.what));
        json_keep(k, json_set_int(cell, "planned", e->thinnest.planned));
        json_keep(k, json_set_int(cell, "wanted", e->thinnest.wanted));
    }
    struct json *list = json_keep(k, json_set_array(j, "llms"));
    for (size_t i = 0; i < e->n_llms; i++) {
        const struct estimate_llm *l = &e->llms[i];
        if (!l->calls)
            continue;
        struct json *row = json_keep(k, json_add_object(list));
        json_keep(k, json_set_text(row, "llm", l->name));
        json_keep(k, json_set_text(row, "basis", estimate_basis_names[l->basis]));
        json_keep(k, json_set_int(row, "measured_answers", l->n_measured));
        json_keep(k, json_set_int(row, "calls", l->calls));
        json_keep(k, json_set_number(row, "input_tokens", l->input_tokens));
        json_keep(k, json_set_number(row, "output_tokens", l->output_tokens));
        json_keep_figure(k, row, "usd", l->is_priced ? l->usd : NAN);
        json_keep_figure(k, row, "usd_low", l->is_priced ? l->usd_low : NAN);
        json_keep_figure(k, row, "usd_high", l->is_priced ? l->usd_high : NAN);
        json_keep(k, json_set_number(row, "latency_s", l->latency_s));
        json_keep(k, json_set_number(row, "hours", l->hours));
    }
}

static void print_estimate_llms(const struct plan_estimate *e)
{
    struct table *t = table_new(7);
    table_row(t, "llm", "calls", "tokens in", "tokens out", "dollars", "hours", "basis");
    for (size_t i = 0; i < e->n_llms; i++) {
        const struct estimate_llm *l = &e->llms[i];
        char calls[32], in[32], out[32], usd[48] = "no price", hours[32], basis[64];
        char a[16], b[16];
        if (!l->calls)
            continue;
        snprintf(calls, sizeof calls, "%lld", (long long)l->calls);
        snprintf(in, sizeof in, "%.0f", l->input_tokens);
        snprintf(out, sizeof out, "%.0f", l->output_tokens);
        if (l->is_priced)
            snprintf(usd, sizeof usd, "%s to %s", text_usd(l->usd_low, a, sizeof a),
                text_usd(l->usd_high, b, sizeof b));
        snprintf(hours, sizeof hours, "%.2f", l->hours);
        if (l->basis == BASIS_GUESSED)
            snprintf(basis, sizeof basis, "guessed");
        else
            snprintf(basis, sizeof basis, "%lld answers%s", (long long)l->n_measured,
                l->basis == BASIS_SIMULATED ? ", simulated" : "");
        table_row(t, l->name, calls, in, out, usd, hours, basis);
    }
    table_print(t);
    table_free(t);
}

static void print_estimate(const struct plan_estimate *e)
{
    char usd[24], low[24], high[24], hours[32];
    if (!e->calls)
        return;
    printf("\nExpected: %lld calls and %lld judgements, %.0f tokens in and %.0f out,\n"
           "%s (%s to %s), about %s.\n",
        (long long)e->calls, (long long)e->judgements, e->input_tokens, e->output_tokens,
        text_usd(e->usd, usd, sizeof usd), text_usd(e->usd_low, low, sizeof low),
        text_usd(e->usd_high, high, sizeof high),
        text_duration(3600 * e->hours, hours, sizeof hours));
    print_estimate_llms(e);
    if (e->n_guessed)
        printf("%d llms have no answers yet: their figures are an estimate from lengths "
               "of\nprompts and the recipe's image_tokens.\n",
            e->n_guessed);
    if (e->n_simulated)
        printf("Of %d llms only simulated answers are there; real ones will differ.\n",
            e->n_simulated);
    if (e->n_unpriced)
        printf("%d llms have no price for today; their dollars are not counted.\n",
            e->n_unpriced);
    if (e->thinnest.wanted)
        printf("Thinnest cell: %s: %lld planned, %lld wanted%s.\n", e->thinnest.what,
            (long long)e->thinnest.planned, (long long)e->thinnest.wanted,
            e->thinnest.planned < e->thinnest.wanted ? " (m4a1 plan --fill adds to it)"
                                                     : " at least");
}

static void set_counts(struct json_keeper *k, struct json *j, const struct plan_counts *c)
{
    json_keep(k, json_set_int(j, "sessions", c->sessions));
    json_keep(k, json_set_int(j, "sessions_before", c->sessions_before));
    json_keep(k, json_set_int(j, "turns", c->turns));
    json_keep(k, json_set_int(j, "scenes", c->scenes));
    json_keep(k, json_set_int(j, "instants", c->instants));
    struct json *calls = json_keep(k, json_set_object(j, "calls"));
    json_keep(k, json_set_int(calls, "path", c->path));
    json_keep(k, json_set_int(calls, "fan_out", c->fan_out));
    json_keep(k, json_set_int(calls, "reference", c->reference));
    json_keep(k, json_set_int(calls, "check", c->check));
}

static enum status print_json(const struct cli *cli, struct json *j,
    struct json_keeper *k, const struct plan_estimate *e, struct error *err)
{
    set_estimate(k, j, e);
    json_keep(k, json_set_bool(j, "written", !cli_flag(cli, "dry-run")));
    enum status s = k->ok ? cli_print_json(j, err) : error_nomem(err, 64);
    json_free(j);
    return s;
}

/* ---- drawing sessions ---- */

static enum status print_drawn(const struct cli *cli, const struct plan_counts *c,
    const struct plan_estimate *e, struct error *err)
{
    if (cli_flag(cli, "json")) {
        struct json_keeper k = { 1 };
        struct json *j = json_keep(&k, json_new_object());
        set_counts(&k, j, c);
        return print_json(cli, j, &k, e, err);
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
    print_estimate(e);
    return OK;
}

static enum status read_options(
    struct cli *cli, struct plan_options *plan, struct error *err)
{
    enum status s = cli_int(cli, "sessions", -1, 0, 100000000, &plan->n_sessions, err);
    if (!s)
        s = cli_int(cli, "samples", 0, 1, 1000, &plan->samples, err);
    if (!s)
        s = cli_double(cli, "epsilon", -1, 0, 1, &plan->epsilon, err);
    plan->behaviour = cli_value(cli, "behaviour");
    plan->greedy = cli_flag(cli, "greedy") ? 1 : -1;
    plan->dry_run = cli_flag(cli, "dry-run");
    if (s || !plan->behaviour || behaviour_find(plan->behaviour))
        return s;
    const char *names[BEHAVIOUR_N];
    for (size_t i = 0; i < BEHAVIOUR_N; i++)
        names[i] = behaviours[i].name;
    const char *nearest = text_nearest(plan->behaviour, names, BEHAVIOUR_N);
    return cli_usage(cli, err,
        "--behaviour: there is no behaviour \"%s\"%s%s%s; there are m4a1, uniform, "
        "balanced, policy and fixed",
        plan->behaviour, nearest ? " (did you mean " : "", nearest ? nearest : "",
        nearest ? "?)" : "");
}

/* The policy file that the behaviour needs, from the command line or the recipe. */
static enum status open_policy(struct cli *cli, struct store *store,
    struct plan_options *plan, struct cli_policy **policy, struct plan_policy *out,
    struct error *err)
{
    struct recipe *recipe;
    enum status s = recipe_of_store(store, &recipe, err);
    if (s)
        return s;
    const char *file = cli_value(cli, "policy");
    if (file && !plan->behaviour)
        plan->behaviour = "policy";
    const char *behaviour = plan->behaviour ? plan->behaviour : recipe->plan.behaviour;
    if (!file)
        file = recipe->plan.policy;
    if (file && text_equal(behaviour, "policy")) {
        s = cli_policy_open(file, policy, out, err);
        plan->policy = out;
    }
    recipe_free(recipe);
    return s;
}

static enum status draw_sessions(struct cli *cli, struct store *store, int64_t seed,
    int64_t fan_out, struct error *err)
{
    struct plan_options plan = plan_options_init();
    struct plan_estimate estimate = { 0 };
    struct plan_counts counts;
    struct plan_policy weighs;
    struct cli_policy *policy = NULL;
    plan.seed = seed;
    plan.fan_out = fan_out;
    plan.estimate = &estimate;
    enum status s = read_options(cli, &plan, err);
    if (!s)
        s = open_policy(cli, store, &plan, &policy, &weighs, err);
    if (!s) {
        plan.progress = cli_progress(cli, "planning sessions", 0);
        s = plan_make(store, &plan, &counts, err);
        progress_free(plan.progress);
    }
    if (!s)
        s = print_drawn(cli, &counts, &estimate, err);
    plan_estimate_release(&estimate);
    cli_policy_free(policy);
    return s;
}

/* ---- filling ---- */

static void set_gaps(
    struct json_keeper *k, struct json *root, const struct fill_result *r)
{
    struct json *thin = json_keep(k, json_set_array(root, "thin_cells"));
    for (int i = 0; i < N_CELL_KINDS; i++) {
        struct json *row = json_keep(k, json_add_object(thin));
        json_keep(k, json_set_text(row, "kind", cell_kind_names[i]));
        json_keep_count(k, row, "before", r->thin_before[i]);
        json_keep_count(k, row, "after", r->thin_after[i]);
    }
    struct json *gaps = json_keep(k, json_set_array(root, "not_filled"));
    for (size_t i = 0; i < r->n_gaps; i++) {
        struct json *row = json_keep(k, json_add_object(gaps));
        json_keep(k, json_set_text(row, "kind", cell_kind_names[r->gaps[i].key.kind]));
        json_keep(k, json_set_text(row, "cell", r->gaps[i].what));
        json_keep(k, json_set_int(row, "lacks", r->gaps[i].lacks));
        json_keep(k, json_set_text(row, "why", r->gaps[i].why));
    }
}

static void print_filled(
    const struct cli *cli, const struct fill_result *r, const struct plan_estimate *e)
{
    const struct plan_counts *c = &r->counts;
    long long calls = (long long)(c->path + c->fan_out + c->reference);
    if (!calls && !r->n_gaps) {
        printf(
            "Nothing to fill: every minimum of the recipe holds for what is planned.\n");
        return;
    }
    printf("%s %lld calls: %lld fan-out calls, and %lld new sessions with %lld turns "
           "and %lld references.\n",
        cli_flag(cli, "dry-run") ? "Would add" : "Added", calls, (long long)c->fan_out,
        (long long)c->sessions, (long long)c->turns, (long long)c->reference);
    for (int i = 0; i < N_CELL_KINDS; i++)
        printf("  %-7s cells below their minimum: %zu before, %zu with what is planned\n",
            cell_kind_names[i], r->thin_before[i], r->thin_after[i]);
    if (r->budget_reached)
        printf("The budget is reached; raise --max-calls or --max-usd to go on.\n");
    if (r->n_gaps)
        printf("%zu cells stay thin:\n", r->n_gaps);
    for (size_t i = 0; i < r->n_gaps && i < GAPS_SHOWN; i++)
        printf("  %s: %lld missing, as %s\n", r->gaps[i].what,
            (long long)r->gaps[i].lacks, r->gaps[i].why);
    if (r->n_gaps > GAPS_SHOWN)
        printf("  and %zu more (--json lists all)\n", r->n_gaps - GAPS_SHOWN);
    print_estimate(e);
}

static enum status fill(
    struct cli *cli, struct store *store, int64_t seed, struct error *err)
{
    struct plan_estimate estimate = { 0 };
    struct fill_options o = { .seed = seed, .estimate = &estimate };
    struct fill_result r = { 0 };
    enum status s = cli_int(cli, "max-calls", -1, 0, 100000000, &o.max_calls, err);
    if (!s)
        s = cli_double(cli, "max-usd", -1, 0, 1e6, &o.max_usd, err);
    if (s)
        return s;
    o.dry_run = cli_flag(cli, "dry-run");
    o.progress = cli_progress(cli, "filling cells", 0);
    s = plan_fill(store, &o, &r, err);
    progress_free(o.progress);
    if (!s && cli_flag(cli, "json")) {
        struct json_keeper k = { 1 };
        struct json *j = json_keep(&k, json_new_object());
        set_counts(&k, j, &r.counts);
        set_gaps(&k, j, &r);
        json_keep(&k, json_set_bool(j, "budget_reached", r.budget_reached));
        s = print_json(cli, j, &k, &estimate, err);
    } else if (!s) {
        print_filled(cli, &r, &estimate);
    }
    plan_estimate_release(&estimate);
    fill_result_release(&r);
    return s;
}

/* ---- a new llm ---- */

static void print_added(const struct cli *cli, const struct add_options *o,
    const struct add_result *r, const struct plan_estimate *e)
{
    const struct plan_counts *c = &r->counts;
    if (!(c->fan_out + c->reference + c->check)) {
        printf("Nothing to add: llm %s is planned for all %lld turns already.\n", o->llm,
            (long long)r->n_turns);
        return;
    }
    printf("%s %lld calls of llm %s over %lld turns that are there, and %lld anchors: "
           "old\ncalls asked again, of %lld answers.\n",
        cli_flag(cli, "dry-run") ? "Would add" : "Added",
        (long long)(c->fan_out + c->reference), o->llm, (long long)r->n_turns,
        (long long)c->check, (long long)r->n_old_answers);
    if (r->n_without_action)
        printf("In %lld turns it can take no action: it accepts fewer images than the "
               "dialogue holds.\n",
            (long long)r->n_without_action);
    if (c->check)
        printf(
            "When they are collected, m4a1 stats drift tells what changed in between.\n");
    print_estimate(e);
}

static enum status add_llm(struct cli *cli, struct store *store, int64_t seed,
    int64_t fan_out, struct error *err)
{
    struct plan_estimate estimate = { 0 };
    struct add_options o = { .llm = cli_value(cli, "add-llm"),
        .fan_out = fan_out,
        .seed = seed,
        .dry_run = cli_flag(cli, "dry-run"),
        .estimate = &estimate };
    struct add_result r;
    enum status s = cli_double(cli, "anchors", -1, 0, 1, &o.anchors, err);
    if (s)
        return s;
    o.progress = cli_progress(cli, "adding calls", 0);
    s = plan_add_llm(store, &o, &r, err);
    progress_free(o.progress);
    if (!s && cli_flag(cli, "json")) {
        struct json_keeper k = { 1 };
        struct json *j = json_keep(&k, json_new_object());
        set_counts(&k, j, &r.counts);
        json_keep(&k, json_set_int(j, "turns_there", r.n_turns));
        json_keep(&k, json_set_int(j, "turns_without_action", r.n_without_action));
        json_keep(&k, json_set_int(j, "old_answers", r.n_old_answers));
        s = print_json(cli, j, &k, &estimate, err);
    } else if (!s) {
        print_added(cli, &o, &r, &estimate);
    }
    plan_estimate_release(&estimate);
    return s;
}

/* ---- the verb ---- */

/* Options that belong to another way of planning than the one asked for. */
static enum status check_mode(struct cli *cli, struct error *err)
{
    static const char *const drawing[] = { "sessions", "samples", "behaviour", "policy",
        "epsilon" };
    static const char *const filling[] = { "max-calls", "max-usd" };
    int fills = cli_flag(cli, "fill"), adds = cli_value(cli, "add-llm") != NULL;
    if (fills && adds)
        return cli_usage(cli, err,
            "--fill and --add-llm are two plans; make one, then "
            "the other");
    for (size_t i = 0; i < COUNT_OF(drawing); i++)
        if ((fills || adds) && cli_value(cli, drawing[i]))
            return cli_usage(cli, err, "--%s is for drawing sessions, without %s",
                drawing[i], fills ? "--fill" : "--add-llm");
    for (size_t i = 0; i < COUNT_OF(filling); i++)
        if (!fills && cli_value(cli, filling[i]))
            return cli_usage(cli, err, "--%s belongs to --fill%s", filling[i],
                i ? "; m4a1 collect has a spending cap of its own" : "");
    if (!adds && cli_value(cli, "anchors"))
        return cli_usage(cli, err, "--anchors belongs to --add-llm");
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    int64_t seed = -1, fan_out = -2;
    enum status s = check_mode(cli, err);
    if (!s)
        s = cli_int(cli, "seed", -1, 0, INT64_MAX, &seed, err);
    if (!s && text_equal(cli_value(cli, "fan-out"), "all"))
        fan_out = -1;
    else if (!s)
        s = cli_int(cli, "fan-out", -2, 0, 1 << 20, &fan_out, err);
    if (s)
        return s;
    struct store *store;
    s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (s)
        return s;
    if (cli_flag(cli, "fill"))
        s = fill(cli, store, seed, err);
    else if (cli_value(cli, "add-llm"))
        s = add_llm(cli, store, seed, fan_out, err);
    else
        s = draw_sessions(cli, store, seed, fan_out, err);
    store_close(store);
    return s;
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
        "a behaviour and stored with its probability; fan_out other actions with the "
        "same\n"
        "history; the reference's answer. Nothing is sent. Planning again adds only what "
        "is\n"
        "missing, so raise sessions.n (or --sessions) to extend a data set. It tells "
        "what\n"
        "the calls will take: tokens, dollars with a range, hours.\n\n"
        "--fill adds fan-out calls and aimed sessions where cells of the state-action "
        "space\n"
        "are below the minima of the recipe (m4a1 stats coverage shows them). --add-llm "
        "asks\n"
        "a new llm of the recipe over the histories that are there, and asks a sample "
        "of\n"
        "old calls again (m4a1 stats drift compares them).\n\n"
        "  m4a1 plan study.m4a1 --dry-run        what would be asked, at what price\n"
        "  m4a1 plan study.m4a1                  write it down, then: m4a1 collect\n"
        "  m4a1 plan study.m4a1 --fan-out all    measure every action of every turn\n"
        "  m4a1 plan study.m4a1 --sessions 200 --policy a2c.json --epsilon 0.1\n"
        "  m4a1 plan study.m4a1 --fill --max-calls 500\n"
        "  m4a1 plan study.m4a1 --add-llm gemini --anchors 0.05\n",
    .options = options,
    .run = run,
};
