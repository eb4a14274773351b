/* policy_case.c - see policy_case.h. */
#include "tests/support/policy_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "tests/support/tmo_data.h"

static const double scores[2][2] = { { 1, 2 }, { 3, 4 } };

struct policy_case policy_case_make(const char *config, size_t n_turns)
{
    struct policy_case c = { .data = simple_dataset(10, n_turns, scores) };
    struct policy *policy = &c.policy;
    struct error err = ERROR_INIT;
    struct json *json;
    struct rng rng;
    size_t *train;
    policy->seed = 12;
    tmo_config_init(&policy->config, 0);
    enum status s = json_parse(config, strlen(config), "config", 0, &json, &err);
    if (!s)
        s = tmo_config_read(&policy->config, json, "config", &err);
    if (!s)
        s = tmo_config_settle(&policy->config, &err);
    if (!s)
        s = tmo_config_record(&policy->config, c.data, &c.rec, &err);
    if (!s)
        s = tmo_config_split(&policy->config, c.data, 12, &policy->split, &err);
    if (!s)
        s = recorded_indices(
            c.rec, policy->split.train, policy->split.n_train, &train, &err);
    if (s)
        fail_msg("%s", err.msg);
    s = environment_new(
        c.rec, &policy->config.environment, train, policy->split.n_train, &c.env, &err);
    if (!s)
        s = network_init(&policy->network,
            policy->config.learner.kind == LEARNER_DQN ? NETWORK_Q : NETWORK_ACTOR_CRITIC,
            c.env->n_features, c.env->n_actions, &err);
    rng_init(&rng, 1, "test/policy", 0);
    if (!s)
        s = network_draw(&policy->network, &rng, &err);
    if (s)
        fail_msg("%s", err.msg);
    // Sharper than what learning starts with, so that probabilities differ.
    struct network_part parts[NETWORK_MAX_PARTS];
    size_t n = network_parts(&policy->network, parts);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < parts[i].n_rows; r++)
            for (size_t k = 0; k < parts[i].n_columns; k++)
                policy->network.params[parts[i].at + r * parts[i].row_step +
                                       k * parts[i].column_step] +=
                    (float)rng_normal(&rng) / 3;
    free(train);
    json_free(json);
    return c;
}

void policy_case_release(struct policy_case *c)
{
    policy_release(&c->policy);
    environment_free(c->env);
    recorded_free(c->rec);
    dataset_free(c->data);
}

void policy_case_save(const struct policy_case *c, const char *path)
{
    struct error err = ERROR_INIT;
    if (policy_save(&c->policy, c->env, path, &err))
        fail_msg("%s", err.msg);
}
