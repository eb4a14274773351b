/* experiment_study.c - keys, files and threads of cells. */
#include "m4a1/cli/experiment_study.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "m4a1/base/pool.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"

#define CELL_MAX ((size_t)256 << 20)

struct cell_job {
    struct study *study;
    size_t index;
};

static struct experiment_place place_of(const struct study *study, size_t index)
{
    size_t n_rows = study->experiment->n_rows, n_seeds = study->n_seeds;
    return (struct experiment_place) { index / (n_rows * n_seeds),
        index / n_seeds % n_rows, index % n_seeds };
}

static void name_place(const struct study *study, size_t index, struct error *err)
{
    struct experiment_place place = place_of(study, index);
    const char *label = study->experiment->settings[place.setting].label;
    (void)error_prefix(err, "%s, %s%sseed %" PRIu64 ": ",
        study->experiment->rows[place.row].name, label, *label ? ", " : "", place.seed);
}

/* ---- which cells there are ---- */

struct keyed {
    const char *key;
    size_t index;
};

static int by_key(const void *va, const void *vb)
{
    const struct keyed *a = va, *b = vb;
    int c = memcmp(a->key, b->key, HASH_HEX);
    return c ? c : (a->index > b->index) - (a->index < b->index);
}

static enum status find_first(struct study *study, struct error *err)
{
    struct keyed *all = calloc(study->n_cells, sizeof *all);
    if (!all)
        return error_nomem(err, study->n_cells * sizeof *all);
    for (size_t i = 0; i < study->n_cells; i++)
        all[i] = (struct keyed) { study->keys[i], i };
    qsort(all, study->n_cells, sizeof *all, by_key);
    for (size_t i = 0; i < study->n_cells; i++) {
        int same = i && memcmp(all[i].key, all[i - 1].key, HASH_HEX) == 0;
        study->first[all[i].index] = same ? study->first[all[i - 1].index] : all[i].index;
        study->n_distinct += !same;
    }
    free(all);
    return OK;
}

enum status study_plan(struct study *study, struct error *err)
{
    size_t n = study->n_cells;
    study->keys = calloc(n, sizeof *study->keys);
    study->first = calloc(n, sizeof *study->first);
    study->outcomes = calloc(n, sizeof *study->outcomes);
    if (!study->keys || !study->first || !study->outcomes)
        return error_nomem(err, n * sizeof *study->keys);
    for (size_t i = 0; i < n; i++) {
        struct experiment_place place = place_of(study, i);
        enum status s = OK;
        // Made data go with every row, and take long to make.
        if (!place.seed && !study->experiment->synthetic)
            s = experiment_cell_check(&study->lab, &place, err);
        if (!s)
            s = experiment_cell_key(&study->lab, &place, study->keys[i], err);
        if (s) {
            name_place(study, i, err);
            return s;
        }
    }
    return find_first(study, err);
}

/* ---- files ---- */

/* A name for people, with a key that tells different settings apart. */
static char *cell_path(const struct study *study, size_t index)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-";
    struct experiment_place place = place_of(study, index);
    char *row = text_copy(study->experiment->rows[place.row].name);
    if (!row)
        return NULL;
    for (char *c = row; *c; c++)
        if (!strchr(plain, *c))
            *c = '_';
    char *path = text_format("%s/%03zu-%s-seed%" PRIu64 "-%.12s.json",
        study->cells_folder, place.setting, row, place.seed, study->keys[index]);
    free(row);
    return path;
}

/* A cell that an earlier run left. */
static int read_kept(const char *path, const char *key, struct experiment_outcome *out)
{
    struct json *cell = NULL;
    if (!file_exists(path) ||
        json_read_file(path, CELL_MAX, JSON_UNIQUE_KEYS, &cell, NULL) != OK)
        return 0;
    int ours = strcmp(json_text(json_get(cell, "key"), ""), key) == 0 &&
               experiment_outcome_read(cell, out, NULL) == OK;
    if (!ours)
        experiment_outcome_release(out);
    json_free(cell);
    return ours;
}

/* ---- running ---- */

static enum status run_cell(
    struct study *study, size_t index, int *kept, struct error *err)
{
    struct experiment_place place = place_of(study, index);
    struct experiment_outcome *out = &study->outcomes[index];
    struct json *cell = NULL;
    enum status s = OK;
    char *path = cell_path(study, index);
    if (!path)
        return error_nomem(err, 256);
    *kept = read_kept(path, study->keys[index], out);
    if (!*kept) {
        s = experiment_cell_run(&study->lab, &place, &cell, err);
        if (!s)
            s = cli_write_json(cell, JSON_COMPACT, CELL_MAX, path, err);
        if (!s)
            s = experiment_outcome_read(cell, out, err);
        json_free(cell);
    }
    free(path);
    return s;
}

/* A failure is that of the first cell in order among those that ran. */
static void note(struct study *study, size_t index, enum status status, int kept,
    const struct error *err)
{
    pthread_mutex_lock(&study->lock);
    study->n_kept += kept != 0;
    study->n_done += status == OK;
    if (status && status != E_INTERRUPTED &&
        (!study->status || index < study->failed_at)) {
        study->status = status;
        study->err = *err;
        study->failed_at = index;
    }
    progress_step(study->progress, 1, NULL);
    pthread_mutex_unlock(&study->lock);
}

static int is_stopped(struct study *study)
{
    pthread_mutex_lock(&study->lock);
    int stopped = study->status != OK || cli_interrupted;
    pthread_mutex_unlock(&study->lock);
    return stopped;
}

static void do_cell(void *arg)
{
    struct cell_job *job = arg;
    struct error err = ERROR_INIT;
    int kept = 0;
    // Where one cell failed the others would be computed for nothing yet.
    if (is_stopped(job->study))
        return;
    enum status s = run_cell(job->study, job->index, &kept, &err);
    note(job->study, job->index, s, kept, &err);
}

static enum status conclude(struct study *study, struct error *err)
{
    if (study->status) {
        name_place(study, study->failed_at, &study->err);
        if (err)
            *err = study->err;
        return study->status;
    }
    if (study->n_done < study->n_distinct)
        return error_set(err, E_INTERRUPTED,
            "stopped with %zu of %zu cells done; the same command goes on from there",
            study->n_done, study->n_distinct);
    return OK;
}

enum status study_run(struct study *study, unsigned n_threads, struct error *err)
{
    struct pool *pool = NULL;
    struct cell_job *jobs = calloc(study->n_cells, sizeof *jobs);
    if (!jobs)
        return error_nomem(err, study->n_cells * sizeof *jobs);
    enum status s = pool_new(n_threads, &pool, err);
    for (size_t i = 0; i < study->n_cells && !s; i++) {
        jobs[i] = (struct cell_job) { study, i };
        if (study->first[i] == i)
            s = pool_submit(pool, do_cell, &jobs[i], err);
    }
    pool_free(pool);
    free(jobs);
    return s ? s : conclude(study, err);
}

const struct experiment_outcome **study_outcomes(const struct study *study)
{
    const struct experiment_outcome **all = calloc(study->n_cells, sizeof *all);
    for (size_t i = 0; all && i < study->n_cells; i++)
        all[i] = &study->outcomes[study->first[i]];
    return all;
}

void study_release(struct study *study)
{
    for (size_t i = 0; study->outcomes && i < study->n_cells; i++)
        experiment_outcome_release(&study->outcomes[i]);
    free(study->outcomes);
    free(study->keys);
    free(study->first);
    experiment_free(study->experiment);
    dataset_free(study->data);
    dataset_free(study->other);
    free(study->out);
    free(study->cells_folder);
}
