/* sim_fault.c - faults are drawn from (seed, request, times seen), so retries pass. */
#include "m4a1/simulate/sim_fault.h"

const char *const sim_fault_names[N_FAULTS] = { "none", "rate_limit", "server_error",
    "unavailable", "dropped", "cut", "malformed", "unparsable" };

enum sim_fault sim_fault_draw(
    const struct sim_ask *ask, double probability, uint64_t times_seen)
{
    struct rng rng;
    if (probability <= 0 || times_seen > FAULT_TIMES)
        return FAULT_NONE;
    sim_rng(&rng, ask, "fault", times_seen);
    if (rng_uniform(&rng) >= probability)
        return FAULT_NONE;
    int judge = ask->role == LLM_JUDGE && times_seen == 1;
    return (enum sim_fault)(1 + rng_below(&rng, judge ? N_FAULTS - 1 : N_FAULTS - 2));
}
