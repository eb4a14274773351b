/* replay.h - the steps that a learner made, to be drawn from again (DQN).
 *
 * A ring: beyond its capacity the oldest step gives way.  Each row holds an observation
 * once; what followed a step is the row behind it.  Memory grows with what is stored.
 * Letters: F features, A actions. */
#ifndef M4A1_TMO_REPLAY_H
#define M4A1_TMO_REPLAY_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/random.h"

struct replay {
    size_t n_features, n_actions, capacity;
    int masked;
    size_t n;      /* whole steps that are stored, at most the capacity */
    size_t head;   /* the row of the step that is being made: observed, not acted yet */
    size_t n_rows; /* allocated; capacity + 1 at most */
    float *x;      /* [n_rows][F] */
    unsigned char *allowed; /* [n_rows][A] of 0 or 1; NULL unless masked */
    uint16_t *chosen;       /* [n_rows] */
    double *reward;         /* [n_rows] */
    unsigned char *ended;   /* [n_rows] 1 = the session was over behind this step */
    /* What the state behind a step is worth, as far as it was asked (replay_worth). */
    double *worth;  /* [n_rows] */
    int64_t *asked; /* [n_rows] by which version of a network; 0 = by none */
};

/* An empty ring of `capacity` (>= 1) steps. */
void replay_init(struct replay *replay, size_t n_features, size_t n_actions,
    size_t capacity, int masked);
void replay_release(struct replay *replay);

/* Observe: x [F], and which actions may be taken ([A]; not read unless masked). */
MUST_CHECK enum status replay_observe(struct replay *replay, const float *x,
    const unsigned char *allowed, struct error *err);
/* What was done then, and what came of it. */
void replay_act(struct replay *replay, size_t action, double reward, int ended);

/* A stored step uniformly, as its row; n > 0. */
size_t replay_draw(const struct replay *replay, struct rng *rng);
/* The row behind it, whose observation followed; only where the step ended nothing, and
 * once that was observed. */
size_t replay_next(const struct replay *replay, size_t row);

#endif
