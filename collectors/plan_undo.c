/* plan_undo.c - see plan_undo.h.  Three temporary tables, filled from what was asked for:
 * undo_asked (calls meant), undo_turn (turns that go whole), undo_call (calls that go). */
#include "collectors/plan_undo.h"

#include <stdio.h>
#include <stdlib.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define MAX_NAMES 4096

/* Calls that are planned, not those that annotate adds. */
#define PLANNED " purpose IN ('path', 'fan_out', 'reference', 'check')"

static const char *const tables[] = {
    "DROP TABLE IF EXISTS temp.undo_asked",
    "DROP TABLE IF EXISTS temp.undo_turn",
    "DROP TABLE IF EXISTS temp.undo_call",
    "CREATE TEMP TABLE undo_asked (call_id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE undo_turn (turn_id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE undo_call (call_id INTEGER PRIMARY KEY)",
};

/* Calls of imported sessions have answers, and no attempts. */
#define WAS_ASKED(c)                                                                     \
    "(EXISTS (SELECT 1 FROM attempt x WHERE x.call_id = " c ".call_id)"                  \
    " OR EXISTS (SELECT 1 FROM response y WHERE y.call_id = " c ".call_id))"

static enum status run_all(
    struct store *store, const char *const *sql, size_t n, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; i < n && !s; i++)
        s = store_run(store, err, sql[i], "");
    return s;
}

/* ---- what is meant ---- */

static enum status find_llm(
    struct store *store, const char *name, int64_t *id, struct error *err)
{
    struct query *q;
    struct buffer names;
    enum status s =
        store_int(store, 0, id, err, "SELECT llm_id FROM llm WHERE name = ?", "t", name);
    if (s || *id)
        return s;
    buffer_init(&names, MAX_NAMES);
    s = query_open(store, "SELECT name FROM llm ORDER BY llm_id", &q, err);
    if (s)
        return s;
    query_bind(q, "");
    while (!(s = query_next(q, err)) && query_has_row(q))
        buffer_printf(&names, "%s%s", names.len ? ", " : "", query_text(q, 0));
    query_close(q);
    if (!s)
        s = error_set(err, E_NOT_FOUND, "the store has no llm \"%s\" (it has: %.400s)",
            name, buffer_str(&names));
    buffer_release(&names);
    return s;
}

static enum status mean_llm(struct store *store, const char *name, struct error *err)
{
    int64_t id;
    enum status s = find_llm(store, name, &id, err);
    return s ? s
             : store_run(store, err,
                   "INSERT INTO undo_asked SELECT call_id FROM call WHERE llm_id = ?",
                   "i", id);
}

/* A plan tells where its calls begin; of those that early versions made, all calls were in
 * sessions of their own. */
static enum status mean_last_plan(
    struct store *store, struct undo_result *r, struct error *err)
{
    struct query *q;
    int64_t plan_id = 0, first = 0;
    enum status s = query_open(store,
        "SELECT p.plan_id, p.behaviour, coalesce(p.settings ->> '$.first_call',"
        " (SELECT min(c.call_id) FROM call c JOIN turn USING (turn_id) JOIN session e"
        "  USING (session_id) WHERE e.plan_id = p.plan_id), 0)"
        " FROM plan p ORDER BY p.plan_id DESC LIMIT 1",
        &q, err);
    if (s)
        return s;
    query_bind(q, "");
    s = query_next(q, err);
    if (!s && query_has_row(q)) {
        plan_id = query_int(q, 0);
        snprintf(r->behaviour, sizeof r->behaviour, "%s", query_text(q, 1));
        first = query_int(q, 2);
    }
    query_close(q);
    if (!s && !plan_id)
        s = error_set(
            err, E_NOT_FOUND, "nothing was planned in this store, so there is no plan");
    if (!s && first > 0)
        s = store_run(store, err,
            "INSERT INTO undo_asked SELECT call_id FROM call WHERE call_id >= ? "
            "AND" PLANNED,
            "i", first);
    return s;
}

/* ---- what goes ---- */

/* The turn from which on nothing of its session was attempted; where that is the first, the
 * session goes whole, else what lies from the first path call on that is meant. */
static const char sql_turns[] =
    "WITH free AS MATERIALIZED (SELECT e.session_id, coalesce((SELECT max(t.position) + "
    "1 FROM turn t"
    "  JOIN call c USING (turn_id) WHERE t.session_id = e.session_id AND " WAS_ASKED(
        "c") " ), 0) AS first FROM session e WHERE e.plan_id IS NOT NULL"
             "  AND NOT EXISTS (SELECT 1 FROM split_session p WHERE p.session_id = "
             "e.session_id)),"
             " begin AS MATERIALIZED (SELECT f.session_id, iif(f.first = 0, 0, "
             "min(t.position)) AS "
             "position"
             "  FROM free f JOIN turn t ON t.session_id = f.session_id AND t.position >= "
             "f.first"
             "  JOIN call c ON c.turn_id = t.turn_id AND c.purpose = 'path'"
             "  WHERE c.call_id IN (SELECT call_id FROM undo_asked) GROUP BY "
             "f.session_id)"
             " INSERT INTO undo_turn SELECT t.turn_id FROM begin b JOIN turn t"
             "  ON t.session_id = b.session_id AND t.position >= b.position";

/* All calls of these turns, and beside other paths those meant that were not attempted; a
 * first sample stays while a further one of its action does.  (The + keeps SQLite from looking
 * through all calls of an llm; a turn has few.) */
static const char *const sql_calls[] = {
    "INSERT INTO undo_call SELECT call_id FROM call WHERE turn_id IN (SELECT turn_id FROM"
    " undo_turn)",
    "INSERT OR IGNORE INTO undo_call SELECT c.call_id FROM call c WHERE c.call_id IN"
    " (SELECT call_id FROM undo_asked) AND c.purpose <> 'path' AND NOT " WAS_ASKED(
        "c") " AND NOT EXISTS (SELECT 1 FROM call d WHERE d.parent_id = c.call_id"
             "  AND d.call_id NOT IN (SELECT call_id FROM undo_call))"
             " AND NOT EXISTS (SELECT 1 FROM call d WHERE d.subject_id = c.call_id"
             "  AND d.call_id NOT IN (SELECT call_id FROM undo_call))"
             " AND NOT (c.purpose = 'fan_out' AND c.sample = 0 AND EXISTS"
             "  (SELECT 1 FROM call f WHERE f.turn_id = c.turn_id AND f.purpose = "
             "'fan_out'"
             "  AND f.sample > 0 AND +f.llm_id = c.llm_id AND f.views_added = "
             "c.views_added"
             "  AND (" WAS_ASKED(
                 "f") " OR f.call_id NOT IN (SELECT call_id FROM undo_asked))))",
};

static enum status count(struct store *store, struct undo_result *r, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT coalesce(sum(purpose = 'path'), 0), coalesce(sum(purpose = 'fan_out'), "
        "0),"
        " coalesce(sum(purpose = 'reference'), 0), coalesce(sum(purpose = 'check'), 0),"
        " coalesce(sum(purpose NOT IN ('path', 'fan_out', 'reference', 'check')), 0),"
        " (SELECT count(*) FROM undo_turn),"
        " (SELECT count(*) FROM undo_asked c WHERE " WAS_ASKED(
            "c") "),"
                 " (SELECT count(*) FROM undo_asked c WHERE NOT " WAS_ASKED(
                     "c") "  AND c.call_id NOT IN (SELECT call_id FROM undo_call)),"
                          " (SELECT count(DISTINCT t.session_id) FROM undo_turn JOIN "
                          "turn t USING (turn_id)"
                          "  WHERE EXISTS (SELECT 1 FROM turn u WHERE u.session_id = "
                          "t.session_id"
                          "   AND u.turn_id NOT IN (SELECT turn_id FROM undo_turn)))"
                          " FROM undo_call JOIN call USING (call_id)",
        &q, err);
    if (s)
        return s;
    query_bind(q, "");
    s = query_next(q, err);
    int64_t *const to[] = { &r->path, &r->fan_out, &r->reference, &r->check, &r->judge,
        &r->turns, &r->attempted, &r->kept, &r->shortened };
    for (size_t i = 0; i < COUNT_OF(to) && !s; i++)
        *to[i] = query_int(q, (int)i);
    query_close(q);
    return s;
}

/* Plans that have no call and no session left.  Those of early versions, which do not tell
 * where their calls begin, had sessions. */
static const char sql_plans[] =
    "DELETE FROM plan WHERE NOT EXISTS (SELECT 1 FROM session e WHERE e.plan_id ="
    " plan.plan_id) AND NOT EXISTS (SELECT 1 FROM call c WHERE c.call_id >="
    " plan.settings ->> '$.first_call' AND c.call_id < coalesce((SELECT"
    "  min(n.settings ->> '$.first_call') FROM plan n WHERE n.plan_id > plan.plan_id),"
    "  9223372036854775807) AND c." PLANNED ")";

static enum status drop(struct store *store, struct undo_result *r, struct error *err)
{
    // Each call that goes is looked for in what may refer to it, and score has no index.
    static const char *const calls_and_turns[] = {
        "CREATE INDEX undo_score ON score (judge_call_id)",
        "DELETE FROM call WHERE call_id IN (SELECT call_id FROM undo_call)",
        "DROP INDEX undo_score",
        "DELETE FROM association WHERE turn_id IN (SELECT turn_id FROM undo_turn)",
        "DELETE FROM turn WHERE turn_id IN (SELECT turn_id FROM undo_turn)",
    };
    enum status s = run_all(store, calls_and_turns, COUNT_OF(calls_and_turns), err);
    if (!s)
        s = store_run(store, err,
            "DELETE FROM session WHERE plan_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
            " turn t WHERE t.session_id = session.session_id)",
            "");
    r->sessions = s ? 0 : store_n_changed(store);
    if (!s)
        s = store_run(store, err, sql_plans, "");
    r->plans = s ? 0 : store_n_changed(store);
    return s;
}

enum status plan_undo(struct store *store, const struct undo_options *options,
    struct undo_result *result, struct error *err)
{
    *result = (struct undo_result) { 0 };
    enum status s = store_begin(store, err);
    if (!s)
        s = run_all(store, tables, COUNT_OF(tables), err);
    if (!s)
        s = options->llm ? mean_llm(store, options->llm, err)
                         : mean_last_plan(store, result, err);
    if (!s)
        s = store_run(store, err, sql_turns, "");
    if (!s)
        s = run_all(store, sql_calls, COUNT_OF(sql_calls), err);
    if (!s)
        s = count(store, result, err);
    if (!s)
        s = drop(store, result, err);
    if (!s && !options->dry_run)
        s = store_commit(store, err);
    store_rollback(store);
    return s;
}
