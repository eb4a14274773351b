/* sim_ask.c - match a request with the recipe: model to role, prompt text to task. */
#include "m4a1/simulate/sim_ask.h"

#include <stdio.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_judge.h"

static unsigned roles_of(const struct recipe *recipe, const char *model)
{
    unsigned roles = 0;
    for (size_t i = 0; i < recipe->n_llms; i++)
        if (text_equal(recipe->llms[i].model, model))
            roles |= 1u << recipe->llms[i].role;
    return roles;
}

const char *sim_model_find(const struct recipe *recipe, const char *model)
{
    for (size_t i = 0; i < recipe->n_llms; i++)
        if (text_equal(recipe->llms[i].model, model))
            return model;
    for (size_t i = 0; i < recipe->n_llms; i++)
        if (text_equal(
                json_text(json_get(recipe->llms[i].options, "deployment"), NULL), model))
            return recipe->llms[i].model;
    return model;
}

/* The longest prompt that occurs in text wins, so that one prompt may begin another. */
static const char *task_of(const struct recipe *recipe, const char *text)
{
    const char *task = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < recipe->n_prompts; i++) {
        const struct recipe_prompt *prompt = &recipe->prompts[i];
        size_t len = strlen(prompt->text);
        if (len > longest && strstr(text, prompt->text)) {
            longest = len;
            task = prompt->task;
        }
    }
    return task;
}

int sim_ask_init(struct sim_ask *ask, uint64_t seed, const struct recipe *recipe,
    const struct sim_request *request)
{
    const char *question = sim_request_question(request);
    unsigned roles = roles_of(recipe, request->model);
    *ask = (struct sim_ask) { seed, recipe, request, LLM_LOCAL, NULL };
    if (!roles)
        return 0;
    unsigned answering = roles & ~(1u << LLM_JUDGE);
    if (!answering || (answering != roles && sim_judge_marks(question))) {
        ask->role = LLM_JUDGE;
        return 1;
    }
    while (!(answering & 1u << ask->role))
        ask->role++;
    ask->task = task_of(recipe, question);
    return 1;
}

void sim_rng(
    struct rng *rng, const struct sim_ask *ask, const char *purpose, uint64_t times_seen)
{
    char stream[128];
    snprintf(stream, sizeof stream, "simulate/%s/%s", purpose, ask->request->identity);
    rng_init(rng, ask->seed, stream, times_seen);
}

void sim_rng_named(
    struct rng *rng, uint64_t seed, const char *purpose, const char *a, const char *b)
{
    /* The names may be long, so the stream carries their hash. */
    struct buffer names;
    char hash[HASH_HEX], stream[128];
    buffer_init(&names, SIZE_MAX / 2);
    (void)buffer_add(&names, a, strlen(a) + 1);
    (void)buffer_add_str(&names, b);
    hash_hex(buffer_str(&names), names.len, hash);
    buffer_release(&names);
    snprintf(stream, sizeof stream, "simulate/%s/%s", purpose, hash);
    rng_init(rng, seed, stream, 0);
}
