/* plan_estimate.c - sums the model of each llm over the calls that are planned. */
#include "collectors/plan_estimate.h"

#include <math.h>
#include <stdlib.h>

#include "collectors/cells.h"
#include "collectors/estimate_model.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define IN_FLIGHT 16.0     /* calls at once over all llms, as the engine begins with */
#define NORMAL_95 1.959964 /* two-sided 95 % */

/* Groups of calls that are alike: llm, purpose, views shown. */
static const char sql_planned[] =
    "SELECT c.llm_id, c.purpose,"
    " CASE WHEN coalesce(p.settings ->> '$.history.images', 'keep') = 'keep'"
    "  THEN c.views_context ELSE c.views_added END AS views,"
    " count(*), avg(t.position), avg(length(m.text)),"
    " sum(EXISTS (SELECT 1 FROM call r WHERE r.turn_id = c.turn_id"
    "  AND r.purpose = 'reference'))"
    " FROM call c JOIN turn t USING (turn_id) JOIN prompt m USING (prompt_id)"
    " JOIN session e USING (session_id) LEFT JOIN plan p USING (plan_id)"
    " WHERE c.call_id > ?1 AND c.text IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id)"
    " GROUP BY c.llm_id, c.purpose IN ('path', 'fan_out', 'check'), views";

enum status plan_last_call(struct store *store, int64_t *out, struct error *err)
{
    return store_int(store, 0, out, err, "SELECT max(call_id) FROM call", "");
}

/* Variances of measured llms add up; ranges of guessed ones add up as they are. */
struct sum {
    double low, high; /* beside the mean, of guesses */
    double variance;  /* of the mean, and from call to call */
};

static void add_calls(struct plan_estimate *e, const struct estimate_model *m, size_t i,
    int64_t n, int n_images, double position, double prompt_bytes, struct sum *sum)
{
    struct estimate_llm *l = &e->llms[i];
    struct estimate_call c = estimate_one(m, i, n_images, position, prompt_bytes);
    double calls = (double)n;
    l->calls += n;
    l->input_tokens += calls * c.input_tokens;
    l->output_tokens += calls * c.output_tokens;
    if (!l->is_priced)
        return;
    l->usd += calls * c.usd;
    sum[i].low += calls * (c.usd - c.usd_low);
    sum[i].high += calls * (c.usd_high - c.usd);
    sum[i].variance += calls * calls * c.usd_variance + calls * c.usd_spread;
}

static enum status add_planned(struct store *store, const struct plan_inputs *in,
    const struct estimate_model *m, int64_t last_call, struct plan_estimate *e,
    struct sum *sum, struct error *err)
{
    struct query *q;
    enum status s = query_open(store, sql_planned, &q, err);
    if (s)
        return s;
    query_bind(q, "i", last_call);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        size_t i = 0;
        while (i < in->n_llms && in->llms[i].llm_id != query_int(q, 0))
            i++;
        int64_t n = query_int(q, 3);
        if (i == in->n_llms)
            continue;
        e->calls += n;
        add_calls(e, m, i, n,
            estimate_n_images(in, &in->llms[i], (uint32_t)query_int(q, 2)),
            query_double(q, 4), query_double(q, 5), sum);
        enum llm_role role = in->llms[i].role;
        for (size_t j = 0; j < in->n_llms; j++) {
            if (in->llms[j].role != LLM_JUDGE ||
                (role != LLM_LOCAL && role != LLM_CLOUD) || !query_int(q, 6))
                continue;
            e->judgements += query_int(q, 6);
            add_calls(e, m, j, query_int(q, 6), estimate_judge_images(in, &in->llms[j]),
                query_double(q, 4), query_double(q, 5), sum);
        }
    }
    query_close(q);
    return s;
}

/* The slowest of: slots, requests a minute, tokens a minute. */
static double hours_of(const struct estimate_llm *l, const struct llm *llm)
{
    double seconds = (double)l->calls * l->latency_s / llm->slots;
    double by_requests = llm->rpm ? 60.0 * (double)l->calls / (double)llm->rpm : 0;
    double by_tokens =
        llm->tpm ? 60.0 * (l->input_tokens + l->output_tokens) / (double)llm->tpm : 0;
    return fmax(seconds, fmax(by_requests, by_tokens)) / 3600;
}

static void total(
    const struct plan_inputs *in, struct plan_estimate *e, const struct sum *sum)
{
    double low = 0, high = 0, variance = 0, busy_s = 0, dialogue = 0, judges = 0;
    for (size_t i = 0; i < e->n_llms; i++) {
        struct estimate_llm *l = &e->llms[i];
        double half = NORMAL_95 * sqrt(sum[i].variance);
        l->usd_low = fmax(0, l->usd - sum[i].low - half);
        l->usd_high = l->usd + sum[i].high + half;
        l->hours = hours_of(l, &in->llms[i]);
        e->input_tokens += l->input_tokens;
        e->output_tokens += l->output_tokens;
        e->usd += l->usd;
        low += sum[i].low;
        high += sum[i].high;
        variance += sum[i].variance;
        if (l->role == LLM_JUDGE) {
            judges = fmax(judges, l->hours);
        } else {
            dialogue = fmax(dialogue, l->hours);
            busy_s += (double)l->calls * l->latency_s;
        }
        e->n_guessed += l->calls && l->basis == BASIS_GUESSED;
        e->n_simulated += l->calls && l->basis == BASIS_SIMULATED;
        e->n_unpriced += l->calls && !l->is_priced;
    }
    e->usd_low = fmax(0, e->usd - low - NORMAL_95 * sqrt(variance));
    e->usd_high = e->usd + high + NORMAL_95 * sqrt(variance);
    e->hours = fmax(dialogue, busy_s / IN_FLIGHT / 3600) + judges;
}

/* Too many views for cells is no reason not to plan. */
static enum status find_thinnest(struct store *store, const struct plan_inputs *in,
    struct plan_estimate *out, struct error *err)
{
    struct cells cells;
    struct error why = ERROR_INIT;
    enum status s = cells_load(store, in, &in->recipe->plan.minima, &cells, &why);
    if (s)
        return s == E_LIMIT ? OK : error_set(err, s, "%s", why.msg);
    const struct cell *cell = cells_thinnest(&cells, 0);
    if (cell) {
        cell_describe(in, &cell->key, out->thinnest.what, sizeof out->thinnest.what);
        out->thinnest.planned = cell->planned;
        out->thinnest.wanted = cell->wanted;
    }
    cells_release(&cells);
    return OK;
}

enum status plan_estimate(struct store *store, const struct plan_inputs *in,
    int64_t last_call, struct plan_estimate *out, struct error *err)
{
    *out = (struct plan_estimate) { .n_llms = in->n_llms };
    struct estimate_model *m = NULL;
    struct sum *sum = calloc(in->n_llms + 1, sizeof *sum);
    out->llms = calloc(in->n_llms + 1, sizeof *out->llms);
    enum status s = out->llms && sum ? estimate_model_load(store, in, &m, err)
                                     : error_nomem(err, in->n_llms * sizeof *out->llms);
    for (size_t i = 0; i < in->n_llms && !s; i++) {
        out->llms[i].name = text_copy(in->llms[i].name);
        out->llms[i].role = in->llms[i].role;
        if (!out->llms[i].name)
            s = error_nomem(err, 64);
        out->llms[i].basis = m->llms[i].basis;
        out->llms[i].n_measured = m->llms[i].n;
        out->llms[i].is_priced = m->llms[i].is_priced;
        out->llms[i].latency_s = m->llms[i].latency_s;
    }
    if (!s)
        s = add_planned(store, in, m, last_call, out, sum, err);
    if (!s)
        total(in, out, sum);
    if (!s)
        s = find_thinnest(store, in, out, err);
    estimate_model_free(m);
    free(sum);
    if (s)
        plan_estimate_release(out);
    return s;
}

void plan_estimate_release(struct plan_estimate *e)
{
    for (size_t i = 0; e->llms && i < e->n_llms; i++)
        free(e->llms[i].name);
    free(e->llms);
    *e = (struct plan_estimate) { 0 };
}
