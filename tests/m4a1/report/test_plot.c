/* test_plot.c - scripts that gnuplot takes, whatever the names in them, and its pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/report/plot.h"
#include "tests/support/scratch_folder.h"

static char folder[256];

static const struct plot_point some[] = { { 0, 1.1, 1, 1.2, "`touch executed`a\"b\\" },
    { 1, NAN, NAN, NAN, NULL }, { 2, -0.5, NAN, NAN, "c\nd" } };
static const struct plot_point other[] = { { 0, 0.9, 0.8, 1, NULL } };
static const struct plot_series series[] = { { "A2C, \"plain\"", some, 3 },
    { "`touch executed`", other, 1 } };
static const char *const categories[] = { "Local", "A_2^{C}", "it's `touch executed`" };

static struct plot figure(enum plot_kind kind)
{
    return (struct plot) { kind, "100 % \"quoted\" \\ `touch executed`", "x_label",
        "$(touch executed)", 0, categories, 3, series, 2 };
}

static char *content(const char *name, const char *extension, size_t *len)
{
    struct buffer text;
    char *path = text_format("%s/%s.%s", folder, name, extension);
    buffer_init(&text, 1 << 22);
    assert_int_equal(file_read(path, &text, NULL), OK);
    free(path);
    return buffer_detach(&text, len);
}

/* Write and draw; 0 = there is no gnuplot. */
static int draw(enum plot_kind kind, const char *name)
{
    struct plot plot = figure(kind);
    struct error err = { 0 };
    char *path = path_join(folder, name);
    enum status s = plot_write(&plot, path, &err);
    free(path);
    if (s == E_NOT_FOUND)
        return 0;
    if (s)
        fail_msg("%s", err.msg);
    return 1;
}

static void test_pictures(void **state)
{
    (void)state;
    static const char *const names[] = { "lines", "bars", "points" };
    for (int kind = 0; kind < 3; kind++) {
        size_t len;
        if (!draw((enum plot_kind)kind, names[kind])) {
            print_message("skip: gnuplot is not installed\n");
            skip();
        }
        char *svg = content(names[kind], "svg", &len);
        assert_true(len > 2000);
        assert_non_null(strstr(svg, "<svg"));
        assert_non_null(strstr(svg, "</svg>"));
        assert_non_null(strstr(svg, "x_label"));
        free(svg);
        char *png = content(names[kind], "png", &len);
        assert_true(len > 2000);
        assert_memory_equal(png, "\x89PNG", 4);
        free(png);
    }
}

/* Nothing of a name can become a command. */
static void test_names_stay_names(void **state)
{
    (void)state;
    size_t len;
    (void)draw(PLOT_POINTS, "names");
    char *script = content("names", "gp", &len);
    assert_non_null(strstr(script, "name0 = 'A2C, \"plain\"'\n"));
    assert_non_null(
        strstr(script, " 0 1.1000000000000001 1 1.2 \"`touch executed`a b \"\n"));
    assert_non_null(strstr(script, " 1 NaN NaN NaN \"\"\n"));
    assert_non_null(strstr(script, " 2 -0.5 -0.5 -0.5 \"c d\"\n"));
    free(script);
    assert_int_equal(file_exists("executed"), 0);
}

/* Names that would run into each other stand together, at the first of their points. */
static void test_near_points_share_a_place(void **state)
{
    (void)state;
    static const struct plot_point points[] = { { 1, 1, NAN, NAN, "a" },
        { 1.5, 1.01, NAN, NAN, "b" }, { 2.1, 1.01, NAN, NAN, "c" },
        { 10, 2, NAN, NAN, "far" } };
    static const struct plot_series one = { "s", points, 4 };
    struct plot plot = figure(PLOT_POINTS);
    struct error err = { 0 };
    size_t len;
    char *path = path_join(folder, "near");
    plot.series = &one;
    plot.n_series = 1;
    enum status s = plot_write(&plot, path, &err);
    assert_true(s == OK || s == E_NOT_FOUND);
    free(path);
    char *script = content("near", "gp", &len);
    assert_non_null(strstr(script, "\"a, b\"\n"));
    assert_non_null(strstr(script, "\"\"\n"));
    assert_non_null(strstr(script, "\"c\"\n"));
    assert_non_null(strstr(script, "\"far\"\n"));
    free(script);
}

static void test_folder_that_is_not_there(void **state)
{
    (void)state;
    struct plot plot = figure(PLOT_BARS);
    struct error err = { 0 };
    assert_int_not_equal(plot_write(&plot, "/nonexistent/folder/x", &err), OK);
    assert_non_null(strstr(err.msg, "/nonexistent/folder"));
}

static int set_up(void **state)
{
    (void)state;
    scratch_folder_open(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_folder_close(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_names_stay_names),
        cmocka_unit_test(test_near_points_share_a_place),
        cmocka_unit_test(test_folder_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
