/* plan_turns.c - see plan_turns.h. */
#include "collectors/plan_turns.h"

#include <stdio.h>
#include <stdlib.h>

#include "m4a1/base/text.h"
#include "schema/query.h"

static void read_turn(const struct query *q, struct plan_turn *t)
{
    *t = (struct plan_turn) { .turn_id = query_int(q, 0),
        .position = query_int(q, 1),
        .task_id = query_int(q, 2),
        .prompt_id = query_int(q, 3),
        .block = query_int(q, 4),
        .plan_index = query_int(q, 5),
        .parent_id = query_int(q, 6),
        .previous_id = query_int(q, 7),
        .context = (uint32_t)query_int(q, 8),
        .keeps_views = text_equal(query_text(q, 9), "keep") };
    snprintf(t->session, sizeof t->session, "%s", query_text(q, 10));
    snprintf(
        t->parent, sizeof t->parent, "%s", query_text(q, 11) ? query_text(q, 11) : "");
}

enum status plan_turns_load(struct store *store, int64_t after, struct plan_turn **turns,
    size_t *n, struct error *err)
{
    struct query *q;
    size_t size = 0;
    *turns = NULL;
    *n = 0;
    enum status s = query_open(store,
        "SELECT t.turn_id, t.position, m.task_id, m.prompt_id, c.block, e.plan_index,"
        " coalesce(p.call_id, 0), coalesce(p.llm_id, 0), coalesce(p.views_context, 0),"
        " coalesce(l.settings ->> '$.history.images', 'keep'), e.identity, p.identity"
        " FROM turn t JOIN prompt m USING (prompt_id) JOIN session e USING (session_id)"
        " JOIN plan l USING (plan_id)"
        " JOIN call c ON c.turn_id = t.turn_id AND c.purpose = 'path'"
        " LEFT JOIN call p ON p.call_id = c.parent_id"
        " WHERE t.turn_id > ? AND NOT EXISTS (SELECT 1 FROM turn u JOIN call f ON"
        "  f.turn_id = u.turn_id AND f.purpose = 'path' JOIN attempt a ON a.call_id ="
        "  f.call_id AND a.final WHERE u.session_id = t.session_id"
        "  AND u.position < t.position AND NOT EXISTS (SELECT 1 FROM response r"
        "   WHERE r.call_id = f.call_id))"
        " ORDER BY t.turn_id",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", after);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        if (*n == size) {
            size = size ? 2 * size : 64;
            struct plan_turn *grown = realloc(*turns, size * sizeof *grown);
            if (!grown) {
                s = error_nomem(err, size * sizeof *grown);
                break;
            }
            *turns = grown;
        }
        read_turn(q, &(*turns)[(*n)++]);
    }
    query_close(q);
    if (s) {
        free(*turns);
        *turns = NULL;
        *n = 0;
    }
    return s;
}

struct session_plan plan_turn_session(const struct plan_turn *turn)
{
    struct session_plan session = { .index = turn->plan_index,
        .turn_id = turn->turn_id,
        .block = turn->block,
        .context = turn->context,
        .parent_id = turn->parent_id };
    snprintf(session.identity, sizeof session.identity, "%s", turn->session);
    snprintf(session.parent, sizeof session.parent, "%s", turn->parent);
    return session;
}

enum status plan_turn_asked(struct store *store, int64_t turn_id,
    struct plan_asked **asked, size_t *n, struct error *err)
{
    struct query *q;
    *asked = NULL;
    *n = 0;
    enum status s = query_open(store,
        "SELECT llm_id, views_added FROM call WHERE turn_id = ? AND purpose IN "
        "('path', 'fan_out') AND sample = 0",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", turn_id);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct plan_asked *grown = realloc(*asked, (*n + 1) * sizeof *grown);
        if (!grown) {
            s = error_nomem(err, (*n + 1) * sizeof *grown);
            break;
        }
        *asked = grown;
        grown[(*n)++] =
            (struct plan_asked) { query_int(q, 0), (uint32_t)query_int(q, 1) };
    }
    query_close(q);
    if (s) {
        free(*asked);
        *asked = NULL;
        *n = 0;
    }
    return s;
}
