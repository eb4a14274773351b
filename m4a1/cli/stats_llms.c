/* stats_llms.c - see stats_llms.h. */
#include "m4a1/cli/stats_llms.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/rows.h"
#include "schema/query.h"

/* ---- order ---- */

static size_t find_name(const struct dataset *data, const char *name)
{
    size_t i = 0;
    while (i < data->n_llms && !text_equal(data->llms[i].name, name))
        i++;
    return i;
}

static enum status order_of_store(const struct dataset *data, char *is_listed,
    size_t *order, size_t *n, struct error *err)
{
    struct store *store;
    struct query *q;
    enum status s = store_open(data->source, STORE_READ, &store, err);
    if (s)
        return s;
    s = query_open(store, "SELECT name FROM llm ORDER BY llm_id", &q, err);
    if (!s)
        query_bind(q, "");
    while (!s && !(s = query_next(q, err)) && query_has_row(q)) {
        size_t i = find_name(data, query_text(q, 0));
        if (i == data->n_llms || is_listed[i])
            continue;
        is_listed[i] = 1;
        order[(*n)++] = i;
    }
    query_close(q);
    store_close(store);
    return s;
}

enum status stats_llm_order(const struct dataset *data, size_t **out, struct error *err)
{
    size_t n = 0;
    char *is_listed = calloc(data->n_llms + 1, 1);
    *out = calloc(data->n_llms + 1, sizeof **out);
    enum status s = *out && is_listed ? OK : error_nomem(err, data->n_llms);
    if (!s && store_is_database(data->source))
        s = order_of_store(data, is_listed, *out, &n, err);
    for (size_t i = 0; i < data->n_llms && !s; i++)
        if (!is_listed[i])
            (*out)[n++] = i;
    free(is_listed);
    if (s) {
        free(*out);
        *out = NULL;
    }
    return s;
}

/* ---- cost ---- */

static const char sql_cost[] =
    "SELECT l.name, l.role, count(r.response_id), count(p.cost_pusd),"
    " avg(p.cost_pusd) / 1e12, sum(p.cost_pusd) / 1e12, sum(p.energy_pusd) / 1e12,"
    " (SELECT count(*) FROM attempt a JOIN call d USING (call_id) WHERE d.llm_id ="
    "  l.llm_id), (SELECT sum(counted_pusd) / 1e12 FROM attempt_cost a JOIN call d USING"
    "  (call_id) WHERE d.llm_id = l.llm_id)"
    " FROM llm l LEFT JOIN call c USING (llm_id) LEFT JOIN response r ON r.call_id ="
    " c.call_id AND r.attempt_id IS NOT NULL LEFT JOIN response_cost p USING "
    "(response_id)"
    " GROUP BY l.llm_id HAVING count(c.call_id) ORDER BY l.llm_id";

static double figure(const struct query *q, int column)
{
    return query_is_null(q, column) ? NAN : query_double(q, column);
}

static void set_row(struct json_keeper *k, struct json *row, const struct query *q)
{
    json_keep(k, json_set_text(row, "llm", query_text(q, 0)));
    json_keep(k, json_set_text(row, "role", query_text(q, 1)));
    json_keep(k, json_set_int(row, "attempts", query_int(q, 7)));
    json_keep(k, json_set_int(row, "answers", query_int(q, 2)));
    json_keep(k, json_set_int(row, "n_cost", query_int(q, 3)));
    json_keep_figure(k, row, "cost_usd", figure(q, 4));
    json_keep_figure(k, row, "cost_sum_usd", figure(q, 5));
    json_keep_figure(k, row, "energy_sum_usd", figure(q, 6));
    json_keep_figure(k, row, "against_cap_usd", figure(q, 8));
}

static enum status add_rows(
    struct store *store, struct json_keeper *k, struct json *root, struct error *err)
{
    struct query *q;
    int64_t attempts = 0, answers = 0, priced = 0;
    double sum = 0, energy = 0, counted = 0;
    enum status s = query_open(store, sql_cost, &q, err);
    if (s)
        return s;
    query_bind(q, "");
    struct json *list = json_keep(k, json_set_array(root, "all_calls"));
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        set_row(k, json_keep(k, json_add_object(list)), q);
        answers += query_int(q, 2);
        priced += query_int(q, 3);
        sum += query_double(q, 5);
        energy += query_double(q, 6);
        attempts += query_int(q, 7);
        counted += query_double(q, 8);
    }
    query_close(q);
    struct json *total = json_keep(k, json_set_object(root, "total"));
    json_keep(k, json_set_int(total, "attempts", attempts));
    json_keep(k, json_set_int(total, "answers", answers));
    json_keep(k, json_set_int(total, "n_cost", priced));
    json_keep(k, json_set_number(total, "cost_sum_usd", sum));
    json_keep_figure(k, total, "energy_sum_usd", energy > 0 ? energy : NAN);
    json_keep(k, json_set_number(total, "against_cap_usd", counted));
    return s;
}

enum status stats_add_cost(
    const char *data, struct json_keeper *k, struct json *root, struct error *err)
{
    struct store *store;
    if (!store_is_database(data))
        return OK;
    enum status s = store_open(data, STORE_READ, &store, err);
    if (s)
        return s;
    if (!(s = store_run(store, err, "BEGIN", ""))) { // one snapshot
        s = add_rows(store, k, root, err);
        store_rollback(store);
    }
    store_close(store);
    return s;
}

void stats_print_cost(const struct json *root)
{
    static const struct rows_head heads[] = { { "llm", "llm", 't' },
        { "role", "role", 't' }, { "attempts", "attempts", 'i' },
        { "answers", "answers", 'i' }, { "priced", "n_cost", 'i' },
        { "mean USD", "cost_usd", 'u' }, { "sum USD", "cost_sum_usd", 'u' },
        { "electricity", "energy_sum_usd", 'u' },
        { "against caps", "against_cap_usd", 'u' } };
    char cells[ROWS_MAX_COLUMNS][ROWS_CELL] = { "" };
    const struct json *list = json_get(root, "all_calls"),
                      *total = json_get(root, "total");
    if (!json_size(list))
        return;
    struct table *t = table_new(COUNT_OF(heads));
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        snprintf(cells[i], sizeof cells[i], "%s", heads[i].title);
    rows_add(t, cells);
    for (const struct json *row = json_first(list);; row = json_next(row)) {
        for (size_t i = 0; i < COUNT_OF(heads); i++)
            rows_format(json_get(row ? row : total, heads[i].key), heads[i].type,
                cells[i], sizeof cells[i]);
        if (!row) {
            snprintf(cells[0], sizeof cells[0], "total");
            snprintf(cells[5], sizeof cells[5], "-");
        }
        rows_add(t, cells);
        if (!row)
            break;
    }
    printf("\nall calls, references and judges too (against caps: what was answered, and "
           "what is held back for\nattempts that may have been billed)\n");
    table_print(t);
    table_free(t);
}
