/* sim_fault.h - which requests fail, and how. */
#ifndef M4A1_SIMULATE_SIM_FAULT_H
#define M4A1_SIMULATE_SIM_FAULT_H

#include "m4a1/base/error.h"
#include "m4a1/simulate/sim_ask.h"

enum sim_fault {
    FAULT_NONE,
    /* answers of their own */
    FAULT_RATE_LIMIT,   /* 429 with a time to wait */
    FAULT_SERVER_ERROR, /* 500 */
    FAULT_UNAVAILABLE,  /* 503 */
    FAULT_OVERLOADED,   /* 529, Anthropic only */
    FAULT_QUOTA,        /* the vendor's way to say that no money is left */
    FAULT_PAYMENT,      /* 402 */
    FAULT_DROPPED,      /* the connection is closed before the answer */
    /* within an answer that has status 200 */
    FAULT_CUT,       /* the connection is closed within it */
    FAULT_MALFORMED, /* broken JSON, whole on the wire */
    FAULT_IN_STREAM, /* an error: as an event of a stream, or as the whole body */
    FAULT_NO_END,    /* a stream that ends behind its text as if that were all */
    FAULT_BAD_UTF8,  /* a byte sequence that is no UTF-8 */
    /* answers as far as HTTP goes */
    FAULT_UNPARSABLE, /* a judge's reply in prose, the first time only */
    FAULT_SLOW_START, /* the first token takes ten times as long */
    FAULT_NO_USAGE,   /* nothing is said of tokens */
    N_FAULTS
};
extern const char *const sim_fault_names[N_FAULTS]; /* "none", "rate_limit", ... */

#define FAULT_TIMES 2 /* a request seen more often than this is always answered */
#define SLOW_START 10 /* times the usual time to the first token */
#define FAULT_BIT(f) (1u << (f))

/* What a retry cures and what leaves nothing out: the kinds without a list. */
#define FAULT_DEFAULT                                                                    \
    (FAULT_BIT(FAULT_RATE_LIMIT) | FAULT_BIT(FAULT_SERVER_ERROR) |                       \
        FAULT_BIT(FAULT_UNAVAILABLE) | FAULT_BIT(FAULT_OVERLOADED) |                     \
        FAULT_BIT(FAULT_DROPPED) | FAULT_BIT(FAULT_CUT) | FAULT_BIT(FAULT_MALFORMED) |   \
        FAULT_BIT(FAULT_IN_STREAM) | FAULT_BIT(FAULT_NO_END) |                           \
        FAULT_BIT(FAULT_UNPARSABLE))

/* Whether a request with this fault gets an answer all the same. */
int sim_fault_answers(enum sim_fault fault);

/* The set of a list of names, "quota,cut"; E_ARG names an unknown one and the nearest. */
MUST_CHECK enum status sim_fault_kinds(
    const char *list, unsigned *kinds, struct error *err);

/* The fault of a request that is seen for the times_seen-th time (from 1): one with the
 * given probability on each of the first FAULT_TIMES times, all kinds of the set alike
 * that can be (FAULT_NO_END needs a stream, FAULT_UNPARSABLE a judge's first time). */
enum sim_fault sim_fault_draw(
    const struct sim_ask *ask, double probability, unsigned kinds, uint64_t times_seen);

#endif
