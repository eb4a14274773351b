/* ratio.h - the response score: a judge gives candidate and reference 1 to 10 each, and
 * the score is candidate / reference (TMO, arXiv 2502.11007, "Response score").
 *
 * Judgements are calls: ratio_plan() writes them down, the engine makes them, and
 * ratio_score() reads the replies.  A reply that cannot be read is asked for once
 * more; then, or when a judgement or the reference failed, the answer is unscored,
 * with the reason, and never 0. */
#ifndef ANNOTATE_RATIO_H
#define ANNOTATE_RATIO_H

#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

#define RATIO_SCORER "ratio"

struct ratio_terms {
    const char *judge_template; /* with {task} {history} {question} {candidate}
                                 * {reference}; NULL = the built-in one */
    int sees_views;             /* the judge is shown the views that the reference saw */
};

struct ratio_counts {
    int64_t planned;  /* judge calls written down */
    int64_t scored;   /* answers that got a value */
    int64_t unscored; /* answers that will get none, with the reason */
};

/* Write down the judge calls that are missing: for each judge llm and each path, fan-out
 * or checked answer whose turn has a reference answer.  Replies that are there already
 * are scored first, so that nothing is asked twice; one transaction. */
MUST_CHECK enum status ratio_plan(struct store *store, const struct ratio_terms *terms,
    struct ratio_counts *counts, struct error *err);

/* Turn the replies that came in into scores; one transaction. */
MUST_CHECK enum status ratio_score(
    struct store *store, struct ratio_counts *counts, struct error *err);

/* Read a judge's reply: the first JSON object in it with members candidate and
 * reference from 1 to 10, whatever stands around it.  0 where there is none. */
int ratio_read_reply(const char *reply, double *candidate, double *reference);

#endif
