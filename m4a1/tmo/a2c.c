/* a2c.c - rollouts of a few steps, one gradient step after each. */
#include "m4a1/tmo/a2c.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/rmsprop.h"

#define REPORT_EVERY 500 /* steps */

struct a2c_settings a2c_published(void)
{
    return (struct a2c_settings) {
        .steps = 30000,
        .n_rollout = 5,
        .gamma = 0.99,
        .gae_lambda = 1,
        .value_weight = 0.5,
        .max_gradient_norm = 0.5,
        .learning_rate = 7e-4,
        .rmsprop_alpha = 0.99,
        .rmsprop_epsilon = 1e-5,
    };
}

int64_t a2c_whole_steps(const struct a2c_settings *settings)
{
    int64_t n = (int64_t)settings->n_rollout;
    return settings->steps + (n - settings->steps % n) % n;
}

/* All that a run needs beside the network; one allocation list, released together. */
struct run {
    const struct environment *env;
    const struct a2c_settings *set;
    struct actor_critic *ac;
    struct rmsprop optimiser;
    struct activations *steps; /* [n_rollout + 1] */
    double *gradient;          /* [n_params] */
    struct episode episode;
    struct rng actions, sessions, budgets;
    size_t chosen[A2C_MAX_ROLLOUT];
    double reward[A2C_MAX_ROLLOUT];
    int ended[A2C_MAX_ROLLOUT];
};

void a2c_advantages(const double *reward, const double *value, const int *ended, size_t n,
    double gamma, double lambda, double *advantage)
{
    double next = 0;
    for (size_t t = n; t-- > 0;) {
        double goes_on = ended[t] ? 0 : 1;
        double delta = reward[t] + gamma * goes_on * value[t + 1] - value[t];
        next = delta + gamma * lambda * goes_on * next;
        advantage[t] = next;
    }
}

static size_t draw_action(const double *probabilities, size_t n, struct rng *rng)
{
    double u = rng_uniform(rng), sum = 0;
    for (size_t a = 0; a + 1 < n; a++) {
        sum += probabilities[a];
        if (u < sum)
            return a;
    }
    return n - 1;
}

/* Act n_rollout times with the network as it is; sessions that end are followed by the
 * next one at once. */
static void roll_out(struct run *run)
{
    size_t n = run->set->n_rollout;
    for (size_t t = 0; t < n; t++) {
        struct activations *act = &run->steps[t];
        struct outcome outcome;
        episode_observe(&run->episode, act->features);
        actor_critic_forward(run->ac, act);
        run->chosen[t] =
            draw_action(act->probabilities, run->ac->n_actions, &run->actions);
        episode_step(&run->episode, run->chosen[t], &outcome);
        run->reward[t] = outcome.reward;
        run->ended[t] = run->episode.done;
        if (run->episode.done)
            episode_draw(&run->episode, run->env, &run->sessions, &run->budgets);
    }
    episode_observe(&run->episode, run->steps[n].features);
    actor_critic_forward(run->ac, &run->steps[n]);
}

/* One step on mean(-advantage * log p) + value_weight * mean((return - value)^2).  The
 * network has not changed since the rollout, so its activations are still those. */
static void update(struct run *run)
{
    const struct a2c_settings *set = run->set;
    size_t n = set->n_rollout;
    double value[A2C_MAX_ROLLOUT + 1], advantage[A2C_MAX_ROLLOUT];
    for (size_t t = 0; t <= n; t++)
        value[t] = run->steps[t].value;
    a2c_advantages(
        run->reward, value, run->ended, n, set->gamma, set->gae_lambda, advantage);

    struct batch_step batch[A2C_MAX_ROLLOUT];
    for (size_t t = 0; t < n; t++)
        // The return is advantage + value, so return - value is the advantage itself.
        batch[t] = (struct batch_step) { &run->steps[t], run->chosen[t],
            advantage[t] / (double)n, -2 * set->value_weight * advantage[t] / (double)n };
    actor_critic_backward(run->ac, batch, n, run->gradient);
    gradient_clip(run->gradient, run->ac->n_params, set->max_gradient_norm);
    rmsprop_step(&run->optimiser, run->gradient, run->ac->params);
}

static enum status run_init(struct run *run, const struct environment *env,
    const struct a2c_settings *set, uint64_t seed, struct actor_critic *ac,
    struct error *err)
{
    run->env = env;
    run->set = set;
    run->ac = ac;
    run->steps = calloc(set->n_rollout + 1, sizeof *run->steps);
    run->gradient = calloc(ac->n_params, sizeof *run->gradient);
    if (!run->steps || !run->gradient)
        return error_nomem(err, ac->n_params * sizeof *run->gradient);
    enum status s = rmsprop_init(&run->optimiser, ac->n_params, set->learning_rate,
        set->rmsprop_alpha, set->rmsprop_epsilon, err);
    for (size_t t = 0; !s && t <= set->n_rollout; t++)
        s = activations_init(&run->steps[t], ac, err);
    if (s)
        return s;

    struct rng init;
    rng_init(&init, seed, "a2c/init", 0);
    rng_init(&run->actions, seed, "a2c/actions", 0);
    rng_init(&run->sessions, seed, "a2c/sessions", 0);
    rng_init(&run->budgets, seed, "a2c/budgets", 0);
    s = actor_critic_draw(ac, &init, err);
    if (!s)
        episode_draw(&run->episode, env, &run->sessions, &run->budgets);
    return s;
}

static void run_release(struct run *run)
{
    for (size_t t = 0; run->steps && t <= run->set->n_rollout; t++)
        activations_release(&run->steps[t]);
    free(run->steps);
    free(run->gradient);
    rmsprop_release(&run->optimiser);
}

static enum status learn(
    struct run *run, a2c_report *report, void *arg, struct error *err)
{
    int64_t done = 0, reported = 0, n = (int64_t)run->set->n_rollout;
    while (done < run->set->steps) {
        roll_out(run);
        update(run);
        done += n;
        if (report && (done - reported >= REPORT_EVERY || done >= run->set->steps)) {
            if (report(arg, done - reported))
                return error_set(err, E_INTERRUPTED,
                    "training stopped after %lld of %lld steps; nothing of it is kept",
                    (long long)done, (long long)run->set->steps);
            reported = done;
        }
    }
    return OK;
}

/* A network that diverged must not be kept as if it had learned. */
static enum status check_params(const struct actor_critic *ac, struct error *err)
{
    for (size_t i = 0; i < ac->n_params; i++)
        if (!isfinite(ac->params[i]))
            return error_set(err, E_DATA,
                "training diverged: parameter %zu is not finite; are the scores of the "
                "data within reason?",
                i);
    return OK;
}

enum status a2c_train(const struct environment *env, const struct a2c_settings *settings,
    uint64_t seed, a2c_report *report, void *arg, struct actor_critic *out,
    struct error *err)
{
    memset(out, 0, sizeof *out);
    if (settings->n_rollout < 1 || settings->n_rollout > A2C_MAX_ROLLOUT)
        return error_set(err, E_ARG, "a rollout has 1 to %d steps, not %zu",
            A2C_MAX_ROLLOUT, settings->n_rollout);
    enum status s =
        actor_critic_init(out, env->n_features, env->rec->space.n_actions, err);
    if (s)
        return s;
    struct run *run = calloc(1, sizeof *run);
    if (!run) {
        actor_critic_release(out);
        return error_nomem(err, sizeof *run);
    }
    s = run_init(run, env, settings, seed, out, err);
    if (!s)
        s = learn(run, report, arg, err);
    if (!s)
        s = check_params(out, err);
    run_release(run);
    free(run);
    if (s)
        actor_critic_release(out);
    return s;
}
