/* sim_fault.h - which requests fail, and how. */
#ifndef M4A1_SIMULATE_SIM_FAULT_H
#define M4A1_SIMULATE_SIM_FAULT_H

#include "m4a1/simulate/sim_ask.h"

enum sim_fault {
    FAULT_NONE,
    FAULT_RATE_LIMIT,   /* 429 with Retry-After */
    FAULT_SERVER_ERROR, /* 500 */
    FAULT_UNAVAILABLE,  /* 503 */
    FAULT_DROPPED,      /* the connection is closed before the answer */
    FAULT_CUT,          /* the connection is closed within the answer */
    FAULT_MALFORMED,    /* 200 with broken JSON, whole on the wire */
    FAULT_UNPARSABLE,   /* a judge's reply in prose; an answer as far as HTTP goes */
    N_FAULTS
};
extern const char *const sim_fault_names[N_FAULTS]; /* "none", "rate_limit", ... */

#define FAULT_TIMES 2 /* a request seen more often than this is always answered */

/* The fault of a request that is seen for the times_seen-th time (from 1): one with the
 * given probability on each of the first FAULT_TIMES times, all kinds alike.
 * FAULT_UNPARSABLE is for judges, the first time only. */
enum sim_fault sim_fault_draw(
    const struct sim_ask *ask, double probability, uint64_t times_seen);

#endif
