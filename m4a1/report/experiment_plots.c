/* experiment_plots.c - points, categories and series from results. */
#include "m4a1/report/experiment_plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "m4a1/report/plot.h"
#include "m4a1/tmo/experiment_cell.h"

/* What one plot is made of: the settings and rows that it shows. */
struct chart {
    const struct json *results, *spec;
    const struct experiment_figure_name *x, *y; /* x: of points only */
    const struct json **settings;
    const char **rows;
    size_t n_settings, n_rows;
    struct plot_point *points; /* [n_settings * n_rows] */
    struct plot_series *series;
    const char **categories;
};

static int lists(const struct json *names, const char *name)
{
    for (const struct json *c = json_first(names); c; c = json_next(c))
        if (strcmp(json_text(c, ""), name) == 0)
            return 1;
    return 0;
}

static enum status chart_init(struct chart *c, struct error *err)
{
    const struct json *settings = json_get(c->results, "settings");
    const char *factor = json_text(json_get(c->spec, "factor"), NULL);
    const struct json *wanted = json_get(c->spec, "rows");
    const struct json *rows = json_get(json_at(settings, 0), "rows");
    size_t n = (json_size(settings) + 1) * (json_size(rows) + 1);
    c->settings = calloc(n, sizeof *c->settings);
    c->rows = calloc(n, sizeof *c->rows);
    c->points = calloc(n, sizeof *c->points);
    c->series = calloc(n, sizeof *c->series);
    c->categories = calloc(n, sizeof *c->categories);
    if (!c->settings || !c->rows || !c->points || !c->series || !c->categories)
        return error_nomem(err, n * sizeof *c->points);
    for (const struct json *s = json_first(settings); s; s = json_next(s))
        if (!factor || json_get(json_get(s, "values"), factor))
            c->settings[c->n_settings++] = s;
    for (const struct json *row = json_first(rows); row; row = json_next(row)) {
        const char *name = json_text(json_get(row, "row"), "");
        if (!wanted || lists(wanted, name))
            c->rows[c->n_rows++] = name;
    }
    return OK;
}

static void chart_release(struct chart *c)
{
    free(c->settings);
    free(c->rows);
    free(c->points);
    free(c->series);
    free(c->categories);
}

static const struct json *figure_of(
    const struct json *setting, const char *row, const struct experiment_figure_name *f)
{
    for (const struct json *r = json_first(json_get(setting, "rows")); r;
         r = json_next(r))
        if (strcmp(json_text(json_get(r, "row"), ""), row) == 0)
            return json_get(json_get(r, "figures"), f->name);
    return NULL;
}

/* The mean with its interval over sessions, else with its deviation over seeds. */
static struct plot_point point_of(const struct json *figure, double scale)
{
    double mean = scale * json_number(json_get(figure, "mean"), NAN);
    double deviation = scale * json_number(json_get(figure, "deviation"), NAN);
    const struct json *from = json_get(figure, "from");
    struct plot_point p = { 0, mean, mean - deviation, mean + deviation, NULL };
    if (json_is_number(from)) {
        p.low = scale * json_number(from, NAN);
        p.high = scale * json_number(json_get(figure, "to"), NAN);
    }
    return p;
}

static const char *label_of(const struct chart *c, size_t setting)
{
    const char *label = json_text(json_get(c->settings[setting], "label"), "");
    return *label ? label : json_text(json_get(c->results, "title"), "");
}

/* A series a row, over the settings. */
static void by_row(struct chart *c, enum plot_kind kind)
{
    for (size_t r = 0; r < c->n_rows; r++) {
        struct plot_point *points = c->points + r * c->n_settings;
        for (size_t s = 0; s < c->n_settings; s++) {
            points[s] =
                point_of(figure_of(c->settings[s], c->rows[r], c->y), c->y->scale);
            points[s].x = kind == PLOT_BARS
                              ? (double)s
                              : json_number(json_get(c->settings[s], "x"), (double)s);
        }
        c->series[r] = (struct plot_series) { c->rows[r], points, c->n_settings };
    }
    for (size_t s = 0; s < c->n_settings; s++)
        c->categories[s] = label_of(c, s);
}

/* A series a setting, over the rows. */
static void by_setting(struct chart *c, enum plot_kind kind)
{
    for (size_t s = 0; s < c->n_settings; s++) {
        struct plot_point *points = c->points + s * c->n_rows;
        for (size_t r = 0; r < c->n_rows; r++) {
            points[r] =
                point_of(figure_of(c->settings[s], c->rows[r], c->y), c->y->scale);
            points[r].x = (double)r;
            points[r].name = c->rows[r];
            if (kind == PLOT_POINTS)
                points[r].x =
                    c->x->scale *
                    json_number(
                        json_get(figure_of(c->settings[s], c->rows[r], c->x), "mean"),
                        NAN);
        }
        c->series[s] = (struct plot_series) { label_of(c, s), points, c->n_rows };
    }
    for (size_t r = 0; r < c->n_rows; r++)
        c->categories[r] = c->rows[r];
}

static enum status draw(struct chart *c, const char *folder, struct error *err)
{
    const char *kind_name = json_text(json_get(c->spec, "kind"), "bars");
    enum plot_kind kind = strcmp(kind_name, "lines") == 0    ? PLOT_LINES
                          : strcmp(kind_name, "points") == 0 ? PLOT_POINTS
                                                             : PLOT_BARS;
    // Groups of bars: the longer list along the axis, the shorter one as colours.
    int rows_are_series =
        kind == PLOT_LINES || (kind == PLOT_BARS && c->n_settings >= c->n_rows);
    if (rows_are_series)
        by_row(c, kind);
    else
        by_setting(c, kind);
    const struct plot plot = { .kind = kind,
        .title = json_text(
            json_get(c->spec, "title"), json_text(json_get(c->results, "title"), "")),
        .x_label = json_text(
            json_get(c->spec, "x_label"), kind == PLOT_POINTS ? c->x->label : ""),
        .y_label = c->y->label,
        .log_x = json_bool(json_get(c->spec, "log_x"), 0),
        .categories = c->categories,
        .n_categories = rows_are_series ? c->n_settings : c->n_rows,
        .series = c->series,
        .n_series = rows_are_series ? c->n_rows : c->n_settings };
    char *path = path_join(folder, json_text(json_get(c->spec, "name"), "plot"));
    enum status s = path ? plot_write(&plot, path, err) : error_nomem(err, 256);
    free(path);
    return s;
}

static enum status draw_one(const struct json *results, const struct json *spec,
    const char *folder, struct error *err)
{
    const char *x = json_text(json_get(spec, "x"), "reward");
    const char *y = json_text(json_get(spec, "y"), "reward");
    enum experiment_figure fx = experiment_figure_of(x), fy = experiment_figure_of(y);
    if (fx == N_EX_FIGURES || fy == N_EX_FIGURES)
        return error_set(err, E_DATA, "plot \"%s\": there is no figure \"%s\"",
            json_text(json_get(spec, "name"), ""), fx == N_EX_FIGURES ? x : y);
    // It becomes a file's name, inside the folder and nowhere else.
    const char *name = json_text(json_get(spec, "name"), "plot");
    if (!*name || name[0] == '.' || strchr(name, '/'))
        return error_set(err, E_DATA,
            "plot \"%s\": a name is a file's, without / and not beginning with a dot",
            name);
    struct chart c = { .results = results,
        .spec = spec,
        .x = &experiment_figures[fx],
        .y = &experiment_figures[fy] };
    enum status s = chart_init(&c, err);
    if (!s && c.n_settings && c.n_rows)
        s = draw(&c, folder, err);
    chart_release(&c);
    return s;
}

enum status experiment_plots(
    const struct json *results, const char *folder, struct error *err)
{
    enum status all = OK;
    for (const struct json *spec = json_first(json_get(results, "plots")); spec;
         spec = json_next(spec)) {
        enum status s = draw_one(results, spec, folder, err);
        if (s && s != E_NOT_FOUND)
            return s;
        all = s ? s : all;
    }
    return all;
}
