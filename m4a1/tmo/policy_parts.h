/* policy_parts.h - what writing and reading a policy file share. */
#ifndef M4A1_TMO_POLICY_PARTS_H
#define M4A1_TMO_POLICY_PARTS_H

#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"
#include "m4a1/tmo/policy.h"

/* The members that follow from the data and the settings: environment, data, encoding,
 * actions, costs, reward, estimator.  Reading builds them anew and compares. */
MUST_CHECK enum status policy_describe(const struct policy *policy,
    const struct dataset *data, struct json **out, struct error *err);

#define POLICY_SEAL "sha256" /* the member that holds the checksum */

/* SHA-256 of a policy file's content but for the seal: of its canonical JSON, so that the
 * file may be laid out anew but not changed.  max is the most bytes of that text. */
MUST_CHECK enum status policy_seal(
    const struct json *root, size_t max, char out[HASH_HEX], struct error *err);

#endif
