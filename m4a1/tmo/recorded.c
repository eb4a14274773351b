/* recorded.c - from sessions of turns to observations, actions, rows and scores. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/cost_table.h"
#include "m4a1/tmo/recorded_parts.h"

struct recorded_settings recorded_defaults(void)
{
    return (struct recorded_settings) { .tau = 5, .local = -1, .cloud = -1 };
}

struct recorded_settings recorded_published(int local, int cloud, size_t tau)
{
    return (struct recorded_settings) {
        .as_published = 1, .tau = tau, .local = local, .cloud = cloud
    };
}

/* ---- one answer ---- */

/* The views that the published encoding gives a turn; see the header. */
static uint32_t published_views(const struct interaction *one)
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

/* Figures that have a sum: means, rewards and totals of them are numbers, too. */
static enum status check_figures(const struct dataset *data,
    const struct session *session, size_t t, const struct interaction *one,
    struct error *err)
{
    const char *before = "", *behind = "";
    double x = one->score;
    if (fabs(one->latency_s) > COST_MAX) {
        x = one->latency_s;
        behind = " seconds";
    } else if (fabs(one->cost_usd) > COST_MAX) {
        x = one->cost_usd;
        behind = " USD";
    } else if (fabs(x) > COST_MAX) {
        before = "the score ";
    } else {
        return OK;
    }
    return error_set(err, E_DATA,
        "%s: session %" PRId64 ", turn %zu: %s%g%s: beyond %g nothing can be trained on; "
        "mend the answer, or leave its session out",
        data->source, session->id, t, before, x, behind, COST_MAX);
}

static enum status check_answer(const struct dataset *data, const struct session *session,
    size_t t, const struct interaction *one, struct error *err)
{
    if (one->llm < 0 || (size_t)one->llm >= data->n_llms)
        return error_set(err, E_DATA, "%s: session %" PRId64 ", turn %zu has no llm",
            data->source, session->id, t);
    for (size_t i = 0; i < one->n_image_index; i++)
        if (one->image_index[i] < 0 || (size_t)one->image_index[i] >= data->n_views)
            return error_set(err, E_DATA,
                "%s: session %" PRId64 ", turn %zu names view %d, and there are %zu",
                data->source, session->id, t, one->image_index[i], data->n_views);
    if ((published_views(one) | one->views_added) >> data->n_views)
        return error_set(err, E_DATA,
            "%s: session %" PRId64 ", turn %zu holds a view that the data set lacks",
            data->source, session->id, t);
    if (!one->answer && one->refused < 0 && !isnan(one->score))
        return error_set(err, E_DATA,
            "%s: session %" PRId64 ", turn %zu has a score, but no answer to try the "
            "refusal rule on",
            data->source, session->id, t);
    return check_figures(data, session, t, one, err);
}

static enum status check_turn(const struct dataset *data, const struct session *session,
    size_t t, struct error *err)
{
    const struct turn *turn = &session->turns[t];
    if (turn->task < 0 || (size_t)turn->task >= data->n_tasks)
        return error_set(err, E_DATA, "%s: session %" PRId64 ", turn %zu has no task",
            data->source, session->id, t);
    enum status s = check_answer(data, session, t, &turn->path, err);
    for (size_t i = 0; i < turn->n_fan_out && !s; i++)
        s = check_answer(data, session, t, &turn->fan_out[i], err);
    return s;
}

/* The score that trains: 0 for a refusal, NAN where there is none.  The data know what the
 * published rule says; the mended one needs the answer's text. */
static double trained_score(const struct recorded *rec, const struct interaction *one)
{
    int refused = one->refused;
    if (one->answer && (refused < 0 || !rec->as_published))
        refused = rec->as_published ? refusal_published(one->answer)
                                    : refusal_mended(one->answer);
    return !isnan(one->score) && refused > 0 ? 0 : one->score;
}

/* The llm of the space that an llm of the data is; as published, others count as the one
 * of their role. */
static size_t space_llm(const struct recorded *rec, int llm)
{
    for (size_t i = 0; i < rec->space.n_llms; i++)
        if (rec->llms[i] == llm)
            return i;
    return rec->data->llms[llm].cloud ? 1 : 0;
}

/* The listed action that does what an answer did, or -1. */
static int listed_action(
    const struct recorded *rec, size_t llm, uint32_t added, uint32_t context)
{
    const struct space *space = &rec->space;
    size_t found = space_find(space, llm, added);
    for (size_t a = 0; a < space->n_actions && found == SIZE_MAX && !rec->as_published;
         a++)
        if (space->actions[a].llm == llm && (space->actions[a].views & ~context) == added)
            found = a;
    return found == SIZE_MAX ? -1 : (int)found;
}

/* ---- sessions ---- */

static void add_row(
    struct recorded *rec, size_t turn, int action, double score, int fan_out)
{
    if (isnan(score))
        return;
    if (action < 0)
        rec->n_unlisted++;
    else
        rec->rows[rec->n_rows++] = (struct recorded_row) { turn, action, score, fan_out };
}

/* A view without an association earns nothing. */
static void encode_associations(struct recorded *rec, const struct turn *turn, size_t at)
{
    size_t x = rec->space.n_views;
    for (size_t v = 0; turn->association && v < x; v++)
        rec->associations[at * x + v] =
            isnan(turn->association[v]) ? 0 : turn->association[v];
    rec->n_unassociated += !turn->association;
}

/* The turn's observation is complete; what its path did and was worth. */
static struct space_past encode_path(
    struct recorded *rec, const struct interaction *one, size_t at)
{
    struct space_past past = { .llm = space_llm(rec, one->llm) };
    rec->added[at] = one->views_added & ~rec->contexts[at];
    past.views = rec->as_published ? published_views(one) : rec->added[at];
    rec->actions[at] = listed_action(rec, past.llm, past.views, rec->contexts[at]);
    rec->scores[at] = trained_score(rec, one);
    if (isnan(rec->scores[at])) {
        rec->n_unscored++;
    } else if (rec->llms[past.llm] != one->llm) {
        rec->scores[at] = NAN;
        rec->n_other_llm++;
    }
    add_row(rec, at, rec->actions[at], rec->scores[at], 0);
    return past;
}

static void encode_session(
    struct recorded *rec, const struct session *session, size_t at, int16_t *window)
{
    const struct space *space = &rec->space;
    struct space_past past;
    uint32_t context = 0;
    space_clear(space, window);
    for (size_t t = 0; t < session->n_turns; t++, at++) {
        const struct turn *turn = &session->turns[t];
        space_push(space, window, t ? &past : NULL, context, (size_t)turn->task);
        memcpy(rec->observations + at * space->n_states, window,
            space->n_states * sizeof *window);
        rec->tasks[at] = turn->task;
        rec->contexts[at] = context;
        past = encode_path(rec, &turn->path, at);
        encode_associations(rec, turn, at);
        context |= rec->added[at];
    }
}

static void encode_fan_out(struct recorded *rec, const struct session *session, size_t at)
{
    for (size_t t = 0; t < session->n_turns; t++, at++)
        for (size_t i = 0; i < session->turns[t].n_fan_out; i++) {
            const struct interaction *one = &session->turns[t].fan_out[i];
            uint32_t added = one->views_added & ~rec->contexts[at];
            add_row(rec, at,
                listed_action(rec, space_llm(rec, one->llm), added, rec->contexts[at]),
                trained_score(rec, one), 1);
        }
}

static size_t count_answers(const struct dataset *data, size_t *n_turns)
{
    size_t n = 0;
    *n_turns = 0;
    for (size_t i = 0; i < data->n_sessions; i++) {
        const struct session *session = &data->sessions[i];
        *n_turns += session->n_turns;
        for (size_t t = 0; t < session->n_turns; t++)
            n += 1 + session->turns[t].n_fan_out;
    }
    return n;
}

static enum status allocate(struct recorded *rec, size_t n_answers, struct error *err)
{
    size_t n = rec->n_turns ? rec->n_turns : 1;
    rec->sessions = calloc(rec->n_sessions ? rec->n_sessions : 1, sizeof *rec->sessions);
    rec->observations = calloc(n * rec->space.n_states, sizeof *rec->observations);
    rec->tasks = calloc(n, sizeof *rec->tasks);
    rec->prompts = calloc(n, sizeof *rec->prompts);
    rec->prompt_texts = calloc(n, sizeof *rec->prompt_texts);
    rec->contexts = calloc(n, sizeof *rec->contexts);
    rec->added = calloc(n, sizeof *rec->added);
    rec->actions = calloc(n, sizeof *rec->actions);
    rec->scores = calloc(n, sizeof *rec->scores);
    rec->associations = calloc(n * rec->space.n_views, sizeof *rec->associations);
    rec->rows = calloc(n_answers + 1, sizeof *rec->rows);
    if (!rec->sessions || !rec->observations || !rec->tasks || !rec->prompts ||
        !rec->prompt_texts || !rec->contexts || !rec->added || !rec->actions ||
        !rec->scores || !rec->associations || !rec->rows)
        return error_nomem(err, n * rec->space.n_states * sizeof *rec->observations);
    return OK;
}

/* ---- distinct prompts ---- */

struct prompt {
    const char *text;
    size_t turn;
};

static int compare_prompts(const void *va, const void *vb)
{
    const struct prompt *a = va, *b = vb;
    int c = strcmp(a->text, b->text);
    return c ? c : (a->turn > b->turn) - (a->turn < b->turn);
}

/* Number the distinct prompts in order of appearance. */
static enum status number_prompts(struct recorded *rec, struct error *err)
{
    const struct dataset *data = rec->data;
    struct prompt *all = calloc(rec->n_turns + 1, sizeof *all);
    if (!all)
        return error_nomem(err, rec->n_turns * sizeof *all);
    size_t at = 0;
    for (size_t i = 0; i < data->n_sessions; i++)
        for (size_t t = 0; t < data->sessions[i].n_turns; t++, at++) {
            const char *text = data->sessions[i].turns[t].prompt;
            all[at] = (struct prompt) { text ? text : "", at };
        }
    qsort(all, rec->n_turns, sizeof *all, compare_prompts);
    // Each turn first points to the earliest turn with its prompt, then to its number.
    for (size_t i = 0; i < rec->n_turns; i++) {
        int same = i && strcmp(all[i].text, all[i - 1].text) == 0;
        rec->prompts[all[i].turn] = same ? rec->prompts[all[i - 1].turn] : all[i].turn;
        rec->prompt_texts[all[i].turn] = all[i].text;
    }
    free(all);
    for (size_t t = 0; t < rec->n_turns; t++) {
        if (rec->prompts[t] != t) {
            rec->prompts[t] = rec->prompts[rec->prompts[t]];
            continue;
        }
        rec->prompt_texts[rec->n_prompts] = rec->prompt_texts[t];
        rec->prompts[t] = rec->n_prompts++;
    }
    return OK;
}

static enum status encode(struct recorded *rec, struct error *err)
{
    const struct dataset *data = rec->data;
    size_t n_answers = count_answers(data, &rec->n_turns);
    enum status s = allocate(rec, n_answers, err);
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
        if (session->n_turns > rec->longest)
            rec->longest = session->n_turns;
        encode_session(rec, session, at, window);
        at += session->n_turns;
    }
    rec->n_path_rows = rec->n_rows;
    for (size_t i = 0; i < data->n_sessions && !rec->as_published; i++)
        encode_fan_out(rec, &data->sessions[i], rec->sessions[i].first);
    return number_prompts(rec, err);
}

/* ---- llms and actions ---- */

/* Providers are told apart by their names; without one, an llm is its own. */
static const char *provider_of(const struct dataset_llm *llm)
{
    return llm->provider ? llm->provider : llm->name;
}

static void number_providers(struct recorded *rec)
{
    for (size_t i = 0; i < rec->space.n_llms; i++) {
        const struct dataset_llm *llm = &rec->data->llms[rec->llms[i]];
        size_t same = 0;
        while (same < i && strcmp(provider_of(&rec->data->llms[rec->llms[same]]),
                               provider_of(llm)) != 0)
            same++;
        rec->providers[i] = same < i ? rec->providers[same] : rec->n_providers++;
    }
}

static enum status build_space(
    struct recorded *rec, const struct recorded_settings *settings, struct error *err)
{
    const struct dataset *data = rec->data;
    size_t n = settings->as_published ? 2 : data->n_llms;
    unsigned char cloud[SPACE_MAX_LLMS] = { 0, 1 };
    if (n > SPACE_MAX_LLMS)
        return error_set(err, E_ARG, "%s has %zu llms, and %d is the most", data->source,
            n, SPACE_MAX_LLMS);
    rec->llms = calloc(n + 1, sizeof *rec->llms);
    rec->providers = calloc(n + 1, sizeof *rec->providers);
    if (!rec->llms || !rec->providers)
        return error_nomem(err, n * sizeof *rec->llms);
    for (size_t i = 0; i < n; i++) {
        rec->llms[i] = (int)i;
        if (!settings->as_published)
            cloud[i] = data->llms[i].cloud != 0;
    }
    struct space_action *listed = NULL;
    size_t n_listed = 0;
    enum status s = OK;
    if (settings->as_published) {
        rec->llms[0] = settings->local;
        rec->llms[1] = settings->cloud;
    } else {
        s = recorded_actions(data, settings, &listed, &n_listed, err);
    }
    if (!s) {
        const struct space_shape shape = { .n_llms = n,
            .cloud = cloud,
            .n_views = data->n_views,
            .n_tasks = data->n_tasks,
            .tau = settings->tau,
            .with_context = !settings->as_published,
            .actions = listed,
            .n_actions = n_listed };
        s = space_init(&rec->space, &shape, err);
    }
    free(listed);
    if (!s)
        number_providers(rec);
    return s;
}

enum status recorded_build(const struct dataset *data,
    const struct recorded_settings *settings, struct recorded **out, struct error *err)
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
    rec->as_published = settings->as_published;
    rec->n_sessions = data->n_sessions;
    enum status s = build_space(rec, settings, err);
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
    free(rec->llms);
    free(rec->providers);
    free(rec->sessions);
    free(rec->observations);
    free(rec->tasks);
    free(rec->prompts);
    free(rec->prompt_texts);
    free(rec->contexts);
    free(rec->added);
    free(rec->actions);
    free(rec->scores);
    free(rec->associations);
    free(rec->rows);
    free(rec);
}

/* ---- questions ---- */

size_t recorded_find(const struct recorded *rec, int64_t id)
{
    for (size_t i = 0; i < rec->n_sessions; i++)
        if (rec->sessions[i].id == id)
            return i;
    return SIZE_MAX;
}

size_t recorded_session_of(const struct recorded *rec, size_t turn)
{
    size_t low = 0, high = rec->n_sessions;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (rec->sessions[middle].first <= turn)
            low = middle;
        else
            high = middle;
    }
    return low;
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

uint32_t recorded_added(const struct recorded *rec, size_t action, uint32_t context)
{
    uint32_t views = rec->space.actions[action].views;
    return rec->as_published ? views : views & ~context;
}

uint32_t recorded_shown(const struct recorded *rec, size_t action, uint32_t context)
{
    const struct space_action *one = &rec->space.actions[action];
    return rec->as_published ? one->views
                             : (one->views | context) & rec->space.accepts[one->llm];
}

double recorded_association(
    const struct recorded *rec, size_t turn, uint32_t shown, double *normalised)
{
    const double *views = rec->associations + turn * rec->space.n_views;
    // Over all subsets the least sum is that of the negative ones, the greatest that of
    // the positive ones; the empty subset makes both include 0.
    double sum = 0, least = 0, greatest = 0;
    for (size_t i = 0; i < rec->space.n_views; i++) {
        if (shown >> i & 1)
            sum += views[i];
        if (views[i] < 0)
            least += views[i];
        else
            greatest += views[i];
    }
    *normalised = greatest > least ? (sum - least) / (greatest - least) : 0;
    return sum;
}
