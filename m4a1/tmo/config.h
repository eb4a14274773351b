/* config.h - everything that one training run is, but for data and seed: one struct, one
 * JSON object.  Options, `--config` files, policy files and experiments all fill it.
 *
 *   { "as_published": false, "tau": 5, "local": null, "cloud": null,
 *     "actions": "all" | "recorded" | [{ "llm": "gpt", "views": ["side"] }, ...],
 *     "transitions": "model" | "recorded", "features": "one-hot" | "published",
 *     "resource_aware": false,
 *     "estimator": { "kind", "k", "alpha", "choose_by", "n_folds", "seed" },
 *     "costs": { "of_data", "device", "network", "file", "timing", "quantile", "table" },
 *     "reward": { "response", "association", "latency", "usage" },
 *     "constraints": [{ "kind", "budget", "horizon" }, ...],
 *     "handling": "none", "lambda": 1, "dual_rate": 0.001, "longest": 0,
 *     "learner": { "name": "ppo", ... learner_fields ... },
 *     "split": { "from": null, "train_share": 0.8, "by": "session" | "scene" } }
 *
 * Every member may be left out, and keeps its value then.  "as_published" and the learner's
 * name are taken first, and set the defaults of all that belongs to them.  Unknown
 * members are refused by name. */
#ifndef M4A1_TMO_CONFIG_H
#define M4A1_TMO_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include "export/dataset.h"
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/learner.h"
#include "m4a1/tmo/recorded.h"

/* An action by names. */
struct config_action {
    char *llm;
    char **views; /* [n_views] */
    size_t n_views;
};

struct tmo_config {
    size_t tau;
    char *local,
        *cloud; /* llms of the published world; NULL = the only one of its role */
    enum recorded_actions actions;
    struct config_action *listed; /* [n_listed] of ACTIONS_LISTED */
    size_t n_listed;

    /* A table counts before a file, a file before the data's own answers
     * (recorded_costs.h), and these before the published profiles. */
    int costs_of_data;
    char *costs_file; /* NULL = none */
    enum cost_timing timing;
    enum cost_quantile quantile;
    struct cost_table *table; /* what costs_file or the data said; NULL until then */

    struct environment_settings environment; /* its costs refer to table */
    struct learner_settings learner;

    char
        *split_from; /* a file, FILE:KEY or a frozen split's name; NULL = drawn by seed */
    double train_share;
    enum folds_by split_by; /* FOLDS_SESSION or FOLDS_SCENE */

    /* What was said, so that the rest can follow (tmo_config_settle). */
    int constraints_given, handling_given, resource_aware_given, estimator_given;
};

extern const char *const transitions_names[2]; /* "recorded", "model" */
extern const char *const features_names[2];    /* "published", "one-hot" */
extern const char *const actions_names[3];     /* "all", "recorded", "listed" */

/* The defaults: the published world (the authors' second version) with A2C, or the
 * corrected one with an estimator chosen by cross-validation, and PPO. */
void tmo_config_init(struct tmo_config *config, int as_published);
/* The defaults of a learner in the config's world: learner_published() or
 * learner_defaults(). */
struct learner_settings tmo_config_learner(
    const struct tmo_config *config, enum learner_kind kind);
void tmo_config_release(struct tmo_config *config);
/* On failure *to is released. */
MUST_CHECK enum status tmo_config_copy(
    const struct tmo_config *from, struct tmo_config *to, struct error *err);

/* Take the members of object; name (a file) begins every message.  E_DATA names the member
 * that is unknown, of another type or out of range, and what was expected. */
MUST_CHECK enum status tmo_config_read(struct tmo_config *config,
    const struct json *object, const char *name, struct error *err);
/* Every value as members of object.  A table of costs that a file says is written only
 * with_table, for a reader that may not have the file. */
MUST_CHECK enum status tmo_config_write(const struct tmo_config *config, int with_table,
    struct json *object, struct error *err);

/* A constraint as text: KIND=BUDGET[:HORIZON], "latency=30", "privacy=2:5".  The first one
 * of a command line replaces those that are there (is_first). */
MUST_CHECK enum status tmo_config_constrain(
    struct tmo_config *config, const char *text, int is_first, struct error *err);

/* Behind all reading: budgets that were given in the corrected world are held by the
 * shield unless a handling was named; handled budgets are observed unless
 * resource_aware says no; the published world handles observed budgets as published.
 * Reads the file of costs where its table is not there yet. */
MUST_CHECK enum status tmo_config_settle(struct tmo_config *config, struct error *err);

/* Encode data for this config, and take the costs from it where they are to be its own and
 * there is no table yet.  E_DATA names an llm that nobody measured; E_ARG an llm or view of local, cloud or actions that
 * data lacks, or says that several llms leave a choice. */
MUST_CHECK enum status tmo_config_record(struct tmo_config *config,
    const struct dataset *data, struct recorded **out, struct error *err);

/* The sessions of one seed: of the file split_from, of FILE:KEY (a member of an object of
 * splits, where {seed} in KEY stands for the seed), of the split frozen in data under that
 * name, or drawn by seed.  Released by the caller. */
MUST_CHECK enum status tmo_config_split(const struct tmo_config *config,
    const struct dataset *data, uint64_t seed, struct split *out, struct error *err);

#endif
