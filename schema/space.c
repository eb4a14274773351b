/* space.c - states and actions as numbers; see space.h for the order of both. */
#include "schema/space.h"

#include <stdlib.h>
#include <string.h>

static size_t count_bits(uint32_t set)
{
    size_t n = 0;
    for (; set; set &= set - 1)
        n++;
    return n;
}

/* The next subset of the same size in lexicographic order of its members (01, 02, 12 and
 * so on): members move right from the last one that can.  Returns 0 after the last. */
static int next_subset(size_t *members, size_t size, size_t n_views)
{
    for (size_t i = size; i-- > 0;) {
        if (members[i] + (size - i) >= n_views)
            continue;
        members[i]++;
        for (size_t j = i + 1; j < size; j++)
            members[j] = members[j - 1] + 1;
        return 1;
    }
    return 0;
}

static void list_actions(struct space *space)
{
    size_t members[SPACE_MAX_VIEWS] = { 0 };
    size_t a = 0;
    space->views[a++] = 0;
    for (size_t size = 0; size <= space->n_views; size++) {
        for (size_t i = 0; i < size; i++)
            members[i] = i;
        do {
            uint32_t set = 0;
            for (size_t i = 0; i < size; i++)
                set |= UINT32_C(1) << members[i];
            space->views[a++] = set;
        } while (next_subset(members, size, space->n_views));
    }
}

enum status space_init(
    struct space *space, size_t n_views, size_t n_tasks, size_t tau, struct error *err)
{
    memset(space, 0, sizeof *space);
    if (n_views < 1 || n_views > SPACE_MAX_VIEWS)
        return error_set(err, E_ARG,
            "the action space takes 1 to %d views, not %zu: its size doubles with each",
            SPACE_MAX_VIEWS, n_views);
    if (n_tasks < 1 || n_tasks > SPACE_MAX_TASKS)
        return error_set(err, E_ARG, "the state takes 1 to %d tasks, not %zu",
            SPACE_MAX_TASKS, n_tasks);
    if (tau < 1 || tau > SPACE_MAX_TAU)
        return error_set(err, E_ARG, "tau is 1 to %d turns, not %zu", SPACE_MAX_TAU, tau);

    space->n_views = n_views;
    space->n_tasks = n_tasks;
    space->tau = tau;
    space->n_actions = 1 + ((size_t)1 << n_views);
    space->state_size = n_views + 2;
    space->n_states = tau * space->state_size;
    space->views = calloc(space->n_actions, sizeof *space->views);
    if (!space->views)
        return error_nomem(err, space->n_actions * sizeof *space->views);
    list_actions(space);
    return OK;
}

void space_release(struct space *space)
{
    free(space->views);
    space->views = NULL;
}

int space_is_cloud(size_t action)
{
    return action > 0;
}

size_t space_n_uploaded(const struct space *space, size_t action)
{
    return count_bits(space->views[action]);
}

size_t space_action(const struct space *space, int cloud, uint32_t views)
{
    size_t action = 0;
    if (cloud) {
        action = 1;
        while (action + 1 < space->n_actions && space->views[action] != views)
            action++;
    }
    return action;
}

void space_action_bits(const struct space *space, size_t action, int16_t *bits)
{
    bits[0] = (int16_t)space_is_cloud(action);
    for (size_t i = 0; i < space->n_views; i++)
        bits[1 + i] = (int16_t)(space->views[action] >> i & 1);
}

void space_clear(const struct space *space, int16_t *observation)
{
    for (size_t i = 0; i < space->n_states; i++)
        observation[i] = SPACE_ABSENT;
}

void space_push(
    const struct space *space, int16_t *observation, long previous_action, size_t task)
{
    size_t kept = space->n_states - space->state_size;
    memmove(observation, observation + space->state_size, kept * sizeof *observation);
    int16_t *state = observation + kept;
    if (previous_action == SPACE_ABSENT) {
        // The first turn has no llm before it, and, unlike padding, no views: zeros.
        memset(state, 0, space->state_size * sizeof *state);
        state[0] = SPACE_ABSENT;
    } else {
        space_action_bits(space, (size_t)previous_action, state);
    }
    state[space->state_size - 1] = (int16_t)task;
}
