/* training.c - from config and seed to a trained policy. */
#include "m4a1/tmo/training.h"

#include <stdlib.h>
#include <string.h>

enum status training_prepare(struct training *t, const struct recorded *rec,
    const struct tmo_config *config, uint64_t seed, struct error *err)
{
    struct policy *policy = &t->policy;
    memset(t, 0, sizeof *t);
    t->rec = rec;
    policy->seed = seed;
    enum status s = tmo_config_copy(config, &policy->config, err);
    if (!s)
        s = policy_resolve(&policy->config, rec, err);
    policy->config.learner.steps = learner_whole_steps(&config->learner);
    if (!s)
        s = tmo_config_split(&policy->config, rec->data, seed, &policy->split, err);
    if (!s)
        s = recorded_indices(
            rec, policy->split.train, policy->split.n_train, &t->train, err);
    if (!s)
        s = recorded_indices(
            rec, policy->split.test, policy->split.n_test, &t->test, err);
    if (s)
        training_release(t);
    return s;
}

void training_release(struct training *t)
{
    environment_free(t->env);
    policy_release(&t->policy);
    free(t->train);
    free(t->test);
    memset(t, 0, sizeof *t);
}

enum status training_fit(struct training *t, struct error *err)
{
    const struct policy *policy = &t->policy;
    enum status s = environment_new(t->rec, &policy->config.environment, t->train,
        policy->split.n_train, &t->env, err);
    // Only recorded observations can be listed before training begins.
    if (!s && policy->config.environment.transitions == TRANSITIONS_RECORDED)
        s = environment_tabulate(t->env, err);
    return s;
}

enum status training_run(
    struct training *t, learner_report *report, void *arg, struct error *err)
{
    struct policy *policy = &t->policy;
    return learner_train(t->env, &policy->config.learner, policy->seed, report, arg,
        &policy->network, err);
}

void training_take(struct training *t, struct policy *loaded)
{
    network_release(&t->policy.network);
    t->policy.network = loaded->network;
    memset(&loaded->network, 0, sizeof loaded->network);
}
