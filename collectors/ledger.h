/* ledger.h - attempts, responses, prices and what they sum up to, as rows of the store.
 *
 * The caller holds a transaction around ledger_open() and ledger_close(). */
#ifndef COLLECTORS_LEDGER_H
#define COLLECTORS_LEDGER_H

#include <stdint.h>
#include "collectors/job.h"
#include "schema/store.h"

struct price {
    int is_known;
    int64_t input_pusd, cache_read_pusd, cache_write_pusd, output_pusd; /* a token */
};

/* The price that is valid for an llm at this time. */
MUST_CHECK enum status ledger_price(struct store *store, int64_t llm_id, int64_t at_ms,
    struct price *out, struct error *err);

/* The most that a call can cost: its input at the dearest of the input prices, and as
 * many output tokens as it may have.  Cut at INT64_MAX. */
int64_t price_most_pusd(
    const struct price *price, int64_t max_input_tokens, int64_t max_output_tokens);

/* Close attempts that a killed collector left open, as unknown. */
MUST_CHECK enum status ledger_recover(
    struct store *store, int64_t *n_closed, struct error *err);

/* What all attempts of the store count against a cap (view attempt_cost). */
MUST_CHECK enum status ledger_spent(
    struct store *store, int64_t *out_pusd, struct error *err);

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

/* The cost of a job's answer by price, -1 = unknown; and what the attempt counts. */
int64_t ledger_cost_pusd(const struct job *job, const struct price *price);
int64_t ledger_counted_pusd(const struct job *job, const struct price *price);

#endif
