/* recorded_actions.c - which actions a space lists: all, those of the data, or given ones. */
#include <stdlib.h>
#include <string.h>

#include "m4a1/tmo/recorded_parts.h"

/* What is gathered before the space is there. */
struct listing {
    const struct dataset *data;
    struct space_action *all;
    size_t n, size;
};

static int compare_views(uint32_t a, uint32_t b)
{
    size_t n_a = space_count(a), n_b = space_count(b);
    if (n_a != n_b)
        return n_a < n_b ? -1 : 1;
    // Lexicographically: the set with the lowest member that the other lacks comes first.
    uint32_t lowest = (a ^ b) & (~(a ^ b) + 1);
    return a == b ? 0 : a & lowest ? -1 : 1;
}

/* Keep the list in the order of "all", each action once. */
static enum status listing_add(
    struct listing *list, size_t llm, uint32_t views, struct error *err)
{
    size_t at = 0;
    for (; at < list->n; at++) {
        const struct space_action *one = &list->all[at];
        int c = one->llm != llm ? (one->llm < llm ? -1 : 1)
                                : compare_views(one->views, views);
        int cloud = list->data->llms[one->llm].cloud - list->data->llms[llm].cloud;
        c = cloud ? cloud : c;
        if (c == 0)
            return OK;
        if (c > 0)
            break;
    }
    if (list->n == SPACE_MAX_ACTIONS)
        return error_set(err, E_LIMIT, "%s: more than %d different actions",
            list->data->source, SPACE_MAX_ACTIONS);
    if (list->n == list->size) {
        size_t size = list->size ? 2 * list->size : 64;
        struct space_action *all = realloc(list->all, size * sizeof *all);
        if (!all)
            return error_nomem(err, size * sizeof *all);
        list->all = all;
        list->size = size;
    }
    memmove(list->all + at + 1, list->all + at, (list->n - at) * sizeof *list->all);
    list->all[at] = (struct space_action) { llm, views };
    list->n++;
    return OK;
}

static enum status list_answer(struct listing *list, const struct interaction *one,
    uint32_t context, struct error *err)
{
    if (one->llm < 0 || (size_t)one->llm >= list->data->n_llms)
        return OK; // check_answer() says so
    return listing_add(list, (size_t)one->llm, one->views_added & ~context, err);
}

static enum status list_recorded(struct listing *list, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; i < list->data->n_sessions; i++) {
        const struct session *session = &list->data->sessions[i];
        uint32_t context = 0;
        for (size_t t = 0; t < session->n_turns && !s; t++) {
            const struct turn *turn = &session->turns[t];
            s = list_answer(list, &turn->path, context, err);
            for (size_t f = 0; f < turn->n_fan_out && !s; f++)
                s = list_answer(list, &turn->fan_out[f], context, err);
            context |= turn->path.views_added;
        }
    }
    return s;
}

enum status recorded_actions(const struct dataset *data,
    const struct recorded_settings *settings, struct space_action **out, size_t *n,
    struct error *err)
{
    struct listing list = { .data = data };
    enum status s = OK;
    if (settings->actions == ACTIONS_RECORDED) {
        s = list_recorded(&list, err);
    } else if (settings->actions == ACTIONS_LISTED) {
        list.all = calloc(settings->n_listed + 1, sizeof *list.all);
        if (!list.all)
            s = error_nomem(err, settings->n_listed * sizeof *list.all);
        for (size_t a = 0; a < settings->n_listed && !s; a++) {
            const struct recorded_listed *one = &settings->listed[a];
            if (one->llm < 0 || (size_t)one->llm >= data->n_llms)
                s = error_set(err, E_ARG, "actions[%zu] asks llm %d, and %s has %zu", a,
                    one->llm, data->source, data->n_llms);
            list.all[list.n++] = (struct space_action) { (size_t)one->llm, one->views };
        }
    }
    if (s) {
        free(list.all);
        list = (struct listing) { 0 };
    }
    *out = list.all;
    *n = list.n;
    return s;
}
