/* anthropic.h - the two files of the protocol anthropic. */
#ifndef COLLECTORS_LLM_ANTHROPIC_H
#define COLLECTORS_LLM_ANTHROPIC_H

#include "collectors/llm/protocol.h"

/* Read what a server sent back; see struct protocol. */
MUST_CHECK enum status anthropic_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err);

#endif
