/* policy_player.c - names, encoding and weights from a policy file; then a forward pass. */
#include "m4a1/tmo/policy_player.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/actor_critic.h"
#include "m4a1/tmo/costs.h"
#include "m4a1/tmo/policy.h"

#define FILE_MAX ((size_t)256 << 20)

struct policy_player {
    struct policy_names names;
    struct space space;
    struct actor_critic network;
    struct activations act;
    int resource_aware;
    double latency_budget_s, usage_budget_usd;
    double latency_s[COSTS_MAX_KINDS], usage_usd[COSTS_MAX_KINDS];
};

/* Where a reader is, for messages. */
struct place {
    const char *file;
    struct error *err;
};

static enum status broken(const struct place *at, const char *member, const char *what)
{
    return error_set(at->err, E_DATA,
        "%s: %s: expected %s; is this a whole policy file of m4a1 train?", at->file,
        member, what);
}

static enum status read_names(const struct place *at, const struct json *list,
    const char *member, size_t max, char ***out, size_t *n)
{
    size_t size = json_size(list);
    if (!json_is_array(list) || !size || size > max)
        return broken(at, member, "a list of names");
    *out = calloc(size, sizeof **out);
    if (!*out)
        return error_nomem(at->err, size * sizeof **out);
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        (*out)[*n] = text_copy(json_text(j, ""));
        if (!(*out)[(*n)++])
            return error_nomem(at->err, 64);
    }
    return OK;
}

static enum status read_row(const struct place *at, const char *name,
    const struct json *row, size_t n, double *out)
{
    if (!json_is_array(row) || json_size(row) != n)
        return broken(at, name, "rows of the network's size");
    for (const struct json *j = json_first(row); j; j = json_next(j)) {
        if (!json_is_number(j))
            return broken(at, name, "numbers");
        *out++ = json_number(j, 0);
    }
    return OK;
}

static enum status read_matrix(const struct place *at, const char *name,
    const struct json *rows, size_t n_rows, size_t n_columns, double *out)
{
    if (!json_is_array(rows) || json_size(rows) != n_rows)
        return broken(at, name, "as many rows as the network has");
    enum status s = OK;
    for (const struct json *j = json_first(rows); j && !s; j = json_next(j)) {
        s = read_row(at, name, j, n_columns, out);
        out += n_columns;
    }
    return s;
}

/* The policy's half of the network; the value is for training. */
static enum status read_network(
    const struct place *at, const struct json *root, struct policy_player *p)
{
    const struct json *o = json_get(root, "network");
    if (json_int(json_get(o, "hidden"), -1) != HIDDEN ||
        strcmp(json_text(json_get(o, "activation"), ""), "tanh") != 0)
        return broken(at, "network", "two hidden layers of 64 with tanh");
    enum status s = actor_critic_init(&p->network,
        p->space.n_states + (p->resource_aware ? 2 : 0), p->space.n_actions, at->err);
    if (s)
        return s;
    const struct mlp_layout *m = &p->network.policy;
    double *params = p->network.params;
    o = json_get(o, "policy");
    const struct {
        const char *key;
        size_t n_rows, n_columns, at; /* n_rows 0 = a row alone */
    } parts[] = { { "w1", m->n_in, HIDDEN, m->w1 }, { "b1", 0, HIDDEN, m->b1 },
        { "w2", HIDDEN, HIDDEN, m->w2 }, { "b2", 0, HIDDEN, m->b2 },
        { "w3", m->n_out, HIDDEN, m->w3 }, { "b3", 0, m->n_out, m->b3 } };
    for (size_t i = 0; i < COUNT_OF(parts) && !s; i++) {
        const struct json *part = json_get(o, parts[i].key);
        s = parts[i].n_rows ? read_matrix(at, parts[i].key, part, parts[i].n_rows,
                                  parts[i].n_columns, params + parts[i].at)
                            : read_row(at, parts[i].key, part, parts[i].n_columns,
                                  params + parts[i].at);
    }
    return s ? s : activations_init(&p->act, &p->network, at->err);
}

static enum status read_budgets(
    const struct place *at, const struct json *root, struct policy_player *p)
{
    const struct json *reward = json_get(root, "reward"),
                      *costs = json_get(root, "costs");
    size_t n = p->space.n_views + 2;
    if (!p->resource_aware)
        return OK;
    if (n > COSTS_MAX_KINDS)
        return broken(at, "costs", "no more views than the published networks price");
    p->latency_budget_s = json_number(json_get(reward, "latency_budget_s"), 0);
    p->usage_budget_usd = json_number(json_get(reward, "usage_budget_usd"), 0);
    enum status s =
        read_row(at, "costs.latency_s", json_get(costs, "latency_s"), n, p->latency_s);
    return s ? s
             : read_row(
                   at, "costs.usage_usd", json_get(costs, "usage_usd"), n, p->usage_usd);
}

static enum status read_all(
    const struct place *at, const struct json *root, struct policy_player *p)
{
    const struct json *data = json_get(root, "data"),
                      *encoding = json_get(root, "encoding");
    struct policy_names *names = &p->names;
    if (strcmp(json_text(json_get(root, "format"), ""), POLICY_FORMAT) != 0)
        return broken(at, "format", "\"" POLICY_FORMAT "\"");
    if (json_int(json_get(root, "version"), -1) != POLICY_VERSION)
        return broken(at, "version", "1");
    enum status s = read_names(at, json_get(data, "views"), "data.views", SPACE_MAX_VIEWS,
        &names->views, &names->n_views);
    if (!s)
        s = read_names(at, json_get(data, "tasks"), "data.tasks", SPACE_MAX_TASKS,
            &names->tasks, &names->n_tasks);
    if (s)
        return s;
    names->local = text_copy(json_text(json_get(data, "local"), ""));
    names->cloud = text_copy(json_text(json_get(data, "cloud"), ""));
    if (!names->local || !names->cloud)
        return error_nomem(at->err, 64);
    int64_t tau = json_int(json_get(encoding, "tau"), 0);
    if (tau < 1 || tau > SPACE_MAX_TAU)
        return broken(at, "encoding.tau", "a number of turns");
    p->resource_aware = json_bool(json_get(encoding, "resource_aware"), 0);
    s = space_init(&p->space, names->n_views, names->n_tasks, (size_t)tau, at->err);
    if (!s)
        s = read_budgets(at, root, p);
    return s ? s : read_network(at, root, p);
}

enum status policy_player_open(
    const char *path, struct policy_player **out, struct error *err)
{
    *out = NULL;
    struct buffer text;
    struct json *root = NULL;
    struct place at = { path, err };
    struct policy_player *p = calloc(1, sizeof *p);
    if (!p)
        return error_nomem(err, sizeof *p);
    buffer_init(&text, FILE_MAX);
    enum status s = file_read(path, &text, err);
    if (!s)
        s = json_parse(buffer_str(&text), text.len, path, JSON_UNIQUE_KEYS, &root, err);
    if (!s) {
        hash_hex(buffer_str(&text), text.len, p->names.sha256);
        s = read_all(&at, root, p);
    }
    json_free(root);
    buffer_release(&text);
    if (s)
        policy_player_free(p);
    else
        *out = p;
    return s;
}

void policy_player_free(struct policy_player *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->names.n_views; i++)
        free(p->names.views[i]);
    for (size_t i = 0; i < p->names.n_tasks; i++)
        free(p->names.tasks[i]);
    free(p->names.views);
    free(p->names.tasks);
    free(p->names.local);
    free(p->names.cloud);
    space_release(&p->space);
    activations_release(&p->act);
    actor_critic_release(&p->network);
    free(p);
}

const struct policy_names *policy_player_names(const struct policy_player *p)
{
    return &p->names;
}

const struct space *policy_player_space(const struct policy_player *p)
{
    return &p->space;
}

/* Rounded to single precision, as the environment shows budgets.  volatile, since gcc
 * 12.2 at -O2 loses the rounding where it stores two such numbers side by side. */
static double as_single(double x)
{
    volatile float rounded = (float)x;
    return (double)rounded;
}

void policy_player_weigh(struct policy_player *p, const struct policy_turn *past,
    size_t n_past, size_t task, double *probabilities)
{
    int16_t states[SPACE_MAX_STATES];
    double latency = p->latency_budget_s, usage = p->usage_budget_usd;
    long previous = SPACE_ABSENT;
    space_clear(&p->space, states);
    for (size_t t = 0; t < n_past; t++) {
        space_push(&p->space, states, previous, past[t].task);
        previous = (long)space_action(&p->space, past[t].cloud, past[t].uploaded);
        size_t kind = costs_kind(&p->space, (size_t)previous);
        if (p->resource_aware) {
            latency -= p->latency_s[kind];
            usage -= p->usage_usd[kind];
        }
    }
    space_push(&p->space, states, previous, task);
    for (size_t i = 0; i < p->space.n_states; i++)
        p->act.features[i] = states[i];
    if (p->resource_aware) {
        p->act.features[p->space.n_states] = as_single(latency);
        p->act.features[p->space.n_states + 1] = as_single(usage);
    }
    actor_critic_forward(&p->network, &p->act);
    memcpy(
        probabilities, p->act.probabilities, p->space.n_actions * sizeof *probabilities);
}
