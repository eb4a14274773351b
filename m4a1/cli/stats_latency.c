/* stats_latency.c - see stats_latency.h.
 *
 * Rows of the view latency, sorted by group; each group's figures are quantiles over its
 * rows (type 7, as numpy has them).  No group mixes two timings or two phases. */
#include "m4a1/cli/stats_latency.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/json_keep.h"
#include "m4a1/base/stats.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "schema/store.h"

#define MAX_PROFILE (64u << 20)

/* Columns of the SELECT: those of the group first. */
enum column {
    LLM,
    ROLE,
    TIMING,
    PHASE,
    ADDED,
    CONTEXT,
    MASK,
    LATENCY,
    FIRST_TOKEN,
    UPLOAD,
    SERVER,
    LAG,
    IN_FLIGHT,
    REUSED,
    CACHED,
    PROMPT,
    COST,
    ENERGY,
    SIMULATED
};

/* Whether a server tells of its cache: counts are 0 where it says nothing, but a share of
 * 0 % would be made up.  Gemini alone leaves out what is 0. */
#define TELLS_OF_CACHE "(y.usage LIKE '%cache%' OR l.protocol = 'gemini')"
#define ROWS                                                                             \
    " x.latency_s, x.first_token_s, x.upload_s, x.server_s, x.loop_lag_s, x.in_flight,"  \
    " x.reused, iif(" TELLS_OF_CACHE ", x.cache_read_tokens, NULL), x.prompt_tokens,"    \
    " (SELECT cost_pusd FROM response_cost p WHERE p.response_id = x.response_id),"      \
    " (SELECT energy_pusd FROM response_cost p WHERE p.response_id = x.response_id),"    \
    " x.simulated FROM latency x JOIN call c USING (call_id) JOIN llm l USING (llm_id)"  \
    " JOIN response y ON y.response_id = x.response_id"

#define OF_LLM " WHERE (?1 IS NULL OR x.llm = ?1)"

/* What NULLs are in a group's columns is pooled. */
static const char by_llm[] =
    "SELECT x.llm, x.role, x.timing, x.phase, NULL, NULL, NULL," ROWS OF_LLM
    " ORDER BY c.llm_id, x.timing DESC, x.phase";
static const char by_views[] =
    "SELECT x.llm, x.role, x.timing, x.phase, x.n_added, x.n_context, NULL," ROWS OF_LLM
    " ORDER BY c.llm_id, x.timing DESC, x.phase, x.n_context, x.n_added";
static const char by_action[] =
    "SELECT x.llm, x.role, x.timing, x.phase, x.n_added, x.n_context, c.views_added," ROWS
        OF_LLM " AND x.phase = 'steady'"
    " ORDER BY c.llm_id, x.timing DESC, c.views_added, x.n_context";

/* A figure's values in one group; a row without the figure adds none. */
struct values {
    double *x;
    size_t n, size;
};

enum { V_LATENCY, V_FIRST, V_UPLOAD, V_SERVER, V_LAG, V_COST, V_ENERGY, N_VALUES };
static const enum column column_of[N_VALUES] = { LATENCY, FIRST_TOKEN, UPLOAD, SERVER,
    LAG, COST, ENERGY };

struct group {
    char *llm, *role, *timing, *phase;
    int64_t added, context, mask; /* -1 = pooled */
    int64_t n, in_flight, reused, cached, prompt, simulated;
    struct values values[N_VALUES];
};

struct reading {
    struct json_keeper kept;
    struct json *list;
    struct group group;
    struct store *store;
    int with_action;
    int64_t min_n, n_left_out; /* groups with fewer answers */
};

/* What is asked for. */
struct wish {
    const char *llm; /* NULL = all */
    int64_t min_n;
};

/* ---- one group ------------------------------------------------------------------ */

static void clear(struct group *g)
{
    free(g->llm);
    free(g->role);
    free(g->timing);
    free(g->phase);
    g->llm = g->role = g->timing = g->phase = NULL;
    g->n = g->in_flight = g->reused = g->cached = g->prompt = g->simulated = 0;
    for (size_t i = 0; i < N_VALUES; i++)
        g->values[i].n = 0;
}

static void release(struct group *g)
{
    clear(g);
    for (size_t i = 0; i < N_VALUES; i++)
        free(g->values[i].x);
}

static int64_t int_or_pooled(const struct query *q, enum column c)
{
    return query_is_null(q, (int)c) ? -1 : query_int(q, (int)c);
}

static int is_of(const struct group *g, const struct query *q)
{
    return g->n && text_equal(g->llm, query_text(q, LLM)) &&
           text_equal(g->timing, query_text(q, TIMING)) &&
           text_equal(g->phase, query_text(q, PHASE)) &&
           g->added == int_or_pooled(q, ADDED) &&
           g->context == int_or_pooled(q, CONTEXT) && g->mask == int_or_pooled(q, MASK);
}

static int add_value(struct values *v, double x)
{
    if (v->n == v->size) {
        size_t size = v->size ? 2 * v->size : 64;
        double *more = realloc(v->x, size * sizeof *more);
        if (!more)
            return 0;
        v->x = more;
        v->size = size;
    }
    v->x[v->n++] = x;
    return 1;
}

static enum status add_row(struct group *g, const struct query *q, struct error *err)
{
    if (!g->n) {
        g->llm = text_copy(query_text(q, LLM));
        g->role = text_copy(query_text(q, ROLE));
        g->timing = text_copy(query_text(q, TIMING));
        g->phase = text_copy(query_text(q, PHASE));
        g->added = int_or_pooled(q, ADDED);
        g->context = int_or_pooled(q, CONTEXT);
        g->mask = int_or_pooled(q, MASK);
    }
    int ok = g->llm && g->role && g->timing && g->phase;
    g->n++;
    g->in_flight += query_int(q, IN_FLIGHT);
    g->reused += query_int(q, REUSED);
    g->simulated += query_int(q, SIMULATED);
    if (!query_is_null(q, CACHED) && !query_is_null(q, PROMPT)) {
        g->cached += query_int(q, CACHED);
        g->prompt += query_int(q, PROMPT);
    }
    for (size_t i = 0; ok && i < N_VALUES; i++)
        if (!query_is_null(q, (int)column_of[i]))
            ok = add_value(&g->values[i], query_double(q, (int)column_of[i]));
    return ok ? OK : error_nomem(err, 1);
}

/* NULL where fewer than one value is expected behind the quantile: of so few it is not a
 * quantile, but the largest of them. */
static void set_quantile(
    struct reading *r, struct json *row, const char *key, int v, double q)
{
    struct values *x = &r->group.values[v];
    int is_known = (double)x->n * (1 - q) > 0.999 || q <= 0.5;
    json_keep_figure(&r->kept, row, key, is_known ? stats_quantile(x->x, x->n, q) : NAN);
}

static void set_share(
    struct reading *r, struct json *row, const char *key, int64_t n, int64_t of)
{
    json_keep_figure(&r->kept, row, key, of ? (double)n / (double)of : NAN);
}

/* A quantile of USD, known where one of seconds would be. */
static void set_usd_quantile(
    struct reading *r, struct json *row, const char *key, double q)
{
    struct values *x = &r->group.values[V_COST];
    int is_known = x->n && ((double)x->n * (1 - q) > 0.999 || q <= 0.5);
    json_keep_figure(
        &r->kept, row, key, is_known ? stats_quantile(x->x, x->n, q) / 1e12 : NAN);
}

static double mean_usd(const struct values *v)
{
    return v->n ? stats_mean(v->x, v->n) / 1e12 : NAN;
}

static void set_seconds(struct reading *r, struct json *row)
{
    set_quantile(r, row, "p50_s", V_LATENCY, 0.5);
    set_quantile(r, row, "p90_s", V_LATENCY, 0.9);
    set_quantile(r, row, "p99_s", V_LATENCY, 0.99);
    json_keep_figure(&r->kept, row, "mean_s",
        stats_mean(r->group.values[V_LATENCY].x, r->group.values[V_LATENCY].n));
    set_quantile(r, row, "first_token_p50_s", V_FIRST, 0.5);
    set_quantile(r, row, "upload_p50_s", V_UPLOAD, 0.5);
    set_quantile(r, row, "server_p50_s", V_SERVER, 0.5);
    set_quantile(r, row, "loop_lag_p99_s", V_LAG, 0.99);
}

/* The names of the views of an action. */
static enum status set_views(struct reading *r, struct json *row, struct error *err)
{
    struct query *q = NULL;
    struct json *list = json_keep(&r->kept, json_set_array(row, "views_added"));
    enum status s = query_open(r->store,
        "SELECT name FROM view WHERE (? >> position) & 1 ORDER BY position", &q, err);
    if (s)
        return s;
    query_bind(q, "i", r->group.mask);
    while (!(s = query_next(q, err)) && query_has_row(q))
        json_keep(&r->kept, json_add_text(list, query_text(q, 0)));
    query_close(q);
    return s;
}

static enum status end_group(struct reading *r, struct error *err)
{
    struct group *g = &r->group;
    enum status s = OK;
    if (!g->n)
        return OK;
    if (g->n < r->min_n) {
        r->n_left_out++;
        clear(g);
        return OK;
    }
    struct json *row = json_keep(&r->kept, json_add_object(r->list));
    json_keep(&r->kept, json_set_text(row, "llm", g->llm));
    json_keep(&r->kept, json_set_text(row, "role", g->role));
    json_keep(&r->kept, json_set_text(row, "timing", g->timing));
    json_keep(&r->kept, json_set_text(row, "phase", g->phase));
    if (r->with_action)
        s = set_views(r, row, err);
    else if (g->added >= 0)
        json_keep(&r->kept, json_set_int(row, "n_added", g->added));
    if (g->context >= 0)
        json_keep(&r->kept, json_set_int(row, "n_context", g->context));
    json_keep(&r->kept, json_set_int(row, "n", g->n));
    set_seconds(r, row);
    set_share(r, row, "in_flight_mean", g->in_flight, g->n);
    set_share(r, row, "reused_share", g->reused, g->n);
    set_share(r, row, "cached_share", g->cached, g->prompt);
    json_keep_figure(&r->kept, row, "cost_mean_usd", mean_usd(&g->values[V_COST]));
    set_usd_quantile(r, row, "cost_p50_usd", 0.5);
    set_usd_quantile(r, row, "cost_p90_usd", 0.9);
    set_usd_quantile(r, row, "cost_p99_usd", 0.99);
    json_keep_figure(&r->kept, row, "energy_mean_usd", mean_usd(&g->values[V_ENERGY]));
    json_keep(&r->kept, json_set_int(row, "n_cost", (int64_t)g->values[V_COST].n));
    json_keep(&r->kept, json_set_int(row, "n_simulated", g->simulated));
    clear(g);
    return s;
}

static enum status read_groups(struct store *store, const char *sql, struct json *list,
    int with_action, const struct wish *wish, int64_t *n_left_out, struct error *err)
{
    struct reading r = { .kept = { 1 },
        .list = list,
        .store = store,
        .with_action = with_action,
        .min_n = wish->min_n };
    struct query *q = NULL;
    enum status s = query_open(store, sql, &q, err);
    if (s)
        return s;
    query_bind(q, "t", wish->llm);
    while (!s && !(s = query_next(q, err)) && query_has_row(q)) {
        if (!is_of(&r.group, q))
            s = end_group(&r, err);
        if (!s)
            s = add_row(&r.group, q, err);
    }
    if (!s)
        s = end_group(&r, err);
    query_close(q);
    release(&r.group);
    *n_left_out += r.n_left_out;
    return s || (list && r.kept.ok) ? s : error_nomem(err, 1);
}

/* ---- for people ----------------------------------------------------------------- */

static const char *cell(
    const struct json *row, const char *key, const char *format, char buf[32])
{
    double x = json_number(json_get(row, key), NAN);
    if (isnan(x))
        snprintf(buf, 32, "-");
    else if (*format == '%')
        snprintf(buf, 32, "%.0f %%", 100 * x);
    else if (*format == 'i')
        snprintf(buf, 32, "%.0f", x);
    else
        snprintf(buf, 32, "%.3f", x);
    return buf;
}

static void print_groups(const char *title, const struct json *list, int with_views)
{
    char c[10][32];
    if (!json_size(list))
        return;
    struct table *t = table_new(with_views ? 12 : 10);
    printf("\n%s\n", title);
    if (with_views)
        table_row(t, "llm", "timing", "phase", "added", "in context", "n", "p50", "p90",
            "p99", "first token", "at once", "cached");
    else
        table_row(t, "llm", "timing", "phase", "n", "p50", "p90", "p99", "first token",
            "at once", "cached");
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        const char *llm = json_text(json_get(j, "llm"), "");
        const char *timing = json_text(json_get(j, "timing"), "");
        const char *phase = json_text(json_get(j, "phase"), "");
        cell(j, "n", "i", c[0]);
        cell(j, "p50_s", "s", c[1]);
        cell(j, "p90_s", "s", c[2]);
        cell(j, "p99_s", "s", c[3]);
        cell(j, "first_token_p50_s", "s", c[4]);
        cell(j, "in_flight_mean", "i", c[5]);
        cell(j, "cached_share", "%", c[6]);
        cell(j, "n_added", "i", c[7]);
        cell(j, "n_context", "i", c[8]);
        if (with_views)
            table_row(t, llm, timing, phase, c[7], c[8], c[0], c[1], c[2], c[3], c[4],
                c[5], c[6]);
        else
            table_row(t, llm, timing, phase, c[0], c[1], c[2], c[3], c[4], c[5], c[6]);
    }
    table_print(t);
    table_free(t);
}

static void print_all(const struct json *root)
{
    int64_t n = 0, simulated = 0;
    for (const struct json *j = json_first(json_get(root, "llms")); j; j = json_next(j)) {
        n += json_int(json_get(j, "n"), 0);
        simulated += json_int(json_get(j, "n_simulated"), 0);
    }
    long long left_out = (long long)json_int(json_get(root, "rows_left_out"), 0);
    const char *data = json_text(json_get(root, "data"), "");
    if (!n && !left_out) {
        printf("%s: no answer is measured yet; m4a1 collect asks for them\n", data);
        return;
    }
    printf(
        "%s: %lld measured answer%s, %lld of them simulated; seconds from the first byte "
        "of the request to the last of the answer\n"
        "p90 is told of 10 answers or more, p99 of 100 or more\n",
        data, (long long)n, text_s(n), (long long)simulated);
    print_groups("by llm", json_get(root, "llms"), 0);
    print_groups("by views", json_get(root, "views"), 1);
    if (left_out)
        printf("\n%lld row%s with fewer answers left out (--min-n)\n", left_out,
            text_s(left_out));
}

/* ---- the profile ---------------------------------------------------------------- */

/* What a trainer needs of each action: seconds and USD, steady answers only. */
static enum status write_profile(struct store *store, const char *path, struct error *err)
{
    const struct wish all = { NULL, 1 };
    int64_t none = 0;
    struct json *root = json_new_object();
    int ok = json_set_int(root, "m4a1_cost_profile", 1) &&
             json_set_text(root, "made_by", "m4a1 " M4A1_VERSION);
    struct json *list = ok ? json_set_array(root, "actions") : NULL;
    enum status s = list ? read_groups(store, by_action, list, 1, &all, &none, err)
                         : error_nomem(err, 1);
    if (!s)
        s = cli_write_json(root, JSON_PRETTY, MAX_PROFILE, path, err);
    json_free(root);
    return s;
}

int stats_latency_applies(const char *path)
{
    struct store *store = NULL;
    int64_t any = 0;
    if (!store_is_database(path) || store_open(path, STORE_READ, &store, NULL) != OK)
        return 0;
    enum status s = store_int(store, 0, &any, NULL,
        "SELECT EXISTS (SELECT 1 FROM latency) OR NOT EXISTS (SELECT 1 FROM response)",
        "");
    store_close(store);
    return s == OK && any;
}

static enum status check_llm(struct store *store, const char *name, struct error *err)
{
    int64_t is_there = 0;
    enum status s = OK;
    if (name)
        s = store_int(store, 0, &is_there, err,
            "SELECT EXISTS (SELECT 1 FROM llm WHERE name = ?)", "t", name);
    return s || !name || is_there
               ? s
               : error_set(err, E_NOT_FOUND,
                     "the store has no llm \"%s\"; m4a1 status lists its llms", name);
}

enum status stats_latency(struct cli *cli, struct error *err)
{
    struct store *store = NULL;
    struct json *root = NULL;
    const char *profile = cli_value(cli, "profile");
    struct wish wish = { cli_value(cli, "llm"), 1 };
    int64_t left_out = 0;
    enum status s = cli_int(cli, "min-n", 1, 1, 1000000000, &wish.min_n, err);
    if (!s)
        s = store_open(cli_arg(cli, 1), STORE_READ, &store, err);
    if (!s)
        s = store_run(store, err, "BEGIN", ""); // one snapshot
    if (!s) {
        root = json_new_object();
        if (!json_set_text(root, "data", cli_arg(cli, 1)))
            s = error_nomem(err, 1);
    }
    if (!s)
        s = check_llm(store, wish.llm, err);
    if (!s)
        s = read_groups(
            store, by_llm, json_set_array(root, "llms"), 0, &wish, &left_out, err);
    if (!s)
        s = read_groups(
            store, by_views, json_set_array(root, "views"), 0, &wish, &left_out, err);
    if (!s && !json_set_int(root, "rows_left_out", left_out))
        s = error_nomem(err, 1);
    if (!s && profile)
        s = write_profile(store, profile, err);
    if (store)
        store_rollback(store);
    store_close(store);
    if (!s && cli_flag(cli, "json"))
        s = cli_print_json(root, err);
    else if (!s)
        print_all(root);
    json_free(root);
    return s;
}
