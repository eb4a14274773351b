/* policy_parts.h - what writing and reading a policy file share. */
#ifndef M4A1_TMO_POLICY_PARTS_H
#define M4A1_TMO_POLICY_PARTS_H

#include "m4a1/base/json.h"
#include "m4a1/tmo/policy.h"

/* The members that follow from the data and the settings: environment, data, encoding,
 * actions, costs, reward, estimator.  Reading builds them anew and compares. */
MUST_CHECK enum status policy_describe(const struct policy *policy,
    const struct dataset *data, struct json **out, struct error *err);

#endif
