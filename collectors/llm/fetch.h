/* fetch.h - one small request that waits for its answer: what a server tells of itself.
 *
 * Not for calls: nothing is measured.  The rules of network.h hold. */
#ifndef COLLECTORS_LLM_FETCH_H
#define COLLECTORS_LLM_FETCH_H

#include <stdint.h>
#include "collectors/llm/key.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

#define FETCH_MAX_BODY (4u << 20)

struct fetched {
    int http_status;
    struct buffer body;
    int64_t date_ms; /* the server's clock, from its Date header; -1 = not told */
};

/* GET, or POST where body is not NULL (JSON).  E_NET: no answer came; the message names
 * the address and the reason.  The key is scrubbed from body and message.  *out is
 * released by the caller in every case. */
MUST_CHECK enum status fetch(const char *url, const struct key_use *key, const char *body,
    int64_t timeout_ns, struct fetched *out, struct error *err);
void fetched_release(struct fetched *f);

#endif
