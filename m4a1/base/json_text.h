/* json_text.h - JSON as text: blanking comments (for json.c). */
#ifndef M4A1_BASE_JSON_TEXT_H
#define M4A1_BASE_JSON_TEXT_H

#include <stddef.h>

/* Overwrite block and line comments with spaces, keeping line breaks and everything
 * inside strings, so that places in the text stay where they were. */
void json_blank_comments(char *text, size_t len);

#endif
