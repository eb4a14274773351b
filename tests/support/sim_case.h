/* sim_case.h - one parsed request with its role and task, for tests of the simulator. */
#ifndef TESTS_SUPPORT_SIM_CASE_H
#define TESTS_SUPPORT_SIM_CASE_H

#include "m4a1/simulate/sim_ask.h"
#include "m4a1/simulate/sim_protocol.h"

struct sim_case {
    struct sim_request request;
    struct sim_ask ask;
    char *body;
};

/* The embedded M4A1 recipe; NULL on failure. */
struct recipe *sim_recipe(void);

/* The text of the recipe's first prompt of a task. */
const char *sim_prompt(const struct recipe *recipe, const char *task);

/* Read the body of a chat completion; as sim_protocol_read(). */
int sim_case_read(
    const char *body, size_t len, struct sim_request *out, struct sim_error *error);

/* Parse a body, which is taken over; 0 on failure. */
int sim_case_open(
    struct sim_case *c, uint64_t seed, const struct recipe *recipe, char *body);
void sim_case_close(struct sim_case *c);

#endif
