/* policy.h - a trained policy as one readable JSON file.
 *
 * The file says all that the policy was trained on and with beside the weights: data
 * (digest, llms, views with privacy, tasks), every setting (config.h), encoding, actions,
 * costs, the estimator that was fitted, the session ids of the split, seed and program
 * version.  A checksum seals it.  So loading can refuse data that it does not fit, naming
 * what differs.
 *
 * Version 2 is written; version 1 (A2C in the published world) is read, too. */
#ifndef M4A1_TMO_POLICY_H
#define M4A1_TMO_POLICY_H

#include <stdint.h>
#include "export/dataset.h"
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "m4a1/tmo/config.h"
#include "m4a1/tmo/policy_network.h"

#define POLICY_FORMAT "m4a1-policy"
#define POLICY_VERSION 2

struct policy {
    uint64_t seed;
    struct tmo_config config; /* resolved: see policy_resolve() */
    struct split split;
    struct network network;

    /* What a file says of itself; policy_save() does not read these. */
    int version;
    char *written_by;              /* "m4a1 0.1.0" */
    struct dataset *about;         /* the data but for its sessions */
    struct config_action *actions; /* [n_actions] in their order */
    size_t n_actions;
    struct cost_table
        *costs;      /* of every kind of answer, as the policy was trained with */
    char *estimator; /* what was fitted: "ridge" */
    size_t n_features;
};

/* Zero policies are released, too. */
void policy_release(struct policy *policy);

/* Put in the config what follows from the data: the llms of the published world by name,
 * the longest session.  A config to be compared with a file's is resolved first. */
MUST_CHECK enum status policy_resolve(
    struct tmo_config *config, const struct recorded *rec, struct error *err);

/* True where path is a file that says it is a policy, of whatever version. */
int policy_is_file(const char *path);

/* Write a policy, whole or not at all; env is what it was trained in. */
MUST_CHECK enum status policy_save(const struct policy *policy,
    const struct environment *env, const char *path, struct error *err);

/* Read a policy for data.  E_DATA names the first thing that is broken, of a wrong size,
 * or different: digest, views, tasks, llms, actions, costs, sessions.  On success *out
 * is released by the caller. */
MUST_CHECK enum status policy_load(
    const char *path, const struct dataset *data, struct policy *out, struct error *err);

/* Read a policy on its own; sha256 (may be NULL) gets the hash of the whole file. */
MUST_CHECK enum status policy_read(
    const char *path, struct policy *out, char sha256[HASH_HEX], struct error *err);

/* True where the file's policy is what training with this resolved config, seed and split
 * by this program would give. */
int policy_equals(const struct policy *loaded, const struct tmo_config *config,
    uint64_t seed, const struct split *split);

#endif
