/* cli.h - what every verb's command file shares: options, output, interruption.
 *
 * One file a verb, m4a1/cli/cmd_<verb>.c, defines `const struct verb verb_<verb>`;
 * main.c lists it in the order of the data flow.  Results go to standard output,
 * talk, progress and errors to standard error.  A command returns a status; main.c
 * prints the error and maps it: OK 0; E_ARG from the command line 2 (cli_usage);
 * E_PARTIAL 3; E_INTERRUPTED 130; all else 1. */
#ifndef M4A1_CLI_CLI_H
#define M4A1_CLI_CLI_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"
#include "m4a1/base/progress.h"

struct cli_option {
    const char *name;  /* "seed" for --seed */
    const char *value; /* "N": takes a value, shown in the help; NULL: a flag */
    const char *help;  /* one line; say the default */
};

enum cli_stage { STAGE_START, STAGE_COLLECT, STAGE_CURATE, STAGE_TRAIN, STAGE_USE };

struct cli;

struct verb {
    const char *name;
    enum cli_stage stage;
    const char *args;       /* "STORE DIR", with [X] for optional and X... for many */
    int min_args, max_args; /* positional arguments; -1 = any number */
    const char *summary;    /* one line without a full stop */
    const char *help; /* what it does, when to use it, examples; ends in a newline */
    const struct cli_option *options; /* ends with a NULL name; --help is implied */
    enum status (*run)(struct cli *cli, struct error *err);
};

/* Positional argument i (0 = STORE), or NULL. */
const char *cli_arg(const struct cli *cli, int i);
int cli_n_args(const struct cli *cli);
int cli_flag(const struct cli *cli, const char *name);
/* The value of an option, or NULL where it was not given; the last one wins. */
const char *cli_value(const struct cli *cli, const char *name);
/* The values of an option that may be given several times, in their order; NULL behind the
 * last. */
const char *cli_value_at(const struct cli *cli, const char *name, size_t i);
/* Numbers: otherwise where not given; a bad value is a usage error. */
MUST_CHECK enum status cli_int(struct cli *cli, const char *name, int64_t otherwise,
    int64_t min, int64_t max, int64_t *out, struct error *err);
MUST_CHECK enum status cli_double(struct cli *cli, const char *name, double otherwise,
    double min, double max, double *out, struct error *err);

/* A usage error: exit status 2, and main.c points to the verb's --help. */
enum status cli_usage(struct cli *cli, struct error *err, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* A progress line on standard error, none with --quiet. */
struct progress *cli_progress(const struct cli *cli, const char *what, int64_t total);

/* A verb that has something to finish catches Ctrl-C and SIGTERM; the others end at once.
 * cli_interrupted counts them: at 1 finish what is in flight and return E_INTERRUPTED, at
 * 2 give it up; a third ends the program. */
void cli_catch_interrupts(void);
extern volatile sig_atomic_t cli_interrupted;

/* Print a JSON document and a newline on standard output, pretty. */
MUST_CHECK enum status cli_print_json(const struct json *j, struct error *err);
/* The same into a file, whole or not at all; E_LIMIT as buffer_status() beyond max bytes. */
MUST_CHECK enum status cli_write_json(const struct json *j, enum json_style style,
    size_t max, const char *path, struct error *err);

/* A table for people: columns sized to their content, numbers right-aligned.  Cells are
 * copied.  Use: table_row() once for the heads, then once a row with as many cells. */
struct table;
struct table *table_new(size_t n_columns); /* NULL when out of memory is fine below */
void table_row(struct table *t, ...);      /* n_columns const char * */
void table_print(const struct table *t);   /* on standard output */
void table_free(struct table *t);

#endif
