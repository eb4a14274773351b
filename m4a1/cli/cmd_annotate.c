/* cmd_annotate.c - m4a1 annotate: refusals, and response scores by the judge. */
#include <stdio.h>

#include "m4a1/cli/judging.h"

static const struct cli_option options[] = {
    COLLECTING_OPTIONS,
    { "limit", "N", "stop after N attempts" },
    { "json", NULL, "the summary as JSON" },
    { NULL, NULL, NULL },
};

static enum status print_summary(struct cli *cli, const struct judging *a,
    const struct engine_options *o, struct error *err)
{
    if (cli_flag(cli, "json")) {
        struct json *j = json_new_object();
        json_set_int(j, "refusals_marked", a->n_refusals_marked);
        json_set_int(j, "judgements_planned", a->ratio.planned);
        json_set_int(j, "scored", a->ratio.scored);
        json_set_int(j, "unscored", a->ratio.unscored);
        struct json *rounds = json_set_array(j, "rounds");
        enum status s = OK;
        for (int round = 0; round < JUDGING_ROUNDS && !s; round++)
            s = collecting_json(json_add_object(rounds), &a->runs[round], err);
        if (!s)
            s = cli_print_json(j, err);
        json_free(j);
        return s;
    }
    for (int round = 0; round < JUDGING_ROUNDS; round++) {
        if (a->runs[round].n_sent)
            collecting_print(&a->runs[round], o, "annotate", cli_arg(cli, 0));
    }
    printf("%lld answers got a score, %lld will get none; %lld were looked at for "
           "refusals.\n",
        (long long)a->ratio.scored, (long long)a->ratio.unscored,
        (long long)a->n_refusals_marked);
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct judging a = { 0 };
    struct engine_options o;
    struct store *store;
    enum status s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (!s)
        s = collecting_options(cli, store, &o, err);
    if (!s)
        s = cli_int(cli, "limit", -1, 1, INT64_MAX, &o.limit, err);
    if (!s)
        s = judging_run(cli, store, &o, &a, err);
    store_close(store);
    if (s == OK || s == E_PARTIAL || s == E_INTERRUPTED) {
        struct error why = ERROR_INIT;
        enum status printed = print_summary(cli, &a, &o, &why);
        if (printed)
            s = error_set(err, printed, "%s", why.msg);
    }
    judging_release(&a);
    return s;
}

const struct verb verb_annotate = {
    .name = "annotate",
    .stage = STAGE_CURATE,
    .args = "STORE",
    .min_args = 1,
    .max_args = 1,
    .summary = "score answers: refusals, and a judge's candidate / reference",
    .help =
        "Marks refusals by the published rule, and lets every judge LLM compare each "
        "answer\n"
        "with the reference's answer of the same turn: both get 1 to 10, the response "
        "score\n"
        "is candidate / reference. Judgements are calls like any other: capped, "
        "resumable,\n"
        "kept with what was sent and said. A reply that cannot be read is asked for "
        "once\n"
        "more; then the answer stays unscored, with the reason, and never becomes 0.\n\n"
        "  m4a1 annotate study.m4a1 --limit 20             a first look at the judge\n"
        "  m4a1 annotate study.m4a1 --max-usd 5\n"
        "  m4a1 annotate study.m4a1 --simulator http://127.0.0.1:8089\n",
    .options = options,
    .run = run,
};
