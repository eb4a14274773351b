/* openai_chat.h - what the protocols of the OpenAI family share: openai-chat,
 * azure-openai and openai-responses. */
#ifndef COLLECTORS_LLM_OPENAI_CHAT_H
#define COLLECTORS_LLM_OPENAI_CHAT_H

#include "collectors/llm/protocol.h"
#include "collectors/llm/reading.h"

/* Who pays at OpenAI, where a key is good for several. */
#define OPENAI_HEADERS "OpenAI-Organization: {organization}\nOpenAI-Project: {project}\n"

/* A chat completion's request and its parameters, for openai-chat and azure-openai. */
extern const char *const openai_chat_reserved[];
MUST_CHECK enum status openai_chat_check(const struct llm *llm, struct error *err);
int64_t openai_chat_max_tokens(const struct llm *llm);
int openai_chat_write(const struct llm *llm, const struct dialogue *d, struct json *root);
extern const struct frame_form openai_chat_image, openai_chat_audio;

/* Read what a server sent back; see struct protocol.  id_header names the header with
 * the request's id. */
MUST_CHECK enum status openai_chat_read(const struct wire_answer *wire,
    const char *id_header, struct answer *out, struct error *err);

/* Tell the error that a document is, in any of the family's forms; false where it is
 * none.  Under an error status {"message": ...} and {"detail": ...} are errors, too. */
int openai_error(struct reading *r, const struct json *root);

#endif
