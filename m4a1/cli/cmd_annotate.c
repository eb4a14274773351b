/* cmd_annotate.c - m4a1 annotate: refusals, and response scores by the judge. */
#include <stdio.h>

#include "annotate/ratio.h"
#include "annotate/scores.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/collecting.h"
#include "schema/recipe.h"

#define ROUNDS 2 /* a reply that cannot be read is asked for once more */

static const struct cli_option options[] = {
    COLLECTING_OPTIONS,
    { "limit", "N", "stop after N attempts" },
    { "json", NULL, "the summary as JSON" },
    { NULL, NULL, NULL },
};

struct annotation {
    int64_t n_refusals_marked;
    struct ratio_counts ratio;
    struct engine_options engine;
    struct engine_result runs[ROUNDS];
};

/* Write down what the judge is to be asked, ask, and score what came in; also what came
 * in before a cap or an interruption. */
static enum status judge(struct cli *cli, struct store *store,
    const struct recipe *recipe, struct annotation *a, struct error *err)
{
    static const char *const purposes[] = { "judge" };
    const struct ratio_terms terms = { recipe->annotate.judge_template,
        recipe->annotate.judge_sees_views };
    struct engine_options *o = &a->engine;
    int64_t limit = -1;
    enum status s = collecting_options(cli, store, o, err), asked = OK;
    if (!s)
        s = cli_int(cli, "limit", -1, 1, INT64_MAX, &limit, err);
    o->limit = limit;
    o->purposes = purposes;
    o->n_purposes = COUNT_OF(purposes);
    for (int round = 0; round < ROUNDS && !s && asked != E_INTERRUPTED; round++) {
        s = ratio_plan(store, &terms, &a->ratio, err);
        if (s)
            break;
        o->progress = cli_progress(cli, "asking the judge", 0);
        asked = engine_run(store, o, &a->runs[round], err);
        progress_free(o->progress);
        if (asked && asked != E_PARTIAL && asked != E_INTERRUPTED)
            return asked;
        s = ratio_score(store, &a->ratio, err);
        if (a->runs[round].limit_reached)
            break;
        if (limit > 0)
            o->limit = limit -= a->runs[round].n_sent;
    }
    return s ? s : asked;
}

static enum status print_summary(
    struct cli *cli, const struct annotation *a, struct error *err)
{
    if (cli_flag(cli, "json")) {
        struct json *j = json_new_object();
        json_set_int(j, "refusals_marked", a->n_refusals_marked);
        json_set_int(j, "judgements_planned", a->ratio.planned);
        json_set_int(j, "scored", a->ratio.scored);
        json_set_int(j, "unscored", a->ratio.unscored);
        struct json *rounds = json_set_array(j, "rounds");
        enum status s = OK;
        for (int round = 0; round < ROUNDS && !s; round++)
            s = collecting_json(json_add_object(rounds), &a->runs[round], err);
        if (!s)
            s = cli_print_json(j, err);
        json_free(j);
        return s;
    }
    for (int round = 0; round < ROUNDS; round++) {
        if (a->runs[round].n_sent)
            collecting_print(&a->runs[round], &a->engine, "annotate", cli_arg(cli, 0));
    }
    printf("%lld answers got a score, %lld will get none; %lld were looked at for "
           "refusals.\n",
        (long long)a->ratio.scored, (long long)a->ratio.unscored,
        (long long)a->n_refusals_marked);
    return OK;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct annotation a = { 0 };
    struct store *store;
    struct recipe *recipe = NULL;
    enum status s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (!s)
        s = recipe_of_store(store, &recipe, err);
    if (!s)
        s = scores_mark_refusals(store, &a.n_refusals_marked, err);
    if (!s)
        s = judge(cli, store, recipe, &a, err);
    store_close(store);
    recipe_free(recipe);
    if (s == OK || s == E_PARTIAL || s == E_INTERRUPTED) {
        struct error why = ERROR_INIT;
        enum status printed = print_summary(cli, &a, &why);
        if (printed)
            s = error_set(err, printed, "%s", why.msg);
    }
    for (int round = 0; round < ROUNDS; round++)
        engine_result_release(&a.runs[round]);
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
