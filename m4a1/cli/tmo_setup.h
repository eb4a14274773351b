/* tmo_setup.h - the world of training from options: encoding, costs, constraints. */
#ifndef M4A1_CLI_TMO_SETUP_H
#define M4A1_CLI_TMO_SETUP_H

#include "export/dataset.h"
#include "m4a1/cli/cli.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/recorded.h"

/* Options that a verb's table lists; when is "" or "without policies: ". */
#define TMO_SETUP_OPTIONS(when)                                                          \
    { "as-published", NULL, when "the environment and estimator that TMO published" },   \
        { "tau", "N", when "turns that an observation holds (default 5)" },              \
        { "estimator", "NAME",                                                           \
            when "published (default), ridge, metric, constant, role, task or auto" },   \
        { "k", "N", when "neighbours of the estimator (default 5)" },                    \
        { "space", "all|recorded",                                                       \
            when "actions: every llm with every set of views (default), or "             \
                 "those that DATA has" },                                                \
        { "transitions", "model|recorded",                                               \
            when "training follows the learner's own actions (default), or the "         \
                 "recorded states (as published)" },                                     \
        { "constraints", "LIST",                                                         \
            when "KIND=BUDGET[/TURNS],... of latency (s), usage (USD), privacy "         \
                 "(levels); over the session, or its last TURNS turns (default "         \
                 "latency=30,usage=0.05)" },                                             \
        { "handling", "NAME",                                                            \
            when "how training keeps constraints: none (default), published, "           \
                 "penalty, lagrangian or shield" },                                      \
        { "lambda", "X",                                                                 \
            when "weight of a penalty; where the multipliers of lagrangian begin "       \
                 "(default 1)" },                                                        \
        { "dual-rate", "X",                                                              \
            when "step of the multipliers of lagrangian (default 0.05)" },               \
        { "resource-aware", NULL,                                                        \
            when "observations end in what remains of each budget (always with a "       \
                 "handling)" },                                                          \
        { "device", "NAME", when "local device (default \"Jetson TX2\")" },              \
        { "network", "NAME", when "Wired (default), WiFi, 5G or 4G" },                   \
        { "local", "NAME", when "as published: the local llm, where DATA has several" }, \
    {                                                                                    \
        "cloud", "NAME", when "as published: the cloud llm, where DATA has several"      \
    }

struct tmo_setup {
    struct recorded_settings recorded;
    struct environment_settings environment;
};

/* What the options say; names are resolved against data.  A bad one is a usage error. */
MUST_CHECK enum status tmo_setup_read(struct cli *cli, const struct dataset *data,
    struct tmo_setup *out, struct error *err);

/* Say on standard error what of data is left out or missing: incomplete turns, other
 * llms, associations.  Called behind all checks, so that an error stands alone. */
void tmo_setup_warn(const struct recorded *rec);
/* And which costs nobody measured. */
void tmo_costs_warn(const struct environment *env);

#endif
