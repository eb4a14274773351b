/* plan_policy.h - a policy file as the behaviour of a plan: names of the one matched with
 * names of the other. */
#ifndef M4A1_CLI_PLAN_POLICY_H
#define M4A1_CLI_PLAN_POLICY_H

#include "collectors/plan.h"

struct cli_policy;

/* Load a policy file and fill *out, which refers to *policy and to file. */
MUST_CHECK enum status cli_policy_open(const char *file, struct cli_policy **policy,
    struct plan_policy *out, struct error *err);
void cli_policy_free(struct cli_policy *policy); /* NULL is fine */

#endif
