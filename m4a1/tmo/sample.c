/* sample.c - from recorded rows to categories. */
#include "m4a1/tmo/sample.h"

#include <stdlib.h>

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

int sample_compare(const struct sample *a, const struct sample *b)
{
    if (a->prompt != b->prompt)
        return a->prompt < b->prompt ? -1 : 1;
    if (a->llm != b->llm)
        return a->llm < b->llm ? -1 : 1;
    if (a->before != b->before)
        return a->before < b->before ? -1 : 1;
    if (a->after != b->after)
        return a->after < b->after ? -1 : 1;
    return 0;
}

static int by_sample(const void *va, const void *vb)
{
    const struct sample_row *a = va, *b = vb;
    int c = sample_compare(&a->x, &b->x);
    if (c)
        return c;
    if (a->x.task != b->x.task)
        return a->x.task < b->x.task ? -1 : 1;
    if (a->y != b->y)
        return a->y < b->y ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

enum status samples_build(struct samples *out, const struct recorded *rec,
    const size_t *rows, size_t n, struct error *err)
{
    size_t room = n ? n : 1;
    *out = (struct samples) { .rec = rec, .n = n };
    out->all = malloc(room * sizeof *out->all);
    if (!out->all)
        return error_nomem(err, room * sizeof *out->all);
    for (size_t i = 0; i < n; i++) {
        const struct recorded_row *row = &rec->rows[rows[i]];
        struct estimator_query query = estimator_query_of(rec, row->turn);
        out->all[i] =
            (struct sample_row) { .x = sample_of(rec, &query, (size_t)row->action),
                .y = row->score,
                .session = recorded_session_of(rec, row->turn),
                .row = rows[i] };
    }
    qsort(out->all, n, sizeof *out->all, by_sample);
    return OK;
}

void samples_release(struct samples *samples)
{
    free(samples->all);
    samples->all = NULL;
    samples->n = 0;
}
