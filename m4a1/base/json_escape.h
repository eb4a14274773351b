/* json_escape.h - the \u escapes of a JSON text, which cJSON takes too lightly or not at
 * all (for json.c). */
#ifndef M4A1_BASE_JSON_ESCAPE_H
#define M4A1_BASE_JSON_ESCAPE_H

#include <stddef.h>

enum json_escape {
    JSON_ESCAPE_FINE,
    JSON_ESCAPE_BROKEN, /* \u without four digits, which cJSON reads as NUL */
    JSON_ESCAPE_NUL,    /* \u0000 */
    JSON_ESCAPE_HALF,   /* half of a surrogate pair, which cJSON refuses */
};

/* The first escape in len bytes of text that is not fine, and where it stands. */
enum json_escape json_escape_check(const char *text, size_t len, size_t *at);

/* Put the three bytes that json_join_halves() joins in place of every half, and U+FFFD in
 * place of every \u0000.  Returns the new length, which is not longer. */
size_t json_escape_mend(char *text, size_t len);

#endif
