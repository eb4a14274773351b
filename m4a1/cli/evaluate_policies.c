/* evaluate_policies.c - policy files as rows: of one world, named by learner and handling. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/evaluate_run.h"

#define CONFIG_MAX ((size_t)64 << 20)

/* ---- worlds ---- */

/* A config as text, without the split; and without all that only training goes by it says
 * in which world returns are. */
static enum status config_text(const struct tmo_config *config, int world_only,
    struct buffer *out, struct error *err)
{
    struct tmo_config copy = { 0 };
    struct json *root = json_new_object();
    enum status s = root ? tmo_config_copy(config, &copy, err) : error_nomem(err, 64);
    if (!s) {
        free(copy.split_from);
        copy.split_from = NULL;
        copy.train_share = 0.8;
        copy.split_by = FOLDS_SESSION;
    }
    if (!s && world_only) {
        struct environment_settings *set = &copy.environment;
        copy.learner = learner_published(LEARNER_A2C);
        set->transitions = TRANSITIONS_MODEL;
        set->features = FEATURES_PUBLISHED;
        set->resource_aware = 0;
        set->handling = HANDLING_NONE;
        set->lambda = set->dual_rate = 1;
        set->longest = 0;
    }
    if (!s)
        s = tmo_config_write(&copy, 1, root, err);
    if (!s)
        s = json_print(root, JSON_COMPACT, out, err);
    tmo_config_release(&copy);
    json_free(root);
    return s;
}

static enum status configs_equal(const struct tmo_config *a, const struct tmo_config *b,
    int world_only, int *equal, struct error *err)
{
    struct buffer one, other;
    buffer_init(&one, CONFIG_MAX);
    buffer_init(&other, CONFIG_MAX);
    enum status s = config_text(a, world_only, &one, err);
    if (!s)
        s = config_text(b, world_only, &other, err);
    *equal = !s && text_equal(buffer_str(&one), buffer_str(&other));
    buffer_release(&one);
    buffer_release(&other);
    return s;
}

/* ---- files ---- */

/* A row for each learner and handling; another config of the same gets a number. */
static enum status name_row(struct evaluate_report *r, size_t i, struct error *err)
{
    struct evaluated *own = &r->policies[i];
    const struct tmo_config *config = &own->policy.config;
    enum constraint_handling handling = config->environment.handling;
    char base[64];
    snprintf(base, sizeof base, "%s%s%s", learner_names[config->learner.kind],
        handling ? ", " : "",
        handling == HANDLING_PUBLISHED ? "resource-aware"
        : handling                     ? handling_names[handling]
                                       : "");
    for (char *c = base; *c && *c != ','; c++)
        *c = (char)toupper((unsigned char)*c);
    for (int number = 1;; number++) {
        size_t first = 0;
        int equal = 1;
        if (number == 1)
            snprintf(own->row, sizeof own->row, "%s", base);
        else
            snprintf(own->row, sizeof own->row, "%s (%d)", base, number);
        while (first < i && !text_equal(r->policies[first].row, own->row))
            first++;
        if (first == i)
            return OK;
        enum status s =
            configs_equal(&r->policies[first].policy.config, config, 0, &equal, err);
        if (s || equal)
            return s;
    }
}

static enum status same_world(struct evaluate_report *r, size_t i, struct error *err)
{
    int equal;
    enum status s = configs_equal(
        &r->policies[0].policy.config, &r->policies[i].policy.config, 1, &equal, err);
    if (s || equal)
        return s;
    return error_set(err, E_ARG,
        "%s and %s were trained in different worlds (estimator, costs, reward, "
        "constraints, actions or tau), where returns mean different things: evaluate "
        "each world on its own",
        r->policies[0].path, r->policies[i].path);
}

enum status evaluate_load(struct cli *cli, struct evaluate_report *r, struct error *err)
{
    size_t n = (size_t)cli_n_args(cli) - 1;
    r->policies = calloc(n, sizeof *r->policies);
    if (!r->policies)
        return error_nomem(err, n * sizeof *r->policies);
    enum status s = OK;
    for (size_t i = 0; i < n && !s; i++) {
        struct evaluated *own = &r->policies[i];
        own->path = cli_arg(cli, (int)i + 1);
        s = policy_load(own->path, r->data, &own->policy, err);
        if (s)
            break;
        r->n_policies++;
        s = same_world(r, i, err);
        if (!s)
            s = name_row(r, i, err);
    }
    return s ? s : tmo_config_copy(&r->policies[0].policy.config, &r->config, err);
}

/* ---- the diagnosis ---- */

static enum status diagnose_row(
    struct cli *cli, struct evaluate_report *r, size_t first, struct error *err)
{
    struct diagnosis_run runs[EVALUATE_DIAGNOSED];
    struct chooser choosers[EVALUATE_DIAGNOSED];
    struct evaluate_diagnosis *one = &r->diagnoses[r->n_diagnoses];
    size_t n = 0;
    one->row = r->policies[first].row;
    for (size_t i = first; i < r->n_policies && n < EVALUATE_DIAGNOSED; i++) {
        struct evaluated *own = &r->policies[i];
        const struct trial *trial = &r->table.trials[own->trial];
        if (!text_equal(own->row, one->row))
            continue;
        choosers[n] = (struct chooser) { network_weigh, &own->policy.network };
        runs[n] =
            (struct diagnosis_run) { own->env, trial->test, trial->n_test, &choosers[n] };
        n++;
    }
    char *command = text_format(
        "m4a1 train %s --config %s", cli_arg(cli, 0), r->policies[first].path);
    if (!command)
        return error_nomem(err, 64);
    enum status s = diagnosis_make(runs, n, command, &one->found, err);
    free(command);
    r->n_diagnoses += !s;
    return s;
}

enum status evaluate_diagnose(
    struct cli *cli, struct evaluate_report *r, struct error *err)
{
    r->diagnoses = calloc(r->n_policies + 1, sizeof *r->diagnoses);
    if (!r->diagnoses)
        return error_nomem(err, r->n_policies * sizeof *r->diagnoses);
    enum status s = OK;
    for (size_t i = 0; i < r->n_policies && !s; i++) {
        size_t first = 0;
        while (!text_equal(r->policies[first].row, r->policies[i].row))
            first++;
        if (first == i)
            s = diagnose_row(cli, r, i, err);
    }
    return s;
}
