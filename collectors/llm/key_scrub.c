/* key_scrub.c - secrets in what a server sends back, in every form it may give them.
 *
 * Servers quote what they were sent: as it is, inside JSON ("\/" or "\u002b" for a
 * sign, once or twice escaped), inside an address ("%2B", "%252B"), inside HTML
 * ("&#43;", "&#x2B;", "&amp;"), in hex, or as base64 of a header; with line breaks or
 * NULs between the signs where it wraps lines or thinks in UTF-16.
 * Base64 of a text that contains a secret shows, at each of three alignments, signs
 * that depend on the secret alone; those are searched. */
#include "collectors/llm/key.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"

#define MIN_SECRET 12     /* shorter values would blank ordinary words */
#define MIN_PLAIN 20      /* of one case and without digits */
#define MAX_GAP 64        /* bytes that say nothing between two signs */
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
    if (c == '%' && n > 1)
        return n;
    return is_number_of(s + n, len - n, 2, c) ? n + 2 : 0;
}

static size_t match_named_entity(const char *s, size_t len, char c)
{
    static const struct {
        char c;
        const char *name;
    } entities[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" },
        { '"', "&quot;" }, { '\'', "&apos;" } };
    for (size_t i = 0; i < COUNT_OF(entities); i++) {
        size_t n = strlen(entities[i].name);
        if (c == entities[i].c && len >= n && !memcmp(s, entities[i].name, n))
            return n;
    }
    return 0;
}

/* "&#43;" or "&#x2B;", with zeros in front as some write them. */
static size_t match_entity(const char *s, size_t len, char c)
{
    size_t n = 2;
    unsigned value = 0, base = 10;
    if (len < 4 || s[1] != '#')
        return match_named_entity(s, len, c);
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

/* What is searched: a secret, or what stands for it. */
struct search {
    const char *signs;
    size_t n;
    int is_base64;
    int is_encoded; /* a '%' or '&' of it is written "%25" or "&amp;" */
};

/* How many bytes at s say the sign c, in any form; 0 = they do not. */
static size_t match_sign(const char *s, size_t len, char c, const struct search *search)
{
    int is_base64 = search->is_base64;
    int may_be_plain = !search->is_encoded || (c != '%' && c != '&');
    if (len && may_be_plain && is_same(c, s[0], is_base64))
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

/* How many bytes at s say nothing: blanks, control characters, plain or escaped, and signs
 * without width. */
static size_t gap(const char *s, size_t len)
{
    static const char *const widthless[] = { "\xc2\xad", "\xe2\x80\x8b", "\xe2\x80\x8c",
        "\xe2\x80\x8d", "\xef\xbb\xbf" };
    if (len && ((unsigned char)s[0] <= 0x20 || s[0] == 0x7f))
        return 1;
    if (len > 1 && s[0] == '\\' && s[1] && strchr("nrtbf", s[1]))
        return 2;
    if (len > 5 && !memcmp(s, "\\u00", 4) && (s[4] == '0' || s[4] == '1'))
        return 6;
    for (size_t i = 0; i < COUNT_OF(widthless); i++) {
        size_t n = strlen(widthless[i]);
        if (len >= n && !memcmp(s, widthless[i], n))
            return n;
    }
    return 0;
}

/* How many bytes at s say all signs; 0 = they do not. */
static size_t match(const char *s, size_t len, const struct search *search)
{
    size_t at = 0;
    for (size_t i = 0; i < search->n; i++) {
        size_t n = match_sign(s + at, len - at, search->signs[i], search), skipped = 0;
        while (!n && i && skipped < MAX_GAP) {
            size_t nothing = gap(s + at, len - at);
            if (!nothing)
                return 0;
            at += nothing;
            skipped += nothing;
            n = match_sign(s + at, len - at, search->signs[i], search);
        }
        if (!n)
            return 0;
        at += n;
    }
    return at;
}

static size_t scrub_one(char *s, size_t len, const struct search *search)
{
    size_t n_found = 0;
    for (size_t i = 0; i < len;) {
        // Most bytes begin no form of the secret's first sign.
        if (!is_same(search->signs[0], s[i], search->is_base64) && s[i] != '\\' &&
            s[i] != '%' && s[i] != '&') {
            i++;
            continue;
        }
        size_t n = match(s + i, len - i, search);
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

/* As hex digits, small or capital. */
static size_t scrub_hex(char *s, size_t len, const char *secret, size_t n_secret)
{
    static const char *const digits[] = { "0123456789abcdef", "0123456789ABCDEF" };
    size_t n_found = 0;
    char *hex = calloc(2, n_secret + 1);
    if (!hex) {
        memset(s, '*', len); // rather lose an answer than let a secret through
        return 1;
    }
    for (size_t k = 0; k < COUNT_OF(digits); k++) {
        for (size_t i = 0; i < n_secret; i++) {
            hex[2 * i] = digits[k][(unsigned char)secret[i] >> 4];
            hex[2 * i + 1] = digits[k][(unsigned char)secret[i] & 15];
        }
        const struct search search = { .signs = hex, .n = 2 * n_secret };
        n_found += scrub_one(s, len, &search);
    }
    explicit_bzero(hex, 2 * n_secret);
    free(hex);
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
        const struct search search = { encoded + first, end - first, 1, 0 };
        if (end >= first + MIN_ENCODED)
            n_found += scrub_one(s, len, &search);
    }
    if (padded)
        explicit_bzero(padded, n_secret + 2);
    if (encoded)
        explicit_bzero(encoded, size);
    free(padded);
    free(encoded);
    return n_found;
}

int key_is_secret(const char *value)
{
    size_t n = value ? strlen(value) : 0;
    int has_digit = 0, has_small = 0, has_capital = 0;
    for (size_t i = 0; i < n; i++) {
        has_digit |= isdigit((unsigned char)value[i]) != 0;
        has_small |= islower((unsigned char)value[i]) != 0;
        has_capital |= isupper((unsigned char)value[i]) != 0;
    }
    return n >= MIN_SECRET && (has_digit || (has_small && has_capital) || n >= MIN_PLAIN);
}

int key_has_secret(const struct key_use *use)
{
    int has = use->env && key_is_secret(getenv(use->env));
    for (size_t i = 0; i < use->n_variables; i++)
        has |= key_is_secret(getenv(use->variables[i].env));
    return has;
}

static int is_ordinary(const char *env)
{
    const char *value = env ? getenv(env) : NULL;
    return value && *value && !key_is_secret(value);
}

const char *key_not_searched(const struct key_use *use)
{
    if (is_ordinary(use->env))
        return use->env;
    for (size_t i = 0; i < use->n_variables; i++)
        if (is_ordinary(use->variables[i].env))
            return use->variables[i].env;
    return NULL;
}

static size_t scrub_variable(const char *env, char *s, size_t len)
{
    const char *secret = env ? getenv(env) : NULL;
    if (!secret || !key_is_secret(secret))
        return 0;
    struct search search = { .signs = secret, .n = strlen(secret) };
    size_t n = scrub_one(s, len, &search);
    search.is_encoded = 1;
    if (strpbrk(secret, "%&"))
        n += scrub_one(s, len, &search);
    return n + scrub_hex(s, len, secret, search.n) +
           scrub_encoded(s, len, secret, search.n);
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
