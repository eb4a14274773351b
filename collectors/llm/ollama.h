/* ollama.h - the two files of the protocol ollama. */
#ifndef COLLECTORS_LLM_OLLAMA_H
#define COLLECTORS_LLM_OLLAMA_H

#include "collectors/llm/protocol.h"

/* Read what a server sent back; see struct protocol. */
MUST_CHECK enum status ollama_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err);

#endif
