/* pace.h - when an llm may be sent the next call: slots, rates, pauses, the breaker.
 *
 * Pure: the time comes in as ns of the monotonic clock, so tests need not wait.
 * - slots: calls in flight at once.  Beneath that ceiling their number adapts: a 429 halves
 *   it (once for all calls that were in flight together), answers add one for as many of
 *   them as are in flight, and one call may always be sent.
 * - rates: requests and tokens a minute as token buckets that hold one second's worth
 *   of requests (at least one) and a minute's worth of tokens.
 * - pauses: what a server's headers ask for.  One 429 holds back its own call only; a
 *   second one in a row pauses the llm for the time that the server asked for.
 * - the breaker: after some failures in a row of the connection or the server (5xx) the
 *   llm is paused, twice as long each time, and then tried with one call at a time.
 *   After several such pauses without any answer between them the llm is given up for
 *   this run, so that a server that is down does not use up every call's attempts.  One
 *   that has answered before gets about half an hour: it was there, so it may come back. */
#ifndef COLLECTORS_PACE_H
#define COLLECTORS_PACE_H

#include <stdint.h>

#define PACE_LATER INT64_MAX /* not before a call of this llm is done */

struct pace_rules {
    int breaker_after;        /* failures in a row; 0 = no breaker */
    int64_t breaker_pause_ns; /* the first pause; doubled up to the longest */
    int64_t breaker_longest_ns;
    int give_up_after; /* pauses in a row, of a server that has not answered yet */
    int give_up_later; /* of one that has answered in this run; 0 = the same */
};
extern const struct pace_rules pace_rules_default; /* 5, 2 s, 60 s, 5, 30 */

struct pace {
    const struct pace_rules *rules;
    int slots, n_in_flight;
    double allowed;    /* calls in flight at once, now: 1 to slots */
    int least;         /* the fewest that were ever allowed */
    int64_t halved_ns; /* when allowed was last halved */
    double request_rate, requests, request_size; /* a ns; in the bucket; bucket's size */
    double token_rate, tokens, token_size;       /* size 0 = no limit */
    int64_t filled_ns, paused_until_ns;
    int n_bad, n_pauses, n_limited; /* in a row */
    int has_answered;
};

enum pace_outcome {
    PACE_ANSWERED, /* the server works: an answer, or a refusal of this one call */
    PACE_LIMITED,  /* 429 */
    PACE_BROKEN,   /* the connection or the server failed */
    PACE_NEUTRAL,  /* tells nothing about the server */
};

/* rpm and tpm: a minute, 0 = no limit. */
void pace_init(struct pace *p, const struct pace_rules *rules, int slots, int64_t rpm,
    int64_t tpm, int64_t now_ns);

/* 0: a call that may use so many tokens can be sent now; else how long to wait. */
int64_t pace_wait_ns(struct pace *p, int64_t n_tokens, int64_t now_ns);
void pace_sent(struct pace *p, int64_t n_tokens, int64_t now_ns);

/* A call is over that was sent at sent_ns.  n_tokens is what pace_sent was told, n_used what
 * it really took (-1 = unknown); asked_ns what the server asks to wait (0 = nothing). */
void pace_done(struct pace *p, enum pace_outcome outcome, int64_t sent_ns,
    int64_t n_tokens, int64_t n_used, int64_t asked_ns, int64_t now_ns);

int pace_allowed(const struct pace *p); /* calls in flight at once, now */

int pace_is_given_up(const struct pace *p);

#endif
