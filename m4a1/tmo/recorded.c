/* recorded.c - from sessions of turns to observations, actions and scores. */
#include "m4a1/tmo/recorded.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The views that the published encoding gives a turn; see the header. */
static uint32_t encoded_views(const struct interaction *one)
{
    uint32_t views = 0;
    if (one->image_index) {
        for (size_t i = 0; i < one->n_image_index; i++)
            views |= UINT32_C(1) << one->image_index[i];
    } else if (one->views_added) {
        views = one->views_context;
    }
    return views;
}

static enum status check_turn(const struct dataset *data, const struct session *session,
    size_t t, struct error *err)
{
    const struct turn *turn = &session->turns[t];
    const struct interaction *one = &turn->path;
    if (turn->task < 0 || (size_t)turn->task >= data->n_tasks)
        return error_set(err, E_DATA, "%s: session %" PRId64 ", turn %zu has no task",
            data->source, session->id, t);
    if (one->llm < 0 || (size_t)one->llm >= data->n_llms)
        return error_set(err, E_DATA, "%s: session %" PRId64 ", turn %zu has no llm",
            data->source, session->id, t);
    for (size_t i = 0; i < one->n_image_index; i++)
        if (one->image_index[i] < 0 || (size_t)one->image_index[i] >= data->n_views)
            return error_set(err, E_DATA,
                "%s: session %" PRId64 ", turn %zu names view %d, and there are %zu",
                data->source, session->id, t, one->image_index[i], data->n_views);
    if (encoded_views(one) >> data->n_views)
        return error_set(err, E_DATA,
            "%s: session %" PRId64 ", turn %zu holds a view that the data set lacks",
            data->source, session->id, t);
    if (!one->answer && one->refused < 0 && !isnan(one->score))
        return error_set(err, E_DATA,
            "%s: session %" PRId64 ", turn %zu has a score, but no answer to try the "
            "refusal rule on",
            data->source, session->id, t);
    return OK;
}

/* The score that trains: 0 for a refusal, NAN where there is none. */
static double trained_score(const struct interaction *one)
{
    int refused = one->refused;
    if (refused < 0)
        refused = one->answer && refusal_published(one->answer);
    return !isnan(one->score) && refused ? 0 : one->score;
}

static void encode_session(
    struct recorded *rec, const struct session *session, size_t at, int16_t *window)
{
    const struct dataset *data = rec->data;
    const struct space *space = &rec->space;
    long previous = SPACE_ABSENT;
    space_clear(space, window);
    for (size_t t = 0; t < session->n_turns; t++, at++) {
        const struct turn *turn = &session->turns[t];
        const struct interaction *one = &turn->path;
        int cloud = data->llms[one->llm].cloud != 0;
        space_push(space, window, previous, (size_t)turn->task);
        memcpy(rec->observations + at * space->n_states, window,
            space->n_states * sizeof *window);
        previous = (long)space_action(space, cloud, encoded_views(one));

        rec->tasks[at] = turn->task;
        rec->actions[at] = (int)previous;
        rec->scores[at] = trained_score(one);
        if (isnan(rec->scores[at])) {
            rec->n_unscored++;
        } else if (one->llm != rec->local && one->llm != rec->cloud) {
            rec->scores[at] = NAN;
            rec->n_other_llm++;
        }
        // A view without an association earns nothing.
        for (size_t v = 0; turn->association && v < space->n_views; v++)
            rec->associations[at * space->n_views + v] =
                isnan(turn->association[v]) ? 0 : turn->association[v];
        rec->n_unassociated += !turn->association;
    }
}

static enum status allocate(struct recorded *rec, struct error *err)
{
    size_t n = rec->n_turns ? rec->n_turns : 1;
    rec->sessions = calloc(rec->n_sessions ? rec->n_sessions : 1, sizeof *rec->sessions);
    rec->observations = calloc(n * rec->space.n_states, sizeof *rec->observations);
    rec->tasks = calloc(n, sizeof *rec->tasks);
    rec->actions = calloc(n, sizeof *rec->actions);
    rec->scores = calloc(n, sizeof *rec->scores);
    rec->associations = calloc(n * rec->space.n_views, sizeof *rec->associations);
    if (!rec->sessions || !rec->observations || !rec->tasks || !rec->actions ||
        !rec->scores || !rec->associations)
        return error_nomem(err, n * rec->space.n_states * sizeof *rec->observations);
    return OK;
}

static enum status encode(struct recorded *rec, struct error *err)
{
    const struct dataset *data = rec->data;
    for (size_t i = 0; i < data->n_sessions; i++)
        rec->n_turns += data->sessions[i].n_turns;
    enum status s = allocate(rec, err);
    if (s)
        return s;

    int16_t window[SPACE_MAX_STATES];
    size_t at = 0;
    for (size_t i = 0; i < data->n_sessions; i++) {
        const struct session *session = &data->sessions[i];
        for (size_t t = 0; t < session->n_turns; t++) {
            s = check_turn(data, session, t, err);
            if (s)
                return s;
        }
        rec->sessions[i] =
            (struct recorded_session) { session->id, at, session->n_turns };
        encode_session(rec, session, at, window);
        at += session->n_turns;
    }
    return OK;
}

enum status recorded_build(const struct dataset *data, int local, int cloud, size_t tau,
    struct recorded **out, struct error *err)
{
    *out = NULL;
    if (!data->n_sessions)
        return error_set(err, E_DATA,
            "%s has no complete session; turns become complete by an answer (m4a1 "
            "collect) and a score (m4a1 annotate)",
            data->source);
    struct recorded *rec = calloc(1, sizeof *rec);
    if (!rec)
        return error_nomem(err, sizeof *rec);
    rec->data = data;
    rec->local = local;
    rec->cloud = cloud;
    rec->n_sessions = data->n_sessions;
    enum status s = space_init(&rec->space, data->n_views, data->n_tasks, tau, err);
    if (!s)
        s = encode(rec, err);
    if (s) {
        recorded_free(rec);
        return s;
    }
    *out = rec;
    return OK;
}

void recorded_free(struct recorded *rec)
{
    if (!rec)
        return;
    space_release(&rec->space);
    free(rec->sessions);
    free(rec->observations);
    free(rec->tasks);
    free(rec->actions);
    free(rec->scores);
    free(rec->associations);
    free(rec);
}

size_t recorded_find(const struct recorded *rec, int64_t id)
{
    for (size_t i = 0; i < rec->n_sessions; i++)
        if (rec->sessions[i].id == id)
            return i;
    return SIZE_MAX;
}

enum status recorded_indices(const struct recorded *rec, const int64_t *ids, size_t n,
    size_t **out, struct error *err)
{
    *out = malloc((n ? n : 1) * sizeof **out);
    if (!*out)
        return error_nomem(err, n * sizeof **out);
    for (size_t i = 0; i < n; i++) {
        (*out)[i] = recorded_find(rec, ids[i]);
        if ((*out)[i] == SIZE_MAX) {
            free(*out);
            *out = NULL;
            return error_set(
                err, E_DATA, "%s has no session %" PRId64, rec->data->source, ids[i]);
        }
    }
    return OK;
}

double recorded_association(
    const struct recorded *rec, size_t turn, size_t action, double *normalised)
{
    const double *views = rec->associations + turn * rec->space.n_views;
    // Over all subsets the least sum is that of the negative ones, the greatest that of
    // the positive ones; the empty subset makes both include 0.
    double sum = 0, least = 0, greatest = 0;
    for (size_t i = 0; i < rec->space.n_views; i++) {
        if (rec->space.views[action] >> i & 1)
            sum += views[i];
        if (views[i] < 0)
            least += views[i];
        else
            greatest += views[i];
    }
    *normalised = greatest > least ? (sum - least) / (greatest - least) : 0;
    return sum;
}
