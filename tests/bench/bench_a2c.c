/* bench_a2c.c - 30,000 steps of A2C and its evaluation on the public slice of M4A1.
 *
 * Steps a second with the table of estimates and without it, and the share of the time
 * that goes into the estimator.  Data: $M4A1_SHARED, else ../shared; skips without it.
 * Run by `make bench`; alone: build/tests/bench/bench_a2c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/files.h"
#include "m4a1/tmo/a2c.h"
#include "m4a1/tmo/evaluation.h"

#define RUNS 3

static _Noreturn void fail(const struct error *err)
{
    fprintf(stderr, "bench_a2c: %s\n", err->msg);
    exit(1);
}

/* Figures of one way to run: the best of RUNS, in CPU seconds. */
struct figures {
    double tabulate_s, train_s, estimator_s, evaluate_s, reward;
};

struct bench {
    struct recorded *rec;
    struct environment *env;
    struct a2c_settings settings;
    size_t *train, *test, n_train, n_test;
};

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_cpu_ns() - start_ns) / 1e9;
}

static void set_up(struct bench *b, const struct dataset *data)
{
    struct error err = ERROR_INIT;
    struct split split;
    struct environment_settings set = environment_published();
    b->settings = a2c_published();
    if (recorded_build(data, 0, 1, 5, &b->rec, &err) ||
        split_draw(data, 0, 0.8, 0, &split, &err) ||
        recorded_indices(b->rec, split.train, split.n_train, &b->train, &err) ||
        recorded_indices(b->rec, split.test, split.n_test, &b->test, &err) ||
        environment_new(b->rec, &set, b->train, split.n_train, &b->env, &err))
        fail(&err);
    b->n_train = split.n_train;
    b->n_test = split.n_test;
    split_release(&split);
}

/* Mean CPU seconds of one estimate over all training turns and actions. */
static double time_estimate(const struct bench *b)
{
    const struct space *space = &b->rec->space;
    size_t n = 0;
    double sum = 0;
    int64_t start = clock_cpu_ns();
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < b->n_train; i++) {
            const struct recorded_session *s = &b->rec->sessions[b->train[i]];
            for (size_t t = s->first; t < s->first + s->n_turns; t++) {
                int16_t pair[SPACE_MAX_PAIR];
                memcpy(pair, b->rec->observations + t * space->n_states,
                    space->n_states * sizeof *pair);
                for (size_t a = 0; a < space->n_actions; a++, n++) {
                    space_action_bits(space, a, pair + space->n_states);
                    sum += knn_estimate(b->env->knn, pair);
                }
            }
        }
    }
    double each = seconds_since(start) / (double)n;
    return sum > 0 ? each : 0; // the sum is used, so the loop is not removed
}

static struct figures run_once(struct bench *b, int with_table, double estimate_s)
{
    struct error err = ERROR_INIT;
    struct figures f = { 0 };
    struct actor_critic ac;
    struct evaluation result;
    free(b->env->table);
    b->env->table = NULL;
    int64_t start = clock_cpu_ns();
    if (with_table && environment_tabulate(b->env, &err))
        fail(&err);
    f.tabulate_s = with_table ? seconds_since(start) : 0;
    start = clock_cpu_ns();
    if (a2c_train(b->env, &b->settings, 0, NULL, NULL, &ac, &err))
        fail(&err);
    f.train_s = seconds_since(start);
    f.estimator_s = with_table ? f.tabulate_s : (double)b->settings.steps * estimate_s;
    start = clock_cpu_ns();
    if (evaluation_run(b->env, b->test, b->n_test, evaluation_greedy, &ac, &result, &err))
        fail(&err);
    f.evaluate_s = seconds_since(start);
    f.reward = result.reward;
    actor_critic_release(&ac);
    return f;
}

static struct figures best_of(struct bench *b, int with_table, double estimate_s)
{
    struct figures best = run_once(b, with_table, estimate_s);
    for (int i = 1; i < RUNS; i++) {
        struct figures f = run_once(b, with_table, estimate_s);
        if (f.tabulate_s + f.train_s < best.tabulate_s + best.train_s)
            best = f;
    }
    return best;
}

static void print_row(const char *name, const struct bench *b, const struct figures *f)
{
    double all = f->tabulate_s + f->train_s;
    printf("%-14s %10.3f %9.0f %12.4f %9.1f %% %11.2f %8.3f\n", name, all,
        (double)b->settings.steps / all, f->estimator_s, 100 * f->estimator_s / all,
        1e3 * f->evaluate_s, f->reward);
}

int main(void)
{
    struct error err = ERROR_INIT;
    struct bench b = { 0 };
    struct dataset *data;
    const char *shared = getenv("M4A1_SHARED");
    char *path = path_join(shared ? shared : "../shared", "data/m4a1_public.json");
    if (!path || !file_exists(path)) {
        printf("bench_a2c: skipped, the shared data/m4a1_public.json is not there "
               "(M4A1_SHARED says where)\n");
        free(path);
        return 0;
    }
    if (dataset_read(path, &data, &err))
        fail(&err);
    set_up(&b, data);

    double estimate_s = time_estimate(&b);
    struct figures plain = best_of(&b, 0, estimate_s);
    struct figures table = best_of(&b, 1, estimate_s);
    printf(
        "A2C, %lld steps and the evaluation of %zu test sessions, public M4A1, seed 0; "
        "CPU time of\none thread, best of %d runs. Estimator: %zu rows (%zu distinct), "
        "%.2f us an estimate.\n\n",
        (long long)b.settings.steps, b.n_test, RUNS, knn_n_rows(b.env->knn),
        knn_n_distinct(b.env->knn), 1e6 * estimate_s);
    printf("%-14s %10s %9s %12s %11s %11s %8s\n", "", "training s", "steps/s",
        "estimator s", "share", "evaluate ms", "reward");
    print_row("without table", &b, &plain);
    print_row("with table", &b, &table);
    printf("\nReproduce: make bench, or build/tests/bench/bench_a2c\n");

    int same = plain.reward == table.reward;
    if (!same)
        fprintf(stderr, "bench_a2c: the table changed the result\n");
    environment_free(b.env);
    recorded_free(b.rec);
    free(b.train);
    free(b.test);
    dataset_free(data);
    free(path);
    return same ? 0 : 1;
}
