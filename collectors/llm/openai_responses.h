/* openai_responses.h - the two files of the protocol openai-responses. */
#ifndef COLLECTORS_LLM_OPENAI_RESPONSES_H
#define COLLECTORS_LLM_OPENAI_RESPONSES_H

#include "collectors/llm/openai_chat.h"

/* Read what a server sent back; see struct protocol. */
MUST_CHECK enum status openai_responses_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err);

#endif
