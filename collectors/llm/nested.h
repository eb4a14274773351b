/* nested.h - parameters of protocols that keep most of them in an object of their own.
 *
 * Gemini has generationConfig, Bedrock inferenceConfig, Ollama options.  In a recipe they
 * may stand inside that object or, as is simpler, beside it; in the request they stand
 * inside. */
#ifndef COLLECTORS_LLM_NESTED_H
#define COLLECTORS_LLM_NESTED_H

#include <stddef.h>
#include "m4a1/base/error.h"
#include "m4a1/base/json.h"
#include "schema/llm.h"

struct nested {
    const char *inside;       /* the object's name */
    const char *const *outer; /* [n_outer] parameters that stand beside it */
    size_t n_outer;
};

/* A parameter, inside the object or beside it; NULL where it is not said. */
const struct json *nested_get(
    const struct nested *n, const struct llm *llm, const char *key);

/* The bound of an answer's tokens that such a parameter sets; -1 = none. */
int64_t nested_bound(const struct nested *n, const struct llm *llm, const char *key);

/* E_ARG where the object is none, or a parameter is said twice. */
MUST_CHECK enum status nested_check(
    const struct nested *n, const struct llm *llm, struct error *err);

/* Put all parameters of the llm into a request; an object without any is left out.  What
 * root has already gives way.  Returns false when out of memory. */
int nested_put(const struct nested *n, const struct llm *llm, struct json *root);

#endif
