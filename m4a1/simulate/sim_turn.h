/* sim_turn.h - one request for an answer, from its bytes to those of the reply: checks,
 * faults, refusals, tokens and times, whatever the protocol. */
#ifndef M4A1_SIMULATE_SIM_TURN_H
#define M4A1_SIMULATE_SIM_TURN_H

#include "m4a1/http/http.h"
#include "m4a1/simulate/sim_count.h"
#include "m4a1/simulate/sim_protocol.h"
#include "m4a1/simulate/simulate.h"

/* What turns share; only the count changes, and it locks. */
struct sim_context {
    const struct simulate_options *options;
    struct sim_count *count;
};

/* Fill answer for a POST that came to a route of the protocol. */
void sim_turn(const struct sim_context *context, const struct sim_protocol *protocol,
    const struct sim_route *route, const struct http_request *http,
    struct http_answer *answer);

/* An error outside of a turn, in the protocol's words. */
void sim_turn_refuse(const struct sim_protocol *protocol, enum sim_failure failure,
    struct http_answer *answer);

#endif
