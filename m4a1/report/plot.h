/* plot.h - figures as SVG and PNG, drawn by gnuplot from a script that stays beside them.
 *
 * A figure is written as NAME.gp, NAME.svg and NAME.png.  The script holds its own data, so
 * that `gnuplot NAME.gp` draws it again, in another style if one likes. */
#ifndef M4A1_REPORT_PLOT_H
#define M4A1_REPORT_PLOT_H

#include <stddef.h>
#include "m4a1/base/error.h"

enum plot_kind {
    PLOT_LINES,  /* points over a number, joined */
    PLOT_BARS,   /* a group of bars a category */
    PLOT_POINTS, /* points over a number, with their names; near ones share a place */
};

struct plot_point {
    double x;         /* PLOT_BARS: which category */
    double y;         /* NAN = none */
    double low, high; /* ends of an interval; NAN = none */
    const char *name; /* PLOT_POINTS; NULL = none */
};

struct plot_series {
    const char *name;
    const struct plot_point *points;
    size_t n_points;
};

struct plot {
    enum plot_kind kind;
    const char *title, *x_label, *y_label;
    int log_x;
    const char *const *categories; /* PLOT_BARS: names of x = 0 .. n - 1 */
    size_t n_categories;
    const struct plot_series *series;
    size_t n_series;
};

/* Write and draw.  path is without extension.  E_NOT_FOUND where there is no gnuplot: then
 * only the script is written. */
MUST_CHECK enum status plot_write(
    const struct plot *plot, const char *path, struct error *err);

#endif
