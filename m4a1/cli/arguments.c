/* arguments.c - options and positional arguments of a verb, and its help. */
#include "m4a1/cli/arguments.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

/* Every verb has these. */
static const struct cli_option common_options[] = {
    { "quiet", NULL, "no progress on standard error" },
    { "help", NULL, "this text" },
};

static const struct cli_option *find_option(
    const struct verb *verb, const char *name, size_t len)
{
    for (size_t i = 0; i < COUNT_OF(common_options); i++) {
        const struct cli_option *o = &common_options[i];
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    }
    for (const struct cli_option *o = verb->options; o && o->name; o++) {
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    }
    return NULL;
}

static enum status unknown_option(struct cli *cli, const char *name, struct error *err)
{
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(common_options); i++)
        names[n++] = common_options[i].name;
    for (const struct cli_option *o = cli->verb->options; o && o->name && n < 64; o++)
        names[n++] = o->name;
    const char *nearest = text_nearest(name, names, n);
    return cli_usage(cli, err, "there is no option --%s%s%s%s", name,
        nearest ? "; did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "");
}

static enum status parse_option(
    struct cli *cli, int argc, char **argv, int *i, struct error *err)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct cli_option *o = find_option(cli->verb, name, len);
    if (!o)
        return unknown_option(cli, name, err);
    const char *value = equals ? equals + 1 : NULL;
    if (!o->value && value)
        return cli_usage(cli, err, "--%s takes no value", o->name);
    if (o->value && !value) {
        if (*i + 1 >= argc)
            return cli_usage(
                cli, err, "--%s needs a value: --%s %s", o->name, o->name, o->value);
        value = argv[++*i];
    }
    cli->given[cli->n_given++] = (struct cli_given) { o->name, value };
    return OK;
}

enum status cli_parse(struct cli *cli, int argc, char **argv, struct error *err)
{
    size_t n = argc > 0 ? (size_t)argc : 1;
    cli->args = calloc(n, sizeof *cli->args);
    cli->given = calloc(n, sizeof *cli->given);
    if (!cli->args || !cli->given)
        return error_nomem(err, n * sizeof *cli->given);
    int options = 1;
    for (int i = 0; i < argc; i++) {
        enum status s = OK;
        if (options && text_equal(argv[i], "--"))
            options = 0;
        else if (options && text_equal(argv[i], "-h"))
            cli->given[cli->n_given++] = (struct cli_given) { "help", NULL };
        else if (options && text_starts(argv[i], "--"))
            s = parse_option(cli, argc, argv, &i, err);
        else if (options && argv[i][0] == '-' && argv[i][1])
            s = unknown_option(cli, argv[i] + 1, err);
        else
            cli->args[cli->n_args++] = argv[i];
        if (s)
            return s;
    }
    if (cli_flag(cli, "help"))
        return OK;
    if (cli->n_args < cli->verb->min_args)
        return cli_usage(cli, err, "too few arguments; usage: m4a1 %s %s",
            cli->verb->name, cli->verb->args);
    if (cli->verb->max_args >= 0 && cli->n_args > cli->verb->max_args)
        return cli_usage(cli, err, "'%s' is one argument too many; usage: m4a1 %s %s",
            cli->args[cli->verb->max_args], cli->verb->name, cli->verb->args);
    return OK;
}

void cli_release(struct cli *cli)
{
    free(cli->args);
    free(cli->given);
}

static void print_option(const struct cli_option *o)
{
    char left[40];
    snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "",
        o->value ? o->value : "");
    printf("  %-24s %s\n", left, o->help);
}

void cli_print_help(const struct verb *verb)
{
    printf("m4a1 %s - %s\n\nusage: m4a1 %s%s%s%s\n\n%s\nOptions\n", verb->name,
        verb->summary, verb->name, *verb->args ? " " : "", verb->args,
        verb->options && verb->options->name ? " [options]" : "", verb->help);
    for (const struct cli_option *o = verb->options; o && o->name; o++)
        print_option(o);
    for (size_t i = 0; i < COUNT_OF(common_options); i++)
        print_option(&common_options[i]);
}

const char *cli_arg(const struct cli *cli, int i)
{
    return i < cli->n_args ? cli->args[i] : NULL;
}

int cli_n_args(const struct cli *cli)
{
    return cli->n_args;
}

static const struct cli_given *find_given(const struct cli *cli, const char *name)
{
    for (int i = cli->n_given - 1; i >= 0; i--) {
        if (text_equal(cli->given[i].name, name))
            return &cli->given[i];
    }
    return NULL;
}

int cli_flag(const struct cli *cli, const char *name)
{
    return find_given(cli, name) != NULL;
}

const char *cli_value(const struct cli *cli, const char *name)
{
    const struct cli_given *given = find_given(cli, name);
    return given ? given->value : NULL;
}

const char *cli_value_at(const struct cli *cli, const char *name, size_t i)
{
    for (int k = 0; k < cli->n_given; k++) {
        if (text_equal(cli->given[k].name, name) && i-- == 0)
            return cli->given[k].value;
    }
    return NULL;
}

enum status cli_int(struct cli *cli, const char *name, int64_t otherwise, int64_t min,
    int64_t max, int64_t *out, struct error *err)
{
    const char *value = cli_value(cli, name);
    *out = otherwise;
    if (!value)
        return OK;
    char what[64];
    snprintf(what, sizeof what, "--%s", name);
    enum status s = text_to_int(value, what, min, max, out, err);
    cli->usage |= s != OK;
    return s;
}

enum status cli_double(struct cli *cli, const char *name, double otherwise, double min,
    double max, double *out, struct error *err)
{
    const char *value = cli_value(cli, name);
    *out = otherwise;
    if (!value)
        return OK;
    char what[64];
    snprintf(what, sizeof what, "--%s", name);
    enum status s = text_to_double(value, what, min, max, out, err);
    cli->usage |= s != OK;
    return s;
}

enum status cli_usage(struct cli *cli, struct error *err, const char *fmt, ...)
{
    char text[sizeof err->msg];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    cli->usage = 1;
    return error_set(err, E_ARG, "%s", text);
}

struct progress *cli_progress(const struct cli *cli, const char *what, int64_t total)
{
    return cli_flag(cli, "quiet") ? NULL : progress_new(what, total, stderr);
}
