/* sample.c - from recorded rows to categories. */
#include "m4a1/tmo/sample.h"

#include <stdlib.h>
#include <string.h>

struct sample sample_of(
    const struct recorded *rec, const struct estimator_query *query, size_t action)
{
    const struct space_action *act = &rec->space.actions[action];
    int known = query->prompt < rec->n_prompts;
    return (struct sample) {
        .prompt = known ? (uint32_t)query->prompt : SAMPLE_UNSEEN,
        .task = (uint32_t)query->task,
        .llm = (uint32_t)act->llm,
        .before = query->context,
        .after = query->context | act->views,
        .shown = recorded_shown(rec, action, query->context),
    };
}

enum status samples_build(struct samples *out, const struct recorded *rec,
    const size_t *rows, size_t n, struct error *err)
{
    size_t room = n ? n : 1;
    memset(out, 0, sizeof *out);
    out->rec = rec;
    out->n = n;
    out->x = malloc(room * sizeof *out->x);
    out->y = malloc(room * sizeof *out->y);
    out->sessions = malloc(room * sizeof *out->sessions);
    if (!out->x || !out->y || !out->sessions) {
        samples_release(out);
        return error_nomem(err, room * sizeof *out->x);
    }
    for (size_t i = 0; i < n; i++) {
        const struct recorded_row *row = &rec->rows[rows[i]];
        struct estimator_query query = estimator_query_of(rec, row->turn);
        out->x[i] = sample_of(rec, &query, (size_t)row->action);
        out->y[i] = row->score;
        out->sessions[i] = recorded_session_of(rec, row->turn);
    }
    return OK;
}

void samples_release(struct samples *samples)
{
    free(samples->x);
    free(samples->y);
    free(samples->sessions);
    samples->x = NULL;
    samples->y = NULL;
    samples->sessions = NULL;
    samples->n = 0;
}
