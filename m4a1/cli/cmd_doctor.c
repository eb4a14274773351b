/* cmd_doctor.c - m4a1 doctor: is everything there that collecting needs? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/doctor.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/terminal.h"

#define MAX_PROBLEMS (1u << 20)

static const struct cli_option options[] = {
    { "no-calls", NULL, "send no call; servers are still greeted, which is free" },
    { "max-usd", "X", "the most that all calls together may cost (default: 0.05)" },
    { "timeout", "S", "seconds for each call (default: 60)" },
    { "json", NULL, "print it as JSON" },
    { NULL, NULL, NULL },
};

static enum status load(const char *path, struct recipe **out, struct error *err)
{
    struct buffer problems;
    struct store *store = NULL;
    *out = NULL;
    if (store_is_database(path)) {
        enum status s = store_open(path, STORE_READ, &store, err);
        if (!s)
            s = recipe_of_store(store, out, err);
        store_close(store);
        return s;
    }
    buffer_init(&problems, MAX_PROBLEMS);
    enum status s = recipe_load(path, out, &problems, err);
    if (s)
        terminal_print(stderr, buffer_str(&problems));
    buffer_release(&problems);
    return s;
}

static enum status print_json(const struct doctor_result *r, struct error *err)
{
    struct json *j = json_new_object();
    int ok = json_set_int(j, "wrong", r->n_wrong) &&
             json_set_int(j, "warnings", r->n_warnings) &&
             json_set_int(j, "calls", r->n_calls) &&
             json_set_number(j, "cost_usd", r->cost_usd);
    struct json *list = json_set_array(j, "findings");
    ok = ok && list;
    for (size_t i = 0; ok && i < r->n; i++) {
        const struct doctor_finding *f = &r->findings[i];
        struct json *row = json_add_object(list);
        if (f->llm)
            ok = json_set_text(row, "llm", f->llm) != NULL;
        ok = ok && json_set_text(row, "topic", f->topic) &&
             json_set_text(row, "state", doctor_state_names[f->state]) &&
             json_set_text(row, "what", f->what);
        if (ok && f->todo)
            ok = json_set_text(row, "todo", f->todo) != NULL;
    }
    enum status s = ok ? cli_print_json(j, err) : error_nomem(err, 1);
    json_free(j);
    return s;
}

static void print_people(const struct doctor_result *r)
{
    char usd[32];
    struct table *t = table_new(4);
    table_row(t, "llm", "what", "", "found");
    for (size_t i = 0; i < r->n; i++) {
        const struct doctor_finding *f = &r->findings[i];
        char found[160];
        snprintf(found, sizeof found, "%s", f->what);
        found[text_utf8_valid(found, strlen(found))] = '\0';
        table_row(t, f->llm ? f->llm : "(this machine)", f->topic,
            doctor_state_names[f->state], found);
    }
    table_print(t);
    table_free(t);
    int n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct doctor_finding *f = &r->findings[i];
        if (f->todo && !n++)
            printf("\nWhat to do\n");
        if (f->todo)
            printf("  %s, %s: %s\n", f->llm ? f->llm : "this machine", f->topic, f->todo);
    }
    printf("\n%d wrong, %d warnings; %d calls were sent and cost %s.\n", r->n_wrong,
        r->n_warnings, r->n_calls, text_usd(r->cost_usd, usd, sizeof usd));
}

/* The folder that holds, or will hold, the store. */
static char *folder_of(const char *path)
{
    const char *base = path_base(path);
    return base == path || !file_exists(path) ? text_copy(".")
                                              : text_copy_n(path, (size_t)(base - path));
}

static enum status run(struct cli *cli, struct error *err)
{
    struct recipe *recipe = NULL;
    struct doctor_result r = { 0 };
    struct doctor_options o = { .with_calls = !cli_flag(cli, "no-calls") };
    enum status s = cli_double(cli, "max-usd", 0.05, 0, 1000, &o.max_usd, err);
    if (!s)
        s = cli_double(cli, "timeout", 60, 0.1, 3600, &o.timeout_s, err);
    if (!s)
        s = load(cli_arg(cli, 0), &recipe, err);
    char *folder = folder_of(cli_arg(cli, 0));
    o.folder = folder;
    if (!s)
        s = doctor_run(recipe, &o, &r, err);
    recipe_free(recipe);
    free(folder);
    if (!s && cli_flag(cli, "json"))
        s = print_json(&r, err);
    else if (!s)
        print_people(&r);
    int is_wrong = r.n_wrong > 0;
    doctor_result_release(&r);
    return !s && is_wrong ? E_DATA : s;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .stage = STAGE_START,
    .args = "STORE|RECIPE",
    .min_args = 1,
    .max_args = 1,
    .summary = "try keys, prices, limits, servers and disk before a run",
    .help =
        "Looks at every llm of a store's recipe, or of a recipe file: is its key set\n"
        "and well-formed, is there a price for today and how old is it, can the server\n"
        "be reached, and does it answer one tiny question, with a tiny image and a\n"
        "second of silence where it takes them? One call an llm and never more, through\n"
        "the same engine as a real run; what might pass --max-usd is not sent. Nothing\n"
        "is written to the store. Says what to do about each finding.\n"
        "\n"
        "  m4a1 doctor study.m4a1\n"
        "  m4a1 doctor my.jsonc --no-calls      nothing that costs\n"
        "  m4a1 doctor study.m4a1 --json | jq '.findings[] | select(.state == "
        "\"wrong\")'\n"
        "\n"
        "Exit status: 0 nothing is wrong (warnings may be there), 1 something is.\n",
    .options = options,
    .run = run,
};
