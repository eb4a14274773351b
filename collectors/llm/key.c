/* key.c - keys by the name of their environment variable. */
#include "collectors/llm/key.h"

#include <stdlib.h>
#include <string.h>

#define MIN_SCRUBBED 4 /* shorter values would blank ordinary words */

enum status key_check(const char *env, struct error *err)
{
    if (!env)
        return OK;
    const char *key = getenv(env);
    if (!key || !*key)
        return error_set(err, E_NOT_FOUND, "the environment variable %s is not set", env);
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return error_set(err, E_ARG,
                "the environment variable %s holds a blank or a control character; a key "
                "has none (is there a line break at its end?)",
                env);
    return OK;
}

enum status key_header(const char *env, struct buffer *out, struct error *err)
{
    enum status s = key_check(env, err);
    if (s != OK)
        return s;
    buffer_add_str(out, "Authorization: Bearer ");
    buffer_add_str(out, getenv(env));
    return buffer_status(out, "Authorization header", err);
}

void key_wipe(struct buffer *b)
{
    if (b->data)
        explicit_bzero(b->data, b->size);
    buffer_release(b);
}

size_t key_scrub(const char *env, char *s, size_t len)
{
    const char *key = env ? getenv(env) : NULL;
    size_t n_key = key ? strlen(key) : 0, n = 0;
    if (n_key < MIN_SCRUBBED || !s)
        return 0;
    for (size_t i = 0; i + n_key <= len;) {
        char *first = memchr(s + i, key[0], len - n_key - i + 1);
        if (!first)
            break;
        i = (size_t)(first - s);
        if (memcmp(first, key, n_key) == 0) {
            memset(first, '*', n_key);
            i += n_key;
            n++;
        } else {
            i++;
        }
    }
    return n;
}
