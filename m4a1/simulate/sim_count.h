/* sim_count.h - what the simulator has seen and sent, for tests and the demo to check.
 *
 * Every chat request ends in exactly one of answered, invalid, faulted, abandoned or is
 * in flight, so these add up to seen.  Thread-safe. */
#ifndef M4A1_SIMULATE_SIM_COUNT_H
#define M4A1_SIMULATE_SIM_COUNT_H

#include <stdint.h>
#include "m4a1/base/json.h"
#include "m4a1/http/http.h"
#include "m4a1/simulate/sim_fault.h"

#define COUNT_MAX_DISTINCT (1u << 22) /* requests remembered; later ones count as new */

struct sim_count;

/* recipe gives the models and outlives the count. */
MUST_CHECK enum status count_new(
    const struct recipe *recipe, struct sim_count **out, struct error *err);
void count_free(struct sim_count *count); /* NULL is fine */

/* What became of a chat request; a pointer-sized value that travels with its answer. */
enum count_kind { COUNT_ANSWER = 1, COUNT_REFUSAL, COUNT_INVALID, COUNT_FAULT };

/* A chat request has come in; model NULL while it is not known (an invalid one).
 * Returns the note for http_answer, which count_done() reads. */
void *count_begin(struct sim_count *count, const char *model);

/* The same for the note's final kind; fault matters for COUNT_FAULT, and
 * for COUNT_ANSWER where sim_fault_answers(). */
void *count_note(void *note, enum count_kind kind, enum sim_fault fault);

/* The request is over. */
void count_done(struct sim_count *count, void *note, enum http_outcome outcome);

/* How often the request with this identity has been seen, this time included. */
uint64_t count_seen(struct sim_count *count, const char *identity);

/* What an answer is billed, how long it takes at time scale 1, and what it answers. */
struct sim_bill {
    int64_t prompt_tokens, completion_tokens, answer_ns;
    int64_t texts, images, sounds; /* parts of the request */
};
void count_bill(struct sim_count *count, void *note, const struct sim_bill *bill);

/* Put "requests", "faults", "refusals" and "models" into object. */
void count_json(struct sim_count *count, struct json *object);

#endif
