/* experiment_cell_parts.h - between the files of experiment_cell.h. */
#ifndef M4A1_TMO_EXPERIMENT_CELL_PARTS_H
#define M4A1_TMO_EXPERIMENT_CELL_PARTS_H

#include "m4a1/base/error.h"
#include "m4a1/tmo/config.h"
#include "m4a1/tmo/environment.h"
#include "m4a1/tmo/experiment_cell.h"
#include "m4a1/tmo/recorded.h"

/* Everything of one cell; released together. */
struct cell {
    const struct experiment_lab *lab;
    const struct experiment_place *place;
    const struct experiment_row *row;
    struct tmo_config config;
    struct dataset *made; /* synthetic data; owned */
    const struct dataset *data;
    struct recorded *rec, *rec_trained; /* the same, unless trained elsewhere */
    size_t *train, *test;               /* indices into rec; owned */
    size_t n_train, n_test;
    size_t *far_train; /* into rec_trained, where it is another; owned */
    struct environment *env, *env_trained;
    struct experiment_outcome outcome;
};

/* ---- experiment_world.c: what a cell acts in ---- */

/* The member of the setting's values, the last one's that has it, or NULL. */
const struct json *cell_data_of(const struct cell *c);
const struct json *cell_offer_of(const struct cell *c);

MUST_CHECK enum status cell_configure(struct cell *c, struct error *err);
/* Data, sessions and, but for estimators, the environment. */
MUST_CHECK enum status cell_prepare(struct cell *c, struct error *err);
/* What does not go with the data. */
MUST_CHECK enum status cell_check(struct cell *c, struct error *err);
/* Where the row's learner trains: another world, or that of its evaluation. */
MUST_CHECK enum status cell_training_ground(
    struct cell *c, struct environment **out, struct error *err);

/* ---- what is run in it ---- */

/* experiment_policy.c: a learner, a baseline or the bound, into the outcome. */
MUST_CHECK enum status cell_run_policy(struct cell *c, struct error *err);
/* experiment_estimate.c: an estimator. */
MUST_CHECK enum status cell_run_estimator(struct cell *c, struct error *err);

double cell_cpu_s(void); /* of this thread */

#endif
