/* arguments.h - parsing a verb's arguments (for main.c; commands use cli.h). */
#ifndef M4A1_CLI_ARGUMENTS_H
#define M4A1_CLI_ARGUMENTS_H

#include "m4a1/cli/cli.h"

struct cli_given {
    const char *name, *value; /* value NULL for a flag */
};

struct cli {
    const struct verb *verb;
    const char **args;
    int n_args;
    struct cli_given *given;
    int n_given;
    int usage; /* the error is one of usage: exit status 2 */
};

/* argv is what stands behind the verb, and must outlive cli.  Accepts --name value,
 * --name=value, and "--" before arguments that begin with a dash. */
MUST_CHECK enum status cli_parse(
    struct cli *cli, int argc, char **argv, struct error *err);
void cli_release(struct cli *cli);
void cli_print_help(const struct verb *verb);

#endif
