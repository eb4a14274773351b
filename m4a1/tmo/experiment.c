/* experiment.c - read an experiment's file and lay out its settings. */
#include "m4a1/tmo/experiment.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/embed.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/experiment_check.h"
#include "m4a1/tmo/experiment_members.h"

#define FILE_MAX ((size_t)1 << 20)
#define MAX_VALUES 200
#define LABEL_MAX 4096
#define SHOWN_MAX 200 /* bytes of a file's name in messages */

EMBED(experiment_main, "m4a1/experiments/main.json");
EMBED(experiment_tau, "m4a1/experiments/tau.json");
EMBED(experiment_knn, "m4a1/experiments/knn.json");
EMBED(experiment_sensitivity, "m4a1/experiments/sensitivity.json");
EMBED(experiment_ablation, "m4a1/experiments/ablation.json");
EMBED(experiment_devices, "m4a1/experiments/devices.json");
EMBED(experiment_budgets, "m4a1/experiments/budgets.json");
EMBED(experiment_privacy, "m4a1/experiments/privacy.json");
EMBED(experiment_providers, "m4a1/experiments/providers.json");
EMBED(experiment_scaling, "m4a1/experiments/scaling.json");
EMBED(experiment_transfer, "m4a1/experiments/transfer.json");

static const struct {
    const char *name, *start, *end;
} texts[] = {
    { "main", experiment_main_start, experiment_main_end },
    { "tau", experiment_tau_start, experiment_tau_end },
    { "knn", experiment_knn_start, experiment_knn_end },
    { "sensitivity", experiment_sensitivity_start, experiment_sensitivity_end },
    { "ablation", experiment_ablation_start, experiment_ablation_end },
    { "devices", experiment_devices_start, experiment_devices_end },
    { "budgets", experiment_budgets_start, experiment_budgets_end },
    { "privacy", experiment_privacy_start, experiment_privacy_end },
    { "providers", experiment_providers_start, experiment_providers_end },
    { "scaling", experiment_scaling_start, experiment_scaling_end },
    { "transfer", experiment_transfer_start, experiment_transfer_end },
};
const size_t n_experiments = sizeof texts / sizeof *texts;

void experiment_text(size_t i, const char **name, const char **text, size_t *len)
{
    *name = texts[i].name;
    *text = texts[i].start;
    *len = (size_t)(texts[i].end - texts[i].start);
}

/* ---- factors ---- */

static enum status read_value(const struct json *j, const char *where,
    struct experiment_value *out, struct error *err)
{
    static const char *const names[] = { "label", "x", "config", "data", "offer",
        "published", NULL };
    out->x = NAN;
    enum status s = members_known(j, where, names, err);
    if (!s)
        s = member_text(j, "label", where, &out->label, err);
    if (!s)
        s = member_number(j, "x", where, &out->x, err);
    if (!s)
        s = member_object(j, "config", where, &out->config, err);
    if (!s)
        s = member_object(j, "data", where, &out->data, err);
    if (!s)
        s = member_object(j, "offer", where, &out->offer, err);
    if (!s)
        s = member_object(j, "published", where, &out->published, err);
    return s;
}

/* {"values": "llms"} becomes a list with one value for each number of llms. */
static enum status list_llms(struct json *factor, size_t n_llms, struct error *err)
{
    json_remove(factor, "values");
    struct json *values = json_set_array(factor, "values");
    for (size_t n = 1; n <= n_llms; n++) {
        struct json *value = json_add_object(values);
        char label[32];
        snprintf(label, sizeof label, "%zu", n);
        json_set_text(value, "label", label);
        json_set_int(value, "x", (int64_t)n);
        if (!json_set_int(json_set_object(value, "offer"), "llms", (int64_t)n))
            return error_nomem(err, 256);
    }
    return OK;
}

static enum status read_factor(const struct json *j, size_t n_llms, const char *file,
    struct experiment_factor *out, struct error *err)
{
    static const char *const names[] = { "name", "values", NULL };
    char where[512];
    snprintf(where, sizeof where, "%s: factors", file);
    enum status s = members_known(j, where, names, err);
    if (!s)
        s = member_text(j, "name", where, &out->name, err);
    if (!s && strcmp(json_text(json_get(j, "values"), ""), "llms") == 0)
        // The file is ours alone, and its text stays as it was.
        s = list_llms((struct json *)(uintptr_t)j, n_llms, err);
    if (s)
        return s;
    const struct json *values = json_get(j, "values");
    snprintf(where, sizeof where, "%s: factor \"%.100s\"", file, out->name);
    out->n_values = json_size(values);
    if (!json_is_array(values) || out->n_values < 1 || out->n_values > MAX_VALUES)
        return error_set(
            err, E_DATA, "%s has 1 to %d values, or \"llms\"", where, MAX_VALUES);
    out->values = calloc(out->n_values, sizeof *out->values);
    if (!out->values)
        return error_nomem(err, out->n_values * sizeof *out->values);
    for (size_t i = 0; i < out->n_values && !s; i++)
        s = read_value(json_at(values, i), where, &out->values[i], err);
    return s;
}

static enum status read_factors(
    struct experiment *e, size_t n_llms, const char *file, struct error *err)
{
    const struct json *list = NULL;
    e->crossed = 1;
    enum status s = member_flag(e->root, "crossed", file, &e->crossed, err);
    if (!s)
        s = member_list(e->root, "factors", file, &list, err);
    if (s)
        return s;
    e->n_factors = json_size(list);
    if (e->n_factors > EXPERIMENT_MAX_FACTORS) {
        e->n_factors = 0;
        return error_set(
            err, E_DATA, "%s: at most %d factors", file, EXPERIMENT_MAX_FACTORS);
    }
    for (size_t i = 0; i < e->n_factors && !s; i++)
        s = read_factor(json_at(list, i), n_llms, file, &e->factors[i], err);
    for (size_t i = 0; i < e->n_factors && !s; i++)
        for (size_t v = 0; v < e->factors[i].n_values; v++)
            e->synthetic |= e->factors[i].values[v].data != NULL;
    return s;
}

/* ---- settings ---- */

static size_t count_settings(const struct experiment *e)
{
    size_t n = e->crossed || !e->n_factors ? 1 : 0;
    for (size_t i = 0; i < e->n_factors && n <= EXPERIMENT_MAX_SETTINGS; i++)
        n = e->crossed ? n * e->factors[i].n_values : n + e->factors[i].n_values;
    return n;
}

static void choose_values(struct experiment *e, size_t index)
{
    struct experiment_setting *one = &e->settings[index];
    for (size_t i = 0; i < EXPERIMENT_MAX_FACTORS; i++)
        one->values[i] = SIZE_MAX;
    if (e->crossed) {
        // The first factor turns slowest.
        for (size_t i = e->n_factors; i-- > 0;) {
            one->values[i] = index % e->factors[i].n_values;
            index /= e->factors[i].n_values;
        }
        return;
    }
    for (size_t i = 0; i < e->n_factors; i++) {
        if (index < e->factors[i].n_values) {
            one->values[i] = index;
            return;
        }
        index -= e->factors[i].n_values;
    }
}

static enum status name_setting(
    const struct experiment *e, size_t index, struct error *err)
{
    struct experiment_setting *one = &e->settings[index];
    struct buffer label;
    buffer_init(&label, LABEL_MAX);
    one->x = NAN;
    for (size_t i = 0; i < e->n_factors; i++) {
        const struct experiment_value *value = experiment_value_of(e, index, i);
        if (!value)
            continue;
        buffer_printf(
            &label, "%s%s %s", label.len ? ", " : "", e->factors[i].name, value->label);
        if (isnan(one->x))
            one->x = value->x;
    }
    one->label = text_copy(buffer_str(&label));
    enum status s = buffer_status(&label, "a setting's name", err);
    buffer_release(&label);
    return s || one->label ? s : error_nomem(err, LABEL_MAX);
}

static enum status lay_out(struct experiment *e, const char *file, struct error *err)
{
    size_t n = count_settings(e);
    if (n > EXPERIMENT_MAX_SETTINGS)
        return error_set(
            err, E_DATA, "%s: more than %d settings", file, EXPERIMENT_MAX_SETTINGS);
    e->settings = calloc(n, sizeof *e->settings);
    if (!e->settings)
        return error_nomem(err, n * sizeof *e->settings);
    enum status s = OK;
    for (; e->n_settings < n && !s; e->n_settings++) {
        choose_values(e, e->n_settings);
        s = name_setting(e, e->n_settings, err);
    }
    return s;
}

const struct experiment_value *experiment_value_of(
    const struct experiment *e, size_t setting, size_t factor)
{
    size_t v = e->settings[setting].values[factor];
    return v == SIZE_MAX ? NULL : &e->factors[factor].values[v];
}

/* ---- rows ---- */

static enum status read_row(const struct json *j, const struct experiment *e,
    const char *file, struct experiment_row *out, struct error *err)
{
    static const char *const names[] = { "name", "config", "baseline", "bound", "offer",
        "training", "trained_on", NULL };
    static const char *const places[] = { "here", "elsewhere", NULL };
    char where[512];
    size_t trained_on = 0;
    snprintf(where, sizeof where, "%s: rows", file);
    enum status s = members_known(j, where, names, err);
    if (!s)
        s = member_text(j, "name", where, &out->name, err);
    if (s)
        return s;
    snprintf(where, sizeof where, "%s: row \"%.100s\"", file, out->name);
    s = member_object(j, "config", where, &out->config, err);
    if (!s)
        s = member_object(j, "offer", where, &out->offer, err);
    if (!s)
        s = member_object(j, "training", where, &out->training, err);
    if (!s)
        s = member_choice(j, "trained_on", where, places, &trained_on, err);
    if (!s)
        s = member_flag(j, "bound", where, &out->is_bound, err);
    if (!s && json_get(j, "baseline"))
        s = member_text(j, "baseline", where, &out->baseline, err);
    out->trained_elsewhere = trained_on == 1;
    out->kind = e->kind == EXPERIMENT_ESTIMATORS ? ROW_ESTIMATOR
                : out->is_bound                  ? ROW_BOUND
                : out->baseline                  ? ROW_BASELINE
                                                 : ROW_LEARNER;
    return s;
}

static enum status read_rows(struct experiment *e, const char *file, struct error *err)
{
    const struct json *list = json_get(e->root, "rows");
    size_t n = json_size(list);
    if (!json_is_array(list) || n < 1 || n > EXPERIMENT_MAX_ROWS)
        return error_set(
            err, E_DATA, "%s: \"rows\" lists 1 to %d rows", file, EXPERIMENT_MAX_ROWS);
    e->rows = calloc(n, sizeof *e->rows);
    if (!e->rows)
        return error_nomem(err, n * sizeof *e->rows);
    enum status s = OK;
    for (; e->n_rows < n && !s; e->n_rows++)
        s = read_row(json_at(list, e->n_rows), e, file, &e->rows[e->n_rows], err);
    return s;
}

static enum status read_head(struct experiment *e, const char *file, struct error *err)
{
    static const char *const names[] = { "name", "title", "question", "kind", "seeds",
        "config", "same_sessions", "factors", "crossed", "rows", "columns", "claims",
        "plots", NULL };
    static const char *const kinds[] = { "policies", "estimators", NULL };
    const struct json *config = NULL;
    size_t kind = 0;
    double n_seeds = 3;
    enum status s = members_known(e->root, file, names, err);
    if (!s) // it names the folder of the results, too
        s = member_file_name(e->root, "name", file, &e->name, err);
    if (!s)
        s = member_text(e->root, "title", file, &e->title, err);
    if (!s)
        s = member_text(e->root, "question", file, &e->question, err);
    if (!s)
        s = member_object(e->root, "config", file, &config, err);
    if (!s)
        s = member_choice(e->root, "kind", file, kinds, &kind, err);
    if (!s)
        s = member_number(e->root, "seeds", file, &n_seeds, err);
    if (!s)
        s = member_flag(e->root, "same_sessions", file, &e->same_sessions, err);
    if (s)
        return s;
    e->kind = kind ? EXPERIMENT_ESTIMATORS : EXPERIMENT_POLICIES;
    if (!(n_seeds >= 1 && n_seeds <= 1000) || n_seeds != floor(n_seeds))
        return error_set(
            err, E_DATA, "%s: \"seeds\" is a whole number from 1 to 1000", file);
    e->n_seeds = (size_t)n_seeds;
    return OK;
}

static enum status find(const char *name, struct json **out, struct error *err)
{
    struct buffer names;
    for (size_t i = 0; i < n_experiments; i++)
        if (strcmp(texts[i].name, name) == 0)
            return json_parse(texts[i].start, (size_t)(texts[i].end - texts[i].start),
                name, JSON_UNIQUE_KEYS, out, err);
    if (file_exists(name))
        return json_read_file(name, FILE_MAX, JSON_COMMENTS | JSON_UNIQUE_KEYS, out, err);
    buffer_init(&names, LABEL_MAX);
    for (size_t i = 0; i < n_experiments; i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", texts[i].name);
    enum status s = error_set(err, E_NOT_FOUND,
        "there is no experiment \"%s\", and no file of that name; there are %s", name,
        buffer_str(&names));
    buffer_release(&names);
    return s;
}

enum status experiment_parse(struct json *root, const char *file, size_t n_llms,
    struct experiment **out, struct error *err)
{
    *out = NULL;
    struct experiment *e = calloc(1, sizeof *e);
    if (!e) {
        json_free(root);
        return error_nomem(err, sizeof *e);
    }
    e->root = root;
    // Of a long path the last part, so that messages have room for the rest.
    e->file =
        text_format("%.*s", SHOWN_MAX, strlen(file) > SHOWN_MAX ? path_base(file) : file);
    enum status s = e->file ? read_head(e, e->file, err) : error_nomem(err, SHOWN_MAX);
    if (!s)
        s = read_factors(e, n_llms ? n_llms : 1, e->file, err);
    if (!s)
        s = read_rows(e, e->file, err);
    if (!s)
        s = lay_out(e, e->file, err);
    if (!s)
        s = experiment_check(e, err);
    if (s) {
        experiment_free(e);
        return s;
    }
    *out = e;
    return OK;
}

enum status experiment_read(
    const char *name, size_t n_llms, struct experiment **out, struct error *err)
{
    struct json *root = NULL;
    *out = NULL;
    enum status s = find(name, &root, err);
    return s ? s : experiment_parse(root, name, n_llms, out, err);
}

void experiment_free(struct experiment *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_factors; i++)
        free(e->factors[i].values);
    for (size_t i = 0; i < e->n_settings; i++)
        free(e->settings[i].label);
    free(e->settings);
    free(e->rows);
    free(e->file);
    json_free(e->root);
    free(e);
}
