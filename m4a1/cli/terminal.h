/* terminal.h - what other people wrote, on somebody's terminal.
 *
 * Answers, names and errors of servers may hold control sequences that rename a window,
 * hide text or type it back in.  On a terminal they are made visible; into a file or a
 * pipe everything goes as it is. */
#ifndef M4A1_CLI_TERMINAL_H
#define M4A1_CLI_TERMINAL_H

#include <stdio.h>

/* From here on, standard output shows control characters as "^[" or "<9b>" where it is a
 * terminal.  Call once, before anything is printed. */
void terminal_guard_output(void);

/* Print a text to stream, with its control characters made visible where that is a
 * terminal; line breaks and tabs stay. */
void terminal_print(FILE *stream, const char *text);

#endif
