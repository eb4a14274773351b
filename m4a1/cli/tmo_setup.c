/* tmo_setup.c - options to a config, and what is worth a warning. */
#include "m4a1/cli/tmo_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/policy.h"

#define COSTS_TEXT_MAX 4096

#define CONFIG_FILE_MAX ((size_t)1 << 30)

/* A message about an option's value becomes one of wrong usage. */
static enum status usage(struct cli *cli, const char *option, struct error *err)
{
    return cli_usage(cli, err, "--%s: %s", option, err ? err->msg : "bad value");
}

/* --config and --as-published: they say which defaults all else begins with. */
static enum status read_file(struct cli *cli, struct tmo_config *out, struct error *err)
{
    const char *path = cli_value(cli, "config");
    int as_published = cli_flag(cli, "as-published");
    struct json *root;
    tmo_config_init(out, as_published);
    if (!path)
        return OK;
    enum status s = json_read_file(
        path, CONFIG_FILE_MAX, JSON_COMMENTS | JSON_UNIQUE_KEYS, &root, err);
    if (s)
        return s;
    // A policy's file holds the config that it was trained with.
    int is_policy = text_equal(json_text(json_get(root, "format"), ""), POLICY_FORMAT);
    const struct json *config = is_policy ? json_get(root, "config") : root;
    if (!config)
        s = cli_usage(
            cli, err, "--config %s: a policy of version 1 holds no config", path);
    else if (as_published && !json_bool(json_get(config, "as_published"), 1))
        s = cli_usage(cli, err,
            "--as-published: %s says \"as_published\": false; leave one of them out",
            path);
    if (!s)
        s = tmo_config_read(out, config, path, err);
    json_free(root);
    return s;
}

/* An option that names one of several; *out keeps its value where it is not given. */
static enum status read_name(struct cli *cli, const char *option,
    const char *const *names, size_t n, unsigned *out, int *given, struct error *err)
{
    const char *text = cli_value(cli, option);
    if (!text)
        return OK;
    for (unsigned i = 0; i < n; i++)
        if (strcmp(names[i], text) == 0) {
            *out = i;
            if (given)
                *given = 1;
            return OK;
        }
    struct buffer list;
    buffer_init(&list, COSTS_TEXT_MAX);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&list, "%s%s", i ? ", " : "", names[i]);
    enum status s =
        cli_usage(cli, err, "--%s %s: there are %s", option, text, buffer_str(&list));
    buffer_release(&list);
    return s;
}

static enum status read_count(struct cli *cli, const char *option, int64_t least,
    int64_t most, size_t *out, struct error *err)
{
    int64_t x;
    enum status s = cli_int(cli, option, (int64_t)*out, least, most, &x, err);
    *out = s ? *out : (size_t)x;
    return s;
}

static enum status read_text(
    struct cli *cli, const char *option, char **out, struct error *err)
{
    const char *text = cli_value(cli, option);
    if (!text)
        return OK;
    free(*out);
    *out = text_copy(text);
    return *out ? OK : error_nomem(err, 64);
}

/* all, recorded, or a file that holds a list (or a config with one). */
static enum status read_actions(
    struct cli *cli, const char *option, struct tmo_config *out, struct error *err)
{
    const char *text = cli_value(cli, option);
    struct json *file = NULL, *object = text ? json_new_object() : NULL;
    enum status s = OK;
    if (!text)
        return OK;
    if (out->environment.as_published && !text_equal(text, "all")) {
        json_free(object);
        return cli_usage(
            cli, err, "--%s %s: the published environment has all", option, text);
    }
    if (!text_equal(text, "all") && !text_equal(text, "recorded"))
        s = json_read_file(
            text, CONFIG_FILE_MAX, JSON_COMMENTS | JSON_UNIQUE_KEYS, &file, err);
    const struct json *list = json_is_object(file) ? json_get(file, "actions") : file;
    if (!s && !(file ? json_set_copy(object, "actions", list)
                     : json_set_text(object, "actions", text)))
        s = error_set(err, E_DATA, "%s holds no actions", text);
    if (!s)
        s = tmo_config_read(out, object, file ? text : option, err);
    if (s == E_NOT_FOUND)
        s = cli_usage(cli, err,
            "--%s %s: neither all nor recorded, nor a file that lists actions", option,
            text);
    json_free(file);
    json_free(object);
    return s;
}

static enum status read_constraints(
    struct cli *cli, struct tmo_config *out, struct error *err)
{
    const char *text;
    for (size_t i = 0; (text = cli_value_at(cli, "constraint", i)); i++)
        if (tmo_config_constrain(out, text, i == 0, err))
            return usage(cli, "constraint", err);
    return OK;
}

static enum status read_handling(
    struct cli *cli, struct tmo_config *out, struct error *err)
{
    struct environment_settings *set = &out->environment;
    unsigned handling = set->handling;
    enum status s = read_constraints(cli, out, err);
    if (!s)
        s = read_name(cli, "handling", handling_names, N_HANDLINGS, &handling,
            &out->handling_given, err);
    set->handling = handling;
    if (cli_flag(cli, "resource-aware"))
        set->resource_aware = out->resource_aware_given = 1;
    if (!s)
        s = cli_double(cli, "lambda", set->lambda, 0, 1e9, &set->lambda, err);
    return s ? s
             : cli_double(cli, "dual-rate", set->dual_rate, 0, 1e9, &set->dual_rate, err);
}

static enum status read_costs(struct cli *cli, struct tmo_config *out, struct error *err)
{
    struct costs_settings *set = &out->environment.costs;
    const struct costs_device *device = NULL;
    const struct costs_network *network = NULL;
    const char *named_device = cli_value(cli, "device");
    const char *named_network = cli_value(cli, "network");
    if (named_device && costs_find_device(named_device, &device, err))
        return usage(cli, "device", err);
    if (named_network && costs_find_network(named_network, &network, err))
        return usage(cli, "network", err);
    set->device = device ? device->name : set->device;
    set->network = network ? network->name : set->network;
    const char *costs = cli_value(cli, "costs");
    if (!costs && !named_device && !named_network)
        return OK;
    // Whatever a --config said is replaced.
    cost_table_free(out->table);
    free(out->costs_file);
    out->table = NULL;
    out->costs_file = NULL;
    set->table = NULL;
    out->costs_of_data = text_equal(costs, "data");
    if (!costs || out->costs_of_data || text_equal(costs, "profile"))
        return OK;
    return read_text(cli, "costs", &out->costs_file, err);
}

static enum status read_rest(struct cli *cli, struct tmo_config *out, struct error *err)
{
    struct environment_settings *set = &out->environment;
    unsigned kind = set->estimator.kind, transitions = set->transitions;
    enum status s = read_count(cli, "tau", 1, SPACE_MAX_TAU, &out->tau, err);
    if (!s)
        s = read_name(cli, "estimator", estimator_names, N_ESTIMATORS, &kind,
            &out->estimator_given, err);
    set->estimator.kind = kind;
    if (!s)
        s = read_count(cli, "k", 0, KNN_MAX_K, &set->estimator.k, err);
    if (!s)
        s = read_name(cli, "transitions", transitions_names, 2, &transitions, NULL, err);
    set->transitions = transitions;
    if (!s)
        s = read_text(cli, "local", &out->local, err);
    if (!s)
        s = read_text(cli, "cloud", &out->cloud, err);
    if (!s && (out->local || out->cloud) && !set->as_published)
        s = cli_usage(cli, err,
            "--local and --cloud choose llms for --as-published; the default takes every "
            "llm of DATA (or those of --actions)");
    return s;
}

/* Put text, as JSON where it is some and else as a string, at a dotted path. */
static enum status set_path(
    struct json *root, const char *path, size_t len, const char *text, struct error *err)
{
    struct json *object = root, *value = NULL;
    size_t n;
    for (; (n = strcspn(path, ".")) < len && object; path += n + 1, len -= n + 1) {
        char *key = text_copy_n(path, n);
        object = key ? json_set_object(object, key) : NULL;
        free(key);
    }
    char *key = text_copy_n(path, len);
    if (json_parse(text, strlen(text), "value", 0, &value, NULL) != OK)
        value = NULL;
    int ok =
        key && object &&
        (value ? json_set_copy(object, key, value) : json_set_text(object, key, text));
    json_free(value);
    free(key);
    return ok ? OK : error_nomem(err, 64);
}

/* --set MEMBER=VALUE, say reward.latency=0.1: any member of the config. */
static enum status read_sets(struct cli *cli, struct tmo_config *out, struct error *err)
{
    const char *text;
    enum status s = OK;
    for (size_t i = 0; !s && (text = cli_value_at(cli, "set", i)); i++) {
        size_t len = strcspn(text, "=");
        struct json *root = json_new_object();
        if (!root)
            return error_nomem(err, 64);
        if (!len || !text[len])
            s = cli_usage(
                cli, err, "--set %s: expected MEMBER=VALUE, say reward.usage=0.1", text);
        if (!s)
            s = set_path(root, text, len, text + len + 1, err);
        if (!s && tmo_config_read(out, root, "--set", err))
            s = cli_usage(cli, err, "%s", err ? err->msg : text);
        json_free(root);
    }
    return s;
}

static enum status read_learner(
    struct cli *cli, struct tmo_config *out, struct error *err)
{
    unsigned kind = out->learner.kind;
    enum status s =
        read_name(cli, "learner", learner_names, N_LEARNERS, &kind, NULL, err);
    if (!s && kind != out->learner.kind)
        out->learner = tmo_config_learner(out, kind);
    return s ? s
             : cli_int(cli, "steps", out->learner.steps, 1, INT64_C(1) << 39,
                   &out->learner.steps, err);
}

enum status tmo_config_options(struct cli *cli, const char *actions_option,
    struct tmo_config *out, struct error *err)
{
    enum status s = read_file(cli, out, err);
    if (!s)
        s = read_rest(cli, out, err);
    if (!s)
        s = read_actions(cli, actions_option, out, err);
    if (!s)
        s = read_handling(cli, out, err);
    if (!s)
        s = read_costs(cli, out, err);
    if (!s)
        s = read_text(cli, "split", &out->split_from, err);
    if (!s)
        s = read_learner(cli, out, err);
    if (!s)
        s = read_sets(cli, out, err);
    if (!s) {
        s = tmo_config_settle(out, err);
        if (s == E_ARG)
            s = cli_usage(cli, err, "%s", err ? err->msg : "settings do not fit");
    }
    if (s)
        tmo_config_release(out);
    return s;
}

enum status tmo_record(struct cli *cli, struct tmo_config *config,
    const struct dataset *data, struct recorded **out, struct error *err)
{
    enum status s = tmo_config_record(config, data, out, err);
    return s == E_ARG ? cli_usage(cli, err, "%s", err ? err->msg : "names of no llm") : s;
}

void tmo_setup_warn(const struct recorded *rec)
{
    const struct dataset *data = rec->data;
    const struct left_out *left = &data->left;
    if (left->turns_unasked || left->turns_unscored)
        fprintf(stderr,
            "%zu turns of %s without an answer, %zu without a score and %zu behind those "
            "are left out, and with them %zu sessions.\n",
            left->turns_unasked, data->source, left->turns_unscored, left->turns_behind,
            left->sessions);
    if (rec->n_other_llm)
        fprintf(stderr,
            "%zu of %zu turns were answered by other llms than %s and %s; their scores "
            "are left out.\n",
            rec->n_other_llm, rec->n_turns, data->llms[rec->llms[0]].name,
            data->llms[rec->llms[1]].name);
    if (rec->n_unlisted)
        fprintf(stderr,
            "%zu scored answers are of no listed action; the estimator does not learn "
            "from them.\n",
            rec->n_unlisted);
    if (rec->n_unscored)
        fprintf(stderr, "%zu of %zu turns have no score and are left out.\n",
            rec->n_unscored, rec->n_turns);
    if (rec->n_unassociated)
        fprintf(stderr,
            "%zu of %zu turns have no associations; theirs count as 0, so views earn "
            "nothing there.\n",
            rec->n_unassociated, rec->n_turns);
    if (data->simulated)
        fprintf(stderr,
            "Answers of %s are simulated: figures say how the pipeline works, "
            "nothing about llms.\n",
            data->source);
}

void tmo_costs_warn(const struct environment *env)
{
    const struct recorded *rec = env->rec;
    const char *names[SPACE_MAX_LLMS];
    struct buffer text;
    for (size_t i = 0; i < rec->space.n_llms; i++)
        names[i] = rec->data->llms[rec->llms[i]].name;
    buffer_init(&text, COSTS_TEXT_MAX);
    costs_tell_filled(&env->costs, names, &text);
    if (text.len)
        fprintf(stderr,
            "Nobody measured what these cost, and they are taken in line with the "
            "others: %s.\n",
            buffer_str(&text));
    buffer_release(&text);
}
