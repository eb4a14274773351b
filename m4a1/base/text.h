/* text.h - strings: UTF-8 checks, copies, lists, nearest names, formatted figures. */
#ifndef M4A1_BASE_TEXT_H
#define M4A1_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

/* Copies owned by the caller, freed with free(); NULL when out of memory, and for NULL. */
MUST_CHECK char *text_copy(const char *s);
MUST_CHECK char *text_copy_n(const char *s, size_t len);
MUST_CHECK char *text_format(const char *fmt, ...) PRINTF_LIKE(1, 2);

int text_equal(const char *a, const char *b); /* NULL equals only NULL */
int text_starts(const char *s, const char *prefix);
int text_ends(const char *s, const char *suffix);

/* Offset of the first byte that is not valid UTF-8 (overlong forms, surrogates and
 * code points above U+10FFFF included), or len where all is valid. */
size_t text_utf8_valid(const char *s, size_t len);

/* The name of the n that is nearest to word by edit distance, or NULL where none is
 * near enough to be worth suggesting. */
const char *text_nearest(const char *word, const char *const *names, size_t n);

/* Strict readers: the whole of s must be one number in [min, max]; E_ARG with a
 * message that begins with what (say "--seed") otherwise; *out is 0 on failure. */
MUST_CHECK enum status text_to_int(const char *s, const char *what, int64_t min,
    int64_t max, int64_t *out, struct error *err);
MUST_CHECK enum status text_to_double(const char *s, const char *what, double min,
    double max, double *out, struct error *err);

/* Figures for people: "1.2 MB", "3 min 20 s", "$0.0123", into buf, which is returned. */
const char *text_bytes(double n_bytes, char *buf, size_t size);
const char *text_duration(double seconds, char *buf, size_t size);
const char *text_usd(double usd, char *buf, size_t size);

/* The ending of a regular noun behind a count: "" for 1, else "s". */
const char *text_s(int64_t n);

/* The shortest form of a finite double that reads back bit-equal (at most 17 digits).
 * buf holds at least 32 bytes; returned. */
const char *text_double(double x, char buf[32]);

#endif
