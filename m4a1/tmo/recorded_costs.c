/* recorded_costs.c - gather seconds and USD of all answers, cell by cell. */
#include "m4a1/tmo/recorded_costs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/stats.h"
#include "m4a1/base/text.h"

static const size_t least_answers[N_QUANTILES] = { 2, 10, 100 };

/* One answer of an llm of the space. */
struct spent {
    size_t n_shown;
    double latency_s, usage_usd;
};

struct gathered {
    struct spent *all; /* [n], of one llm */
    double *figures;   /* [n], of one cell */
    size_t n;
};

static void gather_one(const struct recorded *rec, size_t llm, uint32_t context,
    const struct interaction *one, struct gathered *g)
{
    if (one->llm != rec->llms[llm] || isnan(one->latency_s) || isnan(one->cost_usd))
        return;
    uint32_t shown = (context | one->views_added) & rec->space.accepts[llm];
    g->all[g->n++] = (struct spent) { space_count(shown), one->latency_s, one->cost_usd };
}

static void gather(const struct recorded *rec, size_t llm, struct gathered *g)
{
    g->n = 0;
    for (size_t i = 0; i < rec->n_sessions; i++) {
        const struct session *session = &rec->data->sessions[i];
        for (size_t t = 0; t < session->n_turns; t++) {
            const struct turn *turn = &session->turns[t];
            uint32_t context = rec->contexts[rec->sessions[i].first + t];
            gather_one(rec, llm, context, &turn->path, g);
            for (size_t f = 0; f < turn->n_fan_out; f++)
                gather_one(rec, llm, context, &turn->fan_out[f], g);
        }
    }
}

/* The mean of n figures and their quantile; NAN where there are too few for it. */
static void sum_up(
    double *x, size_t n, enum cost_quantile quantile, double *mean, double *reserve)
{
    *mean = stats_mean(x, n);
    if (n >= least_answers[quantile])
        *reserve = stats_quantile(x, n, cost_quantile_shares[quantile]);
}

static void fill_row(
    const struct gathered *g, enum cost_quantile quantile, struct cost_row *row)
{
    for (size_t k = 0; k < COST_CELLS; k++) {
        size_t n = 0;
        row->latency_s[k] = row->usage_usd[k] = NAN;
        row->latency_reserve_s[k] = row->usage_reserve_usd[k] = NAN;
        for (size_t i = 0; i < g->n; i++)
            if (g->all[i].n_shown == k)
                g->figures[n++] = g->all[i].latency_s;
        row->n[k] = (int64_t)n;
        if (!n)
            continue;
        sum_up(g->figures, n, quantile, &row->latency_s[k], &row->latency_reserve_s[k]);
        n = 0;
        for (size_t i = 0; i < g->n; i++)
            if (g->all[i].n_shown == k)
                g->figures[n++] = g->all[i].usage_usd;
        sum_up(g->figures, n, quantile, &row->usage_usd[k], &row->usage_reserve_usd[k]);
    }
}

static enum status fill(const struct recorded *rec, enum cost_quantile quantile,
    struct gathered *g, struct cost_table *table, struct error *err)
{
    for (size_t llm = 0; llm < rec->space.n_llms; llm++) {
        const char *name = rec->data->llms[rec->llms[llm]].name;
        struct cost_row *row = &table->rows[table->n_rows];
        gather(rec, llm, g);
        if (!g->n)
            return error_set(err, E_DATA,
                "%s: no answer of llm \"%s\" has seconds and USD, so nobody measured "
                "what it costs; take the published profiles or a table (--costs)",
                rec->data->source, name);
        row->llm = text_copy(name);
        if (!row->llm)
            return error_nomem(err, strlen(name));
        table->n_rows++;
        fill_row(g, quantile, row);
    }
    return OK;
}

static size_t count_answers(const struct recorded *rec)
{
    size_t n = rec->n_turns;
    for (size_t i = 0; i < rec->n_sessions; i++)
        for (size_t t = 0; t < rec->data->sessions[i].n_turns; t++)
            n += rec->data->sessions[i].turns[t].n_fan_out;
    return n;
}

enum status recorded_costs(const struct recorded *rec, enum cost_quantile quantile,
    struct cost_table **out, struct error *err)
{
    size_t n = count_answers(rec) + 1;
    struct gathered g = { .all = calloc(n, sizeof *g.all),
        .figures = calloc(n, sizeof *g.figures) };
    struct cost_table *table = *out = NULL;
    enum status s = OK;
    table = calloc(1, sizeof *table);
    if (table)
        table->rows = calloc(rec->space.n_llms, sizeof *table->rows);
    if (!g.all || !g.figures || !table || !table->rows)
        s = error_nomem(err, n * sizeof *g.all);
    else
        s = fill(rec, quantile, &g, table, err);
    free(g.all);
    free(g.figures);
    if (s)
        cost_table_free(table);
    else
        *out = table;
    return s;
}
