/* sim_agent.h - the simulated agent: it picks one of the numbered actions it is asked of. */
#ifndef M4A1_SIMULATE_SIM_AGENT_H
#define M4A1_SIMULATE_SIM_AGENT_H

#include "m4a1/base/buffer.h"
#include "m4a1/simulate/sim_ask.h"

/* How many lines stand between <actions> and </actions> in a user's text; 0 = it is no
 * agent's question. */
size_t sim_agent_actions(const char *text);

/* Append the number of an action, each alike; one reply of twenty is prose without a
 * number. */
void sim_agent_reply(const struct sim_ask *ask, size_t n_actions, struct buffer *out);

#endif
