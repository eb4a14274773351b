/* recipe_mistakes.h - what a recipe's loader cannot know is wrong, since it knows no
 * protocol: for the verb init, so that no plan is made that could not be collected. */
#ifndef M4A1_CLI_RECIPE_MISTAKES_H
#define M4A1_CLI_RECIPE_MISTAKES_H

#include "m4a1/base/buffer.h"
#include "schema/recipe.h"

/* E_DATA where an llm names no known protocol, or has options or parameters that cannot be
 * sent, or no bound of its answers' length though a cap holds and answers cost, or is a
 * reference that cannot take every view.  Lines as recipe_load() writes them are put at the
 * end of problems. */
MUST_CHECK enum status recipe_mistakes(
    const struct recipe *recipe, struct buffer *problems, struct error *err);

#endif
