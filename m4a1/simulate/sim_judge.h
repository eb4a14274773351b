/* sim_judge.h - the simulated judge: it scores answers by reading their quality marks. */
#ifndef M4A1_SIMULATE_SIM_JUDGE_H
#define M4A1_SIMULATE_SIM_JUDGE_H

#include "m4a1/base/buffer.h"
#include "m4a1/simulate/sim_ask.h"

/* An answer carries its quality as SIM_MARK_OPEN "6.4" SIM_MARK_CLOSE. */
#define SIM_MARK_OPEN "[simulated answer, quality "
#define SIM_MARK_CLOSE " of 10]"

/* Whether a user's text looks like a judge's request: it has <candidate> ...
 * </candidate>, or a quality mark (history stands in assistant messages, not here). */
int sim_judge_marks(const char *text);

/* Qualities of the candidate's and the reference's answer, 1..10.  Read between the
 * last <candidate> and </candidate>, <reference> and </reference>; without tags the
 * first mark is the candidate's and the second the reference's, and a single one the
 * reference's, since candidates refuse more often.  An answer without a mark is 1. */
void sim_judge_read(const char *text, double *candidate, double *reference);

/* The judge's reply: {"candidate": 8, "reference": 9}, each quality plus noise (normal,
 * deviation 0.5), rounded, clipped to 1..10.  unparsable: prose without figures. */
void sim_judge_reply(const struct sim_ask *ask, int unparsable, struct buffer *out);

#endif
