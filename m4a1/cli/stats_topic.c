/* stats_topic.c - see stats_topic.h. */
#include "m4a1/cli/stats_topic.h"

#include <stdio.h>

#include "export/coverage.h"

static enum status add_group(struct stats_topic *t, struct json *list, const char *name,
    const struct group_filter *filter, struct group *group, struct error *err)
{
    enum status s = coverage_group(t->data, filter, group, err);
    struct json *row = json_keep(&t->kept, json_add_object(list));
    json_keep(&t->kept, json_set_text(row, "name", name));
    json_keep_count(&t->kept, row, "n", group->n);
    json_keep_count(&t->kept, row, "n_scored", group->n_scored);
    json_keep_figure(&t->kept, row, "score", group->score);
    json_keep_figure(&t->kept, row, "score_refused_0", group->score_trained);
    json_keep_figure(&t->kept, row, "refused", group->refused);
    json_keep_figure(&t->kept, row, "latency_s", group->latency_s);
    json_keep_figure(&t->kept, row, "latency_p50_s", group->latency_p50_s);
    json_keep_figure(&t->kept, row, "latency_p90_s", group->latency_p90_s);
    json_keep_figure(&t->kept, row, "cost_usd", group->cost_usd);
    json_keep_figure(&t->kept, row, "cost_sum_usd", group->cost_sum_usd);
    json_keep_count(&t->kept, row, "n_cost", group->n_cost);
    return s;
}

struct json *stats_new_list(struct stats_topic *t, const char *key)
{
    return json_keep(&t->kept, json_set_array(t->root, key));
}

enum status stats_add_actions(struct stats_topic *t, struct error *err)
{
    struct json *list = stats_new_list(t, "actions");
    struct group_filter filter = GROUP_ANY;
    struct group group;
    char name[64];
    filter.fan_out = 0;
    filter.cloud = 0;
    enum status s = add_group(t, list, "local", &filter, &group, err);
    filter.cloud = 1;
    for (size_t n = 0; n <= t->data->n_views && !s; n++) {
        filter.n_uploaded = (int)n;
        snprintf(name, sizeof name, n == 0 ? "cloud, text only" : "cloud + %zu view%s", n,
            n == 1 ? "" : "s");
        s = add_group(t, list, name, &filter, &group, err);
    }
    return s;
}

enum status stats_add_context(struct stats_topic *t, struct error *err)
{
    struct json *list = stats_new_list(t, "cloud_text_only_by_context");
    struct group_filter filter = GROUP_ANY;
    struct group group;
    char name[64];
    enum status s = OK;
    filter.fan_out = 0;
    filter.cloud = 1;
    filter.n_uploaded = 0;
    for (size_t n = 0; n <= t->data->n_views && !s; n++) {
        filter.n_context = (int)n;
        snprintf(name, sizeof name, "%zu view%s in context", n, n == 1 ? "" : "s");
        s = add_group(t, list, name, &filter, &group, err);
    }
    return s;
}

enum status stats_add_tasks(struct stats_topic *t, struct error *err)
{
    struct json *list = stats_new_list(t, "tasks");
    struct group_filter filter = GROUP_ANY;
    struct group group;
    enum status s = OK;
    filter.fan_out = 0;
    for (size_t i = 0; i < t->data->n_tasks && !s; i++) {
        filter.task = (int)i;
        s = add_group(t, list, t->data->tasks[i], &filter, &group, err);
    }
    return s;
}

enum status stats_add_llms(
    struct stats_topic *t, const char *key, int fan_out, struct error *err)
{
    struct json *list = stats_new_list(t, key);
    struct group_filter filter = GROUP_ANY;
    struct group group;
    enum status s = OK;
    filter.fan_out = fan_out;
    for (size_t i = 0; i < t->data->n_llms && !s; i++) {
        size_t llm = t->order[i];
        filter.llm = (int)llm;
        s = add_group(t, list, t->data->llms[llm].name, &filter, &group, err);
    }
    return s;
}
