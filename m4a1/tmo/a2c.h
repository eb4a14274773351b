/* a2c.h - advantage actor-critic (Mnih et al., arXiv 1602.01783) with the defaults of
 * Stable-Baselines3, which TMO's authors train with. */
#ifndef M4A1_TMO_A2C_H
#define M4A1_TMO_A2C_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/learner.h"

/* As learner_train(), which calls it with settings that are in range. */
MUST_CHECK enum status a2c_train(const struct environment *env,
    const struct learner_settings *settings, uint64_t seed, learner_report *report,
    void *arg, struct network *out, struct error *err);

#endif
