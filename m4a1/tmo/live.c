/* live.c - see live.h.  Rows are copied one by one through both handles: an attached
 * database would be checkpointed by whoever closes it last, and a reader must not. */
#include "m4a1/tmo/live.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "annotate/refusal.h"
#include "export/dataset.h"
#include "export/from_store.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "schema/recipe.h"

#define NAME_PREFIX "live play of "
#define RECIPE_SQL                                                                       \
    "SELECT sha256 FROM recipe ORDER BY loaded_ms DESC, recipe_id DESC LIMIT 1"

int64_t live_seed(const char *sha256)
{
    char digits[13] = "";
    memcpy(digits, sha256, strnlen(sha256, sizeof digits - 1));
    return (int64_t)strtoull(digits, NULL, 16);
}

/* ---- scripts ---- */

static enum status add_prompts(
    struct store *from, int64_t session, struct json *prompts, struct error *err)
{
    struct query *q;
    enum status s = query_open(from,
        "SELECT t.position, p.name FROM turn t JOIN prompt p USING (prompt_id)"
        " WHERE t.session_id = ? ORDER BY t.position",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", session);
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        const char *name = query_text(q, 1);
        if (!name)
            s = error_set(err, E_ARG,
                "session %lld, turn %lld of %s: its prompt has no id in the recipe, so "
                "the session cannot be played again",
                (long long)session, (long long)query_int(q, 0), store_path(from));
        else if (!json_add_text(prompts, name))
            s = error_nomem(err, strlen(name));
        if (s)
            break;
    }
    query_close(q);
    return s;
}

static enum status script_line(
    struct store *from, int64_t session, struct buffer *out, struct error *err)
{
    struct query *q;
    enum status s = query_open(from,
        "SELECT c.name, s.at_ms FROM session s JOIN scene c USING (scene_id)"
        " WHERE s.session_id = ?",
        &q, err);
    if (s)
        return s;
    struct json *line = json_new_object();
    query_bind(q, "i", session);
    s = query_next(q, err);
    if (!s && !query_has_row(q))
        s = error_set(
            err, E_DATA, "%s has no session %lld", store_path(from), (long long)session);
    if (!s && !(json_set_text(line, "scene", query_text(q, 0)) &&
                  json_set_number(line, "at_s", (double)query_int(q, 1) / 1000)))
        s = error_nomem(err, 64);
    query_close(q);
    if (!s)
        s = add_prompts(from, session, json_set_array(line, "prompts"), err);
    if (!s)
        s = json_print(line, JSON_COMPACT, out, err);
    buffer_add_char(out, '\n');
    json_free(line);
    return s;
}

enum status live_script(struct store *from, const int64_t *sessions, size_t n,
    struct buffer *out, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; i < n && !s; i++)
        s = script_line(from, sessions[i], out, err);
    return s ? s : buffer_status(out, "the script", err);
}

/* ---- the store of play ---- */

/* The recipe's hash; "" where the store has none yet. */
static enum status recipe_hash(
    struct store *store, char sha256[HASH_HEX], struct error *err)
{
    struct query *q;
    sha256[0] = '\0';
    enum status s = query_open(store, RECIPE_SQL, &q, err);
    if (!s && !(s = query_next(q, err)) && query_has_row(q)) {
        const char *text = query_text(q, 0);
        memcpy(sha256, text, strnlen(text, HASH_HEX - 1));
        sha256[strnlen(text, HASH_HEX - 1)] = '\0';
    }
    query_close(q);
    return s;
}

static enum status check_name(struct store *store, struct error *err)
{
    int64_t is_play = 0;
    enum status s = store_int(store, 0, &is_play, err,
        "SELECT substr(name, 1, length(?1)) = ?1 FROM store", "t", NAME_PREFIX);
    if (!s && !is_play)
        s = error_set(err, E_ARG,
            "%s holds something else than live play; give --into another name",
            store_path(store));
    return s;
}

/* Give the store the recipe of from, or see that it has it. */
static enum status take_recipe(struct store *from, struct store *store, struct error *err)
{
    struct recipe *recipe = NULL;
    char wanted[HASH_HEX], there[HASH_HEX];
    enum status s = recipe_hash(from, wanted, err);
    if (!s)
        s = recipe_hash(store, there, err);
    if (s || text_equal(wanted, there))
        return s;
    if (there[0])
        return error_set(err, E_ARG,
            "%s was played with another recipe than %s has now; begin anew with --into "
            "FILE",
            store_path(store), store_path(from));
    s = recipe_of_store(from, &recipe, err);
    if (!s)
        s = recipe_apply(store, recipe, err);
    recipe_free(recipe);
    return s;
}

/* Prices that came behind the recipe, so that dollars are those of from. */
static enum status copy_prices(struct store *from, struct store *store, struct error *err)
{
    struct query *q;
    enum status s = query_open(from,
        "SELECT l.name, p.service_tier, p.valid_from_ms, p.min_input_tokens,"
        " p.input_pusd, p.cache_read_pusd, p.cache_write_pusd, p.output_pusd, p.source"
        " FROM price p JOIN llm l USING (llm_id)",
        &q, err);
    while (!s && !(s = query_next(q, err)) && query_has_row(q))
        s = store_run(store, err,
            "INSERT OR IGNORE INTO price (llm_id, service_tier, valid_from_ms,"
            " min_input_tokens, input_pusd, cache_read_pusd, cache_write_pusd,"
            " output_pusd, source)"
            " SELECT llm_id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM llm WHERE name = ?1",
            "ttiiiiiit", query_text(q, 0), query_text(q, 1), query_int(q, 2),
            query_int(q, 3), query_int(q, 4), query_int(q, 5), query_int(q, 6),
            query_int(q, 7), query_text(q, 8));
    query_close(q);
    return s;
}

static enum status copy_frame(
    struct store *store, const struct query *q, struct error *err)
{
    size_t len;
    const void *bytes = query_bytes(q, 9, &len);
    const int64_t duration = query_int(q, 10);
    enum status s = store_run(store, err,
        "INSERT OR IGNORE INTO frame (sha256, media_type, width_px, height_px, bytes,"
        " duration_ms) VALUES (?, ?, ?, ?, ?, ?)",
        "ttiibI", query_text(q, 5), query_text(q, 6), query_int(q, 7), query_int(q, 8),
        bytes, len, query_is_null(q, 10) ? NULL : &duration);
    return s ? s
             : store_run(store, err,
                   "INSERT OR IGNORE INTO scene_frame (scene_id, view_id, at_ms, part,"
                   " offset_ms, frame_id, source)"
                   " SELECT s.scene_id, v.view_id, ?3, ?4, ?5, f.frame_id, ?6"
                   " FROM scene s, view v, frame f"
                   " WHERE s.name = ?1 AND v.name = ?2 AND f.sha256 = ?7",
                   "ttiiitt", query_text(q, 0), query_text(q, 1), query_int(q, 2),
                   query_int(q, 3), query_int(q, 4), query_text(q, 11), query_text(q, 5));
}

/* The instant of a scene that a session is over. */
static enum status copy_scene(
    struct store *from, struct store *store, int64_t session, struct error *err)
{
    struct query *q;
    enum status s = query_open(from,
        "SELECT c.name, c.tags, c.licence, c.consent FROM session s JOIN scene c"
        " USING (scene_id) WHERE s.session_id = ?",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", session);
    if (!(s = query_next(q, err)) && query_has_row(q))
        s = store_run(store, err,
            "INSERT OR IGNORE INTO scene (name, tags, licence, consent) VALUES (?, ?, ?, "
            "?)",
            "tttt", query_text(q, 0), query_text(q, 1), query_text(q, 2),
            query_text(q, 3));
    query_close(q);
    if (!s)
        s = query_open(from,
            "SELECT c.name, v.name, f.at_ms, f.part, f.offset_ms, r.sha256, r.media_type,"
            " r.width_px, r.height_px, r.bytes, r.duration_ms, f.source"
            " FROM session s JOIN scene c USING (scene_id)"
            " JOIN scene_frame f ON f.scene_id = s.scene_id AND f.at_ms = s.at_ms"
            " JOIN view v USING (view_id) JOIN frame r USING (frame_id)"
            " WHERE s.session_id = ?",
            &q, err);
    if (s)
        return s;
    query_bind(q, "i", session);
    while (!s && !(s = query_next(q, err)) && query_has_row(q))
        s = copy_frame(store, q, err);
    query_close(q);
    return s;
}

static enum status copy_scenes(struct store *from, struct store *store,
    const int64_t *sessions, size_t n, struct error *err)
{
    enum status s = store_begin(store, err);
    if (!s)
        s = copy_prices(from, store, err);
    for (size_t i = 0; i < n && !s; i++)
        s = copy_scene(from, store, sessions[i], err);
    if (!s)
        s = store_commit(store, err);
    store_rollback(store);
    return s;
}

static enum status create(
    struct store *from, const char *path, struct store **out, struct error *err)
{
    struct recipe *recipe = NULL;
    enum status s = recipe_of_store(from, &recipe, err);
    char *name = s ? NULL : text_format(NAME_PREFIX "%s", recipe->name);
    if (!s && !name)
        s = error_nomem(err, 64);
    if (!s)
        s = store_create(path, name, out, err);
    free(name);
    recipe_free(recipe);
    return s;
}

enum status live_open(struct store *from, const char *path, const int64_t *sessions,
    size_t n, struct store **out, struct error *err)
{
    struct stat a, b;
    *out = NULL;
    if (stat(path, &a) == 0 && stat(store_path(from), &b) == 0 && a.st_ino == b.st_ino &&
        a.st_dev == b.st_dev)
        return error_set(
            err, E_ARG, "%s is the study itself; give --into another name", path);
    enum status s = file_exists(path) ? store_open(path, STORE_WRITE, out, err)
                                      : create(from, path, out, err);
    if (!s)
        s = check_name(*out, err);
    if (!s)
        s = take_recipe(from, *out, err);
    if (!s)
        s = copy_scenes(from, *out, sessions, n, err);
    if (s) {
        store_close(*out);
        *out = NULL;
    }
    return s;
}

enum status live_is_planned(
    struct store *store, int64_t seed, int *planned, struct error *err)
{
    int64_t n = 0;
    enum status s = store_int(store, 0, &n, err,
        "SELECT count(*) FROM session JOIN plan USING (plan_id) WHERE seed = ?", "i",
        seed);
    *planned = n > 0;
    return s;
}

/* ---- what came of it ---- */

static double response_of(const struct interaction *one, int as_published)
{
    if (!one->answer || isnan(one->score))
        return NAN;
    int refused =
        as_published ? refusal_published(one->answer) : refusal_mended(one->answer);
    return refused ? 0 : one->score;
}

static struct live_session summarise(const struct session *session, int as_published)
{
    struct live_session out = { .n_turns = session->n_turns };
    for (size_t t = 0; t < session->n_turns; t++) {
        const struct interaction *path = &session->turns[t].path;
        double response = response_of(path, as_published);
        out.n_scored += isnan(response) ? 0 : 1;
        out.response += response / (double)session->n_turns;
        out.latency_s += path->latency_s;
        out.usage_usd += path->cost_usd;
    }
    return out;
}

enum status live_read(struct store *store, int64_t seed, int as_published,
    struct live_session *sessions, size_t n, struct error *err)
{
    struct dataset *data = NULL;
    struct query *q = NULL;
    for (size_t i = 0; i < n; i++)
        sessions[i] = (struct live_session) { 0, 0, NAN, NAN, NAN };
    enum status s = dataset_of_store(store, NULL, &data, err);
    if (!s)
        s = query_open(store,
            "SELECT session_id, plan_index FROM session JOIN plan USING (plan_id)"
            " WHERE seed = ?",
            &q, err);
    if (!s)
        query_bind(q, "i", seed);
    while (!s && !(s = query_next(q, err)) && query_has_row(q)) {
        int64_t index = query_int(q, 1);
        for (size_t i = 0; i < data->n_sessions; i++)
            if (data->sessions[i].session_id == query_int(q, 0) && index >= 0 &&
                (size_t)index < n)
                sessions[index] = summarise(&data->sessions[i], as_published);
    }
    query_close(q);
    dataset_free(data);
    return s;
}
