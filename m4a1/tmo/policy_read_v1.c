/* policy_read_v1.c - policy files of version 1: A2C in the published world. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/tmo/policy_parts.h"

#define MAX_ROLLOUT 65536

static enum status read_learner(
    const struct policy_place *at, const struct json *root, struct learner_settings *out)
{
    const struct json *o = json_get(root, "learner");
    double steps;
    size_t n_rollout;
    if (strcmp(json_text(json_get(o, "name"), ""), "a2c") != 0)
        return policy_broken(at, "learner.name", "\"a2c\"");
    enum status s = policy_number(at, o, "steps", 1, 1e15, &steps);
    out->steps = s ? 0 : (int64_t)steps;
    if (!s)
        s = policy_count(at, o, "rollout_steps", MAX_ROLLOUT, &n_rollout);
    out->n_rollout = s ? 0 : (int64_t)n_rollout;
    const struct {
        const char *key;
        double *value;
    } numbers[] = {
        { "gamma", &out->gamma },
        { "gae_lambda", &out->gae_lambda },
        { "value_weight", &out->value_weight },
        { "max_gradient_norm", &out->max_gradient_norm },
        { "learning_rate", &out->learning_rate },
        { "rmsprop_alpha", &out->rmsprop_alpha },
        { "rmsprop_epsilon", &out->rmsprop_epsilon },
    };
    for (size_t i = 0; i < COUNT_OF(numbers) && !s; i++)
        s = policy_number(at, o, numbers[i].key, 0, 1e9, numbers[i].value);
    return s;
}

/* Nobody trained version 1 with another reward. */
static enum status compare_term(
    const struct policy_place *at, const char *key, double found, double published)
{
    char theirs[32], ours[32];
    if (found == published)
        return OK;
    return error_set(at->err, E_DATA,
        "%s: reward.%s is %s, and the environment \"as-published\" has %s; no policy of "
        "version 1 is trained with another reward, so the file was changed: take it as "
        "m4a1 train wrote it, or train again",
        at->file, key, text_double(found, theirs), text_double(published, ours));
}

static enum status read_reward(const struct policy_place *at, const struct json *root,
    const struct environment_settings *set)
{
    const struct json *reward = json_get(root, "reward");
    const struct {
        const char *key;
        double published;
    } numbers[] = {
        { "response", set->alpha },
        { "association", set->beta_association },
        { "latency", set->beta_latency },
        { "usage", set->beta_usage },
        { "latency_budget_s", set->constraints[0].budget },
        { "usage_budget_usd", set->constraints[1].budget },
    };
    enum status s = OK;
    for (size_t i = 0; i < COUNT_OF(numbers) && !s; i++) {
        double x;
        s = policy_number(at, reward, numbers[i].key, 0, 1e9, &x);
        if (!s)
            s = compare_term(at, numbers[i].key, x, numbers[i].published);
    }
    return s;
}

/* Two llms, the views of the data with the level that the published data have. */
static enum status read_about(
    const struct policy_place *at, const struct json *o, struct dataset *about)
{
    static const char *const roles[] = { "local", "cloud" };
    enum status s = policy_names(at, json_get(o, "views"), "data.views", SPACE_MAX_VIEWS,
        &about->views, &about->n_views);
    if (!s)
        s = policy_names(at, json_get(o, "tasks"), "data.tasks", SPACE_MAX_TASKS,
            &about->tasks, &about->n_tasks);
    if (s)
        return s;
    about->privacy = calloc(about->n_views + 1, sizeof *about->privacy);
    about->llms = calloc(2, sizeof *about->llms);
    if (!about->privacy || !about->llms)
        return error_nomem(at->err, about->n_views * sizeof *about->privacy);
    for (size_t v = 0; v < about->n_views; v++)
        about->privacy[v] = 1;
    for (int i = 0; i < 2; i++) {
        const char *name = json_text(json_get(o, roles[i]), NULL);
        if (!name)
            return policy_broken(at, roles[i], "an llm's name");
        about->llms[about->n_llms++] =
            (struct dataset_llm) { .name = text_copy(name), .cloud = i };
        if (!about->llms[i].name)
            return error_nomem(at->err, 64);
    }
    return OK;
}

/* [local, cloud without views, ...] as a table by llm. */
static enum status read_costs(
    const struct policy_place *at, const struct json *o, struct policy *out)
{
    const struct json *latency = json_get(o, "latency_s"),
                      *usage = json_get(o, "usage_usd");
    size_t n_kinds = out->about->n_views + 2;
    if (json_size(latency) != n_kinds || json_size(usage) != n_kinds)
        return policy_broken(at, "costs", "the costs of each kind of action");
    struct cost_table *table = out->costs = calloc(1, sizeof *table);
    if (table)
        table->rows = calloc(2, sizeof *table->rows);
    if (!table || !table->rows)
        return error_nomem(at->err, 2 * sizeof *table->rows);
    for (size_t i = 0; i < 2; i++) {
        struct cost_row *row = &table->rows[table->n_rows++];
        row->llm = text_copy(out->about->llms[i].name);
        if (!row->llm)
            return error_nomem(at->err, 64);
        for (size_t n = 0; n < COST_CELLS; n++) {
            size_t kind = i + n;
            int is_there = i ? kind < n_kinds : n == 0;
            row->latency_s[n] = row->latency_reserve_s[n] =
                is_there ? json_number(json_at(latency, kind), NAN) : NAN;
            row->usage_usd[n] = row->usage_reserve_usd[n] =
                is_there ? json_number(json_at(usage, kind), NAN) : NAN;
        }
    }
    return OK;
}

static enum status read_profiles(
    const struct policy_place *at, const struct json *costs, struct costs_settings *out)
{
    const struct costs_device *device;
    const struct costs_network *network;
    enum status s =
        costs_find_device(json_text(json_get(costs, "device"), ""), &device, at->err);
    if (!s)
        s = costs_find_network(
            json_text(json_get(costs, "network"), ""), &network, at->err);
    if (s) {
        error_prefix(at->err, "%s: costs: ", at->file);
        return E_DATA;
    }
    out->device = device->name;
    out->network = network->name;
    return OK;
}

static enum status read_estimator(
    const struct policy_place *at, const struct json *o, struct policy *out)
{
    if (strcmp(json_text(json_get(o, "name"), ""), "knn") != 0 ||
        strcmp(json_text(json_get(o, "ties"), ""), "shared") != 0)
        return policy_broken(at, "estimator", "a k-NN with shared ties");
    out->config.environment.estimator.kind = ESTIMATOR_PUBLISHED;
    out->estimator = text_copy(estimator_names[ESTIMATOR_PUBLISHED]);
    if (!out->estimator)
        return error_nomem(at->err, 64);
    return policy_count(at, o, "k", KNN_MAX_K, &out->config.environment.estimator.k);
}

enum status policy_read_v1(
    const struct policy_place *at, const struct json *root, struct policy *out)
{
    const struct json *encoding = json_get(root, "encoding"),
                      *costs = json_get(root, "costs");
    struct tmo_config *config = &out->config;
    struct environment_settings *set = &config->environment;
    tmo_config_init(config, 1);
    if (strcmp(json_text(json_get(root, "environment"), ""), "as-published") != 0)
        return policy_broken(at, "environment", "\"as-published\"");
    enum status s = read_about(at, json_get(root, "data"), out->about);
    if (!s)
        s = read_learner(at, root, &config->learner);
    if (!s)
        s = read_profiles(at, costs, &set->costs);
    if (!s)
        s = read_reward(at, root, set);
    if (!s)
        s = policy_count(at, encoding, "tau", SPACE_MAX_TAU, &config->tau);
    if (!s)
        s = read_estimator(at, json_get(root, "estimator"), out);
    if (!s)
        s = policy_actions(at, json_get(root, "actions"), out);
    if (!s)
        s = read_costs(at, costs, out);
    if (s)
        return s;
    set->resource_aware = json_bool(json_get(encoding, "resource_aware"), 0);
    config->local = text_copy(out->about->llms[0].name);
    config->cloud = text_copy(out->about->llms[1].name);
    if (!config->local || !config->cloud)
        return error_nomem(at->err, 64);
    out->n_features =
        config->tau * (out->about->n_views + 2) + (set->resource_aware ? 2 : 0);
    return tmo_config_settle(config, at->err);
}
