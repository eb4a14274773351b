/* secret_shape.h - texts that look like keys, so that none gets into a store by way of a
 * recipe, nor into a message about one.
 *
 * A shape is what a provider's keys begin with, and as many random signs as they have: a
 * text that only speaks of "sk-" or of "Bearer" has none.  What has no shape of its own
 * (an Azure key is 32 hexadecimal digits) cannot be told from other words. */
#ifndef SCHEMA_SECRET_SHAPE_H
#define SCHEMA_SECRET_SHAPE_H

#include <stddef.h>

/* The first text in len bytes at s that looks like a key: a name for it ("an OpenAI key"),
 * where it begins and how many bytes it has.  NULL where there is none. */
const char *secret_shape_find(const char *s, size_t len, size_t *at, size_t *n_bytes);

/* Put asterisks over all of them; s may be NULL. */
void secret_shape_hide(char *s, size_t len);

#endif
