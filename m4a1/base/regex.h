/* regex.h - regular expressions over UTF-8 texts: a thin wrapper on PCRE2.
 *
 * \p{L} and its like know Unicode (UCP).  \s is PCRE2's, which counts U+180E as white space,
 * unlike newer Unicode.  An expression is read-only once it is open: any number of threads
 * may scan with it. */
#ifndef M4A1_BASE_REGEX_H
#define M4A1_BASE_REGEX_H

#include <stddef.h>
#include "m4a1/base/error.h"

struct regex;      /* opaque */
struct regex_scan; /* opaque: one pass over one text */

enum regex_flags {
    REGEX_IGNORE_CASE = 1 << 0, /* by simple case folding: 's' matches U+017F */
};

/* Compile pattern; E_ARG, with the place in it, where it is wrong. */
MUST_CHECK enum status regex_open(
    const char *pattern, unsigned flags, struct regex **out, struct error *err);
void regex_close(struct regex *regex); /* NULL is fine */

/* Walk through the matches in text from left to right, none overlapping.  text is valid
 * UTF-8 and stays as it is until the scan is closed. */
MUST_CHECK enum status regex_scan_open(const struct regex *regex, const char *text,
    size_t len, struct regex_scan **out, struct error *err);
void regex_scan_close(struct regex_scan *scan); /* NULL is fine */

/* The next match, [*from, *to) in bytes; E_NOT_FOUND, without a message, behind the last.
 * Empty matches are passed over.  E_LIMIT where PCRE2 gave up. */
MUST_CHECK enum status regex_scan_next(
    struct regex_scan *scan, size_t *from, size_t *to, struct error *err);

#endif
