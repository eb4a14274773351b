/* doctor.h - is everything there that a run of this recipe needs?
 *
 * For each llm: protocol and parameters, key, price and its age, bounds, whether the
 * server can be reached and its clock agrees, and one tiny call, with a tiny image and a
 * second of silence where the llm takes them and the recipe has such views, through the
 * same engine as any other call, in a scratch store that is removed. */
#ifndef COLLECTORS_DOCTOR_H
#define COLLECTORS_DOCTOR_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "schema/recipe.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_WRONG, DOCTOR_SKIPPED };
extern const char *const doctor_state_names[4]; /* "ok", "warning", "wrong", "skipped" */

struct doctor_finding {
    char *llm;         /* NULL = of the machine */
    size_t order;      /* findings stand by llm, as in the recipe; the machine first */
    const char *topic; /* "protocol", "key", "price", "limits", "server", "call", ... */
    enum doctor_state state;
    char *what, *todo; /* todo NULL where there is nothing to do */
};

struct doctor_options {
    int with_calls;
    double max_usd;     /* over all calls; what might cost more is not called */
    double timeout_s;   /* of a call */
    const char *folder; /* where data will lie, for the free space */
};

struct doctor_result {
    struct doctor_finding *findings;
    size_t n;
    int n_wrong, n_warnings, n_calls;
    double cost_usd; /* as far as it is known */
};

/* Every llm of the recipe once; OK whatever was found. */
MUST_CHECK enum status doctor_run(const struct recipe *recipe,
    const struct doctor_options *o, struct doctor_result *out, struct error *err);
void doctor_result_release(struct doctor_result *r);

#endif
