/* evaluate_live.c - see evaluate_live.h: plan, collect, judge, and hold what was played
 * against what the estimator promised. */
#include "m4a1/cli/evaluate_live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collectors/plan.h"
#include "export/json_keep.h"
#include "export/openings.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/judging.h"
#include "m4a1/cli/plan_policy.h"
#include "m4a1/cli/plan_tell.h"
#include "m4a1/tmo/bootstrap.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/live.h"
#include "m4a1/tmo/policy.h"
#include "schema/query.h"

#define SCRIPT_MAX ((size_t)256 << 20)

enum figure { RESPONSE, LATENCY_S, USAGE_USD, N_LIVE_FIGURES };
static const struct {
    const char *key, *name, *unit;
    double scale;
    int digits;
} figures[N_LIVE_FIGURES] = {
    { "response", "response", "a turn", 1, 3 },
    { "latency_s", "latency", "s a session", 1, 2 },
    { "usage_usd", "usage", "mUSD a session", 1e3, 3 },
};

struct live_play {
    const char *file;
    struct policy policy;
    int64_t seed;
    size_t n;          /* test sessions */
    int64_t *sessions; /* [n] their rows in DATA */
    struct live_session *played;
    double *promised[N_LIVE_FIGURES]; /* [n] of the estimator, and of the cost table */
    size_t n_whole, n_turns;
    /* over sessions that were played to their end */
    struct interval live[N_LIVE_FIGURES], inside[N_LIVE_FIGURES],
        difference[N_LIVE_FIGURES];
};

struct live_run {
    const struct dataset *data;
    struct live_play *plays;
    size_t n_plays;
    char *into;
    struct store *from, *store;
    struct engine_options options;
    struct engine_result collected;
    struct judging judged;
    char why_not[400]; /* why this opening is not entered; "" = it is */
};

static void run_release(struct live_run *r)
{
    for (size_t i = 0; i < r->n_plays; i++) {
        struct live_play *p = &r->plays[i];
        policy_release(&p->policy);
        free(p->sessions);
        free(p->played);
        for (int f = 0; f < N_LIVE_FIGURES; f++)
            free(p->promised[f]);
    }
    free(r->plays);
    free(r->into);
    store_close(r->from);
    store_close(r->store);
    engine_result_release(&r->collected);
    judging_release(&r->judged);
}

/* ---- what the simulator inside promises ---- */

static enum status promise_session(const struct environment *env, size_t session,
    const struct chooser *chooser, struct live_play *p, size_t i, struct error *err)
{
    struct evaluation one;
    enum status s = evaluation_run(env, &session, 1, chooser, p->policy.seed, &one, err);
    if (s)
        return s;
    p->promised[RESPONSE][i] = one.response;
    p->promised[LATENCY_S][i] = one.latency_s;
    p->promised[USAGE_USD][i] = one.usage_usd;
    return OK;
}

static enum status promise(
    const struct dataset *data, struct live_play *p, struct error *err)
{
    const struct split *split = &p->policy.split;
    const struct chooser chooser = { network_weigh, &p->policy.network };
    struct tmo_config config = p->policy.config; // its costs are in its table
    struct recorded *rec = NULL;
    struct environment *env = NULL;
    size_t *train = NULL, *test = NULL;
    enum status s = tmo_config_record(&config, data, &rec, err);
    if (!s)
        s = recorded_indices(rec, split->train, split->n_train, &train, err);
    if (!s)
        s = recorded_indices(rec, split->test, split->n_test, &test, err);
    if (!s)
        s = environment_new(rec, &config.environment, train, split->n_train, &env, err);
    for (size_t i = 0; i < p->n && !s; i++) {
        p->sessions[i] = data->sessions[test[i]].session_id;
        s = promise_session(env, test[i], &chooser, p, i, err);
    }
    environment_free(env);
    recorded_free(rec);
    free(train);
    free(test);
    return s;
}

static enum status load_play(
    const struct dataset *data, const char *file, struct live_play *p, struct error *err)
{
    struct policy alone = { 0 };
    char sha256[HASH_HEX];
    p->file = file;
    enum status s = policy_load(file, data, &p->policy, err);
    if (!s) {
        s = policy_read(file, &alone, sha256, err);
        policy_release(&alone);
    }
    if (s)
        return s;
    p->seed = live_seed(sha256);
    p->n = p->policy.split.n_test;
    p->sessions = calloc(p->n + 1, sizeof *p->sessions);
    p->played = calloc(p->n + 1, sizeof *p->played);
    int ok = p->sessions && p->played;
    for (int f = 0; f < N_LIVE_FIGURES; f++)
        ok = (p->promised[f] = calloc(p->n + 1, sizeof *p->promised[f])) && ok;
    return ok ? promise(data, p, err) : error_nomem(err, p->n * sizeof *p->played);
}

/* ---- planning ---- */

/* The script is a file while the plan is made, beside the store of play. */
static enum status plan_scripted(struct live_run *r, struct store *store,
    const struct live_play *p, const struct plan_options *options,
    struct plan_counts *counts, struct error *err)
{
    struct buffer text;
    struct plan_policy weighs;
    struct plan_options o = *options;
    struct cli_policy *policy = NULL;
    buffer_init(&text, SCRIPT_MAX);
    enum status s = live_script(r->from, p->sessions, p->n, &text, err);
    if (!s)
        s = file_write(o.script, buffer_str(&text), text.len, err);
    buffer_release(&text);
    if (s)
        return s;
    s = cli_policy_open(p->file, &policy, &weighs, err);
    o.policy = &weighs;
    if (!s)
        s = plan_make(store, &o, counts, err);
    o.policy = NULL;
    cli_policy_free(policy);
    unlink(o.script);
    return s;
}

static enum status plan_play(struct cli *cli, struct live_run *r, struct store *store,
    const struct live_play *p, struct plan_estimate *estimate, struct plan_counts *counts,
    struct error *err)
{
    struct plan_options o = plan_options_init();
    char *script = text_format("%s.script", r->into);
    if (!script)
        return error_nomem(err, strlen(r->into));
    o.behaviour = "policy";
    o.script = script;
    o.seed = p->seed;
    o.fan_out = 0;
    o.samples = 1;
    o.epsilon = 0;
    o.greedy = 1;
    o.estimate = estimate;
    o.dry_run = estimate != NULL;
    o.progress = cli_progress(cli, "planning play", 0);
    enum status s = plan_scripted(r, store, p, &o, counts, err);
    progress_free(o.progress);
    free(script);
    return s;
}

/* Scores are made of a judge's replies about an answer and the reference's. */
static enum status check_roles(struct store *from, struct error *err)
{
    int64_t n = 0;
    enum status s = store_int(from, 0, &n, err,
        "SELECT count(DISTINCT role) FROM llm WHERE retired_ms IS NULL"
        " AND role IN ('reference', 'judge')",
        "");
    if (!s && n < 2)
        s = error_set(err, E_ARG,
            "%s: its recipe needs a reference and a judge llm, since played answers are "
            "scored against the reference's",
            store_path(from));
    return s;
}

/* ---- the dry run ---- */

/* Nothing is written: the plan is made in DATA, whose answers tell what calls take, and
 * taken back. */
static enum status dry_run(struct cli *cli, struct live_run *r, struct error *err)
{
    enum status s = store_open(cli_arg(cli, 0), STORE_WRITE, &r->store, err);
    struct json_keeper k = { 1 };
    struct json *root = json_keep(&k, json_new_object());
    struct json *list = json_keep(&k, json_set_array(root, "policies"));
    int is_json = cli_flag(cli, "json");
    for (size_t i = 0; i < r->n_plays && !s; i++) {
        struct plan_estimate estimate = { 0 };
        struct plan_counts counts;
        s = plan_play(cli, r, r->store, &r->plays[i], &estimate, &counts, err);
        estimate.cap.cap_usd = -1; // that of DATA, which nothing is sent for
        if (!s && is_json) {
            struct json *one = json_keep(&k, json_add_object(list));
            json_keep(&k, json_set_text(one, "policy", r->plays[i].file));
            plan_set_counts(&k, one, &counts);
            plan_set_estimate(&k, one, &estimate);
        } else if (!s) {
            printf("%s would play %lld sessions with %lld turns into %s:\n"
                   "%lld calls along the paths and %lld of the reference.\n",
                r->plays[i].file, (long long)counts.sessions, (long long)counts.turns,
                r->into, (long long)counts.path, (long long)counts.reference);
            plan_print_estimate(&estimate, 0);
        }
        plan_estimate_release(&estimate);
    }
    if (!s && is_json)
        s = k.ok ? cli_print_json(root, err) : error_nomem(err, 64);
    else if (!s && file_exists(r->into))
        printf(
            "%s is there already; what is answered in it is not asked again.\n", r->into);
    json_free(root);
    return s;
}

/* ---- playing ---- */

static enum status open_store(struct cli *cli, struct live_run *r, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; i < r->n_plays && !s; i++) {
        struct live_play *p = &r->plays[i];
        int planned = 0;
        struct plan_counts counts;
        store_close(r->store);
        s = live_open(r->from, r->into, p->sessions, p->n, &r->store, err);
        if (!s)
            s = live_is_planned(r->store, p->seed, &planned, err);
        if (!s && !planned)
            s = plan_play(cli, r, r->store, p, NULL, &counts, err);
    }
    return s;
}

/* Ask, then judge.  Calls that failed for good keep nobody from judging the others. */
static enum status play(struct cli *cli, struct live_run *r, struct error *err)
{
    static const char *const asked[] = { "path", "reference" };
    enum status s = collecting_options(cli, r->store, &r->options, err);
    if (s)
        return s;
    r->options.purposes = asked;
    r->options.n_purposes = COUNT_OF(asked);
    r->options.progress = cli_progress(cli, "playing", 0);
    enum status collected = engine_run(r->store, &r->options, &r->collected, err);
    progress_free(r->options.progress);
    r->options.progress = NULL;
    if (collected != OK && collected != E_PARTIAL)
        return collected;
    struct error why = ERROR_INIT;
    s = judging_run(cli, r->store, &r->options, &r->judged, &why);
    return s ? error_set(err, s, "%s", why.msg) : collected;
}

/* ---- figures ---- */

static double played_figure(const struct live_session *one, int f)
{
    return f == RESPONSE    ? one->response
           : f == LATENCY_S ? one->latency_s
                            : one->usage_usd;
}

/* One figure over the sessions that have it, beside its promise: both are means over the
 * same sessions. */
static enum status compare_figure(
    struct live_play *p, int f, const struct bootstrap_settings *set, struct error *err)
{
    double *sums = calloc(4 * p->n + 1, sizeof *sums);
    struct interval both[2];
    struct comparison comparisons[2];
    if (!sums)
        return error_nomem(err, 4 * p->n * sizeof *sums);
    double *above = sums, *below = sums + 2 * p->n;
    for (size_t i = 0; i < p->n; i++) {
        double x = played_figure(&p->played[i], f);
        if (isnan(p->played[i].response) || isnan(x))
            continue;
        above[i] = x;
        above[p->n + i] = p->promised[f][i];
        below[i] = below[p->n + i] = 1;
    }
    const struct bootstrap_sums data = { 2, p->n, above, below, NULL };
    enum status s = bootstrap_run(&data, 1, set, both, comparisons, err);
    p->live[f] = both[0];
    p->inside[f] = both[1];
    p->difference[f] = comparisons[0].difference;
    free(sums);
    return s;
}

static enum status read_play(struct live_run *r, struct live_play *p, struct error *err)
{
    struct bootstrap_settings set = bootstrap_defaults();
    enum status s = live_read(r->store, p->seed,
        p->policy.config.environment.as_published, p->played, p->n, err);
    for (size_t i = 0; i < p->n && !s; i++) {
        if (isnan(p->played[i].response))
            continue;
        p->n_whole++;
        p->n_turns += p->played[i].n_turns;
    }
    for (int f = 0; f < N_LIVE_FIGURES && !s && p->n_whole; f++)
        s = compare_figure(p, f, &set, err);
    return s;
}

static int same_test(const struct live_play *a, const struct live_play *b)
{
    return a->n == b->n && memcmp(a->policy.split.test, b->policy.split.test,
                               a->n * sizeof *a->policy.split.test) == 0;
}

/* Results on test sessions are about to be shown: once for those that are the same. */
static enum status count_openings(struct live_run *r, struct error *err)
{
    struct opening *all = calloc(r->n_plays + 1, sizeof *all);
    const char **what = calloc(r->n_plays + 1, sizeof *what);
    size_t n = 0;
    enum status s = all && what ? OK : error_nomem(err, r->n_plays * sizeof *all);
    for (size_t i = 0; i < r->n_plays && !s; i++) {
        const struct live_play *p = &r->plays[i];
        size_t first = 0;
        what[i] = p->file;
        while (!same_test(&r->plays[first], p))
            first++;
        if (first == i)
            all[n++] = (struct opening) { "live play", p->policy.split.test, p->n, what,
                r->n_plays, "", 0, 0, 0 };
    }
    if (!s)
        s = openings_count(r->data, all, n, r->why_not, sizeof r->why_not, err);
    free(what);
    free(all);
    return s;
}

/* ---- output ---- */

static void print_cell(const struct interval *x, int f, char *out, size_t size)
{
    double scale = figures[f].scale;
    int digits = figures[f].digits;
    if (isnan(x->value))
        snprintf(out, size, "-");
    else if (isnan(x->low))
        snprintf(out, size, "%.*f", digits, scale * x->value);
    else
        snprintf(out, size, "%.*f [%.*f, %.*f]", digits, scale * x->value, digits,
            scale * x->low, digits, scale * x->high);
}

static void print_play(const struct live_play *p)
{
    printf("\n%s: %zu of %zu test sessions played to their end, %zu turns.\n", p->file,
        p->n_whole, p->n, p->n_turns);
    if (!p->n_whole)
        return;
    struct table *t = table_new(4);
    table_row(t, "", "played", "promised inside", "played - promised");
    for (int f = 0; f < N_LIVE_FIGURES; f++) {
        char name[64], live[96], inside[96], difference[96];
        snprintf(name, sizeof name, "%s, %s", figures[f].name, figures[f].unit);
        print_cell(&p->live[f], f, live, sizeof live);
        print_cell(&p->inside[f], f, inside, sizeof inside);
        print_cell(&p->difference[f], f, difference, sizeof difference);
        table_row(t, name, live, inside, difference);
    }
    table_print(t);
    table_free(t);
}

static void print_calls(const struct live_run *r)
{
    struct engine_options o = r->options;
    collecting_print(&r->collected, &o, "collect", r->into);
    for (int round = 0; round < JUDGING_ROUNDS; round++)
        if (r->judged.runs[round].n_sent || r->judged.runs[round].cap_reached)
            collecting_print(&r->judged.runs[round], &o, "annotate", r->into);
}

static void print_people(const struct live_run *r)
{
    int is_whole = 1, is_begun = 0;
    print_calls(r);
    for (size_t i = 0; i < r->n_plays; i++) {
        print_play(&r->plays[i]);
        is_whole = is_whole && r->plays[i].n_whole == r->plays[i].n;
        is_begun = is_begun || r->plays[i].n_whole;
    }
    if (!is_begun)
        return;
    printf("\nMeans over sessions with 95 %% intervals from a bootstrap over sessions. "
           "played:\nmeasured answers, scored by the judge. promised inside: by the "
           "estimator that was\nfitted on the training sessions, with the policy's own "
           "table of costs, for the same\npolicy on the same sessions.%s\n",
        r->options.simulator_url ? " The llms were simulated." : "");
    if (!is_whole)
        printf("Sessions that are not played to their end are left out of both sides; "
               "the same\ncommand goes on with them.\n");
    if (*r->why_not)
        printf("This opening of the test sessions is not counted: %s\n", r->why_not);
}

static void set_interval(
    struct json_keeper *k, struct json *object, const char *key, const struct interval *x)
{
    struct json *o = json_keep(k, json_set_object(object, key));
    json_keep_figure(k, o, "value", x->value);
    json_keep_figure(k, o, "low", x->low);
    json_keep_figure(k, o, "high", x->high);
}

static void add_play(struct json_keeper *k, struct json *list, const struct live_play *p)
{
    struct json *o = json_keep(k, json_add_object(list));
    json_keep(k, json_set_text(o, "policy", p->file));
    json_keep(k, json_set_int(o, "plan_seed", p->seed));
    json_keep_count(k, o, "test_sessions", p->n);
    json_keep_count(k, o, "played", p->n_whole);
    json_keep_count(k, o, "turns", p->n_turns);
    for (int f = 0; f < N_LIVE_FIGURES && p->n_whole; f++) {
        struct json *figure = json_keep(k, json_set_object(o, figures[f].key));
        set_interval(k, figure, "played", &p->live[f]);
        set_interval(k, figure, "promised", &p->inside[f]);
        set_interval(k, figure, "difference", &p->difference[f]);
    }
    struct json *sessions = json_keep(k, json_set_array(o, "sessions"));
    for (size_t i = 0; i < p->n; i++) {
        struct json *row = json_keep(k, json_add_object(sessions));
        json_keep(k, json_set_int(row, "id", p->policy.split.test[i]));
        json_keep_count(k, row, "turns", p->played[i].n_turns);
        json_keep_count(k, row, "scored", p->played[i].n_scored);
        for (int f = 0; f < N_LIVE_FIGURES; f++) {
            struct json *pair = json_keep(k, json_set_object(row, figures[f].key));
            json_keep_figure(k, pair, "played", played_figure(&p->played[i], f));
            json_keep_figure(k, pair, "promised", p->promised[f][i]);
        }
    }
}

static enum status print_json(const struct live_run *r, struct error *err)
{
    struct json_keeper k = { 1 };
    struct json *root = json_keep(&k, json_new_object());
    json_keep(&k, json_set_text(root, "data", r->data->source));
    json_keep(&k, json_set_text(root, "digest", r->data->digest));
    json_keep(&k, json_set_text(root, "store", r->into));
    json_keep(&k, json_set_bool(root, "simulated", r->options.simulator_url != NULL));
    json_keep(&k, json_set_bool(root, "opening_counted", !*r->why_not));
    struct json *list = json_keep(&k, json_set_array(root, "policies"));
    for (size_t i = 0; i < r->n_plays; i++)
        add_play(&k, list, &r->plays[i]);
    enum status s = collecting_json(
        json_keep(&k, json_set_object(root, "collect")), &r->collected, err);
    struct json *rounds = json_keep(&k, json_set_array(root, "judge"));
    for (int round = 0; round < JUDGING_ROUNDS && !s; round++)
        s = collecting_json(
            json_keep(&k, json_add_object(rounds)), &r->judged.runs[round], err);
    if (!s)
        s = k.ok ? cli_print_json(root, err) : error_nomem(err, 64);
    json_free(root);
    return s;
}

/* ---- all ---- */

static int is_given(const struct cli *cli, const char *name)
{
    return cli_flag(cli, name) || cli_value(cli, name);
}

enum status evaluate_live_usage(struct cli *cli, struct error *err)
{
    static const char *const only_live[] = { "into", "dry-run" };
    static const char *const only_without[] = { "oracle", "baselines", "against", "by",
        "agent", "all-sessions", "observed-costs", "resamples", "folds",
        "bootstrap-seed" };
    static const char *const sending[] = { "simulator", "max-usd", "max-attempts",
        "in-flight", "until", "for", "grace", "retry-failed", "allow-unpriced" };
    int live = cli_flag(cli, "live");
    for (size_t i = 0; !live && i < COUNT_OF(only_live); i++)
        if (is_given(cli, only_live[i]))
            return cli_usage(
                cli, err, "--%s is for --live, which is missing", only_live[i]);
    for (size_t i = 0; live && i < COUNT_OF(only_without); i++)
        if (is_given(cli, only_without[i]))
            return cli_usage(cli, err,
                "--%s does nothing with --live: leave one of them out", only_without[i]);
    int sends = live || cli_value(cli, "agent");
    for (size_t i = 0; !sends && i < COUNT_OF(sending); i++)
        if (is_given(cli, sending[i]))
            return cli_usage(cli, err,
                "--%s is about calls, and without --live or --agent none are sent",
                sending[i]);
    return OK;
}

static enum status load(struct cli *cli, struct live_run *r, struct error *err)
{
    const char *path = cli_arg(cli, 0), *into = cli_value(cli, "into");
    size_t n = (size_t)cli_n_args(cli) - 1;
    if (!store_is_database(path))
        return cli_usage(cli, err,
            "--live plays the sessions of a store, and %s is none: frames, recipe and "
            "llms are in the store that it came from",
            path);
    if (!n)
        return cli_usage(cli, err, "--live needs the policies that shall play");
    r->into = into ? text_copy(into) : text_format("%s.live", path);
    r->plays = calloc(n, sizeof *r->plays);
    enum status s = r->into && r->plays ? OK : error_nomem(err, n * sizeof *r->plays);
    for (size_t i = 0; i < n && !s; i++) {
        s = load_play(r->data, cli_arg(cli, (int)i + 1), &r->plays[i], err);
        r->n_plays++;
        for (size_t k = 0; k < i && !s; k++)
            if (r->plays[k].seed == r->plays[i].seed)
                s = cli_usage(cli, err, "%s is the same policy as %s", r->plays[i].file,
                    r->plays[k].file);
    }
    if (!s)
        s = store_open(path, STORE_READ, &r->from, err);
    return s ? s : check_roles(r->from, err);
}

/* What was played so far is shown also where a cap or an interruption came before the
 * end. */
static enum status show(struct cli *cli, struct live_run *r, struct error *err)
{
    enum status s = OK;
    size_t n_whole = 0;
    for (size_t i = 0; i < r->n_plays && !s; i++) {
        s = read_play(r, &r->plays[i], err);
        n_whole += r->plays[i].n_whole;
    }
    if (!s && n_whole)
        s = count_openings(r, err);
    if (s)
        return s;
    if (cli_flag(cli, "json"))
        return print_json(r, err);
    print_people(r);
    return OK;
}

static enum status go(struct cli *cli, struct live_run *r, struct error *err)
{
    enum status s = load(cli, r, err);
    if (s)
        return s;
    if (cli_flag(cli, "dry-run"))
        return dry_run(cli, r, err);
    s = open_store(cli, r, err);
    store_close(r->from);
    r->from = NULL;
    if (s)
        return s;
    s = play(cli, r, err);
    if (s == OK || s == E_PARTIAL || s == E_INTERRUPTED) {
        struct error why = ERROR_INIT;
        enum status shown = show(cli, r, &why);
        if (shown)
            s = error_set(err, shown, "%s", why.msg);
    }
    return s;
}

enum status evaluate_live(struct cli *cli, const struct dataset *data, struct error *err)
{
    struct live_run r = { .data = data };
    enum status s = go(cli, &r, err);
    run_release(&r);
    return s;
}
