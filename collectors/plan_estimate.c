/* plan_estimate.c - sums the model of each llm over the calls that are planned. */
#include "collectors/plan_estimate.h"

#include <math.h>
#include <stdlib.h>

#include "collectors/cells.h"
#include "collectors/estimate_model.h"
#include "collectors/estimate_spread.h"
#include "collectors/ledger.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define IN_FLIGHT 16.0   /* calls at once over all llms, as the engine begins with */
#define FAILING_95 1.645 /* one-sided 95 %, of the share that fails */

static const char sql_planned[] =
    "SELECT c.llm_id, c.purpose,"
    " CASE WHEN coalesce(p.settings ->> '$.history.images', 'keep') = 'keep'"
    "  THEN c.views_context ELSE c.views_added END,"
    " t.position, length(m.text), t.prompt_id, t.session_id,"
    " c.purpose IN ('path', 'fan_out', 'check') AND EXISTS (SELECT 1 FROM call r"
    "  WHERE r.turn_id = c.turn_id AND r.purpose = 'reference')"
    " FROM call c JOIN turn t USING (turn_id) JOIN prompt m USING (prompt_id)"
    " JOIN session e USING (session_id) LEFT JOIN plan p USING (plan_id)"
    " WHERE c.call_id > ?1 AND c.text IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM response r WHERE r.call_id = c.call_id)";

enum status plan_last_call(struct store *store, int64_t *out, struct error *err)
{
    return store_int(store, 0, out, err, "SELECT max(call_id) FROM call", "");
}

/* One llm while its planned calls are added up. */
struct sum {
    double low, high; /* beside the mean, of guesses */
    int64_t calls;
    double input_tokens, output_tokens, usd;
    double planned
        [MODEL_MAX_IMAGES]; /* calls by number of images, where these are measured */
    double turns;           /* by which they are later than the answers that they go by */
    struct spread_points points;
    struct spread spread;
};

struct adding {
    const struct plan_inputs *in;
    const struct estimate_model *model;
    struct sum *sum; /* [n_llms] */
    int64_t calls, judgements;
};

/* A planned call as the query has it. */
struct planned {
    int images;
    double position, prompt_bytes;
    int64_t prompt_id, session_id;
};

static int64_t cell_of(int images, double position)
{
    return images * 1000 + (int64_t)position;
}

static enum status add_call(
    struct adding *a, size_t i, const struct planned *p, struct error *err)
{
    const struct model_llm *m = &a->model->llms[i];
    struct sum *sum = &a->sum[i];
    struct estimate_call c =
        estimate_one(a->model, i, p->images, p->position, p->prompt_bytes);
    sum->calls++;
    sum->input_tokens += c.input_tokens;
    sum->output_tokens += c.output_tokens;
    if (!m->is_priced)
        return OK;
    sum->usd += c.usd;
    sum->low += c.usd - c.usd_low;
    sum->high += c.usd_high - c.usd;
    const struct model_mean *mean =
        m->basis == BASIS_GUESSED ? NULL : model_mean_of(m, p->images);
    if (!mean)
        return OK;
    sum->planned[p->images]++;
    sum->turns += p->position - mean->position;
    const struct spread_point point = {
        { p->prompt_id, p->session_id, cell_of(p->images, p->position) }, 1, NAN
    };
    return spread_add(&sum->points, &point, err);
}

static enum status add_planned(
    struct store *store, struct adding *a, int64_t last_call, struct error *err)
{
    const struct plan_inputs *in = a->in;
    struct query *q;
    enum status s = query_open(store, sql_planned, &q, err);
    if (s)
        return s;
    query_bind(q, "i", last_call);
    while (!s && !(s = query_next(q, err)) && query_has_row(q)) {
        struct planned p = { 0, query_double(q, 3), query_double(q, 4), query_int(q, 5),
            query_int(q, 6) };
        size_t i = 0;
        while (i < in->n_llms && in->llms[i].llm_id != query_int(q, 0))
            i++;
        if (i == in->n_llms)
            continue;
        a->calls++;
        p.images = estimate_n_images(in, &in->llms[i], (uint32_t)query_int(q, 2));
        s = add_call(a, i, &p, err);
        enum llm_role role = in->llms[i].role;
        for (size_t j = 0; j < in->n_llms && !s; j++) {
            if (in->llms[j].role != LLM_JUDGE ||
                (role != LLM_LOCAL && role != LLM_CLOUD) || !query_int(q, 7))
                continue;
            a->judgements++;
            p.images = estimate_judge_images(in, &in->llms[j]);
            s = add_call(a, j, &p, err);
        }
    }
    query_close(q);
    return s;
}

/* What each measured answer added to the sum: a share of its mean, and of the slope. */
static enum status add_measured(
    const struct model_llm *m, struct sum *sum, struct error *err)
{
    enum status s = OK;
    for (int64_t i = 0; i < m->n && !s && sum->points.n; i++) {
        const struct model_answer *a = &m->answers[i];
        const struct model_mean *mean = model_mean_of(m, a->images);
        if (!mean || isnan(a->usd))
            continue;
        double later = a->position - mean->position;
        struct spread_point point = { { a->prompt_id, a->session_id,
                                          cell_of(a->images, a->position) },
            -sum->planned[a->images] / (double)mean->n,
            a->usd - mean->usd - later * m->usd_a_turn };
        if (m->spread > 0)
            point.weight -= sum->turns * later / m->spread;
        s = spread_add(&sum->points, &point, err);
    }
    sum->spread = spread_of(&sum->points);
    return s;
}

static void sum_release(struct sum *sum, size_t n)
{
    for (size_t i = 0; sum && i < n; i++)
        spread_release(&sum[i].points);
    free(sum);
}

/* Sums over the calls behind last_call; freed with sum_release(). */
static enum status sum_up(struct store *store, const struct plan_inputs *in,
    const struct estimate_model *model, int64_t last_call, struct adding *out,
    struct error *err)
{
    *out = (struct adding) { .in = in, .model = model };
    out->sum = calloc(in->n_llms + 1, sizeof *out->sum);
    enum status s = out->sum ? add_planned(store, out, last_call, err)
                             : error_nomem(err, in->n_llms * sizeof *out->sum);
    for (size_t i = 0; i < in->n_llms && !s; i++)
        s = add_measured(&model->llms[i], &out->sum[i], err);
    return s;
}

/* ---- ranges ---- */

struct range {
    double low, high;
};

static struct range range_of(const struct sum *sum, const struct estimate_llm *l)
{
    double half = spread_half(&sum->spread);
    double low = fmax(0, sum->usd - sum->low - half);
    return (struct range) { low * (1 - l->failing_share),
        sum->usd + sum->high + half + (double)sum->calls * l->usd_a_loss };
}

/* Shared parts - long dialogues, wordy prompts - may move all llms the same way, so their
 * deviations are added up, not their variances. */
static struct range range_of_all(const struct adding *a, const struct plan_estimate *e)
{
    struct spread all = { 0 };
    double low = 0, high = 0, usd = 0, losses = 0, failing = 0, shared = 0;
    for (size_t i = 0; i < a->in->n_llms; i++) {
        const struct sum *sum = &a->sum[i];
        usd += sum->usd;
        low += sum->low;
        high += sum->high;
        failing += sum->usd * e->llms[i].failing_share;
        losses += (double)sum->calls * e->llms[i].usd_a_loss;
        shared += sqrt(sum->spread.shared);
        all.own += sum->spread.own;
        all.by_freedom += sum->spread.by_freedom;
    }
    all.shared = shared * shared;
    double half = spread_half(&all);
    return (
        struct range) { fmax(0, usd - low - half - failing), usd + high + half + losses };
}

/* Which share of an llm's calls may fail or be left behind one that did: the upper end of
 * Wilson's interval (1927) by the calls so far; and what is held back for attempts that
 * were sent and brought no answer. */
static enum status load_failing(struct store *store, const struct plan_inputs *in,
    struct plan_estimate *e, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT c.llm_id, coalesce(sum(s.state = 'done'), 0), coalesce(sum(s.state IN"
        " ('failed', 'blocked')), 0), (SELECT coalesce(sum(counted_pusd), 0) / 1e12 FROM"
        "  attempt_cost x JOIN call d USING (call_id) WHERE d.llm_id = c.llm_id AND NOT"
        "  EXISTS (SELECT 1 FROM response r WHERE r.attempt_id = x.attempt_id))"
        " FROM call c JOIN call_state s USING (call_id) GROUP BY c.llm_id",
        &q, err);
    if (s)
        return s;
    query_bind(q, "");
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        double done = query_double(q, 1), failed = query_double(q, 2), n = done + failed;
        for (size_t i = 0; i < in->n_llms && n > 0; i++) {
            if (in->llms[i].llm_id != query_int(q, 0))
                continue;
            double z2 = FAILING_95 * FAILING_95, p = failed / n;
            e->llms[i].failing_share =
                (p + z2 / (2 * n) +
                    FAILING_95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n))) /
                (1 + z2 / n);
            e->llms[i].usd_a_loss = query_double(q, 3) / fmax(1, done);
        }
    }
    query_close(q);
    return s;
}

/* ---- time ---- */

/* The slowest of: slots, requests a minute, tokens a minute. */
static double hours_of(const struct estimate_llm *l, const struct llm *llm)
{
    double seconds = (double)l->calls * l->latency_s / llm->slots;
    double by_requests = llm->rpm ? 60.0 * (double)l->calls / (double)llm->rpm : 0;
    double by_tokens =
        llm->tpm ? 60.0 * (l->input_tokens + l->output_tokens) / (double)llm->tpm : 0;
    return fmax(seconds, fmax(by_requests, by_tokens)) / 3600;
}

static void total(const struct adding *a, struct plan_estimate *e)
{
    double busy_s = 0, dialogue = 0, judges = 0;
    e->calls = a->calls;
    e->judgements = a->judgements;
    for (size_t i = 0; i < e->n_llms; i++) {
        struct estimate_llm *l = &e->llms[i];
        const struct sum *sum = &a->sum[i];
        struct range range = range_of(sum, l);
        l->calls = sum->calls;
        l->input_tokens = sum->input_tokens;
        l->output_tokens = sum->output_tokens;
        l->usd = sum->usd;
        l->usd_low = range.low;
        l->usd_high = range.high;
        l->hours = hours_of(l, &a->in->llms[i]);
        e->input_tokens += l->input_tokens;
        e->output_tokens += l->output_tokens;
        e->usd += l->usd;
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
    struct range all = range_of_all(a, e);
    e->usd_low = all.low;
    e->usd_high = all.high;
    e->hours = fmax(dialogue, busy_s / IN_FLIGHT / 3600) + judges;
}

/* ---- caps ---- */

/* What is open counts with what earlier plans left open. */
static enum status find_caps(struct store *store, const struct adding *open,
    struct plan_estimate *e, struct error *err)
{
    const struct plan_inputs *in = open->in;
    int64_t pusd;
    enum status s = ledger_spent(store, &pusd, err);
    e->cap = (struct estimate_cap) { .cap_usd = in->recipe->plan.max_usd,
        .spent_usd = s ? 0 : (double)pusd / 1e12,
        .calls = open->calls,
        .usd_high = range_of_all(open, e).high };
    for (size_t i = 0; i < in->n_llms && !s; i++) {
        const struct sum *sum = &open->sum[i];
        struct estimate_cap *own = &e->llms[i].cap;
        int is_judge = in->llms[i].role == LLM_JUDGE;
        *own = (struct estimate_cap) { .cap_usd = -1,
            .calls = sum->calls,
            .usd = sum->usd,
            .usd_high = range_of(sum, &e->llms[i]).high };
        *(is_judge ? &e->cap.judge_usd : &e->cap.usd) += sum->usd;
        if (in->llms[i].max_usd <= 0)
            continue;
        s = ledger_spent_by(store, in->llms[i].llm_id, &pusd, err);
        own->cap_usd = in->llms[i].max_usd;
        own->spent_usd = s ? 0 : (double)pusd / 1e12;
    }
    return s;
}

static int has_cap(const struct plan_inputs *in)
{
    int any = in->recipe->plan.max_usd >= 0;
    for (size_t i = 0; i < in->n_llms; i++)
        any |= in->llms[i].max_usd > 0;
    return any;
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

static enum status begin(const struct plan_inputs *in, const struct estimate_model *m,
    struct plan_estimate *e, struct error *err)
{
    e->cap.cap_usd = -1;
    for (size_t i = 0; i < in->n_llms; i++) {
        struct estimate_llm *l = &e->llms[i];
        *l = (struct estimate_llm) { .name = text_copy(in->llms[i].name),
            .role = in->llms[i].role,
            .basis = m->llms[i].basis,
            .n_measured = m->llms[i].n,
            .is_priced = m->llms[i].is_priced,
            .latency_s = m->llms[i].latency_s };
        l->cap.cap_usd = -1;
        if (!l->name)
            return error_nomem(err, 64);
    }
    return OK;
}

enum status plan_estimate(struct store *store, const struct plan_inputs *in,
    int64_t last_call, struct plan_estimate *out, struct error *err)
{
    *out = (struct plan_estimate) { .n_llms = in->n_llms };
    struct estimate_model *m = NULL;
    struct adding planned = { 0 }, open = { 0 };
    out->llms = calloc(in->n_llms + 1, sizeof *out->llms);
    enum status s = out->llms ? estimate_model_load(store, in, &m, err)
                              : error_nomem(err, in->n_llms * sizeof *out->llms);
    if (!s)
        s = begin(in, m, out, err);
    if (!s)
        s = load_failing(store, in, out, err);
    if (!s)
        s = sum_up(store, in, m, last_call, &planned, err);
    if (!s)
        total(&planned, out);
    if (!s && has_cap(in)) {
        s = sum_up(store, in, m, 0, &open, err);
        if (!s)
            s = find_caps(store, &open, out, err);
    }
    if (!s)
        s = find_thinnest(store, in, out, err);
    estimate_model_free(m);
    sum_release(planned.sum, in->n_llms);
    sum_release(open.sum, in->n_llms);
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
