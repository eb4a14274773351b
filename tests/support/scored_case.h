/* scored_case.h - recorded sessions whose scores are drawn from a known truth, so that
 * estimators can be held against it.
 *
 * One local and one cloud llm, two views, 4 turns a session (published behaviour of views:
 * they accumulate), prompts in two tasks.  A score is
 *     truth[prompt][cloud] + view * (views held) + N(0, session_sd) + N(0, noise_sd)
 * with one draw of the session's part for all its turns.  scored_draw() draws everything
 * anew into the same memory, which is fast enough for thousands of data sets. */
#ifndef TESTS_SUPPORT_SCORED_CASE_H
#define TESTS_SUPPORT_SCORED_CASE_H

#include "m4a1/base/random.h"
#include "m4a1/tmo/recorded.h"

#define SCORED_TURNS 4
#define SCORED_MAX_PROMPTS 64

struct scored_case {
    struct dataset *data;
    struct recorded *rec;
    size_t *sessions; /* 0 .. n_sessions - 1 */
    size_t n_prompts;
    double truth[SCORED_MAX_PROMPTS][2];
    double view, session_sd, noise_sd;
};

/* Sessions with prompts texts[n_prompts] (NULL: "p0", "p1", ...); fan_out 1: every turn's
 * other llm answers too.  Fails the program where it cannot be made. */
void scored_make(struct scored_case *c, size_t n_sessions, size_t n_prompts,
    const char *const *texts, int fan_out);
void scored_release(struct scored_case *c);

/* Truth N(1, effect_sd) for each prompt and llm; then prompts, answers and scores. */
void scored_draw(struct scored_case *c, double effect_sd, uint64_t seed);

/* The mean score of a row: truth without session and noise. */
double scored_mean(const struct scored_case *c, size_t row);

#endif
