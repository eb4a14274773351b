/* coverage.h - what a data set holds: counts, and figures by group of interactions. */
#ifndef EXPORT_COVERAGE_H
#define EXPORT_COVERAGE_H

#include "export/dataset.h"

struct coverage {
    size_t sessions, imported, censored;
    size_t scenes, prompts; /* different ones */
    size_t turns, fan_out;
    size_t shortest, longest; /* turns a session; 0 where there is none */
    size_t answered, scored, refused, simulated; /* interactions of path and fan-out */
    size_t associated;                           /* turns with associations */
};

MUST_CHECK enum status coverage_count(
    const struct dataset *data, struct coverage *out, struct error *err);

/* Which interactions: -1 takes any. */
struct group_filter {
    int task, llm, cloud;
    int n_uploaded; /* views that image_index lists */
    int n_context;  /* views that the dialogue holds */
    int64_t views;  /* exactly this set in image_index; -1 = any */
    int fan_out;    /* 0 = path only, 1 = fan-out only */
};

#define GROUP_ANY                                                                        \
    {                                                                                    \
        -1, -1, -1, -1, -1, -1, -1                                                       \
    }

/* Each mean is over those that have the figure; NAN where none has. */
struct group {
    size_t n, n_scored;
    double score;         /* mean of the raw response scores */
    double score_trained; /* the same with refusals counted 0, as training takes them */
    double refused;       /* share of those with a refusal value */
    double latency_s;     /* mean */
    double latency_p50_s, latency_p90_s;
    double cost_usd; /* mean */
    double cost_sum_usd;
    size_t n_latency, n_cost;
};

MUST_CHECK enum status coverage_group(const struct dataset *data,
    const struct group_filter *filter, struct group *out, struct error *err);

/* How often view v was added, and how often it was in the context, along the paths. */
size_t coverage_view_added(const struct dataset *data, size_t v);
size_t coverage_view_context(const struct dataset *data, size_t v);

/* Path calls that were refused for good, by the task and the llm: each ends its session,
 * so what would have come after it is missing, and not at random. */
struct censoring {
    int task, llm;  /* indices into data */
    size_t asked;   /* path calls that were answered or refused */
    size_t refused; /* of these; each censored a session */
    size_t lost;    /* turns planned behind the refused ones */
};

/* Pairs of task and llm with a refused call, in the order of tasks; *out is freed with
 * free().  Data without the refused turns (an export) gives none. */
MUST_CHECK enum status coverage_censoring(
    const struct dataset *data, struct censoring **out, size_t *n, struct error *err);

/* Sessions with exactly n turns. */
size_t coverage_sessions_of(const struct dataset *data, size_t n_turns);

#endif
