/* cmd_plan.c - m4a1 plan: write down every call before any is sent; draw sessions, fill
 * what is thin, or fan a new llm out over the histories that are there. */
#include <stdio.h>

#include "collectors/plan_add.h"
#include "collectors/plan_fill.h"
#include "collectors/plan_undo.h"
#include "export/json_keep.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/plan_policy.h"
#include "m4a1/cli/plan_tell.h"
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
    { "undo", NULL, "drop what was never attempted, of the last plan" },
    { "llm", "NAME", "with --undo: of this llm instead, in all plans" },
    { "dry-run", NULL, "say what it would take and write nothing" },
    { "json", NULL, "the counts and the estimate as JSON" },
    { NULL, NULL, NULL },
};

static enum status print_json(const struct cli *cli, struct json *j,
    struct json_keeper *k, const struct plan_estimate *e, struct error *err)
{
    plan_set_estimate(k, j, e);
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
        plan_set_counts(&k, j, c);
        return print_json(cli, j, &k, e, err);
    }
    if (!c->sessions) {
        printf("Nothing to add: the %lld session%s of this plan %s there already.\n",
            (long long)c->sessions_before, text_s(c->sessions_before),
            c->sessions_before == 1 ? "is" : "are");
        return OK;
    }
    long long calls = (long long)(c->path + c->fan_out + c->reference);
    printf("%s %lld session%s with %lld turn%s over %lld scene%s (%lld instant%s):\n"
           "%lld call%s = %lld along the paths + %lld fan-out + %lld reference%s.\n",
        cli_flag(cli, "dry-run") ? "Would plan" : "Planned", (long long)c->sessions,
        text_s(c->sessions), (long long)c->turns, text_s(c->turns), (long long)c->scenes,
        text_s(c->scenes), (long long)c->instants, text_s(c->instants), calls,
        text_s(calls), (long long)c->path, (long long)c->fan_out, (long long)c->reference,
        text_s(c->reference));
    if (c->sessions_before)
        printf("%lld session%s %s planned before.\n", (long long)c->sessions_before,
            text_s(c->sessions_before), c->sessions_before == 1 ? "was" : "were");
    plan_print_estimate(e, 1);
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
        json_keep(k, json_set_int(row, "missing_before", r->missing_before[i]));
        json_keep(k, json_set_int(row, "missing_after", r->missing_after[i]));
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
    printf("%s %lld call%s: %lld fan-out call%s, and %lld new session%s with %lld turn%s "
           "and %lld reference%s.\n",
        cli_flag(cli, "dry-run") ? "Would add" : "Added", calls, text_s(calls),
        (long long)c->fan_out, text_s(c->fan_out), (long long)c->sessions,
        text_s(c->sessions), (long long)c->turns, text_s(c->turns),
        (long long)c->reference, text_s(c->reference));
    for (int i = 0; i < N_CELL_KINDS; i++)
        printf("  %-7s cells below their minimum: %zu before, %zu with what is planned; "
               "%s missing: %lld before, %lld after\n",
            cell_kind_names[i], r->thin_before[i], r->thin_after[i],
            i == CELL_STATE ? "actions" : "answers", (long long)r->missing_before[i],
            (long long)r->missing_after[i]);
    if (r->budget_reached)
        printf("The budget is reached; raise --max-calls or --max-usd to go on.\n");
    if (r->n_gaps)
        printf("%zu cell%s stay%s thin, the thinnest first:\n", r->n_gaps,
            text_s((int64_t)r->n_gaps), r->n_gaps == 1 ? "s" : "");
    for (size_t i = 0; i < r->n_gaps && i < GAPS_SHOWN; i++)
        printf("  %s: %lld missing, as %s\n", r->gaps[i].what,
            (long long)r->gaps[i].lacks, r->gaps[i].why);
    if (r->n_gaps > GAPS_SHOWN)
        printf("  and %zu more (--json lists all)\n", r->n_gaps - GAPS_SHOWN);
    plan_print_estimate(e, !r->n_gaps);
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
        plan_set_counts(&k, j, &r.counts);
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
    long long calls = (long long)(c->fan_out + c->reference);
    printf("%s %lld call%s of llm %s over %lld turn%s that %s there, and %lld anchor%s: "
           "old\ncalls asked again, of %lld answer%s.\n",
        cli_flag(cli, "dry-run") ? "Would add" : "Added", calls, text_s(calls), o->llm,
        (long long)r->n_turns, text_s(r->n_turns), r->n_turns == 1 ? "is" : "are",
        (long long)c->check, text_s(c->check), (long long)r->n_old_answers,
        text_s(r->n_old_answers));
    if (r->n_without_action)
        printf("In %lld turn%s it can take no action: it accepts fewer images than the "
               "dialogue holds.\n",
            (long long)r->n_without_action, text_s(r->n_without_action));
    if (c->check)
        printf(
            "When they are collected, m4a1 stats drift tells what changed in between.\n");
    plan_print_estimate(e, 1);
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
        plan_set_counts(&k, j, &r.counts);
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

/* ---- taking back ---- */

static void print_undone(const struct cli *cli, const struct undo_result *r)
{
    const char *llm = cli_value(cli, "llm");
    const char *store = cli_arg(cli, 0);
    long long calls =
        (long long)(r->path + r->fan_out + r->reference + r->check + r->judge);
    char what[200];
    snprintf(what, sizeof what, llm ? "llm %.100s" : "the last plan (%.100s)",
        llm ? llm : r->behaviour);
    if (!calls)
        printf("Nothing to drop: no call of %s can go.\n", what);
    else
        printf("%s %lld call%s of %s, none of them ever attempted: %lld along the paths, "
               "%lld fan-out,\n%lld reference%s, %lld anchor%s; with them %lld turn%s, "
               "%lld session%s and %lld plan%s that are empty now.\n",
            cli_flag(cli, "dry-run") ? "Would drop" : "Dropped", calls, text_s(calls),
            what, (long long)r->path, (long long)r->fan_out, (long long)r->reference,
            text_s(r->reference), (long long)r->check, text_s(r->check),
            (long long)r->turns, text_s(r->turns), (long long)r->sessions,
            text_s(r->sessions), (long long)r->plans, text_s(r->plans));
    if (llm && r->path)
        printf(
            "A path call takes its turn and all later ones along, so calls of other llms "
            "are among them.\n");
    if (r->shortened)
        printf("%lld session%s lost %s last turns; what was answered of %s stays.\n",
            (long long)r->shortened, text_s(r->shortened),
            r->shortened == 1 ? "its" : "their", r->shortened == 1 ? "it" : "them");
    if (r->attempted)
        printf("%lld call%s stay%s: attempted calls are never dropped.\n",
            (long long)r->attempted, text_s(r->attempted), r->attempted == 1 ? "s" : "");
    if (r->kept)
        printf("%lld more stay%s, as calls that were attempted, or a frozen split, need "
               "%s.\n",
            (long long)r->kept, r->kept == 1 ? "s" : "", r->kept == 1 ? "it" : "them");
    if (llm && calls && !r->attempted && !r->kept && !cli_flag(cli, "dry-run"))
        printf(
            "llm %s is not used any more: m4a1 init %s --recipe FILE may change it, and "
            "m4a1 plan %s fills the gaps.\n",
            llm, store, store);
}

static enum status undo(struct cli *cli, struct store *store, struct error *err)
{
    struct undo_options o = { cli_value(cli, "llm"), cli_flag(cli, "dry-run") };
    struct undo_result r;
    enum status s = plan_undo(store, &o, &r, err);
    if (!s && cli_flag(cli, "json")) {
        struct json_keeper k = { 1 };
        struct json *j = json_keep(&k, json_new_object());
        const struct {
            const char *key;
            int64_t n;
        } counts[] = { { "path", r.path }, { "fan_out", r.fan_out },
            { "reference", r.reference }, { "check", r.check }, { "judge", r.judge },
            { "turns", r.turns }, { "sessions", r.sessions }, { "plans", r.plans },
            { "sessions_shortened", r.shortened }, { "attempted", r.attempted },
            { "kept_for_attempted", r.kept } };
        for (size_t i = 0; i < COUNT_OF(counts); i++)
            json_keep(&k, json_set_int(j, counts[i].key, counts[i].n));
        json_keep(&k, json_set_bool(j, "written", !o.dry_run));
        s = k.ok ? cli_print_json(j, err) : error_nomem(err, 64);
        json_free(j);
    } else if (!s) {
        print_undone(cli, &r);
    }
    return s;
}

/* ---- the verb ---- */

/* An option, and the ways of planning that it belongs to. */
enum way { DRAWING = 1, FILLING = 2, ADDING = 4, UNDOING = 8 };
static const struct {
    const char *name;
    int ways;
} belongs[] = {
    { "sessions", DRAWING },
    { "samples", DRAWING },
    { "behaviour", DRAWING },
    { "policy", DRAWING },
    { "epsilon", DRAWING },
    { "greedy", DRAWING },
    { "fan-out", DRAWING | ADDING },
    { "seed", DRAWING | ADDING | FILLING },
    { "max-calls", FILLING },
    { "max-usd", FILLING },
    { "anchors", ADDING },
    { "llm", UNDOING },
};

static const char *name_of(int way)
{
    return way == FILLING ? "--fill" : way == ADDING ? "--add-llm" : "--undo";
}

/* An option of another way of planning than the one asked for is refused, not ignored. */
static enum status check_way(struct cli *cli, int *way, struct error *err)
{
    int ways = (cli_flag(cli, "fill") ? FILLING : 0) |
               (cli_value(cli, "add-llm") ? ADDING : 0) |
               (cli_flag(cli, "undo") ? UNDOING : 0);
    *way = ways ? ways : DRAWING;
    if (ways & (ways - 1))
        return cli_usage(cli, err,
            "--fill, --add-llm and --undo are plans of their own; make one, then the "
            "other");
    for (size_t i = 0; i < COUNT_OF(belongs); i++) {
        const char *name = belongs[i].name;
        if (belongs[i].ways & *way || !(cli_value(cli, name) || cli_flag(cli, name)))
            continue;
        if (belongs[i].ways & DRAWING)
            return cli_usage(cli, err,
                "--%s does nothing with %s: it is for drawing sessions%s", name,
                name_of(*way), belongs[i].ways & ADDING ? " and for --add-llm" : "");
        return cli_usage(cli, err, "--%s belongs to %s%s", name, name_of(belongs[i].ways),
            text_equal(name, "max-usd") ? "; m4a1 collect has a spending cap of its own"
                                        : "");
    }
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    int64_t seed = -1, fan_out = -2;
    int way;
    enum status s = check_way(cli, &way, err);
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
    if (way == UNDOING)
        s = undo(cli, store, err);
    else if (way == FILLING)
        s = fill(cli, store, seed, err);
    else if (way == ADDING)
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
        "--undo drops the calls of the last plan (or of one llm, --llm NAME) that were "
        "never\n"
        "attempted, and sessions and plans that are empty then; it sends nothing. An llm "
        "that\n"
        "no call is left of can be changed in the recipe under its name.\n\n"
        "  m4a1 plan study.m4a1 --dry-run        what would be asked, at what price\n"
        "  m4a1 plan study.m4a1                  write it down, then: m4a1 collect\n"
        "  m4a1 plan study.m4a1 --fan-out all    measure every action of every turn\n"
        "  m4a1 plan study.m4a1 --sessions 200 --policy a2c.json --epsilon 0.1\n"
        "  m4a1 plan study.m4a1 --fill --max-calls 500\n"
        "  m4a1 plan study.m4a1 --add-llm gemini --anchors 0.05\n"
        "  m4a1 plan study.m4a1 --undo --llm gemini\n",
    .options = options,
    .run = run,
};
