/* bench_knn.c - the published estimator's index beside the kd-tree of scikit-learn.
 *
 * Both build from the same rows and answer the same queries in one run, and every distance
 * is compared.  Two kinds of rows, 29 small integers each: "dialogue" rows of simulated
 * sessions (tau 5, 3 views, 4 tasks; they repeat a lot), and "distinct" rows drawn
 * uniformly from -8 .. 8, where none repeats.  Ours gives the estimate (all ties), the
 * kd-tree the k distances.  Then the estimates of all actions of an observation.
 *
 * The peer is tests/peers/knn_sklearn.py, by the first of /usr/bin/python3 and python3 that
 * has scikit-learn (Debian: python3-sklearn); without it ours is measured alone.
 * Run by `make bench`; alone: build/tests/bench/bench_knn [LARGEST] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/random.h"
#include "m4a1/tmo/knn.h"
#include "schema/space.h"

#define D 29
#define K 5
#define MAX_QUERIES 1000
#define LEAST_S 0.2 /* CPU seconds that a figure is taken over */

static _Noreturn void fail(const char *message)
{
    fprintf(stderr, "bench_knn: %s\n", message);
    exit(1);
}

static double seconds_since(int64_t start_ns)
{
    return (double)(clock_cpu_ns() - start_ns) / 1e9;
}

/* --- rows --- */

/* Rows of one session, as the published encoding has them: at most `room`. */
static size_t draw_session(
    const struct space *space, struct rng *rng, int16_t *rows, size_t room)
{
    int16_t states[SPACE_MAX_STATES];
    size_t n_turns = 2 + rng_below(rng, 4);
    uint32_t held = 0;
    struct space_past past = { 0 };
    space_clear(space, states);
    for (size_t t = 0; t < n_turns && t < room; t++) {
        space_push(space, states, t ? &past : NULL, held, rng_below(rng, space->n_tasks));
        uint32_t views = 0;
        size_t scratch[3], drawn[3], size = rng_below(rng, 4);
        past.llm = rng_below(rng, 2);
        rng_sample(rng, 3, size, scratch, drawn);
        for (size_t i = 0; i < size; i++)
            views |= UINT32_C(1) << drawn[i];
        // Views accumulate, and an answer that brings none is encoded as none.
        past.views = past.llm && (held | views) != held ? held | views : 0;
        held |= past.views;
        memcpy(rows + t * D, states, space->n_states * sizeof *rows);
        space_bits(space, past.llm, past.views, rows + t * D + space->n_states);
    }
    return n_turns < room ? n_turns : room;
}

static void draw_dialogues(struct rng *rng, int16_t *rows, size_t n)
{
    struct space space;
    struct error err = ERROR_INIT;
    if (space_init_published(&space, 3, 4, 5, &err))
        fail(err.msg);
    for (size_t at = 0; at < n;)
        at += draw_session(&space, rng, rows + at * D, n - at);
    space_release(&space);
}

static void draw_distinct(struct rng *rng, int16_t *rows, size_t n)
{
    for (size_t i = 0; i < n * D; i++)
        rows[i] = (int16_t)((int)rng_below(rng, 17) - 8);
}

/* --- the peer --- */

struct peer {
    const char *python; /* NULL = none */
    double build_s, query_s;
    double *distances; /* [queries][K] */
};

static const char *find_python(void)
{
    static const char *const names[] = { "/usr/bin/python3", "python3" };
    for (size_t i = 0; i < 2; i++) {
        char command[128];
        snprintf(command, sizeof command, "%s -c 'import sklearn' 2>/dev/null", names[i]);
        FILE *answer = popen(command, "r");
        if (answer && !pclose(answer))
            return names[i];
    }
    return NULL;
}

static void ask_peer(struct peer *peer, const int16_t *rows, size_t n, size_t n_queries)
{
    char path[] = "/tmp/bench_knn-XXXXXX", command[256];
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!file || fwrite(rows, sizeof *rows * D, n + n_queries, file) != n + n_queries ||
        fclose(file))
        fail("cannot write the rows into /tmp");
    snprintf(command, sizeof command, "%s tests/peers/knn_sklearn.py %s %zu %zu %d %d",
        peer->python, path, n, n_queries, D, K);
    FILE *answer = popen(command, "r");
    int ok = answer && fscanf(answer, "%lf %lf", &peer->build_s, &peer->query_s) == 2;
    for (size_t i = 0; ok && i < n_queries * K; i++)
        ok = fscanf(answer, "%lf", &peer->distances[i]) == 1;
    if (!answer || pclose(answer) || !ok)
        fail("tests/peers/knn_sklearn.py failed; run from the project's folder");
    unlink(path);
}

/* --- ours --- */

/* The distances of the K places are those of the peer: ties share places. */
static void compare_distances(
    const struct knn *knn, const int16_t *q, const double *expected)
{
    struct knn_neighbours near;
    struct error err = ERROR_INIT;
    if (knn_explain(knn, q, &near, &err))
        fail(err.msg);
    for (size_t i = 0; i < K; i++)
        if (fabs(near.all[i].distance - expected[i]) > 1e-9)
            fail("a distance differs from scikit-learn's");
    knn_neighbours_release(&near);
}

static double time_build(const int16_t *rows, const double *y, size_t n, struct knn **out)
{
    struct error err = ERROR_INIT;
    double least = INFINITY;
    int64_t begun = clock_cpu_ns();
    *out = NULL;
    for (int i = 0; i < 3 || (i < 100 && seconds_since(begun) < LEAST_S); i++) {
        knn_free(*out);
        int64_t start = clock_cpu_ns();
        if (knn_build(rows, y, n, D, K, out, &err))
            fail(err.msg);
        least = fmin(least, seconds_since(start));
    }
    return least;
}

static double time_query(const struct knn *knn, const int16_t *queries, size_t n)
{
    double sum = 0;
    size_t rounds = 0;
    int64_t start = clock_cpu_ns();
    do {
        for (size_t i = 0; i < n; i++)
            sum += knn_estimate(knn, queries + i * D);
        rounds++;
    } while (seconds_since(start) < LEAST_S);
    double each = seconds_since(start) / (double)(rounds * n);
    return sum > 0 ? each : 0; // the sum is used, so no estimate is left out
}

static void run(struct peer *peer, const char *name,
    void (*draw)(struct rng *, int16_t *, size_t), size_t n, size_t n_queries)
{
    struct rng rng;
    rng_init(&rng, n, name, 0);
    int16_t *rows = malloc((n + n_queries) * D * sizeof *rows);
    double *y = malloc(n * sizeof *y);
    peer->distances = malloc(n_queries * K * sizeof *peer->distances);
    if (!rows || !y || !peer->distances)
        fail("no memory");
    draw(&rng, rows, n + n_queries);
    for (size_t i = 0; i < n; i++)
        y[i] = rng_uniform(&rng);

    struct knn *knn;
    double build_s = time_build(rows, y, n, &knn);
    double query_s = time_query(knn, rows + n * D, n_queries);
    printf("%-9s %8zu %8zu %12.3f %12.2f", name, n, knn_n_distinct(knn), 1e3 * build_s,
        1e6 * query_s);
    if (peer->python) {
        ask_peer(peer, rows, n, n_queries);
        for (size_t i = 0; i < n_queries; i++)
            compare_distances(knn, rows + (n + i) * D, peer->distances + i * K);
        double each = peer->query_s / (double)n_queries;
        printf(" %12.3f %12.2f %8.1f %8.1f", 1e3 * peer->build_s, 1e6 * each,
            peer->build_s / build_s, each / query_s);
    }
    printf("\n");
    fflush(stdout);
    knn_free(knn);
    free(rows);
    free(y);
    free(peer->distances);
}

/* All nine actions of an observation at once, on as many rows as the authors train with. */
static void run_actions(void)
{
    enum { ROWS = 272, ACTIONS = 9, QUERIES = 500 };
    static int16_t rows[(ROWS + QUERIES) * D];
    int16_t tails[ACTIONS * 4];
    double y[ROWS], estimates[ACTIONS];
    struct space space;
    struct knn *knn;
    struct error err = ERROR_INIT;
    struct rng rng;
    rng_init(&rng, 0, "actions", 0);
    draw_dialogues(&rng, rows, ROWS + QUERIES);
    for (size_t i = 0; i < ROWS; i++)
        y[i] = rng_uniform(&rng);
    if (space_init_published(&space, 3, 4, 5, &err) ||
        knn_build(rows, y, ROWS, D, K, &knn, &err))
        fail(err.msg);
    for (size_t a = 0; a < ACTIONS; a++)
        space_action_bits(&space, a, tails + a * 4);
    int64_t start = clock_cpu_ns();
    size_t rounds = 0;
    do {
        for (size_t i = 0; i < QUERIES; i++) {
            knn_estimates(knn, rows + (ROWS + i) * D, D - 4, tails, ACTIONS, estimates);
        }
        rounds++;
    } while (seconds_since(start) < LEAST_S);
    printf("\nAll %d actions of an observation, %d rows (%zu distinct): %.2f us\n",
        ACTIONS, ROWS, knn_n_distinct(knn),
        1e6 * seconds_since(start) / (double)(rounds * QUERIES));
    knn_free(knn);
    space_release(&space);
}

int main(int argc, char **argv)
{
    size_t largest = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    struct peer peer = { .python = find_python() };
    if (!peer.python)
        printf(
            "bench_knn: no python3 with scikit-learn here (scripts/setup bench installs "
            "it); ours alone\n");
    printf("k = %d, %d features; CPU time of one thread; build in ms, a query in us\n\n",
        K, D);
    printf("%-9s %8s %8s %12s %12s %12s %12s %8s %8s\n", "rows", "n", "distinct", "build",
        "query", "sklearn", "its query", "build x", "query x");
    for (size_t n = 1000; n <= largest; n *= 10)
        run(&peer, "dialogue", draw_dialogues, n, MAX_QUERIES);
    for (size_t n = 1000; n <= largest; n *= 10)
        run(&peer, "distinct", draw_distinct, n, n < 100000 ? MAX_QUERIES : 10000000 / n);
    if (peer.python)
        printf("\nAll distances are those of scikit-learn.\n");
    run_actions();
    printf("Reproduce: make bench, or build/tests/bench/bench_knn\n");
    return 0;
}
