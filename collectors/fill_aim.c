/* fill_aim.c - backwards from the cell: which sets of views lead there; then forwards. */
#include "collectors/fill_aim.h"

#include <stdlib.h>
#include <string.h>

/* Sets before each turn from which the cell can be hit at turn `at`. */
struct ways {
    const struct plan_inputs *in;
    const struct cell_key *key;
    size_t at, n_sets;
    char *good; /* [at + 1][n_sets] */
};

static enum status list(const struct plan_inputs *in, uint32_t context,
    struct behaviour_action **actions, size_t *n, struct error *err)
{
    struct error why = ERROR_INIT;
    enum status s = plan_inputs_eligible(in, context, actions, n, &why);
    if (s == E_ARG) { // a dead end offers nothing
        *actions = NULL;
        *n = 0;
        return OK;
    }
    return s ? error_set(err, s, "%s", why.msg) : OK;
}

static int hits(const struct ways *w, uint32_t context, const struct behaviour_action *a)
{
    int64_t llm_id = w->in->llms[w->in->actor_llm[a->llm]].llm_id;
    if (w->key->kind == CELL_PROMPT)
        return 1;
    if (llm_id != w->key->llm_id)
        return 0;
    return w->key->kind == CELL_ACTION ? a->added == w->key->views
                                       : (context | a->added) == w->key->views;
}

static int leads(
    const struct ways *w, size_t turn, uint32_t context, const struct behaviour_action *a)
{
    if (turn == w->at)
        return hits(w, context, a);
    return turn > w->at || w->good[(turn + 1) * w->n_sets + (context | a->added)];
}

static enum status look_back(struct ways *w, struct error *err)
{
    enum status s = OK;
    for (size_t turn = w->at + 1; turn-- > 0 && !s;) {
        for (size_t set = 0; set < w->n_sets && !s; set++) {
            struct behaviour_action *actions;
            size_t n;
            if (set & ~(size_t)w->in->all_views)
                continue;
            s = list(w->in, (uint32_t)set, &actions, &n, err);
            char *good = &w->good[turn * w->n_sets + set];
            for (size_t i = 0; i < n && !s && !*good; i++)
                *good = (char)leads(w, turn, (uint32_t)set, &actions[i]);
            free(actions);
        }
    }
    return s;
}

/* Uniform over the actions that lead to the cell, and behind it over all. */
static enum status walk(
    const struct ways *w, struct rng *rng, struct aim *aim, struct error *err)
{
    uint32_t context = 0;
    for (size_t turn = 0; turn < aim->n_turns; turn++) {
        struct aimed_turn *t = &aim->turns[turn];
        enum status s = list(w->in, context, &t->actions, &t->n, err);
        size_t n = 0;
        for (size_t i = 0; i < t->n; i++)
            n += leads(w, turn, context, &t->actions[i]) != 0;
        if (s)
            return s;
        if (!n) { // behind the cell nothing is eligible any more
            aim->n_turns = turn;
            break;
        }
        for (size_t i = 0; i < t->n; i++)
            t->actions[i].probability =
                leads(w, turn, context, &t->actions[i]) ? 1.0 / (double)n : 0;
        t->chosen = behaviour_draw(t->actions, t->n, rng);
        while (t->actions[t->chosen].probability == 0)
            t->chosen--; // the last one takes what rounding leaves
        context |= t->actions[t->chosen].added;
    }
    return OK;
}

static enum status aim_at(struct ways *w, size_t n_turns, struct rng *rng,
    struct aim *out, int *found, struct error *err)
{
    w->good = calloc((w->at + 2) * w->n_sets, 1);
    if (!w->good)
        return error_nomem(err, w->n_sets);
    enum status s = look_back(w, err);
    *found = !s && w->good[0];
    if (*found) {
        out->n_turns = n_turns;
        out->at = w->at;
        out->turns = calloc(n_turns, sizeof *out->turns);
        s = out->turns ? walk(w, rng, out, err)
                       : error_nomem(err, n_turns * sizeof *out->turns);
    }
    free(w->good);
    w->good = NULL;
    return s;
}

enum status aim_draw(const struct plan_inputs *in, const struct cell_key *key,
    size_t min_turns, size_t max_turns, struct rng *rng, struct aim *out,
    struct error *err)
{
    *out = (struct aim) { 0 };
    struct ways w = { .in = in, .key = key };
    w.n_sets = (size_t)1 << (in->all_views ? 32 - __builtin_clz(in->all_views) : 0);
    // A context has its turn; an action takes the first at which it can occur.
    size_t first = key->kind == CELL_CONTEXT ? (size_t)key->turn : 0;
    size_t last = key->kind == CELL_CONTEXT ? first : max_turns - 1;
    int found = 0;
    enum status s = OK;
    for (w.at = first; w.at <= last && w.at < max_turns && !found && !s; w.at++) {
        size_t n_turns = w.at + 1 > min_turns ? w.at + 1 : min_turns;
        s = aim_at(&w, n_turns, rng, out, &found, err);
    }
    if (s)
        aim_release(out);
    return s || found ? s
                      : error_set(err, E_NOT_FOUND,
                            "no dialogue of up to %zu turns leads there", max_turns);
}

void aim_release(struct aim *aim)
{
    for (size_t i = 0; i < aim->n_turns; i++)
        free(aim->turns[i].actions);
    free(aim->turns);
    *aim = (struct aim) { 0 };
}
