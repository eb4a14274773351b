/* cmd_status.c - where a store stands, and the next command to run.
 * Only reads, so it works beside a collector. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/json_keep.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "schema/query.h"
#include "schema/recipe.h"
#include "schema/store.h"

/* What the choice of the next command rests on. */
struct standing {
    int64_t recipes, scenes, frames, sessions, imported, turns;
    int64_t ready, judgements, waiting, failed, blocked, open_attempts;
    int64_t answers, simulated, unscored, unjudgeable, splits;
    int64_t associable; /* turns with an image, where no association is kept at all */
};

static enum status count(
    struct store *store, int64_t *out, struct error *err, const char *sql)
{
    return store_int(store, 0, out, err, sql, "");
}

static enum status read_standing(
    struct store *store, struct standing *st, struct error *err)
{
    const struct {
        int64_t *out;
        const char *sql;
    } counts[] = {
        { &st->recipes, "SELECT count(*) FROM recipe" },
        { &st->scenes, "SELECT count(*) FROM scene" },
        { &st->frames, "SELECT count(*) FROM frame" },
        { &st->sessions, "SELECT count(*) FROM session" },
        { &st->imported, "SELECT count(*) FROM session WHERE plan_id IS NULL" },
        { &st->turns, "SELECT count(*) FROM turn" },
        { &st->ready, "SELECT count(*) FROM call_state WHERE state = 'ready'" },
        { &st->judgements,
            "SELECT count(*) FROM call_state JOIN call USING (call_id) WHERE "
            "state = 'ready' AND purpose = 'judge'" },
        { &st->waiting, "SELECT count(*) FROM call_state WHERE state = 'waiting'" },
        { &st->failed, "SELECT count(*) FROM call_state WHERE state = 'failed'" },
        { &st->blocked, "SELECT count(*) FROM call_state WHERE state = 'blocked'" },
        { &st->open_attempts, "SELECT count(*) FROM attempt WHERE status = 'sent'" },
        { &st->answers, "SELECT count(*) FROM response" },
        { &st->simulated, "SELECT count(*) FROM response WHERE simulated" },
        { &st->unscored, "SELECT count(*) FROM answer a JOIN call c USING (call_id)"
                         " WHERE c.purpose IN ('path', 'fan_out') AND NOT EXISTS (SELECT "
                         "1 FROM score s"
                         " WHERE s.response_id = a.response_id AND s.scorer = 'ratio')" },
        { &st->unjudgeable,
            "SELECT count(*) FROM answer a JOIN score s USING (response_id)"
            " WHERE s.scorer = 'ratio' AND s.value IS NULL" },
        { &st->splits, "SELECT count(*) FROM split" },
        { &st->associable,
            "SELECT count(*) FROM turn t JOIN session s USING (session_id) WHERE NOT "
            "EXISTS"
            " (SELECT 1 FROM association) AND EXISTS (SELECT 1 FROM scene_frame f JOIN "
            "view"
            " v USING (view_id) WHERE f.scene_id = s.scene_id AND f.at_ms = s.at_ms AND"
            " v.kind = 'image' AND f.frame_id IS NOT NULL)" },
    };
    enum status s = OK;
    for (size_t i = 0; i < COUNT_OF(counts) && !s; i++)
        s = count(store, counts[i].out, err, counts[i].sql);
    return s;
}

struct advice {
    const char *command; /* format with one %s for the store */
    const char *why;
};

static struct advice next_step(const struct standing *st)
{
    if (!st->recipes && !st->sessions)
        return (
            struct advice) { "m4a1 init %s --recipe FILE", "the store has no recipe" };
    if (!st->frames && !st->sessions)
        return (struct advice) { "m4a1 ingest %s DIR", "no scene has pictures yet" };
    if (!st->sessions)
        return (struct advice) { "m4a1 plan %s", "no session is planned" };
    if (st->open_attempts)
        return (struct advice) { "m4a1 collect %s",
            "requests are open: a collector runs, or was killed and can go on" };
    if (st->ready > st->judgements)
        return (struct advice) { "m4a1 collect %s", "calls are ready to be sent" };
    if (st->judgements || st->unscored)
        return (struct advice) { "m4a1 annotate %s", "answers have no score yet" };
    if (!st->splits && st->associable)
        return (struct advice) { "m4a1 associate %s --clip DIR",
            "no turn has associations, so views earn nothing in the published reward; "
            "m4a1 split goes on without" };
    if (!st->splits)
        return (struct advice) { "m4a1 split %s main", "no split is frozen" };
    return (struct advice) { "m4a1 train %s --as-published --split main",
        "the data set is complete" };
}

/* ---- the document ---- */

struct column {
    const char *key;
    char type; /* i int, d double, t text */
};

static enum status add_rows(struct store *store, struct json_keeper *k, struct json *list,
    const char *sql, const struct column *columns, size_t n, struct error *err)
{
    struct query *q;
    enum status s = query_open(store, sql, &q, err);
    if (s)
        return s;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct json *row = json_keep(k, json_add_object(list));
        for (size_t i = 0; i < n; i++) {
            int c = (int)i;
            if (query_is_null(q, c))
                json_keep(k, json_set_null(row, columns[i].key));
            else if (columns[i].type == 'i')
                json_keep(k, json_set_int(row, columns[i].key, query_int(q, c)));
            else if (columns[i].type == 'd')
                json_keep(k, json_set_number(row, columns[i].key, query_double(q, c)));
            else
                json_keep(k, json_set_text(row, columns[i].key, query_text(q, c)));
        }
    }
    query_close(q);
    return s;
}

static enum status add_lists(
    struct store *store, struct json_keeper *k, struct json *root, struct error *err)
{
    static const struct column progress[] = { { "purpose", 't' }, { "llm", 't' },
        { "planned", 'i' }, { "done", 'i' }, { "failed", 'i' }, { "blocked", 'i' },
        { "open", 'i' } };
    static const struct column cost[] = { { "llm", 't' }, { "role", 't' },
        { "attempts", 'i' }, { "cost_unknown", 'i' }, { "in_flight", 'i' },
        { "cost_usd", 'd' }, { "reserved_usd", 'd' }, { "unpriced", 'i' },
        { "energy_usd", 'd' }, { "cap_usd", 'd' } };
    static const struct column failures[] = { { "error_class", 't' }, { "llm", 't' },
        { "attempts", 'i' }, { "final", 'i' }, { "example", 't' } };
    static const struct column censoring[] = { { "task", 't' }, { "llm", 't' },
        { "asked", 'i' }, { "censored", 'i' }, { "share", 'd' }, { "turns_lost", 'i' } };
    static const struct column splits[] = { { "name", 't' }, { "rule", 't' },
        { "train", 'i' }, { "test", 'i' } };
    enum status s = add_rows(store, k, json_keep(k, json_set_array(root, "progress")),
        "SELECT purpose, llm, planned, done, failed, blocked, open FROM progress"
        " ORDER BY purpose <> 'path', purpose, llm",
        progress, COUNT_OF(progress), err);
    if (!s) // unpriced: answers whose cost nobody can tell
        s = add_rows(store, k, json_keep(k, json_set_array(root, "spent")),
            "SELECT l.name, l.role, count(*), sum(x.cost_pusd IS NULL AND x.counted_pusd "
            "> 0"
            " AND a.status <> 'sent'),"
            " sum(a.status = 'sent'), total(x.cost_pusd / 1e12),"
            " total((x.counted_pusd - coalesce(x.cost_pusd, 0)) / 1e12),"
            " sum(a.status = 'ok' AND x.cost_pusd IS NULL),"
            " sum(r.energy_pusd) / 1e12, l.settings ->> '$.max_usd'"
            " FROM attempt a JOIN attempt_cost x USING (attempt_id)"
            " JOIN call c ON c.call_id = a.call_id JOIN llm l USING (llm_id)"
            " LEFT JOIN response_cost r ON r.attempt_id = a.attempt_id"
            " GROUP BY l.llm_id",
            cost, COUNT_OF(cost), err);
    if (!s)
        s = add_rows(store, k, json_keep(k, json_set_array(root, "failures")),
            "SELECT error_class, llm, count(*), sum(final), max(error) FROM failure"
            " GROUP BY error_class, llm ORDER BY count(*) DESC, llm",
            failures, COUNT_OF(failures), err);
    if (!s) // what is missing behind a refused call is not missing at random
        s = add_rows(store, k, json_keep(k, json_set_array(root, "censoring")),
            "SELECT k.name, l.name, sum(s.state IN ('done', 'failed')),"
            " sum(s.state = 'failed'), avg(s.state = 'failed'), sum(CASE WHEN"
            " s.state = 'failed' THEN (SELECT count(*) FROM turn u WHERE u.session_id ="
            " t.session_id AND u.position > t.position) ELSE 0 END)"
            " FROM call c JOIN call_state s USING (call_id) JOIN llm l USING (llm_id)"
            " JOIN turn t USING (turn_id) JOIN prompt p USING (prompt_id)"
            " JOIN task k USING (task_id) WHERE c.purpose = 'path'"
            " AND s.state IN ('done', 'failed') GROUP BY k.name, l.name"
            " HAVING sum(s.state = 'failed') > 0 ORDER BY k.name, l.name",
            censoring, COUNT_OF(censoring), err);
    if (!s)
        s = add_rows(store, k, json_keep(k, json_set_array(root, "splits")),
            "SELECT s.name, s.rule, sum(x.part = 'train'), sum(x.part = 'test')"
            " FROM split s JOIN split_session x USING (split_id)"
            " GROUP BY split_id ORDER BY s.name",
            splits, COUNT_OF(splits), err);
    return s;
}

/* What all llms cost together, beside the cap that the recipe sets. */
static enum status add_money(
    struct store *store, struct json_keeper *k, struct json *root, struct error *err)
{
    static const char *const keys[] = { "cost_usd", "reserved_usd", "energy_usd" };
    struct recipe *recipe = NULL;
    int64_t n = 0;
    struct json *money = json_keep(k, json_set_object(root, "money"));
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        double sum = 0;
        for (const struct json *c = json_first(json_get(root, "spent")); c;
             c = json_next(c))
            sum += json_number(json_get(c, keys[i]), 0);
        json_keep(k, json_set_number(money, keys[i], sum));
    }
    enum status s = count(store, &n, err, "SELECT count(*) FROM recipe");
    if (!s && n)
        s = recipe_of_store(store, &recipe, err);
    if (recipe && recipe->plan.max_usd >= 0)
        json_keep(k, json_set_number(money, "cap_usd", recipe->plan.max_usd));
    else
        json_keep(k, json_set_null(money, "cap_usd"));
    recipe_free(recipe);
    return s;
}

static void set_standing(
    struct json_keeper *k, struct json *root, const struct standing *st)
{
    const struct {
        const char *key;
        int64_t value;
    } counts[] = { { "scenes", st->scenes }, { "frames", st->frames },
        { "sessions", st->sessions }, { "imported_sessions", st->imported },
        { "turns", st->turns }, { "ready", st->ready }, { "waiting", st->waiting },
        { "failed", st->failed }, { "blocked", st->blocked },
        { "open_attempts", st->open_attempts }, { "answers", st->answers },
        { "simulated_answers", st->simulated }, { "not_yet_scored", st->unscored },
        { "unscored", st->unjudgeable } };
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        json_keep(k, json_set_int(root, counts[i].key, counts[i].value));
}

static enum status build(struct store *store, struct json **out, struct error *err)
{
    struct standing st = { 0 };
    struct json_keeper k = { 1 };
    struct json *root = *out = json_new_object();
    enum status s = read_standing(store, &st, err);
    json_keep(&k, json_set_text(root, "store", store_path(store)));
    set_standing(&k, root, &st);
    if (!s)
        s = add_lists(store, &k, root, err);
    if (!s)
        s = add_money(store, &k, root, err);
    struct advice advice = next_step(&st);
    char *next = text_format("%.*s%s%s", (int)strcspn(advice.command, "%"),
        advice.command, store_path(store), strchr(advice.command, '%') + 2);
    json_keep(&k, json_set_text(root, "next", next ? next : ""));
    json_keep(&k, json_set_text(root, "why", advice.why));
    if (!s && (!next || !k.ok))
        s = error_nomem(err, sizeof st);
    free(next);
    if (s) {
        json_free(root);
        *out = NULL;
    }
    return s;
}

/* ---- for people ---- */

static long long number(const struct json *j, const char *key)
{
    return (long long)json_int(json_get(j, key), 0);
}

static const char *figure(const struct json *j, const char *key, char buf[32])
{
    snprintf(buf, 32, "%lld", number(j, key));
    return buf;
}

static void print_progress(const struct json *list)
{
    char n[5][32];
    struct table *t = table_new(7);
    table_row(t, "purpose", "llm", "planned", "done", "failed", "blocked", "open");
    for (const struct json *c = json_first(list); c; c = json_next(c))
        table_row(t, json_text(json_get(c, "purpose"), ""),
            json_text(json_get(c, "llm"), ""), figure(c, "planned", n[0]),
            figure(c, "done", n[1]), figure(c, "failed", n[2]),
            figure(c, "blocked", n[3]), figure(c, "open", n[4]));
    if (json_size(list)) {
        printf("\ncalls\n");
        table_print(t);
    }
    table_free(t);
}

/* A sum in dollars, or nothing where there is none. */
static const char *dollars(const struct json *j, const char *key, char buf[32])
{
    const struct json *value = json_get(j, key);
    buf[0] = '\0';
    if (value && !json_is_null(value))
        text_usd(json_number(value, 0), buf, 32);
    return buf;
}

static void print_spent(const struct json *list, const struct json *all)
{
    char n[4][32], usd[4][32];
    struct table *t = table_new(9);
    table_row(t, "llm", "requests", "cost unknown", "in flight", "known", "reserved",
        "cap", "electricity", "without a price");
    for (const struct json *c = json_first(list); c; c = json_next(c))
        table_row(t, json_text(json_get(c, "llm"), ""), figure(c, "attempts", n[0]),
            figure(c, "cost_unknown", n[1]), figure(c, "in_flight", n[2]),
            dollars(c, "cost_usd", usd[0]), dollars(c, "reserved_usd", usd[1]),
            dollars(c, "cap_usd", usd[2]), dollars(c, "energy_usd", usd[3]),
            figure(c, "unpriced", n[3]));
    table_row(t, "all", "", "", "", dollars(all, "cost_usd", usd[0]),
        dollars(all, "reserved_usd", usd[1]), dollars(all, "cap_usd", usd[2]),
        dollars(all, "energy_usd", usd[3]), "");
    if (json_size(list)) {
        printf("\nspent (reserved: for requests whose cost is not known; counts against "
               "a cap)\n");
        table_print(t);
    }
    table_free(t);
}

static void print_failures(const struct json *list)
{
    char n[2][32];
    struct table *t = table_new(5);
    table_row(t, "error class", "llm", "attempts", "for good", "for example");
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        char example[80];
        snprintf(example, sizeof example, "%s", json_text(json_get(c, "example"), ""));
        example[text_utf8_valid(example, strlen(example))] = '\0';
        table_row(t, json_text(json_get(c, "error_class"), ""),
            json_text(json_get(c, "llm"), ""), figure(c, "attempts", n[0]),
            figure(c, "final", n[1]), example);
    }
    if (json_size(list)) {
        printf("\nfailures\n");
        table_print(t);
    }
    table_free(t);
}

static void print_censoring(const struct json *list)
{
    char n[3][32], share[32];
    struct table *t = table_new(6);
    table_row(t, "task", "llm", "asked", "censored", "share", "turns lost");
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        snprintf(
            share, sizeof share, "%.1f %%", 100 * json_number(json_get(c, "share"), 0));
        table_row(t, json_text(json_get(c, "task"), ""),
            json_text(json_get(c, "llm"), ""), figure(c, "asked", n[0]),
            figure(c, "censored", n[1]), share, figure(c, "turns_lost", n[2]));
    }
    if (json_size(list)) {
        printf("\ncensored sessions, by the path call that was refused for good\n");
        table_print(t);
    }
    table_free(t);
}

static void print_status(const struct json *j)
{
    long long answers = number(j, "answers"), simulated = number(j, "simulated_answers");
    printf(
        "%s: %lld scenes with %lld frames, %lld sessions (%lld imported), %lld turns\n",
        json_text(json_get(j, "store"), ""), number(j, "scenes"), number(j, "frames"),
        number(j, "sessions"), number(j, "imported_sessions"), number(j, "turns"));
    printf("%lld answers", answers);
    if (simulated)
        printf(", %lld of them simulated (%.0f %%)", simulated,
            100 * (double)simulated / (double)answers);
    printf("; %lld not yet scored, %lld that could not be scored\n",
        number(j, "not_yet_scored"), number(j, "unscored"));
    print_progress(json_get(j, "progress"));
    print_spent(json_get(j, "spent"), json_get(j, "money"));
    print_failures(json_get(j, "failures"));
    print_censoring(json_get(j, "censoring"));
    const struct json *splits = json_get(j, "splits");
    for (const struct json *c = json_first(splits); c; c = json_next(c))
        printf("%ssplit %s: %s, %lld / %lld sessions\n",
            c == json_first(splits) ? "\n" : "", json_text(json_get(c, "name"), ""),
            json_text(json_get(c, "rule"), ""), number(c, "train"), number(c, "test"));
    printf("\nnext: %s\n      (%s)\n", json_text(json_get(j, "next"), ""),
        json_text(json_get(j, "why"), ""));
}

/* For a scheduler: what is left to do goes before what failed, so that it comes back. */
static enum status standing_as_status(const struct json *j)
{
    if (number(j, "ready") || number(j, "waiting") || number(j, "open_attempts"))
        return E_PARTIAL;
    return number(j, "failed") || number(j, "blocked") ? E_DATA : OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct store *store;
    struct json *j = NULL;
    enum status s = store_open(cli_arg(cli, 0), STORE_READ, &store, err);
    if (!s && !(s = store_run(store, err, "BEGIN", ""))) { // one snapshot
        s = build(store, &j, err);
        store_rollback(store);
    }
    store_close(store);
    if (!s && cli_flag(cli, "json"))
        s = cli_print_json(j, err);
    else if (!s)
        print_status(j);
    if (!s && cli_flag(cli, "exit-code"))
        s = standing_as_status(j);
    json_free(j);
    return s;
}

static const struct cli_option options[] = {
    { "json", NULL, "print it as JSON" },
    { "exit-code", NULL,
        "exit with 0: all calls done, 3: some are open, 1: none is open, some failed" },
    { NULL, NULL, NULL },
};

const struct verb verb_status = {
    .name = "status",
    .stage = STAGE_CURATE,
    .args = "STORE",
    .min_args = 1,
    .max_args = 1,
    .summary = "what is planned, done, failed and spent, and what to do next",
    .help =
        "Shows where STORE stands: calls by purpose and llm, money spent, failures by\n"
        "class, the share of simulated answers, frozen splits, and the next command. It\n"
        "only reads, so it works while a collector runs.\n\n"
        "Known money is what the answers cost by the price rows. Reserved is the most "
        "that\n"
        "requests with an unknown outcome may have cost; it counts against a spending "
        "cap.\n"
        "A call that failed for good ends its dialogue; what comes after it is "
        "blocked.\n\n"
        "  m4a1 status kitchen.m4a1\n"
        "  m4a1 status kitchen.m4a1 --json | jq .failures\n"
        "  while m4a1 status kitchen.m4a1 --exit-code >/dev/null; [ $? -eq 3 ]; do\n"
        "      m4a1 collect kitchen.m4a1 --for 1h; [ $? -eq 3 ] || break; sleep 60; "
        "done\n"
        "          go on while calls are open: until collect is done, refused or "
        "stopped\n",
    .options = options,
    .run = run,
};
