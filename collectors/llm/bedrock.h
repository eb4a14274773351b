/* bedrock.h - the files of the protocol bedrock-converse. */
#ifndef COLLECTORS_LLM_BEDROCK_H
#define COLLECTORS_LLM_BEDROCK_H

#include "collectors/llm/protocol.h"

/* Read what a server sent back; see struct protocol. */
MUST_CHECK enum status bedrock_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err);

/* How requests prove their sender, from the llm's options; see struct protocol. */
struct key_use bedrock_key(const struct llm *llm);

#endif
