/* bench_learners.c - 30,000 steps of each learner on the public slice of M4A1, as the
 * authors train: CPU time of one thread beside theirs, the environment's share, and the
 * networks' own multiply-adds at the processor's measured peak.
 *
 * The authors' seconds are recorded (golden/tmo/README.md), not measured beside ours.
 * Data: $M4A1_SHARED, else ../shared; skips without it.
 * Run by `make bench`; alone: build/tests/bench/bench_learners */
#include <stdio.h>
#include <stdlib.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "m4a1/base/clock.h"
#include "m4a1/tmo/stream.h"
#include "tests/support/learner_case.h"

#define RUNS 5

/* CPU seconds of Stable-Baselines3 2.7.0 on PyTorch 1.13 with one thread of a 2-vCPU Xeon. */
static const double authors_s[N_LEARNERS][2] = { { 34.0, 34.4 }, { 31.0, 31.6 },
    { 25.0, 26.0 } };

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_cpu_ns() - start_ns) / 1e9;
}

/* ---- the peak of single precision ---- */

#ifdef __x86_64__

#define CHAINS 16
#define ROUNDS 4000000

/* Multiply-adds a second in chains that do not wait for each other. */
#define PEAK(name, attributes, type, lanes, load, fuse, take)                            \
    attributes static double name(void)                                                  \
    {                                                                                    \
        type sum[CHAINS], x = load(0.999f), y = load(1e-3f);                             \
        for (int i = 0; i < CHAINS; i++)                                                 \
            sum[i] = load((float)i);                                                     \
        int64_t start = clock_cpu_ns();                                                  \
        for (int64_t k = 0; k < ROUNDS; k++)                                             \
            _Pragma("GCC unroll 16") for (int i = 0; i < CHAINS; i++) sum[i] =           \
                fuse(sum[i], x, y);                                                      \
        double s = seconds_since(start), all = 0;                                        \
        for (int i = 0; i < CHAINS; i++)                                                 \
            all += (double)take(sum[i]);                                                 \
        return all > 0 ? (double)ROUNDS * CHAINS * (lanes) / s : 0;                      \
    }

PEAK(peak_avx2, __attribute__((target("avx2,fma"))), __m256, 8, _mm256_set1_ps,
    _mm256_fmadd_ps, _mm256_cvtss_f32)
PEAK(peak_avx512, __attribute__((target("avx512f"))), __m512, 16, _mm512_set1_ps,
    _mm512_fmadd_ps, _mm512_cvtss_f32)

static double peak(void)
{
    double most = 0;
    for (int run = 0; run < RUNS; run++) {
        double a = __builtin_cpu_supports("fma") ? peak_avx2() : 0;
        double b = __builtin_cpu_supports("avx512f") ? peak_avx512() : 0;
        most = a > most ? a : most;
        most = b > most ? b : most;
    }
    return most;
}

#else

static double peak(void)
{
    return 0;
}

#endif

/* ---- the multiply-adds of a run, padding and optimisers left out ---- */

static double forward_of(double features, double outputs)
{
    return features * MLP_HIDDEN + MLP_HIDDEN * MLP_HIDDEN + MLP_HIDDEN * outputs;
}

/* Every weight's gradient, and the derivatives by both hidden layers. */
static double backward_of(double features, double outputs)
{
    return forward_of(features, outputs) + MLP_HIDDEN * MLP_HIDDEN + MLP_HIDDEN * outputs;
}

static double multiply_adds(
    const struct learner_settings *set, double features, double actions)
{
    double steps = (double)learner_whole_steps(set);
    double policy = forward_of(features, actions), value = forward_of(features, 1);
    double back = backward_of(features, actions) + backward_of(features, 1);
    if (set->kind == LEARNER_A2C)
        return steps * (policy + value + back);
    if (set->kind == LEARNER_PPO)
        return steps * (policy + value + (double)set->n_epochs * (policy + value + back));
    // Greedy steps, and the online network's passes: the target network's are left out,
    // since each state is asked once a target, not once a draw.
    double greedy =
        1 - set->exploration_last -
        set->exploration_share * (set->exploration_first - set->exploration_last) / 2;
    double updates = (steps - (double)set->learning_starts) / (double)set->train_every;
    return steps * greedy * policy + updates * (double)set->gradient_steps *
                                         (double)set->batch_size *
                                         (policy + backward_of(features, actions));
}

/* ---- runs ---- */

/* The same number of steps in the same environment by a learner that does nothing. */
static double environment_s(const struct learner_case *c, int64_t n_steps)
{
    static double features[NETWORK_MAX_FEATURES];
    static unsigned char allowed[NETWORK_MAX_ACTIONS];
    struct stream stream;
    struct rng rng;
    double reward, best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        int64_t start = clock_cpu_ns();
        rng_init(&rng, 0, "bench/actions", 0);
        stream_init(&stream, c->env, 0);
        for (int64_t n = 0; n < n_steps; n++) {
            stream_observe(&stream, features);
            stream_allowed(&stream, allowed);
            stream_step(&stream, (size_t)rng_below(&rng, c->env->n_actions), &reward);
        }
        stream_release(&stream);
        double s = seconds_since(start);
        best = s < best ? s : best;
    }
    return best;
}

static double tabulate_s(const struct learner_case *c)
{
    struct error err = ERROR_INIT;
    int64_t start = clock_cpu_ns();
    if (environment_tabulate(c->env, &err)) {
        fprintf(stderr, "bench_learners: %s\n", err.msg);
        exit(1);
    }
    return seconds_since(start);
}

/* One row: the best of RUNS, its table of estimates included.  Returns the seconds. */
static double measure(const struct learner_case *c, enum learner_kind kind,
    int resource_aware, double peak_a_second)
{
    struct learner_settings set = learner_published(kind);
    double best = 1e9, reward = 0, table = tabulate_s(c);
    double floor = peak_a_second > 0 ? multiply_adds(&set, (double)c->env->n_features,
                                           (double)c->env->n_actions) /
                                           peak_a_second
                                     : 0;
    for (int run = 0; run < RUNS; run++) {
        int64_t start = clock_cpu_ns();
        struct network net = learner_case_train(c, &set, (uint64_t)run);
        double s = seconds_since(start);
        best = s < best ? s : best;
        reward += learner_case_reward(c, &net) / RUNS;
        network_release(&net);
    }
    double all = best + table, theirs = authors_s[kind][resource_aware];
    double world = table + environment_s(c, learner_whole_steps(&set));
    printf("%s%-19s %9.3f %10.1f %8.0f %10.0f %11.1f %% %9.3f %8.0f %% %8.3f\n",
        learner_names[kind], resource_aware ? ", resource-aware" : "", all, theirs,
        theirs / all, (double)learner_whole_steps(&set) / all, 100 * world / all, floor,
        100 * floor / all, reward);
    return all;
}

int main(void)
{
    double sum = 0, theirs = 0, peak_a_second = peak();
    struct learner_case probe;
    if (!learner_case_public(&probe, 0, 0)) {
        printf("bench_learners: skipped, the shared data/m4a1_public.json and "
               "golden/tmo/split.json are not there\n(M4A1_SHARED says where)\n");
        return 0;
    }
    printf(
        "30,000 steps on public M4A1 as published, seed 0's split (%zu sessions); CPU "
        "time of one thread,\nbest of %d runs, the table of estimates included; loops: "
        "%s.  Peak: %.1f billion multiply-adds a\nsecond.  The authors' seconds are "
        "recorded on another machine, not measured in this run.\n\n",
        probe.n_train, RUNS, mlp_kernels_best()->name, peak_a_second / 1e9);
    learner_case_release(&probe);
    printf("%-22s %9s %10s %8s %10s %13s %9s %10s %8s\n", "", "CPU s", "authors' s",
        "ratio", "steps/s", "environment", "floor s", "share", "reward");
    for (int kind = 0; kind < N_LEARNERS; kind++) {
        for (int resource_aware = 0; resource_aware < 2; resource_aware++) {
            struct learner_case c;
            if (!learner_case_public(&c, 0, resource_aware))
                return 1;
            sum += measure(&c, (enum learner_kind)kind, resource_aware, peak_a_second);
            theirs += authors_s[kind][resource_aware];
            learner_case_release(&c);
        }
    }
    printf("%-22s %9.3f %10.1f %8.0f\n", "all six", sum, theirs, theirs / sum);
    printf("\nReproduce: make bench, or build/tests/bench/bench_learners\n");
    return 0;
}
