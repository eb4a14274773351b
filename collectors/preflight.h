/* preflight.h - what must be right before the first request of a run leaves. */
#ifndef COLLECTORS_PREFLIGHT_H
#define COLLECTORS_PREFLIGHT_H

#include <stddef.h>
#include "collectors/ready.h"
#include "schema/llm.h"
#include "schema/store.h"

struct preflight_rules {
    const struct ready_rules *scope;
    int is_simulated;   /* no addresses and keys are needed */
    int is_rehearsal;   /* in a copy that is thrown away, so answers may mix */
    int allow_unpriced; /* llms without a price may be used; they count nothing */
    int has_cap;        /* so an answer's length must have a bound where it costs */
};

/* E_ARG where the store's answers are simulated and the run's would not be, or the other
 * way round.  used[i] becomes 1 where a call in scope that is not answered yet is for llms[i].
 * E_ARG lists all that is missing, by llm: protocol, address, key variable, price,
 * parameters, a bound of the answer's length, and calls with more views of a kind than the
 * llm accepts, with the views. */
MUST_CHECK enum status preflight(struct store *store, const struct preflight_rules *rules,
    const struct llm *llms, size_t n_llms, int *used, struct error *err);

#endif
