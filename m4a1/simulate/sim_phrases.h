/* sim_phrases.h - the sentences of the simulated llms, in our own words.
 *
 * Some hold characters of several bytes on purpose, so that readers of streams meet
 * them.  No answer holds a refusal keyword; every refusal holds one. */
#ifndef M4A1_SIMULATE_SIM_PHRASES_H
#define M4A1_SIMULATE_SIM_PHRASES_H

#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/random.h"

void phrases_refusal(struct rng *rng, struct buffer *out);

/* The main sentence for a task (NULL or unknown: a general one); things and places are
 * drawn from scene. */
void phrases_answer(struct rng *rng, struct rng *scene, const char *task,
    const char *topic, struct buffer *out);

/* A further sentence with a blank before it; i = 0, 1, 2 gives different ones. */
void phrases_remark(struct rng *rng, uint64_t i, struct buffer *out);

#endif
