/* cmd_experiment.c - m4a1 experiment: a study as one command, resumable, on all cores. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/experiment_study.h"
#include "m4a1/report/experiment_plots.h"
#include "m4a1/report/experiment_text.h"
#include "m4a1/tmo/experiment_results.h"
#include "m4a1/tmo/transfer.h"

#define MAP_MAX ((size_t)1 << 20)
#define TEXT_MAX ((size_t)64 << 20)

static const struct cli_option options[] = {
    { "list", NULL, "list the experiments that come with the program" },
    { "print", NULL, "print the experiment's file: a starting point for your own" },
    { "out", "DIR", "folder for the results (default experiments/NAME)" },
    { "seeds", "N", "seeds 0 .. N-1 (default: as the experiment's file says)" },
    { "steps", "N", "environment steps of learners (default: as the file says)" },
    { "other", "DATA", "transfer: the data that policies are played on" },
    { "map", "FILE", "transfer: which of its views, tasks and llms are which of DATA" },
    { "threads", "N", "cells at once (default: one a processor)" },
    { "json", NULL, "print the results as JSON" },
    { NULL, NULL, NULL },
};

static int interrupted(void)
{
    return cli_interrupted != 0;
}

/* ---- results ---- */

/* A word for a shell: as it is, or between single quotes. */
static void add_word(struct buffer *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-_./:=,+@";
    buffer_add_char(out, ' ');
    if (*word && strspn(word, plain) == strlen(word)) {
        buffer_add_str(out, word);
        return;
    }
    buffer_add_char(out, '\'');
    for (; *word; word++)
        if (*word == '\'')
            buffer_add_str(out, "'\\''");
        else
            buffer_add_char(out, *word);
    buffer_add_char(out, '\'');
}

/* The command as somebody else would run it. */
static enum status add_command(struct cli *cli, struct buffer *out, struct error *err)
{
    const char *const names[] = { "seeds", "steps", "other", "map" };
    buffer_add_str(out, "m4a1 experiment");
    add_word(out, cli_arg(cli, 0));
    add_word(out, cli_arg(cli, 1));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cli_value(cli, names[i])) {
            buffer_printf(out, " --%s", names[i]);
            add_word(out, cli_value(cli, names[i]));
        }
    return buffer_status(out, "the command", err);
}

static enum status write_text(
    const struct study *study, const char *name, struct buffer *text, struct error *err)
{
    enum status s = buffer_status(text, name, err);
    char *path = path_join(study->out, name);
    if (!s && !path)
        s = error_nomem(err, 256);
    if (!s)
        s = file_write(path, buffer_str(text), text->len, err);
    free(path);
    buffer_clear(text);
    return s;
}

static enum status write_results(const struct study *study, const struct json *results,
    const char *command, struct error *err)
{
    struct buffer text;
    char *path = path_join(study->out, "results.json");
    if (!path)
        return error_nomem(err, 256);
    enum status s = cli_write_json(results, JSON_PRETTY, TEXT_MAX, path, err);
    free(path);
    buffer_init(&text, TEXT_MAX);
    experiment_markdown(results, &text);
    if (!s)
        s = write_text(study, "table.md", &text, err);
    experiment_support(results, &text);
    if (!s && text.len)
        s = write_text(study, "support.md", &text, err);
    experiment_latex(results, &text);
    if (!s)
        s = write_text(study, "table.tex", &text, err);
    experiment_methods(results, command, &text);
    if (!s)
        s = write_text(study, "methods.txt", &text, err);
    buffer_release(&text);
    return s;
}

static enum status print_results(
    const struct study *study, const struct json *results, struct error *err)
{
    struct buffer text;
    buffer_init(&text, TEXT_MAX);
    experiment_markdown(results, &text);
    enum status s = buffer_status(&text, "the table", err);
    if (!s)
        printf("%s\n\n%s\nMean ± population deviation over %zu seed%s. %s\n%s has "
               "results.json, table.md, table.tex, methods.txt and the plots.\n",
            study->experiment->title, buffer_str(&text), study->n_seeds,
            study->n_seeds == 1 ? "" : "s", experiment_meaning(results), study->out);
    buffer_release(&text);
    return s;
}

static enum status conclude(struct study *study, struct cli *cli, struct error *err)
{
    struct json *results = NULL;
    struct buffer command;
    struct error why = { 0 };
    const struct experiment_outcome **outcomes = study_outcomes(study);
    if (!outcomes)
        return error_nomem(err, study->n_cells * sizeof *outcomes);
    buffer_init(&command, 1 << 16);
    enum status s =
        experiment_results(&study->lab, outcomes, study->n_seeds, &results, err);
    free(outcomes);
    if (!s)
        s = add_command(cli, &command, err);
    if (!s && !json_set_text(results, "command", buffer_str(&command)))
        s = error_nomem(err, 64);
    if (!s)
        s = write_results(study, results, buffer_str(&command), err);
    if (!s)
        s = experiment_plots(results, study->out, &why);
    if (s == E_NOT_FOUND) {
        fprintf(stderr, "m4a1: no pictures: %s\n", why.msg);
        s = OK;
    } else if (s && why.msg[0] && err) {
        *err = why;
    }
    if (!s)
        s = cli_flag(cli, "json") ? cli_print_json(results, err)
                                  : print_results(study, results, err);
    buffer_release(&command);
    json_free(results);
    return s;
}

/* ---- the verb ---- */

/* "-" where the experiment makes its own data. */
static enum status read_data(struct study *study, struct cli *cli, struct error *err)
{
    const char *path = cli_arg(cli, 0), *other = cli_value(cli, "other");
    const char *map_path = cli_value(cli, "map");
    struct json *map = NULL;
    enum status s = strcmp(path, "-") ? dataset_read(path, &study->data, err) : OK;
    if (s || !other)
        return s ? s
               : map_path
                   ? cli_usage(cli, err, "--map says how --other DATA is to be read")
                   : OK;
    if (!study->data)
        return cli_usage(cli, err, "--other goes with DATA to train on");
    s = dataset_read(other, &study->other, err);
    if (!s && map_path)
        s = json_read_file(
            map_path, MAP_MAX, JSON_COMMENTS | JSON_UNIQUE_KEYS, &map, err);
    if (!s) {
        s = transfer_map(study->other, study->data, map, err);
        if (s && map)
            (void)error_prefix(err, "%s: ", map_path);
    }
    json_free(map);
    return s;
}

static int needs_other(const struct experiment *e)
{
    for (size_t i = 0; i < e->n_rows; i++)
        if (e->rows[i].trained_elsewhere)
            return 1;
    return 0;
}

static enum status check(const struct study *study, struct cli *cli, struct error *err)
{
    const struct experiment *e = study->experiment;
    if (e->synthetic && study->data)
        return cli_usage(cli, err, "%s makes its own data; say: m4a1 experiment - %s",
            e->name, cli_arg(cli, 1));
    if (!e->synthetic && !study->data)
        return cli_usage(
            cli, err, "%s needs DATA: a store, an export or an authors' file", e->name);
    if (needs_other(e) != (study->other != NULL))
        return cli_usage(cli, err,
            study->other ? "--other is for experiments that train on one data set and "
                           "play on another, and %s does not"
                         : "%s plays on other data: --other DATA [--map FILE]",
            e->name);
    return OK;
}

static enum status prepare(struct study *study, struct cli *cli, struct error *err)
{
    int64_t n_seeds;
    enum status s = read_data(study, cli, err);
    if (!s)
        s = experiment_read(cli_arg(cli, 1), study->data ? study->data->n_llms : 2,
            &study->experiment, err);
    if (!s)
        s = check(study, cli, err);
    if (!s)
        s = cli_int(
            cli, "seeds", (int64_t)study->experiment->n_seeds, 1, 1000, &n_seeds, err);
    if (!s)
        s = cli_int(cli, "steps", 0, 1, 1000000000, &study->lab.steps, err);
    if (s)
        return s;
    study->lab.experiment = study->experiment;
    study->lab.data = study->data;
    study->lab.other = study->other;
    study->lab.stop = interrupted;
    study->n_seeds = (size_t)n_seeds;
    study->n_cells =
        study->experiment->n_settings * study->experiment->n_rows * study->n_seeds;
    const char *out = cli_value(cli, "out");
    if (out && !*out)
        return cli_usage(cli, err, "--out is the folder for the results, and not \"\"");
    study->out =
        out ? text_copy(out) : text_format("experiments/%s", study->experiment->name);
    study->cells_folder = study->out ? path_join(study->out, "cells") : NULL;
    return study->cells_folder ? OK : error_nomem(err, 256);
}

static enum status run_study(struct cli *cli, struct error *err)
{
    struct study study = { .lock = PTHREAD_MUTEX_INITIALIZER };
    int64_t n_threads;
    enum status s = cli_int(cli, "threads", 0, 1, 1024, &n_threads, err);
    if (!s)
        s = prepare(&study, cli, err);
    if (!s)
        s = study_plan(&study, err);
    if (!s)
        s = folder_make(study.cells_folder, err);
    if (!s) {
        cli_catch_interrupts();
        study.progress = cli_progress(cli, "running cells", (int64_t)study.n_distinct);
        s = study_run(&study, (unsigned)n_threads, err);
        progress_free(study.progress);
    }
    if (!s && study.n_kept && !cli_flag(cli, "json"))
        printf("%zu of %zu cells were there already\n\n", study.n_kept, study.n_distinct);
    if (!s)
        s = conclude(&study, cli, err);
    study_release(&study);
    return s;
}

static enum status list(struct error *err)
{
    struct table *t = table_new(2);
    enum status s = OK;
    table_row(t, "name", "question");
    for (size_t i = 0; i < n_experiments && !s; i++) {
        struct experiment *e;
        const char *name, *text;
        size_t len;
        experiment_text(i, &name, &text, &len);
        s = experiment_read(name, 2, &e, err);
        if (s)
            break;
        table_row(t, name, e->question);
        experiment_free(e);
    }
    if (!s)
        table_print(t);
    table_free(t);
    return s;
}

static enum status print_file(struct cli *cli, struct error *err)
{
    const char *wanted = cli_arg(cli, cli_n_args(cli) - 1);
    for (size_t i = 0; wanted && i < n_experiments; i++) {
        const char *name, *text;
        size_t len;
        experiment_text(i, &name, &text, &len);
        if (strcmp(name, wanted) == 0) {
            fwrite(text, 1, len, stdout);
            return OK;
        }
    }
    return cli_usage(cli, err, "--print goes with the NAME of an experiment (--list)");
}

static enum status run(struct cli *cli, struct error *err)
{
    if (cli_flag(cli, "list"))
        return list(err);
    if (cli_flag(cli, "print"))
        return print_file(cli, err);
    if (cli_n_args(cli) != 2)
        return cli_usage(cli, err, "say DATA and the NAME of an experiment (--list)");
    return run_study(cli, err);
}

const struct verb verb_experiment = {
    .name = "experiment",
    .stage = STAGE_TRAIN,
    .args = "[DATA] [NAME]",
    .min_args = 0,
    .max_args = 2,
    .summary = "run a whole study: many settings, policies and seeds, with plots",
    .help = "Runs every cell of an experiment (a setting, a policy, a seed), on all "
            "cores, and\n"
            "writes results.json, table.md, table.tex, methods.txt and plots (SVG, PNG, "
            "and the\n"
            "gnuplot scripts). Cells that are done are kept: after Ctrl-C the same "
            "command goes\n"
            "on. NAME is one of --list, or a file of your own; DATA is a store, an "
            "export or the\n"
            "authors' JSON, and - for experiments that make their own data.\n\n"
            "  m4a1 experiment --list\n"
            "  m4a1 experiment M4A1.json tau\n"
            "  m4a1 experiment - scaling --seeds 3\n"
            "  m4a1 experiment M4A1.json transfer --other kitchen.m4a1 --map words.json\n"
            "  m4a1 experiment --print tau > mine.json\n",
    .options = options,
    .run = run,
};
