/* import.c - put a data set of the authors' format into a store. */
#include "export/import.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/dataset_build.h"
#include "export/m4a1_json.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/identity.h"
#include "schema/query.h"

#define SESSION_PREFIX "m4a1-session-imported-1"
#define IMPORT_MODEL "authors"   /* of the associations */
#define IMPORT_VERSION "authors" /* of the scores */

struct importer {
    struct store *store;
    const struct dataset *data;
    struct import_counts *counts;
    int64_t *tasks; /* [n_tasks] task_id */
    int64_t view_ids[DATASET_MAX_VIEWS];
    int64_t llm_ids[2]; /* local, cloud */
    char llm_identities[2][HASH_HEX];
};

/* ---- views, llms, tasks ---- */

static enum status prepare_views(struct importer *im, struct error *err)
{
    int64_t n;
    enum status s = store_int(im->store, 0, &n, err, "SELECT count(*) FROM view", "");
    if (!s && n > 0 && (size_t)n != im->data->n_views)
        s = error_set(err, E_ARG,
            "it has %zu views and the store %s has %lld; import it into a store of its "
            "own",
            im->data->n_views, store_path(im->store), (long long)n);
    for (size_t v = 0; v < im->data->n_views && !s; v++) {
        if (n == 0)
            s = store_run(im->store, err,
                "INSERT INTO view (position, name, kind, privacy) VALUES (?, ?, 'image', "
                "?)",
                "iti", (int64_t)v, im->data->views[v], (int64_t)im->data->privacy[v]);
        if (!s)
            s = store_int(im->store, 0, &im->view_ids[v], err,
                "SELECT view_id FROM view WHERE position = ?", "i", (int64_t)v);
    }
    return s;
}

/* The authors' file says nothing of its llms but the role, and the facts say so. */
static enum status prepare_llm(struct importer *im, int cloud, struct error *err)
{
    const char *role = cloud ? "cloud" : "local";
    char name[32];
    struct buffer text;
    int64_t taken = 0;
    buffer_init(&text, 4096);
    struct json *facts = json_new_object();
    enum status s = OK;
    if (!json_set_text(facts, "imported", "M4A1, authors' JSON") ||
        !json_set_text(facts, "role", role))
        s = error_nomem(err, 64);
    if (!s)
        s = identity_of("m4a1-llm-1", facts, im->llm_identities[cloud], err);
    if (!s)
        s = json_print(facts, JSON_CANONICAL, &text, err);
    if (!s)
        s = store_int(im->store, 0, &im->llm_ids[cloud], err,
            "SELECT llm_id FROM llm WHERE identity = ?", "t", im->llm_identities[cloud]);
    if (!s && !im->llm_ids[cloud])
        s = store_int(im->store, 0, &taken, err,
            "SELECT count(*) FROM llm WHERE name = ?", "t", role);
    if (!s && !im->llm_ids[cloud]) {
        snprintf(name, sizeof name, "%s%s", taken ? "imported_" : "", role);
        s = store_run(im->store, err,
            "INSERT INTO llm (name, identity, role, facts) VALUES (?, ?, ?, ?)", "tttt",
            name, im->llm_identities[cloud], role, buffer_str(&text));
        im->llm_ids[cloud] = store_last_id(im->store);
    }
    json_free(facts);
    buffer_release(&text);
    return s;
}

static enum status prepare_tasks(struct importer *im, struct error *err)
{
    enum status s = OK;
    im->tasks = calloc(im->data->n_tasks + 1, sizeof *im->tasks);
    if (!im->tasks)
        return error_nomem(err, im->data->n_tasks * sizeof *im->tasks);
    for (size_t i = 0; i < im->data->n_tasks && !s; i++) {
        s = store_run(im->store, err, "INSERT OR IGNORE INTO task (name) VALUES (?)", "t",
            im->data->tasks[i]);
        if (!s)
            s = store_int(im->store, 0, &im->tasks[i], err,
                "SELECT task_id FROM task WHERE name = ?", "t", im->data->tasks[i]);
    }
    return s;
}

/* ---- scenes and prompts ---- */

/* How many of the views have another path than the session says at this instant. */
static enum status count_differing(struct importer *im, const struct session *session,
    int64_t scene_id, int64_t at_ms, int64_t *rows, int64_t *equal, struct error *err)
{
    enum status s = store_int(im->store, 0, rows, err,
        "SELECT count(*) FROM scene_frame WHERE scene_id = ? AND at_ms = ? AND part = 0",
        "ii", scene_id, at_ms);
    *equal = 0;
    for (size_t v = 0; v < im->data->n_views && !s && *rows; v++) {
        int64_t same;
        s = store_int(im->store, 0, &same, err,
            "SELECT count(*) FROM scene_frame WHERE scene_id = ? AND at_ms = ?"
            " AND part = 0 AND view_id = ? AND source = ?",
            "iiit", scene_id, at_ms, im->view_ids[v], session->image_paths[v]);
        *equal += same;
    }
    return s;
}

/* The instant of the scene whose paths are the session's: 0, or below 0 where the store
 * holds other pictures of a scene of that name.  Rows are added where there are none. */
static enum status place_frames(struct importer *im, const struct session *session,
    int64_t scene_id, int64_t *at_ms, struct error *err)
{
    int64_t rows = 0, equal = 0, n = (int64_t)im->data->n_views;
    enum status s;
    for (*at_ms = 0;; --*at_ms) {
        s = count_differing(im, session, scene_id, *at_ms, &rows, &equal, err);
        if (s || rows == 0 || (rows == n && equal == n))
            break;
    }
    for (size_t v = 0; v < im->data->n_views && !s && !rows; v++)
        s = store_run(im->store, err,
            "INSERT INTO scene_frame (scene_id, view_id, at_ms, source)"
            " VALUES (?, ?, ?, ?)",
            "iiit", scene_id, im->view_ids[v], *at_ms, session->image_paths[v]);
    return s;
}

static enum status add_scene(struct importer *im, const struct session *session,
    int64_t *scene_id, int64_t *at_ms, struct error *err)
{
    enum status s = store_run(im->store, err,
        "INSERT OR IGNORE INTO scene (name) VALUES (?)", "t", session->scene);
    if (s)
        return s;
    im->counts->scenes += (size_t)store_n_changed(im->store);
    s = store_int(im->store, 0, scene_id, err,
        "SELECT scene_id FROM scene WHERE name = ?", "t", session->scene);
    return s ? s : place_frames(im, session, *scene_id, at_ms, err);
}

static enum status add_prompt(
    struct importer *im, const struct turn *turn, int64_t *prompt_id, struct error *err)
{
    enum status s = store_run(im->store, err,
        "INSERT OR IGNORE INTO prompt (task_id, text) VALUES (?, ?)", "it",
        im->tasks[turn->task], turn->prompt);
    if (s)
        return s;
    im->counts->prompts += (size_t)store_n_changed(im->store);
    return store_int(im->store, 0, prompt_id, err,
        "SELECT prompt_id FROM prompt WHERE task_id = ? AND text = ?", "it",
        im->tasks[turn->task], turn->prompt);
}

/* ---- turns ---- */

static const double *known(const double *x)
{
    return isnan(*x) ? NULL : x;
}

static enum status add_scores(
    struct importer *im, const struct interaction *it, struct error *err)
{
    int64_t response_id = store_last_id(im->store);
    enum status s = store_run(im->store, err,
        "INSERT INTO score (response_id, scorer, version, value, reason)"
        " VALUES (?, 'ratio', ?, ?, ?)",
        "itDt", response_id, IMPORT_VERSION, known(&it->score),
        isnan(it->score) ? "the imported file has no score" : NULL);
    if (s)
        return s;
    return store_run(im->store, err,
        "INSERT INTO score (response_id, scorer, version, value) VALUES (?, ?, ?, ?)",
        "ittd", response_id, REFUSAL_SCORER, REFUSAL_VERSION,
        (double)refusal_published(it->answer));
}

static enum status add_response(
    struct importer *im, const struct interaction *it, int64_t call_id, struct error *err)
{
    struct buffer views;
    buffer_init(&views, 4096);
    for (size_t i = 0; i < it->n_image_index; i++)
        buffer_printf(&views, "%s%d", i ? ", " : "[", it->image_index[i]);
    buffer_add_str(&views, it->n_image_index ? "]" : it->image_index ? "[]" : "null");
    enum status s = buffer_status(&views, "image_index", err);
    if (!s)
        s = store_run(im->store, err,
            "INSERT INTO response (call_id, text, reported_latency_s, reported_cost_usd,"
            " reported_views) VALUES (?, ?, ?, ?, ?)",
            "itDDt", call_id, it->answer, known(&it->latency_s), known(&it->cost_usd),
            buffer_str(&views));
    buffer_release(&views);
    return s ? s : add_scores(im, it, err);
}

struct place {
    const char *session; /* identity */
    int64_t session_id, turn_id, position, parent_id;
    char parent[HASH_HEX];
};

static enum status add_call(struct importer *im, const struct interaction *it,
    struct place *at, struct error *err)
{
    int cloud = im->data->llms[it->llm].cloud;
    char identity[HASH_HEX];
    struct call_name name = { .session = at->session,
        .turn = at->position,
        .purpose = "path",
        .llm = im->llm_identities[cloud],
        .views_added = it->views_added,
        .parent = at->parent_id ? at->parent : NULL };
    enum status s = call_identity(&name, identity, err);
    if (!s)
        s = store_run(im->store, err,
            "INSERT INTO call (identity, turn_id, purpose, llm_id, parent_id, "
            "views_added,"
            " views_context) VALUES (?, ?, 'path', ?, ?, ?, ?)",
            "tiiIii", identity, at->turn_id, im->llm_ids[cloud],
            at->parent_id ? &at->parent_id : NULL, (int64_t)it->views_added,
            (int64_t)it->views_context);
    if (s)
        return s;
    at->parent_id = store_last_id(im->store);
    memcpy(at->parent, identity, sizeof identity);
    return add_response(im, it, at->parent_id, err);
}

static enum status add_turn(
    struct importer *im, const struct turn *turn, struct place *at, struct error *err)
{
    int64_t prompt_id;
    enum status s = add_prompt(im, turn, &prompt_id, err);
    if (!s)
        s = store_run(im->store, err,
            "INSERT INTO turn (session_id, position, prompt_id) VALUES (?, ?, ?)", "iii",
            at->session_id, at->position, prompt_id);
    if (s)
        return s;
    at->turn_id = store_last_id(im->store);
    if (turn->association)
        s = store_run(im->store, err,
            "INSERT INTO association_model (name, added_ms) VALUES (?, ?)"
            " ON CONFLICT DO NOTHING",
            "ti", IMPORT_MODEL, clock_wall_ms());
    for (size_t v = 0; turn->association && v < im->data->n_views && !s; v++)
        s = store_run(im->store, err,
            "INSERT INTO association (turn_id, view_id, model, value) VALUES (?, ?, ?, "
            "?)",
            "iitd", at->turn_id, im->view_ids[v], IMPORT_MODEL, turn->association[v]);
    return s ? s : add_call(im, &turn->path, at, err);
}

/* ---- sessions ---- */

static enum status session_identity(struct importer *im, const struct session *session,
    char identity[HASH_HEX], struct error *err)
{
    struct json *j;
    enum status s = m4a1_json_session(im->data, session, &j, err);
    if (!s)
        s = identity_of(SESSION_PREFIX, j, identity, err);
    if (s)
        error_prefix(err, "session %lld: ", (long long)session->id);
    json_free(j);
    return s;
}

static enum status add_session(struct importer *im, const struct session *session,
    const char *identity, struct error *err)
{
    int64_t scene_id, at_ms;
    enum status s = add_scene(im, session, &scene_id, &at_ms, err);
    if (s)
        return s;
    s = store_run(im->store, err,
        "INSERT INTO session (identity, scene_id, at_ms, source_id) VALUES (?, ?, ?, ?)",
        "tiii", identity, scene_id, at_ms, session->id);
    struct place at = { .session = identity, .session_id = store_last_id(im->store) };
    for (; (size_t)at.position < session->n_turns && !s; at.position++)
        s = add_turn(im, &session->turns[at.position], &at, err);
    im->counts->sessions++;
    im->counts->turns += session->n_turns;
    return s;
}

static enum status import_session(
    struct importer *im, const struct session *session, struct error *err)
{
    char identity[HASH_HEX];
    int64_t present;
    if (!session->imported)
        return error_set(err, E_ARG,
            "session %lld was collected, not written by the authors; only their format "
            "is "
            "imported",
            (long long)session->id);
    enum status s = session_identity(im, session, identity, err);
    if (!s)
        s = store_int(im->store, 0, &present, err,
            "SELECT count(*) FROM session WHERE identity = ?", "t", identity);
    if (s)
        return s;
    if (present) {
        im->counts->sessions_present++;
        return OK;
    }
    s = add_session(im, session, identity, err);
    if (s)
        error_prefix(err, "session %lld: ", (long long)session->id);
    return s;
}

static enum status import_sessions(struct importer *im, struct error *err)
{
    int64_t before, taken = 0;
    enum status s =
        store_int(im->store, 0, &before, err, "SELECT max(session_id) FROM session", "");
    for (size_t i = 0; i < im->data->n_sessions && !s; i++)
        s = import_session(im, &im->data->sessions[i], err);
    if (!s)
        s = store_int(im->store, 0, &taken, err,
            "SELECT count(*) FROM session WHERE session_id > ?1 AND source_id IN"
            " (SELECT coalesce(source_id, session_id) FROM session"
            "  WHERE session_id <= ?1)",
            "i", before);
    im->counts->ids_taken = (size_t)taken;
    return s;
}

enum status import_dataset(struct store *store, const struct dataset *data,
    struct import_counts *counts, struct error *err)
{
    *counts = (struct import_counts) { 0 };
    struct importer im = { .store = store, .data = data, .counts = counts };
    enum status s = store_begin(store, err);
    if (s)
        return s;
    if (!(s = prepare_views(&im, err)) && !(s = prepare_llm(&im, 0, err)) &&
        !(s = prepare_llm(&im, 1, err)) && !(s = prepare_tasks(&im, err)))
        s = import_sessions(&im, err);
    if (!s)
        s = store_commit(store, err);
    if (s) {
        store_rollback(store);
        *counts = (struct import_counts) { 0 };
        error_prefix(err, "%s: ", data->source);
    }
    free(im.tasks);
    return s;
}
