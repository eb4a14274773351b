/* clean_text.h - the text that CLIP's tokenizer splits: what openai/CLIP does to a text with
 * ftfy.fix_text(), html.unescape() twice, white space and str.lower(), in that order.
 *
 * Of ftfy: character references, curly quotes to straight ones, ligatures, full-width and
 * half-width forms, characters of Windows-1252 in place of C1 controls, byte-order marks,
 * control characters, terminal escapes, NFC.  Not done: the repair of broken encodings
 * ("schÃ¶n" stays as it is).  ftfy repeats its steps until nothing changes; here it stops
 * after CLEAN_TEXT_PASSES, so that no text takes more than linear time. */
#ifndef ANNOTATE_CLIP_CLEAN_TEXT_H
#define ANNOTATE_CLIP_CLEAN_TEXT_H

#include <stddef.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

#define CLEAN_TEXT_PASSES 32 /* "&amp;amp;amp;..." nests no deeper */

/* Replace the content of out (its ceiling applies: E_LIMIT) with the cleaned text: lower
 * case, NFC, single spaces between words, none at the ends.  text has len bytes and may hold
 * NUL; E_DATA, with the place, where it is not UTF-8: a replacement would be embedded as if
 * someone had written it. */
MUST_CHECK enum status clean_text(
    const char *text, size_t len, struct buffer *out, struct error *err);

#endif
