/* judging.c - see judging.h. */
#include "m4a1/cli/judging.h"

#include "annotate/scores.h"
#include "m4a1/base/text.h"
#include "schema/recipe.h"

static enum status ask(struct cli *cli, struct store *store, const struct recipe *recipe,
    struct engine_options *o, struct judging *j, struct error *err)
{
    static const char *const purposes[] = { "judge" };
    const struct ratio_terms terms = { recipe->annotate.judge_template,
        recipe->annotate.judge_sees_views };
    enum status s = OK, asked = OK;
    o->purposes = purposes;
    o->n_purposes = COUNT_OF(purposes);
    for (int round = 0; round < JUDGING_ROUNDS && !s && asked != E_INTERRUPTED; round++) {
        s = ratio_plan(store, &terms, &j->ratio, err);
        if (s)
            break;
        o->progress = cli_progress(cli, "asking the judge", 0);
        asked = engine_run(store, o, &j->runs[round], err);
        progress_free(o->progress);
        if (asked && asked != E_PARTIAL && asked != E_INTERRUPTED)
            return asked;
        s = ratio_score(store, &j->ratio, err);
        if (j->runs[round].limit_reached)
            break;
        if (o->limit > 0)
            o->limit -= j->runs[round].n_sent;
    }
    return s ? s : asked;
}

enum status judging_run(struct cli *cli, struct store *store,
    const struct engine_options *options, struct judging *out, struct error *err)
{
    struct recipe *recipe = NULL;
    struct engine_options o = *options;
    enum status s = recipe_of_store(store, &recipe, err);
    if (!s)
        s = scores_mark_refusals(store, &out->n_refusals_marked, err);
    if (!s)
        s = ask(cli, store, recipe, &o, out, err);
    recipe_free(recipe);
    return s;
}

void judging_release(struct judging *judging)
{
    for (int round = 0; round < JUDGING_ROUNDS; round++)
        engine_result_release(&judging->runs[round]);
}
