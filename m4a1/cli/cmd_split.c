/* cmd_split.c - freeze a partition of the sessions under a name. */
#include <stdio.h>
#include <stdlib.h>

#include "export/dataset.h"
#include "export/dataset_build.h"
#include "export/from_store.h"
#include "export/split.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "schema/query.h"
#include "schema/recipe.h"
#include "schema/store.h"

struct terms {
    int by_scene;
    double train;
    int64_t seed;
};

/* What the store's recipe says; without one: by session, 0.8, seed 1. */
static enum status recipe_terms(
    struct store *store, struct terms *terms, struct error *err)
{
    struct recipe *recipe = NULL;
    int64_t n;
    *terms = (struct terms) { 0, 0.8, 1 };
    enum status s = store_int(store, 0, &n, err, "SELECT count(*) FROM recipe", "");
    if (s || n == 0)
        return s;
    if ((s = recipe_of_store(store, &recipe, err)))
        return s;
    terms->by_scene = text_equal(recipe->split.group, "scene");
    terms->train = recipe->split.train;
    terms->seed = (int64_t)recipe->split.seed;
    recipe_free(recipe);
    return OK;
}

static enum status read_terms(
    struct cli *cli, struct store *store, struct terms *terms, struct error *err)
{
    const char *by = cli_value(cli, "by");
    enum status s = recipe_terms(store, terms, err);
    if (s)
        return s;
    if (by && !text_equal(by, "session") && !text_equal(by, "scene"))
        return cli_usage(cli, err, "--by %s: expected session or scene", by);
    if (by)
        terms->by_scene = text_equal(by, "scene");
    if ((s = cli_double(cli, "train", terms->train, 0.01, 0.99, &terms->train, err)))
        return s;
    return cli_int(cli, "seed", terms->seed, 0, INT64_MAX, &terms->seed, err);
}

struct result {
    struct split split;
    struct split_info info;
    size_t shared_scenes, shared_sessions;
};

static enum status report(struct cli *cli, const struct result *r, struct error *err)
{
    if (!cli_flag(cli, "json")) {
        printf("split %s of %s is frozen: %s, seed %lld\n", cli_arg(cli, 1),
            cli_arg(cli, 0), r->info.rule, (long long)r->info.seed);
        printf("train %zu sessions, test %zu\n", r->split.n_train, r->split.n_test);
        printf("scenes on both sides: %zu (under %zu of the %zu test sessions)%s\n",
            r->shared_scenes, r->shared_sessions, r->split.n_test,
            r->shared_scenes ? "; --by scene keeps scenes apart" : "");
        printf("sha256 %s\n", r->info.sha256);
        return OK;
    }
    struct json *j = json_new_object();
    enum status s = OK;
    if (json_set_text(j, "name", cli_arg(cli, 1)) &&
        json_set_text(j, "rule", r->info.rule) && json_set_int(j, "seed", r->info.seed) &&
        json_set_int(j, "train", (int64_t)r->split.n_train) &&
        json_set_int(j, "test", (int64_t)r->split.n_test) &&
        json_set_int(j, "shared_scenes", (int64_t)r->shared_scenes) &&
        json_set_int(
            j, "test_sessions_over_shared_scenes", (int64_t)r->shared_sessions) &&
        json_set_text(j, "sha256", r->info.sha256))
        s = cli_print_json(j, err);
    else
        s = error_nomem(err, sizeof *r);
    json_free(j);
    return s;
}

static enum status draw_and_freeze(
    struct cli *cli, struct store *store, struct result *r, struct error *err)
{
    struct terms terms;
    struct dataset *data = NULL;
    struct left_out left;
    enum status s = read_terms(cli, store, &terms, err);
    if (s || (s = dataset_of_store(store, NULL, &data, err)))
        return s;
    if (!(s = dataset_drop_incomplete(data, &left, err)) &&
        !(s = dataset_seal(data, err)) &&
        !(s = split_draw(
              data, terms.by_scene, terms.train, (uint64_t)terms.seed, &r->split, err)) &&
        !(s = split_shared_scenes(
              data, &r->split, &r->shared_scenes, &r->shared_sessions, err))) {
        r->info.seed = terms.seed;
        r->info.rule = text_format(
            "by %s, train share %g", terms.by_scene ? "scene" : "session", terms.train);
        s = r->info.rule
                ? split_freeze(store, cli_arg(cli, 1), data, &r->split, &r->info, err)
                : error_nomem(err, 64);
    }
    if (!s && left.sessions)
        fprintf(stderr, "%zu sessions without a complete first turn are in no part\n",
            left.sessions);
    dataset_free(data);
    return s;
}

static enum status run(struct cli *cli, struct error *err)
{
    struct store *store;
    struct result result = { 0 };
    if (split_check_name(cli_arg(cli, 1), err))
        return cli_usage(cli, err, "%s", err->msg);
    enum status s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (!s)
        s = draw_and_freeze(cli, store, &result, err);
    store_close(store);
    if (!s)
        s = report(cli, &result, err);
    split_release(&result.split);
    split_info_release(&result.info);
    return s;
}

static const struct cli_option options[] = {
    { "train", "SHARE", "share of the training side (default: the recipe's, else 0.8)" },
    { "by", "GROUP", "session or scene (default: the recipe's, else session)" },
    { "seed", "N", "seed of the draw (default: the recipe's, else 1)" },
    { "json", NULL, "print the result as JSON" },
    { NULL, NULL, NULL },
};

const struct verb verb_split = {
    .name = "split",
    .stage = STAGE_CURATE,
    .args = "STORE NAME",
    .min_args = 2,
    .max_args = 2,
    .summary = "freeze a partition into training and test sessions",
    .help =
        "Draws a partition of the complete sessions and keeps it in the store under "
        "NAME,\n"
        "with a SHA-256 over the identities of its sessions. A frozen split never "
        "changes;\n"
        "train, evaluate and export take it by its name.\n\n"
        "By session, exactly the share is drawn. Sessions over one scene may then stand "
        "on\n"
        "both sides, so that a test is easier than it looks; how many do is printed. By\n"
        "scene, every scene falls to a side by a hash of the seed and its name: "
        "sessions\n"
        "of one scene stay together, the share holds only on average, and scenes that "
        "are\n"
        "collected later move no other in a new draw.\n\n"
        "  m4a1 split kitchen.m4a1 main --by scene\n"
        "  m4a1 split m4a1.m4a1 seed0 --train 0.8 --seed 0\n",
    .options = options,
    .run = run,
};
