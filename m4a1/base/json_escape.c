/* json_escape.c - see json_escape.h; it knows no strings and no values, only escapes.
 *
 * Half of a surrogate pair is kept as the three bytes that UTF-8 would give its number
 * (https://simonsapin.github.io/wtf-8/).  No UTF-8 has these, so nothing else is taken
 * for one when they are joined. */
#include "m4a1/base/json_escape.h"

#include <string.h>

#include "m4a1/base/json.h"

#define ESCAPE 6 /* bytes of \uXXXX */
#define HALF 3   /* bytes of half a pair */

#define REPLACEMENT 0xfffd

/* A number from 0x800 to 0xffff as the three bytes of UTF-8, halves too. */
static void put_three(char *to, int c)
{
    to[0] = (char)(0xe0 | c >> 12);
    to[1] = (char)(0x80 | (c >> 6 & 0x3f));
    to[2] = (char)(0x80 | (c & 0x3f));
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The number of the \u escape at s; -1 where there is none. */
static int number_at(const char *s, size_t len)
{
    int number = 0;
    if (len < ESCAPE || s[0] != '\\' || s[1] != 'u')
        return -1;
    for (int i = 2; i < ESCAPE; i++) {
        int d = digit(s[i]);
        if (d < 0)
            return -1;
        number = number * 16 + d;
    }
    return number;
}

static int is_high(int number)
{
    return number >= 0xd800 && number <= 0xdbff;
}

static int is_low(int number)
{
    return number >= 0xdc00 && number <= 0xdfff;
}

/* What stands at the backslash s, and how many bytes it has. */
static enum json_escape look(const char *s, size_t len, size_t *n_bytes)
{
    *n_bytes = len < 2 ? len : 2;
    if (len < 2 || s[1] != 'u')
        return JSON_ESCAPE_FINE;
    int number = number_at(s, len);
    if (number < 0)
        return JSON_ESCAPE_BROKEN;
    *n_bytes = ESCAPE;
    if (is_high(number) && is_low(number_at(s + ESCAPE, len - ESCAPE))) {
        *n_bytes = 2 * ESCAPE;
        return JSON_ESCAPE_FINE;
    }
    if (is_high(number) || is_low(number))
        return JSON_ESCAPE_HALF;
    return number ? JSON_ESCAPE_FINE : JSON_ESCAPE_NUL;
}

enum json_escape json_escape_check(const char *text, size_t len, size_t *at)
{
    size_t n = 0;
    for (const char *s = text; (s = memchr(s, '\\', len - (size_t)(s - text))); s += n) {
        enum json_escape found = look(s, len - (size_t)(s - text), &n);
        *at = (size_t)(s - text);
        if (found != JSON_ESCAPE_FINE)
            return found;
    }
    *at = len;
    return JSON_ESCAPE_FINE;
}

size_t json_escape_mend(char *text, size_t len)
{
    size_t to = 0, n = 0;
    for (size_t i = 0; i < len; i += n) {
        n = 1;
        enum json_escape found =
            text[i] == '\\' ? look(text + i, len - i, &n) : JSON_ESCAPE_FINE;
        if (found == JSON_ESCAPE_HALF || found == JSON_ESCAPE_NUL) {
            int number = number_at(text + i, len - i);
            put_three(text + to, number ? number : REPLACEMENT);
            to += HALF;
        } else {
            memmove(text + to, text + i, n);
            to += n;
        }
    }
    return to;
}

/* The half whose three bytes stand at s; -1 where there is none. */
static int half_at(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] != 0xed || u[1] < 0xa0 || u[1] > 0xbf || (u[2] & 0xc0) != 0x80)
        return -1;
    return 0xd000 | (u[1] & 0x3f) << 6 | (u[2] & 0x3f);
}

void json_join_halves(char *s)
{
    if (!s || !(s = strchr(s, 0xed)))
        return;
    for (char *to = s;; to++) {
        int high = half_at(s), low = is_high(high) ? half_at(s + HALF) : -1;
        if (is_low(low)) {
            int c = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
            *to++ = (char)(0xf0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3f));
            *to++ = (char)(0x80 | (c >> 6 & 0x3f));
            *to = (char)(0x80 | (c & 0x3f));
            s += 2 * HALF;
        } else if (high >= 0) {
            put_three(to, REPLACEMENT);
            to += HALF - 1;
            s += HALF;
        } else if (!(*to = *s++)) {
            return;
        }
    }
}
