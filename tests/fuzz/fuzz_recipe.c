/* fuzz_recipe.c - any bytes as a recipe: refused with a list, or loaded and sound. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schema/recipe.h"
#include "schema/recipe_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A loaded recipe keeps its promises, and its text loads again to the same. */
static void check(const struct recipe *r)
{
    struct recipe *again;
    if (!r->name || !r->n_views || r->n_views > RECIPE_MAX_VIEWS || !r->n_tasks ||
        !r->n_prompts || !r->n_llms || !r->frames.at_s || !r->n_actions)
        abort();
    for (size_t i = 0; i < r->n_prompts; i++)
        if (!r->prompts[i].task || !r->prompts[i].text)
            abort();
    for (size_t i = 0; i < r->n_llms; i++)
        if (!r->llms[i].identity || !r->llms[i].url || r->llms[i].slots < 1)
            abort();
    for (size_t i = 0; i < r->n_actions; i++)
        for (size_t k = 0; k < r->actions[i].n_sets; k++)
            if (r->n_views < 32 && r->actions[i].sets[k] >> r->n_views)
                abort();
    if (recipe_parse("again", NULL, r->text, strlen(r->text), &again, NULL, NULL))
        abort();
    if (again->n_llms != r->n_llms || strcmp(again->name, r->name) != 0)
        abort();
    recipe_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recipe *recipe;
    struct buffer problems;
    struct error err = ERROR_INIT;
    buffer_init(&problems, (size_t)1 << 24);
    enum status s =
        recipe_parse("recipe", NULL, (const char *)data, size, &recipe, &problems, &err);
    if (s == E_DATA && !problems.len)
        abort();
    if (!s)
        check(recipe);
    else if (recipe || !err.msg[0])
        abort();
    recipe_free(recipe);
    buffer_release(&problems);
    return 0;
}
