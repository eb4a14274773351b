/* experiment_cell.h - run one cell of an experiment: a setting, a row, a seed.
 *
 * What a cell found is a JSON object that can be kept in a file and read again, so that an
 * experiment can be resumed:
 *   { "key", "experiment", "setting", "row", "seed", "digest", "config",
 *     "figures": { "reward": ..., ... },
 *     "sessions": [[id, reward, response, latency_s, usage_usd], ...],
 *     "measured": { "cpu_s": ... } }
 * All but "measured" is the same whenever one build runs it again. */
#ifndef M4A1_TMO_EXPERIMENT_CELL_H
#define M4A1_TMO_EXPERIMENT_CELL_H

#include <stdint.h>
#include "export/dataset.h"
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"
#include "m4a1/tmo/experiment.h"

/* What all cells share. */
struct experiment_lab {
    const struct experiment *experiment;
    const struct dataset *data;  /* NULL where the experiment makes its own */
    const struct dataset *other; /* "transfer": what is evaluated on; NULL = data */
    int64_t steps;               /* of learners, instead of the file's; 0 = the file's */
    int (*stop)(void);           /* nonzero asks to stop; NULL = never */
};

struct experiment_place {
    size_t setting, row;
    uint64_t seed;
};

/* Figures of cells, in the order of tables.  Rewards are means over a session's turns, then
 * over sessions; latency, usage and privacy are totals of a session. */
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
    EX_EXCESS,    /* their mean excess over it, the greatest share of a budget */
    EX_LOCAL,     /* share of turns answered by local llms */
    EX_VIEWS,     /* views that the llm sees with a turn */
    EX_FEATURES,  /* numbers of an observation */
    EX_PARAMETERS,
    EX_CPU_S, /* of training */
    EX_MSE,   /* of estimators, from here on */
    EX_MAE,
    EX_PEARSON,
    EX_SPEARMAN,
    EX_SLOPE,            /* of score on estimate */
    EX_GAIN,             /* the part of the constant's squared error that is gone */
    EX_BEST_SHARE,       /* how often the best action by estimate is the best measured */
    EX_HELD_OUT_MSE,     /* with one tenth of the sessions held out, by seed */
    EX_HELD_OUT_PEARSON, /* and its correlation */
    N_EX_FIGURES
};
/* Figures that are kept by session, in the order of "sessions" behind the id. */
#define N_BY_SESSION 4
extern const enum experiment_figure experiment_by_session[N_BY_SESSION];

struct experiment_figure_name {
    const char *name;  /* in files: "latency_s" */
    const char *label; /* in tables and plots: "latency s" */
    double scale;      /* from file to table */
    int digits;
};
extern const struct experiment_figure_name experiment_figures[N_EX_FIGURES];

/* The figure of a name, or N_EX_FIGURES. */
enum experiment_figure experiment_figure_of(const char *name);

/* What fixes the outcome of a cell: SHA-256 over version, data, settings, row and seed. */
MUST_CHECK enum status experiment_cell_key(const struct experiment_lab *lab,
    const struct experiment_place *place, char key[HASH_HEX], struct error *err);

/* Run it.  Any number of threads may run cells of one lab. */
MUST_CHECK enum status experiment_cell_run(const struct experiment_lab *lab,
    const struct experiment_place *place, struct json **out, struct error *err);

#endif
