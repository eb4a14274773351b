/* baselines.c - Random, Local and Cloud as the authors' evaluator draws them. */
#include "m4a1/tmo/baselines.h"

const char *const baseline_names[N_BASELINES] = { "Random", "Local", "Cloud" };

void baseline_init(
    struct baseline *b, enum baseline_kind kind, size_t n_actions, uint64_t seed)
{
    static const char *const streams[N_BASELINES] = { "baseline/random", "baseline/local",
        "baseline/cloud" };
    b->kind = kind;
    b->n_actions = n_actions;
    rng_init(&b->rng, seed, streams[kind], 0);
}

size_t baseline_choose(void *arg, const double *features)
{
    (void)features;
    struct baseline *b = arg;
    if (b->kind == BASELINE_LOCAL)
        return 0;
    if (b->kind == BASELINE_RANDOM && rng_uniform(&b->rng) < 0.5)
        return 0;
    return 1 + (size_t)rng_below(&b->rng, b->n_actions - 1);
}
