/* evaluation_table.h - ways of choosing beside each other on the same test sessions: every
 * measure with its interval, and compared with a reference.
 *
 * A trial is a split and its seed.  A row is one way of choosing, with an entry for each
 * trial that it was evaluated in.  The measures differ in what they trust:
 *
 *   return        inside the model, its estimator fitted on the training sessions
 *   return_test   the same actions, scored by an estimator fitted on test sessions only
 *   turn ...      off-policy values of test sessions, which trust the recorded answers and
 *                 the behaviour's probabilities only (off_policy.h)
 *   direct        the same turns, where fan-out measured every action
 *
 * Intervals come from clusters of all trials together; a session that is a test session of
 * several trials is one cluster.  They say how far other sessions would move a figure.
 * Deviations over seeds say how far another training run would. */
#ifndef M4A1_TMO_EVALUATION_TABLE_H
#define M4A1_TMO_EVALUATION_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/bootstrap.h"
#include "m4a1/tmo/evaluation.h"
#include "m4a1/tmo/off_policy.h"
#include "m4a1/tmo/overlap.h"

enum measure {
    MEASURE_RETURN,
    MEASURE_RETURN_TEST,
    MEASURE_OFF_POLICY, /* the first of off_policy_figure, in their order */
    N_MEASURES = MEASURE_OFF_POLICY + N_OFF_POLICY_FIGURES
};
extern const char *const measure_names[N_MEASURES]; /* "return", ... */

struct evaluation_settings {
    enum folds_by by; /* the clusters */
    struct bootstrap_settings bootstrap;
    struct off_policy_settings off_policy;
};
/* Sessions, 10,000 resamples, off_policy_defaults(). */
struct evaluation_settings evaluation_defaults(void);

/* One split: sessions are indices into rec; owned by the table. */
struct trial {
    uint64_t seed;
    size_t *train, *test, n_train, n_test;
    struct estimator *other; /* fitted on test sessions only; NULL = they are too few */
    struct overlap overlap;
};

/* One row in one trial. */
struct entry {
    size_t trial;
    int has_return, has_values; /* evaluation, value are set */
    struct evaluation evaluation;
    struct off_policy_value value;
    double *sums; /* [N_MEASURES][3][C] above, below and weights */
    double
        *by_turn; /* [3][n_turns] ratios, products of whole sessions at their last turn,
                         1 where every action was measured */
};

#define EVALUATION_BOUNDS 2

struct evaluation_row {
    char *name;
    struct entry *entries;
    size_t n;

    /* Set by evaluation_table_finish(); NAN where not defined. */
    struct interval values[N_MEASURES];
    struct comparison against[N_MEASURES]; /* the reference, on this row's trials */
    struct off_policy_value value;         /* a turn of several trials counts once */
    double deviation;                      /* of the return over seeds; NAN for one */
    double shares[EVALUATION_BOUNDS]; /* of each bound's return, on the trials of both */
};

struct evaluation_table {
    const struct recorded *rec; /* the caller's */
    struct evaluation_settings settings;
    struct clusters clusters;
    struct trial *trials;
    size_t n_trials;
    struct evaluation_row *rows;
    size_t n_rows;
};

/* An empty table over the sessions of rec, which outlives it. */
MUST_CHECK enum status evaluation_table_init(struct evaluation_table *table,
    const struct recorded *rec, const struct evaluation_settings *settings,
    struct error *err);
void evaluation_table_release(struct evaluation_table *table);

/* Add a split, or find it where it is there already; *out is its index.  env says how the
 * estimator of the test sessions is fitted. */
MUST_CHECK enum status evaluation_table_trial(struct evaluation_table *table,
    const struct environment *env, uint64_t seed, const size_t *train, size_t n_train,
    const size_t *test, size_t n_test, size_t *out, struct error *err);

/* What is to be had of a way of choosing. */
enum evaluation_parts {
    EVALUATE_RETURN = 1 << 0, /* play the test sessions in the model */
    EVALUATE_VALUES = 1 << 1, /* off-policy values of the test sessions */
};

/* Evaluate a way of choosing that acts in env (whose rewards are those of the table's other
 * rows) on a trial, and add it to the row of that name.  A NULL chooser is the recorded
 * behaviour, which has values only.  E_ARG where the row has that trial already. */
MUST_CHECK enum status evaluation_table_add(struct evaluation_table *table,
    const char *name, size_t trial, const struct environment *env,
    const struct chooser *chooser, unsigned parts, struct error *err);

/* The row of a name, or NULL. */
struct evaluation_row *evaluation_table_row(
    const struct evaluation_table *table, const char *name);

/* Compute intervals, comparisons with the row called reference, corrected over all other
 * rows, and shares of the rows called bounds (where they are there; no policies, so nothing
 * compares them).  E_ARG where there is no
 * row of the reference's name (NULL: no comparisons). */
MUST_CHECK enum status evaluation_table_finish(struct evaluation_table *table,
    const char *reference, const char *const bounds[EVALUATION_BOUNDS],
    struct error *err);

#endif
