/* experiment_outcome.c - outcomes to JSON and back. */
#include "m4a1/tmo/experiment_outcome.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/json_keep.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"

#define CONSTRAINTS_TEXT_MAX 4096

const enum experiment_figure experiment_by_session[N_BY_SESSION] = { EX_REWARD,
    EX_RESPONSE, EX_LATENCY_S, EX_USAGE_USD, EX_VIOLATION };

size_t experiment_session_column(enum experiment_figure figure)
{
    size_t i = 0;
    while (i < N_BY_SESSION && experiment_by_session[i] != figure)
        i++;
    return i;
}

enum status experiment_outcome_init(
    struct experiment_outcome *o, size_t most_sessions, struct error *err)
{
    *o = (struct experiment_outcome) { 0 };
    for (int f = 0; f < N_EX_FIGURES; f++)
        o->figures[f] = NAN;
    o->ids = calloc(most_sessions + 1, sizeof *o->ids);
    o->by_session = calloc(most_sessions + 1, sizeof *o->by_session);
    return o->ids && o->by_session
               ? OK
               : error_nomem(err, most_sessions * sizeof *o->by_session);
}

void experiment_outcome_release(struct experiment_outcome *o)
{
    free(o->ids);
    free(o->by_session);
    free(o->constraints);
    *o = (struct experiment_outcome) { 0 };
}

/* ---- writing ---- */

/* CPU times differ between runs of one cell. */
static const char *part_of(int figure)
{
    return figure == EX_CPU_S ? "measured" : "figures";
}

enum status experiment_outcome_write(
    const struct experiment_outcome *o, struct json *cell, struct error *err)
{
    struct json_keeper k = { 1 };
    struct json *figures = json_keep(&k, json_set_object(cell, "figures"));
    struct json *sessions = json_keep(&k, json_set_array(cell, "sessions"));
    struct json *measured = json_keep(&k, json_set_object(cell, "measured"));
    for (int f = 0; f < N_EX_FIGURES; f++)
        if (isfinite(o->figures[f]))
            json_keep(&k, json_set_number(f == EX_CPU_S ? measured : figures,
                              experiment_figures[f].name, o->figures[f]));
    for (size_t i = 0; i < o->n_sessions; i++) {
        struct json *one = json_keep(&k, json_add_array(sessions));
        json_keep(&k, json_add_int(one, o->ids[i]));
        for (size_t f = 0; f < N_BY_SESSION; f++)
            json_keep(&k, json_add_number(one, o->by_session[i][f]));
    }
    return k.ok ? OK : error_nomem(err, 1024);
}

/* ---- reading ---- */

static enum status broken(const struct json *cell, const char *what, struct error *err)
{
    return error_set(err, E_DATA, "the cell of \"%s\", seed %lld: %s",
        json_text(json_get(cell, "row"), ""),
        (long long)json_int(json_get(cell, "seed"), -1), what);
}

static enum status read_sessions(
    const struct json *cell, struct experiment_outcome *out, struct error *err)
{
    for (const struct json *one = json_first(json_get(cell, "sessions")); one;
         one = json_next(one)) {
        const struct json *j = json_first(one);
        if (json_size(one) != N_BY_SESSION + 1 || !json_is_int(j))
            return broken(cell, "a session is not as it should be", err);
        out->ids[out->n_sessions] = json_int(j, 0);
        for (size_t f = 0; f < N_BY_SESSION; f++) {
            j = json_next(j);
            if (!json_is_number(j))
                return broken(cell, "a session's figure is no number", err);
            out->by_session[out->n_sessions][f] = json_number(j, 0);
        }
        out->n_sessions++;
    }
    return OK;
}

enum status experiment_outcome_read(
    const struct json *cell, struct experiment_outcome *out, struct error *err)
{
    const struct json *config = json_get(cell, "config");
    const struct json *constraints = json_get(config, "constraints");
    const char *handling = json_text(json_get(config, "handling"), NULL);
    struct buffer text;
    enum status s =
        experiment_outcome_init(out, json_size(json_get(cell, "sessions")), err);
    if (s)
        return s;
    if (!json_is_object(json_get(cell, "figures")) ||
        !json_is_object(json_get(cell, "measured")) ||
        !json_is_array(json_get(cell, "sessions")) || !constraints || !handling)
        return broken(cell, "figures, sessions or config are missing", err);
    for (int f = 0; f < N_EX_FIGURES; f++) {
        const struct json *j =
            json_get(json_get(cell, part_of(f)), experiment_figures[f].name);
        if (j && !json_is_number(j))
            return broken(cell, "a figure is no number", err);
        out->figures[f] = json_number(j, NAN);
    }
    out->is_constrained = json_size(constraints) > 0 && !text_equal(handling, "none");
    buffer_init(&text, CONSTRAINTS_TEXT_MAX);
    s = json_print(constraints, JSON_CANONICAL, &text, err);
    if (!s)
        s = buffer_status(&text, "a cell's constraints", err);
    out->constraints = s ? NULL : text_copy(buffer_str(&text));
    if (!s && !out->constraints)
        s = error_nomem(err, CONSTRAINTS_TEXT_MAX);
    buffer_release(&text);
    return s ? s : read_sessions(cell, out, err);
}
