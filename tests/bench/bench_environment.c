/* bench_environment.c - what the world costs a learner: CPU seconds of 30,000 steps of
 * training, by transitions and handling of constraints, and of looking ahead.
 *
 * Data: the public slice of M4A1 in $M4A1_SHARED, else ../shared; skips without it.
 * Run by `make bench`; alone: build/tests/bench/bench_environment */
#include <stdio.h>
#include <stdlib.h>

#include "m4a1/base/clock.h"
#include "m4a1/tmo/stream.h"
#include "tests/support/tmo_data.h"

#define RUNS 5
#define STEPS 30000
#define LOOKS 20000

static _Noreturn void fail(const struct error *err)
{
    fprintf(stderr, "bench_environment: %s\n", err->msg);
    exit(1);
}

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_cpu_ns() - start_ns) / 1e9;
}

struct world {
    struct recorded *rec;
    size_t *train, n_train;
};

static void world_make(struct world *w, const struct dataset *data, int as_published)
{
    struct error err = ERROR_INIT;
    struct split split;
    struct recorded_settings set =
        as_published ? recorded_published(0, 1, 5) : recorded_defaults();
    if (recorded_build(data, &set, &w->rec, &err) ||
        split_draw(data, 0, 0.8, 0, &split, &err) ||
        recorded_indices(w->rec, split.train, split.n_train, &w->train, &err))
        fail(&err);
    w->n_train = split.n_train;
    split_release(&split);
}

static struct environment *make(const struct world *w,
    enum environment_transitions transitions, enum constraint_handling handling,
    enum estimator_kind kind)
{
    struct error err = ERROR_INIT;
    struct environment *env;
    struct environment_settings set =
        w->rec->as_published ? environment_published() : environment_defaults();
    set.transitions = transitions;
    set.handling = handling;
    set.resource_aware = handling != HANDLING_NONE;
    set.estimator.kind = kind;
    // Budgets that bind: about half of what the cloud with all views takes.
    set.constraints[0].budget = 15;
    set.constraints[1].budget = 0.02;
    if (environment_new(w->rec, &set, w->train, w->n_train, &env, &err))
        fail(&err);
    if (transitions == TRANSITIONS_RECORDED && environment_tabulate(env, &err))
        fail(&err);
    return env;
}

/* The steps of an actor that favours a few actions, as a learner does, within what is
 * allowed: the best of RUNS. */
static double time_steps(const struct environment *env)
{
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        struct stream s;
        struct rng rng;
        double features[SPACE_MAX_FEATURES], reward, sum = 0;
        unsigned char allowed[SPACE_MAX_ACTIONS];
        int64_t start = clock_cpu_ns();
        rng_init(&rng, 1, "bench", 0);
        stream_init(&s, env, 0);
        for (int i = 0; i < STEPS; i++) {
            stream_observe(&s, features);
            stream_allowed(&s, allowed);
            size_t action = rng_below(&rng, rng_below(&rng, 4) ? 3 : env->n_actions);
            while (!allowed[action])
                action = (action + 1) % env->n_actions;
            stream_step(&s, action, &reward);
            sum += reward + features[0];
        }
        double took = seconds_since(start);
        if (took < best && sum == sum)
            best = took;
        stream_release(&s);
    }
    return best;
}

/* Seconds of one look at all outcomes in states that nobody tabulated. */
static double time_looks(const struct environment *env)
{
    struct outcome *all = calloc(env->n_actions, sizeof *all);
    struct rng rng;
    double spent = 0;
    size_t n = 0;
    if (!all)
        exit(1);
    rng_init(&rng, 2, "bench", 0);
    while (n < LOOKS) {
        struct episode ep;
        episode_start(&ep, env, RULES_MODEL, env->train[n % env->n_train]);
        while (!ep.done) {
            int64_t start = clock_cpu_ns();
            episode_outcomes(&ep, all);
            spent += seconds_since(start);
            size_t action = rng_below(&rng, env->n_actions);
            episode_apply(&ep, action, &all[action]);
            n++;
        }
    }
    free(all);
    return spent / (double)n;
}

static void measure(const struct world *w, const char *name)
{
    static const char *const of[] = { "recorded", "model" };
    for (int t = 0; t < 2; t++)
        for (int h = 0; h < N_HANDLINGS; h++) {
            struct environment *env = make(w, (enum environment_transitions)t,
                (enum constraint_handling)h, ESTIMATOR_PUBLISHED);
            printf("%-10s %-9s %-11s %8.2f ms\n", name, of[t], handling_names[h],
                1e3 * time_steps(env));
            environment_free(env);
        }
    static const enum estimator_kind kinds[] = { ESTIMATOR_PUBLISHED, ESTIMATOR_RIDGE,
        ESTIMATOR_METRIC };
    for (size_t k = 0; k < 3; k++) {
        struct environment *env = make(w, TRANSITIONS_MODEL, HANDLING_NONE, kinds[k]);
        printf("%-10s all outcomes of a new state, %-10s %8.2f us\n", name,
            estimator_names[kinds[k]], 1e6 * time_looks(env));
        environment_free(env);
    }
}

int main(void)
{
    struct dataset *data = golden_dataset();
    if (!data) {
        printf("bench_environment: skipped, no shared data/m4a1_public.json\n");
        return 0;
    }
    printf("%d steps of training (observation, allowed actions, step); best of %d runs\n",
        STEPS, RUNS);
    for (int as_published = 1; as_published >= 0; as_published--) {
        struct world w;
        world_make(&w, data, as_published);
        measure(&w, as_published ? "published" : "default");
        free(w.train);
        recorded_free(w.rec);
    }
    dataset_free(data);
    return 0;
}
