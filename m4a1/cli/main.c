/* main.c - the table of verbs, help, and the one place where statuses become exit
 * statuses and errors are printed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "m4a1/base/log.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/arguments.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/terminal.h"

extern const struct verb verb_annotate, verb_associate, verb_check, verb_collect,
    verb_demo, verb_doctor, verb_embed, verb_evaluate, verb_experiment, verb_export,
    verb_import, verb_ingest, verb_init, verb_plan, verb_rederive, verb_show,
    verb_simulate, verb_split, verb_stats, verb_status, verb_trace, verb_train;

/* In the order of the data flow. */
static const struct verb *const verbs[] = {
    &verb_demo,
    &verb_doctor,
    &verb_init,
    &verb_ingest,
    &verb_import,
    &verb_plan,
    &verb_collect,
    &verb_simulate,
    &verb_annotate,
    &verb_associate,
    &verb_status,
    &verb_stats,
    &verb_show,
    &verb_rederive,
    &verb_check,
    &verb_split,
    &verb_export,
    &verb_train,
    &verb_evaluate,
    &verb_experiment,
    &verb_trace,
    &verb_embed,
};

static const char *const stages[] = {
    [STAGE_START] = "Start",
    [STAGE_COLLECT] = "Collect: scenes -> plan -> calls -> responses",
    [STAGE_CURATE] = "Curate: scores, checks, frozen splits, exports",
    [STAGE_TRAIN] = "Train: a policy, and what it is worth",
    [STAGE_USE] = "Use",
};

volatile sig_atomic_t cli_interrupted;

static void on_signal(int number)
{
    (void)number;
    if (cli_interrupted >= 2)
        _exit(130); /* what is open is closed as unknown by the next run */
    cli_interrupted++;
}

void cli_catch_interrupts(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void print_log(enum log_level level, const char *line, void *arg)
{
    (void)arg;
    static const char *const names[] = { "error", "warning", "info", "debug" };
    fprintf(stderr, "%s: ", names[level]);
    terminal_print(stderr, line);
    fputc('\n', stderr);
}

static void print_overview(void)
{
    printf("m4a1 - data sets of multi-turn dialogues over several camera views, answered "
           "by\n"
           "every LLM you configure, and the policy that chooses LLM and views.\n\n"
           "usage: m4a1 VERB STORE [options]      m4a1 VERB --help tells more\n"
           "       m4a1 --version\n");
    for (size_t stage = 0; stage < COUNT_OF(stages); stage++) {
        int head = 0;
        for (size_t i = 0; i < COUNT_OF(verbs); i++) {
            if (verbs[i]->stage != (enum cli_stage)stage)
                continue;
            if (!head++)
                printf("\n%s\n", stages[stage]);
            printf("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
        }
    }
    printf(
        "\nBegin with `m4a1 demo`: it runs the whole flow on a simulated LLM server and\n"
        "prints each command. Exit status: 0 done, 1 failed or differences found, 2 "
        "usage,\n"
        "3 partly done, 130 interrupted.\n");
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        if (text_equal(verbs[i]->name, name))
            return verbs[i];
    }
    const char *names[COUNT_OF(verbs)];
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        names[i] = verbs[i]->name;
    const char *nearest = text_nearest(name, names, COUNT_OF(names));
    fprintf(stderr, "m4a1: there is no verb '%s'%s%s%s\n", name,
        nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    fprintf(stderr, "m4a1 --help lists the verbs.\n");
    return NULL;
}

static int exit_status(enum status s, int usage)
{
    if (usage)
        return 2;
    switch (s) {
    case OK: return 0;
    case E_PARTIAL: return 3;
    case E_INTERRUPTED: return 130;
    default: return 1;
    }
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    struct cli cli = { .verb = verb };
    struct error err = ERROR_INIT;
    enum status s = cli_parse(&cli, argc, argv, &err);
    if (!s && cli_flag(&cli, "help")) {
        cli_print_help(verb);
    } else if (!s) {
        s = verb->run(&cli, &err);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && !s)
        s = error_errno(&err, "cannot write the output");
    if (s && err.msg[0]) {
        fprintf(stderr, "m4a1 %s: ", verb->name);
        terminal_print(stderr, err.msg);
        fputc('\n', stderr);
    }
    if (cli.usage)
        fprintf(stderr, "m4a1 %s --help tells how to use it.\n", verb->name);
    int status = exit_status(s, cli.usage);
    cli_release(&cli);
    return status;
}

/* The exit status of what only prints. */
static int printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    perror("m4a1: cannot write the output");
    return 1;
}

int main(int argc, char **argv)
{
    struct rlimit no_core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &no_core); /* a core dump would hold keys */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file too large is an error like a full disk */
    log_to(print_log, NULL, LOG_WARN);
    terminal_guard_output();

    const char *first = argc > 1 ? argv[1] : "--help";
    if (text_equal(first, "--help") || text_equal(first, "-h") ||
        text_equal(first, "help")) {
        if (argc > 2) {
            const struct verb *verb = find_verb(argv[2]);
            if (verb)
                cli_print_help(verb);
            return verb ? printed() : 2;
        }
        print_overview();
        return printed();
    }
    if (text_equal(first, "--version")) {
        printf("m4a1 %s\n", M4A1_VERSION);
        return printed();
    }
    const struct verb *verb = find_verb(first);
    return verb ? run_verb(verb, argc - 2, argv + 2) : 2;
}
