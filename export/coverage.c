/* coverage.c - counts and means over a data set; a pass a question, all linear. */
#include "export/coverage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "export/dataset_build.h"
#include "m4a1/base/stats.h"

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t count_different(const char **names, size_t n)
{
    size_t different = 0;
    qsort(names, n, sizeof *names, compare_text);
    for (size_t i = 0; i < n; i++)
        different += i == 0 || strcmp(names[i], names[i - 1]) != 0;
    return different;
}

static size_t count_turns(const struct dataset *data)
{
    size_t n = 0;
    for (size_t s = 0; s < data->n_sessions; s++)
        n += data->sessions[s].n_turns;
    return n;
}

static enum status count_names(
    const struct dataset *data, struct coverage *out, struct error *err)
{
    size_t n = count_turns(data), at = 0;
    const char **names = calloc(n + data->n_sessions + 1, sizeof *names);
    if (!names)
        return error_nomem(err, n * sizeof *names);
    for (size_t s = 0; s < data->n_sessions; s++)
        names[s] = data->sessions[s].scene;
    out->scenes = count_different(names, data->n_sessions);
    for (size_t s = 0; s < data->n_sessions; s++) {
        for (size_t t = 0; t < data->sessions[s].n_turns; t++)
            names[at++] = data->sessions[s].turns[t].prompt;
    }
    out->prompts = count_different(names, at);
    free(names);
    return OK;
}

static void count_interaction(const struct interaction *it, struct coverage *out)
{
    out->answered += it->answer != NULL;
    out->scored += isnan(it->score) ? 0 : 1;
    out->refused += it->refused == 1;
    out->simulated += it->simulated != 0;
}

enum status coverage_count(
    const struct dataset *data, struct coverage *out, struct error *err)
{
    *out = (struct coverage) { .sessions = data->n_sessions };
    for (size_t s = 0; s < data->n_sessions; s++) {
        const struct session *session = &data->sessions[s];
        out->imported += session->imported != 0;
        out->censored += session->censored != 0;
        out->turns += session->n_turns;
        if (s == 0 || session->n_turns < out->shortest)
            out->shortest = session->n_turns;
        if (session->n_turns > out->longest)
            out->longest = session->n_turns;
        for (size_t t = 0; t < session->n_turns; t++) {
            const struct turn *turn = &session->turns[t];
            count_interaction(&turn->path, out);
            out->associated += turn->association != NULL;
            out->fan_out += turn->n_fan_out;
            for (size_t f = 0; f < turn->n_fan_out; f++)
                count_interaction(&turn->fan_out[f], out);
        }
    }
    return count_names(data, out, err);
}

/* ---- groups ---- */

static int count_bits(uint32_t set)
{
    return __builtin_popcount(set);
}

static int matches(const struct dataset *data, const struct group_filter *f,
    const struct turn *turn, const struct interaction *it)
{
    uint32_t shown = interaction_shown(it);
    return (f->task < 0 || f->task == turn->task) && (f->llm < 0 || f->llm == it->llm) &&
           (f->cloud < 0 || f->cloud == data->llms[it->llm].cloud) &&
           (f->n_uploaded < 0 || f->n_uploaded == count_bits(shown)) &&
           (f->n_context < 0 || f->n_context == count_bits(it->views_context)) &&
           (f->views < 0 || f->views == (int64_t)shown);
}

/* Running sums of a group, and all latencies for the quantiles. */
struct sums {
    struct group *group;
    double score, trained, cost;
    size_t refused, n_refused;
    double *latencies;
};

static void add(struct sums *sums, const struct interaction *it)
{
    struct group *g = sums->group;
    g->n++;
    if (!isnan(it->score)) {
        sums->score += it->score;
        sums->trained += it->refused == 1 ? 0 : it->score;
        g->n_scored++;
    }
    if (!isnan(it->cost_usd)) {
        sums->cost += it->cost_usd;
        g->n_cost++;
    }
    if (it->refused >= 0) {
        sums->refused += it->refused == 1;
        sums->n_refused++;
    }
    if (!isnan(it->latency_s))
        sums->latencies[g->n_latency++] = it->latency_s;
}

static void add_turn(struct sums *sums, const struct dataset *data,
    const struct group_filter *filter, const struct turn *turn)
{
    if (filter->fan_out != 1 && matches(data, filter, turn, &turn->path))
        add(sums, &turn->path);
    for (size_t f = 0; filter->fan_out != 0 && f < turn->n_fan_out; f++) {
        if (matches(data, filter, turn, &turn->fan_out[f]))
            add(sums, &turn->fan_out[f]);
    }
}

enum status coverage_group(const struct dataset *data, const struct group_filter *filter,
    struct group *out, struct error *err)
{
    *out = (struct group) { 0 };
    size_t room = 1;
    for (size_t s = 0; s < data->n_sessions; s++) {
        for (size_t t = 0; t < data->sessions[s].n_turns; t++)
            room += 1 + data->sessions[s].turns[t].n_fan_out;
    }
    struct sums sums = { .group = out, .latencies = calloc(room, sizeof(double)) };
    if (!sums.latencies)
        return error_nomem(err, room * sizeof(double));
    for (size_t s = 0; s < data->n_sessions; s++) {
        for (size_t t = 0; t < data->sessions[s].n_turns; t++)
            add_turn(&sums, data, filter, &data->sessions[s].turns[t]);
    }
    out->score = out->n_scored ? sums.score / (double)out->n_scored : NAN;
    out->score_trained = out->n_scored ? sums.trained / (double)out->n_scored : NAN;
    out->cost_usd = out->n_cost ? sums.cost / (double)out->n_cost : NAN;
    out->cost_sum_usd = sums.cost;
    out->refused = sums.n_refused ? (double)sums.refused / (double)sums.n_refused : NAN;
    out->latency_s = stats_mean(sums.latencies, out->n_latency);
    out->latency_p50_s = stats_quantile(sums.latencies, out->n_latency, 0.5);
    out->latency_p90_s = stats_quantile(sums.latencies, out->n_latency, 0.9);
    free(sums.latencies);
    return OK;
}

size_t coverage_view_added(const struct dataset *data, size_t v)
{
    size_t n = 0;
    for (size_t s = 0; s < data->n_sessions; s++) {
        for (size_t t = 0; t < data->sessions[s].n_turns; t++)
            n += data->sessions[s].turns[t].path.views_added >> v & 1;
    }
    return n;
}

size_t coverage_view_context(const struct dataset *data, size_t v)
{
    size_t n = 0;
    for (size_t s = 0; s < data->n_sessions; s++) {
        for (size_t t = 0; t < data->sessions[s].n_turns; t++)
            n += data->sessions[s].turns[t].path.views_context >> v & 1;
    }
    return n;
}

size_t coverage_sessions_of(const struct dataset *data, size_t n_turns)
{
    size_t n = 0;
    for (size_t s = 0; s < data->n_sessions; s++)
        n += data->sessions[s].n_turns == n_turns;
    return n;
}

/* ---- censoring ---- */

/* The turn whose refused call ended a session; n_turns where none did. */
static size_t censored_at(const struct session *session)
{
    size_t t = 0;
    while (t < session->n_turns && session->turns[t].path.answer)
        t++;
    return session->censored ? t : session->n_turns;
}

enum status coverage_censoring(
    const struct dataset *data, struct censoring **out, size_t *n, struct error *err)
{
    size_t n_cells = data->n_tasks * data->n_llms;
    *n = 0;
    *out = calloc(n_cells + 1, sizeof **out);
    if (!*out)
        return error_nomem(err, n_cells * sizeof **out);
    for (size_t s = 0; s < data->n_sessions; s++) {
        const struct session *session = &data->sessions[s];
        size_t end = censored_at(session);
        for (size_t t = 0; t < session->n_turns && t <= end; t++) {
            const struct turn *turn = &session->turns[t];
            struct censoring *cell =
                &(*out)[(size_t)turn->task * data->n_llms + (size_t)turn->path.llm];
            cell->task = turn->task;
            cell->llm = turn->path.llm;
            cell->asked += t == end || turn->path.answer != NULL;
            cell->refused += t == end;
            cell->lost += t == end ? session->n_turns - t - 1 : 0;
        }
    }
    for (size_t i = 0; i < n_cells; i++) {
        if ((*out)[i].refused)
            (*out)[(*n)++] = (*out)[i];
    }
    return OK;
}
