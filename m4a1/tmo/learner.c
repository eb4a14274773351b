/* learner.c - defaults, names and ranges of settings, and the frame that all train in. */
#include "m4a1/tmo/learner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/tmo/a2c.h"
#include "m4a1/tmo/dqn.h"
#include "m4a1/tmo/ppo.h"

#define REPORT_EVERY 500 /* steps */

const char *const learner_names[N_LEARNERS] = { "a2c", "ppo", "dqn" };
static const struct learner_method *const methods[N_LEARNERS] = { &a2c_method,
    &ppo_method, &dqn_method };

struct learner_settings learner_published(enum learner_kind kind)
{
    struct learner_settings set = {
        .kind = kind,
        .steps = 30000,
        .learning_rate = 7e-4,
        .gamma = 0.99,
        .max_gradient_norm = 0.5,
        .n_rollout = 5,
        .gae_lambda = 1,
        .value_weight = 0.5,
        .rmsprop_alpha = 0.99,
        .rmsprop_epsilon = 1e-5,
        .batch_size = 64,
        .adam_epsilon = 1e-5,
        .learning_rate_last = 1,
        .entropy_last = 1,
        .n_epochs = 10,
        .clip_range = 0.2,
        .normalise_advantages = 1,
        .buffer_size = 1000000,
        .learning_starts = 100,
        .train_every = 4,
        .gradient_steps = 1,
        .target_every = 10000,
        .target_rate = 1,
        .exploration_share = 0.1,
        .exploration_first = 1,
        .exploration_last = 0.05,
    };
    if (kind == LEARNER_PPO) {
        set.learning_rate = 3e-4;
        set.n_rollout = 2048;
        set.gae_lambda = 0.95;
    } else if (kind == LEARNER_DQN) {
        set.learning_rate = 1e-4;
        set.max_gradient_norm = 10;
        set.batch_size = 32;
        set.adam_epsilon = 1e-8;
    }
    return set;
}

struct learner_settings learner_defaults(enum learner_kind kind)
{
    struct learner_settings set = learner_published(kind);
    set.recombine = 1;
    if (kind == LEARNER_PPO) {
        set.steps = 1000000;
        set.learning_rate = 3e-3;
        set.learning_rate_last = 0;
        set.entropy_weight = 0.05;
        set.entropy_last = 0;
        set.gamma = 0.95;
        set.batch_size = 256;
        set.n_epochs = 4;
    }
    return set;
}

/* ---- names and ranges ---- */

#define A2C LEARNER_BIT(LEARNER_A2C)
#define PPO LEARNER_BIT(LEARNER_PPO)
#define DQN LEARNER_BIT(LEARNER_DQN)
#define WHOLE(member, least, most, readers, meaning)                                     \
    {                                                                                    \
#member, LEARNER_INTEGER, offsetof(struct learner_settings, member), least,      \
            most, readers, meaning                                                       \
    }
#define REAL(member, least, most, readers, meaning)                                      \
    {                                                                                    \
#member, LEARNER_REAL, offsetof(struct learner_settings, member), least, most,   \
            readers, meaning                                                             \
    }

const struct learner_field learner_fields[] = {
    WHOLE(steps, 1, 1e12, A2C | PPO | DQN, "environment steps, rounded up to rollouts"),
    REAL(learning_rate, 1e-9, 1, A2C | PPO | DQN, "step length of the optimiser"),
    REAL(gamma, 0, 1, A2C | PPO | DQN, "discount of the next step"),
    REAL(max_gradient_norm, 1e-6, 1e6, A2C | PPO | DQN,
        "longer gradients are shortened to this Euclidean norm"),
    WHOLE(recombine, 0, 1, A2C | PPO | DQN,
        "1 = sessions are put together from turns of training sessions (transitions of "
        "the model only), 0 = as they are"),
    WHOLE(n_rollout, 1, 65536, A2C | PPO, "steps between two updates"),
    REAL(gae_lambda, 0, 1, A2C | PPO, "lambda of generalised advantage estimation"),
    REAL(value_weight, 0, 1e3, A2C | PPO, "weight of the value's squared error"),
    REAL(entropy_weight, 0, 1e3, A2C | PPO, "weight of the policy's entropy"),
    REAL(rmsprop_alpha, 0, 1, A2C, "decay of the running squared gradient"),
    REAL(rmsprop_epsilon, 1e-12, 1, A2C, "added behind the root"),
    WHOLE(batch_size, 1, 65536, PPO | DQN, "steps of one gradient"),
    REAL(adam_epsilon, 1e-12, 1, PPO | DQN, "added behind the root"),
    REAL(learning_rate_last, 0, 1, PPO,
        "share of learning_rate that is left at the last step; it falls evenly"),
    REAL(entropy_last, 0, 1, PPO, "the same of entropy_weight"),
    WHOLE(n_epochs, 1, 1000, PPO, "passes over a rollout"),
    REAL(clip_range, 1e-6, 10, PPO, "how far a probability ratio counts from 1"),
    WHOLE(normalise_advantages, 0, 1, PPO,
        "1 = mean 0 and deviation 1 in each batch, 0 = as they are"),
    WHOLE(buffer_size, 1, 1e8, DQN, "steps that the replay holds"),
    WHOLE(learning_starts, 0, 1e12, DQN, "steps before the first gradient"),
    WHOLE(train_every, 1, 1e9, DQN, "steps between two trainings"),
    WHOLE(gradient_steps, 1, 1e6, DQN, "gradients of one training"),
    WHOLE(target_every, 1, 1e12, DQN, "steps between two copies to the target network"),
    REAL(target_rate, 1e-6, 1, DQN, "share of the new weights in such a copy"),
    REAL(exploration_share, 0, 1, DQN, "share of the steps in which epsilon falls"),
    REAL(exploration_first, 0, 1, DQN, "epsilon at the start"),
    REAL(exploration_last, 0, 1, DQN, "epsilon behind exploration_share"),
};
const size_t n_learner_fields = sizeof learner_fields / sizeof *learner_fields;

double learner_get(
    const struct learner_settings *settings, const struct learner_field *field)
{
    const char *at = (const char *)settings + field->offset;
    if (field->type == LEARNER_REAL) {
        double x;
        memcpy(&x, at, sizeof x);
        return x;
    }
    int64_t x;
    memcpy(&x, at, sizeof x);
    return (double)x;
}

enum status learner_set(struct learner_settings *settings,
    const struct learner_field *field, double value, struct error *err)
{
    char *at = (char *)settings + field->offset;
    int whole = field->type == LEARNER_INTEGER;
    if (!(value >= field->least && value <= field->most) ||
        (whole && value != floor(value)))
        return error_set(err, E_ARG, "%s: %g is not a %snumber from %g to %g (%s)",
            field->name, value, whole ? "whole " : "", field->least, field->most,
            field->meaning);
    if (whole) {
        int64_t x = (int64_t)value;
        memcpy(at, &x, sizeof x);
    } else {
        memcpy(at, &value, sizeof value);
    }
    return OK;
}

const struct learner_field *learner_field(enum learner_kind kind, const char *name)
{
    for (size_t i = 0; i < n_learner_fields; i++)
        if ((learner_fields[i].readers & LEARNER_BIT(kind)) &&
            strcmp(learner_fields[i].name, name) == 0)
            return &learner_fields[i];
    return NULL;
}

enum status learner_check(const struct learner_settings *settings, struct error *err)
{
    struct learner_settings copy = *settings;
    enum status s = OK;
    if ((unsigned)settings->kind >= N_LEARNERS)
        return error_set(
            err, E_ARG, "learner %d is none of a2c, ppo, dqn", (int)settings->kind);
    for (size_t i = 0; i < n_learner_fields && !s; i++)
        if (learner_fields[i].readers & LEARNER_BIT(settings->kind))
            s = learner_set(&copy, &learner_fields[i],
                learner_get(settings, &learner_fields[i]), err);
    return s;
}

int64_t learner_whole_steps(const struct learner_settings *settings)
{
    int64_t n = settings->kind == LEARNER_DQN ? 1 : settings->n_rollout;
    return settings->steps + (n - settings->steps % n) % n;
}

/* ---- training ---- */

enum status learner_advance(struct learner_progress *p, int64_t n, struct error *err)
{
    p->n_done += n;
    if (!p->report || (p->n_done - p->n_reported < REPORT_EVERY && p->n_done < p->n_all))
        return OK;
    int64_t since = p->n_done - p->n_reported;
    p->n_reported = p->n_done;
    if (p->report(p->arg, since))
        return error_set(err, E_INTERRUPTED,
            "training stopped after %lld of %lld steps; nothing of it is kept",
            (long long)p->n_done, (long long)p->n_all);
    return OK;
}

enum status learner_begin(const struct environment *env,
    const struct learner_settings *set, uint64_t seed, struct network *net,
    struct stream *stream, struct rng *actions, struct error *err)
{
    const char *name = learner_names[set->kind];
    char purpose[32];
    struct rng init;
    snprintf(purpose, sizeof purpose, "%s/init", name);
    rng_init(&init, seed, purpose, 0);
    snprintf(purpose, sizeof purpose, "%s/actions", name);
    rng_init(actions, seed, purpose, 0);
    stream_init(stream, env, seed);
    enum status s = set->recombine ? stream_recombine(stream, err) : OK;
    return s ? s : network_draw(net, &init, err);
}

enum status learner_train(const struct environment *env,
    const struct learner_settings *settings, uint64_t seed, learner_report *report,
    void *arg, struct network *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    enum status s = learner_check(settings, err);
    if (s)
        return s;
    const struct learner_method *method = methods[settings->kind];
    struct learner_progress progress = { report, arg, learner_whole_steps(settings), 0,
        0 };
    void *run = calloc(1, method->run_size);
    if (!run)
        return error_nomem(err, method->run_size);
    s = network_init(out, method->network, env->n_features, env->n_actions, err);
    if (!s)
        s = method->init(run, env, settings, seed, out, err);
    while (!s && progress.n_done < progress.n_all)
        s = method->advance(run, &progress, err);
    if (!s)
        s = network_check(out, err);
    method->release(run);
    free(run);
    if (s)
        network_release(out);
    return s;
}
