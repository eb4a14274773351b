/* sim_agent.c - count the options, draw one. */
#include "m4a1/simulate/sim_agent.h"

#include <string.h>

#define OPEN "<actions>\n"
#define CLOSE "</actions>"
#define PROSE_SHARE 0.05

size_t sim_agent_actions(const char *text)
{
    const char *from = strstr(text, OPEN);
    const char *end = from ? strstr(from, CLOSE) : NULL;
    size_t n = 0;
    if (!end)
        return 0;
    for (from += strlen(OPEN); from < end; from++)
        n += *from == '\n' ? 1 : 0;
    return n;
}

void sim_agent_reply(const struct sim_ask *ask, size_t n_actions, struct buffer *out)
{
    struct rng rng;
    sim_rng(&rng, ask, "agent", 0);
    if (rng_uniform(&rng) < PROSE_SHARE)
        (void)buffer_add_str(out, "It depends on what the user values most.");
    else
        (void)buffer_printf(out, "%zu", 1 + (size_t)rng_below(&rng, n_actions));
}
