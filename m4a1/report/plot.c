/* plot.c - a gnuplot script with inline data, and gnuplot run on it. */
#include "m4a1/report/plot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"

#define SCRIPT_MAX ((size_t)16 << 20)
#define PICTURE_MAX ((size_t)256 << 20)
#define WIDTH 900
#define HEIGHT 560

extern char **environ;

/* Okabe and Ito's colours, which colour-blind people can tell apart. */
static const char *const colours[] = { "#0072B2", "#D55E00", "#009E73", "#CC79A7",
    "#E69F00", "#56B4E9", "#000000", "#999999" };
#define N_COLOURS (sizeof colours / sizeof *colours)

/* A string in a command: between single quotes gnuplot takes nothing for an escape or, as
 * between double quotes, for a command of the shell. */
static void quote(struct buffer *out, const char *text)
{
    buffer_add_char(out, '\'');
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            buffer_add_char(out, '\'');
        buffer_add_char(out, (unsigned char)*c < ' ' ? ' ' : *c);
    }
    buffer_add_char(out, '\'');
}

/* A string in data, where only double quotes make one, and none can stand inside. */
static void quote_datum(struct buffer *out, const char *text)
{
    buffer_add_char(out, '"');
    for (const char *c = text; *c; c++) {
        int breaks = (unsigned char)*c < ' ' || *c == '"' || *c == '\\';
        buffer_add_char(out, breaks ? ' ' : *c);
    }
    buffer_add_char(out, '"');
}

static void number(struct buffer *out, double x)
{
    if (isfinite(x))
        buffer_printf(out, " %.17g", x);
    else
        buffer_add_str(out, " NaN");
}

/* How far points lie from each other at most. */
static void measure(const struct plot *plot, double *width, double *height)
{
    double x[2] = { INFINITY, -INFINITY }, y[2] = { INFINITY, -INFINITY };
    for (size_t i = 0; i < plot->n_series; i++)
        for (size_t p = 0; p < plot->series[i].n_points; p++) {
            const struct plot_point *at = &plot->series[i].points[p];
            x[0] = fmin(x[0], at->x);
            x[1] = fmax(x[1], at->x);
            y[0] = fmin(y[0], at->y);
            y[1] = fmax(y[1], at->y);
        }
    *width = x[1] - x[0];
    *height = y[1] - y[0];
}

/* A series of named points, and how near to each other two may not stand. */
struct crowd {
    const struct plot_series *series;
    double dx, dy;
};

static int are_near(const struct crowd *c, size_t i, size_t k)
{
    const struct plot_point *a = &c->series->points[i], *b = &c->series->points[k];
    return fabs(a->x - b->x) <= c->dx && fabs(a->y - b->y) <= c->dy;
}

/* Whose name stands at point p: its own, or an earlier one's that it is too near to. */
static size_t leader_of(const struct crowd *c, size_t p)
{
    for (size_t i = 0; i < p; i++)
        if (are_near(c, i, p) && leader_of(c, i) == i)
            return i;
    return p;
}

/* The names of all that p stands for. */
static void add_names(struct buffer *out, const struct crowd *c, size_t p)
{
    struct buffer names;
    buffer_init(&names, SCRIPT_MAX);
    for (size_t i = p; i < c->series->n_points && leader_of(c, p) == p; i++) {
        const char *name = c->series->points[i].name;
        if (leader_of(c, i) == p && name)
            buffer_printf(&names, "%s%s", names.len ? ", " : "", name);
    }
    buffer_add_char(out, ' ');
    quote_datum(out, buffer_str(&names));
    buffer_release(&names);
}

/* $s0, $s1 ...: x, y, low, high, and the name of PLOT_POINTS.  A point without an interval has its own value
 * as both ends. */
static void add_data(struct buffer *out, const struct plot *plot)
{
    double width, height;
    measure(plot, &width, &height);
    for (size_t i = 0; i < plot->n_series; i++) {
        const struct plot_series *series = &plot->series[i];
        const struct crowd crowd = { series, 0.1 * width, 0.03 * height };
        buffer_printf(out, "$s%zu << EOD\n", i);
        for (size_t p = 0; p < series->n_points; p++) {
            const struct plot_point *at = &series->points[p];
            number(out, at->x);
            number(out, at->y);
            number(out, isnan(at->low) ? at->y : at->low);
            number(out, isnan(at->high) ? at->y : at->high);
            if (plot->kind == PLOT_POINTS)
                add_names(out, &crowd, p);
            buffer_add_char(out, '\n');
        }
        buffer_add_str(out, "EOD\n");
    }
}

static void add_axes(struct buffer *out, const struct plot *plot)
{
    buffer_add_str(out, "set title ");
    quote(out, plot->title);
    buffer_add_str(out, " noenhanced\nset xlabel ");
    quote(out, plot->x_label);
    buffer_add_str(out, " noenhanced\nset ylabel ");
    quote(out, plot->y_label);
    buffer_add_str(out, " noenhanced\n"
                        "set grid ytics lc rgb \"#dddddd\"\n"
                        "set border 3 lc rgb \"#666666\"\n"
                        "set tics nomirror\n"
                        "set key below noenhanced\nset lmargin 14\n");
    if (plot->log_x)
        buffer_add_str(out, "set logscale x\n");
    if (plot->kind != PLOT_BARS) {
        // Names stand to the right of their points.
        buffer_printf(out, "set offsets graph 0.02, graph %s, graph 0.05, graph 0.05\n",
            plot->kind == PLOT_POINTS ? "0.3" : "0.05");
        return;
    }
    // A bar's length means something from 0 only.
    buffer_add_str(out, "set yrange [*<0:0<*]\n");
    // Long names lean, so that they do not run into each other.
    buffer_printf(out, "set xrange [-0.6:%.1f]\nset xtics %snoenhanced (",
        (double)plot->n_categories - 0.4,
        plot->n_categories > 5 ? "rotate by 35 right " : "");
    for (size_t i = 0; i < plot->n_categories; i++) {
        buffer_add_str(out, i ? ", " : "");
        quote(out, plot->categories[i]);
        buffer_printf(out, " %zu", i);
    }
    buffer_add_str(
        out, ")\nset xzeroaxis lc rgb \"#666666\"\nset style fill solid 0.85\n");
}

static void add_bars(struct buffer *out, size_t series, size_t n_series)
{
    double width = 0.8 / (double)n_series;
    double shift = ((double)series + 0.5) * width - 0.4;
    const char *colour = colours[series % N_COLOURS];
    buffer_printf(out,
        "$s%zu using ($1+%.4f):2:(%.4f) with boxes lc rgb \"%s\" title name%zu, \\\n"
        "     $s%zu using ($1+%.4f):3:(0):($4-$3) with vectors nohead lc rgb \"#333333\" "
        "notitle",
        series, shift, width * 0.95, colour, series, series, shift);
}

static void add_points(struct buffer *out, enum plot_kind kind, size_t series)
{
    const char *colour = colours[series % N_COLOURS];
    buffer_printf(out, "$s%zu using 1:2:3:4 with yerrorbars lc rgb \"%s\" pt 7 ps 0.8 ",
        series, colour);
    if (kind == PLOT_LINES)
        buffer_printf(out,
            "notitle, \\\n     $s%zu using 1:2 with lines lc rgb \"%s\" lw 2 title "
            "name%zu",
            series, colour, series);
    else
        buffer_printf(out,
            "title name%zu, \\\n     $s%zu using 1:2:5 with labels left offset 1,0 "
            "noenhanced tc rgb \"%s\" notitle",
            series, series, colour);
}

static void add_script(struct buffer *out, const struct plot *plot, const char *name)
{
    buffer_add_str(out,
        "# gnuplot THIS draws it again; out is the path without extension\n"
        "if (!exists(\"out\")) out = ");
    quote(out, name);
    buffer_add_str(out, "\nset encoding utf8\n");
    add_data(out, plot);
    add_axes(out, plot);
    for (size_t i = 0; i < plot->n_series; i++) {
        buffer_printf(out, "name%zu = ", i);
        quote(out, plot->series[i].name);
        buffer_add_char(out, '\n');
    }
    for (int png = 0; png < 2; png++) {
        if (png)
            buffer_printf(out,
                "set terminal pngcairo size %d,%d noenhanced font \"sans,11\"\n"
                "set output out.\".png\"\n",
                WIDTH, HEIGHT);
        else
            buffer_printf(out,
                "set terminal svg size %d,%d dynamic noenhanced font \"sans,12\" "
                "background \"white\"\nset output out.\".svg\"\n",
                WIDTH, HEIGHT);
        buffer_add_str(out, "plot ");
        for (size_t i = 0; i < plot->n_series; i++) {
            buffer_add_str(out, i ? ", \\\n     " : "");
            if (plot->kind == PLOT_BARS)
                add_bars(out, i, plot->n_series);
            else
                add_points(out, plot->kind, i);
        }
        buffer_add_str(out, "\nset output\n");
    }
}

/* Run gnuplot on a script; what it says goes to standard error. */
static enum status run(const char *script, const char *out, struct error *err)
{
    struct buffer set;
    buffer_init(&set, SCRIPT_MAX);
    buffer_add_str(&set, "out = ");
    quote(&set, out);
    enum status s = buffer_status(&set, "a path", err);
    char *program = text_copy("gnuplot"), *flag = text_copy("-e"),
         *file = text_copy(script);
    char *argv[] = { program, flag, set.data, file, NULL };
    pid_t child = 0;
    int wait_status = 0, spawned = 0;
    if (!s && (!program || !flag || !file))
        s = error_nomem(err, 64);
    if (!s) {
        spawned = posix_spawnp(&child, "gnuplot", NULL, NULL, argv, environ);
        if (spawned)
            s = error_set(err, spawned == ENOENT ? E_NOT_FOUND : E_IO,
                "gnuplot cannot be run; install it (Debian: gnuplot-nox), then draw with "
                "`gnuplot %s`",
                script);
    }
    while (!s && waitpid(child, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    if (!s && (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0))
        s = error_set(err, E_IO, "gnuplot failed on %s", script);
    buffer_release(&set);
    free(program);
    free(flag);
    free(file);
    return s;
}

/* gnuplot says nothing where the disk is full: what is whole ends as such pictures do. */
static int is_whole(const char *path, const char *end)
{
    struct buffer picture;
    size_t n = strlen(end);
    int whole = 0;
    buffer_init(&picture, PICTURE_MAX);
    if (file_read(path, &picture, NULL) == OK)
        for (size_t back = n; back <= n + 4 && back <= picture.len; back++)
            whole |= memcmp(picture.data + picture.len - back, end, n) == 0;
    buffer_release(&picture);
    return whole;
}

/* gnuplot writes beside the target; what is whole is renamed. */
static enum status draw(const char *script, const char *path, struct error *err)
{
    static const char *const kinds[] = { "svg", "png" };
    static const char *const ends[] = { "</svg>", "IEND" }; // a checksum behind it
    char *part = text_format("%s.part", path);
    enum status s = part ? run(script, part, err) : error_nomem(err, 64);
    for (size_t i = 0; part && i < 2; i++) {
        char *from = text_format("%s.%s", part, kinds[i]);
        char *to = text_format("%s.%s", path, kinds[i]);
        if (!s && (!from || !to))
            s = error_nomem(err, 64);
        if (!s && !is_whole(from, ends[i]))
            s = error_set(err, E_IO,
                "gnuplot left no whole picture for %s; is the disk full? %s draws it "
                "again",
                to, script);
        if (!s && rename(from, to))
            s = error_errno(err, "cannot rename %s to %s", from, to);
        if (s && from)
            unlink(from);
        free(from);
        free(to);
    }
    free(part);
    return s;
}

enum status plot_write(const struct plot *plot, const char *path, struct error *err)
{
    struct buffer script;
    buffer_init(&script, SCRIPT_MAX);
    add_script(&script, plot, path_base(path));
    enum status s = buffer_status(&script, "a plot", err);
    char *name = text_format("%s.gp", path);
    if (!s && !name)
        s = error_nomem(err, 64);
    if (!s)
        s = file_write(name, script.data, script.len, err);
    if (!s)
        s = draw(name, path, err);
    buffer_release(&script);
    free(name);
    return s;
}
