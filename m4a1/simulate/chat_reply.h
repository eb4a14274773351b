/* chat_reply.h - write an answer as the Chat Completions API does, whole or as a stream. */
#ifndef M4A1_SIMULATE_CHAT_REPLY_H
#define M4A1_SIMULATE_CHAT_REPLY_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/random.h"
#include "m4a1/http/http.h"
#include "m4a1/simulate/sim_meter.h"

#define CHAT_FINGERPRINT "m4a1-simulator-1" /* system_fingerprint of every answer */
#define CHAT_CREATED 1767225600 /* fixed (2026-01-01), so that answers repeat */

struct chat_reply {
    const char *id; /* "chatcmpl-..." */
    const char *model;
    const char *text;
    size_t text_len;
    const char *finish_reason; /* "stop" or "length" */
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    struct sim_pace pace;
    int broken; /* 1 = JSON that cannot be read */
};

/* One JSON document, due when its last token would be. */
MUST_CHECK enum status chat_reply_whole(
    const struct chat_reply *reply, struct http_answer *answer, struct error *err);

/* Server-sent events: a role chunk, pieces of one to four words, a chunk with the finish
 * reason, with include_usage one with the usage, and [DONE].  rng chooses the pieces and
 * where the bytes on the wire are split: within events, and within a character wherever
 * a piece has one of several bytes. */
MUST_CHECK enum status chat_reply_stream(const struct chat_reply *reply,
    int include_usage, struct rng *rng, struct http_answer *answer, struct error *err);

#endif
