/* a2c.h - advantage actor-critic (Mnih et al., arXiv 1602.01783) with the defaults of
 * Stable-Baselines3, which TMO's authors train with. */
#ifndef M4A1_TMO_A2C_H
#define M4A1_TMO_A2C_H

#include "m4a1/tmo/learner_method.h"

extern const struct learner_method a2c_method;

#endif
