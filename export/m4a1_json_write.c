/* m4a1_json_write.c - print a data set as the authors' JSON.
 *
 * Sessions of the authors' file get their keys and no other, in their order, so that an
 * imported file comes back equal.  Collected ones get ours behind them. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "export/json_keep.h"
#include "export/m4a1_json.h"

struct writer {
    const struct dataset *data;
    struct json_keeper kept;
};

static void set_views(struct writer *w, struct json *j, const char *key, uint32_t views)
{
    struct json *list = json_keep(&w->kept, json_set_array(j, key));
    for (int v = 0; v < 32; v++) {
        if (views >> v & 1)
            json_keep(&w->kept, json_add_int(list, v));
    }
}

static void set_image_index(
    struct writer *w, struct json *j, const struct interaction *it)
{
    if (!it->image_index) {
        json_keep(&w->kept, json_set_null(j, "image_index"));
        return;
    }
    struct json *list = json_keep(&w->kept, json_set_array(j, "image_index"));
    for (size_t i = 0; i < it->n_image_index; i++)
        json_keep(&w->kept, json_add_int(list, it->image_index[i]));
}

static void set_additional(struct writer *w, struct json *j, const struct interaction *it)
{
    json_keep(&w->kept, json_set_text(j, "llm", w->data->llms[it->llm].name));
    set_views(w, j, "views_added", it->views_added);
    set_views(w, j, "views_context", it->views_context);
    json_keep_figure(&w->kept, j, "probability", it->probability);
    json_keep(&w->kept, json_set_bool(j, "simulated", it->simulated));
    if (it->refused < 0)
        json_keep(&w->kept, json_set_null(j, "refused"));
    else
        json_keep(&w->kept, json_set_bool(j, "refused", it->refused));
    struct json *tokens = json_keep(&w->kept, json_set_array(j, "tokens"));
    for (int i = 0; i < N_TOKENS; i++) {
        if (it->tokens[i] < 0)
            json_keep(&w->kept, json_add_null(tokens));
        else
            json_keep(&w->kept, json_add_int(tokens, it->tokens[i]));
    }
}

static void set_interaction(
    struct writer *w, struct json *j, const struct interaction *it, int additional)
{
    json_keep(&w->kept, json_set_int(j, "action", w->data->llms[it->llm].cloud));
    set_image_index(w, j, it);
    if (it->answer)
        json_keep(&w->kept, json_set_text(j, "answer", it->answer));
    else
        json_keep(&w->kept, json_set_null(j, "answer"));
    json_keep_figure(&w->kept, j, "score", it->score);
    json_keep_figure(&w->kept, j, "interaction_time", it->latency_s);
    json_keep_figure(&w->kept, j, "usage_cost", it->cost_usd);
    if (additional)
        set_additional(w, j, it);
}

static void add_turn(
    struct writer *w, struct json *list, const struct turn *turn, int additional)
{
    struct json *j = json_keep(&w->kept, json_add_object(list));
    json_keep(&w->kept, json_set_text(j, "question", turn->prompt));
    json_keep(&w->kept, json_set_text(j, "task_cat", w->data->tasks[turn->task]));
    set_interaction(w, j, &turn->path, additional);
    if (!additional || !turn->n_fan_out)
        return;
    struct json *fan_out = json_keep(&w->kept, json_set_array(j, "fan_out"));
    for (size_t f = 0; f < turn->n_fan_out; f++)
        set_interaction(
            w, json_keep(&w->kept, json_add_object(fan_out)), &turn->fan_out[f], 1);
}

static void set_associations(
    struct writer *w, struct json *j, const struct session *session)
{
    size_t n = 0;
    for (size_t t = 0; t < session->n_turns; t++)
        n += session->turns[t].association != NULL;
    if (n == 0) {
        json_keep(&w->kept, json_set_null(j, "association_score"));
        return;
    }
    struct json *rows = json_keep(&w->kept, json_set_array(j, "association_score"));
    for (size_t t = 0; t < session->n_turns; t++) {
        const double *association = session->turns[t].association;
        struct json *row =
            json_keep(&w->kept, association ? json_add_array(rows) : json_add_null(rows));
        for (size_t v = 0; association && v < w->data->n_views; v++)
            json_keep(&w->kept, isnan(association[v])
                                    ? json_add_null(row)
                                    : json_add_number(row, association[v]));
    }
}

static void set_session(struct writer *w, struct json *j, const struct session *session)
{
    int additional = !session->imported;
    json_keep(&w->kept, json_set_int(j, "id", session->id));
    if (session->image_paths) {
        struct json *paths = json_keep(&w->kept, json_set_array(j, "image_paths"));
        for (size_t v = 0; v < w->data->n_views; v++)
            json_keep(&w->kept, json_add_text(paths, session->image_paths[v]));
    } else {
        json_keep(&w->kept, json_set_null(j, "image_paths"));
    }
    struct json *turns = json_keep(&w->kept, json_set_array(j, "interactions"));
    for (size_t t = 0; t < session->n_turns; t++)
        add_turn(w, turns, &session->turns[t], additional);
    set_associations(w, j, session);
    if (additional) {
        if (session->identity[0])
            json_keep(&w->kept, json_set_text(j, "identity", session->identity));
        json_keep(&w->kept, json_set_text(j, "scene", session->scene));
        json_keep(&w->kept, json_set_bool(j, "censored", session->censored));
    }
}

enum status m4a1_json_session(const struct dataset *data, const struct session *session,
    struct json **out, struct error *err)
{
    struct writer w = { data, { 1 } };
    struct json *j = *out = json_keep(&w.kept, json_new_object());
    set_session(&w, j, session);
    if (w.kept.ok)
        return OK;
    json_free(j);
    *out = NULL;
    return error_nomem(err, sizeof *session);
}

/* What could not be read again is not written. */
static enum status check_text(const struct session *session, size_t turn, const char *key,
    const char *text, struct error *err)
{
    size_t n = text ? strlen(text) : 0;
    return n <= M4A1_JSON_MAX_TEXT
               ? OK
               : error_set(err, E_LIMIT,
                     "session %" PRId64
                     ", turn %zu: %s: expected at most %zu bytes, found "
                     "text of %zu bytes; leave the session out with a split",
                     session->id, turn, key, M4A1_JSON_MAX_TEXT, n);
}

static enum status check_texts(const struct session *session, struct error *err)
{
    enum status s = OK;
    for (size_t t = 0; t < session->n_turns && !s; t++) {
        const struct turn *turn = &session->turns[t];
        s = check_text(session, t, "question", turn->prompt, err);
        if (!s)
            s = check_text(session, t, "answer", turn->path.answer, err);
        for (size_t f = 0; f < turn->n_fan_out && !s; f++)
            s = check_text(session, t, "fan_out: answer", turn->fan_out[f].answer, err);
    }
    return s;
}

enum status m4a1_json_print(
    const struct dataset *data, struct buffer *out, struct error *err)
{
    enum status s = OK;
    buffer_add_str(out, "[");
    for (size_t i = 0; i < data->n_sessions && !s; i++) {
        struct json *j = NULL;
        buffer_add_str(out, i ? ",\n" : "\n");
        s = check_texts(&data->sessions[i], err);
        if (!s)
            s = m4a1_json_session(data, &data->sessions[i], &j, err);
        if (!s && (s = json_print(j, JSON_COMPACT, out, err)))
            error_prefix(err, "session %" PRId64 ": ", data->sessions[i].id);
        json_free(j);
    }
    buffer_add_str(out, "\n]\n");
    return s ? s : buffer_status(out, "m4a1.json", err);
}
