/* bandits.c - arms as ridge regressions or as means, and four ways to explore them. */
#include "m4a1/tmo/bandits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/random.h"
#include "m4a1/tmo/stream.h"

#define MAX_BYTES ((size_t)2 << 30)

enum bandit_kind { EPSILON_GREEDY, UCB, LINUCB, THOMPSON };

struct bandit {
    enum bandit_kind kind;
    double explore;                    /* c */
    size_t n_arms, n_numbers, n_tasks; /* A; D, 0 for ucb; 0 but for ucb */
    double *numbers;                   /* [D] x */
    double *turned;                    /* [D] V x */
    double *values;                    /* [A] */
    /* Regressions: the inverse V, the sum of x times reward b, and V b, of each arm. */
    double *inverse; /* [A][D][D] */
    double *sums;    /* [A][D] */
    double *theta;   /* [A][D] */
    /* Means, by task. */
    double *means;   /* [tasks][A] */
    uint64_t *taken; /* [tasks][A] */
    struct rng rng;
};

static void release(void *state)
{
    struct bandit *b = state;
    free(b->numbers);
    free(b->turned);
    free(b->values);
    free(b->inverse);
    free(b->sums);
    free(b->theta);
    free(b->means);
    free(b->taken);
    free(b);
}

/* ---- regressions ---- */

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void turn(const struct bandit *b, size_t arm, const double *x, double *out)
{
    size_t d = b->n_numbers;
    const double *inverse = b->inverse + arm * d * d;
    for (size_t i = 0; i < d; i++)
        out[i] = dot(inverse + i * d, x, d);
}

/* Learn that arm earned reward: V loses V x x' V / (1 + x' V x) (Sherman, Morrison). */
static void learn_line(struct bandit *b, size_t arm, double reward)
{
    size_t d = b->n_numbers;
    const double *x = b->numbers;
    double *inverse = b->inverse + arm * d * d, *sums = b->sums + arm * d;
    turn(b, arm, x, b->turned);
    double scale = 1 / (1 + dot(x, b->turned, d));
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < d; j++)
            inverse[i * d + j] -= scale * b->turned[i] * b->turned[j];
    for (size_t i = 0; i < d; i++)
        sums[i] += reward * x[i];
    turn(b, arm, sums, b->theta + arm * d);
}

static double mean_line(const struct bandit *b, size_t arm)
{
    return dot(b->theta + arm * b->n_numbers, b->numbers, b->n_numbers);
}

static double deviation_line(struct bandit *b, size_t arm)
{
    turn(b, arm, b->numbers, b->turned);
    return sqrt(fmax(0, dot(b->turned, b->numbers, b->n_numbers)));
}

/* ---- values of the arms ---- */

static void explore_means(struct bandit *b, size_t task)
{
    const uint64_t *taken = b->taken + task * b->n_arms;
    uint64_t n = 0;
    for (size_t a = 0; a < b->n_arms; a++)
        n += taken[a];
    for (size_t a = 0; a < b->n_arms; a++)
        b->values[a] = taken[a]
                           ? b->means[task * b->n_arms + a] +
                                 b->explore * sqrt(2 * log((double)n) / (double)taken[a])
                           : INFINITY;
}

/* What each arm is worth to the one who learns. */
static void explore(struct bandit *b, size_t task)
{
    if (b->kind == UCB) {
        explore_means(b, task);
        return;
    }
    int any = b->kind == EPSILON_GREEDY && rng_uniform(&b->rng) < b->explore;
    for (size_t a = 0; a < b->n_arms; a++) {
        b->values[a] = any ? rng_uniform(&b->rng) : mean_line(b, a);
        if (b->kind == LINUCB)
            b->values[a] += b->explore * deviation_line(b, a);
        if (b->kind == THOMPSON)
            b->values[a] += b->explore * deviation_line(b, a) * rng_normal(&b->rng);
    }
}

/* What each arm is worth to the one who has learned; an arm never tried is the worst. */
static void exploit(struct bandit *b, size_t task)
{
    for (size_t a = 0; a < b->n_arms; a++)
        if (b->kind != UCB)
            b->values[a] = mean_line(b, a);
        else
            b->values[a] = b->taken[task * b->n_arms + a] ? b->means[task * b->n_arms + a]
                                                          : -INFINITY;
}

static size_t greatest(const struct bandit *b, const unsigned char *allowed)
{
    size_t best = SIZE_MAX;
    for (size_t a = 0; a < b->n_arms; a++)
        if (allowed[a] && (best == SIZE_MAX || b->values[a] > b->values[best]))
            best = a;
    return best;
}

static size_t task_of(const struct episode *ep)
{
    return (size_t)ep->env->rec->tasks[ep->first + ep->turn];
}

/* ---- learning and choosing ---- */

static enum status learn(struct bandit *b, const struct environment *env,
    const struct baseline_settings *settings, struct error *err)
{
    static const char *const streams[] = { "bandit/epsilon", "bandit/ucb",
        "bandit/linucb", "bandit/thompson" };
    unsigned char *allowed = malloc(b->n_arms);
    struct stream *stream = malloc(sizeof *stream);
    if (!allowed || !stream) {
        free(allowed);
        free(stream);
        return error_nomem(err, sizeof *stream);
    }
    rng_init(&b->rng, settings->seed, streams[b->kind], 0);
    stream_init(stream, env, settings->seed);
    for (int64_t i = 0; i < settings->steps; i++) {
        double reward;
        size_t task = task_of(&stream->episode);
        if (b->kind != UCB)
            stream_observe(stream, b->numbers + 1);
        stream_allowed(stream, allowed);
        explore(b, task);
        size_t arm = greatest(b, allowed);
        stream_step(stream, arm, &reward);
        if (b->kind != UCB) {
            learn_line(b, arm, reward);
            continue;
        }
        size_t at = task * b->n_arms + arm;
        b->taken[at]++;
        b->means[at] += (reward - b->means[at]) / (double)b->taken[at];
    }
    stream_release(stream);
    free(stream);
    free(allowed);
    return OK;
}

static void weigh(void *arg, const struct episode *ep, double *p)
{
    struct bandit *b = arg;
    unsigned char allowed[SPACE_MAX_ACTIONS];
    if (b->kind != UCB)
        episode_observe(ep, b->numbers + 1);
    episode_allowed(ep, allowed);
    exploit(b, task_of(ep));
    memset(p, 0, b->n_arms * sizeof *p);
    p[greatest(b, allowed)] = 1;
}

static enum status check(enum bandit_kind kind, double explore_by,
    const struct environment *env, const struct baseline_settings *settings,
    struct error *err)
{
    size_t d = env->n_features + 1;
    if (settings->steps < 1)
        return error_set(err, E_ARG, "a bandit learns for 1 step or more, not %lld",
            (long long)settings->steps);
    if (!(explore_by >= 0) || isinf(explore_by) ||
        (kind == EPSILON_GREEDY && explore_by > 1))
        return error_set(err, E_ARG, "exploration is %s, not %g",
            kind == EPSILON_GREEDY ? "a probability" : "a number from 0 on", explore_by);
    if (kind != UCB && d * d > MAX_BYTES / sizeof(double) / env->n_actions)
        return error_set(err, E_ARG,
            "a linear bandit of %zu actions and %zu features takes more than %zu MiB; "
            "take \"ucb\", fewer actions or a smaller tau",
            env->n_actions, env->n_features, MAX_BYTES >> 20);
    return OK;
}

static enum status bandit_new(enum bandit_kind kind, const struct environment *env,
    struct bandit **out, struct error *err)
{
    struct bandit *b = calloc(1, sizeof *b);
    *out = b;
    if (!b)
        return error_nomem(err, sizeof *b);
    size_t a = env->n_actions, d = kind == UCB ? 0 : env->n_features + 1;
    b->kind = kind;
    b->n_arms = a;
    b->n_numbers = d;
    b->n_tasks = kind == UCB ? env->rec->space.n_tasks : 0;
    b->values = calloc(a, sizeof *b->values);
    b->numbers = calloc(d + 1, sizeof *b->numbers);
    b->turned = calloc(d + 1, sizeof *b->turned);
    b->inverse = calloc(a * d * d + 1, sizeof *b->inverse);
    b->sums = calloc(a * d + 1, sizeof *b->sums);
    b->theta = calloc(a * d + 1, sizeof *b->theta);
    b->means = calloc(b->n_tasks * a + 1, sizeof *b->means);
    b->taken = calloc(b->n_tasks * a + 1, sizeof *b->taken);
    if (!b->values || !b->numbers || !b->turned || !b->inverse || !b->sums || !b->theta ||
        !b->means || !b->taken)
        return error_nomem(err, a * d * d * sizeof *b->inverse);
    b->numbers[0] = 1;
    for (size_t i = 0; i < a * d; i++)
        b->inverse[i * d + i % d] = 1;
    return OK;
}

static enum status make(enum bandit_kind kind, double standard,
    const struct environment *env, const struct baseline_settings *settings,
    struct baseline *out, struct error *err)
{
    double explore_by = settings->explore != 0 ? settings->explore : standard;
    enum status s = check(kind, explore_by, env, settings, err);
    struct bandit *b = NULL;
    if (!s)
        s = bandit_new(kind, env, &b, err);
    if (!s) {
        b->explore = explore_by;
        s = learn(b, env, settings, err);
    }
    if (s) {
        if (b)
            release(b);
        return s;
    }
    out->chooser = (struct chooser) { weigh, b };
    out->state = b;
    out->free_state = release;
    return OK;
}

enum status bandit_make_epsilon_greedy(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)argument;
    return make(EPSILON_GREEDY, BANDIT_EPSILON, env, settings, out, err);
}

enum status bandit_make_ucb(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)argument;
    return make(UCB, BANDIT_UCB, env, settings, out, err);
}

enum status bandit_make_linucb(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)argument;
    return make(LINUCB, BANDIT_LINUCB, env, settings, out, err);
}

enum status bandit_make_thompson(const struct environment *env,
    const struct baseline_settings *settings, const char *argument, struct baseline *out,
    struct error *err)
{
    (void)argument;
    return make(THOMPSON, BANDIT_THOMPSON, env, settings, out, err);
}
