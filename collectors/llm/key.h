/* key.h - the only place that reads a key: from the environment, when it is sent.
 *
 * A key goes into the Authorization header and nowhere else.  What a server sends back
 * is scrubbed of it before anything is stored or shown. */
#ifndef COLLECTORS_LLM_KEY_H
#define COLLECTORS_LLM_KEY_H

#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

/* OK where env is NULL or names a variable that holds a key that can be sent: not empty,
 * no blanks, no control characters.  The message names the variable, never its value. */
MUST_CHECK enum status key_check(const char *env, struct error *err);

/* "Authorization: Bearer ..." into out, which the caller wipes with key_wipe(). */
MUST_CHECK enum status key_header(const char *env, struct buffer *out, struct error *err);
void key_wipe(struct buffer *b);

/* Put asterisks over every occurrence of the key in len bytes at s; env may be NULL.
 * Returns how many there were. */
size_t key_scrub(const char *env, char *s, size_t len);

#endif
