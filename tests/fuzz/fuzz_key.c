/* fuzz_key.c - any bytes as what a server sent back: scrubbed, they hold no secret, and
 * nothing else has changed but to asterisks. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/llm/key.h"

#define SECRET "aa/b+c=\\aab7"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct key_use use = { .way = KEY_BEARER, .env = "M4A1_FUZZ_KEY" };
    if (setenv("M4A1_FUZZ_KEY", SECRET, 1))
        abort();
    char *text = malloc(len ? len : 1);
    if (!text)
        return 0;
    memcpy(text, data, len);
    key_scrub(&use, text, len);
    for (size_t i = 0; i + strlen(SECRET) <= len; i++)
        if (!memcmp(text + i, SECRET, strlen(SECRET)))
            abort();
    for (size_t i = 0; i < len; i++)
        if (text[i] != (char)data[i] && text[i] != '*')
            abort();
    if (key_scrub(&use, text, len))
        abort(); // once is enough
    free(text);
    return 0;
}
