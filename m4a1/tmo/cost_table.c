/* cost_table.c - reading and writing cost tables; profiles become tables. */
#include "m4a1/tmo/cost_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "export/json_keep.h"
#include "m4a1/base/text.h"

#define FILE_MAX ((size_t)64 << 20)
#define ROWS_MAX 1000
#define N_MAX (INT64_C(1) << 40) /* answers of an action */
#define PROFILE "m4a1_cost_profile"
#define TABLE "m4a1_cost_table"

const char *const cost_timing_names[N_TIMINGS] = { "any", "isolated", "loaded" };
const char *const cost_quantile_names[N_QUANTILES] = { "p50", "p90", "p99" };
const double cost_quantile_shares[N_QUANTILES] = { 0.5, 0.9, 0.99 };

const struct cost_row *cost_table_find(const struct cost_table *table, const char *llm)
{
    for (size_t i = 0; i < table->n_rows; i++)
        if (strcmp(table->rows[i].llm, llm) == 0)
            return &table->rows[i];
    return NULL;
}

void cost_table_free(struct cost_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n_rows; i++)
        free(table->rows[i].llm);
    free(table->rows);
    free(table);
}

/* A new row of which nothing is known; NULL = no memory. */
static struct cost_row *add_row(struct cost_table *table, const char *llm)
{
    struct cost_row *rows =
        realloc(table->rows, (table->n_rows + 1) * sizeof *table->rows);
    if (!rows)
        return NULL;
    table->rows = rows;
    struct cost_row *row = &rows[table->n_rows];
    memset(row, 0, sizeof *row);
    for (size_t i = 0; i < COST_CELLS; i++)
        row->latency_s[i] = row->usage_usd[i] = row->latency_reserve_s[i] =
            row->usage_reserve_usd[i] = NAN;
    row->llm = text_copy(llm);
    if (!row->llm)
        return NULL;
    table->n_rows++;
    return row;
}

enum status cost_table_copy(
    const struct cost_table *from, struct cost_table **out, struct error *err)
{
    struct cost_table *table = *out = calloc(1, sizeof *table);
    if (!table)
        return error_nomem(err, sizeof *table);
    for (size_t i = 0; i < from->n_rows; i++) {
        struct cost_row *row = add_row(table, from->rows[i].llm);
        if (!row) {
            cost_table_free(table);
            *out = NULL;
            return error_nomem(err, sizeof *row);
        }
        char *llm = row->llm;
        *row = from->rows[i];
        row->llm = llm;
    }
    return OK;
}

/* ---- the table's own form ---- */

/* The members of a row, in the order of the file. */
struct figure {
    const char *key;
    size_t at; /* offset of its COST_CELLS doubles */
    int must;  /* a table without it is refused */
};

static const struct figure figures[] = {
    { "latency_s", offsetof(struct cost_row, latency_s), 1 },
    { "usage_usd", offsetof(struct cost_row, usage_usd), 1 },
    { "latency_reserve_s", offsetof(struct cost_row, latency_reserve_s), 0 },
    { "usage_reserve_usd", offsetof(struct cost_row, usage_reserve_usd), 0 },
};

static double *figure_of(struct cost_row *row, const struct figure *figure)
{
    return (double *)(void *)((char *)row + figure->at);
}

static int is_cost(double x)
{
    return x >= 0 && x <= COST_MAX;
}

static enum status parse_list(const struct json *list, const char *name, const char *llm,
    const struct figure *figure, double *out, struct error *err)
{
    if (!list && !figure->must)
        return OK;
    if (!json_is_array(list) || !json_size(list) || json_size(list) > COST_CELLS)
        return error_set(err, E_DATA,
            "%s: llms.%s.%s: expected a list of 1 to %d numbers, one for each number of "
            "views from 0 on",
            name, llm, figure->key, COST_CELLS);
    for (const struct json *j = json_first(list); j; j = json_next(j), out++) {
        if (json_is_null(j))
            continue;
        if (!json_is_number(j) || !is_cost(json_number(j, -1)))
            return error_set(err, E_DATA,
                "%s: llms.%s.%s: a number from 0 to %g, or null where it is not known, "
                "is expected of each number of views",
                name, llm, figure->key, COST_MAX);
        *out = json_number(j, 0);
    }
    return OK;
}

static enum status check_members(
    const struct json *one, const char *name, struct error *err)
{
    if (!json_is_object(one))
        return error_set(err, E_DATA,
            "%s: llms.%s: expected an object, {\"latency_s\": [...], \"usage_usd\": "
            "[...]}",
            name, json_key(one));
    for (const struct json *j = json_first(one); j; j = json_next(j)) {
        size_t i = 0;
        while (i < COUNT_OF(figures) && strcmp(figures[i].key, json_key(j)) != 0)
            i++;
        if (i == COUNT_OF(figures) && strcmp(json_key(j), "n") != 0)
            return error_set(err, E_DATA,
                "%s: llms.%s: unknown member \"%s\"; there are latency_s, usage_usd, "
                "latency_reserve_s, usage_reserve_usd and n",
                name, json_key(one), json_key(j));
    }
    return OK;
}

static enum status parse_row(
    struct cost_table *table, const struct json *one, const char *name, struct error *err)
{
    struct cost_row *row = add_row(table, json_key(one));
    if (!row)
        return error_nomem(err, sizeof *row);
    enum status s = check_members(one, name, err);
    for (size_t i = 0; i < COUNT_OF(figures) && !s; i++)
        s = parse_list(json_get(one, figures[i].key), name, row->llm, &figures[i],
            figure_of(row, &figures[i]), err);
    size_t at = 0;
    for (const struct json *j = json_first(json_get(one, "n")); j && at < COST_CELLS;
         j = json_next(j))
        row->n[at++] = json_int(j, 0);
    return s;
}

enum status cost_table_parse(
    const struct json *root, const char *name, struct cost_table **out, struct error *err)
{
    const struct json *llms = json_get(root, "llms");
    *out = NULL;
    if (json_int(json_get(root, TABLE), -1) != 1)
        return error_set(err, E_DATA,
            "%s: expected \"" TABLE "\": 1; this m4a1 reads version 1 of cost tables",
            name);
    if (!json_is_object(llms) || !json_size(llms) || json_size(llms) > ROWS_MAX)
        return error_set(err, E_DATA,
            "%s: llms: expected an object with one member an llm, each {\"latency_s\": "
            "[...], \"usage_usd\": [...]}",
            name);
    struct cost_table *table = calloc(1, sizeof *table);
    enum status s = table ? OK : error_nomem(err, sizeof *table);
    for (const struct json *j = json_first(llms); j && !s; j = json_next(j))
        s = parse_row(table, j, name, err);
    if (s)
        cost_table_free(table);
    else
        *out = table;
    return s;
}

static void describe_figure(struct json_keeper *k, struct json *object,
    const struct figure *figure, const double *x)
{
    size_t n = COST_CELLS;
    while (n && isnan(x[n - 1]))
        n--;
    if (!n && !figure->must)
        return;
    struct json *list = json_keep(k, json_set_array(object, figure->key));
    for (size_t i = 0; i < (n ? n : 1); i++)
        json_keep(k, isnan(x[i]) ? json_add_null(list) : json_add_number(list, x[i]));
}

enum status cost_table_describe(
    const struct cost_table *table, struct json *object, struct error *err)
{
    struct json_keeper k = { 1 };
    json_keep(&k, json_set_int(object, TABLE, 1));
    struct json *llms = json_keep(&k, json_set_object(object, "llms"));
    for (size_t r = 0; r < table->n_rows; r++) {
        struct cost_row *row = &table->rows[r];
        struct json *one = json_keep(&k, json_set_object(llms, row->llm));
        size_t n = COST_CELLS;
        for (size_t i = 0; i < COUNT_OF(figures); i++)
            describe_figure(&k, one, &figures[i], figure_of(row, &figures[i]));
        while (n && !row->n[n - 1])
            n--;
        struct json *counts = n ? json_keep(&k, json_set_array(one, "n")) : NULL;
        for (size_t i = 0; i < n; i++)
            json_keep(&k, json_add_int(counts, row->n[i]));
    }
    return k.ok ? OK : error_nomem(err, table->n_rows * sizeof *table->rows);
}

/* ---- measured profiles ---- */

/* Sums of one cell over the profile's rows, which are one action each. */
struct sums {
    double latency_s, usage_usd, energy_usd; /* weighted by their counts */
    double n, n_usage, n_energy;
    double latency_high_s, usage_high_usd; /* greatest quantiles; NAN = none */
};

static const char *text_of(const struct json *row, const char *key)
{
    return json_text(json_get(row, key), "");
}

static int has_timing(const struct json *actions, const char *llm, const char *timing)
{
    for (const struct json *j = json_first(actions); j; j = json_next(j))
        if (strcmp(text_of(j, "llm"), llm) == 0 &&
            strcmp(text_of(j, "timing"), timing) == 0)
            return 1;
    return 0;
}

/* True for a local llm that was never shown a view: whatever the dialogue holds, it sees
 * none of it. */
static int sees_nothing(const struct json *actions, const char *llm)
{
    for (const struct json *j = json_first(actions); j; j = json_next(j))
        if (strcmp(text_of(j, "llm"), llm) == 0 &&
            (strcmp(text_of(j, "role"), "local") != 0 ||
                json_size(json_get(j, "views_added"))))
            return 0;
    return 1;
}

static void raise_to(double *high, double x)
{
    if (!isnan(x) && (isnan(*high) || x > *high))
        *high = x;
}

static void add_sums(struct sums *sums, const struct json *row, const char *quantile)
{
    char key[32];
    double n = json_number(json_get(row, "n"), 0);
    double n_usage = json_number(json_get(row, "n_cost"), 0);
    double usd = json_number(json_get(row, "cost_mean_usd"), NAN);
    double energy = json_number(json_get(row, "energy_mean_usd"), NAN);
    sums->n += n;
    sums->latency_s += n * json_number(json_get(row, "mean_s"), NAN);
    if (!isnan(usd)) {
        sums->n_usage += n_usage;
        sums->usage_usd += n_usage * usd;
    }
    if (!isnan(energy)) {
        sums->n_energy += n;
        sums->energy_usd += n * energy;
    }
    snprintf(key, sizeof key, "%s_s", quantile);
    raise_to(&sums->latency_high_s, json_number(json_get(row, key), NAN));
    snprintf(key, sizeof key, "cost_%s_usd", quantile);
    raise_to(&sums->usage_high_usd, json_number(json_get(row, key), NAN));
}

static enum status set_cell(struct cost_row *row, size_t at, const struct sums *sums,
    const char *path, struct error *err)
{
    double usage = 0;
    if (sums->n_usage <= 0 && sums->n_energy <= 0)
        return error_set(err, E_DATA,
            "%s: the answers of llm \"%s\" have no price, so their USD are not known; "
            "give prices in the recipe (m4a1 rederive STORE --prices FILE) and write "
            "the profile again, or give a table",
            path, row->llm);
    if (sums->n_usage > 0)
        usage = sums->usage_usd / sums->n_usage;
    double energy = sums->n_energy > 0 ? sums->energy_usd / sums->n_energy : 0;
    row->n[at] = (int64_t)sums->n;
    row->latency_s[at] = sums->latency_s / sums->n;
    row->usage_usd[at] = usage + energy;
    row->latency_reserve_s[at] = sums->latency_high_s;
    row->usage_reserve_usd[at] = sums->usage_high_usd + energy;
    if (is_cost(row->latency_s[at]) && is_cost(row->usage_usd[at]) &&
        (isnan(row->latency_reserve_s[at]) || is_cost(row->latency_reserve_s[at])) &&
        (isnan(row->usage_reserve_usd[at]) || is_cost(row->usage_reserve_usd[at])))
        return OK;
    return error_set(err, E_DATA,
        "%s: the seconds and USD of llm \"%s\" have to lie from 0 to %g; write the "
        "profile again with m4a1 stats latency STORE --profile FILE",
        path, row->llm, COST_MAX);
}

/* The rows of one llm with one timing, added up by views in context. */
static enum status take_llm(const struct json *actions, const char *path, const char *llm,
    const char *timing, const char *quantile, struct cost_table *table, struct error *err)
{
    struct sums sums[COST_CELLS] = { { 0 } };
    int is_blind = sees_nothing(actions, llm);
    for (size_t i = 0; i < COST_CELLS; i++)
        sums[i].latency_high_s = sums[i].usage_high_usd = NAN;
    for (const struct json *j = json_first(actions); j; j = json_next(j)) {
        if (strcmp(text_of(j, "llm"), llm) != 0 ||
            strcmp(text_of(j, "timing"), timing) != 0)
            continue;
        int64_t n = json_int(json_get(j, "n_context"), -1);
        int64_t n_answers = json_int(json_get(j, "n"), 0);
        if (n < 0 || n >= COST_CELLS || n_answers <= 0 || n_answers > N_MAX ||
            !is_cost(json_number(json_get(j, "mean_s"), NAN)))
            return error_set(err, E_DATA,
                "%s: a row of llm \"%s\" lacks n_context (0 to %d), n or mean_s; write "
                "the profile again with m4a1 stats latency STORE --profile FILE",
                path, llm, COST_CELLS - 1);
        add_sums(&sums[is_blind ? 0 : n], j, quantile);
    }
    struct cost_row *row = add_row(table, llm);
    enum status s = row ? OK : error_nomem(err, sizeof *row);
    for (size_t i = 0; i < COST_CELLS && !s; i++)
        if (sums[i].n > 0)
            s = set_cell(row, i, &sums[i], path, err);
    return s;
}

static enum status from_profile(const struct json *root, const char *path,
    enum cost_timing timing, enum cost_quantile quantile, struct cost_table *table,
    struct error *err)
{
    const struct json *actions = json_get(root, "actions");
    enum status s = OK;
    if (!json_is_array(actions) || !json_size(actions))
        return error_set(err, E_DATA,
            "%s: actions: expected a list of measured actions; m4a1 collect asks for "
            "answers, and m4a1 stats latency STORE --profile FILE writes it",
            path);
    for (const struct json *j = json_first(actions); j && !s; j = json_next(j)) {
        const char *llm = text_of(j, "llm"), *of = cost_timing_names[timing];
        if (cost_table_find(table, llm))
            continue;
        if (timing == TIMING_ANY)
            of = has_timing(actions, llm, "isolated") ? "isolated" : "loaded";
        else if (!has_timing(actions, llm, of))
            continue;
        if (table->n_rows >= ROWS_MAX)
            return error_set(err, E_DATA, "%s: more than %d llms", path, ROWS_MAX);
        s = take_llm(actions, path, llm, of, cost_quantile_names[quantile], table, err);
    }
    if (!s && !table->n_rows)
        s = error_set(err, E_DATA,
            "%s: no answer was measured with %s timing; take the other, or any", path,
            cost_timing_names[timing]);
    return s;
}

enum status cost_table_read(const char *path, enum cost_timing timing,
    enum cost_quantile quantile, struct cost_table **out, struct error *err)
{
    struct json *root;
    *out = NULL;
    enum status s = json_read_file(path, FILE_MAX, JSON_UNIQUE_KEYS, &root, err);
    if (s)
        return s;
    if (json_get(root, TABLE)) {
        s = cost_table_parse(root, path, out, err);
    } else if (json_int(json_get(root, PROFILE), -1) == 1) {
        struct cost_table *table = calloc(1, sizeof *table);
        s = table ? from_profile(root, path, timing, quantile, table, err)
                  : error_nomem(err, sizeof *table);
        if (s)
            cost_table_free(table);
        else
            *out = table;
    } else {
        s = error_set(err, E_DATA,
            "%s is no cost file: expected \"" PROFILE "\": 1 (m4a1 stats latency STORE "
            "--profile FILE writes one) or \"" TABLE "\": 1",
            path);
    }
    json_free(root);
    return s;
}
