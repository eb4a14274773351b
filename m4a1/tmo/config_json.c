/* config_json.c - a config from JSON and back, by one table of members.
 *
 * Each group of plain members (the object itself, estimator, costs, reward, split) is
 * listed once, with type and range; reading and writing walk the same list. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/json_keep.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/config.h"

enum type { T_COUNT, T_SEED, T_REAL, T_FLAG, T_NAME, T_TEXT, T_DEVICE, T_NETWORK };

/* One member: where its value lies, and what it may be. */
struct member {
    const char *key;
    enum type type;
    void *to; /* size_t, uint64_t, double, int, enum, char * (owned) or const char * */
    double least, most;
    const char *const *names; /* of T_NAME */
    size_t n_names;
    int *given; /* NULL, or what becomes 1 once it is read */
};

_Static_assert(
    sizeof(enum constraint_handling) == sizeof(unsigned), "enums are int-sized");

#define MEMBERS_MAX 16

struct group {
    const char *key; /* NULL = the object itself */
    struct member members[MEMBERS_MAX];
    size_t n;
};

enum { G_ROOT, G_ESTIMATOR, G_COSTS, G_REWARD, G_SPLIT, N_GROUPS };

static void add(
    struct group *g, const char *key, enum type type, void *to, double least, double most)
{
    g->members[g->n++] = (struct member) {
        .key = key, .type = type, .to = to, .least = least, .most = most
    };
}

static void add_name(
    struct group *g, const char *key, void *to, const char *const *names, size_t n_names)
{
    g->members[g->n++] = (struct member) {
        .key = key, .type = T_NAME, .to = to, .names = names, .n_names = n_names
    };
}

static void tell_given(struct group *g, int *given)
{
    g->members[g->n - 1].given = given;
}

/* All plain members, pointing into c. */
static void list_groups(struct tmo_config *c, struct group groups[N_GROUPS])
{
    struct environment_settings *set = &c->environment;
    memset(groups, 0, N_GROUPS * sizeof *groups);
    struct group *g = &groups[G_ROOT];
    add(g, "tau", T_COUNT, &c->tau, 1, SPACE_MAX_TAU);
    add(g, "local", T_TEXT, &c->local, 0, 0);
    add(g, "cloud", T_TEXT, &c->cloud, 0, 0);
    add_name(g, "transitions", &set->transitions, transitions_names, 2);
    add_name(g, "features", &set->features, features_names, 2);
    add(g, "resource_aware", T_FLAG, &set->resource_aware, 0, 1);
    tell_given(g, &c->resource_aware_given);
    add_name(g, "handling", &set->handling, handling_names, N_HANDLINGS);
    tell_given(g, &c->handling_given);
    add(g, "lambda", T_REAL, &set->lambda, 0, 1e9);
    add(g, "dual_rate", T_REAL, &set->dual_rate, 0, 1e9);
    add(g, "longest", T_COUNT, &set->longest, 0, 100000);

    g = &groups[G_ESTIMATOR];
    g->key = "estimator";
    add_name(g, "kind", &set->estimator.kind, estimator_names, N_ESTIMATORS);
    tell_given(g, &c->estimator_given);
    add(g, "k", T_COUNT, &set->estimator.k, 0, KNN_MAX_K);
    add(g, "alpha", T_REAL, &set->estimator.alpha, 1e-12, 1e12);
    add_name(g, "choose_by", &set->estimator.choose_by, folds_by_names, N_FOLDS_BY);
    add(g, "n_folds", T_COUNT, &set->estimator.n_folds, 2, 1000000);
    add(g, "seed", T_SEED, &set->estimator.seed, 0, 9007199254740992.0);

    g = &groups[G_COSTS];
    g->key = "costs";
    add(g, "of_data", T_FLAG, &c->costs_of_data, 0, 1);
    add(g, "device", T_DEVICE, &set->costs.device, 0, 0);
    add(g, "network", T_NETWORK, &set->costs.network, 0, 0);
    add(g, "file", T_TEXT, &c->costs_file, 0, 0);
    add_name(g, "timing", &c->timing, cost_timing_names, N_TIMINGS);
    add_name(g, "quantile", &c->quantile, cost_quantile_names, N_QUANTILES);

    g = &groups[G_REWARD];
    g->key = "reward";
    add(g, "response", T_REAL, &set->alpha, 0, 1e9);
    add(g, "association", T_REAL, &set->beta_association, 0, 1e9);
    add(g, "latency", T_REAL, &set->beta_latency, 0, 1e9);
    add(g, "usage", T_REAL, &set->beta_usage, 0, 1e9);

    g = &groups[G_SPLIT];
    g->key = "split";
    add(g, "from", T_TEXT, &c->split_from, 0, 0);
    add(g, "train_share", T_REAL, &c->train_share, 0.01, 0.99);
    add_name(g, "by", &c->split_by, folds_by_names, N_FOLDS_BY);
}

/* ---- reading ---- */

struct reading {
    struct tmo_config *config;
    const char *name; /* of the file */
    struct error *err;
};

/* "tau", or "costs.file" of a group. */
static const char *path_of(const char *group, const char *key, char buf[96])
{
    snprintf(buf, 96, "%s%s%s", group ? group : "", group ? "." : "", key);
    return buf;
}

static enum status expected(const struct reading *r, const char *path, const char *what)
{
    return error_set(r->err, E_DATA, "%s: %s: expected %s", r->name, path, what);
}

static enum status bad_range(
    const struct reading *r, const char *path, const struct member *m)
{
    char what[96];
    snprintf(what, sizeof what, "a %snumber from %g to %g",
        m->type == T_REAL ? "" : "whole ", m->least, m->most);
    return expected(r, path, what);
}

static enum status read_text(
    const struct reading *r, const char *path, const struct json *j, char **to)
{
    if (!json_is_null(j) && (!json_is_string(j) || !*json_text(j, "")))
        return expected(r, path, "a text or null");
    free(*to);
    *to = json_is_null(j) ? NULL : text_copy(json_text(j, ""));
    return json_is_null(j) || *to ? OK : error_nomem(r->err, 64);
}

static enum status read_name(const struct reading *r, const char *path,
    const struct json *j, const char *const *names, size_t n, unsigned *out)
{
    const char *text = json_text(j, "");
    for (unsigned i = 0; i < n; i++)
        if (strcmp(names[i], text) == 0) {
            *out = i;
            return OK;
        }
    struct buffer list;
    buffer_init(&list, 1000);
    for (size_t i = 0; i < n; i++)
        buffer_printf(&list, "%s\"%s\"", i ? ", " : "one of ", names[i]);
    enum status s = expected(r, path, buffer_str(&list));
    buffer_release(&list);
    return s;
}

static enum status read_profile_name(const struct reading *r, const char *path,
    const struct json *j, const struct member *m)
{
    const char *text = json_text(j, "");
    const struct costs_device *device;
    const struct costs_network *network;
    enum status s;
    if (m->type == T_DEVICE) {
        s = costs_find_device(text, &device, r->err);
        if (!s)
            *(const char **)m->to = device->name;
    } else {
        s = costs_find_network(text, &network, r->err);
        if (!s)
            *(const char **)m->to = network->name;
    }
    if (!s)
        return OK;
    error_prefix(r->err, "%s: %s: ", r->name, path);
    return E_DATA;
}

static enum status read_number(const struct reading *r, const char *path,
    const struct json *j, const struct member *m)
{
    double x = json_number(j, NAN);
    if (!json_is_number(j) || !(x >= m->least && x <= m->most) ||
        (m->type != T_REAL && !json_is_int(j)))
        return bad_range(r, path, m);
    if (m->type == T_REAL)
        *(double *)m->to = x;
    else if (m->type == T_SEED)
        *(uint64_t *)m->to = (uint64_t)x;
    else
        *(size_t *)m->to = (size_t)x;
    return OK;
}

static enum status read_member(const struct reading *r, const char *group,
    const struct json *j, const struct member *m)
{
    char path[96];
    unsigned which = 0;
    enum status s = OK;
    path_of(group, m->key, path);
    switch (m->type) {
    case T_FLAG:
        if (!json_is_bool(j))
            return expected(r, path, "true or false");
        *(int *)m->to = json_bool(j, 0);
        break;
    case T_NAME:
        s = read_name(r, path, j, m->names, m->n_names, &which);
        if (!s)
            memcpy(m->to, &which, sizeof which);
        break;
    case T_TEXT: s = read_text(r, path, j, m->to); break;
    case T_DEVICE:
    case T_NETWORK: s = read_profile_name(r, path, j, m); break;
    case T_COUNT:
    case T_SEED:
    case T_REAL: s = read_number(r, path, j, m); break;
    }
    if (!s && m->given)
        *m->given = 1;
    return s;
}

/* Members that are no plain ones: of the object itself, and of costs. */
static const char *const special_root[] = { "as_published", "actions", "estimator",
    "costs", "reward", "constraints", "learner", "split" };
static const char *const special_costs[] = { "table" };

static enum status unknown(const struct reading *r, const struct group *g,
    const char *const *special, size_t n_special, const char *key)
{
    const char *names[MEMBERS_MAX + COUNT_OF(special_root)];
    char path[96];
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++)
        names[n++] = g->members[i].key;
    for (size_t i = 0; i < n_special; i++)
        names[n++] = special[i];
    const char *near = text_nearest(key, names, n);
    return error_set(r->err, E_DATA,
        "%s: unknown member \"%s\"%s%s%s; m4a1 train DATA --print-config shows all there "
        "are",
        r->name, path_of(g->key, key, path), near ? ", did you mean \"" : "",
        near ? near : "", near ? "\"" : "");
}

static enum status read_group(const struct reading *r, const struct json *object,
    const struct group *g, const char *const *special, size_t n_special)
{
    if (!json_is_object(object))
        return expected(r, g->key ? g->key : "the config", "an object");
    enum status s = OK;
    for (const struct json *j = json_first(object); j && !s; j = json_next(j)) {
        size_t i = 0, k = 0;
        while (i < g->n && strcmp(g->members[i].key, json_key(j)) != 0)
            i++;
        while (i == g->n && k < n_special && strcmp(special[k], json_key(j)) != 0)
            k++;
        if (i < g->n)
            s = read_member(r, g->key, j, &g->members[i]);
        else if (k == n_special)
            s = unknown(r, g, special, n_special, json_key(j));
    }
    return s;
}

/* ---- members with a form of their own ---- */

static enum status read_published(const struct reading *r, const struct json *j)
{
    struct tmo_config *c = r->config;
    if (!json_is_bool(j))
        return expected(r, "as_published", "true or false");
    if (json_bool(j, 0) == c->environment.as_published)
        return OK;
    tmo_config_release(c);
    tmo_config_init(c, json_bool(j, 0));
    return OK;
}

static enum status read_learner(const struct reading *r, const struct json *object)
{
    struct learner_settings *set = &r->config->learner;
    unsigned kind = set->kind;
    enum status s = OK;
    if (!json_is_object(object))
        return expected(r, "learner", "an object with its name and settings");
    if (json_get(object, "name"))
        s = read_name(r, "learner.name", json_get(object, "name"), learner_names,
            N_LEARNERS, &kind);
    if (!s && kind != set->kind)
        *set = tmo_config_learner(r->config, kind);
    for (const struct json *j = json_first(object); j && !s; j = json_next(j)) {
        const struct learner_field *field = learner_field(kind, json_key(j));
        if (strcmp(json_key(j), "name") == 0)
            continue;
        if (!field)
            return error_set(r->err, E_DATA,
                "%s: unknown member \"learner.%s\" of %s; m4a1 train DATA --learner %s "
                "--print-config shows all there are",
                r->name, json_key(j), learner_names[kind], learner_names[kind]);
        s = learner_set(set, field, json_number(j, NAN), r->err);
        if (s) {
            error_prefix(r->err, "%s: learner.", r->name);
            return E_DATA;
        }
    }
    return s;
}

static enum status read_constraint(
    const struct reading *r, const struct json *object, struct constraint *out)
{
    size_t horizon = 0;
    struct group g = { .key = "constraints" };
    *out = (struct constraint) { .budget = -1 };
    add_name(&g, "kind", &out->kind, constraint_names, N_CONSTRAINT_KINDS);
    add(&g, "budget", T_REAL, &out->budget, 0, 1e12);
    add(&g, "horizon", T_COUNT, &horizon, 0, CONSTRAINT_MAX_HORIZON);
    enum status s = read_group(r, object, &g, NULL, 0);
    if (!s && (!json_get(object, "kind") || out->budget < 0))
        s = expected(r, "constraints",
            "kind and budget of each: {\"kind\": \"latency\", \"budget\": 30}");
    out->horizon = horizon;
    return s;
}

static enum status read_constraints(const struct reading *r, const struct json *list)
{
    struct environment_settings *set = &r->config->environment;
    enum status s = OK;
    if (!json_is_array(list) || json_size(list) > CONSTRAINTS_MAX)
        return expected(r, "constraints", "a list of at most six constraints");
    set->n_constraints = 0;
    for (const struct json *j = json_first(list); j && !s; j = json_next(j))
        s = read_constraint(r, j, &set->constraints[set->n_constraints++]);
    if (!s && constraints_check(set->constraints, set->n_constraints, r->err)) {
        error_prefix(r->err, "%s: constraints: ", r->name);
        s = E_DATA;
    }
    r->config->constraints_given = 1;
    return s;
}

static enum status read_action(
    const struct reading *r, const struct json *object, struct config_action *out)
{
    const struct json *views = json_get(object, "views");
    const char *llm = json_text(json_get(object, "llm"), NULL);
    if (!llm || (views && !json_is_array(views)))
        return expected(r, "actions",
            "\"all\", \"recorded\" or a list of {\"llm\": NAME, \"views\": [NAMES]}");
    out->llm = text_copy(llm);
    out->views = calloc(json_size(views) + 1, sizeof *out->views);
    if (!out->llm || !out->views)
        return error_nomem(r->err, 64);
    for (const struct json *j = json_first(views); j; j = json_next(j)) {
        out->views[out->n_views] = text_copy(json_text(j, ""));
        if (!out->views[out->n_views++])
            return error_nomem(r->err, 64);
    }
    return OK;
}

static enum status read_actions(const struct reading *r, const struct json *j)
{
    struct tmo_config *c = r->config;
    unsigned which;
    if (json_is_string(j)) {
        enum status s = read_name(r, "actions", j, actions_names, 2, &which);
        c->actions = s ? c->actions : (enum recorded_actions)which;
        return s;
    }
    if (!json_is_array(j) || !json_size(j) || json_size(j) > SPACE_MAX_ACTIONS)
        return expected(r, "actions",
            "\"all\", \"recorded\" or a list of {\"llm\": NAME, \"views\": [NAMES]}");
    if (c->n_listed) {
        struct tmo_config old = { .listed = c->listed, .n_listed = c->n_listed };
        c->listed = NULL;
        c->n_listed = 0;
        tmo_config_release(&old);
    }
    c->listed = calloc(json_size(j), sizeof *c->listed);
    enum status s = c->listed ? OK : error_nomem(r->err, json_size(j));
    for (const struct json *one = json_first(j); one && !s; one = json_next(one))
        s = read_action(r, one, &c->listed[c->n_listed++]);
    c->actions = ACTIONS_LISTED;
    return s;
}

static enum status read_costs(
    const struct reading *r, const struct json *object, const struct group *g)
{
    struct tmo_config *c = r->config;
    const struct json *table = json_get(object, "table");
    enum status s = read_group(r, object, g, special_costs, COUNT_OF(special_costs));
    // Another file, or another reading of it, has another table.
    cost_table_free(c->table);
    c->table = NULL;
    c->environment.costs.table = NULL;
    if (!s && table && !json_is_null(table)) {
        char name[300];
        snprintf(name, sizeof name, "%s: costs.table", r->name);
        s = cost_table_parse(table, name, &c->table, r->err);
        c->environment.costs.table = c->table;
    }
    return s;
}

enum status tmo_config_read(struct tmo_config *config, const struct json *object,
    const char *name, struct error *err)
{
    const struct reading r = { config, name, err };
    struct group groups[N_GROUPS];
    enum status s = OK;
    if (!json_is_object(object))
        return expected(&r, "the config", "an object");
    if (json_get(object, "as_published"))
        s = read_published(&r, json_get(object, "as_published"));
    list_groups(config, groups);
    if (!s)
        s = read_group(&r, object, &groups[G_ROOT], special_root, COUNT_OF(special_root));
    for (size_t g = G_ROOT + 1; g < N_GROUPS && !s; g++) {
        const struct json *one = json_get(object, groups[g].key);
        if (one)
            s = g == G_COSTS ? read_costs(&r, one, &groups[g])
                             : read_group(&r, one, &groups[g], NULL, 0);
    }
    if (!s && json_get(object, "learner"))
        s = read_learner(&r, json_get(object, "learner"));
    if (!s && json_get(object, "constraints"))
        s = read_constraints(&r, json_get(object, "constraints"));
    if (!s && json_get(object, "actions"))
        s = read_actions(&r, json_get(object, "actions"));
    if (!s && config->split_by == FOLDS_PROMPT)
        s = expected(&r, "split.by", "\"session\" or \"scene\"");
    return s;
}

/* ---- writing ---- */

static void write_member(struct json_keeper *k, struct json *o, const struct member *m)
{
    unsigned which = 0;
    const char *text;
    switch (m->type) {
    case T_FLAG: json_keep(k, json_set_bool(o, m->key, *(int *)m->to)); break;
    case T_NAME:
        memcpy(&which, m->to, sizeof which);
        json_keep(k, json_set_text(o, m->key, m->names[which]));
        break;
    case T_TEXT:
    case T_DEVICE:
    case T_NETWORK:
        text = *(const char **)m->to;
        json_keep(k, text ? json_set_text(o, m->key, text) : json_set_null(o, m->key));
        break;
    case T_COUNT: json_keep_count(k, o, m->key, *(size_t *)m->to); break;
    case T_SEED:
        json_keep(k, json_set_int(o, m->key, (int64_t) * (uint64_t *)m->to));
        break;
    case T_REAL: json_keep(k, json_set_number(o, m->key, *(double *)m->to)); break;
    }
}

static void write_actions(
    struct json_keeper *k, struct json *o, const struct tmo_config *c)
{
    if (c->actions != ACTIONS_LISTED) {
        json_keep(k, json_set_text(o, "actions", actions_names[c->actions]));
        return;
    }
    struct json *list = json_keep(k, json_set_array(o, "actions"));
    for (size_t i = 0; i < c->n_listed; i++) {
        struct json *one = json_keep(k, json_add_object(list));
        json_keep(k, json_set_text(one, "llm", c->listed[i].llm));
        struct json *views = json_keep(k, json_set_array(one, "views"));
        for (size_t v = 0; v < c->listed[i].n_views; v++)
            json_keep(k, json_add_text(views, c->listed[i].views[v]));
    }
}

static void write_constraints(
    struct json_keeper *k, struct json *o, const struct environment_settings *set)
{
    struct json *list = json_keep(k, json_set_array(o, "constraints"));
    for (size_t i = 0; i < set->n_constraints; i++) {
        const struct constraint *one = &set->constraints[i];
        struct json *c = json_keep(k, json_add_object(list));
        json_keep(k, json_set_text(c, "kind", constraint_names[one->kind]));
        json_keep(k, json_set_number(c, "budget", one->budget));
        json_keep_count(k, c, "horizon", one->horizon);
    }
}

static void write_learner(
    struct json_keeper *k, struct json *o, const struct learner_settings *set)
{
    struct json *l = json_keep(k, json_set_object(o, "learner"));
    json_keep(k, json_set_text(l, "name", learner_names[set->kind]));
    for (size_t i = 0; i < n_learner_fields; i++) {
        const struct learner_field *field = &learner_fields[i];
        double x = learner_get(set, field);
        if (!(field->readers & LEARNER_BIT(set->kind)))
            continue;
        json_keep(k, field->type == LEARNER_INTEGER
                         ? json_set_int(l, field->name, (int64_t)x)
                         : json_set_number(l, field->name, x));
    }
}

enum status tmo_config_write(const struct tmo_config *config, int with_table,
    struct json *object, struct error *err)
{
    struct json_keeper k = { 1 };
    struct group groups[N_GROUPS];
    struct tmo_config c = *config; // list_groups() points into it, and nothing is changed
    enum status s = OK;
    list_groups(&c, groups);
    json_keep(&k, json_set_bool(object, "as_published", c.environment.as_published));
    for (size_t g = 0; g < N_GROUPS; g++) {
        struct json *o = groups[g].key
                             ? json_keep(&k, json_set_object(object, groups[g].key))
                             : object;
        for (size_t i = 0; i < groups[g].n; i++)
            write_member(&k, o, &groups[g].members[i]);
        if (g == G_ROOT)
            write_actions(&k, o, &c);
        if (g == G_COSTS && c.table &&
            (with_table || (!c.costs_file && !c.costs_of_data)))
            s = cost_table_describe(c.table, json_set_object(o, "table"), err);
    }
    write_constraints(&k, object, &c.environment);
    write_learner(&k, object, &c.learner);
    return s || k.ok ? s : error_nomem(err, sizeof c);
}
