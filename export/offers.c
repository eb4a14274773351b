/* offers.c - from the recipe's actions to the sets that a dialogue can come to hold. */
#include "export/offers.h"

#include <stdlib.h>

#include "m4a1/base/text.h"
#include "schema/accepts.h"
#include "schema/query.h"
#include "schema/recipe.h"

/* The recipe beside the data set whose views it is asked about. */
struct terms {
    const struct dataset *data;
    const struct recipe *recipe;
    struct accepts_view views[ACCEPTS_MAX_VIEWS]; /* as the data set numbers them */
};

/* Some of the recipe's views as the data set numbers them. */
static uint32_t in_data(const struct terms *t, uint32_t set)
{
    uint32_t out = 0;
    for (size_t i = 0; i < t->recipe->n_views; i++)
        for (size_t v = 0; v < t->data->n_views && (set >> i & 1); v++)
            if (text_equal(t->recipe->views[i].name, t->data->views[v]))
                out |= UINT32_C(1) << v;
    return out;
}

/* What the recipe says of the data set's views; one that it does not name is an image. */
static void describe_views(struct terms *t)
{
    for (size_t v = 0; v < t->data->n_views; v++) {
        t->views[v] = (struct accepts_view) { t->data->views[v], VIEW_IMAGE, 1 };
        for (size_t i = 0; i < t->recipe->n_views; i++)
            if (text_equal(t->recipe->views[i].name, t->data->views[v]))
                t->views[v] = recipe_accepts_view(t->recipe, i);
    }
}

/* True where the llm may add a set of views within `within`; *all gathers those sets. */
static int adds_within(
    const struct terms *t, const struct llm *llm, uint32_t within, uint32_t *all)
{
    const struct recipe_actions *actions = recipe_actions_of(t->recipe, llm->name);
    uint32_t sent = accepts_sent(llm->accepts, t->views, within);
    int any = 0;
    if (!actions || actions->all_subsets) {
        *all |= sent;
        return sent != 0;
    }
    for (size_t i = 0; i < actions->n_sets; i++) {
        uint32_t set = in_data(t, actions->sets[i]);
        if (set && (set & ~within) == 0 &&
            accepts_action(llm->accepts, t->views, set, 0, 1, NULL)) {
            *all |= set;
            any = 1;
        }
    }
    return any;
}

/* The llm adds some of the set itself, and all llms together add all of it. */
static int can_list(const struct terms *t, const struct llm *llm, uint32_t set)
{
    const struct recipe *recipe = t->recipe;
    uint32_t reached = 0;
    if (set == 0)
        return 1;
    uint32_t sent = accepts_sent(llm->accepts, t->views, set);
    if (recipe->history.keep_images && !accepts_all(llm->accepts, t->views, sent, NULL))
        return 0;
    if (!adds_within(t, llm, set, &reached))
        return 0;
    for (size_t i = 0; i < recipe->n_llms; i++)
        if (recipe->llms[i].role == LLM_LOCAL || recipe->llms[i].role == LLM_CLOUD)
            adds_within(t, &recipe->llms[i], set, &reached);
    return reached == set;
}

static void follow_recipe(const struct terms *t, char *possible)
{
    size_t n_sets = (size_t)1 << t->data->n_views;
    for (size_t l = 0; l < t->data->n_llms; l++)
        for (size_t i = 0; i < t->recipe->n_llms; i++)
            if (text_equal(t->recipe->llms[i].name, t->data->llms[l].name))
                for (uint32_t set = 0; set < n_sets; set++)
                    possible[l * n_sets + set] =
                        (char)can_list(t, &t->recipe->llms[i], set);
}

/* The recipe of the store at path, or NULL where there is none. */
static enum status read_recipe(
    const char *path, struct recipe **recipe, struct error *err)
{
    struct store *store;
    int64_t n = 0;
    *recipe = NULL;
    if (!store_is_database(path))
        return OK;
    enum status s = store_open(path, STORE_READ, &store, err);
    if (s)
        return s;
    s = store_int(store, 0, &n, err, "SELECT count(*) FROM recipe", "");
    if (!s && n)
        s = recipe_of_store(store, recipe, err);
    store_close(store);
    return s;
}

enum status offers_of_data(const struct dataset *data, char **possible, struct error *err)
{
    *possible = NULL;
    if (data->n_views > OFFERS_MAX_VIEWS)
        return error_set(err, E_ARG, "%zu views have too many sets; %d is the most",
            data->n_views, OFFERS_MAX_VIEWS);
    struct recipe *recipe;
    enum status s = read_recipe(data->source, &recipe, err);
    if (s)
        return s;
    size_t n_sets = (size_t)1 << data->n_views;
    char *table = calloc(data->n_llms * n_sets + 1, 1);
    if (!table) {
        recipe_free(recipe);
        return error_nomem(err, data->n_llms * n_sets);
    }
    for (size_t l = 0; l < data->n_llms; l++)
        for (size_t set = 0; set < n_sets; set++)
            table[l * n_sets + set] = data->llms[l].cloud || set == 0;
    struct terms terms = { .data = data, .recipe = recipe };
    if (recipe)
        describe_views(&terms);
    if (recipe)
        follow_recipe(&terms, table);
    recipe_free(recipe);
    *possible = table;
    return OK;
}
