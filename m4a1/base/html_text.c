/* html_text.c - character references of HTML in plain texts; Gumbo knows the names. */
#include "m4a1/base/html_text.h"

#include <gumbo.h>
#include <stdio.h>
#include <string.h>

#include "m4a1/base/unicode.h"

#define MAX_NAME 32       /* of html.unescape(); the longest of HTML5 has 31 letters */
#define MAX_WHOLE_NAME 24 /* of ftfy */
#define MAX_VALUE 64      /* bytes of a name's replacement and what was no name */
#define BEYOND 0x110000   /* stands for every number above U+10FFFF */

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_name_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What Gumbo makes of "&name" inside a text, as a C string in value. */
static void look_up(const char *name, size_t len, char value[MAX_VALUE])
{
    char text[MAX_NAME + 8];
    // A text that began with the reference could lose its white space.
    int n = snprintf(text, sizeof text, "x&%.*s", (int)len, name);
    GumboOptions options = kGumboDefaultOptions;
    options.max_errors = 0;
    GumboOutput *page = gumbo_parse_with_options(&options, text, (size_t)n);
    const GumboVector *parts = &page->root->v.element.children;
    const GumboNode *body = parts->data[parts->length - 1];
    const GumboNode *node = body->v.element.children.data[0];
    snprintf(value, MAX_VALUE, "%s", node->v.text.text + 1);
    gumbo_destroy_output(&options, page);
}

/* A name with its semicolon that is one as a whole; prefixes leave "...;" behind. */
static int look_up_whole(const char *name, size_t len, char value[MAX_VALUE])
{
    look_up(name, len, value);
    size_t n = strlen(value);
    return n && (value[n - 1] != ';' || n == 1);
}

/* --- numbers --- */

/* The number behind "&#" or "&#x", BEYOND at most; *end behind its last digit, or 0 where
 * there is none. */
static int32_t read_number(const char *s, size_t len, size_t *end)
{
    int hex = len > 2 && (s[2] == 'x' || s[2] == 'X');
    size_t first = hex ? 3 : 2, i = first;
    int32_t number = 0;
    for (; i < len; i++) {
        int digit = hex ? hex_value(s[i]) : is_digit(s[i]) ? s[i] - '0' : -1;
        if (digit < 0)
            break;
        number = number * (hex ? 16 : 10) + digit;
        if (number > BEYOND)
            number = BEYOND;
    }
    *end = i > first ? i : 0;
    return number;
}

/* The character of a number, or -1 for none; _invalid_charrefs and _invalid_codepoints of
 * Python's html module. */
static int32_t character_of(int32_t number)
{
    if (number == 0 || number >= BEYOND || (number >= 0xD800 && number < 0xE000))
        return 0xFFFD;
    if (number >= 0x80 && number < 0xA0)
        return unicode_from_c1(number);
    int is_control = number < 0x20 && number != '\t' && number != '\n' &&
                     number != '\f' && number != '\r';
    int is_none = (number & 0xFFFE) == 0xFFFE || (number >= 0xFDD0 && number <= 0xFDEF);
    return is_control || number == 0x7F || is_none ? -1 : number;
}

static size_t add_number(
    const char *s, size_t len, enum html_rule rule, struct buffer *out)
{
    size_t end = 0;
    int32_t c = character_of(read_number(s, len, &end));
    int closed = end && end < len && s[end] == ';';
    size_t start = 2; // of the letters and digits that ftfy counts
    if (!end || (rule == HTML_WHOLE && (!closed || end - start > MAX_WHOLE_NAME)))
        return 0;
    if (rule == HTML_WHOLE && c == ';')
        return 0; // ftfy takes it for a sign that the reference went on
    if (c >= 0)
        unicode_add(out, c);
    return end + (size_t)closed;
}

/* --- names --- */

static size_t add_lenient(const char *s, size_t n, int closed, struct buffer *out)
{
    char value[MAX_VALUE];
    size_t end = 1 + n + (size_t)closed;
    look_up(s + 1, end - 1, value);
    if (value[0] == '&' && !strncmp(value + 1, s + 1, end - 1))
        return 0;
    buffer_add_str(out, value);
    return end;
}

/* "EACUTE;" as the capital of "eacute;", where it is no name nor begins with one. */
static int look_up_capitals(
    const char *s, size_t n, const char *as_is, char value[MAX_VALUE])
{
    char lower[MAX_NAME + 2];
    if (as_is[0] != '&' || strncmp(as_is + 1, s, n) != 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] >= 'a' && s[i] <= 'z')
            return 0;
        lower[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] | 0x20 : s[i]);
    }
    return look_up_whole(lower, n, value);
}

static size_t add_whole(const char *s, size_t n, struct buffer *out)
{
    char value[MAX_VALUE], capital[MAX_VALUE];
    size_t end = n + 2; // with "&" and ";"
    if (look_up_whole(s + 1, n + 1, value)) {
        buffer_add_str(out, value);
        return end;
    }
    if (!look_up_capitals(s + 1, n + 1, value, capital))
        return 0;
    for (size_t i = 0, len = strlen(capital); i < len;)
        unicode_add_upper(out, unicode_next(capital, len, &i));
    return end;
}

/* Append what the reference at s, an "&", stands for; returns its length, 0 for none. */
static size_t add_reference(
    const char *s, size_t len, enum html_rule rule, struct buffer *out)
{
    if (len > 1 && s[1] == '#')
        return add_number(s, len, rule, out);
    size_t n = 0, max = rule == HTML_WHOLE ? MAX_WHOLE_NAME : MAX_NAME;
    while (n < max && n + 1 < len && is_name_char(s[n + 1]))
        n++;
    int closed = n + 1 < len && s[n + 1] == ';';
    if (n == 0 || (rule == HTML_WHOLE && !closed))
        return 0;
    return rule == HTML_WHOLE ? add_whole(s, n, out) : add_lenient(s, n, closed, out);
}

enum status html_unescape(const char *text, size_t len, enum html_rule rule,
    struct buffer *out, struct error *err)
{
    size_t i = 0;
    while (i < len) {
        const char *found = memchr(text + i, '&', len - i);
        size_t at = found ? (size_t)(found - text) : len;
        buffer_add(out, text + i, at - i);
        if (!found)
            break;
        size_t n = add_reference(found, len - at, rule, out);
        if (!n)
            buffer_add_char(out, '&');
        i = at + (n ? n : 1);
    }
    return buffer_status(out, "a text without character references", err);
}
