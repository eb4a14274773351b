/* identity.h - names that depend on content only, so that stores can be merged.
 *
 * Each identity is the SHA-256, as 64 digits, of a version prefix and canonical JSON. */
#ifndef SCHEMA_IDENTITY_H
#define SCHEMA_IDENTITY_H

#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"

/* SHA-256 over prefix, a line break and the canonical JSON of content. */
MUST_CHECK enum status identity_of(const char *prefix, const struct json *content,
    char out[HASH_HEX], struct error *err);

/* What a planned call is.  The parent's identity stands for the whole history. */
struct call_name {
    const char *session; /* the session's identity */
    int64_t turn;        /* position in the session */
    const char *purpose;
    const char *llm; /* the llm's identity */
    uint32_t views_added;
    int64_t sample;
    const char *parent;  /* identity of the parent call; NULL = first turn */
    const char *subject; /* identity of the call it judges; NULL = none */
    const char *text;    /* what a judge is asked; NULL = the turn's prompt */
};

MUST_CHECK enum status call_identity(
    const struct call_name *name, char out[HASH_HEX], struct error *err);

#endif
