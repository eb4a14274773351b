/* config.c - defaults, copies, what follows from what, and the encoding of data. */
#include "m4a1/tmo/config.h"

#include <stdlib.h>
#include <string.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/recorded_costs.h"

const char *const transitions_names[2] = { "recorded", "model" };
const char *const features_names[2] = { "published", "one-hot" };
const char *const actions_names[3] = { "all", "recorded", "listed" };

void tmo_config_init(struct tmo_config *config, int as_published)
{
    memset(config, 0, sizeof *config);
    config->tau = recorded_defaults().tau;
    config->quantile = QUANTILE_P90;
    config->environment = as_published ? environment_published() : environment_defaults();
    if (!as_published)
        config->environment.estimator.kind = ESTIMATOR_AUTO;
    config->costs_of_data = !as_published;
    config->learner =
        tmo_config_learner(config, as_published ? LEARNER_A2C : LEARNER_PPO);
    config->train_share = 0.8;
}

struct learner_settings tmo_config_learner(
    const struct tmo_config *config, enum learner_kind kind)
{
    return config->environment.as_published ? learner_published(kind)
                                            : learner_defaults(kind);
}

static void release_listed(struct tmo_config *config)
{
    for (size_t i = 0; i < config->n_listed; i++) {
        struct config_action *one = &config->listed[i];
        for (size_t v = 0; v < one->n_views; v++)
            free(one->views[v]);
        free(one->views);
        free(one->llm);
    }
    free(config->listed);
}

void tmo_config_release(struct tmo_config *config)
{
    release_listed(config);
    free(config->local);
    free(config->cloud);
    free(config->costs_file);
    free(config->split_from);
    cost_table_free(config->table);
    memset(config, 0, sizeof *config);
}

/* ---- copies ---- */

static int copy_action(const struct config_action *from, struct config_action *to)
{
    *to = (struct config_action) { .llm = text_copy(from->llm),
        .views = calloc(from->n_views + 1, sizeof *to->views) };
    if (!to->llm || !to->views)
        return 0;
    for (; to->n_views < from->n_views; to->n_views++) {
        to->views[to->n_views] = text_copy(from->views[to->n_views]);
        if (!to->views[to->n_views])
            return 0;
    }
    return 1;
}

static int copy_text(const char *from, char **to)
{
    *to = text_copy(from);
    return !from || *to;
}

static int copy_parts(const struct tmo_config *from, struct tmo_config *to)
{
    if (!copy_text(from->local, &to->local) || !copy_text(from->cloud, &to->cloud) ||
        !copy_text(from->costs_file, &to->costs_file) ||
        !copy_text(from->split_from, &to->split_from))
        return 0;
    if (!from->n_listed)
        return 1;
    to->listed = calloc(from->n_listed, sizeof *to->listed);
    for (size_t i = 0; to->listed && i < from->n_listed; i++) {
        to->n_listed++;
        if (!copy_action(&from->listed[i], &to->listed[i]))
            return 0;
    }
    return to->listed != NULL;
}

enum status tmo_config_copy(
    const struct tmo_config *from, struct tmo_config *to, struct error *err)
{
    *to = *from;
    to->local = to->cloud = to->costs_file = to->split_from = NULL;
    to->listed = NULL;
    to->n_listed = 0;
    to->table = NULL;
    to->environment.costs.table = NULL;
    enum status s = copy_parts(from, to) ? OK : error_nomem(err, sizeof *to);
    if (!s && from->table)
        s = cost_table_copy(from->table, &to->table, err);
    if (s)
        tmo_config_release(to);
    else
        to->environment.costs.table = to->table;
    return s;
}

/* ---- what follows from what ---- */

enum status tmo_config_settle(struct tmo_config *config, struct error *err)
{
    struct environment_settings *set = &config->environment;
    if (!config->handling_given && !set->as_published && config->constraints_given)
        set->handling = set->n_constraints ? HANDLING_SHIELD : HANDLING_NONE;
    if (!config->handling_given && set->as_published)
        set->handling = set->resource_aware ? HANDLING_PUBLISHED : HANDLING_NONE;
    if (!config->resource_aware_given && set->handling != HANDLING_NONE)
        set->resource_aware = 1;
    if (set->handling == HANDLING_PUBLISHED && !set->resource_aware)
        return error_set(err, E_ARG,
            "handling \"published\" draws budgets that a policy has to see, and "
            "resource_aware is false; leave it out, or take another handling");
    if (set->handling != HANDLING_NONE && !set->n_constraints)
        return error_set(err, E_ARG,
            "handling \"%s\" has nothing to handle: there are no constraints; give some "
            "(--constraint latency=30), or take handling \"none\"",
            handling_names[set->handling]);
    enum status s = OK;
    if (config->costs_file && !config->table)
        s = cost_table_read(
            config->costs_file, config->timing, config->quantile, &config->table, err);
    set->costs.table = config->table;
    set->reserve_share = cost_quantile_shares[config->quantile];
    return s;
}

enum status tmo_config_constrain(
    struct tmo_config *config, const char *text, int is_first, struct error *err)
{
    struct environment_settings *set = &config->environment;
    struct constraint one = { 0 };
    int64_t horizon = 0;
    size_t n_kind = strcspn(text, "=");
    const char *budget = text[n_kind] ? text + n_kind + 1 : "";
    size_t n_budget = strcspn(budget, ":");
    char *kind = text_copy_n(text, n_kind), *number = text_copy_n(budget, n_budget);
    enum status s = kind && number ? OK : error_nomem(err, strlen(text));
    if (!s && (!n_kind || !n_budget))
        s = error_set(err, E_ARG,
            "\"%s\": expected KIND=BUDGET[:HORIZON], say latency=30 (seconds of a "
            "session), usage=0.05 (USD) or privacy=2:5 (levels in any 5 turns)",
            text);
    if (!s)
        s = constraint_kind_of(kind, &one.kind, err);
    if (!s)
        s = text_to_double(number, text, 0, 1e12, &one.budget, err);
    if (!s && budget[n_budget])
        s = text_to_int(
            budget + n_budget + 1, text, 1, CONSTRAINT_MAX_HORIZON, &horizon, err);
    free(kind);
    free(number);
    if (s)
        return s;
    if (is_first)
        set->n_constraints = 0;
    if (set->n_constraints == CONSTRAINTS_MAX)
        return error_set(err, E_ARG, "%d constraints are the most", CONSTRAINTS_MAX);
    one.horizon = (size_t)horizon;
    set->constraints[set->n_constraints++] = one;
    config->constraints_given = 1;
    return constraints_check(set->constraints, set->n_constraints, err);
}

/* ---- names to indices of data ---- */

/* The llm of a role: the one there is, or the one that is named. */
static enum status choose_llm(const struct dataset *data, int cloud, const char *wanted,
    int *out, struct error *err)
{
    const char *role = cloud ? "cloud" : "local";
    struct buffer names;
    size_t n = 0;
    enum status s = OK;
    *out = -1;
    buffer_init(&names, 4096);
    for (size_t i = 0; i < data->n_llms; i++) {
        if ((data->llms[i].cloud != 0) != cloud)
            continue;
        buffer_printf(&names, "%s%s", n++ ? ", " : "", data->llms[i].name);
        if (wanted ? strcmp(wanted, data->llms[i].name) == 0 : n == 1)
            *out = (int)i;
    }
    if (!n)
        s = error_set(err, E_DATA,
            "%s has no answers of a %s llm; the published environment chooses between a "
            "local and a cloud one, so collect from both",
            data->source, role);
    else if (wanted && *out < 0)
        s = error_set(err, E_ARG, "--%s %s: %s has no such %s llm; it has %s", role,
            wanted, data->source, role, buffer_str(&names));
    else if (!wanted && n > 1)
        s = error_set(err, E_ARG,
            "%s has %zu %s llms, and the published environment takes one; choose with "
            "--%s NAME among %s",
            data->source, n, role, role, buffer_str(&names));
    buffer_release(&names);
    return s;
}

static enum status resolve_action(const struct dataset *data,
    const struct config_action *from, size_t at, struct recorded_listed *to,
    struct error *err)
{
    to->llm = -1;
    to->views = 0;
    for (size_t i = 0; i < data->n_llms; i++)
        if (strcmp(data->llms[i].name, from->llm) == 0)
            to->llm = (int)i;
    if (to->llm < 0)
        return error_set(err, E_ARG, "actions[%zu] asks llm \"%s\", which %s lacks", at,
            from->llm, data->source);
    for (size_t v = 0; v < from->n_views; v++) {
        size_t i = 0;
        while (i < data->n_views && strcmp(data->views[i], from->views[v]) != 0)
            i++;
        if (i == data->n_views)
            return error_set(err, E_ARG, "actions[%zu] shows view \"%s\", which %s lacks",
                at, from->views[v], data->source);
        to->views |= UINT32_C(1) << i;
    }
    return OK;
}

/* The data's own costs, where they are asked for and not there yet. */
static enum status take_costs(
    struct tmo_config *config, const struct recorded *rec, struct error *err)
{
    enum status s = OK;
    if (config->costs_of_data && !config->costs_file && !config->table)
        s = recorded_costs(rec, config->quantile, &config->table, err);
    config->environment.costs.table = config->table;
    return s;
}

enum status tmo_config_record(struct tmo_config *config, const struct dataset *data,
    struct recorded **out, struct error *err)
{
    struct recorded_settings set = recorded_defaults();
    struct recorded_listed *listed = NULL;
    enum status s = OK;
    *out = NULL;
    set.as_published = config->environment.as_published;
    set.tau = config->tau;
    set.actions = config->actions;
    if (set.as_published) {
        s = choose_llm(data, 0, config->local, &set.local, err);
        if (!s)
            s = choose_llm(data, 1, config->cloud, &set.cloud, err);
    } else if (config->actions == ACTIONS_LISTED) {
        listed = calloc(config->n_listed + 1, sizeof *listed);
        s = listed ? OK : error_nomem(err, config->n_listed * sizeof *listed);
        for (size_t i = 0; i < config->n_listed && !s; i++)
            s = resolve_action(data, &config->listed[i], i, &listed[i], err);
        set.listed = listed;
        set.n_listed = config->n_listed;
    }
    if (!s)
        s = recorded_build(data, &set, out, err);
    free(listed);
    if (!s)
        s = take_costs(config, *out, err);
    if (s) {
        recorded_free(*out);
        *out = NULL;
    }
    return s;
}
