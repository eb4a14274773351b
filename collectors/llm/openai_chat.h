/* openai_chat.h - the two files of the protocol openai-chat. */
#ifndef COLLECTORS_LLM_OPENAI_CHAT_H
#define COLLECTORS_LLM_OPENAI_CHAT_H

#include "collectors/llm/protocol.h"

/* Longest event of a stream, in bytes. */
#define OPENAI_MAX_EVENT (4u << 20)

/* Read what a server sent back; see struct protocol. */
MUST_CHECK enum status openai_chat_parse(
    const struct wire_answer *wire, struct answer *out, struct error *err);

#endif
