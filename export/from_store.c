/* from_store.c - read a store into the data set, session by session. */
#include "export/from_store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/dataset_build.h"
#include "export/session_numbers.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

static const char sql_sessions[] =
    "SELECT s.session_id, s.identity, s.plan_id, s.source_id, c.name, s.scene_id, "
    "s.at_ms,"
    " (SELECT count(*) FROM turn t WHERE t.session_id = s.session_id)"
    " FROM session s JOIN scene c USING (scene_id) ORDER BY s.session_id";

static const char sql_paths[] =
    "SELECT v.position, f.source FROM scene_frame f JOIN view v USING (view_id)"
    " WHERE f.scene_id = ? AND f.at_ms = ? AND f.part = 0";

/* One row an interaction, that of the path before the fan-out of its turn.  The inner
 * selects find one row each by an index, so that reading stays linear. */
static const char sql_calls[] =
    "SELECT t.position, p.text, k.name, c.purpose, l.name, l.role, c.views_added,"
    " c.views_context, c.probability, r.text, r.simulated,"
    " coalesce(r.reported_latency_s, a.latency_ns / 1e9),"
    " coalesce(r.reported_cost_usd, (SELECT total_pusd FROM response_cost x"
    "   WHERE x.response_id = r.response_id) / 1e12),"
    " r.reported_views,"
    " (SELECT value FROM score x WHERE x.response_id = r.response_id"
    "   AND x.scorer = 'ratio' ORDER BY x.score_id DESC LIMIT 1),"
    " (SELECT value FROM score x WHERE x.response_id = r.response_id"
    "   AND x.scorer = 'refusal' ORDER BY x.score_id DESC LIMIT 1),"
    " r.response_id IS NULL"
    "   AND EXISTS (SELECT 1 FROM attempt x WHERE x.call_id = c.call_id AND x.final),"
    " r.input_tokens, r.cache_read_tokens, r.cache_write_tokens, r.output_tokens,"
    " r.reasoning_tokens"
    " FROM turn t JOIN prompt p USING (prompt_id) JOIN task k USING (task_id)"
    " JOIN call c ON c.turn_id = t.turn_id AND c.purpose IN ('path', 'fan_out')"
    " JOIN llm l USING (llm_id)"
    " LEFT JOIN response r ON r.response_id ="
    "   (SELECT max(response_id) FROM response x WHERE x.call_id = c.call_id)"
    " LEFT JOIN attempt a ON a.attempt_id = r.attempt_id"
    " WHERE t.session_id = ? ORDER BY t.position, c.purpose DESC, c.call_id";

/* Columns of sql_calls. */
enum {
    C_POSITION,
    C_PROMPT,
    C_TASK,
    C_PURPOSE,
    C_LLM,
    C_ROLE,
    C_ADDED,
    C_CONTEXT,
    C_PROBABILITY,
    C_TEXT,
    C_SIMULATED,
    C_LATENCY,
    C_COST,
    C_REPORTED_VIEWS,
    C_SCORE,
    C_REFUSAL,
    C_FAILED,
    C_TOKENS,
};

static const char sql_associations[] =
    "SELECT t.position, a.model, v.position, a.value"
    " FROM turn t JOIN association a USING (turn_id) JOIN view v USING (view_id)"
    " WHERE t.session_id = ? ORDER BY t.position, a.model";

static const char sql_models[] =
    "SELECT a.model FROM association a LEFT JOIN association_model m ON m.name = a.model"
    " WHERE ?1 IS NULL OR a.model = ?1"
    " GROUP BY a.model ORDER BY m.model_id DESC, count(*) DESC, a.model DESC";

struct loader {
    struct store *store;
    struct dataset *data;
    char **models; /* best first */
    size_t n_models;
    struct query *paths, *calls, *associations;
    struct session_numbers numbers; /* all sessions, in their order */
};

/* ---- views, models ---- */

static enum status load_views(struct loader *l, struct error *err)
{
    int64_t n;
    struct query *q;
    enum status s =
        store_int(l->store, 0, &n, err, "SELECT max(position) + 1 FROM view", "");
    if (s || (s = dataset_set_views(l->data, (size_t)n, err)) ||
        (s = query_open(l->store, "SELECT position, name, privacy FROM view", &q, err)))
        return s;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        size_t v = (size_t)query_int(q, 0);
        char *name = text_copy(query_text(q, 1));
        if (!name) {
            s = error_nomem(err, 64);
            break;
        }
        free(l->data->views[v]);
        l->data->views[v] = name;
        l->data->privacy[v] = (int)query_int(q, 2);
    }
    query_close(q);
    return s;
}

static enum status load_models(struct loader *l, const char *wanted, struct error *err)
{
    struct query *q;
    enum status s = query_open(l->store, sql_models, &q, err);
    if (s)
        return s;
    query_bind(q, "t", wanted);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        char **models = realloc(l->models, (l->n_models + 1) * sizeof *models);
        if (models)
            l->models = models;
        char *name = models ? text_copy(query_text(q, 0)) : NULL;
        if (!name) {
            s = error_nomem(err, 64);
            break;
        }
        models[l->n_models++] = name;
    }
    query_close(q);
    if (!s && wanted && l->n_models == 0)
        s = error_set(err, E_NOT_FOUND,
            "store %s has no associations of a model '%s'; "
            "SELECT name FROM association_model lists those it has",
            store_path(l->store), wanted);
    return s;
}

static size_t model_rank(const struct loader *l, const char *model)
{
    size_t rank = 0;
    while (rank < l->n_models && strcmp(l->models[rank], model) != 0)
        rank++;
    return rank;
}

/* ---- one session ---- */

static enum status load_paths(struct loader *l, struct session *session, int64_t scene_id,
    int64_t at_ms, struct error *err)
{
    size_t n = l->data->n_views, found = 0;
    enum status s;
    char **paths = calloc(n + 1, sizeof *paths);
    if (!paths)
        return error_nomem(err, n * sizeof *paths);
    session->image_paths = paths;
    query_bind(l->paths, "ii", scene_id, at_ms);
    while (!(s = query_next(l->paths, err)) && query_has_row(l->paths)) {
        size_t v = (size_t)query_int(l->paths, 0);
        // A collected frame is named by its file alone, which every scene may have.
        paths[v] = session->imported
                       ? text_copy(query_text(l->paths, 1))
                       : text_format("%s/%s", session->scene, query_text(l->paths, 1));
        if (!paths[v])
            return error_nomem(err, 64);
        found++;
    }
    if (!s && found < n) { // a scene without some view: the format has no room for holes
        for (size_t v = 0; v < n; v++)
            free(paths[v]);
        free(paths);
        session->image_paths = NULL;
    }
    return s;
}

/* The authors' list as it stood in their file, or what their format says for the views
 * of a collected call: all that the dialogue holds once new ones are added. */
static enum status load_image_index(
    struct loader *l, const struct query *q, struct interaction *it, struct error *err)
{
    const char *reported = query_text(q, C_REPORTED_VIEWS);
    struct json *list = NULL;
    if (reported) {
        enum status s =
            json_parse(reported, strlen(reported), "reported_views", 0, &list, err);
        if (s || !json_is_array(list)) {
            json_free(list);
            return s;
        }
    } else if (!it->views_added) {
        return OK;
    }
    it->image_index = calloc(DATASET_MAX_VIEWS, sizeof *it->image_index);
    if (!it->image_index) {
        json_free(list);
        return error_nomem(err, DATASET_MAX_VIEWS * sizeof *it->image_index);
    }
    for (size_t v = 0; !list && v < DATASET_MAX_VIEWS; v++) {
        if (it->views_context >> v & 1)
            it->image_index[it->n_image_index++] = (int)v;
    }
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        int64_t v = json_int(c, -1);
        if (v >= 0 && v < (int64_t)l->data->n_views &&
            it->n_image_index < DATASET_MAX_VIEWS)
            it->image_index[it->n_image_index++] = (int)v;
    }
    json_free(list);
    return OK;
}

static double figure(const struct query *q, int column)
{
    return query_is_null(q, column) ? NAN : query_double(q, column);
}

static enum status load_interaction(
    struct loader *l, const struct query *q, struct interaction *it, struct error *err)
{
    int cloud = !text_equal(query_text(q, C_ROLE), "local");
    it->llm = dataset_llm_index(l->data, query_text(q, C_LLM), cloud);
    if (it->llm < 0)
        return error_nomem(err, 64);
    it->views_added = (uint32_t)query_int(q, C_ADDED);
    it->views_context = (uint32_t)query_int(q, C_CONTEXT);
    it->probability = figure(q, C_PROBABILITY);
    it->simulated = (int)query_int(q, C_SIMULATED);
    it->latency_s = figure(q, C_LATENCY);
    it->cost_usd = figure(q, C_COST);
    it->score = figure(q, C_SCORE);
    it->refused = query_is_null(q, C_REFUSAL) ? -1 : query_double(q, C_REFUSAL) != 0;
    for (int i = 0; i < N_TOKENS; i++)
        it->tokens[i] = query_is_null(q, C_TOKENS + i) ? -1 : query_int(q, C_TOKENS + i);
    if (query_text(q, C_TEXT) && !(it->answer = text_copy(query_text(q, C_TEXT))))
        return error_nomem(err, strlen(query_text(q, C_TEXT)));
    return load_image_index(l, q, it, err);
}

static enum status start_turn(
    struct loader *l, const struct query *q, struct turn *turn, struct error *err)
{
    interaction_init(&turn->path);
    turn->prompt = text_copy(query_text(q, C_PROMPT));
    turn->task = dataset_task(l->data, query_text(q, C_TASK));
    return turn->prompt && turn->task >= 0 ? OK : error_nomem(err, 64);
}

static enum status add_fan_out(
    struct loader *l, const struct query *q, struct turn *turn, struct error *err)
{
    size_t size = (turn->n_fan_out + 1) * sizeof *turn->fan_out;
    struct interaction *more = realloc(turn->fan_out, size);
    if (!more)
        return error_nomem(err, size);
    turn->fan_out = more;
    interaction_init(&more[turn->n_fan_out]);
    return load_interaction(l, q, &more[turn->n_fan_out++], err);
}

/* Turns are those with a path call, 0, 1, 2 and so on without a hole. */
static enum status load_turns(
    struct loader *l, struct session *session, size_t n_turns, struct error *err)
{
    struct query *q = l->calls;
    enum status s;
    session->turns = calloc(n_turns + 1, sizeof *session->turns);
    if (!session->turns)
        return error_nomem(err, n_turns * sizeof *session->turns);
    query_bind(q, "i", session->session_id);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        int64_t position = query_int(q, C_POSITION);
        if (text_equal(query_text(q, C_PURPOSE), "path")) {
            if (position != (int64_t)session->n_turns || session->n_turns == n_turns)
                break;
            struct turn *turn = &session->turns[session->n_turns++];
            if ((s = start_turn(l, q, turn, err)) ||
                (s = load_interaction(l, q, &turn->path, err)))
                break;
            session->censored |= (int)query_int(q, C_FAILED);
        } else if (position == (int64_t)session->n_turns - 1 &&
                   (s = add_fan_out(l, q, &session->turns[position], err))) {
            break;
        }
    }
    return s;
}

/* Take one value of a model; the values of a better one replace those that are there. */
static enum status keep_association(struct loader *l, struct turn *turn, size_t rank,
    size_t *best, const struct query *q, struct error *err)
{
    size_t n_views = l->data->n_views, view = (size_t)query_int(q, 2);
    if (rank >= l->n_models || rank > *best)
        return OK;
    if (!turn->association)
        turn->association = calloc(n_views, sizeof *turn->association);
    if (!turn->association)
        return error_nomem(err, n_views * sizeof *turn->association);
    for (size_t v = 0; v < n_views && rank < *best; v++)
        turn->association[v] = NAN;
    *best = rank;
    turn->association[view] = query_double(q, 3);
    return OK;
}

static enum status load_associations(
    struct loader *l, struct session *session, struct error *err)
{
    struct query *q = l->associations;
    size_t best = l->n_models;
    int64_t position = -1;
    enum status s, kept = OK;
    query_bind(q, "i", session->session_id);
    while (!(s = query_next(q, err)) && !kept && query_has_row(q)) {
        int64_t at = query_int(q, 0);
        if (at >= (int64_t)session->n_turns)
            break;
        if (at != position)
            best = l->n_models;
        position = at;
        kept = keep_association(
            l, &session->turns[at], model_rank(l, query_text(q, 1)), &best, q, err);
    }
    return s ? s : kept;
}

static enum status load_session(
    struct loader *l, const struct query *q, struct error *err)
{
    size_t at = l->data->n_sessions++;
    struct session *session = &l->data->sessions[at];
    enum status s;
    session->session_id = query_int(q, 0);
    session->imported = query_is_null(q, 2) && !query_is_null(q, 3);
    session->id = l->numbers.id[at];
    if (!session->imported)
        snprintf(session->identity, sizeof session->identity, "%s", query_text(q, 1));
    session->scene = text_copy(query_text(q, 4));
    if (!session->scene)
        return error_nomem(err, 64);
    if ((s = load_paths(l, session, query_int(q, 5), query_int(q, 6), err)) ||
        (s = load_turns(l, session, (size_t)query_int(q, 7), err)))
        return s;
    return load_associations(l, session, err);
}

/* llms of one endpoint are of one provider; without one, each is its own. */
static enum status load_providers(struct loader *l, struct error *err)
{
    struct query *q;
    enum status s = query_open(l->store, "SELECT name, role, endpoint FROM llm", &q, err);
    if (s)
        return s;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        int cloud = !text_equal(query_text(q, 1), "local");
        const char *endpoint = query_text(q, 2);
        for (size_t i = 0; endpoint && i < l->data->n_llms && !s; i++) {
            struct dataset_llm *llm = &l->data->llms[i];
            if (llm->cloud != cloud || !text_equal(llm->name, query_text(q, 0)))
                continue;
            free(llm->provider);
            llm->provider = text_copy(endpoint);
            s = llm->provider ? OK : error_nomem(err, strlen(endpoint));
        }
        if (s)
            break;
    }
    query_close(q);
    return s;
}

static enum status load_sessions(struct loader *l, struct error *err)
{
    struct query *q = NULL;
    enum status s = session_numbers_read(l->store, &l->numbers, err);
    if (s)
        return s;
    l->data->sessions = calloc(l->numbers.n + 1, sizeof *l->data->sessions);
    if (!l->data->sessions)
        return error_nomem(err, l->numbers.n * sizeof *l->data->sessions);
    if ((s = query_open(l->store, sql_paths, &l->paths, err)) ||
        (s = query_open(l->store, sql_calls, &l->calls, err)) ||
        (s = query_open(l->store, sql_associations, &l->associations, err)) ||
        (s = query_open(l->store, sql_sessions, &q, err)))
        goto done;
    while (!(s = query_next(q, err)) && query_has_row(q) &&
           l->data->n_sessions < l->numbers.n && !(s = load_session(l, q, err)))
        ;
done:
    query_close(q);
    query_close(l->associations);
    query_close(l->calls);
    query_close(l->paths);
    return s;
}

enum status dataset_of_snapshot(
    struct store *store, const char *association, struct dataset **out, struct error *err)
{
    *out = NULL;
    struct loader l = { .store = store, .data = calloc(1, sizeof *l.data) };
    enum status s;
    if (!l.data || !(l.data->source = text_copy(store_path(store)))) {
        dataset_free(l.data);
        return error_nomem(err, sizeof *l.data);
    }
    if (!(s = load_views(&l, err)) && !(s = load_models(&l, association, err)) &&
        !(s = load_sessions(&l, err)) && !(s = dataset_tidy(l.data, err)) &&
        !(s = load_providers(&l, err)))
        s = dataset_seal(l.data, err);
    for (size_t i = 0; i < l.n_models; i++)
        free(l.models[i]);
    free(l.models);
    session_numbers_release(&l.numbers);
    if (s) {
        dataset_free(l.data);
        error_prefix(err, "reading store %s: ", store_path(store));
        return s;
    }
    *out = l.data;
    return OK;
}

enum status snapshot_begin(struct store *store, struct error *err)
{
    return store_run(store, err, "BEGIN", "");
}

enum status dataset_of_store(
    struct store *store, const char *association, struct dataset **out, struct error *err)
{
    *out = NULL;
    enum status s = snapshot_begin(store, err);
    if (s)
        return s;
    s = dataset_of_snapshot(store, association, out, err);
    store_rollback(store);
    return s;
}
