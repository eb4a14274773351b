/* experiment_plots.h - the figures that an experiment's file asks for.
 *
 *   { "name": "reward", "title": ..., "kind": "lines" | "bars" | "points",
 *     "y": FIGURE, "x": FIGURE, "factor": NAME, "x_label": ..., "log_x": false,
 *     "rows": [NAME, ...] }
 *
 * lines: y over where the settings stand on the factor's axis, a line a row.  bars: groups
 * along the axis are settings or rows, whichever are more, colours the others.  points: each row at (x, y), a colour a
 * setting.  factor: only settings in which it takes part.  rows: all where left out. */
#ifndef M4A1_REPORT_EXPERIMENT_PLOTS_H
#define M4A1_REPORT_EXPERIMENT_PLOTS_H

#include "m4a1/base/error.h"
#include "m4a1/base/json.h"

/* Draw all of them into a folder as NAME.gp, NAME.svg and NAME.png.  E_NOT_FOUND where
 * there is no gnuplot: the scripts are written all the same. */
MUST_CHECK enum status experiment_plots(
    const struct json *results, const char *folder, struct error *err);

#endif
