/* recipe_samples.h - a small recipe, variations of it, and a folder to try them in. */
#ifndef TESTS_SUPPORT_RECIPE_SAMPLES_H
#define TESTS_SUPPORT_RECIPE_SAMPLES_H

#include <stddef.h>
#include "schema/recipe.h"

#define TEXT_MAX ((size_t)1 << 20)

/* Views head and bench, tasks Query and Advice, llms phi, gpt and judge. */
extern const char small[];

/* text with the first from replaced by to (tests fail where it is not there); the caller
 * frees it. */
char *with(const char *text, const char *from, const char *to);
/* The same for several: from, to, from, to, ..., NULL. */
char *with_all(const char *text, ...);

/* Load text that must be right, as the file r.jsonc in no folder. */
struct recipe *good(const char *text);

struct folder {
    char path[64];
    char *files[8];
    size_t n;
};

/* cmocka's set-up and its end: *state is a struct folder that is there. */
int make_folder(void **state);
int remove_folder(void **state);

/* The path of a file in the folder, with this content (NULL: not written). */
const char *file_in(struct folder *f, const char *name, const char *content);

#endif
