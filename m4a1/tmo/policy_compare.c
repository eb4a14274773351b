/* policy_compare.c - whether a policy's file fits data: names, actions, costs, sessions,
 * built anew from the data and held against what the file says. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/policy_parts.h"

#define TEXT_MAX ((size_t)64 << 20)

struct comparison {
    const char *file;
    const struct policy *policy;
    const struct dataset *data;
    struct error *err;
};

static enum status differs(
    const struct comparison *c, const char *what, const char *theirs, const char *ours)
{
    return error_set(c->err, E_DATA,
        "%s: %s differs: the policy has %.200s, and %s gives %.200s; evaluate it on the "
        "data it was trained on",
        c->file, what, theirs, c->data->source, ours);
}

static void tell_names(char *const *names, size_t n, struct buffer *out)
{
    for (size_t i = 0; i < n; i++)
        buffer_printf(out, "%s%s", i ? ", " : "", names[i]);
}

static enum status compare_names(const struct comparison *c, const char *what,
    char *const *theirs, size_t n_theirs, char *const *ours, size_t n_ours)
{
    int same = n_theirs == n_ours;
    for (size_t i = 0; i < n_ours && same; i++)
        same = strcmp(theirs[i], ours[i]) == 0;
    if (same)
        return OK;
    struct buffer a, b;
    buffer_init(&a, TEXT_MAX);
    buffer_init(&b, TEXT_MAX);
    tell_names(theirs, n_theirs, &a);
    tell_names(ours, n_ours, &b);
    enum status s = differs(c, what, buffer_str(&a), buffer_str(&b));
    buffer_release(&a);
    buffer_release(&b);
    return s;
}

static const struct dataset_llm *find_llm(const struct dataset *data, const char *name)
{
    for (size_t i = 0; i < data->n_llms; i++)
        if (strcmp(data->llms[i].name, name) == 0)
            return &data->llms[i];
    return NULL;
}

/* All llms that the policy knows must be there; of the corrected world no others. */
static enum status compare_llms(const struct comparison *c)
{
    const struct dataset *about = c->policy->about;
    for (size_t i = 0; i < about->n_llms; i++) {
        const struct dataset_llm *llm = &about->llms[i];
        const struct dataset_llm *found = find_llm(c->data, llm->name);
        if (!found || (found->cloud != 0) != (llm->cloud != 0))
            return error_set(c->err, E_DATA,
                "%s: trained with the %s llm \"%s\", which %s does not have; evaluate it "
                "on the data it was trained on",
                c->file, llm->cloud ? "cloud" : "local", llm->name, c->data->source);
    }
    if (c->policy->config.environment.as_published || about->n_llms == c->data->n_llms)
        return OK;
    for (size_t i = 0; i < c->data->n_llms; i++)
        if (!find_llm(about, c->data->llms[i].name))
            return error_set(c->err, E_DATA,
                "%s: trained without the llm \"%s\", which %s has; evaluate it on the "
                "data it was trained on",
                c->file, c->data->llms[i].name, c->data->source);
    return OK;
}

static enum status compare_data(const struct comparison *c)
{
    const struct dataset *about = c->policy->about;
    enum status s = OK;
    if (strcmp(about->digest, c->data->digest) != 0)
        s = error_set(c->err, E_DATA,
            "%s: trained on another data set: digest %.12s (then read from %s), and %s "
            "has %.12s; evaluate it on the data it was trained on, or train again on "
            "this",
            c->file, about->digest, about->source, c->data->source, c->data->digest);
    if (!s)
        s = compare_names(
            c, "views", about->views, about->n_views, c->data->views, c->data->n_views);
    if (!s)
        s = compare_names(
            c, "tasks", about->tasks, about->n_tasks, c->data->tasks, c->data->n_tasks);
    for (size_t v = 0; v < about->n_views && !s && c->policy->version > 1; v++)
        if (about->privacy[v] != c->data->privacy[v]) {
            char theirs[32], ours[32];
            s = differs(c, "privacy", text_double(about->privacy[v], theirs),
                text_double(c->data->privacy[v], ours));
        }
    return s ? s : compare_llms(c);
}

/* ---- what follows from data and settings ---- */

static void tell_action(const char *llm, char *const *views, size_t n, struct buffer *out)
{
    buffer_add_str(out, llm);
    for (size_t v = 0; v < n; v++)
        buffer_printf(out, " + %s", views[v]);
}

static enum status compare_action(
    const struct comparison *c, const struct recorded *rec, size_t a)
{
    const struct config_action *theirs = &c->policy->actions[a];
    const struct space_action *one = &rec->space.actions[a];
    char *views[SPACE_MAX_VIEWS], what[64];
    size_t n = 0;
    struct buffer x, y;
    for (size_t v = 0; v < rec->space.n_views; v++)
        if (one->views >> v & 1)
            views[n++] = rec->data->views[v];
    buffer_init(&x, TEXT_MAX);
    buffer_init(&y, TEXT_MAX);
    tell_action(theirs->llm, theirs->views, theirs->n_views, &x);
    tell_action(rec->data->llms[rec->llms[one->llm]].name, views, n, &y);
    snprintf(what, sizeof what, "actions[%zu]", a);
    enum status s = strcmp(buffer_str(&x), buffer_str(&y)) != 0
                        ? differs(c, what, buffer_str(&x), buffer_str(&y))
                        : OK;
    buffer_release(&x);
    buffer_release(&y);
    return s;
}

static enum status compare_actions(const struct comparison *c, const struct recorded *rec)
{
    enum status s = OK;
    if (c->policy->n_actions != rec->space.n_actions) {
        char theirs[32], ours[32];
        return differs(c, "the number of actions",
            text_double((double)c->policy->n_actions, theirs),
            text_double((double)rec->space.n_actions, ours));
    }
    for (size_t a = 0; a < rec->space.n_actions && !s; a++)
        s = compare_action(c, rec, a);
    return s;
}

static int same_cells(const double *a, const double *b)
{
    for (size_t n = 0; n < COST_CELLS; n++)
        if (isnan(a[n]) ? !isnan(b[n]) : a[n] != b[n])
            return 0;
    return 1;
}

static enum status compare_costs(
    const struct comparison *c, const struct environment *env)
{
    struct cost_table *ours;
    enum status s = policy_costs(env, &ours, c->err);
    if (s)
        return s;
    for (size_t i = 0; i < ours->n_rows && !s; i++) {
        const struct cost_row *b = &ours->rows[i];
        const struct cost_row *a = cost_table_find(c->policy->costs, b->llm);
        if (!a || !same_cells(a->latency_s, b->latency_s) ||
            !same_cells(a->usage_usd, b->usage_usd) ||
            !same_cells(a->latency_reserve_s, b->latency_reserve_s) ||
            !same_cells(a->usage_reserve_usd, b->usage_reserve_usd))
            s = error_set(c->err, E_DATA,
                "%s: costs of llm \"%s\" differ from what its settings and this m4a1 "
                "give; train again",
                c->file, b->llm);
    }
    cost_table_free(ours);
    return s;
}

static enum status compare_world(
    const struct comparison *c, const struct recorded *rec, const size_t *train)
{
    // No estimate is asked for, so the simplest estimator will do.
    struct environment_settings set = c->policy->config.environment;
    struct environment *env;
    set.estimator = estimator_defaults();
    set.estimator.kind = ESTIMATOR_CONSTANT;
    enum status s =
        environment_new(rec, &set, train, c->policy->split.n_train, &env, c->err);
    if (s)
        return s;
    s = compare_costs(c, env);
    if (!s && env->n_features != c->policy->n_features) {
        char theirs[32], ours[32];
        s = differs(c, "the number of features of the encoding",
            text_double((double)c->policy->n_features, theirs),
            text_double((double)env->n_features, ours));
    }
    environment_free(env);
    return s;
}

static enum status compare_split(const struct comparison *c, const struct recorded *rec,
    const int64_t *ids, size_t n, size_t **out)
{
    enum status s = recorded_indices(rec, ids, n, out, c->err);
    if (s)
        error_prefix(c->err, "%s: split: ", c->file);
    return s;
}

enum status policy_compare(const char *path, const struct policy *policy,
    const struct dataset *data, struct error *err)
{
    const struct comparison c = { path, policy, data, err };
    struct recorded *rec = NULL;
    size_t *train = NULL, *test = NULL;
    enum status s = compare_data(&c);
    if (!s) {
        struct tmo_config config = policy->config; // its costs are in its table
        s = tmo_config_record(&config, data, &rec, err);
        if (s)
            error_prefix(err, "%s: ", path);
    }
    if (!s)
        s = compare_actions(&c, rec);
    if (!s)
        s = compare_split(&c, rec, policy->split.train, policy->split.n_train, &train);
    if (!s)
        s = compare_split(&c, rec, policy->split.test, policy->split.n_test, &test);
    if (!s)
        s = compare_world(&c, rec, train);
    free(train);
    free(test);
    recorded_free(rec);
    return s == E_ARG ? E_DATA : s;
}

/* ---- the same training ---- */

static int config_text(const struct tmo_config *config, struct buffer *out)
{
    struct json *o = json_new_object();
    int ok = o && tmo_config_write(config, 1, o, NULL) == OK &&
             json_print(o, JSON_CANONICAL, out, NULL) == OK;
    json_free(o);
    return ok;
}

static int same_ids(const int64_t *a, size_t n_a, const int64_t *b, size_t n_b)
{
    return n_a == n_b && memcmp(a, b, n_a * sizeof *a) == 0;
}

int policy_equals(const struct policy *loaded, const struct tmo_config *config,
    uint64_t seed, const struct split *split)
{
    struct buffer a, b;
    if (loaded->version != POLICY_VERSION || loaded->seed != seed ||
        !text_equal(loaded->written_by, "m4a1 " M4A1_VERSION) ||
        !same_ids(
            loaded->split.train, loaded->split.n_train, split->train, split->n_train) ||
        !same_ids(loaded->split.test, loaded->split.n_test, split->test, split->n_test))
        return 0;
    buffer_init(&a, TEXT_MAX);
    buffer_init(&b, TEXT_MAX);
    int same = config_text(&loaded->config, &a) && config_text(config, &b) &&
               strcmp(buffer_str(&a), buffer_str(&b)) == 0;
    buffer_release(&a);
    buffer_release(&b);
    return same;
}
