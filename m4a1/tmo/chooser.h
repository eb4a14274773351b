/* chooser.h - everything that can act: trained policies, baselines, planners, an oracle. */
#ifndef M4A1_TMO_CHOOSER_H
#define M4A1_TMO_CHOOSER_H

#include "m4a1/tmo/environment.h"

struct chooser {
    /* Give each action its probability in the turn that ep is in: p[A], not negative, sum
     * 1, and 0 where episode_allowed() says 0.  May keep what it likes in arg. */
    void (*weigh)(void *arg, const struct episode *ep, double *p);
    void *arg;
};

#endif
