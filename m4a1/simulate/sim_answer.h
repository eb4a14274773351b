/* sim_answer.h - what a simulated llm says, and how good it is.
 *
 * The figures are made up to look like the published ones in kind, not in size: a
 * larger llm is better, a view helps some tasks much and others hardly, each further
 * view helps less, and small llms refuse more. */
#ifndef M4A1_SIMULATE_SIM_ANSWER_H
#define M4A1_SIMULATE_SIM_ANSWER_H

#include "m4a1/base/buffer.h"
#include "m4a1/simulate/sim_ask.h"

/* How much views can add to a task, in points of quality: Query 2.6, Recommendation
 * 1.3, Assistive System 0.7, Message Editing 0.1; 1 for no task; any other task has
 * its own, drawn from its name and the seed, in [0.3, 2.3). */
double sim_task_gain(uint64_t seed, const char *task);

/* Quality in [1, 10] with one decimal:
 *   base(role) + model + model's bent for the task
 *   + ability(role) * gain(task) * (1 - exp(-0.9 w)), w = sum over distinct images of
 *     a weight in [0.5, 1.5) drawn from image and task
 *   - gain(task) / 2 where the request has no image
 *   + noise of the request (normal, deviation 0.5). */
double sim_quality(const struct sim_ask *ask);

/* Append the answer: a refusal with one of the published keywords, or sentences for
 * the task that name the views and end in the quality mark.  Returns 1 for a refusal. */
int sim_answer(const struct sim_ask *ask, struct buffer *out);

#endif
