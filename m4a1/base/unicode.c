/* unicode.c - characters of UTF-8 texts, over utf8proc. */
#include "m4a1/base/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define REPLACEMENT 0xFFFD
#define SIGMA 0x3A3 /* capital */
#define SMALL_SIGMA 0x3C3
#define FINAL_SIGMA 0x3C2
#define I_WITH_DOT 0x130 /* capital */
#define SHARP_S 0xDF
#define FIRST_MARK 0x300 /* code points below are in NFC and begin anew */
#define MAX_CANONICAL 4  /* code points that one becomes in NFD, at most */

int32_t unicode_next(const char *s, size_t len, size_t *i)
{
    unsigned char first = (unsigned char)s[*i];
    utf8proc_int32_t c = first;
    utf8proc_ssize_t n = 1;
    if (first >= 0x80)
        n = utf8proc_iterate(
            (const utf8proc_uint8_t *)s + *i, (utf8proc_ssize_t)(len - *i), &c);
    *i += n > 0 ? (size_t)n : 1;
    return n > 0 ? c : REPLACEMENT;
}

enum status unicode_add(struct buffer *out, int32_t c)
{
    if (c >= 0 && c < 0x80)
        return buffer_add_char(out, (char)c);
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n =
        utf8proc_encode_char(utf8proc_codepoint_valid(c) ? c : REPLACEMENT, bytes);
    return buffer_add(out, bytes, (size_t)n);
}

int unicode_is_space(int32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r');
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

int unicode_is_digit(int32_t c)
{
    return utf8proc_category(c) == UTF8PROC_CATEGORY_ND;
}

int32_t unicode_from_c1(int32_t c)
{
    static const uint16_t windows_1252[32] = { 0x20AC, 0x81, 0x201A, 0x192, 0x201E,
        0x2026, 0x2020, 0x2021, 0x2C6, 0x2030, 0x160, 0x2039, 0x152, 0x8D, 0x17D, 0x8F,
        0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x2DC, 0x2122,
        0x161, 0x203A, 0x153, 0x9D, 0x17E, 0x178 };
    return c >= 0x80 && c < 0xA0 ? windows_1252[c - 0x80] : c;
}

/* --- normalisation --- */

/* Code points that grow as they are read. */
struct codes {
    utf8proc_int32_t *at;
    size_t n, size;
};

static enum status codes_reserve(struct codes *codes, size_t n_more, struct error *err)
{
    if (codes->n + n_more <= codes->size)
        return OK;
    size_t size = 2 * codes->size + n_more + 64;
    utf8proc_int32_t *at = realloc(codes->at, size * sizeof *at);
    if (!at)
        return error_nomem(err, size * sizeof *at);
    codes->at = at;
    codes->size = size;
    return OK;
}

static enum status decompose(
    const char *s, size_t len, struct codes *codes, struct error *err)
{
    codes->n = 0;
    for (size_t i = 0; i < len;) {
        int32_t c = unicode_next(s, len, &i);
        if (codes_reserve(codes, MAX_CANONICAL, err))
            return E_NOMEM;
        int boundary = UTF8PROC_BOUNDCLASS_START;
        utf8proc_ssize_t n = utf8proc_decompose_char(c, codes->at + codes->n,
            MAX_CANONICAL, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
        if (n < 0 || n > MAX_CANONICAL)
            return error_set(err, E_DATA, "U+%04X cannot be normalised", (unsigned)c);
        codes->n += (size_t)n;
    }
    return OK;
}

static unsigned combining_class(utf8proc_int32_t c)
{
    return (unsigned)utf8proc_get_property(c)->combining_class & 0xFF;
}

/* Stable order by class, by counting: utf8proc's own sort is quadratic in a run of marks. */
static void sort_marks(utf8proc_int32_t *marks, utf8proc_int32_t *scratch, size_t n)
{
    size_t start[257] = { 0 };
    for (size_t i = 0; i < n; i++)
        start[combining_class(marks[i]) + 1]++;
    for (size_t class = 1; class <= 256; class ++)
        start[class] += start[class - 1];
    for (size_t i = 0; i < n; i++)
        scratch[start[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, scratch, n * sizeof *marks);
}

static enum status order_marks(struct codes *codes, struct error *err)
{
    size_t n = codes->n;
    if (codes_reserve(codes, n, err)) // the upper half is scratch
        return E_NOMEM;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && combining_class(codes->at[end]))
            end++;
        if (end - i > 1)
            sort_marks(codes->at + i, codes->at + n, end - i);
        i = end + 1;
    }
    return OK;
}

/* A run that begins anew and is followed by nothing that joins it. */
static enum status add_normal(
    const char *s, size_t len, struct codes *codes, struct buffer *out, struct error *err)
{
    enum status status = decompose(s, len, codes, err);
    if (!status)
        status = order_marks(codes, err);
    if (status)
        return status;
    utf8proc_ssize_t n = utf8proc_normalize_utf32(
        codes->at, (utf8proc_ssize_t)codes->n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (n < 0)
        return error_set(err, E_DATA, "%s", utf8proc_errmsg(n));
    for (utf8proc_ssize_t i = 0; i < n; i++)
        unicode_add(out, codes->at[i]);
    return OK;
}

/* Only what lies around a code point from U+0300 on can change. */
enum status unicode_nfc(const char *s, size_t len, struct buffer *out, struct error *err)
{
    struct codes codes = { NULL, 0, 0 };
    enum status status = OK;
    size_t start = 0, last = 0; // of what is not copied yet, and of its last character
    int plain = 1;              // so is all from start on
    for (size_t i = 0; i < len && !status;) {
        size_t at = i;
        if (unicode_next(s, len, &i) < FIRST_MARK) {
            if (!plain) {
                status = add_normal(s + start, at - start, &codes, out, err);
                start = at;
                plain = 1;
            }
            last = at;
        } else if (plain) {
            buffer_add(out, s + start, last - start);
            start = last; // a mark may join it
            plain = 0;
        }
    }
    if (!status && !plain)
        status = add_normal(s + start, len - start, &codes, out, err);
    else if (!status)
        buffer_add(out, s + start, len - start);
    free(codes.at);
    return status ? status : buffer_status(out, "a text in NFC", err);
}

enum status unicode_add_nfkc(struct buffer *out, int32_t c)
{
    utf8proc_int32_t codes[32]; // the longest has 18: U+FDFA
    int boundary = UTF8PROC_BOUNDCLASS_START;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        c, codes, 32, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STABLE, &boundary);
    if (n > 0 && n <= 32)
        n = utf8proc_normalize_utf32(codes, n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (n <= 0 || n > 32)
        return unicode_add(out, c);
    for (utf8proc_ssize_t i = 0; i < n; i++)
        unicode_add(out, codes[i]);
    return out->failed;
}

/* --- case --- */

enum status unicode_add_upper(struct buffer *out, int32_t c)
{
    return c == SHARP_S ? buffer_add_str(out, "SS")
                        : unicode_add(out, utf8proc_toupper(c));
}

/* Case_Ignorable: marks, formats, modifiers, and what may stand inside a word. */
static int is_case_ignorable(int32_t c)
{
    static const uint16_t in_words[] = { '\'', '.', ':', 0xB7, 0x387, 0x55F, 0x5F4,
        0x2018, 0x2019, 0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A };
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return 1;
    default: break;
    }
    for (size_t i = 0; i < sizeof in_words / sizeof *in_words; i++)
        if (c == in_words[i])
            return 1;
    return 0;
}

/* Cased, of what is not case-ignorable: letters with case, and the other numbers, circled
 * letters and ordinals that Other_Uppercase and Other_Lowercase add. */
static int is_cased(int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT: return 1;
    default: break;
    }
    return c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) ||
           (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
           (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

/* A word is read on behind a sigma: is its next letter, past what is ignored, cased? */
static int cased_follows(const char *s, size_t len, size_t i)
{
    while (i < len) {
        int32_t c = unicode_next(s, len, &i);
        if (!is_case_ignorable(c))
            return is_cased(c);
    }
    return 0;
}

/* Final_Sigma of the Unicode standard (table 3-17), as Objects/unicodeobject.c has it. */
enum status unicode_lower(
    const char *s, size_t len, struct buffer *out, struct error *err)
{
    int cased_before = 0; // the last character that is not ignored was cased
    for (size_t i = 0; i < len;) {
        int32_t c = unicode_next(s, len, &i);
        if (c >= 'a' && c <= 'z') {
            cased_before = 1;
            buffer_add_char(out, (char)c);
            continue;
        }
        if (c == SIGMA)
            unicode_add(out,
                cased_before && !cased_follows(s, len, i) ? FINAL_SIGMA : SMALL_SIGMA);
        else if (c == I_WITH_DOT)
            buffer_add_str(out, "i\xCC\x87");
        else
            unicode_add(out, utf8proc_tolower(c));
        if (!is_case_ignorable(c))
            cased_before = is_cased(c);
    }
    return buffer_status(out, "a text in lower case", err);
}
