/* unicode.h - characters of UTF-8 texts and what Unicode says about them, over utf8proc.
 *
 * Texts are valid UTF-8 (text_utf8_valid()); what is found in others is not defined, but no
 * byte outside is read.  Everything is linear in the length of the text. */
#ifndef M4A1_BASE_UNICODE_H
#define M4A1_BASE_UNICODE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

/* The code point at offset *i < len, and *i behind it. */
int32_t unicode_next(const char *s, size_t len, size_t *i);

/* Append a code point as UTF-8; surrogates and what lies above U+10FFFF as U+FFFD. */
enum status unicode_add(struct buffer *out, int32_t c);

int unicode_is_space(
    int32_t c); /* White_Space: 25 code points, as \s of Python's regex */
int unicode_is_digit(int32_t c); /* decimal digits of any script (Nd) */

/* What Windows-1252 has in place of the C1 control c, 0x80 to 0x9F: U+20AC for 0x80.  Its
 * five holes, and all other code points, are returned as they are. */
int32_t unicode_from_c1(int32_t c);

/* Append NFKC of one code point: "A" for U+FF21. */
enum status unicode_add_nfkc(struct buffer *out, int32_t c);

/* Append the capital of c, "SS" for U+00DF, and c itself where it has none. */
enum status unicode_add_upper(struct buffer *out, int32_t c);

/* Append s in NFC. */
MUST_CHECK enum status unicode_nfc(
    const char *s, size_t len, struct buffer *out, struct error *err);

/* Append s in lower case as Python's str.lower() gives it: full mappings (U+0130 becomes
 * "i" and U+0307), and sigma by its place: U+03C2 at the end of a word, else U+03C3. */
MUST_CHECK enum status unicode_lower(
    const char *s, size_t len, struct buffer *out, struct error *err);

#endif
