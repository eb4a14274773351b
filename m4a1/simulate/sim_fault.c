/* sim_fault.c - faults are drawn from (seed, request, times seen), so retries pass. */
#include "m4a1/simulate/sim_fault.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

const char *const sim_fault_names[N_FAULTS] = { "none", "rate_limit", "server_error",
    "unavailable", "overloaded", "quota", "payment", "dropped", "cut", "malformed",
    "error_in_200", "no_end", "bad_utf8", "unparsable", "slow_start", "no_usage" };

int sim_fault_answers(enum sim_fault fault)
{
    return fault == FAULT_NONE || fault >= FAULT_UNPARSABLE;
}

static enum status kind_add(const char *name, unsigned *kinds, struct error *err)
{
    for (unsigned f = 1; f < N_FAULTS; f++) {
        if (text_equal(sim_fault_names[f], name)) {
            *kinds |= FAULT_BIT(f);
            return OK;
        }
    }
    const char *nearest = text_nearest(name, sim_fault_names + 1, N_FAULTS - 1);
    return error_set(err, E_ARG, "there is no kind of fault \"%.40s\"%s%s%s", name,
        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

enum status sim_fault_kinds(const char *list, unsigned *kinds, struct error *err)
{
    enum status status = OK;
    *kinds = 0;
    while (status == OK && *list) {
        size_t len = strcspn(list, ",");
        char *name = text_copy_n(list, len);
        status = name ? kind_add(name, kinds, err) : error_nomem(err, len);
        free(name);
        list += len;
        list += *list == ',';
    }
    if (status == OK && !*kinds)
        status = error_set(err, E_ARG, "the list of kinds of faults is empty");
    return status;
}

enum sim_fault sim_fault_draw(
    const struct sim_ask *ask, double probability, unsigned kinds, uint64_t times_seen)
{
    enum sim_fault possible[N_FAULTS];
    struct rng rng;
    uint64_t n = 0;
    if (probability <= 0 || times_seen > FAULT_TIMES)
        return FAULT_NONE;
    if (!ask->request->stream)
        kinds &= ~FAULT_BIT(FAULT_NO_END);
    if (ask->role != LLM_JUDGE || times_seen > 1)
        kinds &= ~FAULT_BIT(FAULT_UNPARSABLE);
    for (unsigned f = 1; f < N_FAULTS; f++)
        if (kinds & FAULT_BIT(f))
            possible[n++] = (enum sim_fault)f;
    sim_rng(&rng, ask, "fault", times_seen);
    if (!n || rng_uniform(&rng) >= probability)
        return FAULT_NONE;
    return possible[rng_below(&rng, n)];
}
