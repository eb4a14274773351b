/* key_pieces.h - secrets that a server sends back in pieces.
 *
 * A stream says one text in many events, so a secret in it stands nowhere as a whole, and
 * what is stored of a failed stream is no text that could be searched.  Here the values of
 * members of the same name are put together, in their order, and searched; which protocol
 * spoke, and whether it came to an end, does not matter.  A secret whose pieces stand in
 * members of different names is not found. */
#ifndef COLLECTORS_LLM_KEY_PIECES_H
#define COLLECTORS_LLM_KEY_PIECES_H

#include <stddef.h>
#include "collectors/llm/key.h"

/* True where one of the use's secrets can be put together from the texts in body: JSON
 * documents in whatever frames them.  True also without memory to find out. */
int key_in_pieces(const struct key_use *use, const char *body, size_t len);

#endif
