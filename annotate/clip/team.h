/* team.h - a fixed number of threads that run one piece of work together.
 *
 * Unlike m4a1/base/pool.h, whose jobs know nothing of each other, the members of a team
 * know their rank and may wait for one another in the middle, which takes about a
 * microsecond while all are running.  Between runs the threads sleep.
 *
 * Knows nothing of CLIP. */
#ifndef ANNOTATE_CLIP_TEAM_H
#define ANNOTATE_CLIP_TEAM_H

#include <stddef.h>
#include "m4a1/base/error.h"

struct team; /* opaque, defined in team.c */

/* What a member does: rank in [0, size). */
typedef void team_work(void *arg, size_t rank, size_t size);

/* n_threads 0 means one a processor.  prepare (may be NULL) is called in each thread once,
 * before any work. */
MUST_CHECK enum status team_new(
    size_t n_threads, void (*prepare)(void), struct team **out, struct error *err);
void team_free(struct team *team); /* NULL is fine */

size_t team_size(const struct team *team);

/* Run work on the first size members, 1 <= size <= team_size(), and wait for all of them.
 * One caller at a time. */
void team_run(struct team *team, size_t size, team_work *work, void *arg);

/* Called by every member of a run: no one returns before all have called. */
void team_meet(struct team *team);

#endif
