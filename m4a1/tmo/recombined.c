/* recombined.c - an environment over one session, which is written anew for each draw. */
#include "m4a1/tmo/recombined.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DRAWS 32 /* for a prompt that the session has not had */

struct recombined {
    const struct environment *from;
    struct environment env; /* from's, with rec for its data; owns nothing */
    struct recorded rec;    /* from->rec's, with a session of its own */
    struct recorded_session session;
    int *tasks;      /* [longest] these four are owned */
    size_t *prompts; /* [longest] */
    uint32_t
        *contexts; /* [longest] all 0: what is in the dialogue is the actor's doing */
    double *associations; /* [longest][X] */
    /* Training turns by position: those of position t are turns[first[t] .. first[t + 1]);
     * both are owned. */
    size_t *turns, *first;
    int may_repeat; /* some training session asks a prompt twice */
};

static int asks_twice(const struct recorded *rec, const struct recorded_session *session)
{
    for (size_t t = 1; t < session->n_turns; t++)
        for (size_t u = 0; u < t; u++)
            if (rec->prompts[session->first + t] == rec->prompts[session->first + u])
                return 1;
    return 0;
}

/* Sort the training turns by position. */
static void sort_turns(struct recombined *r, size_t longest)
{
    const struct environment *env = r->from;
    const struct recorded *rec = env->rec;
    size_t n = 0;
    for (size_t t = 0; t < longest; t++) {
        r->first[t] = n;
        for (size_t i = 0; i < env->n_train; i++) {
            const struct recorded_session *session = &rec->sessions[env->train[i]];
            if (t < session->n_turns)
                r->turns[n++] = session->first + t;
        }
    }
    r->first[longest] = n;
    for (size_t i = 0; i < env->n_train; i++)
        r->may_repeat |= asks_twice(rec, &rec->sessions[env->train[i]]);
}

enum status recombined_new(
    const struct environment *env, struct recombined **out, struct error *err)
{
    const struct recorded *rec = env->rec;
    size_t longest = 0, n_turns = 0;
    *out = NULL;
    for (size_t i = 0; i < env->n_train; i++) {
        size_t n = rec->sessions[env->train[i]].n_turns;
        longest = n > longest ? n : longest;
        n_turns += n;
    }
    struct recombined *r = calloc(1, sizeof *r);
    if (!r)
        return error_nomem(err, sizeof *r);
    r->tasks = calloc(longest, sizeof *r->tasks);
    r->prompts = calloc(longest, sizeof *r->prompts);
    r->contexts = calloc(longest, sizeof *r->contexts);
    r->associations = calloc(longest * rec->space.n_views, sizeof *r->associations);
    r->turns = calloc(n_turns, sizeof *r->turns);
    r->first = calloc(longest + 1, sizeof *r->first);
    if (!r->tasks || !r->prompts || !r->contexts || !r->associations || !r->turns ||
        !r->first) {
        recombined_free(r);
        return error_nomem(err, n_turns * sizeof *r->turns);
    }
    r->from = env;
    sort_turns(r, longest);

    r->rec = *rec;
    r->rec.sessions = &r->session;
    r->rec.n_sessions = 1;
    r->rec.tasks = r->tasks;
    r->rec.prompts = r->prompts;
    r->rec.contexts = r->contexts;
    r->rec.associations = r->associations;
    r->env = *env;
    r->env.rec = &r->rec;
    r->env.table = NULL;
    *out = r;
    return OK;
}

void recombined_free(struct recombined *r)
{
    if (!r)
        return;
    free(r->tasks);
    free(r->prompts);
    free(r->contexts);
    free(r->associations);
    free(r->turns);
    free(r->first);
    free(r);
}

/* True where one of the first n turns asks this prompt. */
static int was_asked(const struct recombined *r, size_t n, size_t prompt)
{
    for (size_t t = 0; t < n; t++)
        if (r->prompts[t] == prompt)
            return 1;
    return 0;
}

static void draw_turn(struct recombined *r, size_t t, struct rng *rng)
{
    const struct recorded *rec = r->from->rec;
    size_t first = r->first[t], n = r->first[t + 1] - first, n_views = rec->space.n_views;
    size_t turn = r->turns[first + (size_t)rng_below(rng, n)];
    for (int i = 1; i < MAX_DRAWS && !r->may_repeat; i++) {
        if (!was_asked(r, t, rec->prompts[turn]))
            break;
        turn = r->turns[first + (size_t)rng_below(rng, n)];
    }
    r->tasks[t] = rec->tasks[turn];
    r->prompts[t] = rec->prompts[turn];
    memcpy(r->associations + t * n_views, rec->associations + turn * n_views,
        n_views * sizeof *r->associations);
}

const struct environment *recombined_draw(struct recombined *r, struct rng *rng)
{
    const struct environment *env = r->from;
    size_t like = env->train[rng_below(rng, env->n_train)];
    r->session = (struct recorded_session) { .id = -1,
        .n_turns = env->rec->sessions[like].n_turns };
    for (size_t t = 0; t < r->session.n_turns; t++)
        draw_turn(r, t, rng);
    r->rec.n_turns = r->session.n_turns;
    return &r->env;
}
