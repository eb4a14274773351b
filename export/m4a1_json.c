/* m4a1_json.c - read the authors' JSON into a data set, strictly.
 * Knows nothing of stores. */
#include "export/m4a1_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/dataset_build.h"
#include "export/scene_name.h"
#include "m4a1/base/text.h"

#define TURNS_MAX 100000 /* of one session; more is a broken file */

struct reader {
    const char *name;
    unsigned flags;
    struct dataset *data;
    size_t position; /* of the session in the array */
    int has_id;
    int64_t id;
    int turn;       /* -1 outside of turns */
    int additional; /* the session has one of our keys, so it is none of the authors' */
    struct error *err;
};

static enum status fail(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A message that names file, session and turn. */
static enum status fail(struct reader *r, const char *fmt, ...)
{
    char what[512], turn[32] = "";
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (r->turn >= 0)
        snprintf(turn, sizeof turn, ", turn %d", r->turn);
    if (r->has_id)
        return error_set(
            r->err, E_DATA, "%s: session %" PRId64 "%s: %s", r->name, r->id, turn, what);
    return error_set(
        r->err, E_DATA, "%s: session at position %zu: %s", r->name, r->position, what);
}

/* What a value is, for messages: "null", "7", "text \"x...\"", "an array of 3". */
static const char *found(const struct json *j, char *buf, size_t size)
{
    if (!j)
        snprintf(buf, size, "nothing");
    else if (json_is_null(j))
        snprintf(buf, size, "null");
    else if (json_is_bool(j))
        snprintf(buf, size, "%s", json_bool(j, 0) ? "true" : "false");
    else if (json_is_number(j))
        snprintf(buf, size, "%.17g", json_number(j, 0));
    else if (json_is_string(j))
        snprintf(buf, size, "text of %zu bytes", strlen(json_text(j, "")));
    else if (json_is_array(j))
        snprintf(buf, size, "an array of %zu", json_size(j));
    else
        snprintf(buf, size, "an object");
    return buf;
}

static enum status expected(
    struct reader *r, const char *key, const char *what, const struct json *j)
{
    char buf[64];
    return fail(r, "%s: expected %s, found %s", key, what, found(j, buf, sizeof buf));
}

/* Every required key is there, and in the strict mode no other. */
static enum status check_keys(
    struct reader *r, const struct json *object, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!json_get(object, keys[i]))
            return fail(r, "the key \"%s\" is missing", keys[i]);
    }
    if (!(r->flags & M4A1_JSON_AUTHORS))
        return OK;
    for (const struct json *c = json_first(object); c; c = json_next(c)) {
        size_t i = 0;
        while (i < n && strcmp(json_key(c), keys[i]) != 0)
            i++;
        if (i == n)
            return fail(r,
                "the key \"%.60s\" is not one of the authors' format and would be lost; "
                "only their files are imported (stats, train and evaluate read exports "
                "directly)",
                json_key(c));
    }
    return OK;
}

static int is_too_long(const struct json *j)
{
    return strlen(json_text(j, "")) > M4A1_JSON_MAX_TEXT;
}

static enum status too_long(struct reader *r, const char *key, const struct json *j)
{
    return fail(r, "%s: expected at most %zu bytes, found text of %zu bytes", key,
        M4A1_JSON_MAX_TEXT, strlen(json_text(j, "")));
}

static enum status read_text(struct reader *r, const struct json *object, const char *key,
    int may_be_empty, char **out)
{
    const struct json *j = json_get(object, key);
    if (!json_is_string(j) || (!may_be_empty && !*json_text(j, "")))
        return expected(r, key, may_be_empty ? "text" : "text that is not empty", j);
    if (is_too_long(j))
        return too_long(r, key, j);
    *out = text_copy(json_text(j, ""));
    return *out ? OK : error_nomem(r->err, strlen(json_text(j, "")));
}

/* A figure of at least 0, or null where it is not known.  -0 becomes 0, so that a store,
 * which does not keep the sign of zero, gives the same bits. */
static enum status read_figure(
    struct reader *r, const struct json *object, const char *key, double max, double *out)
{
    const struct json *j = json_get(object, key);
    if (!j || json_is_null(j))
        return OK;
    double x = json_number(j, NAN);
    if (!json_is_number(j) || !(x >= 0 && x <= max))
        return expected(
            r, key, max == 1 ? "a number in 0 to 1" : "a number of 0 or more", j);
    *out = x + 0.0;
    return OK;
}

/* A list of different view indices; null gives *list NULL. */
static enum status read_views(
    struct reader *r, const struct json *j, const char *key, int **list, size_t *n)
{
    int n_views = (int)r->data->n_views;
    *list = NULL;
    *n = 0;
    if (json_is_null(j))
        return OK;
    if (!json_is_array(j))
        return expected(r, key, "null or a list of view indices", j);
    if (json_size(j) > r->data->n_views)
        return fail(
            r, "%s: expected at most %d views, found %zu", key, n_views, json_size(j));
    int *views = calloc(r->data->n_views, sizeof *views);
    if (!views)
        return error_nomem(r->err, r->data->n_views * sizeof *views);
    *list = views;
    uint32_t seen = 0;
    for (const struct json *c = json_first(j); c; c = json_next(c)) {
        int64_t v = json_int(c, -1);
        char buf[64];
        if (!json_is_int(c) || v < 0 || v >= n_views)
            return fail(r, "%s: expected view indices 0 to %d, found %s", key,
                n_views - 1, found(c, buf, sizeof buf));
        if (seen >> v & 1)
            return fail(r, "%s: view %d is named twice", key, (int)v);
        seen |= UINT32_C(1) << v;
        views[(*n)++] = (int)v;
    }
    return OK;
}

static enum status read_mask(
    struct reader *r, const struct json *object, const char *key, uint32_t *mask)
{
    const struct json *j = json_get(object, key);
    if (!j)
        return OK;
    int *list;
    size_t n;
    enum status s = read_views(r, j, key, &list, &n);
    *mask = 0;
    for (size_t i = 0; i < n; i++)
        *mask |= UINT32_C(1) << list[i];
    free(list);
    return s;
}

static enum status read_tokens(
    struct reader *r, const struct json *object, struct interaction *it)
{
    const struct json *j = json_get(object, "tokens");
    if (!j || json_is_null(j))
        return OK;
    if (!json_is_array(j) || json_size(j) != N_TOKENS)
        return expected(r, "tokens", "a list of 5 counts", j);
    int i = 0;
    for (const struct json *c = json_first(j); c; c = json_next(c), i++) {
        if (!json_is_null(c) && (!json_is_int(c) || json_int(c, -1) < 0))
            return expected(r, "tokens", "counts of 0 or more, or null", c);
        it->tokens[i] = json_int(c, -1);
    }
    return OK;
}

static void note_additional(
    struct reader *r, const struct json *object, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n && !r->additional; i++)
        r->additional = json_get(object, keys[i]) != NULL;
}

/* Our additional keys of an interaction.  Without them the views follow from
 * image_index, and the refusal rule is applied. */
static enum status read_additional(
    struct reader *r, const struct json *j, uint32_t held, struct interaction *it)
{
    static const char *const keys[] = { "llm", "views_added", "views_context",
        "probability", "simulated", "refused", "tokens", "fan_out" };
    enum status s;
    const struct json *refused = json_get(j, "refused");
    const struct json *simulated = json_get(j, "simulated");
    note_additional(r, j, keys, COUNT_OF(keys));
    if (it->answer)
        it->refused = refusal_published(it->answer);
    if (refused && !json_is_bool(refused) && !json_is_null(refused))
        return expected(r, "refused", "true, false or null", refused);
    if (refused)
        it->refused = json_bool(refused, -1);
    if (simulated && !json_is_bool(simulated))
        return expected(r, "simulated", "true or false", simulated);
    it->simulated = json_bool(simulated, 0);
    if ((s = read_figure(r, j, "probability", 1, &it->probability)) ||
        (s = read_mask(r, j, "views_added", &it->views_added)) ||
        (s = read_mask(r, j, "views_context", &it->views_context)) ||
        (s = read_tokens(r, j, it)))
        return s;
    if (it->views_context != (held | it->views_added))
        return fail(r, "views_context: expected the views held before and views_added");
    return OK;
}

static enum status read_action(
    struct reader *r, const struct json *j, struct interaction *it)
{
    const struct json *action = json_get(j, "action"), *llm = json_get(j, "llm");
    int64_t cloud = json_int(action, -1);
    if (!json_is_int(action) || (cloud != 0 && cloud != 1))
        return expected(r, "action", "0 (local) or 1 (cloud)", action);
    if (llm && (!json_is_string(llm) || !*json_text(llm, "")))
        return expected(r, "llm", "the name of an llm", llm);
    if (is_too_long(llm))
        return too_long(r, "llm", llm);
    it->llm =
        dataset_llm_index(r->data, json_text(llm, cloud ? "cloud" : "local"), (int)cloud);
    return it->llm >= 0 ? OK : error_nomem(r->err, sizeof(struct dataset_llm));
}

/* held: what the dialogue has shown before this interaction. */
static enum status read_interaction(
    struct reader *r, const struct json *j, uint32_t held, struct interaction *it)
{
    enum status s;
    interaction_init(it);
    if ((s = read_action(r, j, it)) ||
        (s = read_views(r, json_get(j, "image_index"), "image_index", &it->image_index,
             &it->n_image_index)))
        return s;
    uint32_t shown = interaction_shown(it);
    if (it->n_image_index && (shown & held) != held)
        return fail(r,
            "image_index: expected all views that the dialogue holds and new ones (views "
            "accumulate), but view %d is missing",
            __builtin_ctz(held & ~shown));
    it->views_added = shown & ~held;
    it->views_context = held | shown;
    if (json_is_null(json_get(j, "answer")) && !(r->flags & M4A1_JSON_AUTHORS))
        s = OK;
    else
        s = read_text(r, j, "answer", 1, &it->answer);
    if (s || (s = read_figure(r, j, "score", INFINITY, &it->score)) ||
        (s = read_figure(r, j, "interaction_time", INFINITY, &it->latency_s)) ||
        (s = read_figure(r, j, "usage_cost", INFINITY, &it->cost_usd)))
        return s;
    return read_additional(r, j, held, it);
}

static enum status read_fan_out(
    struct reader *r, const struct json *j, uint32_t held, struct turn *turn)
{
    static const char *const keys[] = { "action", "image_index", "answer", "score",
        "interaction_time", "usage_cost" };
    enum status s;
    if (!j)
        return OK;
    if (!json_is_array(j))
        return expected(r, "fan_out", "a list of interactions", j);
    turn->fan_out = calloc(json_size(j) + 1, sizeof *turn->fan_out);
    if (!turn->fan_out)
        return error_nomem(r->err, json_size(j) * sizeof *turn->fan_out);
    for (const struct json *c = json_first(j); c; c = json_next(c)) {
        if (!json_is_object(c))
            return expected(r, "fan_out", "objects", c);
        if ((s = check_keys(r, c, keys, COUNT_OF(keys))) ||
            (s = read_interaction(r, c, held, &turn->fan_out[turn->n_fan_out++])))
            return s;
    }
    return OK;
}

static enum status read_turn(
    struct reader *r, const struct json *j, uint32_t *held, struct turn *turn)
{
    static const char *const keys[] = { "question", "task_cat", "action", "image_index",
        "answer", "score", "interaction_time", "usage_cost" };
    enum status s;
    interaction_init(&turn->path);
    if (!json_is_object(j))
        return expected(r, "interactions", "an object", j);
    if ((s = check_keys(r, j, keys, COUNT_OF(keys))) ||
        (s = read_text(r, j, "question", 0, &turn->prompt)))
        return s;
    const struct json *task = json_get(j, "task_cat");
    if (!json_is_string(task) || !*json_text(task, ""))
        return expected(r, "task_cat", "text that is not empty", task);
    if (is_too_long(task))
        return too_long(r, "task_cat", task);
    turn->task = dataset_task(r->data, json_text(task, ""));
    if (turn->task < 0)
        return error_nomem(r->err, strlen(json_text(task, "")));
    if ((s = read_interaction(r, j, *held, &turn->path)) ||
        (s = read_fan_out(r, json_get(j, "fan_out"), *held, turn)))
        return s;
    *held = turn->path.views_context;
    return OK;
}

/* One turn's row of association_score; null means none was computed, for the turn or for
 * one view. */
static enum status read_association(
    struct reader *r, const struct json *row, struct turn *turn)
{
    size_t n = r->data->n_views, v = 0;
    if (json_is_null(row) && !(r->flags & M4A1_JSON_AUTHORS))
        return OK;
    if (!json_is_array(row) || json_size(row) != n) {
        char buf[64];
        return fail(r,
            "association_score: expected one number for each of %zu views, found %s", n,
            found(row, buf, sizeof buf));
    }
    turn->association = calloc(n, sizeof *turn->association);
    if (!turn->association)
        return error_nomem(r->err, n * sizeof *turn->association);
    for (const struct json *c = json_first(row); c; c = json_next(c)) {
        double x = json_number(c, NAN);
        int is_none = json_is_null(c) && !(r->flags & M4A1_JSON_AUTHORS);
        if (!is_none && (!json_is_number(c) || !(x >= -1 && x <= 1)))
            return expected(r, "association_score", "a cosine in -1 to 1", c);
        turn->association[v++] = x + 0.0;
    }
    return OK;
}

static enum status read_associations(
    struct reader *r, const struct json *j, struct session *session)
{
    if (json_is_null(j) && !(r->flags & M4A1_JSON_AUTHORS))
        return OK;
    if (!json_is_array(j) || json_size(j) != session->n_turns) {
        char buf[64];
        return fail(r,
            "association_score: expected one row for each of %zu turns, found %s",
            session->n_turns, found(j, buf, sizeof buf));
    }
    enum status s = OK;
    r->turn = 0;
    for (const struct json *row = json_first(j); row && !s; row = json_next(row)) {
        s = read_association(r, row, &session->turns[r->turn]);
        r->turn++;
    }
    r->turn = -1;
    return s;
}

/* The first session says how many views there are; all others must agree. */
static enum status read_paths(
    struct reader *r, const struct json *j, struct session *session)
{
    struct dataset *data = r->data;
    size_t n = json_size(j), i = 0;
    enum status s;
    if (json_is_null(j) && data->n_views && !(r->flags & M4A1_JSON_AUTHORS))
        return OK;
    if (!json_is_array(j) || n == 0 || n > DATASET_MAX_VIEWS)
        return expected(r, "image_paths", "a list of 1 to 32 paths, one a view", j);
    if (!data->n_views && (s = dataset_set_views(data, n, r->err)))
        return s;
    if (n != data->n_views)
        return fail(r,
            "image_paths: expected %zu paths as in the sessions before, found %zu",
            data->n_views, n);
    session->image_paths = calloc(n, sizeof *session->image_paths);
    if (!session->image_paths)
        return error_nomem(r->err, n * sizeof *session->image_paths);
    for (const struct json *c = json_first(j); c; c = json_next(c)) {
        if (!json_is_string(c) || !*json_text(c, ""))
            return expected(r, "image_paths", "paths that are not empty", c);
        if (is_too_long(c))
            return too_long(r, "image_paths", c);
        session->image_paths[i] = text_copy(json_text(c, ""));
        if (!session->image_paths[i++])
            return error_nomem(r->err, strlen(json_text(c, "")));
    }
    return OK;
}

/* Our additional keys of a session; the scene follows from the paths without them. */
static enum status read_session_extras(
    struct reader *r, const struct json *j, struct session *session)
{
    static const char *const keys[] = { "identity", "scene", "censored" };
    const struct json *identity = json_get(j, "identity"), *scene = json_get(j, "scene");
    const struct json *censored = json_get(j, "censored");
    if (identity && strlen(json_text(identity, "")) != HASH_HEX - 1)
        return expected(r, "identity", "64 hexadecimal digits", identity);
    snprintf(session->identity, sizeof session->identity, "%s", json_text(identity, ""));
    note_additional(r, j, keys, COUNT_OF(keys));
    if (censored && !json_is_bool(censored))
        return expected(r, "censored", "true or false", censored);
    session->censored = json_bool(censored, 0);
    if (scene && !json_is_string(scene))
        return expected(r, "scene", "the name of a scene", scene);
    if (is_too_long(scene))
        return too_long(r, "scene", scene);
    session->scene = scene ? text_copy(json_text(scene, ""))
                           : scene_name(session->image_paths, r->data->n_views);
    return session->scene ? OK : error_nomem(r->err, 64);
}

static enum status read_id(
    struct reader *r, const struct json *j, struct session *session)
{
    const struct json *id = json_get(j, "id");
    if (!json_is_int(id))
        return expected(r, "id",
            json_is_number(id) ? "a whole number between -2^53 and 2^53 (others are "
                                 "rounded by readers of JSON)"
                               : "a whole number",
            id);
    session->id = r->id = json_int(id, 0);
    r->has_id = 1;
    return OK;
}

static enum status read_session(
    struct reader *r, const struct json *j, struct session *session)
{
    static const char *const keys[] = { "id", "image_paths", "interactions",
        "association_score" };
    enum status s;
    r->has_id = 0;
    r->turn = -1;
    r->additional = 0;
    if (!json_is_object(j))
        return expected(r, "the array", "an object a session", j);
    const struct json *turns = json_get(j, "interactions");
    if ((json_get(j, "id") && (s = read_id(r, j, session))) ||
        (s = check_keys(r, j, keys, COUNT_OF(keys))) ||
        (s = read_paths(r, json_get(j, "image_paths"), session)) ||
        (s = read_session_extras(r, j, session)))
        return s;
    size_t n = json_size(turns);
    if (!json_is_array(turns) || n == 0 || n > TURNS_MAX)
        return expected(r, "interactions", "a list with a turn at least", turns);
    session->turns = calloc(n, sizeof *session->turns);
    if (!session->turns)
        return error_nomem(r->err, n * sizeof *session->turns);
    uint32_t held = 0;
    for (const struct json *c = json_first(turns); c; c = json_next(c)) {
        r->turn = (int)session->n_turns;
        if ((s = read_turn(r, c, &held, &session->turns[session->n_turns++])))
            return s;
    }
    r->turn = -1;
    session->imported = !r->additional;
    return read_associations(r, json_get(j, "association_score"), session);
}

static enum status read_sessions(struct reader *r, const struct json *root)
{
    struct dataset *data = r->data;
    size_t n = json_size(root);
    enum status s = OK;
    if (!json_is_array(root) || n == 0)
        return error_set(r->err, E_DATA,
            "%s: expected a JSON array of sessions as in the authors' M4A1.json, found "
            "%s",
            r->name, json_is_array(root) ? "an empty one" : "something else");
    data->sessions = calloc(n, sizeof *data->sessions);
    if (!data->sessions)
        return error_nomem(r->err, n * sizeof *data->sessions);
    for (const struct json *c = json_first(root); c && !s; c = json_next(c)) {
        r->position = data->n_sessions;
        s = read_session(r, c, &data->sessions[data->n_sessions++]);
    }
    return s;
}

static enum status from_json(const struct json *root, const char *name, unsigned flags,
    struct dataset **out, struct error *err)
{
    struct dataset *data = calloc(1, sizeof *data);
    if (!data || !(data->source = text_copy(name))) {
        dataset_free(data);
        return error_nomem(err, sizeof *data);
    }
    struct reader r = { .name = name, .flags = flags, .data = data, .err = err };
    enum status s;
    if ((s = read_sessions(&r, root)) || (s = dataset_tidy(data, err)) ||
        (s = dataset_seal(data, err))) {
        dataset_free(data);
        return s;
    }
    *out = data;
    return OK;
}

enum status m4a1_json_parse(const char *text, size_t len, const char *name,
    unsigned flags, struct dataset **out, struct error *err)
{
    struct json *root;
    *out = NULL;
    enum status s = json_parse(text, len, name, JSON_UNIQUE_KEYS, &root, err);
    if (!s)
        s = from_json(root, name, flags, out, err);
    json_free(root);
    return s;
}

enum status m4a1_json_read(
    const char *path, unsigned flags, struct dataset **out, struct error *err)
{
    struct json *root;
    *out = NULL;
    enum status s = json_read_file(path, M4A1_JSON_MAX, JSON_UNIQUE_KEYS, &root, err);
    if (!s)
        s = from_json(root, path, flags, out, err);
    json_free(root);
    return s;
}
