/* policy_seal.c - the checksum that shows whether a policy file is as it was written. */
#include <stdlib.h>

#include "m4a1/base/buffer.h"
#include "m4a1/tmo/policy_parts.h"

enum status policy_seal(
    const struct json *root, size_t max, char out[HASH_HEX], struct error *err)
{
    struct buffer text;
    struct json *copy = json_copy(root);
    out[0] = '\0';
    if (!copy)
        return error_nomem(err, max);
    json_remove(copy, POLICY_SEAL);
    buffer_init(&text, max);
    enum status s = json_print(copy, JSON_CANONICAL, &text, err);
    if (!s)
        hash_hex(text.data, text.len, out);
    json_free(copy);
    buffer_release(&text);
    return s;
}
