/* experiment_check.c - rows, values and configs; what is shown of them is checked in
 * experiment_check_shown.c. */
#include "m4a1/tmo/experiment_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/tmo/baselines.h"
#include "m4a1/tmo/experiment_check_parts.h"
#include "m4a1/tmo/experiment_config.h"
#include "m4a1/tmo/experiment_figure.h"
#include "m4a1/tmo/experiment_members.h"
#include "m4a1/tmo/planner.h"
#include "m4a1/tmo/synthetic.h"

#define NAME_MAX_BYTES 100

/* A name of a row, factor or value: short enough for files' names, and fit for tables. */
static enum status check_name(const char *name, const char *where, struct error *err)
{
    if (strlen(name) > NAME_MAX_BYTES)
        return error_set(err, E_DATA, "%s: \"%.40s...\" has more than %d bytes", where,
            name, NAME_MAX_BYTES);
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if (*c < ' ' || *c == 0x7f || *c == '|')
            return error_set(err, E_DATA,
                "%s: \"%s\" has a | or a control character, which no table can hold",
                where, name);
    return OK;
}

/* ---- what may be chosen ---- */

static enum status check_offer(
    const struct json *offer, const char *where, struct error *err)
{
    static const char *const names[] = { "role", "views", "llms", NULL };
    static const char *const roles[] = { "local", "cloud", NULL };
    static const char *const views[] = { "all", "none", NULL };
    char inside[EXPERIMENT_WHERE];
    size_t which;
    snprintf(inside, sizeof inside, "%.600s: offer", where);
    const struct json *llms = json_get(offer, "llms");
    enum status s = offer ? members_known(offer, inside, names, err) : OK;
    if (!s)
        s = member_choice(offer, "role", inside, roles, &which, err);
    if (!s)
        s = member_choice(offer, "views", inside, views, &which, err);
    if (!s && llms && (!json_is_int(llms) || json_int(llms, 0) < 1))
        s = error_set(
            err, E_DATA, "%s: \"llms\" is how many are offered, 1 or more", inside);
    return s;
}

/* ---- factors ---- */

/* {"ROW": {"FIGURE": number}}: other people's results, to stand beside ours. */
static enum status check_published(const struct experiment *e,
    const struct json *published, const char *where, struct error *err)
{
    char inside[EXPERIMENT_WHERE];
    for (const struct json *row = json_first(published); row; row = json_next(row)) {
        snprintf(inside, sizeof inside, "%.600s: published", where);
        enum status s = experiment_check_row(e, json_key(row), inside, err);
        if (s)
            return s;
        snprintf(inside, sizeof inside, "%.500s: published.%.100s", where, json_key(row));
        if (!json_is_object(row))
            return error_set(err, E_DATA, "%s: expected an object of figures", inside);
        for (const struct json *one = json_first(row); one; one = json_next(one)) {
            s = experiment_check_figure(e, json_key(one), 0, inside, err);
            if (s)
                return s;
            if (!json_is_number(one))
                return error_set(
                    err, E_DATA, "%s: \"%s\" is a number", inside, json_key(one));
        }
    }
    return OK;
}

static enum status check_value(const struct experiment *e,
    const struct experiment_factor *factor, size_t at, struct error *err)
{
    const struct experiment_value *value = &factor->values[at];
    struct synthetic_shape shape;
    static const char *const names[] = { "views", "tasks", "turns", "sessions", NULL };
    char where[EXPERIMENT_WHERE], inside[EXPERIMENT_WHERE];
    snprintf(where, sizeof where, "%s: factor \"%s\", value \"%s\"", e->file,
        factor->name, value->label);
    snprintf(inside, sizeof inside, "%.600s: data", where);
    enum status s = check_name(value->label, where, err);
    for (size_t i = 0; i < at && !s; i++)
        if (strcmp(factor->values[i].label, value->label) == 0)
            s = error_set(err, E_DATA, "%s is there twice", where);
    if (!s)
        s = check_offer(value->offer, where, err);
    if (!s && value->data)
        s = members_known(value->data, inside, names, err);
    if (!s && value->data)
        s = experiment_shape(value->data, where, &shape, err);
    return s ? s : check_published(e, value->published, where, err);
}

static enum status check_factor(const struct experiment *e, size_t at, struct error *err)
{
    const struct experiment_factor *factor = &e->factors[at];
    char where[EXPERIMENT_WHERE];
    snprintf(where, sizeof where, "%s: factor", e->file);
    enum status s = check_name(factor->name, where, err);
    for (size_t i = 0; i < at && !s; i++)
        if (strcmp(e->factors[i].name, factor->name) == 0)
            s = error_set(
                err, E_DATA, "%s: factor \"%s\" is there twice", e->file, factor->name);
    for (size_t v = 0; v < factor->n_values && !s; v++)
        s = check_value(e, factor, v, err);
    return s;
}

/* Where some settings make their own data, all do: there are no others to take. */
static enum status check_data(const struct experiment *e, struct error *err)
{
    for (size_t i = 0; i < e->n_settings && e->synthetic; i++) {
        int makes = 0;
        for (size_t f = 0; f < e->n_factors; f++) {
            const struct experiment_value *value = experiment_value_of(e, i, f);
            makes |= value && value->data;
        }
        if (!makes)
            return error_set(err, E_DATA,
                "%s: setting \"%s\" has no \"data\", and others have: give each its own, "
                "or none",
                e->file, e->settings[i].label);
    }
    return OK;
}

/* ---- rows ---- */

static enum status check_baseline(const char *name, const char *where, struct error *err)
{
    const struct baseline_spec *spec =
        strlen(name) < BASELINE_MAX_NAME ? baseline_spec(name) : NULL;
    const char *colon = strchr(name, ':');
    int64_t depth;
    if (spec && colon && strcmp(spec->name, "planner") == 0 &&
        text_to_int(
            colon + 1, "the depth of the planner", 1, PLANNER_MAX_DEPTH, &depth, err)) {
        (void)error_prefix(err, "%s: ", where);
        return E_DATA;
    }
    if (spec)
        return OK;
    struct buffer list;
    buffer_init(&list, 1000);
    for (size_t i = 0; i < n_baseline_specs; i++)
        buffer_printf(&list, "%s%s%s", i ? ", " : "", baseline_specs[i].name,
            text_ends(baseline_specs[i].name, ":") ? "NAME" : "");
    (void)error_set(err, E_DATA, "%s: there is no baseline \"%.100s\"; there are %s",
        where, name, buffer_str(&list));
    buffer_release(&list);
    return E_DATA;
}

/* Members that mean nothing for a row of its kind would be passed over in silence. */
static enum status check_members(
    const struct experiment_row *row, const char *where, struct error *err)
{
    if (row->kind == ROW_ESTIMATOR && (row->baseline || row->is_bound || row->offer ||
                                          row->training || row->trained_elsewhere))
        return error_set(err, E_DATA,
            "%s: rows of estimators have a name and a config, nothing else", where);
    if (row->baseline && row->is_bound)
        return error_set(
            err, E_DATA, "%s is a baseline and the bound; it can be one of them", where);
    if (row->kind != ROW_LEARNER && (row->training || row->trained_elsewhere))
        return error_set(err, E_DATA,
            "%s: \"training\" and \"trained_on\" are of learners, and this is %s", where,
            row->baseline ? "a baseline" : "the bound");
    if (row->training && row->trained_elsewhere)
        return error_set(err, E_DATA,
            "%s: \"training\" is of a row that is trained here, not elsewhere", where);
    return OK;
}

static enum status check_row(const struct experiment *e, size_t at, struct error *err)
{
    const struct experiment_row *row = &e->rows[at];
    char where[EXPERIMENT_WHERE];
    snprintf(where, sizeof where, "%s: row", e->file);
    enum status s = check_name(row->name, where, err);
    snprintf(where, sizeof where, "%s: row \"%s\"", e->file, row->name);
    for (size_t i = 0; i < at && !s; i++)
        if (strcmp(e->rows[i].name, row->name) == 0)
            s = error_set(err, E_DATA, "%s is there twice", where);
    if (!s)
        s = check_members(row, where, err);
    if (!s && row->baseline)
        s = check_baseline(row->baseline, where, err);
    return s ? s : check_offer(row->offer, where, err);
}

/* ---- configs ---- */

static enum status check_config(const struct experiment *e, size_t setting,
    const struct experiment_row *row, int *is_constrained, struct error *err)
{
    struct tmo_config config, training;
    enum status s = experiment_configure(e, setting, row, &config, err);
    if (!s && config.split_from)
        s = error_set(err, E_DATA,
            "%s: row \"%s\": an experiment draws its splits by seed, so \"split.from\" "
            "means "
            "nothing here; leave it out",
            e->file, row->name);
    *is_constrained = config.environment.n_constraints > 0 &&
                      config.environment.handling != HANDLING_NONE;
    if (!s && row->training) {
        s = experiment_configure_training(e, row, &config, &training, err);
        tmo_config_release(&training);
    }
    tmo_config_release(&config);
    return s && s != E_NOMEM ? E_DATA : s;
}

/* Every row's, and that there is the bound that figures are measured by. */
static enum status check_setting(
    const struct experiment *e, size_t setting, struct error *err)
{
    int n_bounds = 0, n_budget_bounds = 0, is_constrained;
    for (size_t i = 0; i < e->n_rows; i++) {
        enum status s = check_config(e, setting, &e->rows[i], &is_constrained, err);
        if (s)
            return s;
        n_bounds += e->rows[i].kind == ROW_BOUND;
        n_budget_bounds += e->rows[i].kind == ROW_BOUND && is_constrained;
    }
    if (!n_bounds && experiment_shows(e, EX_SHARE))
        return error_set(err, E_DATA,
            "%s: \"share\" needs a row that is the bound: {\"name\": \"Bound\", "
            "\"bound\": true}",
            e->file);
    if (!n_budget_bounds && experiment_shows(e, EX_AVOIDABLE))
        return error_set(err, E_DATA,
            "%s: \"avoidable\" needs a row that is the bound under budgets: {\"name\": "
            "\"Bound under budgets\", \"bound\": true, \"config\": {\"handling\": "
            "\"shield\"}}",
            e->file);
    return OK;
}

enum status experiment_check(const struct experiment *e, struct error *err)
{
    enum status s = OK;
    for (size_t i = 0; i < e->n_rows && !s; i++)
        s = check_row(e, i, err);
    for (size_t i = 0; i < e->n_factors && !s; i++)
        s = check_factor(e, i, err);
    if (!s)
        s = check_data(e, err);
    if (!s)
        s = experiment_check_shown(e, err);
    for (size_t i = 0; i < e->n_settings && !s; i++)
        s = check_setting(e, i, err);
    return s;
}
