/* ppo.c - long rollouts, then several passes over each in batches drawn at random. */
#include "m4a1/tmo/ppo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/adam.h"
#include "m4a1/tmo/advantage.h"

/* ---- one batch ---- */

enum status ppo_batch_init(struct ppo_batch *batch, const struct network *net,
    size_t capacity, int masked, struct error *err)
{
    enum status s = OK;
    *batch = (struct ppo_batch) {
        .x = floats_new(capacity * net->n_features),
        .p = floats_new(net->mlps[NETWORK_POLICY].n_wide),
        .chosen = calloc(capacity, sizeof *batch->chosen),
        .allowed = masked ? malloc(capacity * net->n_actions) : NULL,
        .p_old = calloc(3 * capacity, sizeof *batch->p_old),
    };
    if (!batch->x || !batch->p || !batch->chosen || (masked && !batch->allowed) ||
        !batch->p_old)
        s = error_nomem(err, capacity * net->n_features * sizeof *batch->x);
    if (!s)
        s = mlp_pass_init(&batch->policy, &net->mlps[NETWORK_POLICY], capacity, err);
    if (!s)
        s = mlp_pass_init(&batch->value, &net->mlps[NETWORK_VALUE], capacity, err);
    if (s) {
        ppo_batch_release(batch);
        return s;
    }
    batch->advantage = batch->p_old + capacity;
    batch->target = batch->advantage + capacity;
    return OK;
}

void ppo_batch_release(struct ppo_batch *batch)
{
    free(batch->x);
    free(batch->p);
    free(batch->chosen);
    free(batch->allowed);
    free(batch->p_old); // and the two behind it
    mlp_pass_release(&batch->policy);
    mlp_pass_release(&batch->value);
    *batch = (struct ppo_batch) { 0 };
}

/* Mean 0 and deviation 1; one number alone has no deviation, and stays. */
static void normalise(double *x, size_t n)
{
    double mean = 0, square = 0;
    if (n < 2)
        return;
    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    double deviation = sqrt(square / (double)(n - 1));
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - mean) / (deviation + 1e-8);
}

/* Step i of the loss: d [A], the derivatives by its logits, whose softmax is p. */
static void policy_step(const struct learner_settings *set, const struct ppo_batch *batch,
    size_t i, size_t n_actions, float *d, struct ppo_loss *loss)
{
    const float *p = batch->p;
    double share = 1 / (double)batch->n, advantage = batch->advantage[i];
    double ratio = (double)p[batch->chosen[i]] / batch->p_old[i];
    double least = 1 - set->clip_range, most = 1 + set->clip_range;
    double held = ratio < least ? least : ratio > most ? most : ratio;
    // The lesser of both counts; where that is the one held fast, nothing moves.
    int moves = ratio * advantage <= held * advantage;
    loss->policy -= share * (moves ? ratio : held) * advantage;
    loss->clipped += moves ? 0 : share;
    double pull = moves ? share * advantage * ratio : 0;
    for (size_t a = 0; a < n_actions; a++)
        d[a] = (float)(pull * (double)p[a]);
    d[batch->chosen[i]] -= (float)pull;
    if (set->entropy_weight > 0)
        loss->entropy +=
            share * add_entropy_loss(d, p, n_actions, share * set->entropy_weight);
}

void ppo_gradient(const struct network *net, const struct learner_settings *settings,
    struct ppo_batch *batch, float *gradient, struct ppo_loss *loss)
{
    const struct mlp *policy = &net->mlps[NETWORK_POLICY];
    const struct mlp *value = &net->mlps[NETWORK_VALUE];
    size_t n = batch->n, n_actions = net->n_actions;
    double share = 1 / (double)n;
    *loss = (struct ppo_loss) { 0 };
    if (settings->normalise_advantages)
        normalise(batch->advantage, n);
    mlp_forward(policy, net->params, batch->x, &batch->policy, 0, n);
    mlp_forward(value, net->params, batch->x, &batch->value, 0, n);
    for (size_t i = 0; i < n; i++) {
        mlp_softmax(batch->policy.out + i * policy->n_wide,
            batch->allowed ? batch->allowed + i * n_actions : NULL, n_actions, batch->p);
        policy_step(settings, batch, i, n_actions,
            batch->policy.d_out + i * policy->n_wide, loss);
        double error = (double)batch->value.out[i * value->n_wide] - batch->target[i];
        batch->value.d_out[i * value->n_wide] =
            (float)(2 * settings->value_weight * share * error);
        loss->value += share * error * error;
    }
    mlp_backward(policy, net->params, batch->x, &batch->policy, n, gradient);
    mlp_backward(value, net->params, batch->x, &batch->value, n, gradient);
}

/* ---- a run ---- */

/* All that a run needs beside the network; released together.  N steps of a rollout. */
struct run {
    const struct learner_settings *set;
    struct learner_settings now; /* the same, with what has fallen so far */
    struct network *net;
    struct adam optimiser;
    struct ppo_batch batch;
    float *x;               /* [N + 1][F] */
    float *gradient;        /* [n_params] */
    double *features;       /* [F] */
    double *reward, *p_old; /* [N] */
    double *worth;          /* [N + 1] by the value network */
    double *advantage;      /* [N] */
    size_t *chosen, *order; /* [N] */
    unsigned char *ended;   /* [N] */
    unsigned char *allowed; /* [N][A]; [A] where nothing is masked */
    int masked;
    struct stream stream;
    struct rng actions, batches;
};

static void observe(struct run *run, size_t t)
{
    float *x = run->x + t * run->net->n_features;
    stream_observe(&run->stream, run->features);
    for (size_t i = 0; i < run->net->n_features; i++)
        x[i] = (float)run->features[i];
}

/* Act N times with the network as it is. */
static void roll_out(struct run *run)
{
    const struct network *net = run->net;
    const struct mlp *policy = &net->mlps[NETWORK_POLICY];
    struct ppo_batch *batch = &run->batch;
    size_t n = (size_t)run->set->n_rollout;
    for (size_t t = 0; t < n; t++) {
        unsigned char *allowed = run->allowed + (run->masked ? t * net->n_actions : 0);
        observe(run, t);
        stream_allowed(&run->stream, allowed);
        mlp_forward(
            policy, net->params, run->x + t * net->n_features, &batch->policy, 0, 1);
        mlp_softmax(batch->policy.out, allowed, net->n_actions, batch->p);
        run->chosen[t] = draw_action(batch->p, net->n_actions, &run->actions);
        run->p_old[t] = (double)batch->p[run->chosen[t]];
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
    struct mlp_pass *pass = &run->batch.value;
    size_t n = (size_t)run->set->n_rollout, n_rows = n + (run->ended[n - 1] ? 0 : 1);
    run->worth[n] = 0;
    for (size_t first = 0; first < n_rows; first += pass->capacity) {
        size_t rest = n_rows - first, m = rest < pass->capacity ? rest : pass->capacity;
        mlp_forward(value, net->params, run->x + first * net->n_features, pass, 0, m);
        for (size_t i = 0; i < m; i++)
            run->worth[first + i] = (double)pass->out[i * value->n_wide];
    }
}

/* Put the steps order[0 .. n) of the rollout into the batch. */
static void gather(struct run *run, const size_t *order, size_t n)
{
    struct ppo_batch *batch = &run->batch;
    size_t n_features = run->net->n_features, n_actions = run->net->n_actions;
    batch->n = n;
    for (size_t i = 0; i < n; i++) {
        size_t t = order[i];
        memcpy(batch->x + i * n_features, run->x + t * n_features,
            n_features * sizeof *batch->x);
        if (run->masked)
            memcpy(
                batch->allowed + i * n_actions, run->allowed + t * n_actions, n_actions);
        batch->chosen[i] = run->chosen[t];
        batch->p_old[i] = run->p_old[t];
        batch->advantage[i] = run->advantage[t];
        batch->target[i] = run->advantage[t] + run->worth[t];
    }
}

/* Let the learning rate and the entropy weight fall: `done` is the share of the steps that
 * lie behind. */
static void anneal(struct run *run, double done)
{
    const struct learner_settings *set = run->set;
    run->optimiser.rate = set->learning_rate * (1 - done * (1 - set->learning_rate_last));
    run->now.entropy_weight = set->entropy_weight * (1 - done * (1 - set->entropy_last));
}

/* All passes over the rollout; the last batch of each may be smaller. */
static void learn(struct run *run)
{
    const struct learner_settings *set = run->set;
    struct network *net = run->net;
    size_t n = (size_t)set->n_rollout, size = run->batch.policy.capacity;
    struct ppo_loss loss;
    advantages(run->reward, run->worth, run->ended, n, set->gamma, set->gae_lambda,
        run->advantage);
    for (int64_t epoch = 0; epoch < set->n_epochs; epoch++) {
        for (size_t i = 0; i < n; i++)
            run->order[i] = i;
        rng_shuffle(&run->batches, run->order, n);
        for (size_t first = 0; first < n; first += size) {
            gather(run, run->order + first, n - first < size ? n - first : size);
            ppo_gradient(net, &run->now, &run->batch, run->gradient, &loss);
            float scale = gradient_scale(
                run->gradient, net->n_params, set->max_gradient_norm, NULL);
            adam_step(&run->optimiser, run->gradient, scale, net->params);
        }
    }
}

static enum status run_init(void *arg, const struct environment *env,
    const struct learner_settings *set, uint64_t seed, struct network *net,
    struct error *err)
{
    struct run *run = arg;
    size_t n = (size_t)set->n_rollout, size = (size_t)set->batch_size;
    run->set = set;
    run->now = *set;
    run->net = net;
    run->masked = stream_is_masked(env);
    run->x = floats_new((n + 1) * net->n_features);
    run->gradient = floats_new(net->n_params);
    run->features = calloc(net->n_features, sizeof *run->features);
    run->reward = calloc(4 * n + 1, sizeof *run->reward);
    run->chosen = calloc(2 * n, sizeof *run->chosen);
    run->ended = calloc(n, sizeof *run->ended);
    run->allowed = calloc(run->masked ? n : 1, net->n_actions);
    if (!run->x || !run->gradient || !run->features || !run->reward || !run->chosen ||
        !run->ended || !run->allowed)
        return error_nomem(err, (n + 1) * net->n_features * sizeof *run->x);
    run->p_old = run->reward + n;
    run->advantage = run->p_old + n;
    run->worth = run->advantage + n;
    run->order = run->chosen + n;
    enum status s =
        ppo_batch_init(&run->batch, net, size < n ? size : n, run->masked, err);
    if (!s)
        s = adam_init(
            &run->optimiser, net->n_params, set->learning_rate, set->adam_epsilon, err);
    rng_init(&run->batches, seed, "ppo/batches", 0);
    return s ? s : learner_begin(env, set, seed, net, &run->stream, &run->actions, err);
}

static void run_release(void *arg)
{
    struct run *run = arg;
    free(run->x);
    free(run->gradient);
    free(run->features);
    free(run->reward); // and the three behind it
    free(run->chosen); // and the order
    free(run->ended);
    free(run->allowed);
    ppo_batch_release(&run->batch);
    adam_release(&run->optimiser);
    stream_release(&run->stream);
}

static enum status advance(
    void *arg, struct learner_progress *progress, struct error *err)
{
    struct run *run = arg;
    roll_out(run);
    ask_values(run);
    anneal(run, (double)progress->n_done / (double)progress->n_all);
    learn(run);
    return learner_advance(progress, run->set->n_rollout, err);
}

const struct learner_method ppo_method = { NETWORK_ACTOR_CRITIC, sizeof(struct run),
    run_init, advance, run_release };
