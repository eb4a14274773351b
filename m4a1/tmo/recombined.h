/* recombined.h - sessions that never were, put together from turns of training sessions.
 *
 * Training sessions are few, and their tasks follow each other in few of the ways that
 * could be.  A recombined session is as long as a training session drawn at random, and
 * each of its turns is the turn of that position of some training session, drawn for
 * itself: its task, its prompt, its associations.  Where no training session asks a
 * prompt twice, a recombined one does not either, as far as 32 draws avoid it.  It has no
 * recorded answers, so only what follows an actor's own actions can be played in it
 * (RULES_MODEL).  Nothing of a test session is in it. */
#ifndef M4A1_TMO_RECOMBINED_H
#define M4A1_TMO_RECOMBINED_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/base/random.h"
#include "m4a1/tmo/environment.h"

struct recombined; /* opaque; one thread's */

/* env outlives it. */
MUST_CHECK enum status recombined_new(
    const struct environment *env, struct recombined **out, struct error *err);
void recombined_free(struct recombined *r); /* NULL is fine */

/* Draw the next session.  It is session 0 of the environment that is returned, which is
 * env but for its sessions, until the next call. */
const struct environment *recombined_draw(struct recombined *r, struct rng *rng);

#endif
