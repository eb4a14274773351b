/* estimate_model.c - what one call of an llm takes, measured or guessed. */
#include "collectors/estimate_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/protocol.h"
#include "m4a1/base/clock.h"
#include "schema/query.h"

const char *const estimate_basis_names[3] = { "measured", "simulated", "guessed" };

/* Guesses for an llm of which nothing is measured. */
#define BYTES_A_TOKEN 4.0    /* English text */
#define TOKENS_A_MESSAGE 8.0 /* role marks and separators */
#define GUESSED_IMAGE 1000.0 /* tokens, where the recipe does not say */
#define GUESSED_OUTPUT 250.0 /* tokens, or half of what the llm may say */
#define GUESSED_RUBRIC 500.0 /* tokens that a judge is asked beside the answers */
#define GUESSED_LOW 0.4      /* a call costs between these times the guess ... */
#define GUESSED_HIGH 3.0     /* ... or as much as its longest answer */
#define GUESSED_CLOUD_S 6.0  /* seconds a call */
#define GUESSED_LOCAL_S 12.0

/* Means by llm, views shown and whether simulated.  The cost is that of today's
 * price row, whatever it was when the call was sent. */
static const char sql_measured[] =
    "WITH seen AS (SELECT c.llm_id, a.simulated, x.latency_ns / 1e9 AS latency_s,"
    " a.input_tokens AS i, a.cache_read_tokens AS cr, a.cache_write_tokens AS cw,"
    " a.output_tokens + a.reasoning_tokens AS o,"
    " CASE WHEN c.text IS NULL AND"
    "  coalesce(p.settings ->> '$.history.images', 'keep') = 'keep'"
    "  THEN c.views_context ELSE c.views_added END AS views"
    " FROM answer a JOIN call c USING (call_id) JOIN attempt x USING (attempt_id)"
    " JOIN turn t USING (turn_id) JOIN session e USING (session_id)"
    " LEFT JOIN plan p USING (plan_id))"
    " SELECT llm_id, simulated, views, count(*), avg(i + cr + cw), avg(o),"
    " avg(latency_s), avg(usd), avg(usd * usd) FROM (SELECT *,"
    " (SELECT (i * q.input_pusd + cr * q.cache_read_pusd + cw * q.cache_write_pusd"
    "   + o * q.output_pusd) / 1e12 FROM price q WHERE q.llm_id = seen.llm_id"
    "   AND q.valid_from_ms <= ?1 AND q.service_tier = 'standard'"
    "   AND q.min_input_tokens <= i + cr + cw"
    "  ORDER BY q.valid_from_ms DESC, q.min_input_tokens DESC LIMIT 1) AS usd FROM seen)"
    " WHERE i IS NOT NULL AND cr IS NOT NULL AND cw IS NOT NULL AND o IS NOT NULL"
    " GROUP BY llm_id, simulated, views ORDER BY llm_id, simulated, views";

static size_t find_llm(const struct plan_inputs *in, int64_t llm_id)
{
    size_t i = 0;
    while (i < in->n_llms && in->llms[i].llm_id != llm_id)
        i++;
    return i;
}

/* Takes the mean over n more answers into another mean. */
static void add_mean(struct model_mean *to, int64_t n, const struct query *q)
{
    double share = (double)n / (double)(to->n + n);
    to->n += n;
    to->input_tokens += share * (query_double(q, 4) - to->input_tokens);
    to->output_tokens += share * (query_double(q, 5) - to->output_tokens);
    to->usd += share * (query_double(q, 7) - to->usd);
    to->usd_squared += share * (query_double(q, 8) - to->usd_squared);
}

/* Real answers come first; simulated ones are used where there is no other. */
static void add_measured(struct model_llm *m, int images, const struct query *q)
{
    int simulated = query_int(q, 1) != 0;
    if (m->n && m->basis != (simulated ? BASIS_SIMULATED : BASIS_MEASURED))
        return;
    int64_t n = query_int(q, 3);
    if (images >= MODEL_MAX_IMAGES)
        return;
    m->basis = simulated ? BASIS_SIMULATED : BASIS_MEASURED;
    add_mean(&m->by_images[images], n, q);
    double share = (double)n / (double)(m->n + n);
    m->n += n;
    m->output_tokens += share * (query_double(q, 5) - m->output_tokens);
    m->latency_s += share * (query_double(q, 6) - m->latency_s);
}

/* Input tokens of a call without images, and of one image, by least squares over the
 * means; the recipe's image_tokens where only one number of images was seen. */
static void fit(struct model_llm *m, double image_tokens)
{
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (int k = 0; k < MODEL_MAX_IMAGES; k++) {
        double w = (double)m->by_images[k].n;
        n += w;
        x += w * k;
        y += w * m->by_images[k].input_tokens;
        xx += w * k * k;
        xy += w * k * m->by_images[k].input_tokens;
    }
    double spread = xx - x * x / n;
    m->tokens_an_image = spread > 0 ? (xy - x * y / n) / spread : image_tokens;
    if (m->tokens_an_image < 0)
        m->tokens_an_image = 0;
    m->tokens_of_text = (y - m->tokens_an_image * x) / n;
}

static double max_output(const struct llm *llm)
{
    const struct protocol *p = protocol_find(llm->protocol);
    int64_t n = p ? p->max_output_tokens(llm) : -1;
    return n > 0 ? (double)n : 4 * GUESSED_OUTPUT;
}

static void guess(struct model_llm *m, const struct llm *llm)
{
    double most = max_output(llm);
    m->basis = BASIS_GUESSED;
    m->output_tokens = most / 2 < GUESSED_OUTPUT ? most / 2 : GUESSED_OUTPUT;
    m->max_output_tokens = most;
    m->latency_s = llm->role == LLM_LOCAL ? GUESSED_LOCAL_S : GUESSED_CLOUD_S;
    m->tokens_of_text =
        llm->system_prompt ? (double)strlen(llm->system_prompt) / BYTES_A_TOKEN : 0;
    m->tokens_an_image =
        llm->image_tokens > 0 ? (double)llm->image_tokens : GUESSED_IMAGE;
}

static enum status load_measured(
    struct store *store, struct estimate_model *m, struct error *err)
{
    struct query *q;
    enum status s = query_open(store, sql_measured, &q, err);
    if (s)
        return s;
    query_bind(q, "i", clock_wall_ms());
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        size_t i = find_llm(m->in, query_int(q, 0));
        if (i < m->in->n_llms)
            add_measured(&m->llms[i],
                estimate_n_images(m->in, &m->in->llms[i], (uint32_t)query_int(q, 2)), q);
    }
    query_close(q);
    return s;
}

/* Today's price of a short prompt, for what is not measured. */
static enum status load_price(
    struct store *store, int64_t llm_id, struct model_llm *m, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT input_pusd, output_pusd FROM price WHERE llm_id = ? AND valid_from_ms <= "
        "?"
        " AND service_tier = 'standard'"
        " ORDER BY valid_from_ms DESC, min_input_tokens LIMIT 1",
        &q, err);
    if (s)
        return s;
    query_bind(q, "ii", llm_id, clock_wall_ms());
    s = query_next(q, err);
    m->is_priced = !s && query_has_row(q);
    if (m->is_priced) {
        m->input_usd = (double)query_int(q, 0) / 1e12;
        m->output_usd = (double)query_int(q, 1) / 1e12;
    }
    query_close(q);
    return s;
}

enum status estimate_model_load(struct store *store, const struct plan_inputs *in,
    struct estimate_model **out, struct error *err)
{
    *out = NULL;
    struct estimate_model *m = calloc(1, sizeof *m);
    if (!m)
        return error_nomem(err, sizeof *m);
    m->in = in;
    m->llms = calloc(in->n_llms + 1, sizeof *m->llms);
    enum status s = m->llms ? load_measured(store, m, err)
                            : error_nomem(err, in->n_llms * sizeof *m->llms);
    for (size_t i = 0; i < in->n_llms && !s; i++) {
        s = load_price(store, in->llms[i].llm_id, &m->llms[i], err);
        if (m->llms[i].n)
            fit(&m->llms[i], (double)in->llms[i].image_tokens);
        else
            guess(&m->llms[i], &in->llms[i]);
    }
    if (s) {
        estimate_model_free(m);
        return s;
    }
    *out = m;
    return OK;
}

void estimate_model_free(struct estimate_model *m)
{
    if (!m)
        return;
    free(m->llms);
    free(m);
}

static struct estimate_call guess_one(const struct model_llm *m, const struct llm *llm,
    int n_images, double position, double prompt_bytes)
{
    struct estimate_call c = { .output_tokens = m->output_tokens };
    double prompt = prompt_bytes / BYTES_A_TOKEN + TOKENS_A_MESSAGE;
    c.input_tokens = m->tokens_of_text + n_images * m->tokens_an_image +
                     (position + 1) * prompt +
                     position * (GUESSED_OUTPUT + TOKENS_A_MESSAGE);
    if (llm->role == LLM_JUDGE) // it is shown both answers, too
        c.input_tokens += GUESSED_RUBRIC + 2 * GUESSED_OUTPUT;
    c.usd = c.input_tokens * m->input_usd + c.output_tokens * m->output_usd;
    c.usd_low = GUESSED_LOW * c.usd;
    c.usd_high = c.input_tokens * m->input_usd + m->max_output_tokens * m->output_usd;
    if (c.usd_high < GUESSED_HIGH * c.usd)
        c.usd_high = GUESSED_HIGH * c.usd;
    return c;
}

struct estimate_call estimate_one(const struct estimate_model *m, size_t llm,
    int n_images, double position, double prompt_bytes)
{
    const struct model_llm *l = &m->llms[llm];
    if (l->basis == BASIS_GUESSED)
        return guess_one(l, &m->in->llms[llm], n_images, position, prompt_bytes);
    const struct model_mean *mean =
        n_images < MODEL_MAX_IMAGES && l->by_images[n_images].n > 1
            ? &l->by_images[n_images]
            : NULL;
    struct estimate_call c;
    if (mean) {
        double spread = mean->usd_squared - mean->usd * mean->usd;
        spread = spread > 0 ? spread * (double)mean->n / (double)(mean->n - 1) : 0;
        c = (struct estimate_call) { .input_tokens = mean->input_tokens,
            .output_tokens = mean->output_tokens,
            .usd = mean->usd,
            .usd_variance = spread / (double)mean->n,
            .usd_spread = spread };
        c.usd_low = c.usd_high = c.usd;
        return c;
    }
    // This number of images was not seen: tokens by the fitted line, a wide range.
    c = (struct estimate_call) { .output_tokens = l->output_tokens };
    c.input_tokens = l->tokens_of_text + n_images * l->tokens_an_image;
    c.usd = c.input_tokens * l->input_usd + c.output_tokens * l->output_usd;
    c.usd_low = GUESSED_LOW * c.usd;
    c.usd_high = GUESSED_HIGH * c.usd;
    return c;
}

int estimate_n_images(const struct plan_inputs *in, const struct llm *llm, uint32_t views)
{
    uint32_t sent = accepts_sent(llm->accepts, in->views.views, views);
    int n = 0;
    for (int i = 0; i < ACCEPTS_MAX_VIEWS && sent >> i; i++) {
        const struct accepts_view *view = &in->views.views[i];
        if (sent >> i & 1)
            n += view->n_pictures ? view->n_pictures : 1;
    }
    return n;
}

int estimate_judge_images(const struct plan_inputs *in, const struct llm *judge)
{
    return in->recipe->annotate.judge_sees_views
               ? estimate_n_images(in, judge, in->all_views)
               : 0;
}

double estimate_usd_with_judges(const struct estimate_model *m, size_t llm, int n_images,
    double position, double prompt_bytes)
{
    const struct plan_inputs *in = m->in;
    double usd = estimate_one(m, llm, n_images, position, prompt_bytes).usd;
    if (in->llms[llm].role != LLM_LOCAL && in->llms[llm].role != LLM_CLOUD)
        return usd;
    for (size_t i = 0; i < in->n_llms; i++) {
        if (in->llms[i].role == LLM_JUDGE)
            usd += estimate_one(
                m, i, estimate_judge_images(in, &in->llms[i]), position, prompt_bytes)
                       .usd;
    }
    return usd;
}
