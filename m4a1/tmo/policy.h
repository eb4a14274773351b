/* policy.h - a trained policy as one readable JSON file.
 *
 * The file says all that the policy was trained on and with (data digest, llms, views,
 * actions, tasks, encoding, costs, estimator, split, seed) beside the weights, so that
 * loading can refuse data that it does not fit, naming what differs. */
#ifndef M4A1_TMO_POLICY_H
#define M4A1_TMO_POLICY_H

#include <stdint.h>
#include "export/dataset.h"
#include "m4a1/base/error.h"
#include "m4a1/tmo/a2c.h"
#include "m4a1/tmo/actor_critic.h"
#include "m4a1/tmo/environment.h"

#define POLICY_FORMAT "m4a1-policy"
#define POLICY_VERSION 1

struct policy {
    uint64_t seed;
    struct a2c_settings learner;
    struct environment_settings environment; /* its names are static */
    size_t tau;
    int local, cloud; /* indices into the data's llms */
    struct split split;
    struct actor_critic network;
};

void policy_release(struct policy *policy);

/* True where path is a file that says it is a policy, of whatever version. */
int policy_is_file(const char *path);

/* Write a policy, whole or not at all; data is what it was trained on. */
MUST_CHECK enum status policy_save(const struct policy *policy,
    const struct dataset *data, const char *path, struct error *err);

/* Read a policy for data.  E_DATA names the first thing that is broken, of a wrong size,
 * or different: digest, views, tasks, llms, actions, costs, sessions.  On success *out
 * is released by the caller. */
MUST_CHECK enum status policy_load(
    const char *path, const struct dataset *data, struct policy *out, struct error *err);

#endif
