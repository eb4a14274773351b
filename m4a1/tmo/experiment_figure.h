/* experiment_figure.h - what cells of experiments find, by name: in files, tables and plots.
 *
 * Rewards are means over a session's turns, then over sessions; latency, usage and privacy
 * are totals of a session. */
#ifndef M4A1_TMO_EXPERIMENT_FIGURE_H
#define M4A1_TMO_EXPERIMENT_FIGURE_H

#include "m4a1/base/buffer.h"
#include "m4a1/tmo/cross_validation.h"

/* Of held-out rows with so many exact matches among those that were fitted on. */
enum support_figure {
    SUPPORT_ROWS, /* their share of all rows */
    SUPPORT_ESTIMATE,
    SUPPORT_SCORE,
    SUPPORT_MSE,
    N_SUPPORT_FIGURES
};

/* In the order of tables. */
enum experiment_figure {
    EX_REWARD,
    EX_SHARE,       /* of the bound of the same setting and seed; set by the results */
    EX_REWARD_TEST, /* with an estimator that was fitted on the test sessions only */
    EX_RESPONSE,
    EX_ASSOCIATION,
    EX_LATENCY_S,
    EX_USAGE_USD,
    EX_PRIVACY,
    EX_VIOLATION, /* share of sessions that exceed some budget */
    EX_AVOIDABLE, /* the same of those that the bound under budgets keeps; set by results */
    EX_EXCESS,    /* their mean excess over it, the greatest share of a budget */
    EX_LOCAL,     /* share of turns answered by local llms */
    EX_VIEWS,     /* views that the llm sees with a turn */
    EX_FEATURES, /* numbers of an observation */
    EX_PARAMETERS,
    EX_UNPROVED, /* of the bound: share of sessions whose best was not proved */
    EX_CPU_S,    /* of training */
    EX_MSE,      /* of estimators, from here on */
    EX_MAE,
    EX_PEARSON,
    EX_SPEARMAN,
    EX_SLOPE,            /* of score on estimate */
    EX_GAIN,             /* the part of the constant's squared error that is gone */
    EX_BEST_SHARE,       /* how often the best action by estimate is the best measured */
    EX_CHANCE_SHARE,     /* how often a random one is */
    EX_HELD_OUT_MSE,     /* with one tenth of the sessions held out, by seed */
    EX_HELD_OUT_PEARSON, /* and its correlation */
    /* By support, a block for each bin of cross_validation.h: */
    EX_SUPPORT,
    EX_SUPPORT_END = EX_SUPPORT + N_SUPPORT_BINS * N_SUPPORT_FIGURES - 1,
    N_EX_FIGURES
};

enum experiment_figure_kinds {
    FIGURE_OF_POLICIES = 1 << 0,
    FIGURE_OF_ESTIMATORS = 1 << 1,
    FIGURE_BY_SESSION = 1 << 2, /* kept by session: it has intervals, and claims */
};

struct experiment_figure_name {
    const char *name;  /* in files: "latency_s" */
    const char *label; /* in tables and plots: "latency s" */
    double scale;      /* from file to table */
    int digits;
    unsigned kinds;
};
extern const struct experiment_figure_name experiment_figures[N_EX_FIGURES];

/* The figure of a name, or N_EX_FIGURES. */
enum experiment_figure experiment_figure_of(const char *name);
/* Add the names of all figures that are of all these kinds: "reward, share, ...". */
void experiment_figure_list(unsigned kinds, struct buffer *out);

#endif
