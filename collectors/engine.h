/* engine.h - asks what a plan still lacks: sends calls, keeps answers, honours limits.
 *
 * The caller's thread owns the store and commits in groups; the transport's thread
 * moves bytes; workers render and read.  An attempt is committed as sent, with its
 * reservation, before its request leaves, and closed with its response in one
 * transaction, so a run may be killed at any time and the next one goes on. */
#ifndef COLLECTORS_ENGINE_H
#define COLLECTORS_ENGINE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include "collectors/pace.h"
#include "collectors/ready.h"
#include "m4a1/base/progress.h"
#include "schema/store.h"

enum engine_timing {
    ENGINE_LOADED,   /* as many calls at once as the limits allow */
    ENGINE_ISOLATED, /* one call at a time over all llms, nothing else going on here */
};
extern const char *const engine_timing_names[2]; /* "loaded", "isolated" */

#define ENGINE_MAX_CHOSEN 64

struct engine_options {
    enum engine_timing timing;
    int fresh_connections;       /* each call over a new connection */
    const char *const *purposes; /* of call.purpose; NULL = all */
    size_t n_purposes;
    double max_usd;            /* cap over the whole store; < 0 = none */
    int max_attempts;          /* a call, in place of the llms' own; 0 = the llms' own */
    int in_flight;             /* calls in flight over all llms */
    int64_t limit;             /* stop after this many attempts; < 0 = none */
    int retry_failed;          /* ask calls again that failed for good */
    int allow_unpriced;        /* llms without a price count nothing */
    const char *simulator_url; /* every call goes there, without keys */
    int is_rehearsal; /* the store is a copy: simulated answers may stand beside real */
    const volatile sig_atomic_t
        *interrupted; /* 1: finish what is in flight; 2: give up */
    double grace_s;   /* how long a stopped run waits for what is in flight */
    int64_t until_ms; /* wall clock: what cannot be done by then is not sent; 0 = none */
    int shard, n_shards; /* only sessions of this shard, from 1; 0 and 0 = all */
    int64_t llm_ids[ENGINE_MAX_CHOSEN]; /* only calls of these llms */
    size_t n_llm_ids;                   /* 0 = of all */
    double connect_timeout_s;           /* for name look-up, connection and TLS */
    uint64_t seed;                      /* of call order and jitter */
    unsigned n_workers;
    const struct pace_rules *pace_rules;
    struct progress *progress; /* NULL = nobody watches */
};

/* No cap, 16 in flight, 60 s of grace, 30 s to connect, two workers. */
void engine_options_init(struct engine_options *o);

/* What happened with one llm in this run. */
struct engine_llm {
    char *name;
    int64_t n_sent, n_answered, n_attempts_failed;
    int64_t n_failed;                    /* calls that failed for good */
    int64_t input_tokens, output_tokens; /* all classes; as far as reported */
    int64_t cost_pusd;                   /* of answers whose cost is known */
    int64_t n_cost_unknown;              /* answers without */
    int64_t latency_ns;                  /* summed over answers */
    int is_given_up;                     /* its server did not answer any more */
    int is_capped;                       /* a cap keeps its next call back */
    int slots, slots_now, slots_least;   /* calls at once: ceiling, at the end, fewest */
    char last_error[200];                /* of its last attempt that failed */
};

struct engine_result {
    int64_t n_recovered; /* attempts of a killed run, closed as unknown */
    int64_t n_taken_in;  /* that an earlier run had kept beside a full store */
    int64_t n_kept;      /* by this run, for the next one: the store took no more */
    int64_t n_sent, n_answered, n_attempts_failed, n_failed;
    int64_t n_unsendable; /* calls that could not be built; see first_unsendable */
    char first_unsendable[1024];
    int cap_reached; /* the cap of all; an llm of its own has is_capped */
    int limit_reached, deadline_reached, interrupted;
    int64_t known_pusd;   /* what the answers of the whole store cost, as far as known */
    int64_t counted_pusd; /* the same with what is reserved where the cost is unknown */
    struct ready_counts counts; /* at the end */
    struct engine_llm *llms;    /* those that had something to do */
    size_t n_llms;
    int64_t elapsed_ns;
};
void engine_result_release(struct engine_result *r);

/* Run until nothing can be sent any more.  OK: every call in scope has an answer (also
 * when nothing had to be sent).  E_PARTIAL: some have none: failed, blocked, over the
 * cap or the limit, given up.  E_INTERRUPTED.  E_ARG: refused before anything was sent
 * (see preflight.h).  E_DATA: an answer that should be simulated is not, or the other way
 * round.  E_STORE and
 * others: the store failed; what was in flight is closed as unknown by the next run.
 * *result is valid in every case and released by the caller. */
MUST_CHECK enum status engine_run(struct store *store, const struct engine_options *o,
    struct engine_result *result, struct error *err);

#endif
