/* gemini.h - the two files of the protocol gemini. */
#ifndef COLLECTORS_LLM_GEMINI_H
#define COLLECTORS_LLM_GEMINI_H

#include "collectors/llm/protocol.h"

/* Read what a server sent back; see struct protocol. */
MUST_CHECK enum status gemini_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err);

#endif
