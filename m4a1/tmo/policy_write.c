/* policy_write.c - the policy file, member by member, a matrix row a line. */
#include "m4a1/tmo/policy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/json_keep.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/policy_parts.h"

enum status policy_resolve(
    struct tmo_config *config, const struct recorded *rec, struct error *err)
{
    struct environment_settings *set = &config->environment;
    if (!set->longest)
        set->longest = rec->longest;
    if (!rec->as_published)
        return OK;
    free(config->local);
    free(config->cloud);
    config->local = text_copy(rec->data->llms[rec->llms[0]].name);
    config->cloud = text_copy(rec->data->llms[rec->llms[1]].name);
    return config->local && config->cloud ? OK : error_nomem(err, 64);
}

static const char *llm_name(const struct recorded *rec, size_t llm)
{
    return rec->data->llms[rec->llms[llm]].name;
}

enum status policy_costs(
    const struct environment *env, struct cost_table **out, struct error *err)
{
    const struct costs *costs = &env->costs;
    struct cost_table *table = *out = calloc(1, sizeof *table);
    if (table)
        table->rows = calloc(costs->n_llms, sizeof *table->rows);
    enum status s = table && table->rows ? OK : error_nomem(err, sizeof *table);
    for (size_t llm = 0; llm < costs->n_llms && !s; llm++) {
        struct cost_row *row = &table->rows[table->n_rows++];
        row->llm = text_copy(llm_name(env->rec, llm));
        s = row->llm ? OK : error_nomem(err, 64);
        for (size_t n = 0; n < COST_CELLS; n++) {
            size_t cell = n <= costs->n_views ? costs_cell(costs, llm, n) : 0;
            int is_kind = n <= costs->n_views && costs->is_kind[cell];
            row->latency_s[n] = is_kind ? costs->latency_s[cell] : NAN;
            row->usage_usd[n] = is_kind ? costs->usage_usd[cell] : NAN;
            row->latency_reserve_s[n] = is_kind ? costs->latency_reserve_s[cell] : NAN;
            row->usage_reserve_usd[n] = is_kind ? costs->usage_reserve_usd[cell] : NAN;
        }
    }
    if (s) {
        cost_table_free(table);
        *out = NULL;
    }
    return s;
}

/* ---- members ---- */

static void set_names(struct json_keeper *k, struct json *object, const char *key,
    char *const *names, size_t n)
{
    struct json *list = json_keep(k, json_set_array(object, key));
    for (size_t i = 0; i < n; i++)
        json_keep(k, json_add_text(list, names[i]));
}

static void set_ids(struct json_keeper *k, struct json *object, const char *key,
    const int64_t *ids, size_t n)
{
    struct json *list = json_keep(k, json_set_array(object, key));
    for (size_t i = 0; i < n; i++)
        json_keep(k, json_add_int(list, ids[i]));
}

static void set_data(struct json_keeper *k, struct json *root, const struct dataset *data)
{
    struct json *o = json_keep(k, json_set_object(root, "data"));
    json_keep(k, json_set_text(o, "source", data->source));
    json_keep(k, json_set_text(o, "digest", data->digest));
    json_keep(k, json_set_bool(o, "simulated", data->simulated));
    set_names(k, o, "views", data->views, data->n_views);
    struct json *privacy = json_keep(k, json_set_array(o, "privacy"));
    for (size_t v = 0; v < data->n_views; v++)
        json_keep(k, json_add_int(privacy, data->privacy[v]));
    set_names(k, o, "tasks", data->tasks, data->n_tasks);
    struct json *llms = json_keep(k, json_set_array(o, "llms"));
    for (size_t i = 0; i < data->n_llms; i++) {
        const struct dataset_llm *llm = &data->llms[i];
        struct json *one = json_keep(k, json_add_object(llms));
        json_keep(k, json_set_text(one, "name", llm->name));
        json_keep(k, json_set_bool(one, "cloud", llm->cloud));
        if (llm->provider)
            json_keep(k, json_set_text(one, "provider", llm->provider));
    }
}

static void set_encoding(
    struct json_keeper *k, struct json *root, const struct environment *env)
{
    const struct recorded *rec = env->rec;
    struct json *o = json_keep(k, json_set_object(root, "encoding"));
    struct json *llms = json_keep(k, json_set_array(o, "llms"));
    for (size_t i = 0; i < rec->space.n_llms; i++)
        json_keep(k, json_add_text(llms, llm_name(rec, i)));
    json_keep_count(k, o, "tau", rec->space.tau);
    json_keep(k, json_set_bool(o, "views_in_context", rec->space.with_context));
    json_keep_count(k, o, "numbers_a_turn", rec->space.state_size);
    json_keep_count(k, o, "n_features", env->n_features);
}

static void set_actions(
    struct json_keeper *k, struct json *root, const struct recorded *rec)
{
    struct json *actions = json_keep(k, json_set_array(root, "actions"));
    for (size_t a = 0; a < rec->space.n_actions; a++) {
        const struct space_action *one = &rec->space.actions[a];
        struct json *action = json_keep(k, json_add_object(actions));
        json_keep(k, json_set_text(action, "llm", llm_name(rec, one->llm)));
        struct json *views = json_keep(k, json_set_array(action, "views"));
        for (size_t v = 0; v < rec->space.n_views; v++)
            if (one->views >> v & 1)
                json_keep(k, json_add_text(views, rec->data->views[v]));
    }
}

static enum status set_settings(struct json_keeper *k, struct json *root,
    const struct policy *policy, const struct environment *env, struct error *err)
{
    struct cost_table *costs;
    enum status s = policy_costs(env, &costs, err);
    if (s)
        return s;
    s = cost_table_describe(costs, json_set_object(root, "costs"), err);
    cost_table_free(costs);
    struct json *o = json_keep(k, json_set_object(root, "estimator"));
    json_keep(k, json_set_text(o, "fitted", estimator_name(env->estimator)));
    json_keep_count(k, o, "rows", estimator_n_rows(env->estimator));

    struct tmo_config config;
    if (!s)
        s = tmo_config_copy(&policy->config, &config, err);
    if (s)
        return s;
    s = policy_resolve(&config, env->rec, err);
    if (!s)
        s = tmo_config_write(&config, 1, json_set_object(root, "config"), err);
    tmo_config_release(&config);
    return s;
}

static enum status describe(const struct policy *policy, const struct environment *env,
    struct json **out, struct error *err)
{
    struct json_keeper k = { 1 };
    struct json *root = *out = json_new_object();
    if (!root)
        return error_nomem(err, 64);
    set_data(&k, root, env->rec->data);
    set_encoding(&k, root, env);
    set_actions(&k, root, env->rec);
    enum status s = set_settings(&k, root, policy, env, err);
    struct json *split = json_keep(&k, json_set_object(root, "split"));
    set_ids(&k, split, "train", policy->split.train, policy->split.n_train);
    set_ids(&k, split, "test", policy->split.test, policy->split.n_test);
    if (!s && !k.ok)
        s = error_nomem(err, 64);
    if (s) {
        json_free(root);
        *out = NULL;
    }
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

/* The fewest digits that read back as the same single-precision number. */
static void print_float(float x, struct buffer *out)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x)
            break;
    }
    buffer_add_str(out, text);
}

static void print_part(
    const struct network *net, const struct network_part *part, struct buffer *out)
{
    int is_bias = part->n_rows == 1 && part->name[0] == 'b';
    buffer_printf(out, "      \"%s\": %s", part->name, is_bias ? "" : "[");
    for (size_t r = 0; r < part->n_rows; r++) {
        if (!is_bias)
            buffer_add_str(out, r ? ",\n        " : "\n        ");
        for (size_t c = 0; c < part->n_columns; c++) {
            size_t at = part->at + r * part->row_step + c * part->column_step;
            buffer_add_char(out, c ? ',' : '[');
            print_float(net->params[at], out);
        }
        buffer_add_char(out, ']');
    }
    if (!is_bias)
        buffer_add_char(out, ']');
}

static void print_network(const struct network *net, struct buffer *out)
{
    struct network_part parts[NETWORK_MAX_PARTS];
    size_t n = network_parts(net, parts);
    buffer_printf(out,
        "  \"network\": {\n"
        "    \"kind\": \"%s\", \"hidden\": %d, \"activation\": \"%s\",\n"
        "    \"layout\": \"w1 and w2: a row an input, a column a hidden unit; w3: a row "
        "an output, a column a hidden unit\"",
        net->kind == NETWORK_Q ? "q" : "actor-critic", MLP_HIDDEN,
        net->kind == NETWORK_Q ? "relu" : "tanh");
    for (size_t i = 0; i < n; i++) {
        int is_first = !i || strcmp(parts[i].mlp, parts[i - 1].mlp) != 0;
        buffer_add_str(out, is_first && i ? "\n    }" : "");
        buffer_add_str(out, ",\n");
        if (is_first)
            buffer_printf(out, "    \"%s\": {\n", parts[i].mlp);
        print_part(net, &parts[i], out);
    }
    buffer_add_str(out, "\n    }\n  }");
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
        s = policy_seal(root, POLICY_FILE_MAX, seal, err);
    json_free(root);
    if (s)
        return s;
    text->len = len;
    text->data[len] = '\0';
    buffer_printf(text, ",\n  \"" POLICY_SEAL "\": \"%s\"\n}\n", seal);
    return buffer_status(text, "the policy file", err);
}

enum status policy_save(const struct policy *policy, const struct environment *env,
    const char *path, struct error *err)
{
    struct json *root;
    enum status s = describe(policy, env, &root, err);
    if (s)
        return s;
    struct buffer text;
    buffer_init(&text, POLICY_FILE_MAX);
    buffer_printf(&text,
        "{\n  \"format\": \"" POLICY_FORMAT "\",\n  \"version\": %d,\n"
        "  \"written_by\": \"m4a1 " M4A1_VERSION "\",\n  \"seed\": %" PRIu64 ",\n",
        POLICY_VERSION, policy->seed);
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
