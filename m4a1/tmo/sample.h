/* sample.h - a scored answer as ridge and metric see it: categories, and sets of views.
 *
 * Where the published estimator compares numbers, these two know what the numbers stand
 * for.  Letters: n rows, P prompts, T tasks, M llms. */
#ifndef M4A1_TMO_SAMPLE_H
#define M4A1_TMO_SAMPLE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/estimator.h"
#include "m4a1/tmo/recorded.h"

#define SAMPLE_UNSEEN UINT32_MAX /* a prompt that the data set does not have */

struct sample {
    uint32_t prompt, task, llm;
    uint32_t before; /* views that the dialogue held before the turn */
    uint32_t after;  /* and those that the action brought */
    uint32_t shown;  /* what the llm sees with this turn */
};

struct sample_row {
    struct sample x;
    double y;       /* score */
    size_t session; /* index into rec->sessions */
    size_t row;     /* index into rec->rows */
};

/* Training rows, sorted by prompt, llm, views, task, score, row: what is fitted depends on
 * no order of input, and equal samples lie side by side. */
struct samples {
    struct sample_row *all; /* [n] owned */
    size_t n;
    const struct recorded *rec;
};

struct sample sample_of(
    const struct recorded *rec, const struct estimator_query *query, size_t action);

/* The order of samples; 0 where they agree in all but task and shown views. */
int sample_compare(const struct sample *a, const struct sample *b);

/* The samples of rows[n], indices into rec->rows. */
MUST_CHECK enum status samples_build(struct samples *out, const struct recorded *rec,
    const size_t *rows, size_t n, struct error *err);
void samples_release(struct samples *samples);

#endif
