/* policy_write.c - the policy file, member by member, a matrix row a line. */
#include "m4a1/tmo/policy.h"

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/policy_parts.h"

#define FILE_MAX ((size_t)256 << 20)

static void set_names(struct json *object, const char *key, char *const *names, size_t n)
{
    struct json *list = json_set_array(object, key);
    for (size_t i = 0; i < n; i++)
        json_add_text(list, names[i]);
}

static void set_numbers(struct json *object, const char *key, const double *x, size_t n)
{
    struct json *list = json_set_array(object, key);
    for (size_t i = 0; i < n; i++)
        json_add_number(list, x[i]);
}

static void set_ids(struct json *object, const char *key, const int64_t *ids, size_t n)
{
    struct json *list = json_set_array(object, key);
    for (size_t i = 0; i < n; i++)
        json_add_int(list, ids[i]);
}

static void set_learner(struct json *root, const struct policy *policy)
{
    const struct a2c_settings *a2c = &policy->learner;
    struct json *o = json_set_object(root, "learner");
    json_set_text(o, "name", "a2c");
    json_set_int(o, "steps", a2c->steps);
    json_set_int(o, "rollout_steps", (int64_t)a2c->n_rollout);
    json_set_number(o, "gamma", a2c->gamma);
    json_set_number(o, "gae_lambda", a2c->gae_lambda);
    json_set_number(o, "value_weight", a2c->value_weight);
    json_set_number(o, "max_gradient_norm", a2c->max_gradient_norm);
    json_set_number(o, "learning_rate", a2c->learning_rate);
    json_set_number(o, "rmsprop_alpha", a2c->rmsprop_alpha);
    json_set_number(o, "rmsprop_epsilon", a2c->rmsprop_epsilon);
}

static void set_data(
    struct json *root, const struct policy *policy, const struct dataset *data)
{
    struct json *o = json_set_object(root, "data");
    json_set_text(o, "source", data->source);
    json_set_text(o, "digest", data->digest);
    json_set_bool(o, "simulated", data->simulated);
    set_names(o, "views", data->views, data->n_views);
    set_names(o, "tasks", data->tasks, data->n_tasks);
    json_set_text(o, "local", data->llms[policy->local].name);
    json_set_text(o, "cloud", data->llms[policy->cloud].name);
}

static void set_actions(struct json *root, const struct policy *policy,
    const struct dataset *data, const struct space *space)
{
    struct json *actions = json_set_array(root, "actions");
    for (size_t a = 0; a < space->n_actions; a++) {
        struct json *action = json_add_object(actions);
        int llm = space_is_cloud(a) ? policy->cloud : policy->local;
        json_set_text(action, "llm", data->llms[llm].name);
        struct json *views = json_set_array(action, "views");
        for (size_t v = 0; v < data->n_views; v++)
            if (space->views[a] >> v & 1)
                json_add_text(views, data->views[v]);
    }
}

static void set_settings(struct json *root, const struct policy *policy,
    const struct space *space, const struct costs *costs)
{
    const struct environment_settings *set = &policy->environment;
    struct json *o = json_set_object(root, "encoding");
    json_set_int(o, "tau", (int64_t)policy->tau);
    json_set_bool(o, "resource_aware", set->resource_aware);
    json_set_int(
        o, "n_features", (int64_t)space->n_states + (set->resource_aware ? 2 : 0));

    o = json_set_object(root, "costs");
    json_set_text(o, "device", set->device);
    json_set_text(o, "network", set->network);
    set_numbers(o, "latency_s", costs->latency_s, costs->n_kinds);
    set_numbers(o, "usage_usd", costs->usage_usd, costs->n_kinds);

    o = json_set_object(root, "reward");
    json_set_number(o, "response", set->alpha);
    json_set_number(o, "association", set->beta_association);
    json_set_number(o, "latency", set->beta_latency);
    json_set_number(o, "usage", set->beta_usage);
    json_set_number(o, "latency_budget_s", set->latency_budget_s);
    json_set_number(o, "usage_budget_usd", set->usage_budget_usd);

    o = json_set_object(root, "estimator");
    json_set_text(o, "name", "knn");
    json_set_int(o, "k", (int64_t)set->k);
    json_set_number(o, "epsilon", KNN_EPSILON);
    json_set_text(o, "ties", "shared");
}

enum status policy_describe(const struct policy *policy, const struct dataset *data,
    struct json **out, struct error *err)
{
    *out = NULL;
    const struct environment_settings *set = &policy->environment;
    struct space space;
    struct costs costs;
    enum status s = space_init(&space, data->n_views, data->n_tasks, policy->tau, err);
    if (!s)
        s = costs_build(set->device, set->network, data->n_views, &costs, err);
    if (!s) {
        *out = json_new_object();
        if (!*out)
            s = error_nomem(err, 64);
    }
    if (!s) {
        json_set_text(*out, "environment", "as-published");
        set_data(*out, policy, data);
        set_actions(*out, policy, data, &space);
        set_settings(*out, policy, &space, &costs);
    }
    space_release(&space);
    return s;
}

/* ---- text ---- */

static enum status print_member(
    const struct json *member, struct buffer *out, struct error *err)
{
    buffer_printf(out, "  \"%s\": ", json_key(member));
    enum status s = json_print(member, JSON_COMPACT, out, err);
    buffer_add_str(out, ",\n");
    return s;
}

static void print_row(const double *x, size_t n, struct buffer *out)
{
    buffer_add_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        char number[32];
        buffer_printf(out, "%s%s", i ? "," : "", text_double(x[i], number));
    }
    buffer_add_char(out, ']');
}

static void print_matrix(const char *name, const double *x, size_t n_rows,
    size_t n_columns, struct buffer *out)
{
    buffer_printf(out, "      \"%s\": [", name);
    for (size_t i = 0; i < n_rows; i++) {
        buffer_add_str(out, i ? ",\n        " : "\n        ");
        print_row(x + i * n_columns, n_columns, out);
    }
    buffer_add_str(out, "],\n");
}

static void print_mlp(const char *name, const double *params, const struct mlp_layout *m,
    struct buffer *out)
{
    buffer_printf(out, "    \"%s\": {\n", name);
    print_matrix("w1", params + m->w1, m->n_in, HIDDEN, out);
    buffer_add_str(out, "      \"b1\": ");
    print_row(params + m->b1, HIDDEN, out);
    buffer_add_str(out, ",\n");
    print_matrix("w2", params + m->w2, HIDDEN, HIDDEN, out);
    buffer_add_str(out, "      \"b2\": ");
    print_row(params + m->b2, HIDDEN, out);
    buffer_add_str(out, ",\n");
    print_matrix("w3", params + m->w3, m->n_out, HIDDEN, out);
    buffer_add_str(out, "      \"b3\": ");
    print_row(params + m->b3, m->n_out, out);
    buffer_add_str(out, "\n    }");
}

static void print_network(const struct actor_critic *network, struct buffer *out)
{
    buffer_printf(out,
        "  \"network\": {\n"
        "    \"hidden\": %d, \"activation\": \"tanh\",\n"
        "    \"layout\": \"w1 and w2: a row an input, a column a hidden unit; w3: a row "
        "an "
        "output, a column a hidden unit\",\n",
        HIDDEN);
    print_mlp("policy", network->params, &network->policy, out);
    buffer_add_str(out, ",\n");
    print_mlp("value", network->params, &network->value, out);
    buffer_add_str(out, "\n  }");
}

/* Ends the text, which lacks its last brace, with the checksum of what it says. */
static enum status print_seal(struct buffer *text, struct error *err)
{
    struct json *root = NULL;
    char seal[HASH_HEX];
    size_t len = text->len;
    buffer_add_str(text, "\n}\n");
    enum status s = buffer_status(text, "the policy file", err);
    if (!s)
        s = json_parse(text->data, text->len, "policy", 0, &root, err);
    if (!s)
        s = policy_seal(root, FILE_MAX, seal, err);
    json_free(root);
    if (s)
        return s;
    text->len = len;
    text->data[len] = '\0';
    buffer_printf(text, ",\n  \"" POLICY_SEAL "\": \"%s\"\n}\n", seal);
    return buffer_status(text, "the policy file", err);
}

enum status policy_save(const struct policy *policy, const struct dataset *data,
    const char *path, struct error *err)
{
    struct json *root;
    enum status s = policy_describe(policy, data, &root, err);
    if (s)
        return s;
    set_learner(root, policy);
    struct json *split = json_set_object(root, "split");
    set_ids(split, "train", policy->split.train, policy->split.n_train);
    set_ids(split, "test", policy->split.test, policy->split.n_test);

    struct buffer text;
    buffer_init(&text, FILE_MAX);
    buffer_printf(&text,
        "{\n  \"format\": \"" POLICY_FORMAT "\",\n  \"version\": %d,\n"
        "  \"written_by\": \"m4a1 " M4A1_VERSION "\",\n  \"seed\": %llu,\n",
        POLICY_VERSION, (unsigned long long)policy->seed);
    for (const struct json *c = json_first(root); c && !s; c = json_next(c))
        s = print_member(c, &text, err);
    print_network(&policy->network, &text);
    json_free(root);
    if (!s)
        s = print_seal(&text, err);
    if (!s)
        s = file_write(path, buffer_str(&text), text.len, err);
    buffer_release(&text);
    return s;
}
