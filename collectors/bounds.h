/* bounds.h - can a spending cap hold for an llm?
 *
 * A call reserves the most that it can cost before it is sent, so where a cap holds and
 * answers cost something their length must have a bound.  The same rule stands in recipes,
 * plans and before the first request. */
#ifndef COLLECTORS_BOUNDS_H
#define COLLECTORS_BOUNDS_H

#include <stdint.h>
#include "collectors/plan_inputs.h"

/* The parameter that has to bound the answers of an llm whose dearest output token costs so
 * much, as its protocol names it; NULL where nothing is missing.  has_cap: a cap holds over
 * all llms; one of its own (limits.max_usd) is seen from the llm. */
const char *bounds_missing(const struct llm *llm, int has_cap, int64_t output_pusd);

/* The sentence to it, with the parameter for its %s. */
#define BOUNDS_SENTENCE                                                                  \
    "a spending cap needs a bound of the answer's length; set %s in its parameters"

/* What would keep the llms of a plan from being asked whatever is reached over the network:
 * E_ARG names each llm whose protocol, parameters or missing bound (by today's prices)
 * are wrong. */
MUST_CHECK enum status bounds_check(
    struct store *store, const struct plan_inputs *in, struct error *err);

#endif
