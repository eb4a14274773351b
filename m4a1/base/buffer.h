/* buffer.h - a growing run of bytes with a ceiling.
 *
 * Invariants: data is NULL or has len bytes and a NUL behind them, so a buffer of
 * text is always a C string (use buffer_str() where data may still be NULL).
 * Appending past the ceiling or out of memory marks the buffer failed; further
 * appends do nothing, so a writer may check once, at the end, with buffer_status().
 * Life cycle: buffer_init, use, buffer_release (or buffer_detach). */
#ifndef M4A1_BASE_BUFFER_H
#define M4A1_BASE_BUFFER_H

#include <stddef.h>
#include "m4a1/base/error.h"

struct buffer {
    char *data;
    size_t len, size, max;
    enum status failed; /* OK, E_NOMEM or E_LIMIT */
};

/* max is the ceiling in bytes, above 0. */
void buffer_init(struct buffer *b, size_t max);
void buffer_release(struct buffer *b); /* frees the content; b is empty again */
void buffer_clear(struct buffer *b);   /* keeps the memory for the next use */

/* Each returns the buffer's failed status, which may be left unread (see above). */
enum status buffer_add(struct buffer *b, const void *data, size_t len);
enum status buffer_add_str(struct buffer *b, const char *s);
enum status buffer_add_char(struct buffer *b, char c);
enum status buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* OK, or E_NOMEM / E_LIMIT with a message that names what and the ceiling. */
MUST_CHECK enum status buffer_status(
    const struct buffer *b, const char *what, struct error *err);

/* The content as a C string, "" for an empty buffer; valid until the next change. */
const char *buffer_str(const struct buffer *b);

/* Hand the bytes to the caller, who frees them with free(); b is empty again.
 * NULL only where nothing was ever appended. */
char *buffer_detach(struct buffer *b, size_t *len);

#endif
