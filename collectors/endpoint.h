/* endpoint.h - what the server of a local llm tells of itself: server, build, the model's
 * digest and quantisation, slots, context, GPU.
 *
 * Ollama (/api/version, /api/tags, /api/show, /api/ps), llama.cpp (/props), vLLM
 * (/v1/models, /version).  Small requests without a call; each waits two seconds at most. */
#ifndef COLLECTORS_ENDPOINT_H
#define COLLECTORS_ENDPOINT_H

#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/llm.h"
#include "schema/store.h"

struct endpoint_facts {
    char *server; /* "ollama", "llama.cpp", "vllm"; NULL = not one of those */
    char *build, *model_digest, *quantisation, *gpu; /* NULL = not told */
    int64_t context_tokens, slots;                   /* -1 = not told */
};

/* Ask the server of an llm.  OK also where it does not answer or is none of those; only
 * running out of memory is a failure. */
MUST_CHECK enum status endpoint_ask(
    const struct llm *llm, struct endpoint_facts *out, struct error *err);
void endpoint_facts_release(struct endpoint_facts *f);

/* Put them into the table endpoint: a new row where they differ from the last one. */
MUST_CHECK enum status endpoint_save(struct store *store, int64_t llm_id,
    const struct endpoint_facts *facts, struct error *err);

#endif
