/* ratio.c - planning judgements and reading what the judge said. */
#include "annotate/ratio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/scores.h"
#include "m4a1/base/embed.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/accepts.h"
#include "schema/identity.h"
#include "schema/llm.h"
#include "schema/query.h"

EMBED(judge_template, "m4a1/recipe/judge.txt");

#define JUDGE_TEXT_MAX ((size_t)16 << 20)
#define MAX_ASKED 2 /* a reply that cannot be read is asked for once more */

/* An answer to be judged, beside the reference of its turn. */
struct pair {
    int64_t call_id, turn_id, position;
    char *session, *call, *task, *question, *candidate, *reference;
    uint32_t views; /* what the reference saw */
};

static void pair_release(struct pair *p)
{
    free(p->session);
    free(p->call);
    free(p->task);
    free(p->question);
    free(p->candidate);
    free(p->reference);
    *p = (struct pair) { 0 };
}

/* --- the judge's question --- */

/* The dialogue before the judged turn, oldest first, as text. */
static enum status add_history(
    struct store *store, int64_t call_id, struct buffer *out, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "WITH RECURSIVE past (call_id, depth) AS (SELECT parent_id, 1 FROM call WHERE "
        "call_id = ? UNION ALL SELECT c.parent_id, depth + 1 FROM past JOIN call c USING "
        "(call_id) WHERE depth < 2000) SELECT p.text, a.text FROM past JOIN call c USING "
        "(call_id) JOIN "
        "turn t "
        "USING (turn_id) JOIN prompt p USING (prompt_id) JOIN answer a ON "
        "a.call_id = c.call_id ORDER BY depth DESC",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", call_id);
    while (!(s = query_next(q, err)) && query_has_row(q))
        buffer_printf(
            out, "User: %s\nAssistant: %s\n", query_text(q, 0), query_text(q, 1));
    query_close(q);
    return s;
}

static enum status fill_template(struct store *store, const char *template,
    const struct pair *pair, struct buffer *out, struct error *err)
{
    const struct {
        const char *mark, *text;
    } marks[] = { { "{task}", pair->task }, { "{question}", pair->question },
        { "{candidate}", pair->candidate }, { "{reference}", pair->reference },
        { "{history}", NULL } };
    enum status s = OK;
    while (*template && !s) {
        size_t plain = strcspn(template, "{");
        buffer_add(out, template, plain);
        template += plain;
        size_t i = 0;
        while (i < COUNT_OF(marks) && !text_starts(template, marks[i].mark))
            i++;
        if (i < COUNT_OF(marks)) {
            if (marks[i].text)
                buffer_add_str(out, marks[i].text);
            else
                s = add_history(store, pair->call_id, out, err);
            template += strlen(marks[i].mark);
        } else if (*template) {
            buffer_add_char(out, *template ++);
        }
    }
    return s ? s : buffer_status(out, "the judge's question", err);
}

/* --- planning --- */

static enum status insert_judgement(struct store *store, const struct llm *judge,
    const struct pair *pair, int64_t sample, const char *text, uint32_t views,
    struct error *err)
{
    struct call_name name = { .session = pair->session,
        .turn = pair->position,
        .purpose = "judge",
        .llm = judge->identity,
        .views_added = views,
        .sample = sample,
        .subject = pair->call,
        .text = text };
    char identity[HASH_HEX];
    enum status s = call_identity(&name, identity, err);
    if (s)
        return s;
    return store_run(store, err,
        "INSERT INTO call (identity, turn_id, purpose, llm_id, subject_id, sample, text, "
        "views_added, views_context, block) VALUES (?, ?, 'judge', ?, ?, ?, ?, ?, ?, "
        "(SELECT block FROM call WHERE call_id = ?))",
        "tiiiitiii", identity, pair->turn_id, judge->llm_id, pair->call_id, sample, text,
        (int64_t)views, (int64_t)views, pair->call_id);
}

static char *copy_column(const struct query *q, int column)
{
    const char *text = query_text(q, column);
    return text_copy(text ? text : "");
}

/* The next answer behind call `after` that the judge should be asked about. */
static enum status next_pair(struct query *q, const struct llm *judge, int64_t after,
    struct pair *pair, int64_t *sample, struct error *err)
{
    query_bind(q, "iii", judge->llm_id, after, (int64_t)MAX_ASKED);
    enum status s = query_next(q, err);
    if (s || !query_has_row(q)) {
        *pair = (struct pair) { 0 };
        return s;
    }
    *pair = (struct pair) { .call_id = query_int(q, 0),
        .turn_id = query_int(q, 1),
        .position = query_int(q, 2),
        .session = copy_column(q, 3),
        .call = copy_column(q, 4),
        .task = copy_column(q, 5),
        .question = copy_column(q, 6),
        .candidate = copy_column(q, 7),
        .reference = copy_column(q, 8),
        .views = (uint32_t)query_int(q, 9) };
    *sample = query_int(q, 10);
    if (pair->session && pair->call && pair->task && pair->question && pair->candidate &&
        pair->reference)
        return OK;
    pair_release(pair);
    return error_nomem(err, JUDGE_TEXT_MAX);
}

/* Calls whose answers are judged: actions, and actions asked again by a check. */
#define JUDGED                                                                           \
    "(c.purpose IN ('path', 'fan_out') OR (c.purpose = 'check' AND EXISTS (SELECT 1 "    \
    "FROM call o WHERE o.call_id = c.subject_id AND o.purpose <> 'reference')))"

/* Answers of these calls that have a reference answer, no score by this judge,
 * and no judgement that is still to come. */
#define PAIRS_SQL                                                                        \
    "SELECT c.call_id, c.turn_id, t.position, s.identity, c.identity, k.name, p.text, "  \
    "a.text, ra.text, r.views_context, "                                                 \
    "(SELECT count(*) FROM call j WHERE j.subject_id = c.call_id AND "                   \
    " j.llm_id = ?1 AND j.purpose = 'judge') AS asked "                                  \
    "FROM call c JOIN turn t USING (turn_id) JOIN session s USING (session_id) "         \
    "JOIN prompt p USING (prompt_id) JOIN task k USING (task_id) "                       \
    "JOIN answer a ON a.call_id = c.call_id "                                            \
    "JOIN call r ON r.turn_id = c.turn_id AND r.purpose = 'reference' "                  \
    "JOIN answer ra ON ra.call_id = r.call_id "                                          \
    "WHERE " JUDGED " AND c.call_id > ?2 AND asked < ?3 "                                \
    "AND NOT EXISTS (SELECT 1 FROM call j WHERE j.subject_id = c.call_id AND "           \
    " j.llm_id = ?1 AND j.purpose = 'judge' AND NOT EXISTS "                             \
    " (SELECT 1 FROM response jr WHERE jr.call_id = j.call_id)) "                        \
    "AND NOT EXISTS (SELECT 1 FROM score x JOIN call j ON j.call_id = x.judge_call_id "  \
    " WHERE x.response_id = a.response_id AND x.scorer = '" RATIO_SCORER "' AND "        \
    " j.llm_id = ?1) "                                                                   \
    "ORDER BY c.call_id, r.call_id LIMIT 1"

static enum status plan_for_judge(struct store *store, const struct llm *judge,
    const struct ratio_terms *terms, struct ratio_counts *counts, struct error *err)
{
    const char *template =
        terms->judge_template ? terms->judge_template : judge_template_start;
    struct query *q;
    struct accepts_store views;
    enum status s = accepts_load(store, &views, err);
    if (s)
        return s;
    s = query_open(store, PAIRS_SQL, &q, err);
    if (s) {
        accepts_release(&views);
        return s;
    }
    struct buffer text;
    buffer_init(&text, JUDGE_TEXT_MAX);
    int64_t after = 0;
    while (!s) {
        struct pair pair;
        int64_t sample = 0;
        s = next_pair(q, judge, after, &pair, &sample, err);
        if (s || !pair.call_id)
            break;
        after = pair.call_id;
        buffer_clear(&text);
        s = fill_template(store, template, &pair, &text, err);
        if (!s)
            s = insert_judgement(store, judge, &pair, sample, buffer_str(&text),
                terms->sees_views ? accepts_sent(judge->accepts, views.views, pair.views)
                                  : 0,
                err);
        pair_release(&pair);
        counts->planned++;
    }
    buffer_release(&text);
    query_close(q);
    accepts_release(&views);
    return s;
}

/* --- reading replies --- */

static int in_scale(double x)
{
    return x >= 1 && x <= 10;
}

int ratio_read_reply(const char *reply, double *candidate, double *reference)
{
    for (const char *open = strchr(reply, '{'); open; open = strchr(open + 1, '{')) {
        const char *close = strchr(open, '}');
        if (!close)
            return 0;
        struct json *j;
        if (json_parse(open, (size_t)(close - open) + 1, "reply", 0, &j, NULL) != OK)
            continue;
        *candidate = json_number(json_get(j, "candidate"), 0);
        *reference = json_number(json_get(j, "reference"), 0);
        json_free(j);
        if (in_scale(*candidate) && in_scale(*reference))
            return 1;
    }
    return 0;
}

/* Score one answer by one reply; asked: how often this judge was asked so far. */
static enum status score_reply(struct store *store, int64_t response_id,
    int64_t judge_call_id, const char *version, const char *reply, int64_t asked,
    struct ratio_counts *counts, struct error *err)
{
    double candidate, reference, value;
    char details[96];
    struct score score = { .response_id = response_id,
        .scorer = RATIO_SCORER,
        .version = version,
        .judge_call_id = judge_call_id };
    if (ratio_read_reply(reply, &candidate, &reference)) {
        value = candidate / reference;
        snprintf(details, sizeof details, "{\"candidate\":%.17g,\"reference\":%.17g}",
            candidate, reference);
        score.value = &value;
        score.details = details;
        counts->scored++;
    } else if (asked >= MAX_ASKED) {
        score.reason = "the judge's reply could not be read";
        counts->unscored++;
    } else {
        return OK;
    }
    return score_put(store, &score, err);
}

static enum status score_replies(
    struct store *store, struct ratio_counts *counts, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT j.call_id, ja.text, a.response_id, '1:' || l.name, j.sample + 1 FROM "
        "call j "
        "JOIN answer ja ON ja.call_id = j.call_id JOIN answer a ON a.call_id = "
        "j.subject_id "
        "JOIN llm l ON l.llm_id = j.llm_id WHERE j.purpose = 'judge' AND j.call_id > ? "
        "AND "
        "NOT EXISTS (SELECT 1 FROM score x WHERE x.response_id = a.response_id AND "
        "x.scorer = '" RATIO_SCORER
        "' AND x.version = '1:' || l.name AND x.value IS NOT NULL) "
        "ORDER BY j.call_id LIMIT 1",
        &q, err);
    int64_t after = 0;
    while (!s) {
        query_bind(q, "i", after);
        s = query_next(q, err);
        if (s || !query_has_row(q))
            break;
        after = query_int(q, 0);
        s = score_reply(store, query_int(q, 2), after, query_text(q, 3), query_text(q, 1),
            query_int(q, 4), counts, err);
    }
    query_close(q);
    return s;
}

/* --- the two passes --- */

enum status ratio_plan(struct store *store, const struct ratio_terms *terms,
    struct ratio_counts *counts, struct error *err)
{
    struct llm *llms;
    size_t n;
    enum status s = llm_load_all(store, 0, &llms, &n, err);
    if (!s)
        s = store_begin(store, err);
    if (!s) /* a reply that came in before a kill is no reason to ask again */
        s = score_replies(store, counts, err);
    for (size_t i = 0; i < n && !s; i++) {
        if (llms[i].role == LLM_JUDGE)
            s = plan_for_judge(store, &llms[i], terms, counts, err);
    }
    if (!s)
        s = store_commit(store, err);
    store_rollback(store);
    llm_free_all(llms, n);
    return s;
}

/* Answers that will not be judged: the reference or the judgement failed for good. */
static enum status mark_unscored(
    struct store *store, struct ratio_counts *counts, struct error *err)
{
    enum status s = store_run(store, err,
        "INSERT INTO score (response_id, scorer, version, reason, judge_call_id) "
        "SELECT a.response_id, '" RATIO_SCORER
        "', '1:' || l.name, 'the judgement failed', "
        "j.call_id FROM call j JOIN call_state js ON js.call_id = j.call_id AND "
        "js.state = 'failed' JOIN answer a ON a.call_id = j.subject_id JOIN llm l ON "
        "l.llm_id = j.llm_id WHERE j.purpose = 'judge' ON CONFLICT DO NOTHING",
        "");
    counts->unscored += s ? 0 : store_n_changed(store);
    if (!s)
        s = store_run(store, err,
            "INSERT INTO score (response_id, scorer, version, reason) "
            "SELECT a.response_id, '" RATIO_SCORER
            "', '1:' || l.name, 'the reference failed' "
            "FROM call c JOIN answer a ON a.call_id = c.call_id JOIN call r ON "
            "r.turn_id = c.turn_id AND r.purpose = 'reference' JOIN call_state rs ON "
            "rs.call_id = r.call_id AND rs.state IN ('failed', 'blocked') "
            "JOIN llm l ON l.role = 'judge' AND l.retired_ms IS NULL "
            "WHERE " JUDGED " ON CONFLICT DO NOTHING",
            "");
    counts->unscored += s ? 0 : store_n_changed(store);
    return s;
}

enum status ratio_score(
    struct store *store, struct ratio_counts *counts, struct error *err)
{
    enum status s = store_begin(store, err);
    if (!s)
        s = score_replies(store, counts, err);
    if (!s)
        s = mark_unscored(store, counts, err);
    if (!s)
        s = store_commit(store, err);
    store_rollback(store);
    return s;
}
