/* policy_read.c - read a policy file back, whole: every member, every size, the seal. */
#include "m4a1/tmo/policy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/policy_parts.h"

#define MAX_IDS 100000000

static void release_actions(struct policy *policy)
{
    for (size_t i = 0; i < policy->n_actions; i++) {
        struct config_action *one = &policy->actions[i];
        for (size_t v = 0; v < one->n_views; v++)
            free(one->views[v]);
        free(one->views);
        free(one->llm);
    }
    free(policy->actions);
}

void policy_release(struct policy *policy)
{
    split_release(&policy->split);
    network_release(&policy->network);
    tmo_config_release(&policy->config);
    release_actions(policy);
    dataset_free(policy->about);
    cost_table_free(policy->costs);
    free(policy->estimator);
    free(policy->written_by);
    memset(policy, 0, sizeof *policy);
}

/* ---- shared with version 1 ---- */

enum status policy_broken(
    const struct policy_place *at, const char *member, const char *expected)
{
    return error_set(at->err, E_DATA,
        "%s: %s: expected %s; is this a whole policy file of m4a1 train?", at->file,
        member, expected);
}

enum status policy_number(const struct policy_place *at, const struct json *object,
    const char *key, double min, double max, double *out)
{
    const struct json *j = json_get(object, key);
    *out = json_number(j, NAN);
    if (json_is_number(j) && *out >= min && *out <= max)
        return OK;
    char expected[64];
    snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
    return policy_broken(at, key, expected);
}

enum status policy_count(const struct policy_place *at, const struct json *object,
    const char *key, size_t max, size_t *out)
{
    double x;
    enum status s = policy_number(at, object, key, 1, (double)max, &x);
    *out = s ? 0 : (size_t)x;
    if (!s && !json_is_int(json_get(object, key)))
        return policy_broken(at, key, "a whole number");
    return s;
}

enum status policy_names(const struct policy_place *at, const struct json *list,
    const char *member, size_t max, char ***out, size_t *n)
{
    size_t size = json_size(list);
    if (!json_is_array(list) || !size || size > max)
        return policy_broken(at, member, "a list of names");
    *out = calloc(size + 1, sizeof **out);
    if (!*out)
        return error_nomem(at->err, size * sizeof **out);
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        if (!json_is_string(j))
            return policy_broken(at, member, "a list of names");
        (*out)[*n] = text_copy(json_text(j, ""));
        if (!(*out)[(*n)++])
            return error_nomem(at->err, 64);
    }
    return OK;
}

static enum status read_action(
    const struct policy_place *at, const struct json *j, struct config_action *out)
{
    const struct json *views = json_get(j, "views");
    out->llm = text_copy(json_text(json_get(j, "llm"), NULL));
    if (!out->llm || !json_is_array(views))
        return policy_broken(at, "actions", "llm and views of each");
    return json_size(views) ? policy_names(at, views, "actions", SPACE_MAX_VIEWS,
                                  &out->views, &out->n_views)
                            : OK;
}

enum status policy_actions(
    const struct policy_place *at, const struct json *list, struct policy *out)
{
    size_t n = json_size(list);
    enum status s = OK;
    if (!json_is_array(list) || !n || n > SPACE_MAX_ACTIONS)
        return policy_broken(at, "actions", "a list of actions");
    out->actions = calloc(n, sizeof *out->actions);
    if (!out->actions)
        return error_nomem(at->err, n * sizeof *out->actions);
    for (const struct json *j = json_first(list); j && !s; j = json_next(j))
        s = read_action(at, j, &out->actions[out->n_actions++]);
    return s;
}

/* ---- version 2 ---- */

static enum status read_llms(
    const struct policy_place *at, const struct json *list, struct dataset *about)
{
    size_t n = json_size(list);
    if (!json_is_array(list) || !n || n > SPACE_MAX_LLMS)
        return policy_broken(at, "data.llms", "a list of llms");
    about->llms = calloc(n, sizeof *about->llms);
    if (!about->llms)
        return error_nomem(at->err, n * sizeof *about->llms);
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        struct dataset_llm *llm = &about->llms[about->n_llms++];
        const char *name = json_text(json_get(j, "name"), NULL);
        const char *provider = json_text(json_get(j, "provider"), NULL);
        if (!name || !json_is_bool(json_get(j, "cloud")))
            return policy_broken(at, "data.llms", "name and cloud of each");
        llm->cloud = json_bool(json_get(j, "cloud"), 0);
        llm->name = text_copy(name);
        llm->provider = text_copy(provider);
        if (!llm->name || (provider && !llm->provider))
            return error_nomem(at->err, 64);
    }
    return OK;
}

static enum status read_privacy(
    const struct policy_place *at, const struct json *list, struct dataset *about)
{
    about->privacy = calloc(about->n_views + 1, sizeof *about->privacy);
    if (!about->privacy)
        return error_nomem(at->err, about->n_views * sizeof *about->privacy);
    if (!json_is_array(list) || json_size(list) != about->n_views)
        return policy_broken(at, "data.privacy", "a level of each view");
    for (size_t v = 0; v < about->n_views; v++) {
        int64_t level = json_int(json_at(list, v), -1);
        if (level < 0 || level > 1000000)
            return policy_broken(at, "data.privacy", "a level of each view");
        about->privacy[v] = (int)level;
    }
    return OK;
}

static enum status read_about(
    const struct policy_place *at, const struct json *o, struct dataset *about)
{
    enum status s = policy_names(at, json_get(o, "views"), "data.views", SPACE_MAX_VIEWS,
        &about->views, &about->n_views);
    if (!s)
        s = policy_names(at, json_get(o, "tasks"), "data.tasks", SPACE_MAX_TASKS,
            &about->tasks, &about->n_tasks);
    if (!s)
        s = read_privacy(at, json_get(o, "privacy"), about);
    return s ? s : read_llms(at, json_get(o, "llms"), about);
}

static enum status read_v2(
    const struct policy_place *at, const struct json *root, struct policy *out)
{
    char name[300];
    enum status s = read_about(at, json_get(root, "data"), out->about);
    if (!s)
        s = policy_actions(at, json_get(root, "actions"), out);
    if (!s)
        s = policy_count(at, json_get(root, "encoding"), "n_features",
            NETWORK_MAX_FEATURES, &out->n_features);
    snprintf(name, sizeof name, "%s: costs", at->file);
    if (!s)
        s = cost_table_parse(json_get(root, "costs"), name, &out->costs, at->err);
    if (s)
        return s;
    out->estimator =
        text_copy(json_text(json_get(json_get(root, "estimator"), "fitted"), ""));
    if (!out->estimator)
        return error_nomem(at->err, 64);
    const struct json *config = json_get(root, "config");
    tmo_config_init(&out->config, 0);
    snprintf(name, sizeof name, "%s: config", at->file);
    s = tmo_config_read(&out->config, config, name, at->err);
    out->config.handling_given = out->config.resource_aware_given = 1;
    // The file of the costs is not asked for again: what it said stands here.
    if (!s && out->config.costs_file && !out->config.table)
        s = policy_broken(at, "config.costs.table", "what the file of the costs said");
    return s ? s : tmo_config_settle(&out->config, at->err);
}

/* ---- split, weights, seal ---- */

static enum status read_ids(const struct policy_place *at, const struct json *split,
    const char *key, int64_t **ids, size_t *n)
{
    const struct json *list = json_get(split, key);
    size_t size = json_size(list);
    if (!json_is_array(list) || !size || size > MAX_IDS)
        return policy_broken(at, key, "a list of session ids");
    *ids = malloc(size * sizeof **ids);
    if (!*ids)
        return error_nomem(at->err, size * sizeof **ids);
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        if (!json_is_int(c))
            return policy_broken(at, key, "a list of session ids");
        (*ids)[(*n)++] = json_int(c, -1);
    }
    return OK;
}

static enum status read_row(const struct policy_place *at, const char *name,
    const struct json *row, const struct network_part *part, float *to)
{
    if (!json_is_array(row) || json_size(row) != part->n_columns)
        return error_set(at->err, E_DATA,
            "%s: network: %s has a row of %zu numbers, and %zu are expected", at->file,
            name, json_size(row), part->n_columns);
    for (const struct json *c = json_first(row); c; c = json_next(c)) {
        if (!json_is_number(c))
            return error_set(
                at->err, E_DATA, "%s: network: %s holds no number", at->file, name);
        *to = (float)json_number(c, 0);
        to += part->column_step;
    }
    return OK;
}

static enum status read_part(const struct policy_place *at, const struct json *o,
    const struct network_part *part, struct network *net)
{
    const struct json *rows = json_get(json_get(o, part->mlp), part->name);
    float *to = net->params + part->at;
    if (part->name[0] == 'b')
        return read_row(at, part->name, rows, part, to);
    if (!json_is_array(rows) || json_size(rows) != part->n_rows)
        return error_set(at->err, E_DATA,
            "%s: network: %s has %zu rows, and %zu are expected", at->file, part->name,
            json_size(rows), part->n_rows);
    enum status s = OK;
    for (const struct json *c = json_first(rows); c && !s; c = json_next(c)) {
        s = read_row(at, part->name, c, part, to);
        to += part->row_step;
    }
    return s;
}

static enum status read_network(
    const struct policy_place *at, const struct json *root, struct policy *out)
{
    struct network_part parts[NETWORK_MAX_PARTS];
    const struct json *o = json_get(root, "network");
    int is_q = out->config.learner.kind == LEARNER_DQN;
    const char *kind = json_text(json_get(o, "kind"), "actor-critic");
    if (strcmp(kind, is_q ? "q" : "actor-critic") != 0)
        return policy_broken(at, "network.kind", is_q ? "\"q\"" : "\"actor-critic\"");
    if (json_int(json_get(o, "hidden"), -1) != MLP_HIDDEN ||
        strcmp(json_text(json_get(o, "activation"), ""), is_q ? "relu" : "tanh") != 0)
        return policy_broken(at, "network",
            is_q ? "two hidden layers of 64 with relu"
                 : "two hidden layers of 64 with tanh");
    enum status s = network_init(&out->network, is_q ? NETWORK_Q : NETWORK_ACTOR_CRITIC,
        out->n_features, out->n_actions, at->err);
    size_t n = s ? 0 : network_parts(&out->network, parts);
    for (size_t i = 0; i < n && !s; i++)
        s = read_part(at, o, &parts[i], &out->network);
    return s ? s : network_check(&out->network, at->err);
}

/* Last, because all that is checked before says more about what was changed.  The first
 * files of version 1 have no checksum. */
static enum status check_seal(
    const struct policy_place *at, const struct json *root, int version)
{
    const struct json *seal = json_get(root, POLICY_SEAL);
    char expected[HASH_HEX];
    if (!seal && version == 1)
        return OK;
    enum status s = policy_seal(root, POLICY_FILE_MAX, expected, at->err);
    if (!s && !text_equal(json_text(seal, NULL), expected))
        s = error_set(at->err, E_DATA,
            "%s: its content is not what its " POLICY_SEAL
            " says: it was changed after m4a1 train wrote it, so it does not say what it "
            "was trained with; take the file as it was, or train again",
            at->file);
    return s;
}

/* ---- the file ---- */

static enum status read_head(
    const struct policy_place *at, const struct json *root, struct policy *out)
{
    const struct json *data = json_get(root, "data");
    int64_t version = json_int(json_get(root, "version"), -1);
    const char *digest = json_text(json_get(data, "digest"), "");
    double seed = 0;
    if (strcmp(json_text(json_get(root, "format"), ""), POLICY_FORMAT) != 0)
        return policy_broken(at, "format", "\"" POLICY_FORMAT "\"");
    if (version < 1 || version > POLICY_VERSION)
        return error_set(at->err, E_DATA,
            "%s: written in version %" PRId64
            " of the policy format, and this m4a1 reads "
            "versions 1 to %d; train again, or take the m4a1 that wrote it",
            at->file, version, POLICY_VERSION);
    if (strlen(digest) >= HASH_HEX)
        return policy_broken(at, "data.digest", "a SHA-256");
    enum status s = policy_number(at, root, "seed", 0, 9007199254740992.0, &seed);
    out->version = (int)version;
    out->seed = s ? 0 : (uint64_t)seed;
    out->written_by = text_copy(json_text(json_get(root, "written_by"), "?"));
    out->about = calloc(1, sizeof *out->about);
    if (!out->about || !out->written_by)
        return error_nomem(at->err, sizeof *out->about);
    out->about->source = text_copy(json_text(json_get(data, "source"), "?"));
    memcpy(out->about->digest, digest, strlen(digest) + 1);
    out->about->simulated = json_bool(json_get(data, "simulated"), 0);
    return s || out->about->source ? s : error_nomem(at->err, 64);
}

static enum status read_all(
    const struct policy_place *at, const struct json *root, struct policy *out)
{
    const struct json *split = json_get(root, "split");
    enum status s = read_head(at, root, out);
    if (!s)
        s = out->version == 1 ? policy_read_v1(at, root, out) : read_v2(at, root, out);
    if (!s)
        s = read_ids(at, split, "train", &out->split.train, &out->split.n_train);
    if (!s)
        s = read_ids(at, split, "test", &out->split.test, &out->split.n_test);
    return s ? s : read_network(at, root, out);
}

int policy_is_file(const char *path)
{
    struct json *root;
    if (json_read_file(path, POLICY_FILE_MAX, 0, &root, NULL) != OK)
        return 0;
    int is_policy = strcmp(json_text(json_get(root, "format"), ""), POLICY_FORMAT) == 0;
    json_free(root);
    return is_policy;
}

/* data NULL = whatever it was trained on. */
static enum status read_file(const char *path, const struct dataset *data,
    struct policy *out, char sha256[HASH_HEX], struct error *err)
{
    memset(out, 0, sizeof *out);
    struct buffer text;
    struct json *root = NULL;
    struct policy_place at = { path, err };
    buffer_init(&text, POLICY_FILE_MAX);
    enum status s = file_read(path, &text, err);
    if (!s)
        s = json_parse(buffer_str(&text), text.len, path, JSON_UNIQUE_KEYS, &root, err);
    if (!s && sha256)
        hash_hex(buffer_str(&text), text.len, sha256);
    if (!s)
        s = read_all(&at, root, out);
    if (!s && data)
        s = policy_compare(path, out, data, err);
    if (!s)
        s = check_seal(&at, root, out->version);
    json_free(root);
    buffer_release(&text);
    if (s)
        policy_release(out);
    return s;
}

enum status policy_read(
    const char *path, struct policy *out, char sha256[HASH_HEX], struct error *err)
{
    return read_file(path, NULL, out, sha256, err);
}

enum status policy_load(
    const char *path, const struct dataset *data, struct policy *out, struct error *err)
{
    return read_file(path, data, out, NULL, err);
}
