/* propensity.h - how likely the behaviour that collected the data was to do what it did.
 *
 * What an action does in a dialogue is an llm and the views that it newly adds; actions
 * that add the same are one.  A planned turn says with which probability it was chosen
 * (interaction.probability).  Where none is stored, as in the authors' public file, it is
 * that of M4A1's rule (collectors/behaviour.h): local or cloud with 1/2 each, an llm of
 * that role uniformly, for a cloud llm a number of views uniform in 0 .. X, so many views
 * at random, united with what the dialogue holds.  Of that file's 352 turns the rule gives
 * the log-likelihood -474.2, against -525 for the frequencies of five classes of actions. */
#ifndef M4A1_TMO_PROPENSITY_H
#define M4A1_TMO_PROPENSITY_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/tmo/recorded.h"

struct propensity {
    double *path; /* [n_turns] of rec, in (0, 1]; owned */
    size_t n_stored, n_by_rule;
    double log_likelihood; /* of all paths */
};

/* E_DATA names a turn whose stored probability is none, or which the rule cannot give. */
MUST_CHECK enum status propensity_build(
    const struct recorded *rec, struct propensity *out, struct error *err);
void propensity_release(struct propensity *propensity);

#endif
