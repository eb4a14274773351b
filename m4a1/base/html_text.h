/* html_text.h - character references of HTML ("&amp;", "&#8211;") in plain texts.
 *
 * Names are those of HTML5, from Gumbo.  Numbers are read as Python's html.unescape() does:
 * 0x80 to 0x9F are Windows-1252, surrogates, 0 and what lies above U+10FFFF are U+FFFD, and
 * other controls and non-characters vanish. */
#ifndef M4A1_BASE_HTML_TEXT_H
#define M4A1_BASE_HTML_TEXT_H

#include <stddef.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

enum html_rule {
    /* As Python's html.unescape(), which is HTML5: "&notit;" is U+00AC and "it;",
     * "&amp" needs no semicolon. */
    HTML_LENIENT,
    /* As ftfy's unescape_html(): references of at most 24 letters and digits that a
     * semicolon ends, and names in capitals where these mean nothing else ("&EACUTE;"). */
    HTML_WHOLE,
};

/* Append text, which is valid UTF-8, with its references replaced, once. */
MUST_CHECK enum status html_unescape(const char *text, size_t len, enum html_rule rule,
    struct buffer *out, struct error *err);

#endif
