/* sim_case.c - parse, match with the recipe, release. */
#include "tests/support/sim_case.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"

struct recipe *sim_recipe(void)
{
    struct recipe *recipe;
    return recipe_load("m4a1", &recipe, NULL, NULL) == OK ? recipe : NULL;
}

const char *sim_prompt(const struct recipe *recipe, const char *task)
{
    for (size_t i = 0; i < recipe->n_prompts; i++)
        if (text_equal(recipe->prompts[i].task, task))
            return recipe->prompts[i].text;
    return NULL;
}

int sim_case_read(
    const char *body, size_t len, struct sim_request *out, struct sim_error *error)
{
    const struct sim_route route = { "", 0 };
    return sim_protocol_read(&sim_openai_chat, &route, NULL, body, len, out, error);
}

int sim_case_open(
    struct sim_case *c, uint64_t seed, const struct recipe *recipe, char *body)
{
    struct sim_error error;
    memset(c, 0, sizeof *c);
    c->body = body;
    return body && sim_case_read(body, strlen(body), &c->request, &error) &&
           sim_ask_init(&c->ask, seed, recipe, &c->request);
}

void sim_case_close(struct sim_case *c)
{
    sim_request_release(&c->request);
    free(c->body);
}
