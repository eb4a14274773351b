/* experiment.h - an experiment as data: which settings are crossed with which policies, and
 * what is claimed of the outcome.
 *
 * A file (m4a1/experiments/NAME.json, or one's own) says:
 *
 *   { "name", "title", "question",
 *     "kind": "policies" | "estimators",
 *     "seeds": 10,                       each a split and a training run
 *     "config": { ... },                 of every cell (config.h)
 *     "same_sessions": false,            train and evaluate on all sessions
 *     "factors": [{ "name", "values": [{ "label", "x", "config", "data", "offer",
 *                                        "published" }, ...] | "llms" }, ...],
 *     "crossed": true,                   all combinations, else one factor after the other
 *     "rows": [{ "name", "config", "baseline" | "bound", "offer", "training",
 *                "trained_on": "here" | "elsewhere" }, ...],
 *     "columns": ["reward", ...],        of the table
 *     "claims": [{ "text", "figure", "of", "against", "relative", "least", "most" }, ...],
 *     "plots": [{ "name", "title", "kind", "y", "x", "factor", "x_label", "log_x",
 *                 "rows" }, ...] }
 *
 * A setting is one value of each factor; a cell is a setting, a row and a seed.  "data":
 * {"views", "tasks", "turns", "sessions"} makes synthetic data (synthetic.h); "offer"
 * limits what may be chosen: {"role": "local" | "cloud", "views": "all" | "none", "llms":
 * n}.  "llms" as values makes one of each number of llms, in the order of the data. */
#ifndef M4A1_TMO_EXPERIMENT_H
#define M4A1_TMO_EXPERIMENT_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"

#define EXPERIMENT_MAX_FACTORS 4
#define EXPERIMENT_MAX_SETTINGS 1000
#define EXPERIMENT_MAX_ROWS 40

enum experiment_kind { EXPERIMENT_POLICIES, EXPERIMENT_ESTIMATORS };

/* A value of a factor; everything is borrowed from the file. */
struct experiment_value {
    const char *label;
    double x; /* where it stands on an axis; NAN = nowhere */
    const struct json *config, *data, *offer, *published; /* NULL = none */
};

struct experiment_factor {
    const char *name;
    struct experiment_value *values; /* owned */
    size_t n_values;
};

enum experiment_row_kind { ROW_LEARNER, ROW_BASELINE, ROW_BOUND, ROW_ESTIMATOR };

struct experiment_row {
    const char *name;
    enum experiment_row_kind kind;
    const struct json *config;   /* NULL = nothing to add */
    const struct json *training; /* config of the world it trains in; NULL = the same */
    const char *baseline;        /* ROW_BASELINE */
    int is_bound;
    const struct json *offer;
    int trained_elsewhere; /* on the data of the command, not on those of "transfer" */
};

/* One value of each factor; SIZE_MAX where a factor does not take part (not crossed). */
struct experiment_setting {
    size_t values[EXPERIMENT_MAX_FACTORS];
    char *label; /* "tau 3, k 5"; "" where there is no factor; owned */
    double x;    /* of the factor that varies; NAN = none */
};

struct experiment {
    struct json *root; /* the file; owned */
    char *file;        /* its name, for messages; owned */
    const char *name, *title, *question;
    enum experiment_kind kind;
    size_t n_seeds;
    int same_sessions, synthetic; /* synthetic: it needs no data */
    struct experiment_factor factors[EXPERIMENT_MAX_FACTORS];
    size_t n_factors;
    int crossed;
    struct experiment_row *rows; /* owned */
    size_t n_rows;
    struct experiment_setting *settings; /* at least one; owned */
    size_t n_settings;
};

/* The experiments that come with the program. */
extern const size_t n_experiments;
/* Name and file (not ended by a NUL) of experiment i. */
void experiment_text(size_t i, const char **name, const char **text, size_t *len);

/* Read an experiment from the root of file, which is taken over, also on an error.
 * E_DATA names the member that is unknown or wrong. */
MUST_CHECK enum status experiment_parse(struct json *root, const char *file,
    size_t n_llms, struct experiment **out, struct error *err);
/* Read one of these by name, or else the file of that path.  n_llms: how many llms the
 * data have, for factors over them.  E_NOT_FOUND lists the names; E_DATA names the member
 * that is unknown or wrong. */
MUST_CHECK enum status experiment_read(
    const char *name, size_t n_llms, struct experiment **out, struct error *err);
void experiment_free(struct experiment *e); /* NULL is fine */

/* The value of a factor in a setting, or NULL where it does not take part. */
const struct experiment_value *experiment_value_of(
    const struct experiment *e, size_t setting, size_t factor);

#endif
