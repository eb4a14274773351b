/* sim_ask.h - one request as the simulator sees it: who is asked, for which task. */
#ifndef M4A1_SIMULATE_SIM_ASK_H
#define M4A1_SIMULATE_SIM_ASK_H

#include <stdint.h>
#include "m4a1/base/random.h"
#include "m4a1/simulate/sim_request.h"
#include "schema/recipe.h"

struct sim_ask {
    uint64_t seed;
    const struct recipe *recipe;
    const struct sim_request *request;
    enum llm_role role;
    const char *task; /* of the prompt found in the last user message; NULL = none */
};

/* Work out role and task.  Returns 0 where no llm of the recipe has that model.  A
 * model with several roles is a judge where the text has the marks of a judge's
 * request, else the first of local, cloud and reference that it has. */
int sim_ask_init(struct sim_ask *ask, uint64_t seed, const struct recipe *recipe,
    const struct sim_request *request);

/* The model behind a name that a request asks for: the name itself, or the model of an llm
 * whose option "deployment" has it (Azure).  The name where nothing is known of it. */
const char *sim_model_find(const struct recipe *recipe, const char *model);

/* A generator that depends on the seed, what it is for, and the request alone. */
void sim_rng(
    struct rng *rng, const struct sim_ask *ask, const char *purpose, uint64_t times_seen);

/* A generator that depends on the seed and two names, not on the request. */
void sim_rng_named(
    struct rng *rng, uint64_t seed, const char *purpose, const char *a, const char *b);

#endif
