/* salt.h - keep a prompt cache from shortening a call that is to be measured without.
 *
 * Caches of servers share what requests have in common from their first byte on.  A few
 * digits that no other attempt has, in front of everything, leave them nothing to share.
 * The salt is part of the request as it is stored. */
#ifndef COLLECTORS_SALT_H
#define COLLECTORS_SALT_H

#include <stdint.h>
#include "collectors/dialogue.h"
#include "collectors/llm/protocol.h"
#include "m4a1/base/error.h"
#include "schema/store.h"

#define SALT_DIGITS 16

/* True where the llm's calls need a salt: its recipe says "cache": "avoid", and its
 * protocol has no switch for that. */
int salt_is_needed(const struct protocol *p, const struct llm *llm);

/* Put SALT_DIGITS hexadecimal digits and a line break in front of the system prompt, or
 * of the first message where there is none: of SHA-256 over the call's identity and the
 * number of its next attempt, so that they can be computed again. */
MUST_CHECK enum status salt_add(
    struct store *store, int64_t call_id, struct dialogue *d, struct error *err);

#endif
