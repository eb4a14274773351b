/* experiment_text.c - tables in Markdown and LaTeX, and a methods paragraph. */
#include "m4a1/report/experiment_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "m4a1/tmo/experiment_cell.h"

#define MAX_COLUMNS (2 * N_EX_FIGURES) /* each, and what was published of it */
#define CELL 96

/* What stands in one column: a figure, or one that was published elsewhere. */
struct column {
    const struct experiment_figure_name *figure;
    int published;
};

struct layout {
    struct column columns[MAX_COLUMNS];
    size_t n_columns;
    int with_setting; /* there is more than one */
};

static int is_of_estimators(const struct json *results)
{
    return strcmp(json_text(json_get(results, "kind"), ""), "estimators") == 0;
}

static const char *row_head(const struct json *results)
{
    return is_of_estimators(results) ? "estimator" : "policy";
}

const char *experiment_meaning(const struct json *results)
{
    if (is_of_estimators(results))
        return "Each seed draws its own folds, and its own tenth of the sessions to hold "
               "out; estimators know the other rows only. A constant correlates below 0, "
               "since the mean of the other folds is low where a fold is high.";
    return "Each seed draws its own split into training and test sessions, and its own "
           "training run. Rewards are returns inside the model, whose estimator knows "
           "training sessions only; they are no scores of real answers.";
}

static int any_published(const struct json *results, const char *figure)
{
    for (const struct json *s = json_first(json_get(results, "settings")); s;
         s = json_next(s))
        for (const struct json *row = json_first(json_get(s, "published")); row;
             row = json_next(row))
            if (json_get(row, figure))
                return 1;
    return 0;
}

static struct layout layout_of(const struct json *results)
{
    struct layout l = { .with_setting = json_size(json_get(results, "settings")) > 1 };
    for (const struct json *c = json_first(json_get(results, "columns")); c;
         c = json_next(c)) {
        enum experiment_figure f = experiment_figure_of(json_text(c, ""));
        if (f == N_EX_FIGURES)
            continue;
        l.columns[l.n_columns++] = (struct column) { &experiment_figures[f], 0 };
        if (any_published(results, experiment_figures[f].name))
            l.columns[l.n_columns++] = (struct column) { &experiment_figures[f], 1 };
    }
    return l;
}

/* "1.123 ± .080"; "-" where there is none. */
static void write_figure(const struct experiment_figure_name *name,
    const struct json *figure, const char *plus_minus, char *out)
{
    double mean = json_number(json_get(figure, "mean"), NAN);
    double deviation = json_number(json_get(figure, "deviation"), NAN);
    size_t n = json_size(json_get(figure, "by_seed"));
    if (isnan(mean))
        snprintf(out, CELL, "-");
    else if (n > 1)
        snprintf(out, CELL, "%.*f%s%.*f", name->digits, name->scale * mean, plus_minus,
            name->digits, name->scale * deviation);
    else
        snprintf(out, CELL, "%.*f", name->digits, name->scale * mean);
}

static void write_cell(const struct column *c, const struct json *setting,
    const struct json *row, const char *plus_minus, char *out)
{
    if (!c->published) {
        write_figure(c->figure, json_get(json_get(row, "figures"), c->figure->name),
            plus_minus, out);
        return;
    }
    const struct json *there = json_get(
        json_get(json_get(setting, "published"), json_text(json_get(row, "row"), "")),
        c->figure->name);
    if (json_is_number(there))
        snprintf(out, CELL, "%.*f", c->figure->digits,
            c->figure->scale * json_number(there, 0));
    else
        snprintf(out, CELL, "-");
}

static void write_head(const struct column *c, char *out)
{
    snprintf(out, CELL, "%s%s", c->figure->label, c->published ? ", published" : "");
}

/* Characters, not bytes, since ± has two bytes. */
static size_t width_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void pad(struct buffer *out, const char *text, size_t width, int right)
{
    size_t n = width_of(text);
    if (!right)
        buffer_add_str(out, text);
    for (; n < width; n++)
        buffer_add_char(out, ' ');
    if (right)
        buffer_add_str(out, text);
}

/* ---- Markdown ---- */

/* Widths of setting, row and each column. */
static void measure(const struct json *results, const struct layout *l, size_t *widths)
{
    char cell[CELL];
    widths[0] = strlen("setting");
    widths[1] = strlen(row_head(results));
    for (size_t i = 0; i < l->n_columns; i++) {
        write_head(&l->columns[i], cell);
        widths[2 + i] = width_of(cell);
    }
    for (const struct json *s = json_first(json_get(results, "settings")); s;
         s = json_next(s)) {
        size_t n = width_of(json_text(json_get(s, "label"), ""));
        widths[0] = n > widths[0] ? n : widths[0];
        for (const struct json *row = json_first(json_get(s, "rows")); row;
             row = json_next(row)) {
            n = width_of(json_text(json_get(row, "row"), ""));
            widths[1] = n > widths[1] ? n : widths[1];
            for (size_t i = 0; i < l->n_columns; i++) {
                write_cell(&l->columns[i], s, row, " ± ", cell);
                n = width_of(cell);
                widths[2 + i] = n > widths[2 + i] ? n : widths[2 + i];
            }
        }
    }
}

static void markdown_head(const struct json *results, const struct layout *l,
    const size_t *widths, struct buffer *out)
{
    char cell[CELL];
    for (int line = 0; line < 2; line++) {
        buffer_add_char(out, '|');
        for (size_t i = l->with_setting ? 0 : 1; i < l->n_columns + 2; i++) {
            if (i >= 2)
                write_head(&l->columns[i - 2], cell);
            else
                snprintf(cell, sizeof cell, "%s", i ? row_head(results) : "setting");
            buffer_add_char(out, ' ');
            if (line)
                for (size_t n = 0; n < widths[i]; n++)
                    buffer_add_char(out, '-');
            else
                pad(out, cell, widths[i], i >= 2);
            buffer_add_str(out, line && i >= 2 ? ":|" : " |");
        }
        buffer_add_char(out, '\n');
    }
}

/* Bounds whose search was given up somewhere: then policies may be beyond them. */
static void markdown_unproved(const struct json *results, struct buffer *out)
{
    for (const struct json *s = json_first(json_get(results, "settings")); s;
         s = json_next(s))
        for (const struct json *row = json_first(json_get(s, "rows")); row;
             row = json_next(row)) {
            double share = json_number(
                json_get(json_get(json_get(row, "figures"), "unproved"), "mean"), 0);
            const char *label = json_text(json_get(s, "label"), "");
            if (share > 0)
                buffer_printf(out,
                    "\n%s%s%s: in %.1f %% of sessions the search for the best sequence "
                    "was "
                    "given up, so this is what was found, and no proved bound.\n",
                    json_text(json_get(row, "row"), ""), *label ? ", " : "", label,
                    100 * share);
        }
}

static void markdown_claims(const struct json *results, struct buffer *out)
{
    const struct json *claims = json_get(results, "claims");
    if (!json_size(claims))
        return;
    buffer_add_str(out, "\n");
    for (const struct json *c = json_first(claims); c; c = json_next(c)) {
        const char *setting = json_text(json_get(c, "setting"), "");
        int percent = json_bool(json_get(c, "relative"), 0);
        double scale = percent ? 100 : 1;
        int digits = percent ? 1 : 3;
        buffer_printf(out, "- **%s**: %s%s%s", json_text(json_get(c, "verdict"), ""),
            json_text(json_get(c, "text"), ""), *setting ? "; " : "", setting);
        if (json_is_number(json_get(c, "from")))
            buffer_printf(out, " (measured %+.*f%s, 95 %% interval %+.*f to %+.*f)",
                digits, scale * json_number(json_get(c, "estimate"), NAN),
                percent ? " %" : "", digits,
                scale * json_number(json_get(c, "from"), NAN), digits,
                scale * json_number(json_get(c, "to"), NAN));
        buffer_add_char(out, '\n');
    }
}

void experiment_markdown(const struct json *results, struct buffer *out)
{
    struct layout l = layout_of(results);
    size_t widths[MAX_COLUMNS + 2];
    char cell[CELL];
    measure(results, &l, widths);
    markdown_head(results, &l, widths, out);
    for (const struct json *s = json_first(json_get(results, "settings")); s;
         s = json_next(s))
        for (const struct json *row = json_first(json_get(s, "rows")); row;
             row = json_next(row)) {
            buffer_add_char(out, '|');
            if (l.with_setting) {
                buffer_add_char(out, ' ');
                pad(out, json_text(json_get(s, "label"), ""), widths[0], 0);
                buffer_add_str(out, " |");
            }
            buffer_add_char(out, ' ');
            pad(out, json_text(json_get(row, "row"), ""), widths[1], 0);
            buffer_add_str(out, " |");
            for (size_t i = 0; i < l.n_columns; i++) {
                buffer_add_char(out, ' ');
                write_cell(&l.columns[i], s, row, " ± ", cell);
                pad(out, cell, widths[2 + i], 1);
                buffer_add_str(out, " |");
            }
            buffer_add_char(out, '\n');
        }
    markdown_unproved(results, out);
    markdown_claims(results, out);
}

/* ---- calibration by support ---- */

static double mean_of(const struct json *row, size_t figure)
{
    const struct json *figures = json_get(row, "figures");
    return json_number(
        json_get(json_get(figures, experiment_figures[figure].name), "mean"), NAN);
}

static void support_row(
    const struct json *setting, const struct json *row, size_t bin, struct buffer *out)
{
    size_t at = EX_SUPPORT + bin * N_SUPPORT_FIGURES;
    if (!(mean_of(row, at + SUPPORT_ROWS) > 0))
        return;
    buffer_printf(out, "| %s | %s | %s | %.1f | %.3f | %.3f | %.3f |\n",
        json_text(json_get(setting, "label"), ""), json_text(json_get(row, "row"), ""),
        support_bin_names[bin], 100 * mean_of(row, at + SUPPORT_ROWS),
        mean_of(row, at + SUPPORT_ESTIMATE), mean_of(row, at + SUPPORT_SCORE),
        mean_of(row, at + SUPPORT_MSE));
}

void experiment_support(const struct json *results, struct buffer *out)
{
    if (!is_of_estimators(results))
        return;
    buffer_add_str(out,
        "Held-out rows by how many rows that were fitted on match them exactly; means "
        "over "
        "seeds. Calibrated is where estimate and score are near.\n\n"
        "| setting | estimator | matches | rows % | estimate | score | squared error |\n"
        "| --- | --- | --- | ---:| ---:| ---:| ---:|\n");
    for (const struct json *s = json_first(json_get(results, "settings")); s;
         s = json_next(s))
        for (const struct json *row = json_first(json_get(s, "rows")); row;
             row = json_next(row))
            for (size_t bin = 0; bin < N_SUPPORT_BINS; bin++)
                support_row(s, row, bin, out);
}

/* ---- LaTeX ---- */

static void latex_text(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("#$%&_{}", *text))
            buffer_add_char(out, '\\');
        if (*text == '\\')
            buffer_add_str(out, "\\textbackslash{}");
        else if (*text == '^' || *text == '~')
            buffer_printf(out, "\\%c{}", *text);
        else
            buffer_add_char(out, *text);
    }
}

static void latex_row(const struct layout *l, const struct json *setting,
    const struct json *row, struct buffer *out)
{
    char cell[CELL];
    if (l->with_setting) {
        latex_text(out, json_text(json_get(setting, "label"), ""));
        buffer_add_str(out, " & ");
    }
    latex_text(out, json_text(json_get(row, "row"), ""));
    for (size_t i = 0; i < l->n_columns; i++) {
        write_cell(&l->columns[i], setting, row, " \\pm ", cell);
        buffer_printf(out, strcmp(cell, "-") == 0 ? " & --" : " & $%s$", cell);
    }
    buffer_add_str(out, " \\\\\n");
}

void experiment_latex(const struct json *results, struct buffer *out)
{
    struct layout l = layout_of(results);
    char cell[CELL];
    buffer_add_str(out, "% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n"
                        "\\begin{tabular}{l");
    for (size_t i = l.with_setting ? 0 : 1; i < l.n_columns + 1; i++)
        buffer_add_char(out, i == 0 ? 'l' : 'r');
    buffer_add_str(out, "}\n\\toprule\n");
    buffer_printf(out, "%s%s", l.with_setting ? "setting & " : "", row_head(results));
    for (size_t i = 0; i < l.n_columns; i++) {
        write_head(&l.columns[i], cell);
        buffer_add_str(out, " & ");
        latex_text(out, cell);
    }
    buffer_add_str(out, " \\\\\n\\midrule\n");
    for (const struct json *s = json_first(json_get(results, "settings")); s;
         s = json_next(s))
        for (const struct json *row = json_first(json_get(s, "rows")); row;
             row = json_next(row))
            latex_row(&l, s, row, out);
    buffer_add_str(out, "\\bottomrule\n\\end{tabular}\n\\caption{");
    latex_text(out, json_text(json_get(results, "title"), ""));
    buffer_printf(out, ". Mean and deviation over %d seeds.}\n\\label{tab:",
        (int)json_int(json_get(results, "seeds"), 0));
    latex_text(out, json_text(json_get(results, "experiment"), ""));
    buffer_add_str(out, "}\n\\end{table}\n");
}

/* ---- methods ---- */

void experiment_methods(
    const struct json *results, const char *command, struct buffer *out)
{
    const char *digest = json_text(json_get(results, "digest"), "");
    int seeds = (int)json_int(json_get(results, "seeds"), 0);
    buffer_printf(out, "%s %s ", json_text(json_get(results, "title"), ""),
        json_text(json_get(results, "question"), ""));
    buffer_printf(out,
        "We ran the experiment \"%s\" of m4a1 %s (the TMO environment of "
        "arXiv 2502.11007) on %s",
        json_text(json_get(results, "experiment"), ""),
        json_text(json_get(results, "version"), ""),
        json_text(json_get(results, "data"), ""));
    if (*digest)
        buffer_printf(out, " (content digest %.12s%s)", digest,
            json_bool(json_get(results, "simulated"), 0)
                ? "; its answers are simulated, so no figure speaks of real LLMs"
                : "");
    if (json_get(results, "evaluated_on"))
        buffer_printf(out, ", evaluated on %s (content digest %.12s)",
            json_text(json_get(results, "evaluated_on"), ""),
            json_text(json_get(results, "evaluated_on_digest"), ""));
    buffer_printf(out,
        ", with %d seed%s. %s Figures are means and population deviations over seeds, "
        "which measure the noise of draws only; intervals are 95 %% percentile intervals "
        "of a bootstrap over sessions, widened where these are few. Every result but CPU "
        "times is the same bit for "
        "bit "
        "whenever this build runs the command again:\n\n    %s\n",
        seeds, seeds == 1 ? "" : "s", experiment_meaning(results), command);
}
