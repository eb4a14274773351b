/* tmo_setup.h - the settings of training from options. */
#ifndef M4A1_CLI_TMO_SETUP_H
#define M4A1_CLI_TMO_SETUP_H

#include "export/dataset.h"
#include "m4a1/cli/cli.h"
#include "m4a1/tmo/config.h"

/* Options that a verb's table lists; when is "" or "without policies: ". */
#define TMO_SETUP_OPTIONS(when)                                                          \
    { "as-published", NULL, when "the environment and estimator that TMO published" },   \
        { "config", "FILE",                                                              \
            when "settings from JSON (train --print-config), or of a policy; options "   \
                 "override them" },                                                      \
        { "set", "MEMBER=VALUE",                                                         \
            when "one setting of the config, say reward.usage=0.1; several times" },     \
        { "tau", "N", when "turns that an observation holds (default 5)" },              \
        { "estimator", "NAME",                                                           \
            when "published, ridge, metric, constant, role, task, or auto: chosen by "   \
                 "cross-validation (default; as published: published)" },                \
        { "k", "N", when "neighbours of the estimator (0: its own, 5 of published)" },   \
        { "transitions", "model|recorded",                                               \
            when "training follows the learner's own actions (default), or the "         \
                 "recorded states (as published)" },                                     \
        { "constraint", "C",                                                             \
            when "KIND=BUDGET[:TURNS] of latency (s), usage (USD) or privacy (levels), " \
                 "over the session or its last TURNS turns; several times (default: "    \
                 "latency=30 and usage=0.05, counted only)" },                           \
        { "handling", "NAME",                                                            \
            when "how constraints are kept: none, published, penalty, lagrangian or "    \
                 "shield (default: shield with --constraint, else none)" },              \
        { "lambda", "X", when "weight of a penalty (default 1)" },                       \
        { "dual-rate", "X",                                                              \
            when "step of the multipliers of lagrangian, a session (default 0.001)" },   \
        { "resource-aware", NULL,                                                        \
            when "observations end in what remains of each budget (always with a "       \
                 "handling)" },                                                          \
        { "costs", "data|profile|FILE",                                                  \
            when "what DATA's answers cost (default), the published profiles of "        \
                 "device and network (as published, or where these are named), a "       \
                 "profile of stats latency --profile, or a table" },                     \
        { "device", "NAME", when "local device (default \"Jetson TX2\")" },              \
        { "network", "NAME", when "Wired (default), WiFi, 5G or 4G" },                   \
        { "local", "NAME", when "as published: the local llm, where DATA has several" }, \
    {                                                                                    \
        "cloud", "NAME", when "as published: the cloud llm, where DATA has several"      \
    }

/* The option for actions, which has another name where --actions says what to play. */
#define TMO_ACTIONS_OPTION(name, when)                                                   \
    {                                                                                    \
        name, "all|recorded|FILE",                                                       \
            when "actions: every llm with every set of views (default), those that "     \
                 "DATA has, or a list in JSON"                                           \
    }

/* All settings: those of --config, then the options, then what follows (config.h).  Names
 * of llms and views wait for data.  Released by the caller on success. */
MUST_CHECK enum status tmo_config_options(struct cli *cli, const char *actions_option,
    struct tmo_config *out, struct error *err);

/* Encode data; names that it lacks are a usage error. */
MUST_CHECK enum status tmo_record(struct cli *cli, struct tmo_config *config,
    const struct dataset *data, struct recorded **out, struct error *err);

/* Say on standard error what of data is left out or missing: incomplete turns, other
 * llms, associations.  Called behind all checks, so that an error stands alone. */
void tmo_setup_warn(const struct recorded *rec);
/* And which costs nobody measured. */
void tmo_costs_warn(const struct environment *env);

#endif
