/* experiment_study.h - the cells of an experiment, run on all cores and kept in a folder. */
#ifndef M4A1_CLI_EXPERIMENT_STUDY_H
#define M4A1_CLI_EXPERIMENT_STUDY_H

#include <pthread.h>
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/progress.h"
#include "m4a1/tmo/experiment_cell.h"

/* What the cells share; the lock guards progress, counts and the failure. */
struct study {
    struct experiment_lab lab;
    struct experiment *experiment;
    struct dataset *data, *other;        /* owned */
    char *out, *cells_folder;            /* owned */
    size_t n_seeds, n_cells;             /* cells: [setting][row][seed] */
    char (*keys)[HASH_HEX];              /* [n_cells]; owned */
    size_t *first;                       /* [n_cells] the first cell of its key; owned */
    size_t n_distinct;                   /* keys; cells of one key are run once */
    struct experiment_outcome *outcomes; /* [n_cells], set for first ones; owned */
    size_t n_kept, n_done;               /* of the distinct ones: there already; all */
    pthread_mutex_t lock;
    struct progress *progress;
    enum status status; /* the failure of the first cell that failed, and its place */
    struct error err;
    size_t failed_at;
};

/* Find out which cells are the same, and refuse what does not go with the data. */
MUST_CHECK enum status study_plan(struct study *study, struct error *err);

/* Run what is not in the folder of cells yet.  E_INTERRUPTED says how to go on. */
MUST_CHECK enum status study_run(
    struct study *study, unsigned n_threads, struct error *err);

/* The outcomes [n_cells] of the study, for experiment_results(); one allocation, freed with
 * free(); NULL when out of memory. */
const struct experiment_outcome **study_outcomes(const struct study *study);

void study_release(struct study *study);

#endif
