/* dqn.c - act greedily but for epsilon, store every step, learn from stored ones. */
#include "m4a1/tmo/dqn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/adam.h"

/* ---- one batch ---- */

enum status dqn_batch_init(struct dqn_batch *batch, const struct network *net,
    size_t capacity, struct error *err)
{
    *batch = (struct dqn_batch) {
        .rows = calloc(3 * capacity, sizeof *batch->rows),
        .x = floats_new(capacity * net->n_features),
        .target = calloc(capacity, sizeof *batch->target),
    };
    enum status s = OK;
    if (!batch->rows || !batch->x || !batch->target)
        s = error_nomem(err, capacity * net->n_features * sizeof *batch->x);
    if (!s)
        s = mlp_pass_init(&batch->pass, &net->mlps[0], capacity, err);
    if (s) {
        dqn_batch_release(batch);
        return s;
    }
    batch->chosen = batch->rows + capacity;
    batch->missing = batch->chosen + capacity;
    return OK;
}

void dqn_batch_release(struct dqn_batch *batch)
{
    free(batch->rows); // and the two behind it
    free(batch->x);
    free(batch->target);
    mlp_pass_release(&batch->pass);
    *batch = (struct dqn_batch) { 0 };
}

/* The action of the greatest value among those allowed (NULL = all), the first among
 * equals. */
static size_t best_of(const float *values, const unsigned char *allowed, size_t n)
{
    size_t best = n;
    for (size_t a = 0; a < n; a++)
        if ((!allowed || allowed[a]) && (best == n || values[a] > values[best]))
            best = a;
    return best;
}

static void put_row(struct dqn_batch *batch, size_t i, const struct replay *r, size_t row)
{
    memcpy(batch->x + i * r->n_features, r->x + row * r->n_features,
        r->n_features * sizeof *r->x);
}

/* Ask the target network about the states behind the batch's steps that it was not asked
 * about before. */
static void ask_missing(const struct network *net, const float *target_params,
    int64_t version, struct replay *r, struct dqn_batch *batch)
{
    const struct mlp *q = &net->mlps[0];
    size_t n = 0;
    for (size_t i = 0; i < batch->n; i++) {
        size_t row = batch->rows[i];
        if (r->ended[row] || r->asked[row] == version)
            continue;
        r->asked[row] = version;
        put_row(batch, n, r, replay_next(r, row));
        batch->missing[n++] = row;
    }
    mlp_forward(q, target_params, batch->x, &batch->pass, 0, n);
    for (size_t i = 0; i < n; i++) {
        const float *values = batch->pass.out + i * q->n_wide;
        size_t next = replay_next(r, batch->missing[i]);
        const unsigned char *allowed =
            r->masked ? r->allowed + next * r->n_actions : NULL;
        r->worth[batch->missing[i]] =
            (double)values[best_of(values, allowed, net->n_actions)];
    }
}

void dqn_targets(const struct network *net, const float *target_params, int64_t version,
    double gamma, struct replay *replay, struct dqn_batch *batch)
{
    ask_missing(net, target_params, version, replay, batch);
    for (size_t i = 0; i < batch->n; i++) {
        size_t row = batch->rows[i];
        put_row(batch, i, replay, row);
        batch->chosen[i] = replay->chosen[row];
        batch->target[i] =
            replay->reward[row] + (replay->ended[row] ? 0 : gamma * replay->worth[row]);
    }
}

double dqn_gradient(const struct network *net, struct dqn_batch *batch, float *gradient)
{
    const struct mlp *q = &net->mlps[0];
    double share = 1 / (double)batch->n, loss = 0;
    mlp_forward(q, net->params, batch->x, &batch->pass, 0, batch->n);
    memset(batch->pass.d_out, 0, batch->n * q->n_wide * sizeof *batch->pass.d_out);
    for (size_t i = 0; i < batch->n; i++) {
        size_t at = i * q->n_wide + batch->chosen[i];
        double error = (double)batch->pass.out[at] - batch->target[i], size = fabs(error);
        loss += share * (size < 1 ? size * size / 2 : size - 0.5);
        batch->pass.d_out[at] = (float)(share * (error < -1     ? -1
                                                    : error > 1 ? 1
                                                                : error));
    }
    mlp_backward(q, net->params, batch->x, &batch->pass, batch->n, gradient);
    return loss;
}

/* ---- a run ---- */

/* All that a run needs beside the network; released together. */
struct run {
    const struct learner_settings *set;
    struct network *net;
    struct adam optimiser;
    struct replay replay;
    struct dqn_batch batch;
    float *target_params; /* [n_params] */
    int64_t version;      /* of these */
    float *gradient;      /* [n_params] */
    float *x;             /* [F] */
    float *values;        /* [P] */
    double *features;     /* [F] */
    unsigned char *allowed;
    struct stream stream;
    struct rng actions, batches;
};

/* The share of random actions behind n steps. */
static double epsilon_at(const struct learner_settings *set, int64_t n)
{
    double done = (double)n / (double)set->steps;
    if (done >= set->exploration_share)
        return set->exploration_last;
    return set->exploration_first + (set->exploration_last - set->exploration_first) *
                                        done / set->exploration_share;
}

/* One of the allowed actions uniformly. */
static size_t draw_allowed(const unsigned char *allowed, size_t n, struct rng *rng)
{
    size_t n_allowed = 0, a = 0;
    for (size_t i = 0; i < n; i++)
        n_allowed += allowed[i];
    for (size_t skip = (size_t)rng_below(rng, n_allowed);; a++)
        if (allowed[a] && skip-- == 0)
            return a;
}

/* Make step n (counted from 0) and store it. */
static enum status act(struct run *run, int64_t n, struct error *err)
{
    const struct learner_settings *set = run->set;
    const struct network *net = run->net;
    double reward;
    size_t action;
    stream_observe(&run->stream, run->features);
    stream_allowed(&run->stream, run->allowed);
    for (size_t i = 0; i < net->n_features; i++)
        run->x[i] = (float)run->features[i];
    enum status s = replay_observe(&run->replay, run->x, run->allowed, err);
    if (s)
        return s;
    if (n < set->learning_starts || rng_uniform(&run->actions) < epsilon_at(set, n)) {
        action = draw_allowed(run->allowed, net->n_actions, &run->actions);
    } else {
        mlp_values(&net->mlps[0], net->params, run->x, run->values);
        action = best_of(run->values, run->allowed, net->n_actions);
    }
    int ended = stream_step(&run->stream, action, &reward);
    replay_act(&run->replay, action, reward, ended);
    return OK;
}

static void update_target(struct run *run)
{
    float rate = (float)run->set->target_rate, rest = (float)(1 - run->set->target_rate);
    for (size_t i = 0; i < run->net->n_params; i++)
        run->target_params[i] = rest * run->target_params[i] + rate * run->net->params[i];
    run->version++;
}

static enum status learn(struct run *run, struct error *err)
{
    struct network *net = run->net;
    struct replay *r = &run->replay;
    // The last stored step may be followed by what is only about to be observed.
    stream_observe(&run->stream, run->features);
    stream_allowed(&run->stream, run->allowed);
    for (size_t i = 0; i < net->n_features; i++)
        run->x[i] = (float)run->features[i];
    enum status s = replay_observe(r, run->x, run->allowed, err);
    for (int64_t g = 0; !s && g < run->set->gradient_steps; g++) {
        for (size_t i = 0; i < run->batch.n; i++)
            run->batch.rows[i] = replay_draw(r, &run->batches);
        dqn_targets(
            net, run->target_params, run->version, run->set->gamma, r, &run->batch);
        dqn_gradient(net, &run->batch, run->gradient);
        float scale = gradient_scale(
            run->gradient, net->n_params, run->set->max_gradient_norm, NULL);
        adam_step(&run->optimiser, run->gradient, scale, net->params);
    }
    return s;
}

static enum status run_init(void *arg, const struct environment *env,
    const struct learner_settings *set, uint64_t seed, struct network *net,
    struct error *err)
{
    struct run *run = arg;
    run->set = set;
    run->net = net;
    run->target_params = floats_new(net->n_params);
    run->gradient = floats_new(net->n_params);
    run->x = floats_new(net->n_features);
    run->values = floats_new(net->mlps[0].n_wide);
    run->features = calloc(net->n_features, sizeof *run->features);
    run->allowed = calloc(net->n_actions, sizeof *run->allowed);
    if (!run->target_params || !run->gradient || !run->x || !run->values ||
        !run->features || !run->allowed)
        return error_nomem(err, 2 * net->n_params * sizeof *run->gradient);
    replay_init(&run->replay, net->n_features, net->n_actions, (size_t)set->buffer_size,
        stream_is_masked(env));
    enum status s = dqn_batch_init(&run->batch, net, (size_t)set->batch_size, err);
    if (!s)
        s = adam_init(
            &run->optimiser, net->n_params, set->learning_rate, set->adam_epsilon, err);
    if (!s)
        s = learner_begin(env, set, seed, net, &run->stream, &run->actions, err);
    rng_init(&run->batches, seed, "dqn/batches", 0);
    run->batch.n = (size_t)set->batch_size;
    if (!s)
        memcpy(run->target_params, net->params, net->n_params * sizeof *net->params);
    run->version = 1;
    return s;
}

static void run_release(void *arg)
{
    struct run *run = arg;
    free(run->target_params);
    free(run->gradient);
    free(run->x);
    free(run->values);
    free(run->features);
    free(run->allowed);
    replay_release(&run->replay);
    dqn_batch_release(&run->batch);
    adam_release(&run->optimiser);
    stream_release(&run->stream);
}

static enum status advance(
    void *arg, struct learner_progress *progress, struct error *err)
{
    struct run *run = arg;
    const struct learner_settings *set = run->set;
    enum status s = act(run, progress->n_done, err);
    if (!s)
        s = learner_advance(progress, 1, err);
    if (!s && progress->n_done % set->target_every == 0)
        update_target(run);
    if (!s && progress->n_done % set->train_every == 0 &&
        progress->n_done > set->learning_starts)
        s = learn(run, err);
    return s;
}

const struct learner_method dqn_method = { NETWORK_Q, sizeof(struct run), run_init,
    advance, run_release };
