/* cost_table.h - seconds and USD by llm and number of views, from a file.
 *
 * Two forms of file.  A profile that `m4a1 stats latency STORE --profile FILE` measured:
 * steady answers, by llm, action and views of the dialogue; of each number of views the
 * mean, and beside it a quantile, which a shield reserves.  Or a table:
 *
 *     { "m4a1_cost_table": 1,
 *       "llms": { "phi": { "latency_s": [7.6], "usage_usd": [0.00005] },
 *                 "gpt": { "latency_s": [3.7, 6.3, 7.2, null], "usage_usd": [...],
 *                          "latency_reserve_s": [...], "usage_reserve_usd": [...] } } }
 *
 * with one number for each number of views, from none on; null, and what lies behind the
 * last one, is not known.  Policy files hold this form. */
#ifndef M4A1_TMO_COST_TABLE_H
#define M4A1_TMO_COST_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"
#include "schema/space.h"

/* Views that an llm sees with a turn: 0 .. SPACE_MAX_VIEWS. */
#define COST_CELLS (SPACE_MAX_VIEWS + 1)

#define COST_MAX 1e9 /* seconds or USD of an answer; what is dearer has no sum */

/* What is known of one llm; NAN = not known. */
struct cost_row {
    char *llm;
    double latency_s[COST_CELLS], usage_usd[COST_CELLS];
    double latency_reserve_s[COST_CELLS], usage_reserve_usd[COST_CELLS];
    int64_t n[COST_CELLS]; /* answers behind it; 0 = not from a profile */
};

struct cost_table {
    struct cost_row *rows;
    size_t n_rows;
};

enum cost_timing { TIMING_ANY, TIMING_ISOLATED, TIMING_LOADED };
#define N_TIMINGS 3
extern const char *const cost_timing_names[N_TIMINGS]; /* "any", "isolated", "loaded" */
enum cost_quantile { QUANTILE_P50, QUANTILE_P90, QUANTILE_P99 };
#define N_QUANTILES 3
extern const char *const cost_quantile_names[N_QUANTILES]; /* "p50", "p90", "p99" */
extern const double cost_quantile_shares[N_QUANTILES];     /* 0.5, 0.9, 0.99 */

/* Read either form.  timing says which rows of a profile count (the two are never pooled):
 * TIMING_ANY takes isolated ones, or loaded ones where an llm has no other.  Means are over
 * all answers of an llm with that many views; electricity counts as USD.  Of several actions
 * with equally many views the greatest quantile is the reserve, since the quantile of all
 * together cannot exceed it; cells with too few answers for it (p90 takes 10, p99 100) have
 * none.  A local llm that was never shown a view sees none, whatever the dialogue holds.
 * E_DATA names file and member, and an llm whose answers have no price. */
MUST_CHECK enum status cost_table_read(const char *path, enum cost_timing timing,
    enum cost_quantile quantile, struct cost_table **out, struct error *err);
/* The table form, from a value whose file is called name in messages. */
MUST_CHECK enum status cost_table_parse(const struct json *root, const char *name,
    struct cost_table **out, struct error *err);
/* The table form as members of object. */
MUST_CHECK enum status cost_table_describe(
    const struct cost_table *table, struct json *object, struct error *err);
MUST_CHECK enum status cost_table_copy(
    const struct cost_table *from, struct cost_table **out, struct error *err);
void cost_table_free(struct cost_table *table); /* NULL is fine */

const struct cost_row *cost_table_find(const struct cost_table *table, const char *llm);

#endif
