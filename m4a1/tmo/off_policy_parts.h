/* off_policy_parts.h - what the files of off_policy share. */
#ifndef M4A1_TMO_OFF_POLICY_PARTS_H
#define M4A1_TMO_OFF_POLICY_PARTS_H

#include "m4a1/tmo/off_policy.h"

struct off_policy {
    const struct environment *env;
    struct off_policy_settings settings;
    struct propensity propensity;
    size_t *sessions; /* [n_sessions] to be valued */
    size_t n_sessions, n_turns, n_direct;
    size_t *fold_of;               /* [n_sessions] */
    struct estimator **estimators; /* [n_folds] fitted without the fold */
    size_t n_folds;
    double *rewards;     /* [rec->n_turns] of paths; NAN = none */
    size_t *measured_at; /* [rec->n_turns] its row of measured, SIZE_MAX = none */
    double *measured;    /* [n_measured][A] mean scores */
    size_t n_measured;
    double range_s, range_usd; /* of the cost table, for observed costs */
};

/* The views that an action newly adds to a dialogue. */
uint32_t off_policy_newly(const struct off_policy *op, size_t action, uint32_t context);
/* Where the encoding tells actions with the same effect apart, the one that recorded turns
 * have: all views held with the new ones, or none where nothing is new. */
size_t off_policy_as_recorded(
    const struct off_policy *op, size_t action, uint32_t context);
/* What the path did in a turn, and which llm of the space that was (SIZE_MAX: another). */
const struct interaction *off_policy_path(
    const struct recorded *rec, size_t session, size_t turn);
size_t off_policy_llm(const struct recorded *rec, const struct interaction *path);
/* The action that goes on behind a turn of the path: what it did, or its llm without views
 * where that is not listed. */
size_t off_policy_stand_in(const struct off_policy *op, size_t turn, size_t session);
/* The reward of an action whose score is known or estimated by another than env's. */
double off_policy_reward(
    const struct off_policy *op, const struct outcome *outcome, double score);

#endif
