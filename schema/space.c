/* space.c - states and actions as numbers; see space.h for the order of both. */
#include "schema/space.h"

#include <stdlib.h>
#include <string.h>

size_t space_count(uint32_t views)
{
    size_t n = 0;
    for (; views; views &= views - 1)
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

/* Every subset of the views for one llm, by size. */
static size_t list_subsets(const struct space *space, size_t llm, size_t at)
{
    size_t members[SPACE_MAX_VIEWS] = { 0 };
    for (size_t size = 0; size <= space->n_views; size++) {
        for (size_t i = 0; i < size; i++)
            members[i] = i;
        do {
            uint32_t set = 0;
            for (size_t i = 0; i < size; i++)
                set |= UINT32_C(1) << members[i];
            space->actions[at++] = (struct space_action) { llm, set };
        } while (next_subset(members, size, space->n_views));
    }
    return at;
}

static size_t count_cloud(const struct space *space)
{
    size_t n = 0;
    for (size_t i = 0; i < space->n_llms; i++)
        n += space->cloud[i] != 0;
    return n;
}

static void list_all(struct space *space)
{
    size_t at = 0;
    for (size_t i = 0; i < space->n_llms; i++)
        if (!space->cloud[i])
            space->actions[at++] = (struct space_action) { i, 0 };
    for (size_t i = 0; i < space->n_llms; i++)
        if (space->cloud[i])
            at = list_subsets(space, i, at);
}

static enum status check_listed(const struct space_shape *shape, struct error *err)
{
    if (!shape->n_actions || shape->n_actions > SPACE_MAX_ACTIONS)
        return error_set(err, E_ARG, "a list has 1 to %d actions, not %zu",
            SPACE_MAX_ACTIONS, shape->n_actions);
    for (size_t a = 0; a < shape->n_actions; a++) {
        const struct space_action *one = &shape->actions[a];
        if (one->llm >= shape->n_llms)
            return error_set(err, E_ARG, "action %zu asks llm %zu, and there are %zu", a,
                one->llm, shape->n_llms);
        if (one->views >> shape->n_views)
            return error_set(err, E_ARG, "action %zu shows a view that is not there", a);
        for (size_t b = 0; b < a; b++)
            if (shape->actions[b].llm == one->llm &&
                shape->actions[b].views == one->views)
                return error_set(err, E_ARG, "actions %zu and %zu are the same", b, a);
    }
    return OK;
}

static enum status check_shape(const struct space_shape *shape, struct error *err)
{
    if (shape->n_llms < 1 || shape->n_llms > SPACE_MAX_LLMS)
        return error_set(err, E_ARG, "the state takes 1 to %d llms, not %zu",
            SPACE_MAX_LLMS, shape->n_llms);
    if (shape->n_views < 1 || shape->n_views > SPACE_MAX_VIEWS)
        return error_set(err, E_ARG,
            "the action space takes 1 to %d views, not %zu: its size doubles with each",
            SPACE_MAX_VIEWS, shape->n_views);
    if (shape->n_tasks < 1 || shape->n_tasks > SPACE_MAX_TASKS)
        return error_set(err, E_ARG, "the state takes 1 to %d tasks, not %zu",
            SPACE_MAX_TASKS, shape->n_tasks);
    if (shape->tau < 1 || shape->tau > SPACE_MAX_TAU)
        return error_set(
            err, E_ARG, "tau is 1 to %d turns, not %zu", SPACE_MAX_TAU, shape->tau);
    return shape->actions ? check_listed(shape, err) : OK;
}

/* The sizes that follow from the shape. */
static enum status measure(
    struct space *space, const struct space_shape *shape, struct error *err)
{
    size_t n_cloud = count_cloud(space), x = space->n_views;
    size_t n_local = space->n_llms - n_cloud;
    space->llm_size = n_local == 1 && n_cloud == 1 ? 1 : space->n_llms;
    space->state_size = space->llm_size + x + (space->with_context ? x : 0) + 1;
    space->n_states = space->tau * space->state_size;
    if (space->n_states > SPACE_MAX_STATES)
        return error_set(err, E_ARG,
            "an observation of %zu turns takes %zu numbers, and %d is the most; take a "
            "smaller tau",
            space->tau, space->n_states, SPACE_MAX_STATES);
    space->n_actions =
        shape->actions ? shape->n_actions : n_local + (n_cloud << space->n_views);
    return OK;
}

enum status space_init(
    struct space *space, const struct space_shape *shape, struct error *err)
{
    memset(space, 0, sizeof *space);
    enum status s = check_shape(shape, err);
    if (s)
        return s;
    space->n_llms = shape->n_llms;
    for (size_t i = 0; i < shape->n_llms; i++)
        space->cloud[i] = shape->cloud[i] != 0;
    space->n_views = shape->n_views;
    space->n_tasks = shape->n_tasks;
    space->tau = shape->tau;
    space->with_context = shape->with_context != 0;
    s = measure(space, shape, err);
    if (s)
        return s;
    space->actions = calloc(space->n_actions, sizeof *space->actions);
    if (!space->actions)
        return error_nomem(err, space->n_actions * sizeof *space->actions);
    if (shape->actions)
        memcpy(space->actions, shape->actions, shape->n_actions * sizeof *space->actions);
    else
        list_all(space);
    for (size_t a = 0; a < space->n_actions; a++)
        space->accepts[space->actions[a].llm] |= space->actions[a].views;
    return OK;
}

enum status space_init_published(
    struct space *space, size_t n_views, size_t n_tasks, size_t tau, struct error *err)
{
    static const unsigned char cloud[] = { 0, 1 };
    const struct space_shape shape = {
        .n_llms = 2, .cloud = cloud, .n_views = n_views, .n_tasks = n_tasks, .tau = tau
    };
    return space_init(space, &shape, err);
}

void space_release(struct space *space)
{
    free(space->actions);
    space->actions = NULL;
}

int space_is_cloud(const struct space *space, size_t action)
{
    return space->cloud[space->actions[action].llm];
}

size_t space_n_uploaded(const struct space *space, size_t action)
{
    return space_count(space->actions[action].views);
}

size_t space_find(const struct space *space, size_t llm, uint32_t views)
{
    for (size_t a = 0; a < space->n_actions; a++)
        if (space->actions[a].llm == llm && space->actions[a].views == views)
            return a;
    return SIZE_MAX;
}

size_t space_n_bits(const struct space *space)
{
    return space->llm_size + space->n_views;
}

void space_bits(const struct space *space, size_t llm, uint32_t views, int16_t *bits)
{
    if (space->llm_size == 1) {
        bits[0] = space->cloud[llm];
    } else {
        for (size_t i = 0; i < space->n_llms; i++)
            bits[i] = i == llm;
    }
    for (size_t i = 0; i < space->n_views; i++)
        bits[space->llm_size + i] = (int16_t)(views >> i & 1);
}

void space_action_bits(const struct space *space, size_t action, int16_t *bits)
{
    space_bits(space, space->actions[action].llm, space->actions[action].views, bits);
}

void space_clear(const struct space *space, int16_t *observation)
{
    for (size_t i = 0; i < space->n_states; i++)
        observation[i] = SPACE_ABSENT;
}

void space_push(const struct space *space, int16_t *observation,
    const struct space_past *past, uint32_t context, size_t task)
{
    size_t kept = space->n_states - space->state_size;
    memmove(observation, observation + space->state_size, kept * sizeof *observation);
    int16_t *state = observation + kept;
    if (past) {
        space_bits(space, past->llm, past->views, state);
    } else {
        // The first turn has no llm before it, and, unlike padding, no views: zeros.
        memset(state, 0, space->state_size * sizeof *state);
        if (space->llm_size == 1)
            state[0] = SPACE_ABSENT;
    }
    if (space->with_context) {
        int16_t *held = state + space_n_bits(space);
        for (size_t i = 0; i < space->n_views; i++)
            held[i] = (int16_t)(context >> i & 1);
    }
    state[space->state_size - 1] = (int16_t)task;
}
