/* stats_topic.h - what the topics of m4a1 stats work on, and rows of figures that several of
 * them have. */
#ifndef M4A1_CLI_STATS_TOPIC_H
#define M4A1_CLI_STATS_TOPIC_H

#include "export/dataset.h"
#include "export/json_keep.h"
#include "m4a1/cli/cli.h"

struct stats_topic {
    struct cli *cli;
    const struct dataset *data;
    struct json_keeper kept;
    struct json *root;
    size_t *order; /* [data->n_llms] in which tables list the llms; owned */
    int64_t thin;
    int holds; /* coverage: every minimum of the recipe holds; -1 = it names none */
};

/* A list of that key in the topic's root. */
struct json *stats_new_list(struct stats_topic *t, const char *key);

/* Lists in the root, each with a row of counts and means a group: "actions" along the path,
 * local, then the cloud by the number of views that image_index lists; */
MUST_CHECK enum status stats_add_actions(struct stats_topic *t, struct error *err);
/* "cloud_text_only_by_context": cloud turns that add no view, by what the dialogue holds,
 * since views accumulate and many of them answer with pictures all the same; */
MUST_CHECK enum status stats_add_context(struct stats_topic *t, struct error *err);
/* "tasks" along the path; */
MUST_CHECK enum status stats_add_tasks(struct stats_topic *t, struct error *err);
/* and llms under a key.  fan_out: -1 = with the fan-out answers, 0 = the path only. */
MUST_CHECK enum status stats_add_llms(
    struct stats_topic *t, const char *key, int fan_out, struct error *err);

/* The topic coverage (stats_coverage.c). */
MUST_CHECK enum status stats_build_coverage(struct stats_topic *t, struct error *err);
void stats_print_coverage(const struct json *root, int all);

#endif
