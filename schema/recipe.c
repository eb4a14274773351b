/* recipe.c - load and free recipes: from a file, from the program, from a store. */
#include "schema/recipe.h"

#include <stdlib.h>
#include <string.h>
#include "m4a1/base/embed.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "schema/recipe_reader.h"

EMBED(m4a1_recipe, "m4a1/recipe/m4a1.jsonc");

#define BUILTIN_NAME "m4a1"

const char *recipe_builtin(void)
{
    return m4a1_recipe_start; // EMBED puts a NUL behind the bytes
}

static void free_words(char **words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(words[i]);
    free(words);
}

static void free_parts(struct recipe *recipe)
{
    for (size_t i = 0; i < recipe->n_views; i++)
        free(recipe->views[i].name);
    for (size_t i = 0; i < recipe->n_prompts; i++) {
        struct recipe_prompt *p = &recipe->prompts[i];
        free(p->id);
        free(p->task);
        free(p->text);
        free_words(p->needs, p->n_needs);
    }
    for (size_t i = 0; i < recipe->n_prices; i++) {
        free(recipe->prices[i].llm);
        free(recipe->prices[i].service_tier);
        free(recipe->prices[i].source);
    }
    for (size_t i = 0; i < recipe->n_actions; i++) {
        free(recipe->actions[i].llm);
        free(recipe->actions[i].sets);
    }
    free(recipe->views);
    free(recipe->prompts);
    free(recipe->prices);
    free(recipe->actions);
}

void recipe_free(struct recipe *recipe)
{
    if (!recipe)
        return;
    free_parts(recipe);
    free_words(recipe->tasks, recipe->n_tasks);
    llm_free_all(recipe->llms, recipe->n_llms);
    free(recipe->path);
    free(recipe->name);
    free(recipe->licence);
    free(recipe->consent);
    free(recipe->text);
    free(recipe->frames.at_s);
    free(recipe->sessions.script);
    free(recipe->plan.behaviour);
    free(recipe->plan.policy);
    free(recipe->plan.action_llm);
    free(recipe->annotate.judge_template);
    free(recipe->split.group);
    free(recipe);
}

static void reader_release(struct recipe_reader *r)
{
    for (size_t i = 0; i < r->n_origins; i++) {
        free(r->origins[i].path);
        free(r->origins[i].file);
        free(r->origins[i].text);
        free(r->origins[i].lines);
    }
    free(r->origins);
    free(r->folder);
    free(r->role_unknown);
    json_free(r->root);
    recipe_free(r->recipe);
    buffer_release(&r->problems);
}

/* The text that a store keeps: as read, or printed anew where files were put in. */
static enum status keep_text(
    struct recipe_reader *r, const char *text, size_t len, struct error *err)
{
    if (!r->included) {
        r->recipe->text = text_copy_n(text, len);
        return r->recipe->text ? OK : error_nomem(err, len);
    }
    struct buffer out;
    buffer_init(&out, 2u * RECIPE_MAX_BYTES);
    enum status s = json_print(r->root, JSON_PRETTY, &out, err);
    if (!s)
        s = buffer_status(&out, "the recipe with its files", err);
    if (!s)
        r->recipe->text = buffer_detach(&out, NULL);
    buffer_release(&out);
    return s;
}

/* Hand the mistakes over; err gets their number, and the first where nobody takes all. */
static enum status report(
    struct recipe_reader *r, const char *name, struct buffer *problems, struct error *err)
{
    if (r->n_problems > RECIPE_MAX_PROBLEMS)
        buffer_printf(&r->problems, "%s: and %zu more\n", name,
            r->n_problems - RECIPE_MAX_PROBLEMS);
    const char *list = buffer_str(&r->problems);
    const char *tail = r->n_problems == 1 ? "" : "s";
    if (problems) {
        buffer_clear(problems);
        buffer_add_str(problems, list);
        enum status s = buffer_status(problems, "the list of mistakes", err);
        return s ? s
                 : error_set(err, E_DATA,
                       "recipe %s has %zu mistake%s; mend them and try again", name,
                       r->n_problems, tail);
    }
    return error_set(err, E_DATA, "recipe %s has %zu mistake%s, the first: %.*s", name,
        r->n_problems, tail, (int)strcspn(list, "\n"), list);
}

enum status recipe_parse(const char *name, const char *folder, const char *text,
    size_t len, struct recipe **out, struct buffer *problems, struct error *err)
{
    struct recipe_reader r = { 0 };
    *out = NULL;
    if (problems)
        buffer_clear(problems);
    buffer_init(&r.problems, RECIPE_MAX_BYTES);
    r.recipe = calloc(1, sizeof *r.recipe);
    r.folder = folder ? text_copy(folder) : NULL;
    enum status s = OK;
    if (!r.recipe || (folder && !r.folder) || !(r.recipe->path = text_copy(name)))
        s = error_nomem(err, sizeof *r.recipe);
    if (!s) {
        struct error why = ERROR_INIT;
        s = recipe_include(&r, name, text, len, &why);
        if (s == E_DATA && problems) {
            buffer_printf(problems, "%s\n", why.msg);
            error_set(err, s, "recipe %s is not JSON; mend that and try again", name);
        } else if (s) {
            error_set(err, s, "%s", why.msg);
        }
    }
    if (!s) {
        recipe_check(&r);
        recipe_read_llms(&r);
        recipe_read_prices(&r);
        recipe_read_actions(&r);
        recipe_read_plan(&r);
        if (r.out_of_memory)
            s = error_nomem(err, len);
        else if (r.n_problems)
            s = report(&r, name, problems, err);
        else
            s = keep_text(&r, text, len, err);
    }
    if (!s) {
        *out = r.recipe;
        r.recipe = NULL;
    }
    reader_release(&r);
    return s;
}

static char *folder_of(const char *path)
{
    const char *base = path_base(path);
    if (base == path)
        return text_copy(".");
    return base - path == 1 ? text_copy("/")
                            : text_copy_n(path, (size_t)(base - path) - 1);
}

enum status recipe_load(
    const char *path, struct recipe **out, struct buffer *problems, struct error *err)
{
    *out = NULL;
    if (!strcmp(path, BUILTIN_NAME) && (!file_exists(path) || file_is_folder(path)))
        return recipe_parse(BUILTIN_NAME ".jsonc", NULL, m4a1_recipe_start,
            EMBED_SIZE(m4a1_recipe), out, problems, err);
    struct buffer text;
    buffer_init(&text, RECIPE_MAX_BYTES);
    char *folder = folder_of(path);
    enum status s = folder ? file_read(path, &text, err) : error_nomem(err, strlen(path));
    if (!s)
        s = recipe_parse(path, folder, buffer_str(&text), text.len, out, problems, err);
    free(folder);
    buffer_release(&text);
    return s;
}

enum status recipe_of_store(struct store *store, struct recipe **out, struct error *err)
{
    struct query *q;
    *out = NULL;
    enum status s = query_open(store,
        "SELECT text FROM recipe ORDER BY loaded_ms DESC, recipe_id DESC LIMIT 1", &q,
        err);
    if (s)
        return s;
    query_bind(q, "");
    if (!(s = query_next(q, err)) && !query_has_row(q))
        s = error_set(err, E_NOT_FOUND,
            "%s has no recipe yet; give it one with `m4a1 init %s --recipe FILE`",
            store_path(store), store_path(store));
    if (!s) {
        const char *text = query_text(q, 0);
        s = recipe_parse("the store's recipe", NULL, text ? text : "",
            text ? strlen(text) : 0, out, NULL, err);
        if (s)
            error_prefix(err, "%s: ", store_path(store));
    }
    query_close(q);
    return s;
}
