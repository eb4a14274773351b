/* cmd_init.c - m4a1 init: a store from a recipe, or a store extended by one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "m4a1/cli/terminal.h"
#include "m4a1/cli/recipe_mistakes.h"
#include "schema/query.h"
#include "schema/recipe.h"

#define PROBLEMS_MAX ((size_t)1 << 20)

static const struct cli_option options[] = {
    { "recipe", "FILE", "what to collect (default: m4a1, which is built in)" },
    { "print-recipe", NULL, "print the commented M4A1 recipe to start from; no STORE" },
    { "json", NULL, "what was added, updated and retired as JSON" },
    { NULL, NULL, NULL },
};

/* ---- what a recipe put into a store: the store's rows before and after ---- */

enum change { SAME, ADDED, UPDATED, RETIRED, RESTORED, REMOVED, N_CHANGES };
static const char *const change_names[N_CHANGES] = { "same", "added", "updated",
    "retired", "restored", "removed" };

static const char *const kinds[] = { "view", "task", "prompt", "llm", "price" };

struct item {
    int kind; /* index into kinds */
    int64_t id;
    char *name, *content;
    int retired;
};

struct items {
    struct item *all; /* ordered by kind and id */
    size_t n;
};

static const char list_items[] =
    "SELECT 0 AS kind, view_id AS id, name, kind || ' ' || privacy, "
    "retired_ms IS NOT NULL FROM view "
    "UNION ALL SELECT 1, task_id, name, '', 0 FROM task "
    "UNION ALL SELECT 2, prompt_id, coalesce(name, substr(text, 1, 40)), "
    "coalesce(name, '') || needs, retired_ms IS NOT NULL FROM prompt "
    "UNION ALL SELECT 3, llm_id, name, identity || role || settings, "
    "retired_ms IS NOT NULL FROM llm "
    "UNION ALL SELECT 4, price_id, l.name || ' from ' || "
    "date(valid_from_ms / 1000, 'unixepoch') || iif(service_tier = 'standard', '', ' "
    "(' || service_tier || ')') || iif(min_input_tokens, ' for ' || min_input_tokens || "
    "' tokens and more', ''), input_pusd || ' ' || cache_read_pusd || "
    "' ' || cache_write_pusd || ' ' || output_pusd || ' ' || source, 0 "
    "FROM price JOIN llm l USING (llm_id) ORDER BY 1, 2";

static void items_release(struct items *items)
{
    for (size_t i = 0; i < items->n; i++) {
        free(items->all[i].name);
        free(items->all[i].content);
    }
    free(items->all);
    *items = (struct items) { NULL, 0 };
}

static enum status items_read(struct store *store, struct items *out, struct error *err)
{
    struct query *q;
    *out = (struct items) { NULL, 0 };
    enum status s = query_open(store, list_items, &q, err);
    if (s)
        return s;
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        struct item *grown = realloc(out->all, (out->n + 1) * sizeof *grown);
        if (!grown) {
            s = error_nomem(err, sizeof *grown);
            break;
        }
        out->all = grown;
        struct item *item = &grown[out->n++];
        *item = (struct item) { (int)query_int(q, 0), query_int(q, 1),
            text_copy(query_text(q, 2)), text_copy(query_text(q, 3)),
            (int)query_int(q, 4) };
        if (!item->name || !item->content) {
            s = error_nomem(err, sizeof *item);
            break;
        }
    }
    query_close(q);
    if (s)
        items_release(out);
    return s;
}

static int compare_items(const struct item *a, const struct item *b)
{
    return a->kind != b->kind ? a->kind - b->kind : (a->id > b->id) - (a->id < b->id);
}

static enum change change_of(const struct item *before, const struct item *after)
{
    if (!before)
        return ADDED;
    if (before->retired != after->retired)
        return after->retired ? RETIRED : RESTORED;
    return strcmp(before->content, after->content) ? UPDATED : SAME;
}

/* Walk both lists and call visit for every item that changed. */
static void walk_changes(const struct items *before, const struct items *after,
    void (*visit)(const struct item *item, enum change change, void *arg), void *arg)
{
    size_t i = 0, k = 0;
    while (i < before->n || k < after->n) {
        const struct item *old = i < before->n ? &before->all[i] : NULL;
        const struct item *new = k < after->n ? &after->all[k] : NULL;
        int order = !old ? 1 : !new ? -1 : compare_items(old, new);
        if (order < 0) {
            visit(old, REMOVED, arg);
        } else {
            enum change change = change_of(order ? NULL : old, new);
            if (change != SAME)
                visit(new, change, arg);
        }
        i += order <= 0;
        k += order >= 0;
    }
}

/* ---- telling it ---- */

struct counts {
    size_t n[N_CHANGES][COUNT_OF(kinds)];
};

static void count_change(const struct item *item, enum change change, void *arg)
{
    struct counts *counts = arg;
    counts->n[change][item->kind]++;
}

static void print_change(const struct item *item, enum change change, void *arg)
{
    (void)arg;
    printf("  %-8s %-6s %s\n", change_names[change], kinds[item->kind], item->name);
}

static void add_change(const struct item *item, enum change change, void *arg)
{
    struct json *list = (struct json *)json_get(arg, change_names[change]);
    struct json *row = json_add_object(list);
    json_set_text(row, "kind", kinds[item->kind]);
    json_set_text(row, "name", item->name);
}

static enum status print_json(const struct cli *cli, const struct recipe *recipe,
    int created, const struct items *before, const struct items *after, struct error *err)
{
    struct json *j = json_new_object();
    json_set_text(j, "store", cli_arg(cli, 0));
    json_set_text(j, "recipe", recipe->name);
    json_set_bool(j, "created", created);
    for (int c = ADDED; c < N_CHANGES; c++)
        json_set_array(j, change_names[c]);
    walk_changes(before, after, add_change, j);
    enum status s = j ? cli_print_json(j, err) : error_nomem(err, 64);
    json_free(j);
    return s;
}

static void print_created(
    const char *path, const struct recipe *recipe, const struct counts *counts)
{
    printf("Created %s from recipe %s:", path, recipe->name);
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        size_t n = counts->n[ADDED][k];
        printf("%s %zu %s%s", k ? "," : "", n, kinds[k], n == 1 ? "" : "s");
    }
    printf(".\nNext: m4a1 ingest %s FOLDER   (a folder a scene, a file a view)\n", path);
}

static void print_extended(const char *path, const struct recipe *recipe,
    const struct items *before, const struct items *after, const struct counts *counts)
{
    size_t n = 0;
    for (int c = ADDED; c < N_CHANGES; c++)
        for (size_t k = 0; k < COUNT_OF(kinds); k++)
            n += counts->n[c][k];
    printf("%s now follows recipe %s%s\n", path, recipe->name,
        n ? ":" : "; nothing had to change.");
    walk_changes(before, after, print_change, NULL);
}

/* An llm that is asked without a price would be free of charge in every sum. */
static enum status print_unpriced(struct store *store, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT name FROM llm l WHERE retired_ms IS NULL AND protocol IS NOT NULL AND "
        "NOT "
        "EXISTS (SELECT 1 FROM price p WHERE p.llm_id = l.llm_id) ORDER BY llm_id",
        &q, err);
    while (!s && !(s = query_next(q, err)) && query_has_row(q))
        printf("No price: llm %s. Its calls are refused until \"prices\" has a row for "
               "it.\n",
            query_text(q, 0));
    query_close(q);
    return s;
}

/* Retired llms are not in new plans, but what is planned is still asked. */
static enum status print_left_over(struct store *store, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT l.name, count(*) FROM llm l JOIN call c USING (llm_id) JOIN call_state s "
        "USING "
        "(call_id) WHERE l.retired_ms IS NOT NULL AND s.state IN ('ready', 'waiting') "
        "GROUP BY llm_id",
        &q, err);
    while (!s && !(s = query_next(q, err)) && query_has_row(q))
        printf("llm %s is retired, but %lld call%s of it %s still to be made, and "
               "collect makes "
               "them\n(m4a1 plan STORE --undo --llm %s drops those that were never "
               "attempted).\n",
            query_text(q, 0), (long long)query_int(q, 1), text_s(query_int(q, 1)),
            query_int(q, 1) == 1 ? "is" : "are", query_text(q, 0));
    query_close(q);
    return s;
}

static enum status tell(const struct cli *cli, struct store *store,
    const struct recipe *recipe, int created, const struct items *before,
    struct error *err)
{
    struct items after;
    struct counts counts = { { { 0 } } };
    enum status s = items_read(store, &after, err);
    if (s)
        return s;
    if (cli_flag(cli, "json")) {
        s = print_json(cli, recipe, created, before, &after, err);
    } else {
        walk_changes(before, &after, count_change, &counts);
        if (created)
            print_created(cli_arg(cli, 0), recipe, &counts);
        else
            print_extended(cli_arg(cli, 0), recipe, before, &after, &counts);
        s = print_unpriced(store, err);
        if (!s)
            s = print_left_over(store, err);
    }
    items_release(&after);
    return s;
}

/* ---- the recipe ---- */

static enum status load(const char *path, struct recipe **out, struct error *err)
{
    struct buffer problems;
    buffer_init(&problems, PROBLEMS_MAX);
    enum status s = recipe_load(path, out, &problems, err);
    if (!s)
        s = recipe_mistakes(*out, &problems, err);
    if (s == E_DATA)
        terminal_print(stderr, buffer_str(&problems));
    if (s) {
        recipe_free(*out);
        *out = NULL;
    }
    buffer_release(&problems);
    return s;
}

/* ---- the store ---- */

static void remove_store(const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char *name = text_format("%s%s", path, suffixes[i]);
        if (name)
            unlink(name);
        free(name);
    }
}

static enum status create(struct cli *cli, const struct recipe *recipe, struct error *err)
{
    const char *path = cli_arg(cli, 0);
    const struct items nothing = { NULL, 0 };
    struct store *store;
    enum status s = store_create(path, recipe->name, &store, err);
    if (s)
        return s;
    s = recipe_apply(store, recipe, err);
    int applied = !s;
    if (!s)
        s = tell(cli, store, recipe, 1, &nothing, err);
    store_close(store);
    if (!applied)
        remove_store(path);
    return s;
}

/* A store that follows a recipe is not given the built-in one by mistake. */
static enum status check_named(struct cli *cli, struct store *store, struct error *err)
{
    int64_t n_recipes = 0;
    if (cli_value(cli, "recipe"))
        return OK;
    enum status s =
        store_int(store, 0, &n_recipes, err, "SELECT count(*) FROM recipe", "");
    if (!s && n_recipes)
        s = cli_usage(cli, err,
            "%s is there already and has a recipe; say which one it shall follow now: "
            "--recipe FILE (or --recipe m4a1)",
            cli_arg(cli, 0));
    return s;
}

static enum status extend(struct cli *cli, const struct recipe *recipe, struct error *err)
{
    struct store *store;
    struct items before = { NULL, 0 };
    enum status s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (s)
        return s;
    s = check_named(cli, store, err);
    if (!s)
        s = items_read(store, &before, err);
    if (!s)
        s = recipe_apply(store, recipe, err);
    if (!s)
        s = tell(cli, store, recipe, 0, &before, err);
    items_release(&before);
    store_close(store);
    return s;
}

static enum status run(struct cli *cli, struct error *err)
{
    if (cli_flag(cli, "print-recipe")) {
        if (cli_n_args(cli) || cli_value(cli, "recipe"))
            return cli_usage(cli, err, "--print-recipe takes no STORE and no --recipe");
        fputs(recipe_builtin(), stdout);
        return OK;
    }
    if (!cli_n_args(cli))
        return cli_usage(cli, err, "STORE is missing: the store to create or to extend");
    const char *name = cli_value(cli, "recipe");
    struct recipe *recipe;
    enum status s = load(name ? name : "m4a1", &recipe, err);
    if (!s)
        s = file_exists(cli_arg(cli, 0)) ? extend(cli, recipe, err)
                                         : create(cli, recipe, err);
    recipe_free(recipe);
    return s;
}

const struct verb verb_init = {
    .name = "init",
    .stage = STAGE_START,
    .args = "[STORE]",
    .min_args = 0,
    .max_args = 1,
    .summary = "create a store from a recipe, or extend one",
    .help =
        "A recipe says what to collect: views, tasks, prompts, llms with their prices, "
        "and\n"
        "how many dialogues of which length. init creates STORE from it. Given again "
        "with\n"
        "another recipe, it extends the store: new views, prompts and llms are added,\n"
        "settings and unused things updated, what the recipe no longer names is retired\n"
        "(kept, but not planned any more). Nothing that was used is ever edited. All\n"
        "mistakes in a recipe are told at once, with file and line, and nothing is "
        "written.\n"
        "docs/recipe.md explains the keys. Keys of providers stay in the environment.\n\n"
        "  m4a1 init study.m4a1                            the M4A1 recipe\n"
        "  m4a1 init --print-recipe > my.jsonc             a commented starting point\n"
        "  m4a1 init study.m4a1 --recipe my.jsonc          your own, or extend by it\n",
    .options = options,
    .run = run,
};
