/* refusal.c - the published refusal rule, kept as it is: case-sensitive, with the
 * straight apostrophe, so that published figures can be had again.  It misses "Sorry"
 * and a typeset apostrophe, which the mended rule does not. */
#include "annotate/refusal.h"

#include <stddef.h>
#include <string.h>

int refusal_published(const char *answer)
{
    static const char *const words[] = { "sorry", "I don't have", "can't" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strstr(answer, words[i]))
            return 1;
    }
    return 0;
}

/* The length of what text begins with, as one lower-case ASCII character: its first byte,
 * or the three of a typeset apostrophe. */
static size_t fold(const char *text, char *out)
{
    if (strncmp(text, "\xe2\x80\x99", 3) == 0) {
        *out = '\'';
        return 3;
    }
    *out = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
    return 1;
}

static int begins(const char *text, const char *word)
{
    for (; *word; word++) {
        char c;
        size_t len = *text ? fold(text, &c) : 0;
        if (!len || c != *word)
            return 0;
        text += len;
    }
    return 1;
}

int refusal_mended(const char *answer)
{
    static const char *const words[] = { "sorry", "i don't have", "can't" };
    for (const char *at = answer; *at; at++)
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (begins(at, words[i]))
                return 1;
    return 0;
}
