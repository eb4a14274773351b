/* estimator.h - the score that an action would earn in a turn: one interface to all
 * estimators, fitted on training rows only.
 *
 *   published  k-NN of TMO's authors over states and action bits, shared ties (knn.h)
 *   ridge      prompt, llm and their product, number of views (ridge.h)
 *   metric     k-NN whose metric is learned from the training rows (metric.h)
 *   constant, role, task   the mean of all rows, of those of local and of cloud llms, of
 *              those of a task: what every other estimator has to beat
 *   auto       the one of these with the least cross-validated error on the training
 *              rows, and the simplest of those that cannot be told from it
 *
 * A fitted estimator is read-only: any number of threads may ask it.  Scores have any
 * range; nothing here knows rewards or costs. */
#ifndef M4A1_TMO_ESTIMATOR_H
#define M4A1_TMO_ESTIMATOR_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/knn.h"

struct recorded;

enum estimator_kind {
    ESTIMATOR_PUBLISHED,
    ESTIMATOR_RIDGE,
    ESTIMATOR_METRIC,
    ESTIMATOR_CONSTANT,
    ESTIMATOR_ROLE,
    ESTIMATOR_TASK,
    ESTIMATOR_AUTO,
};
#define N_ESTIMATORS 7
extern const char *const estimator_names[N_ESTIMATORS]; /* "published", "ridge", ... */

/* What stays together when rows are parted into folds. */
enum folds_by { FOLDS_SESSION, FOLDS_PROMPT, FOLDS_SCENE };
#define N_FOLDS_BY 3
extern const char *const folds_by_names[N_FOLDS_BY]; /* "session", "prompt", "scene" */

struct estimator_settings {
    enum estimator_kind kind;
    size_t k;                /* neighbours of the k-NNs, 1 .. KNN_MAX_K; 0: of the kind,
                                5 of published, every row of metric */
    double alpha;            /* of ridge, > 0 */
    enum folds_by choose_by; /* folds that auto chooses by */
    size_t n_folds;          /* of auto, and of what metric learns by; 2 .. */
    uint64_t seed;           /* draws these folds */
};

/* kind published, k 0 (its own), alpha 1, folds by session, 10 of them, seed 0. */
struct estimator_settings estimator_defaults(void);

/* Kind or folds of a name; E_ARG lists the names there are. */
MUST_CHECK enum status estimator_kind_of(
    const char *name, enum estimator_kind *out, struct error *err);
MUST_CHECK enum status folds_by_of(
    const char *name, enum folds_by *out, struct error *err);

/* A turn whose actions are to be estimated. */
struct estimator_query {
    const int16_t *states; /* [O] the observation without budgets */
    size_t task;
    size_t prompt;    /* into rec->prompt_texts; SIZE_MAX: one that is not there */
    uint32_t context; /* views that the dialogue holds before this turn */
};

/* The query of a recorded turn. */
struct estimator_query estimator_query_of(const struct recorded *rec, size_t turn);

struct estimator; /* opaque */

/* Fit on rows[n], indices into rec->rows; rec outlives the estimator.
 * E_ARG for settings out of range, E_DATA where there are fewer rows than k or none. */
MUST_CHECK enum status estimator_fit(const struct estimator_settings *settings,
    const struct recorded *rec, const size_t *rows, size_t n, struct estimator **out,
    struct error *err);
void estimator_free(struct estimator *est); /* NULL is fine */

/* The indices into rec->rows of all rows of these sessions, in order; freed with
 * free().  with_fan_out: rows of fan-out answers too. */
MUST_CHECK enum status estimator_rows_of(const struct recorded *rec,
    const size_t *sessions, size_t n, int with_fan_out, size_t **out, size_t *n_out,
    struct error *err);

/* The estimate of one action, and of all A actions at once (cheaper than A calls; the
 * same values). */
double estimator_value(
    const struct estimator *est, const struct estimator_query *query, size_t action);
void estimator_values(
    const struct estimator *est, const struct estimator_query *query, double *by_action);

/* How much an estimate rests on. */
struct estimator_support {
    double nearest; /* distance to the nearest row, in the estimator's own metric */
    size_t n_exact; /* rows at distance 0 */
};
void estimator_support(const struct estimator *est, const struct estimator_query *query,
    size_t action, struct estimator_support *out);

/* The rows behind an estimate of published or metric (row = index into rec->rows);
 * release with knn_neighbours_release().  E_ARG for an estimator without neighbours. */
MUST_CHECK enum status estimator_explain(const struct estimator *est,
    const struct estimator_query *query, size_t action, struct knn_neighbours *out,
    struct error *err);

/* What estimates: kind is never auto, k is that of published. */
const struct estimator_settings *estimator_fitted(const struct estimator *est);
const char *estimator_name(const struct estimator *est);
size_t estimator_n_rows(const struct estimator *est);
size_t estimator_n_distinct(const struct estimator *est); /* rows that differ to it */

#endif
