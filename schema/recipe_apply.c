/* recipe_apply.c - put a recipe into a store: add, update settings, retire.
 *
 * One transaction.  What sessions, calls or frames refer to keeps its meaning: a used
 * view keeps kind and privacy, a used prompt its text, a used llm its facts, a price that
 * something was billed by its figures.  A recipe that would change them is refused. */
#include "schema/recipe.h"

#include <stdlib.h>
#include <string.h>
#include "m4a1/base/clock.h"
#include "m4a1/base/hash.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "schema/recipe_reader.h"

#define NEEDS_MAX (1u << 20)
#define MAX_SUGGESTED 1000 /* llms among which the nearest name is looked for */

struct applying {
    struct store *store;
    const struct recipe *recipe;
    int64_t now_ms;
    struct error *err;
};

/* Run a SELECT of two integers by one text; found says whether there was a row. */
static enum status find_two(struct applying *a, const char *sql, const char *name,
    int64_t *first, int64_t *second, int *found)
{
    struct query *q;
    enum status s = query_open(a->store, sql, &q, a->err);
    *found = 0;
    *first = *second = 0;
    if (s)
        return s;
    query_bind(q, "t", name);
    s = query_next(q, a->err);
    if (!s && query_has_row(q)) {
        *found = 1;
        *first = query_int(q, 0);
        *second = query_int(q, 1);
    }
    query_close(q);
    return s;
}

/* ---- views ---- */

static enum status insert_view(struct applying *a, const struct recipe_view *view)
{
    int64_t position;
    enum status s = store_int(a->store, 0, &position, a->err,
        "SELECT coalesce(max(position) + 1, 0) FROM view", "");
    if (s)
        return s;
    if (position >= RECIPE_MAX_VIEWS)
        return error_set(a->err, E_LIMIT,
            "view %s: a store holds at most %d views, retired ones included; begin a new "
            "store",
            view->name, RECIPE_MAX_VIEWS);
    return store_run(a->store, a->err,
        "INSERT INTO view (position, name, kind, privacy) VALUES (?, ?, ?, ?)", "itti",
        position, view->name, view_kind_names[view->kind], (int64_t)view->privacy);
}

static enum status apply_view(struct applying *a, const struct recipe_view *view)
{
    int64_t id, position, same = 0, used = 0;
    int found;
    enum status s = find_two(a, "SELECT view_id, position FROM view WHERE name = ?",
        view->name, &id, &position, &found);
    if (s || !found)
        return s ? s : insert_view(a, view);
    s = store_int(a->store, 0, &same, a->err,
        "SELECT kind = ? AND privacy = ? FROM view WHERE view_id = ?", "tii",
        view_kind_names[view->kind], (int64_t)view->privacy, id);
    if (!s && !same)
        s = store_int(a->store, 0, &used, a->err,
            "SELECT EXISTS (SELECT 1 FROM scene_frame WHERE view_id = ?1)"
            " OR EXISTS (SELECT 1 FROM association WHERE view_id = ?1)"
            " OR EXISTS (SELECT 1 FROM call WHERE (views_context >> ?2) & 1)",
            "ii", id, position);
    if (!s && used)
        s = error_set(a->err, E_ARG,
            "view %s: frames or calls use it, so its kind and privacy level stay as they "
            "are; give the changed view a new name",
            view->name);
    if (!s)
        s = store_run(a->store, a->err,
            "UPDATE view SET kind = ?, privacy = ?, retired_ms = NULL WHERE view_id = ?",
            "tii", view_kind_names[view->kind], (int64_t)view->privacy, id);
    return s;
}

/* Everything is retired first; what the recipe names comes back with its old date gone. */
static enum status apply_views(struct applying *a)
{
    enum status s = store_run(a->store, a->err,
        "UPDATE view SET retired_ms = ? WHERE retired_ms IS NULL", "i", a->now_ms);
    for (size_t i = 0; i < a->recipe->n_views && !s; i++)
        s = apply_view(a, &a->recipe->views[i]);
    return s;
}

/* ---- tasks and prompts ---- */

static enum status apply_tasks(struct applying *a)
{
    enum status s = OK;
    for (size_t i = 0; i < a->recipe->n_tasks && !s; i++)
        s = store_run(a->store, a->err, "INSERT OR IGNORE INTO task (name) VALUES (?)",
            "t", a->recipe->tasks[i]);
    return s;
}

/* The prompt of this task and text, 0 where there is none. */
static enum status find_prompt(
    struct applying *a, const struct recipe_prompt *p, int64_t *id)
{
    return store_int(a->store, 0, id, a->err,
        "SELECT prompt_id FROM prompt JOIN task USING (task_id) WHERE task.name = ? AND "
        "text = ?",
        "tt", p->task, p->text);
}

/* Ids are unique, so all that change are given up before the first is given anew. */
static enum status release_id(struct applying *a, const struct recipe_prompt *p)
{
    int64_t id;
    enum status s = find_prompt(a, p, &id);
    if (!s && id)
        s = store_run(a->store, a->err,
            "UPDATE prompt SET name = NULL WHERE prompt_id = ? AND name IS NOT ?", "it",
            id, p->id);
    return s;
}

/* Another text holds the id: an unused one makes room, a used one is never edited. */
static enum status make_room(
    struct applying *a, const struct recipe_prompt *p, int64_t id)
{
    int64_t holder = 0, used = 0;
    enum status s = store_int(a->store, 0, &holder, a->err,
        "SELECT prompt_id FROM prompt WHERE name = ? AND prompt_id <> ?", "ti", p->id,
        id);
    if (s || !holder)
        return s;
    s = store_int(a->store, 0, &used, a->err,
        "SELECT EXISTS (SELECT 1 FROM turn WHERE prompt_id = ?)", "i", holder);
    if (!s && used)
        s = error_set(a->err, E_ARG,
            "prompt %s: sessions use it with another text, which stays as it is; give "
            "the "
            "new text a new id",
            p->id);
    if (!s)
        s = store_run(
            a->store, a->err, "DELETE FROM prompt WHERE prompt_id = ?", "i", holder);
    return s;
}

static enum status print_needs(
    const struct recipe_prompt *p, struct buffer *out, struct error *err)
{
    struct json *list = json_new_array();
    int ok = list != NULL;
    for (size_t i = 0; i < p->n_needs && ok; i++)
        ok = json_add_text(list, p->needs[i]) != NULL;
    enum status s =
        ok ? json_print(list, JSON_COMPACT, out, err) : error_nomem(err, p->n_needs);
    json_free(list);
    return s;
}

static enum status apply_prompt(struct applying *a, const struct recipe_prompt *p)
{
    struct buffer needs;
    int64_t id = 0;
    buffer_init(&needs, NEEDS_MAX);
    enum status s = print_needs(p, &needs, a->err);
    if (!s)
        s = find_prompt(a, p, &id);
    if (!s && p->id)
        s = make_room(a, p, id);
    if (!s && id)
        s = store_run(a->store, a->err,
            "UPDATE prompt SET name = ?, needs = ?, retired_ms = NULL WHERE prompt_id = "
            "?",
            "tti", p->id, buffer_str(&needs), id);
    else if (!s)
        s = store_run(a->store, a->err,
            "INSERT INTO prompt (task_id, name, text, needs) "
            "SELECT task_id, ?, ?, ? FROM task WHERE name = ?",
            "tttt", p->id, p->text, buffer_str(&needs), p->task);
    buffer_release(&needs);
    return s;
}

static enum status apply_prompts(struct applying *a)
{
    enum status s = store_run(a->store, a->err,
        "UPDATE prompt SET retired_ms = ? WHERE retired_ms IS NULL", "i", a->now_ms);
    for (size_t i = 0; i < a->recipe->n_prompts && !s; i++)
        s = release_id(a, &a->recipe->prompts[i]);
    for (size_t i = 0; i < a->recipe->n_prompts && !s; i++)
        s = apply_prompt(a, &a->recipe->prompts[i]);
    return s;
}

/* ---- llms and prices ---- */

/* Another name holds this llm's role and identity: an unused one makes room (with its
 * prices, which billed nothing), a used one is told by llm_save(). */
static enum status make_llm_room(struct applying *a, const struct llm *llm)
{
    int64_t holder = 0, used = 0;
    enum status s = store_int(a->store, 0, &holder, a->err,
        "SELECT llm_id FROM llm WHERE identity = ? AND role = ? AND name <> ?", "ttt",
        llm->identity, llm_role_names[llm->role], llm->name);
    if (!s && holder)
        s = store_int(a->store, 0, &used, a->err,
            "SELECT EXISTS (SELECT 1 FROM call WHERE llm_id = ?)", "i", holder);
    if (s || !holder || used)
        return s;
    s = store_run(a->store, a->err, "DELETE FROM price WHERE llm_id = ?", "i", holder);
    if (!s)
        s = store_run(a->store, a->err, "DELETE FROM llm WHERE llm_id = ?", "i", holder);
    return s;
}

/* Llms of an import have no protocol; no recipe names them, so none retires them. */
static enum status apply_llms(struct applying *a)
{
    enum status s = store_run(a->store, a->err,
        "UPDATE llm SET retired_ms = ? WHERE retired_ms IS NULL AND protocol IS NOT NULL",
        "i", a->now_ms);
    for (size_t i = 0; i < a->recipe->n_llms && !s; i++) {
        struct llm llm = a->recipe->llms[i];
        if ((s = make_llm_room(a, &llm)))
            break;
        // llm_save() computes the identity anew and keeps it in the llm: this one's own.
        llm.identity = NULL;
        s = llm_save(a->store, &llm, a->err);
        free(llm.identity);
        if (!s)
            s = store_run(a->store, a->err,
                "UPDATE llm SET retired_ms = NULL WHERE llm_id = ?", "i", llm.llm_id);
    }
    return s;
}

/* A row of this llm and day is there.  It may be mended while no attempt was billed by
 * it: none sent from its day on, up to the next row's. */
static enum status mend_price(
    struct applying *a, const struct recipe_price *p, int64_t id)
{
    int64_t same, used = 0;
    enum status s = store_int(a->store, 0, &same, a->err,
        "SELECT input_pusd = ? AND cache_read_pusd = ? AND cache_write_pusd = ? AND "
        "output_pusd = ? FROM price WHERE price_id = ?",
        "iiiii", p->input_pusd, p->cache_read_pusd, p->cache_write_pusd, p->output_pusd,
        id);
    if (!s && !same)
        s = store_int(a->store, 0, &used, a->err,
            "SELECT EXISTS (SELECT 1 FROM price r JOIN call c USING (llm_id) "
            "JOIN attempt x USING (call_id) WHERE r.price_id = ? "
            "AND x.sent_ms >= r.valid_from_ms AND x.sent_ms < coalesce((SELECT "
            "min(n.valid_from_ms) FROM price n WHERE n.llm_id = r.llm_id "
            "AND n.service_tier = r.service_tier "
            "AND n.valid_from_ms > r.valid_from_ms), 9e18))",
            "i", id);
    if (!s && used)
        s = error_set(a->err, E_ARG,
            "prices: calls of llm %s were billed by the row of that day, which stays as "
            "it "
            "is; give the new price a day of its own",
            p->llm);
    if (!s)
        s = store_run(a->store, a->err,
            "UPDATE price SET input_pusd = ?, cache_read_pusd = ?, cache_write_pusd = ?, "
            "output_pusd = ?, source = ? WHERE price_id = ?",
            "iiiiti", p->input_pusd, p->cache_read_pusd, p->cache_write_pusd,
            p->output_pusd, p->source, id);
    return s;
}

static enum status apply_price(struct applying *a, const struct recipe_price *p)
{
    int64_t id = 0;
    enum status s = store_int(a->store, 0, &id, a->err,
        "SELECT price_id FROM price JOIN llm USING (llm_id) WHERE llm.name = ? AND "
        "valid_from_ms = ? AND service_tier = ? AND min_input_tokens = ?",
        "titi", p->llm, p->valid_from_ms, p->service_tier, p->min_input_tokens);
    if (s || id)
        return s ? s : mend_price(a, p, id);
    return store_run(a->store, a->err,
        "INSERT INTO price (llm_id, valid_from_ms, service_tier, min_input_tokens, "
        "input_pusd, cache_read_pusd, cache_write_pusd, output_pusd, source) "
        "SELECT llm_id, ?, ?, ?, ?, ?, ?, ?, ? FROM llm WHERE name = ?",
        "itiiiiitt", p->valid_from_ms, p->service_tier, p->min_input_tokens,
        p->input_pusd, p->cache_read_pusd, p->cache_write_pusd, p->output_pusd, p->source,
        p->llm);
}

/* ---- the recipe itself ---- */

/* A recipe that is given again becomes the last one; two in one millisecond keep their
 * order. */
static enum status save_recipe(struct applying *a)
{
    const struct recipe *recipe = a->recipe;
    char sha256[HASH_HEX];
    int64_t last = 0;
    hash_hex(recipe->text, strlen(recipe->text), sha256);
    enum status s =
        store_int(a->store, 0, &last, a->err, "SELECT max(loaded_ms) FROM recipe", "");
    int64_t loaded_ms = a->now_ms > last ? a->now_ms : last + 1;
    if (!s)
        s = store_run(a->store, a->err,
            "INSERT INTO recipe (sha256, name, text, loaded_ms) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (sha256) DO UPDATE SET loaded_ms = excluded.loaded_ms",
            "ttti", sha256, recipe->name, recipe->text, loaded_ms);
    if (!s)
        s = store_run(a->store, a->err, "UPDATE store SET licence = ?, consent = ?", "tt",
            recipe->licence, recipe->consent);
    return s;
}

enum status recipe_apply(
    struct store *store, const struct recipe *recipe, struct error *err)
{
    struct applying a = { store, recipe, clock_wall_ms(), err };
    enum status s = store_begin(store, err);
    if (s)
        return s;
    s = apply_views(&a);
    if (!s)
        s = apply_tasks(&a);
    if (!s)
        s = apply_prompts(&a);
    if (!s)
        s = apply_llms(&a);
    for (size_t i = 0; i < recipe->n_prices && !s; i++)
        s = apply_price(&a, &recipe->prices[i]);
    if (!s)
        s = save_recipe(&a);
    if (!s)
        s = store_commit(store, err);
    if (s) {
        store_rollback(store);
        error_prefix(err, "recipe %s: ", recipe->path);
    }
    return s;
}

/* ---- prices alone ---- */

/* The store's recipe with the list in place of its own prices: so every check holds. */
static enum status recipe_with(struct store *store, const char *path, struct json *list,
    struct recipe **out, struct buffer *problems, struct error *err)
{
    struct recipe *own = NULL;
    struct json *root = NULL;
    struct buffer text;
    buffer_init(&text, RECIPE_MAX_BYTES);
    enum status s = recipe_of_store(store, &own, err);
    if (!s)
        s = json_parse(
            own->text, strlen(own->text), "recipe", RECIPE_JSON_FLAGS, &root, err);
    if (!s) {
        json_remove(root, "prices");
        s = json_set_copy(root, "prices", list) ? OK : error_nomem(err, 1);
    }
    if (!s)
        s = json_print(root, JSON_COMPACT, &text, err);
    if (!s)
        s = recipe_parse(path, NULL, buffer_str(&text), text.len, out, problems, err);
    json_free(root);
    recipe_free(own);
    buffer_release(&text);
    return s;
}

static enum status load_prices(struct store *store, const char *path, struct recipe **out,
    struct buffer *problems, struct error *err)
{
    struct json *j = NULL;
    *out = NULL;
    enum status s = json_read_file(path, RECIPE_MAX_BYTES, RECIPE_JSON_FLAGS, &j, err);
    if (!s && json_is_array(j))
        s = recipe_with(store, path, j, out, problems, err);
    else if (!s)
        s = recipe_load(path, out, problems, err);
    json_free(j);
    return s;
}

/* A row for an llm that the store has not would price nothing. */
static enum status check_priced_llm(struct store *store, const char *path,
    const struct recipe_price *price, struct error *err)
{
    struct query *q;
    const char *names[MAX_SUGGESTED];
    char *copies[MAX_SUGGESTED];
    size_t n = 0;
    int is_there = 0;
    enum status s = query_open(store, "SELECT name FROM llm ORDER BY llm_id", &q, err);
    if (s)
        return s;
    query_bind(q, "");
    while (!(s = query_next(q, err)) && query_has_row(q)) {
        is_there |= text_equal(query_text(q, 0), price->llm);
        if (n < MAX_SUGGESTED && (copies[n] = text_copy(query_text(q, 0)))) {
            names[n] = copies[n];
            n++;
        }
    }
    query_close(q);
    if (!s && !is_there) {
        const char *near = text_nearest(price->llm, names, n);
        s = error_set(err, E_DATA,
            "%s: a price for the llm \"%s\", which %s does not have%s%s%s; leave the row "
            "out, or add the llm with m4a1 init",
            path, price->llm, store_path(store), near ? " (did you mean \"" : "",
            near ? near : "", near ? "\"?)" : "");
    }
    while (n)
        free(copies[--n]);
    return s;
}

enum status recipe_add_prices(struct store *store, const char *path, int64_t *n_added,
    struct buffer *problems, struct error *err)
{
    struct recipe *recipe = NULL;
    int64_t before = 0, after = 0;
    *n_added = 0;
    enum status s = load_prices(store, path, &recipe, problems, err);
    if (s)
        return s;
    struct applying a = { store, recipe, clock_wall_ms(), err };
    s = store_begin(store, err);
    if (!s)
        s = store_int(store, 0, &before, err, "SELECT count(*) FROM price", "");
    for (size_t i = 0; i < recipe->n_prices && !s; i++) {
        s = check_priced_llm(store, path, &recipe->prices[i], err);
        if (!s)
            s = apply_price(&a, &recipe->prices[i]);
    }
    if (!s)
        s = store_int(store, 0, &after, err, "SELECT count(*) FROM price", "");
    if (!s)
        s = store_commit(store, err);
    if (s)
        store_rollback(store);
    *n_added = s ? 0 : after - before;
    recipe_free(recipe);
    return s;
}
