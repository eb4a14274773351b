/* policy_read.c - read a policy file back, and refuse what does not fit the data.
 *
 * The settings are read first; from them and the data the descriptive members are built
 * anew, and must equal those of the file.  Then split and weights, with every size. */
#include "m4a1/tmo/policy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/policy_parts.h"

#define FILE_MAX ((size_t)256 << 20)

void policy_release(struct policy *policy)
{
    split_release(&policy->split);
    actor_critic_release(&policy->network);
}

/* Where a reader is, for messages. */
struct place {
    const char *file;
    const struct dataset *data;
    struct error *err;
};

static enum status broken(
    const struct place *at, const char *member, const char *expected)
{
    return error_set(at->err, E_DATA,
        "%s: %s: expected %s; is this a whole policy file of m4a1 train?", at->file,
        member, expected);
}

/* object[key] as a number in [min, max]. */
static enum status read_number(const struct place *at, const struct json *object,
    const char *key, double min, double max, double *out)
{
    const struct json *j = json_get(object, key);
    *out = json_number(j, NAN);
    if (json_is_number(j) && *out >= min && *out <= max)
        return OK;
    char expected[64];
    snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
    return broken(at, key, expected);
}

static enum status read_count(const struct place *at, const struct json *object,
    const char *key, size_t max, size_t *out)
{
    double x;
    enum status s = read_number(at, object, key, 1, (double)max, &x);
    *out = s ? 0 : (size_t)x;
    if (!s && !json_is_int(json_get(object, key)))
        return broken(at, key, "a whole number");
    return s;
}

static enum status read_head(const struct place *at, const struct json *root)
{
    const char *format = json_text(json_get(root, "format"), "");
    int64_t version = json_int(json_get(root, "version"), -1);
    if (strcmp(format, POLICY_FORMAT) != 0)
        return broken(at, "format", "\"" POLICY_FORMAT "\"");
    if (version != POLICY_VERSION)
        return error_set(at->err, E_DATA,
            "%s: written in version %" PRId64
            " of the policy format, and this m4a1 reads "
            "version %d; train again, or take the m4a1 that wrote it",
            at->file, version, POLICY_VERSION);
    return OK;
}

/* ---- settings ---- */

static enum status read_learner(
    const struct place *at, const struct json *root, struct a2c_settings *out)
{
    const struct json *o = json_get(root, "learner");
    const char *name = json_text(json_get(o, "name"), "");
    double steps;
    if (strcmp(name, "a2c") != 0)
        return broken(at, "learner.name", "\"a2c\"");
    enum status s = read_number(at, o, "steps", 1, 1e15, &steps);
    out->steps = s ? 0 : (int64_t)steps;
    if (!s)
        s = read_count(at, o, "rollout_steps", A2C_MAX_ROLLOUT, &out->n_rollout);
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
        s = read_number(at, o, numbers[i].key, 0, 1e9, numbers[i].value);
    return s;
}

/* Figures of one table are returns under one reward; m4a1 trains with no other. */
static enum status compare_term(
    const struct place *at, const char *key, double found, double published)
{
    char theirs[32], ours[32];
    if (found == published)
        return OK;
    return error_set(at->err, E_DATA,
        "%s: reward.%s is %s, and the environment \"as-published\" has %s; no policy is "
        "trained with another reward, so the file was changed: take it as m4a1 train "
        "wrote it, or train again",
        at->file, key, text_double(found, theirs), text_double(published, ours));
}

static enum status read_environment(
    const struct place *at, const struct json *root, struct policy *out)
{
    struct environment_settings *set = &out->environment;
    const struct json *reward = json_get(root, "reward"),
                      *encoding = json_get(root, "encoding"),
                      *costs = json_get(root, "costs");
    const char *device = json_text(json_get(costs, "device"), "");
    const char *network = json_text(json_get(costs, "network"), "");
    struct costs built;
    enum status s = costs_build(device, network, at->data->n_views, &built, at->err);
    if (s) {
        error_prefix(at->err, "%s: costs: ", at->file);
        return E_DATA;
    }
    set->device = built.device->name;
    set->network = built.network->name;
    set->resource_aware = json_bool(json_get(encoding, "resource_aware"), 0);
    const struct environment_settings published = environment_published();
    const struct {
        const char *key;
        double *value, published;
    } numbers[] = {
        { "response", &set->alpha, published.alpha },
        { "association", &set->beta_association, published.beta_association },
        { "latency", &set->beta_latency, published.beta_latency },
        { "usage", &set->beta_usage, published.beta_usage },
        { "latency_budget_s", &set->latency_budget_s, published.latency_budget_s },
        { "usage_budget_usd", &set->usage_budget_usd, published.usage_budget_usd },
    };
    for (size_t i = 0; i < COUNT_OF(numbers) && !s; i++)
        s = read_number(at, reward, numbers[i].key, 0, 1e9, numbers[i].value);
    for (size_t i = 0; i < COUNT_OF(numbers) && !s; i++)
        s = compare_term(at, numbers[i].key, *numbers[i].value, numbers[i].published);
    if (!s)
        s = read_count(at, encoding, "tau", SPACE_MAX_TAU, &out->tau);
    if (!s)
        s = read_count(at, json_get(root, "estimator"), "k", KNN_MAX_K, &set->k);
    return s;
}

static enum status find_llm(const struct place *at, const struct json *data_member,
    const char *role, int cloud, int *out)
{
    const struct dataset *data = at->data;
    const char *name = json_text(json_get(data_member, role), "");
    for (size_t i = 0; i < data->n_llms; i++)
        if ((data->llms[i].cloud != 0) == cloud &&
            strcmp(data->llms[i].name, name) == 0) {
            *out = (int)i;
            return OK;
        }
    return error_set(at->err, E_DATA,
        "%s: trained with the %s llm \"%s\", which %s does not have; evaluate it on the "
        "data it was trained on",
        at->file, role, name, data->source);
}

/* ---- comparison ---- */

static enum status compare_digest(const struct place *at, const struct json *data_member)
{
    const char *digest = json_text(json_get(data_member, "digest"), "");
    if (strcmp(digest, at->data->digest) == 0)
        return OK;
    return error_set(at->err, E_DATA,
        "%s: trained on another data set: digest %.12s (then read from %s), and %s has "
        "%.12s; evaluate it on the data it was trained on, or train again on this",
        at->file, digest, json_text(json_get(data_member, "source"), "?"),
        at->data->source, at->data->digest);
}

static enum status as_text(const struct json *j, struct buffer *out, struct error *err)
{
    buffer_clear(out);
    if (!j)
        buffer_add_str(out, "nothing");
    return j ? json_print(j, JSON_CANONICAL, out, err) : OK;
}

/* The member must say what building it anew from the data says. */
static enum status compare_member(const struct place *at, const char *path,
    const struct json *found, const struct json *expected)
{
    struct buffer a, b;
    buffer_init(&a, FILE_MAX);
    buffer_init(&b, FILE_MAX);
    enum status s = as_text(found, &a, at->err);
    if (!s)
        s = as_text(expected, &b, at->err);
    if (!s && strcmp(buffer_str(&a), buffer_str(&b)) != 0)
        s = error_set(at->err, E_DATA,
            "%s: %s differs: the policy has %.200s, and %s gives %.200s; evaluate it on "
            "the data it was trained on",
            at->file, path, buffer_str(&a), at->data->source, buffer_str(&b));
    buffer_release(&a);
    buffer_release(&b);
    return s;
}

static enum status compare(
    const struct place *at, const struct json *root, const struct policy *policy)
{
    struct json *expected;
    enum status s = policy_describe(policy, at->data, &expected, at->err);
    if (s)
        return s;
    const struct json *theirs = json_get(root, "data"),
                      *ours = json_get(expected, "data");
    static const char *const of_data[] = { "views", "tasks", "local", "cloud" };
    static const char *const members[] = { "environment", "actions", "encoding", "costs",
        "reward", "estimator" };
    for (size_t i = 0; i < COUNT_OF(of_data) && !s; i++)
        s = compare_member(
            at, of_data[i], json_get(theirs, of_data[i]), json_get(ours, of_data[i]));
    for (size_t i = 0; i < COUNT_OF(members) && !s; i++)
        s = compare_member(
            at, members[i], json_get(root, members[i]), json_get(expected, members[i]));
    json_free(expected);
    return s;
}

/* ---- split and weights ---- */

static enum status read_ids(const struct place *at, const struct json *split,
    const char *key, int64_t **ids, size_t *n)
{
    const struct json *list = json_get(split, key);
    size_t size = json_size(list);
    if (!json_is_array(list) || !size)
        return broken(at, key, "a list of session ids");
    *ids = malloc(size * sizeof **ids);
    if (!*ids)
        return error_nomem(at->err, size * sizeof **ids);
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        int64_t id = json_int(c, -1);
        if (!json_is_int(c) || !dataset_session(at->data, id))
            return error_set(at->err, E_DATA, "%s: %s: %s has no session %" PRId64,
                at->file, key, at->data->source, id);
        (*ids)[(*n)++] = id;
    }
    return OK;
}

static enum status read_row(const struct place *at, const char *name,
    const struct json *row, size_t n, double *out)
{
    if (!json_is_array(row) || json_size(row) != n)
        return error_set(at->err, E_DATA,
            "%s: network: %s has a row of %zu numbers, and %zu are expected", at->file,
            name, json_size(row), n);
    for (const struct json *c = json_first(row); c; c = json_next(c)) {
        if (!json_is_number(c))
            return error_set(
                at->err, E_DATA, "%s: network: %s holds no number", at->file, name);
        *out++ = json_number(c, 0);
    }
    return OK;
}

static enum status read_matrix(const struct place *at, const char *name,
    const struct json *rows, size_t n_rows, size_t n_columns, double *out)
{
    if (!json_is_array(rows) || json_size(rows) != n_rows)
        return error_set(at->err, E_DATA,
            "%s: network: %s has %zu rows, and %zu are expected", at->file, name,
            json_size(rows), n_rows);
    enum status s = OK;
    for (const struct json *c = json_first(rows); c && !s; c = json_next(c)) {
        s = read_row(at, name, c, n_columns, out);
        out += n_columns;
    }
    return s;
}

static enum status read_mlp(const struct place *at, const struct json *o, double *params,
    const struct mlp_layout *m)
{
    enum status s =
        read_matrix(at, "w1", json_get(o, "w1"), m->n_in, HIDDEN, params + m->w1);
    if (!s)
        s = read_row(at, "b1", json_get(o, "b1"), HIDDEN, params + m->b1);
    if (!s)
        s = read_matrix(at, "w2", json_get(o, "w2"), HIDDEN, HIDDEN, params + m->w2);
    if (!s)
        s = read_row(at, "b2", json_get(o, "b2"), HIDDEN, params + m->b2);
    if (!s)
        s = read_matrix(at, "w3", json_get(o, "w3"), m->n_out, HIDDEN, params + m->w3);
    if (!s)
        s = read_row(at, "b3", json_get(o, "b3"), m->n_out, params + m->b3);
    return s;
}

static enum status read_network(
    const struct place *at, const struct json *root, struct policy *out)
{
    const struct json *o = json_get(root, "network");
    if (json_int(json_get(o, "hidden"), -1) != HIDDEN ||
        strcmp(json_text(json_get(o, "activation"), ""), "tanh") != 0)
        return broken(at, "network", "two hidden layers of 64 with tanh");
    size_t n_features =
        out->tau * (at->data->n_views + 2) + (out->environment.resource_aware ? 2 : 0);
    size_t n_actions = 1 + ((size_t)1 << at->data->n_views);
    enum status s = actor_critic_init(&out->network, n_features, n_actions, at->err);
    if (!s)
        s = read_mlp(
            at, json_get(o, "policy"), out->network.params, &out->network.policy);
    if (!s)
        s = read_mlp(at, json_get(o, "value"), out->network.params, &out->network.value);
    return s;
}

/* Last, because all that is checked before says more about what was changed.  Files of
 * earlier versions have no checksum. */
static enum status check_seal(const struct place *at, const struct json *root)
{
    const struct json *seal = json_get(root, POLICY_SEAL);
    char expected[HASH_HEX];
    if (!seal)
        return OK;
    enum status s = policy_seal(root, FILE_MAX, expected, at->err);
    if (!s && !text_equal(json_text(seal, NULL), expected))
        s = error_set(at->err, E_DATA,
            "%s: its content is not what its " POLICY_SEAL
            " says: it was changed after m4a1 train wrote it, so it does not say what it "
            "was trained with; take the file as it was, or train again",
            at->file);
    return s;
}

static enum status read_all(
    const struct place *at, const struct json *root, struct policy *out)
{
    const struct json *data = json_get(root, "data");
    const struct json *split = json_get(root, "split");
    double seed = 0;
    enum status s = read_head(at, root);
    if (!s)
        s = compare_digest(at, data);
    if (!s)
        s = read_number(at, root, "seed", 0, 9007199254740992.0, &seed);
    out->seed = s ? 0 : (uint64_t)seed;
    if (!s)
        s = find_llm(at, data, "local", 0, &out->local);
    if (!s)
        s = find_llm(at, data, "cloud", 1, &out->cloud);
    if (!s)
        s = read_learner(at, root, &out->learner);
    if (!s)
        s = read_environment(at, root, out);
    if (!s)
        s = compare(at, root, out);
    if (!s)
        s = read_ids(at, split, "train", &out->split.train, &out->split.n_train);
    if (!s)
        s = read_ids(at, split, "test", &out->split.test, &out->split.n_test);
    if (!s)
        s = read_network(at, root, out);
    if (!s)
        s = check_seal(at, root);
    return s;
}

int policy_is_file(const char *path)
{
    struct json *root;
    if (json_read_file(path, FILE_MAX, 0, &root, NULL) != OK)
        return 0;
    int is_policy = strcmp(json_text(json_get(root, "format"), ""), POLICY_FORMAT) == 0;
    json_free(root);
    return is_policy;
}

enum status policy_load(
    const char *path, const struct dataset *data, struct policy *out, struct error *err)
{
    memset(out, 0, sizeof *out);
    struct json *root;
    enum status s = json_read_file(path, FILE_MAX, JSON_UNIQUE_KEYS, &root, err);
    if (s)
        return s;
    struct place at = { path, data, err };
    s = read_all(&at, root, out);
    json_free(root);
    if (s)
        policy_release(out);
    return s;
}
