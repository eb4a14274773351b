/* check.c - the invariants of a store: most are one SQL query whose rows are the
 * violations; those over hashes are read row by row. */
#include "schema/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/identity.h"
#include "schema/llm.h"
#include "schema/query.h"

/* Each row of sql is one violation, told in its first column. */
struct sql_invariant {
    const char *name, *sql;
};

/* Calls that ask a turn's prompt behind the dialogue's history. */
#define DIALOGUE "c.purpose IN ('path', 'fan_out', 'reference', 'check')"

static const struct sql_invariant sql_invariants[] = {
    { "turns of a session are numbered from 0 without a gap",
        "SELECT 'session ' || session_id || ': ' || count(*) || ' turns, last position ' "
        "|| "
        "max(position) FROM turn GROUP BY session_id HAVING max(position) <> count(*) - "
        "1" },
    { "every turn has one path call",
        "SELECT 'session ' || session_id || ', turn ' || position FROM turn t WHERE NOT "
        "EXISTS "
        "(SELECT 1 FROM call c WHERE c.turn_id = t.turn_id AND c.purpose = 'path')" },
    { "a call's parent is the path call of the turn before it",
        "SELECT 'call ' || c.call_id FROM call c JOIN turn t USING (turn_id) "
        "LEFT JOIN call p ON p.call_id = c.parent_id LEFT JOIN turn u ON u.turn_id = "
        "p.turn_id "
        "WHERE " DIALOGUE
        " AND CASE WHEN t.position = 0 THEN c.parent_id IS NOT NULL ELSE "
        "p.purpose IS NOT 'path' OR u.session_id IS NOT t.session_id OR "
        "u.position IS NOT t.position - 1 END" },
    { "views accumulate: context = the parent's context and what is added, which is new",
        "SELECT 'call ' || c.call_id FROM call c LEFT JOIN call p ON p.call_id = "
        "c.parent_id "
        "WHERE " DIALOGUE " AND (c.views_context <> "
        "(coalesce(p.views_context, 0) | c.views_added) "
        "OR coalesce(p.views_context, 0) & c.views_added)" },
    { "sets of views name views that exist",
        "SELECT 'call ' || call_id FROM call WHERE views_context & "
        "~(SELECT coalesce(sum(1 << position), 0) FROM view)" },
    { "a session's scene has a frame row for every view its calls show",
        "SELECT 'session ' || t.session_id || ', call ' || c.call_id || ', view ' || "
        "v.view "
        "FROM call_view v JOIN call c USING (call_id) JOIN turn t USING (turn_id) JOIN "
        "session s "
        "USING (session_id) WHERE NOT EXISTS (SELECT 1 FROM scene_frame f WHERE "
        "f.scene_id = s.scene_id AND f.at_ms = s.at_ms AND f.view_id = v.view_id)" },
    { "parts of a video are numbered from 0, in the order of time",
        "SELECT 'scene ' || scene_id || ', view ' || name || ', ' || at_ms || ' ms, part "
        "' "
        "|| part FROM (SELECT f.*, v.name, lag(part, 1, -1) OVER w AS before, "
        "lag(offset_ms, 1, -1) OVER w AS earlier FROM scene_frame f JOIN view v USING "
        "(view_id) WINDOW w AS (PARTITION BY scene_id, at_ms, view_id ORDER BY part)) "
        "WHERE part <> before + 1 OR offset_ms <= earlier" },
    { "a view of any kind but video has one frame an instant",
        "SELECT 'scene ' || f.scene_id || ', view ' || v.name || ', ' || f.at_ms || ' "
        "ms' "
        "FROM scene_frame f JOIN view v USING (view_id) WHERE v.kind <> 'video' AND "
        "(f.part OR f.offset_ms)" },
    { "a frame is of the kind of its view",
        "SELECT 'scene ' || f.scene_id || ', view ' || v.name || ', frame ' || "
        "f.frame_id "
        "|| ' of type ' || r.media_type FROM scene_frame f JOIN view v USING (view_id) "
        "JOIN frame r USING (frame_id) WHERE CASE v.kind WHEN 'text' THEN r.media_type "
        "<> "
        "'text/plain' WHEN 'audio' THEN r.media_type <> 'audio/wav' ELSE r.media_type "
        "NOT "
        "LIKE 'image/%' END" },
    { "a picture made smaller is within the limits that it was made for",
        "SELECT 'frame ' || x.frame_id || ', made smaller as frame ' || x.fitted_id FROM "
        "frame_fit x JOIN frame r ON r.frame_id = x.fitted_id WHERE (x.max_px AND "
        "max(r.width_px, r.height_px) > x.max_px) OR (x.max_bytes AND length(r.bytes) > "
        "x.max_bytes)" },
    { "probabilities of a path call's eligible actions add up to 1",
        "SELECT 'call ' || call_id FROM call c WHERE purpose = 'path' AND eligible IS "
        "NOT NULL "
        "AND abs((SELECT total(json_extract(value, '$[2]')) FROM json_each(c.eligible)) "
        "- 1) "
        "> 1e-9" },
    { "a path call is one of its eligible actions",
        "SELECT 'call ' || c.call_id FROM call c JOIN llm l USING (llm_id) WHERE "
        "c.purpose = 'path' AND c.eligible IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "
        "json_each(c.eligible) e WHERE json_extract(e.value, '$[0]') = l.name AND "
        "json_extract(e.value, '$[1]') = c.views_added)" },
    { "a path call has the probability of its action among the eligible ones",
        "SELECT 'call ' || c.call_id FROM call c JOIN llm l USING (llm_id) JOIN turn t "
        "USING (turn_id) JOIN session s USING (session_id) JOIN plan p USING (plan_id) "
        "WHERE c.purpose = 'path' AND c.eligible IS NOT NULL AND p.behaviour <> "
        "'scripted' AND NOT EXISTS (SELECT 1 FROM json_each(c.eligible) e WHERE "
        "json_extract(e.value, '$[0]') = l.name AND json_extract(e.value, '$[1]') = "
        "c.views_added AND abs(json_extract(e.value, '$[2]') - c.probability) <= 1e-9)" },
    { "a further sample repeats an action that its turn asks",
        "SELECT 'call ' || call_id FROM call c WHERE purpose IN ('path', 'fan_out') AND "
        "sample > 0 AND (purpose = 'path' OR NOT EXISTS (SELECT 1 FROM call f WHERE "
        "f.turn_id = c.turn_id AND f.purpose IN ('path', 'fan_out') AND f.sample = 0 AND "
        "f.llm_id = c.llm_id AND f.views_added = c.views_added))" },
    { "a check asks a call of its turn again: the same llm, history and views",
        "SELECT 'call ' || c.call_id FROM call c LEFT JOIN call o ON o.call_id = "
        "c.subject_id WHERE c.purpose = 'check' AND (c.sample < 1 OR o.turn_id IS NOT "
        "c.turn_id OR o.llm_id IS NOT c.llm_id OR o.parent_id IS NOT c.parent_id OR "
        "o.views_added IS NOT c.views_added OR o.views_context IS NOT c.views_context)" },
    { "a judge call has a subject and a text, and no history",
        "SELECT 'call ' || call_id FROM call WHERE (purpose IN ('judge', 'pairwise', "
        "'check')) <> (subject_id IS NOT NULL) OR (purpose IN ('judge', 'pairwise') AND "
        "(text IS NULL OR parent_id IS NOT NULL))" },
    { "attempts of a call are numbered from 1 without a gap",
        "SELECT 'call ' || call_id FROM attempt GROUP BY call_id "
        "HAVING max(number) <> count(*)" },
    { "a call has at most one attempt under way",
        "SELECT 'call ' || call_id FROM attempt WHERE status = 'sent' GROUP BY call_id "
        "HAVING count(*) > 1" },
    { "an attempt is ok exactly when it has a response",
        "SELECT 'attempt ' || attempt_id FROM attempt a WHERE (status = 'ok') <> "
        "EXISTS (SELECT 1 FROM response r WHERE r.attempt_id = a.attempt_id)" },
    { "a response belongs to the call of its attempt",
        "SELECT 'response ' || r.response_id FROM response r JOIN attempt a USING "
        "(attempt_id) "
        "WHERE r.call_id <> a.call_id" },
    { "only imported sessions have responses without an attempt",
        "SELECT 'response ' || r.response_id FROM response r JOIN call USING (call_id) "
        "JOIN turn "
        "USING (turn_id) JOIN session USING (session_id) WHERE r.attempt_id IS NULL AND "
        "plan_id IS NOT NULL" },
    { "a call is answered only after its parent and subject",
        "SELECT 'call ' || c.call_id FROM call c JOIN response r USING (call_id) WHERE "
        "(c.parent_id IS NOT NULL AND NOT EXISTS "
        " (SELECT 1 FROM response p WHERE p.call_id = c.parent_id)) OR "
        "(c.subject_id IS NOT NULL AND NOT EXISTS "
        " (SELECT 1 FROM response p WHERE p.call_id = c.subject_id))" },
    { "the answers of a store are all simulated, or none is",
        "SELECT 'response ' || min(response_id) || ' is simulated, others are not' FROM "
        "response "
        "WHERE attempt_id IS NOT NULL AND simulated AND EXISTS (SELECT 1 FROM response "
        "WHERE "
        "attempt_id IS NOT NULL AND NOT simulated) HAVING count(*)" },
    { "token counts are not negative",
        "SELECT 'response ' || response_id FROM response WHERE "
        "min(coalesce(input_tokens, 0), "
        "coalesce(cache_read_tokens, 0), coalesce(cache_write_tokens, 0), "
        "coalesce(output_tokens, 0), coalesce(reasoning_tokens, 0)) < 0" },
    { "times of an answered attempt are in order",
        "SELECT 'attempt ' || attempt_id FROM attempt WHERE status = 'ok' AND "
        "(latency_ns IS NULL "
        "OR latency_ns < 0 OR first_byte_ns > latency_ns OR first_token_ns > "
        "latency_ns)" },
    { "an attempt has the timing of its run",
        "SELECT 'attempt ' || attempt_id FROM attempt a JOIN run USING (run_id) WHERE "
        "a.timing <> run.timing" },
    { "an isolated attempt was alone",
        "SELECT 'attempt ' || attempt_id FROM attempt WHERE timing = 'isolated' AND "
        "in_flight <> 1" },
    { "calls in flight to one llm are among those in flight",
        "SELECT 'attempt ' || attempt_id FROM attempt WHERE llm_in_flight < 1 OR "
        "llm_in_flight > in_flight" },
    { "times that servers and the loop tell are not negative",
        "SELECT 'attempt ' || a.attempt_id FROM attempt a LEFT JOIN response r USING "
        "(attempt_id) WHERE min(coalesce(a.loop_lag_ns, 0), coalesce(r.load_ns, 0), "
        "coalesce(r.server_ns, 0)) < 0" },
    { "every prompt has a price: each llm, tier and day has a row from 0 tokens on",
        "SELECT 'price ' || price_id FROM price p WHERE NOT EXISTS (SELECT 1 FROM price "
        "q WHERE q.llm_id = p.llm_id AND q.service_tier = p.service_tier AND "
        "q.valid_from_ms = p.valid_from_ms AND q.min_input_tokens = 0)" },
    { "what was parsed anew tells what differs",
        "SELECT 'attempt ' || attempt_id FROM rederived WHERE NOT json_valid(differs) OR "
        "json_array_length(differs) = 0" },
    { "a score's judge judged the response's call",
        "SELECT 'score ' || score_id FROM score s JOIN response r USING (response_id) "
        "JOIN call j "
        "ON j.call_id = s.judge_call_id WHERE j.subject_id IS NOT r.call_id" },
    { "associations are cosines",
        "SELECT 'turn ' || turn_id || ', view ' || view_id FROM association "
        "WHERE value < -1.0001 OR value > 1.0001" },
    { "only views that are images have associations",
        "SELECT 'turn ' || turn_id || ', view ' || name || ' of kind ' || kind FROM "
        "association JOIN view USING (view_id) WHERE kind <> 'image'" },
    { "an association names a model that is listed",
        "SELECT 'turn ' || turn_id || ', view ' || view_id || ', model ' || model FROM "
        "association WHERE model NOT IN (SELECT name FROM association_model)" },
    { "an embedding belongs to a model of ours and has its dimensions",
        "SELECT 'embedding ' || embedding_id || ' of ' || length(vector) || ' bytes' "
        "FROM "
        "embedding e LEFT JOIN association_model m USING (model_id) WHERE m.dims IS NULL "
        "OR length(vector) <> 4 * m.dims" },
    { "an embedding of a frame is one of a picture",
        "SELECT 'embedding ' || embedding_id FROM embedding JOIN frame USING (frame_id) "
        "WHERE media_type NOT LIKE 'image/%'" },
    { "a frozen split holds the sessions it was frozen with",
        "SELECT 'split ' || name FROM split p WHERE NOT EXISTS "
        "(SELECT 1 FROM split_session s WHERE s.split_id = p.split_id)" },
};

static enum status violated(struct check_result *result, const char *invariant,
    const char *where, struct error *err)
{
    size_t n = result->n;
    if (!(n & (n - 1))) { /* full at each power of two */
        struct check_violation *grown =
            realloc(result->violations, (n ? 2 * n : 1) * sizeof *grown);
        if (!grown)
            return error_nomem(err, 2 * n * sizeof *grown);
        result->violations = grown;
    }
    char *copy = text_copy(where ? where : "");
    if (!copy)
        return error_nomem(err, where ? strlen(where) : 0);
    result->violations[result->n++] = (struct check_violation) { invariant, copy };
    return OK;
}

static enum status check_sql(struct store *store, const struct sql_invariant *invariant,
    struct check_result *result, struct error *err)
{
    struct query *q;
    enum status s = query_open(store, invariant->sql, &q, err);
    if (s)
        return s;
    result->n_invariants++;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        if (!(s = violated(result, invariant->name, query_text(q, 0), err)))
            continue;
        break;
    }
    query_close(q);
    return s;
}

/* SQLite's own structure, and references between rows. */
static enum status check_database(
    struct store *store, struct check_result *result, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> "
        "'ok' "
        "UNION ALL SELECT 'table ' || \"table\" || ', row ' || coalesce(rowid, '?') || ' "
        "refers to a "
        "row of ' || parent || ' that is not there' FROM pragma_foreign_key_check",
        &q, err);
    if (s)
        return s;
    result->n_invariants += 2;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        s = violated(result, "the database is whole", query_text(q, 0), err);
        if (s)
            break;
    }
    query_close(q);
    return s;
}

/* A row whose stored hash (column 1) should be that of its bytes (column 2). */
static enum status check_frames(
    struct store *store, struct check_result *result, struct error *err)
{
    struct query *q;
    enum status s =
        query_open(store, "SELECT frame_id, sha256, bytes FROM frame", &q, err);
    if (s)
        return s;
    result->n_invariants++;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        size_t len;
        const void *bytes = query_bytes(q, 2, &len);
        char hash[HASH_HEX], where[64];
        hash_hex(bytes ? bytes : "", len, hash);
        if (text_equal(hash, query_text(q, 1)))
            continue;
        snprintf(where, sizeof where, "frame %lld", (long long)query_int(q, 0));
        s = violated(result, "a frame's bytes have its hash", where, err);
        if (s)
            break;
    }
    query_close(q);
    return s;
}

/* Little-endian, as they are kept. */
static int is_finite_f32(const uint8_t *p)
{
    return ((p[3] & 0x7f) << 1 | p[2] >> 7) != 0xff;
}

static enum status check_embeddings(
    struct store *store, struct check_result *result, struct error *err)
{
    struct query *q;
    enum status s =
        query_open(store, "SELECT embedding_id, vector FROM embedding", &q, err);
    if (s)
        return s;
    result->n_invariants++;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        size_t len, at = 0;
        const uint8_t *vector = query_bytes(q, 1, &len);
        char where[64];
        while (at + 4 <= len && is_finite_f32(vector + at))
            at += 4;
        if (at + 4 > len)
            continue;
        snprintf(where, sizeof where, "embedding %lld, number %zu",
            (long long)query_int(q, 0), at / 4);
        s = violated(result, "the numbers of an embedding are finite", where, err);
        if (s)
            break;
    }
    query_close(q);
    return s;
}

static enum status check_calls(struct store *store, struct progress *progress,
    struct check_result *result, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT c.call_id, c.identity, s.identity, t.position, c.purpose, l.identity, "
        "c.views_added, c.sample, p.identity, j.identity, c.text FROM call c "
        "JOIN turn t USING (turn_id) JOIN session s USING (session_id) JOIN llm l USING "
        "(llm_id) "
        "LEFT JOIN call p ON p.call_id = c.parent_id "
        "LEFT JOIN call j ON j.call_id = c.subject_id",
        &q, err);
    if (s)
        return s;
    result->n_invariants++;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct call_name name = { query_text(q, 2), query_int(q, 3), query_text(q, 4),
            query_text(q, 5), (uint32_t)query_int(q, 6), query_int(q, 7),
            query_text(q, 8), query_text(q, 9), query_text(q, 10) };
        char identity[HASH_HEX], where[64];
        progress_step(progress, 1, NULL);
        s = call_identity(&name, identity, err);
        if (!s && !text_equal(identity, query_text(q, 1))) {
            snprintf(where, sizeof where, "call %lld", (long long)query_int(q, 0));
            s = violated(result, "a call's identity is that of its content", where, err);
        }
        if (s)
            break;
    }
    query_close(q);
    return s;
}

static enum status check_llms(
    struct store *store, struct check_result *result, struct error *err)
{
    struct llm *llms;
    size_t n;
    enum status s = llm_load_all(store, 1, &llms, &n, err);
    result->n_invariants++;
    for (size_t i = 0; i < n && !s; i++) {
        if (!llms[i].protocol) /* imported: its facts are not known */
            continue;
        char *stored = llms[i].identity;
        llms[i].identity = NULL;
        s = llm_identify(&llms[i], err);
        if (!s && !text_equal(stored, llms[i].identity))
            s = violated(
                result, "an llm's identity is that of its facts", llms[i].name, err);
        free(stored);
    }
    llm_free_all(llms, n);
    return s;
}

enum status check_store(struct store *store, struct progress *progress,
    struct check_result *result, struct error *err)
{
    *result = (struct check_result) { 0 };
    enum status s = check_database(store, result, err);
    for (size_t i = 0; i < COUNT_OF(sql_invariants) && !s; i++)
        s = check_sql(store, &sql_invariants[i], result, err);
    if (!s)
        s = check_frames(store, result, err);
    if (!s)
        s = check_embeddings(store, result, err);
    if (!s)
        s = check_llms(store, result, err);
    if (!s)
        s = check_calls(store, progress, result, err);
    if (s)
        check_release(result);
    return s;
}

void check_release(struct check_result *result)
{
    for (size_t i = 0; i < result->n; i++)
        free(result->violations[i].where);
    free(result->violations);
    *result = (struct check_result) { 0 };
}
