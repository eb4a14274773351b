/* doctor_private.h - what the two halves of the doctor share. */
#ifndef COLLECTORS_DOCTOR_PRIVATE_H
#define COLLECTORS_DOCTOR_PRIVATE_H

#include <stdint.h>
#include "collectors/doctor.h"
#include "schema/store.h"

struct doctor {
    const struct recipe *recipe;
    const struct doctor_options *o;
    struct doctor_result *result;
    struct store *scratch; /* holds the recipe: prices, and the calls to try */
    char *is_callable;     /* [recipe->n_llms] */
    int out_of_memory;
};

/* Note a finding; llm NULL = of the machine, todo NULL = nothing to do. */
void doctor_note(struct doctor *d, const struct llm *llm, const char *topic,
    enum doctor_state state, const char *todo, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

/* doctor_call.c: one tiny call to each llm that is callable. */
MUST_CHECK enum status doctor_call_all(struct doctor *d, struct error *err);

#endif
