/* clean_text.c - what openai/CLIP does to a text before it splits it. */
#include "annotate/clip/clean_text.h"

#include <stdint.h>
#include <string.h>

#include "m4a1/base/html_text.h"
#include "m4a1/base/text.h"
#include "m4a1/base/unicode.h"

/* --- ftfy.fix_text(), version 6.3 --- */

#define ESCAPE 0x1B

/* fix_latin_ligatures: letters that stand for several. */
static const char *ligature(int32_t c)
{
    static const char *const serbian[] = { "D\xC5\xBD", "D\xC5\xBE", "d\xC5\xBE", "LJ",
        "Lj", "lj", "NJ", "Nj", "nj" };
    static const char *const latin[] = { "ff", "fi", "fl", "ffi", "ffl", "\xC5\xBFt",
        "st" };
    if (c >= 0x1C4 && c <= 0x1CC)
        return serbian[c - 0x1C4];
    if (c >= 0xFB00 && c <= 0xFB06)
        return latin[c - 0xFB00];
    switch (c) {
    case 0x132: return "IJ";
    case 0x133: return "ij";
    case 0x149: return "'n"; // through U+02BC, which is a curly quote
    case 0x1F1: return "DZ";
    case 0x1F2: return "Dz";
    case 0x1F3: return "dz";
    default: return NULL;
    }
}

static int is_single_quote(int32_t c)
{
    return c == 0x2BC || (c >= 0x2018 && c <= 0x201B);
}

static int is_double_quote(int32_t c)
{
    return c >= 0x201C && c <= 0x201F;
}

/* fix_c1_controls, fix_latin_ligatures, fix_character_width and uncurl_quotes, one after
 * the other, to one character.  Line breaks are white space, so they stay. */
static void add_fixed(struct buffer *out, int32_t c)
{
    c = unicode_from_c1(c);
    const char *letters = ligature(c);
    if (letters)
        buffer_add_str(out, letters);
    else if (is_single_quote(c))
        buffer_add_char(out, '\'');
    else if (is_double_quote(c))
        buffer_add_char(out, '"');
    else if (c == 0x3000)
        buffer_add_char(out, ' ');
    else if (c > 0xFF00 && c < 0xFFF0)
        unicode_add_nfkc(out, c);
    else
        unicode_add(out, c);
}

static void fix_characters(const struct buffer *in, struct buffer *out)
{
    buffer_clear(out);
    for (size_t i = 0; i < in->len;)
        add_fixed(out, unicode_next(in->data, in->len, &i));
}

/* remove_control_chars: also byte-order marks, annotation and object marks. */
static int is_unwanted(int32_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r') || c == 0x7F ||
           (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

/* The end of a terminal escape whose ESC stands before i ("[1;31m"), or i where it is
 * none. */
static size_t escape_end(const struct buffer *in, size_t i)
{
    size_t at = i;
    if (at >= in->len || in->data[at] != '[')
        return i;
    at++;
    while (at < in->len) {
        int32_t c = unicode_next(in->data, in->len, &at);
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            return at;
        if (c != ';' && !unicode_is_digit(c))
            return i;
    }
    return i;
}

/* remove_terminal_escapes and remove_control_chars. */
static void remove_controls(const struct buffer *in, struct buffer *out)
{
    buffer_clear(out);
    for (size_t i = 0; i < in->len;) {
        int32_t c = unicode_next(in->data, in->len, &i);
        if (c == ESCAPE)
            i = escape_end(in, i);
        if (!is_unwanted(c))
            unicode_add(out, c);
    }
}

/* ASCII that none of the above changes. */
static int is_plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x7F || (c < 0x20 && is_unwanted(c)))
            return 0;
    }
    return 1;
}

static int has_references(const char *s, size_t len)
{
    return len && memchr(s, '&', len);
}

static int same(const struct buffer *a, const struct buffer *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

static void swap(struct buffer *a, struct buffer *b)
{
    struct buffer old = *a;
    *a = *b;
    *b = old;
}

/* One pass of fix_and_explain() over a; b is scratch. */
static enum status fix_once(
    struct buffer *a, struct buffer *b, int unescapes, struct error *err)
{
    if (unescapes && has_references(a->data, a->len)) {
        buffer_clear(b);
        enum status s = html_unescape(a->data, a->len, HTML_WHOLE, b, err);
        if (s)
            return s;
        swap(a, b);
    }
    if (is_plain(a->data, a->len))
        return OK;
    fix_characters(a, b);
    enum status s = buffer_status(b, "a text", err);
    if (s)
        return s;
    remove_controls(b, a); // gets no longer
    buffer_clear(b);
    s = unicode_nfc(buffer_str(a), a->len, b, err);
    swap(a, b);
    return s;
}

/* Texts that a stage works on; text is the result. */
struct work {
    struct buffer text, before, scratch;
};

static enum status fix_segment(
    const char *s, size_t len, int unescapes, struct work *w, struct error *err)
{
    buffer_clear(&w->text);
    buffer_add(&w->text, s, len);
    enum status status = buffer_status(&w->text, "a text", err);
    for (int pass = 0; pass < CLEAN_TEXT_PASSES && !status; pass++) {
        buffer_clear(&w->before);
        buffer_add(&w->before, w->text.data, w->text.len);
        status = buffer_status(&w->before, "a text", err);
        if (!status)
            status = fix_once(&w->text, &w->scratch, unescapes, err);
        if (!status && same(&w->text, &w->before))
            break;
    }
    return status;
}

/* fix_text(): line by line; from the first line with a "<" on, references are left to
 * html.unescape(). */
static enum status fix_text(
    const char *s, size_t len, struct buffer *out, struct work *w, struct error *err)
{
    int unescapes = 1;
    for (size_t i = 0; i < len;) {
        const char *line_end = memchr(s + i, '\n', len - i);
        size_t n = line_end ? (size_t)(line_end - s) + 1 - i : len - i;
        unescapes = unescapes && !memchr(s + i, '<', n);
        if (is_plain(s + i, n) && !(unescapes && has_references(s + i, n))) {
            buffer_add(out, s + i, n);
        } else {
            enum status status = fix_segment(s + i, n, unescapes, w, err);
            if (status)
                return status;
            buffer_add(out, w->text.data, w->text.len);
        }
        i += n;
    }
    return buffer_status(out, "a text", err);
}

/* --- the rest of basic_clean() and whitespace_clean() --- */

static enum status unescape_twice(struct buffer *a, struct buffer *b, struct error *err)
{
    for (int i = 0; i < 2 && has_references(a->data, a->len); i++) {
        buffer_clear(b);
        enum status s = html_unescape(a->data, a->len, HTML_LENIENT, b, err);
        if (s)
            return s;
        swap(a, b);
    }
    return OK;
}

static void clean_spaces(const struct buffer *in, struct buffer *out)
{
    int space_due = 0;
    buffer_clear(out);
    for (size_t i = 0; i < in->len;) {
        int32_t c = unicode_next(in->data, in->len, &i);
        if (unicode_is_space(c)) {
            space_due = out->len > 0;
            continue;
        }
        if (space_due)
            buffer_add_char(out, ' ');
        space_due = 0;
        unicode_add(out, c);
    }
}

static enum status clean(
    const char *text, size_t len, struct buffer *out, struct work *w, struct error *err)
{
    struct buffer fixed;
    buffer_init(&fixed, out->max);
    enum status s = fix_text(text, len, &fixed, w, err);
    if (!s)
        s = unescape_twice(&fixed, &w->scratch, err);
    if (!s) {
        clean_spaces(&fixed, &w->text);
        s = buffer_status(&w->text, "a text", err);
    }
    if (!s)
        s = unicode_lower(buffer_str(&w->text), w->text.len, out, err);
    buffer_release(&fixed);
    return s;
}

/* The same for plain text, which is all that most prompts are. */
static enum status clean_plain(
    const char *s, size_t len, struct buffer *out, struct error *err)
{
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (!unicode_is_space(c))
            buffer_add_char(out, (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c));
        else if (out->len && i + 1 < len && !unicode_is_space(s[i + 1]))
            buffer_add_char(out, ' ');
    }
    return buffer_status(out, "a text", err);
}

enum status clean_text(
    const char *text, size_t len, struct buffer *out, struct error *err)
{
    buffer_clear(out);
    if (is_plain(text, len) && !has_references(text, len))
        return clean_plain(text, len, out, err);
    size_t valid = text_utf8_valid(text, len);
    if (valid < len)
        return error_set(err, E_DATA,
            "a text is not UTF-8 at byte %zu (0x%02X); convert it first, say with iconv",
            valid + 1, (unsigned char)text[valid]);
    struct work w;
    buffer_init(&w.text, out->max);
    buffer_init(&w.before, out->max);
    buffer_init(&w.scratch, out->max);
    enum status s = clean(text, len, out, &w, err);
    buffer_release(&w.text);
    buffer_release(&w.before);
    buffer_release(&w.scratch);
    return s;
}
