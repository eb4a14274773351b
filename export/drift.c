/* drift.c - pairs by SQL, intervals by Student's t. */
#include "export/drift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/stats.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define ALPHA 0.05 /* of an interval, and of all verdicts of an llm together */

const char *const drift_figure_names[N_DRIFT_FIGURES] = { "score", "refused", "latency_s",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens",
    "cost_usd" };
const char *const drift_verdict_names[4] = { "", "too few pairs", "no change shown",
    "changed" };

/* One row an anchor: the newest check of a call.  Figures of its last answer stand beside
 * those of the call's first. */
#define FIGURES(r)                                                                       \
    " (SELECT value FROM score x WHERE x.response_id = " r ".response_id"                \
    "  AND x.scorer = 'ratio' ORDER BY x.score_id DESC LIMIT 1),"                        \
    " (SELECT value FROM score x WHERE x.response_id = " r ".response_id"                \
    "  AND x.scorer = 'refusal' ORDER BY x.score_id DESC LIMIT 1),"                      \
    " (SELECT latency_ns / 1e9 FROM attempt x WHERE x.attempt_id = " r ".attempt_id),"   \
    " " r ".input_tokens + " r ".cache_read_tokens + " r ".cache_write_tokens,"          \
    " " r ".cache_read_tokens, " r ".cache_write_tokens,"                                \
    " " r ".output_tokens + " r ".reasoning_tokens,"                                     \
    " (SELECT cost_pusd / 1e12 FROM response_cost x WHERE x.response_id = " r            \
    ".response_id),"                                                                     \
    " (SELECT sent_ms FROM attempt x WHERE x.attempt_id = " r ".attempt_id),"            \
    " coalesce(" r ".model, ''), coalesce(" r ".fingerprint, ''), " r ".simulated"

static const char sql_anchors[] =
    "SELECT l.name, EXISTS (SELECT 1 FROM attempt x WHERE x.call_id = k.call_id"
    "  AND x.final), b.response_id IS NOT NULL," FIGURES("a") "," FIGURES(
        "b") " FROM call k JOIN llm l USING (llm_id)"
             " JOIN response a ON a.response_id = (SELECT min(response_id) FROM response"
             "  WHERE call_id = k.subject_id)"
             " LEFT JOIN response b ON b.response_id = (SELECT max(response_id)"
             "  FROM response WHERE call_id = k.call_id)"
             " WHERE k.purpose = 'check' AND k.sample = (SELECT max(sample) FROM call n"
             "  WHERE n.subject_id = k.subject_id AND n.purpose = 'check')"
             " ORDER BY l.llm_id, k.identity";

/* Columns of sql_anchors: those of the first answer, and as many of the second. */
enum {
    C_LLM,
    C_FAILED,
    C_ANSWERED,
    C_FIRST,
    C_SENT = N_DRIFT_FIGURES, /* behind C_FIRST or C_AGAIN */
    C_MODEL,
    C_FINGERPRINT,
    C_SIMULATED,
    N_SIDE,
    C_AGAIN = C_FIRST + N_SIDE,
};

/* The pairs of the llm that is being read. */
struct pairs {
    double *first, *again; /* [N_DRIFT_FIGURES][size] */
    size_t n, size;
    double first_ms, again_ms; /* sums */
};

static enum status grow(struct pairs *p, struct error *err)
{
    size_t size = p->size ? 2 * p->size : 64;
    double *first = calloc(N_DRIFT_FIGURES * size, sizeof *first);
    double *again = calloc(N_DRIFT_FIGURES * size, sizeof *again);
    if (!first || !again) {
        free(first);
        free(again);
        return error_nomem(err, N_DRIFT_FIGURES * size * sizeof *first);
    }
    for (size_t f = 0; f < N_DRIFT_FIGURES && p->n; f++) {
        memcpy(first + f * size, p->first + f * p->size, p->n * sizeof *first);
        memcpy(again + f * size, p->again + f * p->size, p->n * sizeof *again);
    }
    free(p->first);
    free(p->again);
    p->first = first;
    p->again = again;
    p->size = size;
    return OK;
}

static enum status count_name(struct drift_name **names, size_t *n, const char *first,
    const char *again, struct error *err)
{
    for (size_t i = 0; i < *n; i++) {
        if (text_equal((*names)[i].first, first) &&
            text_equal((*names)[i].again, again)) {
            (*names)[i].n++;
            return OK;
        }
    }
    struct drift_name *grown = realloc(*names, (*n + 1) * sizeof *grown);
    if (!grown)
        return error_nomem(err, (*n + 1) * sizeof *grown);
    *names = grown;
    struct drift_name *name = &grown[(*n)++];
    *name = (struct drift_name) { text_copy(first), text_copy(again), 1 };
    return name->first && name->again ? OK : error_nomem(err, 64);
}

static double figure(const struct query *q, int column)
{
    return query_is_null(q, column) ? NAN : query_double(q, column);
}

static enum status add_pair(
    const struct query *q, struct drift_llm *l, struct pairs *p, struct error *err)
{
    int simulated = query_int(q, C_AGAIN + C_SIMULATED) != 0;
    if ((query_int(q, C_FIRST + C_SIMULATED) != 0) != simulated) {
        l->n_mixed++;
        return OK;
    }
    enum status s = p->n == p->size ? grow(p, err) : OK;
    for (int f = 0; f < N_DRIFT_FIGURES && !s; f++) {
        p->first[(size_t)f * p->size + p->n] = figure(q, C_FIRST + f);
        p->again[(size_t)f * p->size + p->n] = figure(q, C_AGAIN + f);
    }
    if (!s)
        s = count_name(&l->models, &l->n_models, query_text(q, C_FIRST + C_MODEL),
            query_text(q, C_AGAIN + C_MODEL), err);
    if (!s)
        s = count_name(&l->fingerprints, &l->n_fingerprints,
            query_text(q, C_FIRST + C_FINGERPRINT),
            query_text(q, C_AGAIN + C_FINGERPRINT), err);
    p->first_ms += query_double(q, C_FIRST + C_SENT);
    p->again_ms += query_double(q, C_AGAIN + C_SENT);
    l->simulated |= simulated;
    p->n++;
    l->n_pairs++;
    return s;
}

static enum status new_llm(struct drift *drift, const char *name, struct error *err)
{
    struct drift_llm *grown = realloc(drift->llms, (drift->n + 1) * sizeof *grown);
    if (!grown)
        return error_nomem(err, (drift->n + 1) * sizeof *grown);
    drift->llms = grown;
    grown[drift->n] = (struct drift_llm) { .name = text_copy(name) };
    return grown[drift->n++].name ? OK : error_nomem(err, 64);
}

/* All pairs of the last llm are read: compare them, and begin anew. */
static enum status finish_llm(struct drift *drift, struct pairs *p, struct error *err)
{
    enum status s = OK;
    if (!drift->n)
        return OK;
    struct drift_llm *l = &drift->llms[drift->n - 1];
    for (size_t f = 0; f < N_DRIFT_FIGURES && !s; f++)
        s = drift_compare(
            p->first + f * p->size, p->again + f * p->size, p->n, &l->changes[f], err);
    drift_judge(l->changes, N_DRIFT_FIGURES);
    l->first_ms = p->n ? (int64_t)(p->first_ms / (double)p->n) : 0;
    l->again_ms = p->n ? (int64_t)(p->again_ms / (double)p->n) : 0;
    p->n = 0;
    p->first_ms = p->again_ms = 0;
    return s;
}

enum status drift_load(struct store *store, struct drift *out, struct error *err)
{
    *out = (struct drift) { 0 };
    struct query *q;
    struct pairs pairs = { 0 };
    enum status s = query_open(store, sql_anchors, &q, err);
    if (s)
        return s;
    query_bind(q, "");
    s = grow(&pairs, err);
    while (!s && !(s = query_next(q, err)) && query_has_row(q)) {
        const char *name = query_text(q, C_LLM);
        if (!out->n || !text_equal(out->llms[out->n - 1].name, name)) {
            s = finish_llm(out, &pairs, err);
            if (!s)
                s = new_llm(out, name, err);
        }
        if (s)
            break;
        struct drift_llm *l = &out->llms[out->n - 1];
        if (query_int(q, C_ANSWERED))
            s = add_pair(q, l, &pairs, err);
        else if (query_int(q, C_FAILED))
            l->n_failed++;
        else
            l->n_open++;
    }
    if (!s)
        s = finish_llm(out, &pairs, err);
    query_close(q);
    free(pairs.first);
    free(pairs.again);
    if (s)
        drift_release(out);
    return s;
}

static void release_names(struct drift_name *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(names[i].first);
        free(names[i].again);
    }
    free(names);
}

void drift_release(struct drift *drift)
{
    for (size_t i = 0; i < drift->n; i++) {
        free(drift->llms[i].name);
        release_names(drift->llms[i].models, drift->llms[i].n_models);
        release_names(drift->llms[i].fingerprints, drift->llms[i].n_fingerprints);
    }
    free(drift->llms);
    *drift = (struct drift) { 0 };
}

/* ---- figures ---- */

/* The paired t test.  Differences that are all alike leave no room for chance. */
static void test_difference(struct drift_change *c, double deviation)
{
    double df = (double)c->n - 1;
    double half = deviation / sqrt((double)c->n);
    if (half > 0)
        c->p = stats_student_tails(c->difference / half, df);
    else
        c->p = c->difference == 0;
    half *= stats_student_end(ALPHA, df);
    c->low = c->difference - half;
    c->high = c->difference + half;
}

enum status drift_compare(const double *first, const double *again, size_t n,
    struct drift_change *out, struct error *err)
{
    *out = (struct drift_change) { 0, NAN, NAN, NAN, NAN, NAN, NAN, 1, DRIFT_NONE };
    double *differences = calloc(n + 1, sizeof *differences);
    double sum_first = 0, sum_again = 0;
    if (!differences)
        return error_nomem(err, n * sizeof *differences);
    for (size_t i = 0; i < n; i++) {
        if (isnan(first[i]) || isnan(again[i]))
            continue;
        differences[out->n++] = again[i] - first[i];
        sum_first += first[i];
        sum_again += again[i];
        out->is_all_zero &= first[i] == 0 && again[i] == 0;
    }
    if (out->n) {
        out->first = sum_first / (double)out->n;
        out->again = sum_again / (double)out->n;
        out->difference = stats_mean(differences, out->n);
        if (out->n < DRIFT_MIN_PAIRS)
            out->verdict = DRIFT_TOO_FEW;
    }
    if (out->n > 1) {
        double k = (double)out->n;
        test_difference(out, stats_deviation(differences, out->n) * sqrt(k / (k - 1)));
    }
    free(differences);
    return OK;
}

static int is_judged(const struct drift_change *c)
{
    return c->n >= DRIFT_MIN_PAIRS && !c->is_all_zero;
}

void drift_judge(struct drift_change *changes, size_t n)
{
    size_t n_judged = 0;
    for (size_t i = 0; i < n; i++) {
        n_judged += is_judged(&changes[i]) != 0;
        if (changes[i].n >= DRIFT_MIN_PAIRS)
            changes[i].verdict = DRIFT_NO_SHOWN;
    }
    // The smallest p has to pass alpha / m, the next alpha / (m - 1), until one fails.
    for (size_t left = n_judged; left > 0; left--) {
        struct drift_change *least = NULL;
        for (size_t i = 0; i < n; i++)
            if (is_judged(&changes[i]) && changes[i].verdict == DRIFT_NO_SHOWN &&
                (!least || changes[i].p < least->p))
                least = &changes[i];
        if (!least || least->p > ALPHA / (double)left)
            break;
        least->verdict = DRIFT_CHANGED;
    }
}
