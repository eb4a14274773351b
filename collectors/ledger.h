/* ledger.h - attempts, responses, prices and what they sum up to, as rows of the store.
 *
 * The caller holds a transaction around ledger_open() and ledger_close(). */
#ifndef COLLECTORS_LEDGER_H
#define COLLECTORS_LEDGER_H

#include <stdint.h>
#include "collectors/job.h"
#include "schema/store.h"

/* Twice the highest cap that can be given: what reserves so much fits under none. */
#define PUSD_MAX_RESERVED INT64_C(2000000000000000000)

/* a + b, cut to what 64 bits hold.  INT64_MAX stands for "too much to count" and stays so
 * whatever is added or taken away: money once lost count of opens no cap again. */
int64_t pusd_add(int64_t a, int64_t b);

/* A sum of pico-dollars in SQL that fails for no content of a store: SQLite's own sum()
 * gives up where 64 bits do not hold it. */
#define PUSD_SUM(x)                                                                      \
    "(sum(CAST(max(" x ", 0) AS INTEGER) / 1000000) * 1000000"                           \
    " + sum(CAST(max(" x ", 0) AS INTEGER) % 1000000))"

/* What a call may be billed: pico-dollars a token. */
struct price {
    int is_known;
    int64_t input_pusd, cache_read_pusd, cache_write_pusd, output_pusd;
};

/* The price that is valid for an llm at this time, for small prompts in the standard tier. */
MUST_CHECK enum status ledger_price(struct store *store, int64_t llm_id, int64_t at_ms,
    struct price *out, struct error *err);

/* The dearest figures over all service tiers and prompts of up to so many tokens: which of
 * them a call is billed by is known when its answer is there. */
MUST_CHECK enum status ledger_dearest(struct store *store, int64_t llm_id, int64_t at_ms,
    int64_t max_input_tokens, struct price *out, struct error *err);

/* The most that a call can cost: its input at the dearest of the input prices, and as
 * many output tokens as it may have.  Cut at PUSD_MAX_RESERVED. */
int64_t price_most_pusd(
    const struct price *price, int64_t max_input_tokens, int64_t max_output_tokens);

/* Close attempts that a killed collector left open, as unknown. */
MUST_CHECK enum status ledger_recover(
    struct store *store, int64_t *n_closed, struct error *err);

/* What all attempts of the store count against a cap (view attempt_cost), and those of
 * one llm. */
MUST_CHECK enum status ledger_spent(
    struct store *store, int64_t *out_pusd, struct error *err);
MUST_CHECK enum status ledger_spent_by(
    struct store *store, int64_t llm_id, int64_t *out_pusd, struct error *err);

/* How often the call has failed since it last failed for good; connections that were
 * dead before they were used again, and servers never reached, do not count. */
MUST_CHECK enum status ledger_n_failed(
    struct store *store, int64_t call_id, int *out, struct error *err);

/* Write the attempt as sent; sets job->attempt_id and job->number. */
MUST_CHECK enum status ledger_open(
    struct store *store, struct job *job, struct error *err);

/* Close it with its outcome, and insert the response where there is one. */
MUST_CHECK enum status ledger_close(
    struct store *store, const struct job *job, int is_final, struct error *err);

/* The cost of a job's answer, which ledger_close() has stored; -1 = unknown. */
MUST_CHECK enum status ledger_cost(
    struct store *store, const struct job *job, int64_t *out_pusd, struct error *err);

/* What an attempt with this cost counts against a cap (as the view attempt_cost). */
int64_t ledger_counted_pusd(const struct job *job, int64_t cost_pusd);

/* The longest of an llm's latest answers, in ns; 0 = it has given none. */
MUST_CHECK enum status ledger_longest(
    struct store *store, int64_t llm_id, int64_t *out_ns, struct error *err);

/* How many of the two attempts before this one ended with the same status and the same
 * bytes. */
MUST_CHECK enum status ledger_n_same(
    struct store *store, const struct job *job, int *out, struct error *err);

/* A row for this run; ledger_run_end() tells how it ended. */
MUST_CHECK enum status ledger_run_begin(struct store *store, const char *timing,
    const char *options, int64_t *run_id, struct error *err);
MUST_CHECK enum status ledger_run_end(
    struct store *store, int64_t run_id, const char *outcome, struct error *err);

#endif
