/* experiment_cell.c - what a cell is, its key, and the run from data to outcome. */
#include "m4a1/tmo/experiment_cell.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "export/json_keep.h"
#include "m4a1/base/buffer.h"
#include "m4a1/tmo/experiment_cell_parts.h"

#define KEY_MAX ((size_t)16 << 20)
#define FORMAT 2 /* of a cell's file: others are not taken for ours */

double cell_cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void cell_init(struct cell *c, const struct experiment_lab *lab,
    const struct experiment_place *place)
{
    memset(c, 0, sizeof *c);
    c->lab = lab;
    c->place = place;
    c->row = &lab->experiment->rows[place->row];
}

static void cell_release(struct cell *c)
{
    environment_free(c->env);
    environment_free(c->env_trained);
    recorded_free(c->rec);
    recorded_free(c->rec_trained);
    dataset_free(c->made);
    free(c->train);
    free(c->test);
    free(c->far_train);
    experiment_outcome_release(&c->outcome);
    tmo_config_release(&c->config);
}

/* ---- what it is ---- */

/* All that fixes what comes of it, and nothing else. */
static enum status describe(const struct cell *c, struct json **out, struct error *err)
{
    const struct experiment_lab *lab = c->lab;
    const struct json *data = cell_data_of(c);
    struct json_keeper k = { 1 };
    struct json *root = *out = json_keep(&k, json_new_object());
    json_keep(&k, json_set_int(root, "format", FORMAT));
    json_keep(&k, json_set_text(root, "version", M4A1_VERSION));
    json_keep(&k, json_set_int(root, "seed", (int64_t)c->place->seed));
    json_keep(&k, json_set_text(root, "digest", lab->data ? lab->data->digest : ""));
    json_keep(&k, json_set_text(root, "other", lab->other ? lab->other->digest : ""));
    json_keep(
        &k, json_set_text(root, "baseline", c->row->baseline ? c->row->baseline : ""));
    json_keep(&k, json_set_int(root, "kind", (int64_t)c->row->kind));
    json_keep(&k, json_set_bool(root, "elsewhere", c->row->trained_elsewhere));
    json_keep(&k, json_set_bool(root, "same_sessions", lab->experiment->same_sessions));
    const struct json *parts[] = { data, cell_offer_of(c), c->row->offer,
        c->row->training };
    static const char *const names[] = { "data", "offer", "row_offer", "training" };
    for (size_t i = 0; i < 4; i++)
        if (parts[i])
            json_keep(&k, json_set_copy(root, names[i], parts[i]));
    struct json *config = json_keep(&k, json_set_object(root, "config"));
    enum status s =
        k.ok ? tmo_config_write(&c->config, 1, config, err) : error_nomem(err, 1024);
    if (s) {
        json_free(root);
        *out = NULL;
    }
    return s;
}

static enum status hash(const struct json *root, char key[HASH_HEX], struct error *err)
{
    struct buffer text;
    buffer_init(&text, KEY_MAX);
    enum status s = json_print(root, JSON_CANONICAL, &text, err);
    if (!s)
        s = buffer_status(&text, "a cell", err);
    if (!s)
        hash_hex(text.data, text.len, key);
    buffer_release(&text);
    return s;
}

enum status experiment_cell_key(const struct experiment_lab *lab,
    const struct experiment_place *place, char key[HASH_HEX], struct error *err)
{
    struct cell c;
    struct json *root = NULL;
    cell_init(&c, lab, place);
    enum status s = cell_configure(&c, err);
    if (!s)
        s = describe(&c, &root, err);
    if (!s)
        s = hash(root, key, err);
    json_free(root);
    cell_release(&c);
    return s;
}

/* For people who open its file. */
static enum status name_cell(
    const struct cell *c, const char *key, struct json *root, struct error *err)
{
    const struct experiment *e = c->lab->experiment;
    struct json_keeper k = { 1 };
    json_keep(&k, json_set_text(root, "experiment", e->name));
    json_keep(&k, json_set_text(root, "setting", e->settings[c->place->setting].label));
    json_keep(&k, json_set_text(root, "row", c->row->name));
    json_keep(&k, json_set_text(root, "key", key));
    return k.ok ? OK : error_nomem(err, 256);
}

/* ---- the run ---- */

enum status experiment_cell_check(const struct experiment_lab *lab,
    const struct experiment_place *place, struct error *err)
{
    struct cell c;
    cell_init(&c, lab, place);
    enum status s = cell_check(&c, err);
    cell_release(&c);
    return s;
}

static enum status run(struct cell *c, struct error *err)
{
    enum status s = cell_prepare(c, err);
    if (!s)
        s = experiment_outcome_init(&c->outcome, c->n_test, err);
    if (s)
        return s;
    return c->row->kind == ROW_ESTIMATOR ? cell_run_estimator(c, err)
                                         : cell_run_policy(c, err);
}

enum status experiment_cell_run(const struct experiment_lab *lab,
    const struct experiment_place *place, struct json **out, struct error *err)
{
    struct cell c;
    struct json *root = NULL;
    char key[HASH_HEX];
    *out = NULL;
    // The key is that of the config alone, so it is taken before data are made.
    enum status s = experiment_cell_key(lab, place, key, err);
    if (s)
        return s;
    cell_init(&c, lab, place);
    s = run(&c, err);
    if (!s)
        s = describe(&c, &root, err);
    if (!s)
        s = name_cell(&c, key, root, err);
    if (!s)
        s = experiment_outcome_write(&c.outcome, root, err);
    cell_release(&c);
    if (s)
        json_free(root);
    else
        *out = root;
    return s;
}
