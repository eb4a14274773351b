/* cmd_check.c - m4a1 check: prove every invariant of a store. */
#include <stdio.h>

#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "schema/check.h"

#define SHOWN 20 /* places named for one violated invariant */

static const struct cli_option options[] = {
    { "json", NULL, "the findings as JSON" },
    { NULL, NULL, NULL },
};

static enum status print_findings(
    const struct cli *cli, const struct check_result *result, struct error *err)
{
    if (cli_flag(cli, "json")) {
        struct json *j = json_new_object();
        json_set_int(j, "invariants", (int64_t)result->n_invariants);
        struct json *list = json_set_array(j, "violations");
        for (size_t i = 0; i < result->n; i++) {
            struct json *v = json_add_object(list);
            json_set_text(v, "invariant", result->violations[i].invariant);
            json_set_text(v, "where", result->violations[i].where);
        }
        enum status s =
            json_size(list) == result->n ? cli_print_json(j, err) : error_nomem(err, 64);
        json_free(j);
        return s;
    }
    const char *last = NULL;
    size_t shown = 0;
    for (size_t i = 0; i < result->n; i++) {
        const struct check_violation *v = &result->violations[i];
        if (!text_equal(v->invariant, last))
            shown = 0;
        last = v->invariant;
        if (shown++ < SHOWN)
            printf("violated: %s: %s\n", v->invariant, v->where);
        else if (shown == SHOWN + 2)
            printf("violated: %s: and more (--json lists all)\n", v->invariant);
    }
    printf("%zu invariants checked, %zu violations.\n", result->n_invariants, result->n);
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct store *store;
    struct check_result result = { 0 };
    enum status s = store_open(cli_arg(cli, 0), STORE_READ, &store, err);
    if (s)
        return s;
    struct progress *progress = cli_progress(cli, "checking invariants", 0);
    s = check_store(store, progress, &result, err);
    progress_free(progress);
    store_close(store);
    if (!s)
        s = print_findings(cli, &result, err);
    if (!s && result.n)
        s = error_set(err, E_DATA, "%zu violations", result.n);
    check_release(&result);
    return s;
}

const struct verb verb_check = {
    .name = "check",
    .stage = STAGE_CURATE,
    .args = "STORE",
    .min_args = 1,
    .max_args = 1,
    .summary = "prove every invariant of a store and name each violation",
    .help =
        "Reads the whole store: SQLite's own integrity, foreign keys, the hashes of "
        "frames\n"
        "and stored requests, identities, the rule that views accumulate, probabilities "
        "that\n"
        "agree with the eligible actions, attempts and responses that belong together, "
        "and\n"
        "splits that are still what was frozen. Exit status 1 when anything is wrong.\n\n"
        "  m4a1 check study.m4a1\n",
    .options = options,
    .run = run,
};
