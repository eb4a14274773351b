/* policy_parts.h - what writing and reading a policy file share. */
#ifndef M4A1_TMO_POLICY_PARTS_H
#define M4A1_TMO_POLICY_PARTS_H

#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"
#include "m4a1/tmo/policy.h"

#define POLICY_FILE_MAX ((size_t)1 << 30)
#define POLICY_SEAL "sha256" /* the member that holds the checksum */

/* SHA-256 of a policy file's content but for the seal: of its canonical JSON, so that the
 * file may be laid out anew but not changed.  max is the most bytes of that text. */
MUST_CHECK enum status policy_seal(
    const struct json *root, size_t max, char out[HASH_HEX], struct error *err);

/* The costs of every kind that actions come to, as a table by llm. */
MUST_CHECK enum status policy_costs(
    const struct environment *env, struct cost_table **out, struct error *err);

/* Where a reader is, for messages. */
struct policy_place {
    const char *file;
    struct error *err;
};

enum status policy_broken(
    const struct policy_place *at, const char *member, const char *expected);
/* object[key] as a number in [min, max], and as a whole one from 1. */
MUST_CHECK enum status policy_number(const struct policy_place *at,
    const struct json *object, const char *key, double min, double max, double *out);
MUST_CHECK enum status policy_count(const struct policy_place *at,
    const struct json *object, const char *key, size_t max, size_t *out);
/* A list of names, [*n]; freed name by name. */
MUST_CHECK enum status policy_names(const struct policy_place *at,
    const struct json *list, const char *member, size_t max, char ***out, size_t *n);
/* The list of actions. */
MUST_CHECK enum status policy_actions(
    const struct policy_place *at, const struct json *list, struct policy *out);

/* All of a version 1 file but seed, split, weights and seal. */
MUST_CHECK enum status policy_read_v1(
    const struct policy_place *at, const struct json *root, struct policy *out);

/* That a policy fits data; out->about and the rest are of the file. */
MUST_CHECK enum status policy_compare(const char *path, const struct policy *policy,
    const struct dataset *data, struct error *err);

#endif
