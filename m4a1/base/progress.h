/* progress.h - how far long work has come.
 *
 * The library reports steps; the command line decides whether and where they show.
 * On a terminal one live line with rate and time left, on anything else a line now
 * and then.  NULL is a progress nobody watches.  One thread at a time. */
#ifndef M4A1_BASE_PROGRESS_H
#define M4A1_BASE_PROGRESS_H

#include <stdint.h>
#include <stdio.h>
#include "m4a1/base/error.h"

struct progress;

/* what: a verb in -ing form with its object ("collecting calls"); total 0 = unknown.
 * Writes to stream, which stays the caller's.  NULL when out of memory, which is fine. */
struct progress *progress_new(const char *what, int64_t total, FILE *stream);
void progress_total(struct progress *p, int64_t total);
/* n more are done.  note (may be NULL) is shown behind the figures: "2 failed, $0.12". */
void progress_step(struct progress *p, int64_t n, const char *note);
void progress_free(struct progress *p); /* prints the last state and ends the line */

#endif
