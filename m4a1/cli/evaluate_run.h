/* evaluate_run.h - what m4a1 evaluate gathers, before anything is printed. */
#ifndef M4A1_CLI_EVALUATE_RUN_H
#define M4A1_CLI_EVALUATE_RUN_H

#include <stddef.h>
#include <stdint.h>
#include "export/openings.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/evaluate_agent.h"
#include "m4a1/tmo/diagnosis.h"
#include "m4a1/tmo/evaluation_table.h"
#include "m4a1/tmo/policy.h"

/* Rows that are not baselines of the library. */
#define ROW_BEHAVIOUR "Recorded behaviour"
#define ROW_PLAIN "Cloud, no new view"
#define ROW_BOUND "Bound"
#define ROW_BOUND_KEPT "Bound within budgets"

#define EVALUATE_DIAGNOSED 10 /* policies of one row that a diagnosis looks at */

/* A policy file with the environment that it acts in. */
struct evaluated {
    const char *path;
    struct policy policy;
    struct environment *env;
    size_t trial;
    char row[96]; /* the name of its row */
};

struct evaluate_diagnosis {
    const char *row; /* an evaluated's */
    struct diagnosis found;
};

struct evaluate_report {
    const struct dataset *data;
    struct tmo_config config; /* the world of all rows */
    struct recorded *rec;
    struct evaluation_table table;
    struct environment *
        *envs; /* [n_trials] where baselines act: no budget is kept there */
    struct evaluated *policies;
    size_t n_policies;
    size_t all_trial; /* of --all-sessions; SIZE_MAX = none */
    const char *reference;

    size_t n_by_rule, n_stored; /* turns by where their probabilities come from */
    char unproved[600];         /* what the oracle could not prove; "" = nothing */
    struct opening *openings;   /* [n_openings] where data is a store */
    size_t n_openings;
    char **opened; /* [n_openings] the names of their splits */
    const char **what;
    char why_not[400]; /* why this time is not entered; "" = it is */
    struct evaluate_diagnosis *diagnoses;
    size_t n_diagnoses;
    struct evaluate_agent agent;
};

/* Evaluate what the command line names. */
MUST_CHECK enum status evaluate_run(
    struct cli *cli, struct evaluate_report *report, struct error *err);
void evaluate_release(struct evaluate_report *report);

/* Read the POLICY files of the command line: all of one world, which becomes the report's,
 * and each with the name of its row. */
MUST_CHECK enum status evaluate_load(
    struct cli *cli, struct evaluate_report *report, struct error *err);
/* The diagnosis of each row of policies, once all are evaluated. */
MUST_CHECK enum status evaluate_diagnose(
    struct cli *cli, struct evaluate_report *report, struct error *err);

/* "latency <= 30 s", with the horizon where there is one. */
void evaluate_name_constraint(const struct constraint *one, char *out, size_t size);

#endif
