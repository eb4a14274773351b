/* key_scrub.c - secrets in what a server sends back, in every form it may give them.
 *
 * Servers quote what they were sent: as it is, inside JSON ("\/" or "\u002b" for a
 * sign, once or twice escaped), inside an address ("%2B", "%252B"), inside HTML
 * ("&#43;", "&#x2B;"), or as base64 of a header.
 * Base64 of a text that contains a secret shows, at each of three alignments, signs
 * that depend on the secret alone; those are searched. */
#include "collectors/llm/key.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"

#define MIN_SCRUBBED 4    /* shorter values would blank ordinary words */
#define MIN_ENCODED 8     /* signs of base64 that are no chance */
#define MAX_BACKSLASHES 8 /* JSON inside JSON inside JSON */
#define MAX_PERCENTS 8    /* an address inside an address, bytes of "2525..." */
#define MAX_ENTITY 7      /* digits of an HTML entity */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* True where n digits at s are the number of sign c. */
static int is_number_of(const char *s, size_t len, size_t n, char c)
{
    int value = 0;
    if (len < n)
        return 0;
    for (size_t i = 0; i < n; i++) {
        int digit = hex_value(s[i]);
        if (digit < 0)
            return 0;
        value = value * 16 + digit;
    }
    return value == (unsigned char)c;
}

static int is_same(char a, char b, int is_base64)
{
    if (a == b)
        return 1;
    // The alphabet for addresses has two signs of its own.
    return is_base64 && ((a == '+' && b == '-') || (a == '/' && b == '_'));
}

/* "%2B", and "%252B" where an address stands inside another. */
static size_t match_percent(const char *s, size_t len, char c)
{
    size_t n = 1;
    while (n + 2 <= len && s[n] == '2' && s[n + 1] == '5' && n < MAX_PERCENTS)
        n += 2;
    return is_number_of(s + n, len - n, 2, c) ? n + 2 : 0;
}

/* "&#43;" or "&#x2B;", with zeros in front as some write them. */
static size_t match_entity(const char *s, size_t len, char c)
{
    size_t n = 2;
    unsigned value = 0, base = 10;
    if (len < 4 || s[1] != '#')
        return 0;
    if (s[n] == 'x' || s[n] == 'X') {
        base = 16;
        n++;
    }
    size_t first = n;
    for (; n < len && n < first + MAX_ENTITY && s[n] != ';'; n++) {
        int digit = hex_value(s[n]);
        if (digit < 0 || (unsigned)digit >= base)
            return 0;
        value = value * base + (unsigned)digit;
    }
    return n > first && n < len && s[n] == ';' && value == (unsigned char)c ? n + 1 : 0;
}

/* How many bytes at s say the sign c, in any form; 0 = they do not. */
static size_t match_sign(const char *s, size_t len, char c, int is_base64)
{
    if (len && is_same(c, s[0], is_base64))
        return 1;
    if (len && s[0] == '%')
        return match_percent(s, len, c);
    if (len && s[0] == '&')
        return match_entity(s, len, c);
    size_t n = 0;
    while (n < len && n < MAX_BACKSLASHES && s[n] == '\\')
        n++;
    if (!n || n == len)
        return 0;
    if (s[n] == 'u' && is_number_of(s + n + 1, len - n - 1, 4, c))
        return n + 5;
    return is_same(c, s[n], is_base64) ? n + 1 : 0;
}

/* How many bytes at s say the whole secret; 0 = they do not. */
static size_t match(
    const char *s, size_t len, const char *secret, size_t n_secret, int is_base64)
{
    size_t at = 0;
    for (size_t i = 0; i < n_secret; i++) {
        size_t n = match_sign(s + at, len - at, secret[i], is_base64);
        if (!n)
            return 0;
        at += n;
    }
    return at;
}

static size_t scrub_one(
    char *s, size_t len, const char *secret, size_t n_secret, int is_base64)
{
    size_t n_found = 0;
    for (size_t i = 0; i < len;) {
        // Most bytes begin no form of the secret's first sign.
        if (!is_same(secret[0], s[i], is_base64) && s[i] != '\\' && s[i] != '%' &&
            s[i] != '&') {
            i++;
            continue;
        }
        size_t n = match(s + i, len - i, secret, n_secret, is_base64);
        if (!n) {
            i++;
            continue;
        }
        memset(s + i, '*', n);
        i += n;
        n_found++;
    }
    return n_found;
}

/* The signs of base64 that every text with the secret at this alignment has: those
 * whose six bits all come from the secret. */
static size_t scrub_encoded(char *s, size_t len, const char *secret, size_t n_secret)
{
    size_t n_found = 0, size = base64_size(n_secret + 2);
    char *padded = calloc(1, n_secret + 2), *encoded = malloc(size);
    if (!padded || !encoded) {
        memset(s, '*', len); // rather lose an answer than let a secret through
        n_found++;
    }
    for (size_t shift = 0; padded && encoded && shift < 3; shift++) {
        memcpy(padded + shift, secret, n_secret);
        base64_encode(padded, shift + n_secret, encoded);
        size_t first = (shift * 8 + 5) / 6, end = (shift + n_secret) * 8 / 6;
        if (end >= first + MIN_ENCODED)
            n_found += scrub_one(s, len, encoded + first, end - first, 1);
    }
    if (padded)
        explicit_bzero(padded, n_secret + 2);
    if (encoded)
        explicit_bzero(encoded, size);
    free(padded);
    free(encoded);
    return n_found;
}

static size_t scrub_variable(const char *env, char *s, size_t len)
{
    const char *secret = env ? getenv(env) : NULL;
    size_t n_secret = secret ? strlen(secret) : 0;
    if (n_secret < MIN_SCRUBBED)
        return 0;
    return scrub_one(s, len, secret, n_secret, 0) +
           scrub_encoded(s, len, secret, n_secret);
}

size_t key_scrub(const struct key_use *use, char *s, size_t len)
{
    if (!s)
        return 0;
    size_t n = scrub_variable(use->env, s, len);
    for (size_t i = 0; i < use->n_variables; i++)
        n += scrub_variable(use->variables[i].env, s, len);
    return n;
}
