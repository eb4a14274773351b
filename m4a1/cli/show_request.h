/* show_request.h - what a stored request says and shows, whatever its protocol.
 *
 * Knows where the protocols put system prompts, messages, texts and frames, and nothing
 * else of them. */
#ifndef M4A1_CLI_SHOW_REQUEST_H
#define M4A1_CLI_SHOW_REQUEST_H

#include <stdint.h>
#include "m4a1/base/json.h"
#include "schema/store.h"

/* Print system prompt and messages, a picture or sound as the beginning of its hash. */
void show_request_print(const struct json *request);

/* Append the names of the views that the request of this call holds, in its order, each
 * once: pictures and sounds by their hashes ("unknown" where the scene has no such frame),
 * texts by their labels. */
MUST_CHECK enum status show_request_views(struct store *store, int64_t call_id,
    const struct json *request, struct json *names, struct error *err);

#endif
