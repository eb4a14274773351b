/* a2c.c - rollouts of a few steps, one gradient step after each. */
#include "m4a1/tmo/a2c.h"

#include <stdlib.h>
#include "m4a1/tmo/advantage.h"
#include "m4a1/tmo/rmsprop.h"

/* All that a run needs beside the network; released together.  Letters: N steps of a
 * rollout, F features, A actions, P padded actions. */
struct run {
    const struct learner_settings *set;
    struct network *net;
    struct rmsprop optimiser;
    struct mlp_pass policy, value;      /* N + 1 rows */
    float *x;                           /* [N + 1][F] */
    float *p;                           /* [N][P] probabilities of the actions */
    float *gradient;                    /* [n_params] */
    double *features;                   /* [F] */
    double *reward, *worth, *advantage; /* [N], [N + 1] by the value network, [N] */
    size_t *chosen;                     /* [N] */
    unsigned char *ended;               /* [N] */
    unsigned char *allowed;             /* [A] */
    struct stream stream;
    struct rng actions;
};

/* Put the observation into row t. */
static void observe(struct run *run, size_t t)
{
    float *x = run->x + t * run->net->n_features;
    stream_observe(&run->stream, run->features);
    for (size_t i = 0; i < run->net->n_features; i++)
        x[i] = (float)run->features[i];
}

/* Act N times with the network as it is; sessions that end are followed by the next one
 * at once. */
static void roll_out(struct run *run)
{
    const struct network *net = run->net;
    const struct mlp *policy = &net->mlps[NETWORK_POLICY];
    size_t n = (size_t)run->set->n_rollout;
    for (size_t t = 0; t < n; t++) {
        float *p = run->p + t * policy->n_wide;
        observe(run, t);
        stream_allowed(&run->stream, run->allowed);
        mlp_forward(
            policy, net->params, run->x + t * net->n_features, &run->policy, t, 1);
        mlp_softmax(
            run->policy.out + t * policy->n_wide, run->allowed, net->n_actions, p);
        run->chosen[t] = draw_action(p, net->n_actions, &run->actions);
        run->ended[t] =
            stream_step(&run->stream, run->chosen[t], &run->reward[t]) ? 1 : 0;
    }
    if (!run->ended[n - 1])
        observe(run, n);
}

/* The value network's worth of all rows; of the one behind the last step only where that
 * did not end its session, since nobody reads it else. */
static void ask_values(struct run *run)
{
    const struct network *net = run->net;
    const struct mlp *value = &net->mlps[NETWORK_VALUE];
    size_t n = (size_t)run->set->n_rollout, n_rows = n + (run->ended[n - 1] ? 0 : 1);
    mlp_forward(value, net->params, run->x, &run->value, 0, n_rows);
    run->worth[n] = 0;
    for (size_t t = 0; t < n_rows; t++)
        run->worth[t] = (double)run->value.out[t * value->n_wide];
}

/* One step on mean(-advantage * log p) + value_weight * mean((return - value)^2) -
 * entropy_weight * mean(entropy).  The network has not changed since the rollout, so its
 * passes are still those. */
static void update(struct run *run)
{
    const struct learner_settings *set = run->set;
    struct network *net = run->net;
    const struct mlp *policy = &net->mlps[NETWORK_POLICY],
                     *value = &net->mlps[NETWORK_VALUE];
    size_t n = (size_t)set->n_rollout;
    double share = 1 / (double)n;
    advantages(run->reward, run->worth, run->ended, n, set->gamma, set->gae_lambda,
        run->advantage);
    for (size_t t = 0; t < n; t++) {
        const float *p = run->p + t * policy->n_wide;
        float *d = run->policy.d_out + t * policy->n_wide;
        set_log_loss(d, p, net->n_actions, run->chosen[t], share * run->advantage[t]);
        if (set->entropy_weight > 0)
            add_entropy_loss(d, p, net->n_actions, share * set->entropy_weight);
        // The return is advantage + value, so return - value is the advantage itself.
        run->value.d_out[t * value->n_wide] =
            (float)(-2 * set->value_weight * share * run->advantage[t]);
    }
    mlp_backward(policy, net->params, run->x, &run->policy, n, run->gradient);
    mlp_backward(value, net->params, run->x, &run->value, n, run->gradient);
    float scale =
        gradient_scale(run->gradient, net->n_params, set->max_gradient_norm, NULL);
    rmsprop_step(&run->optimiser, run->gradient, scale, net->params);
}

static enum status run_init(void *arg, const struct environment *env,
    const struct learner_settings *set, uint64_t seed, struct network *net,
    struct error *err)
{
    struct run *run = arg;
    size_t n = (size_t)set->n_rollout;
    run->set = set;
    run->net = net;
    run->x = floats_new((n + 1) * net->n_features);
    run->p = floats_new(n * net->mlps[NETWORK_POLICY].n_wide);
    run->gradient = floats_new(net->n_params);
    run->features = calloc(net->n_features, sizeof *run->features);
    run->reward = calloc(3 * n + 1, sizeof *run->reward);
    run->chosen = calloc(n, sizeof *run->chosen);
    run->ended = calloc(n, sizeof *run->ended);
    run->allowed = calloc(net->n_actions, sizeof *run->allowed);
    if (!run->x || !run->p || !run->gradient || !run->features || !run->reward ||
        !run->chosen || !run->ended || !run->allowed)
        return error_nomem(err, (n + 1) * net->n_features * sizeof *run->x);
    run->worth = run->reward + n;
    run->advantage = run->worth + n + 1;
    enum status s = mlp_pass_init(&run->policy, &net->mlps[NETWORK_POLICY], n + 1, err);
    if (!s)
        s = mlp_pass_init(&run->value, &net->mlps[NETWORK_VALUE], n + 1, err);
    if (!s)
        s = rmsprop_init(&run->optimiser, net->n_params, set->learning_rate,
            set->rmsprop_alpha, set->rmsprop_epsilon, err);
    return s ? s : learner_begin(env, set, seed, net, &run->stream, &run->actions, err);
}

static void run_release(void *arg)
{
    struct run *run = arg;
    free(run->x);
    free(run->p);
    free(run->gradient);
    free(run->features);
    free(run->reward);
    free(run->chosen);
    free(run->ended);
    free(run->allowed);
    stream_release(&run->stream);
    mlp_pass_release(&run->policy);
    mlp_pass_release(&run->value);
    rmsprop_release(&run->optimiser);
}

static enum status advance(
    void *arg, struct learner_progress *progress, struct error *err)
{
    struct run *run = arg;
    roll_out(run);
    ask_values(run);
    update(run);
    return learner_advance(progress, run->set->n_rollout, err);
}

const struct learner_method a2c_method = { NETWORK_ACTOR_CRITIC, sizeof(struct run),
    run_init, advance, run_release };
