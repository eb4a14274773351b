/* metric.h - a k-NN whose metric is made for dialogues and learned from training rows.
 *
 *   estimate = base + sum_i K_i (y_i - base_i) / (pull + sum_i K_i),  K_i = exp(-d_i)
 *
 * over the training rows i of the same prompt.  base is a mean with shrunk effects of
 * llm, task and prompt (ridge.h without its products): where no row is near, it is the
 * estimate.  The distance counts categories that differ, each with a learned weight:
 *
 *   d = llm * (0 same, 1 another, 2 one of the other role)
 *     + before * views that one dialogue held before the turn and the other did not
 *     + after  * the same for the views that it holds with the answer
 *
 * so rows of the queried llm come first.  Rows of a prompt without training rows are
 * those of prompts with alike words (prompt_kin.h), d + unseen * (1 - similarity) away,
 * and their residuals keep the prompt's effect.
 *
 * Every row counts, the less the further it is; there is no k.  Scores can be winsorised:
 * those beyond quantile `clip`, and below 1 - clip, are moved to it. */
#ifndef M4A1_TMO_METRIC_H
#define M4A1_TMO_METRIC_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/prompt_kin.h"
#include "m4a1/tmo/sample.h"

#define METRIC_NEVER 1e12 /* a weight or penalty that leaves its rows or effect out */

struct metric_weights {
    double llm, before, after; /* of the distance, >= 0 */
    double unseen;             /* times 1 - similarity, for prompts without rows */
    double pull;               /* rows that the base counts as, > 0 */
    double prompt, task;       /* penalties of the base's effects (ridge.h) */
    double clip;               /* in (1/2, 1]; 1 = scores as they are */
};

/* What learning begins with, and what few rows are left with. */
struct metric_weights metric_weights_start(void);

struct metric; /* opaque */

/* Fit with given weights on the samples i with use[i] (NULL: all).  kin [P] may be NULL,
 * and outlives the metric. */
MUST_CHECK enum status metric_fit_with(const struct samples *samples,
    const unsigned char *use, const struct metric_weights *weights,
    const struct prompt_kin *kin, struct metric **out, struct error *err);

/* Learn the weights by cross-validation inside the samples, then fit on all of them.
 * Weights that serve unseen prompts are learned on folds by prompt, the others on folds
 * by session (metric_learn.c); n_folds of them, drawn by seed. */
MUST_CHECK enum status metric_fit(const struct samples *samples, size_t n_folds,
    uint64_t seed, struct metric **out, struct error *err);
void metric_free(struct metric *metric); /* NULL is fine */
/* Leave the kin that it was fitted with to the metric, which frees it. */
void metric_own_kin(struct metric *metric, struct prompt_kin *kin);

const struct metric_weights *metric_learned(const struct metric *metric);

double metric_value(const struct metric *metric, const struct sample *x);

/* What one group of equal training rows gives to an estimate. */
struct metric_part {
    size_t first, n; /* samples first .. first + n - 1 of the fit */
    double distance, weight;
};

/* The distance to the nearest rows (INFINITY: none) and how many lie at distance 0. */
double metric_nearest(
    const struct metric *metric, const struct sample *x, size_t *n_exact);

/* The groups that take part in an estimate; parts[metric_n_groups()].  Weights are shares
 * K / (pull + sum K) of one row.  Returns their number. */
size_t metric_n_groups(const struct metric *metric);
size_t metric_parts(
    const struct metric *metric, const struct sample *x, struct metric_part *parts);

#endif
