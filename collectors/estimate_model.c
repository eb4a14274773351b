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

/* Every answer by llm and whether simulated, real ones first.  The cost is that of today's
 * price row, whatever it was when the call was sent. */
static const char sql_measured[] =
    "WITH seen AS (SELECT c.llm_id, a.simulated, x.latency_ns / 1e9 AS latency_s,"
    " a.input_tokens AS i, a.cache_read_tokens AS cr, a.cache_write_tokens AS cw,"
    " a.output_tokens + a.reasoning_tokens AS o, t.position, t.prompt_id, t.session_id,"
    " CASE WHEN c.text IS NULL AND"
    "  coalesce(p.settings ->> '$.history.images', 'keep') = 'keep'"
    "  THEN c.views_context ELSE c.views_added END AS views"
    " FROM answer a JOIN call c USING (call_id) JOIN attempt x USING (attempt_id)"
    " JOIN turn t USING (turn_id) JOIN session e USING (session_id)"
    " LEFT JOIN plan p USING (plan_id))"
    " SELECT llm_id, simulated, views, position, prompt_id, session_id, i + cr + cw, o,"
    " latency_s, (SELECT (i * q.input_pusd + cr * q.cache_read_pusd"
    "   + cw * q.cache_write_pusd + o * q.output_pusd) / 1e12 FROM price q"
    "   WHERE q.llm_id = seen.llm_id"
    "   AND q.valid_from_ms <= ?1 AND q.service_tier = 'standard'"
    "   AND q.min_input_tokens <= i + cr + cw"
    "  ORDER BY q.valid_from_ms DESC, q.min_input_tokens DESC LIMIT 1) FROM seen"
    " WHERE i IS NOT NULL AND cr IS NOT NULL AND cw IS NOT NULL AND o IS NOT NULL"
    " ORDER BY llm_id, simulated";

static size_t find_llm(const struct plan_inputs *in, int64_t llm_id)
{
    size_t i = 0;
    while (i < in->n_llms && in->llms[i].llm_id != llm_id)
        i++;
    return i;
}

/* Real answers come first; simulated ones are used where there is no other. */
static enum status add_measured(
    struct model_llm *m, int images, const struct query *q, struct error *err)
{
    int simulated = query_int(q, 1) != 0;
    if (m->n && m->basis != (simulated ? BASIS_SIMULATED : BASIS_MEASURED))
        return OK;
    if (images >= MODEL_MAX_IMAGES)
        return OK;
    if ((size_t)m->n == m->size) {
        size_t size = m->size ? 2 * m->size : 64;
        struct model_answer *grown = realloc(m->answers, size * sizeof *grown);
        if (!grown)
            return error_nomem(err, size * sizeof *grown);
        m->answers = grown;
        m->size = size;
    }
    m->basis = simulated ? BASIS_SIMULATED : BASIS_MEASURED;
    m->answers[m->n++] = (struct model_answer) { .images = images,
        .position = query_double(q, 3),
        .prompt_id = query_int(q, 4),
        .session_id = query_int(q, 5),
        .input_tokens = query_double(q, 6),
        .output_tokens = query_double(q, 7),
        .usd = query_is_null(q, 9) ? NAN : query_double(q, 9) };
    m->latency_s += (query_double(q, 8) - m->latency_s) / (double)m->n;
    return OK;
}

static void add_to_mean(double *mean, double x, int64_t n)
{
    *mean += (x - *mean) / (double)n;
}

/* Means by number of images, and within these what an earlier turn adds. */
static void average(struct model_llm *m)
{
    double with_input = 0, with_usd = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const struct model_answer *a = &m->answers[i];
        struct model_mean *mean = &m->by_images[a->images];
        mean->n++;
        add_to_mean(&mean->input_tokens, a->input_tokens, mean->n);
        add_to_mean(&mean->output_tokens, a->output_tokens, mean->n);
        add_to_mean(&mean->usd, a->usd, mean->n);
        add_to_mean(&mean->position, a->position, mean->n);
        add_to_mean(&m->output_tokens, a->output_tokens, i + 1);
        add_to_mean(&m->position, a->position, i + 1);
    }
    for (int64_t i = 0; i < m->n; i++) {
        const struct model_answer *a = &m->answers[i];
        const struct model_mean *mean = &m->by_images[a->images];
        double x = a->position - mean->position;
        m->spread += x * x;
        with_input += x * (a->input_tokens - mean->input_tokens);
        with_usd += x * (a->usd - mean->usd);
    }
    if (m->spread > 0) {
        m->input_a_turn = with_input / m->spread;
        m->usd_a_turn = with_usd / m->spread;
    }
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
        if (i == m->in->n_llms)
            continue;
        int images = estimate_n_images(m->in, &m->in->llms[i], (uint32_t)query_int(q, 2));
        if ((s = add_measured(&m->llms[i], images, q, err)))
            break;
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
        average(&m->llms[i]);
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
    for (size_t i = 0; m->llms && i < m->in->n_llms; i++)
        free(m->llms[i].answers);
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

const struct model_mean *model_mean_of(const struct model_llm *m, int n_images)
{
    return n_images < MODEL_MAX_IMAGES && m->by_images[n_images].n > 1
               ? &m->by_images[n_images]
               : NULL;
}

struct estimate_call estimate_one(const struct estimate_model *m, size_t llm,
    int n_images, double position, double prompt_bytes)
{
    const struct model_llm *l = &m->llms[llm];
    if (l->basis == BASIS_GUESSED)
        return guess_one(l, &m->in->llms[llm], n_images, position, prompt_bytes);
    const struct model_mean *mean = model_mean_of(l, n_images);
    double more = position - (mean ? mean->position : l->position);
    double input_a_turn = l->input_a_turn, usd_a_turn = l->usd_a_turn;
    if (l->spread <= 0 && m->in->llms[llm].role != LLM_JUDGE) {
        // No two turns were compared: an earlier one adds its prompt and an answer.
        input_a_turn =
            prompt_bytes / BYTES_A_TOKEN + GUESSED_OUTPUT + 2 * TOKENS_A_MESSAGE;
        usd_a_turn = input_a_turn * l->input_usd;
    }
    struct estimate_call c = { .output_tokens =
                                   mean ? mean->output_tokens : l->output_tokens };
    double text = more * input_a_turn;
    if (mean) {
        c.input_tokens = fmax(0, mean->input_tokens + text);
        c.usd = fmax(0, mean->usd + more * usd_a_turn);
        double guessed = l->spread > 0 ? 0 : fabs(more * usd_a_turn);
        c.usd_low = fmax(0, c.usd - guessed);
        c.usd_high = c.usd + guessed;
        return c;
    }
    // This number of images was not seen: tokens by the fitted line, a wide range.
    c.input_tokens = fmax(0, l->tokens_of_text + n_images * l->tokens_an_image + text);
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
