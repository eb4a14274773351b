/* experiment_check_shown.c - columns, claims and plots speak of what there is. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "m4a1/base/buffer.h"
#include "m4a1/tmo/experiment_check_parts.h"
#include "m4a1/tmo/experiment_figure.h"
#include "m4a1/tmo/experiment_members.h"

#define LIST_MAX 8192

enum status experiment_check_row(
    const struct experiment *e, const char *name, const char *where, struct error *err)
{
    struct buffer list;
    buffer_init(&list, LIST_MAX);
    for (size_t i = 0; i < e->n_rows; i++) {
        if (strcmp(e->rows[i].name, name) == 0) {
            buffer_release(&list);
            return OK;
        }
        buffer_printf(&list, "%s\"%s\"", i ? ", " : "", e->rows[i].name);
    }
    (void)error_set(err, E_DATA, "%s: there is no row \"%.100s\"; there are %s", where,
        name, buffer_str(&list));
    buffer_release(&list);
    return E_DATA;
}

enum status experiment_check_figure(const struct experiment *e, const char *name,
    unsigned kinds, const char *where, struct error *err)
{
    enum experiment_figure f = experiment_figure_of(name);
    struct buffer list;
    kinds |= e->kind == EXPERIMENT_ESTIMATORS ? FIGURE_OF_ESTIMATORS : FIGURE_OF_POLICIES;
    if (f != N_EX_FIGURES && (experiment_figures[f].kinds & kinds) == kinds)
        return OK;
    buffer_init(&list, LIST_MAX);
    experiment_figure_list(kinds, &list);
    (void)error_set(err, E_DATA, "%s: there is no figure \"%.100s\"%s; there are %s",
        where, name,
        kinds & FIGURE_BY_SESSION          ? " that is kept by session"
        : e->kind == EXPERIMENT_ESTIMATORS ? " of estimators"
                                           : " of policies",
        list.len ? buffer_str(&list) : "none");
    buffer_release(&list);
    return E_DATA;
}

/* ---- columns ---- */

static enum status check_columns(const struct experiment *e, struct error *err)
{
    const struct json *list = json_get(e->root, "columns");
    char where[EXPERIMENT_WHERE];
    snprintf(where, sizeof where, "%s: columns", e->file);
    if (!json_is_array(list) || !json_size(list))
        return error_set(
            err, E_DATA, "%s: a list of figures for the table must be there", where);
    for (const struct json *c = json_first(list); c; c = json_next(c)) {
        enum status s = experiment_check_figure(e, json_text(c, ""), 0, where, err);
        if (s)
            return s;
        for (const struct json *b = json_first(list); b != c; b = json_next(b))
            if (strcmp(json_text(b, ""), json_text(c, "")) == 0)
                return error_set(
                    err, E_DATA, "%s: \"%s\" is there twice", where, json_text(c, ""));
    }
    return OK;
}

/* ---- claims ---- */

static enum status check_range(
    const struct json *claim, const char *where, struct error *err)
{
    double least = -INFINITY, most = INFINITY;
    enum status s = member_number(claim, "least", where, &least, err);
    if (!s)
        s = member_number(claim, "most", where, &most, err);
    if (!s && isinf(least) && isinf(most))
        s = error_set(err, E_DATA,
            "%s: \"least\", \"most\" or both must be there, so that it can fail", where);
    if (!s && least > most)
        s = error_set(
            err, E_DATA, "%s: \"least\" %g is above \"most\" %g", where, least, most);
    return s;
}

static enum status check_claim(
    const struct experiment *e, const struct json *claim, struct error *err)
{
    static const char *const names[] = { "text", "figure", "of", "against", "relative",
        "least", "most", NULL };
    const char *text = NULL, *figure = NULL, *of = NULL, *against = NULL;
    int relative = 0;
    char where[EXPERIMENT_WHERE];
    snprintf(where, sizeof where, "%s: claims", e->file);
    enum status s = members_known(claim, where, names, err);
    if (!s)
        s = member_text(claim, "text", where, &text, err);
    if (s)
        return s;
    snprintf(where, sizeof where, "%s: claim \"%.100s\"", e->file, text);
    s = member_text(claim, "figure", where, &figure, err);
    if (!s)
        s = experiment_check_figure(e, figure, FIGURE_BY_SESSION, where, err);
    if (!s)
        s = member_text(claim, "of", where, &of, err);
    if (!s)
        s = experiment_check_row(e, of, where, err);
    if (!s && json_get(claim, "against"))
        s = member_text(claim, "against", where, &against, err);
    if (!s && against)
        s = experiment_check_row(e, against, where, err);
    if (!s)
        s = member_flag(claim, "relative", where, &relative, err);
    if (!s && relative && !against)
        s = error_set(
            err, E_DATA, "%s: \"relative\" to what? \"against\" names the row", where);
    return s ? s : check_range(claim, where, err);
}

/* ---- plots ---- */

static enum status check_plot_rows(const struct experiment *e, const struct json *plot,
    const char *where, struct error *err)
{
    const struct json *rows = NULL;
    enum status s = member_list(plot, "rows", where, &rows, err);
    if (!s && rows && !json_size(rows))
        s = error_set(err, E_DATA, "%s: \"rows\" lists none", where);
    for (const struct json *row = json_first(rows); row && !s; row = json_next(row))
        s = experiment_check_row(e, json_text(row, ""), where, err);
    return s;
}

static enum status check_plot_factor(const struct experiment *e, const struct json *plot,
    const char *where, struct error *err)
{
    const char *factor = NULL;
    struct buffer list;
    if (!json_get(plot, "factor"))
        return OK;
    enum status s = member_text(plot, "factor", where, &factor, err);
    if (s)
        return s;
    buffer_init(&list, LIST_MAX);
    s = E_DATA;
    for (size_t i = 0; i < e->n_factors; i++) {
        if (strcmp(e->factors[i].name, factor) == 0)
            s = OK;
        buffer_printf(&list, "%s\"%s\"", i ? ", " : "", e->factors[i].name);
    }
    if (s)
        (void)error_set(err, E_DATA, "%s: there is no factor \"%.100s\"; there are %s",
            where, factor, list.len ? buffer_str(&list) : "none");
    buffer_release(&list);
    return s;
}

/* A logarithmic axis has no place for 0, nor for settings without an x. */
static enum status check_log_x(const struct experiment *e, const struct json *plot,
    const char *where, struct error *err)
{
    const char *factor = json_text(json_get(plot, "factor"), NULL);
    int log_x = 0;
    enum status s = member_flag(plot, "log_x", where, &log_x, err);
    for (size_t i = 0; i < e->n_settings && log_x && !s; i++) {
        int taken = !factor;
        for (size_t f = 0; f < e->n_factors; f++)
            taken |= factor && strcmp(e->factors[f].name, factor) == 0 &&
                     experiment_value_of(e, i, f);
        if (taken && !(e->settings[i].x > 0))
            s = error_set(err, E_DATA,
                "%s: \"log_x\" needs an \"x\" above 0, and setting \"%s\" has none",
                where, e->settings[i].label);
    }
    return s;
}

static enum status check_plot_axes(const struct experiment *e, const struct json *plot,
    const char *where, struct error *err)
{
    static const char *const kinds[] = { "bars", "lines", "points", NULL };
    const char *x = NULL, *y = NULL, *text = NULL;
    size_t kind = 0;
    enum status s = member_choice(plot, "kind", where, kinds, &kind, err);
    if (!s)
        s = member_text(plot, "y", where, &y, err);
    if (!s)
        s = experiment_check_figure(e, y, 0, where, err);
    if (!s && json_get(plot, "x") && kind != 2)
        s = error_set(err, E_DATA,
            "%s: \"x\" is of points; others stand at the \"x\" of their settings", where);
    if (!s && kind == 2)
        s = member_text(plot, "x", where, &x, err);
    if (!s && x)
        s = experiment_check_figure(e, x, 0, where, err);
    if (!s && json_get(plot, "title"))
        s = member_text(plot, "title", where, &text, err);
    if (!s && json_get(plot, "x_label"))
        s = member_text(plot, "x_label", where, &text, err);
    return s ? s : check_log_x(e, plot, where, err);
}

static enum status check_plot(const struct experiment *e, const struct json *plots,
    const struct json *plot, struct error *err)
{
    static const char *const names[] = { "name", "title", "kind", "y", "x", "factor",
        "x_label", "log_x", "rows", NULL };
    const char *name = NULL;
    char where[EXPERIMENT_WHERE];
    snprintf(where, sizeof where, "%s: plots", e->file);
    enum status s = members_known(plot, where, names, err);
    if (!s)
        s = member_file_name(plot, "name", where, &name, err);
    if (s)
        return s;
    snprintf(where, sizeof where, "%s: plot \"%s\"", e->file, name);
    // Some file systems take "A" and "a" for one name.
    for (const struct json *p = json_first(plots); p != plot; p = json_next(p))
        if (strcasecmp(json_text(json_get(p, "name"), ""), name) == 0)
            return error_set(err, E_DATA, "%s is there twice", where);
    s = check_plot_axes(e, plot, where, err);
    if (!s)
        s = check_plot_factor(e, plot, where, err);
    return s ? s : check_plot_rows(e, plot, where, err);
}

int experiment_shows(const struct experiment *e, enum experiment_figure figure)
{
    const char *name = experiment_figures[figure].name;
    for (const struct json *c = json_first(json_get(e->root, "columns")); c;
         c = json_next(c))
        if (strcmp(json_text(c, ""), name) == 0)
            return 1;
    for (const struct json *c = json_first(json_get(e->root, "claims")); c;
         c = json_next(c))
        if (strcmp(json_text(json_get(c, "figure"), ""), name) == 0)
            return 1;
    for (const struct json *p = json_first(json_get(e->root, "plots")); p;
         p = json_next(p))
        if (strcmp(json_text(json_get(p, "x"), ""), name) == 0 ||
            strcmp(json_text(json_get(p, "y"), ""), name) == 0)
            return 1;
    return 0;
}

enum status experiment_check_shown(const struct experiment *e, struct error *err)
{
    const struct json *claims = NULL, *plots = NULL;
    enum status s = check_columns(e, err);
    if (!s)
        s = member_list(e->root, "claims", e->file, &claims, err);
    for (const struct json *c = json_first(claims); c && !s; c = json_next(c))
        s = check_claim(e, c, err);
    if (!s)
        s = member_list(e->root, "plots", e->file, &plots, err);
    for (const struct json *p = json_first(plots); p && !s; p = json_next(p))
        s = check_plot(e, plots, p, err);
    return s;
}
