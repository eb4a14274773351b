/* recipe_mistakes.c - see recipe_mistakes.h. */
#include "m4a1/cli/recipe_mistakes.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/bounds.h"
#include "collectors/llm/protocol.h"
#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

#define RECIPE_FILE_MAX ((size_t)64 << 20)

struct telling {
    const struct recipe *recipe;
    struct buffer file; /* empty for the built-in recipe */
    struct buffer *problems;
    size_t n;
    int failed; /* out of memory */
};

/* Where the mistake is (path is taken over); what it is comes behind it. */
static void tell_place(struct telling *t, char *path)
{
    t->n++;
    if (!path) {
        t->failed = 1;
        return;
    }
    int line = json_line(
        buffer_str(&t->file), t->file.len, JSON_COMMENTS | JSON_UNIQUE_KEYS, path);
    buffer_printf(t->problems, "%s:%d: %s: ", t->recipe->path, line, path);
    free(path);
}

/* Where in an llm the protocol's complaint is about; owned by the caller. */
static char *place_of(const struct protocol *p, const struct llm *llm)
{
    const char *bound = protocol_wrong_bound(llm);
    if (!p)
        return text_format("llms.%s.protocol", llm->name);
    if (protocol_check_options(p, llm, NULL))
        return text_format("llms.%s.options", llm->name);
    return text_format(
        "llms.%s.parameters%s%s", llm->name, bound ? "." : "", bound ? bound : "");
}

static void check_protocol(struct telling *t, const struct llm *llm)
{
    struct error why = ERROR_INIT;
    const struct protocol *p = protocol_find(llm->protocol);
    if (!p) {
        tell_place(t, place_of(p, llm));
        buffer_printf(t->problems, "expected a protocol (%s), found \"%s\"\n",
            protocol_names(), llm->protocol);
    } else if (protocol_check(p, llm, &why)) {
        tell_place(t, place_of(p, llm));
        buffer_printf(t->problems, "%s\n", why.msg);
    }
}

/* A price of any day: the cap will have to hold when it begins, too. */
static void check_bound(struct telling *t, const struct llm *llm)
{
    const struct recipe *r = t->recipe;
    int64_t dearest = 0;
    for (size_t i = 0; i < r->n_prices; i++)
        if (text_equal(r->prices[i].llm, llm->name) && r->prices[i].output_pusd > dearest)
            dearest = r->prices[i].output_pusd;
    const char *key = bounds_missing(llm, r->plan.max_usd >= 0, dearest);
    if (!key)
        return;
    tell_place(t, text_format("llms.%s.parameters", llm->name));
    buffer_printf(t->problems, BOUNDS_SENTENCE "\n", key);
}

/* A reference is shown every view. */
static void check_reference(struct telling *t, const struct llm *llm)
{
    struct accepts_view views[ACCEPTS_MAX_VIEWS] = { { 0 } };
    struct accepts_why why;
    uint32_t all = 0;
    if (llm->role != LLM_REFERENCE)
        return;
    for (size_t i = 0; i < t->recipe->n_views && i < ACCEPTS_MAX_VIEWS; i++) {
        views[i] = recipe_accepts_view(t->recipe, i);
        all |= UINT32_C(1) << i;
    }
    if (accepts_action(llm->accepts, views, all, 0, 1, &why))
        return;
    tell_place(t, text_format("llms.%s.accepts", llm->name));
    accepts_explain(llm->name, views, &why,
        "as a reference, which is shown every view, it gets", t->problems);
    buffer_add_char(t->problems, '\n');
}

enum status recipe_mistakes(
    const struct recipe *recipe, struct buffer *problems, struct error *err)
{
    struct telling t = { .recipe = recipe, .problems = problems };
    buffer_init(&t.file, RECIPE_FILE_MAX);
    if (!file_exists(recipe->path) || file_read(recipe->path, &t.file, NULL))
        buffer_clear(&t.file);
    for (size_t i = 0; i < recipe->n_llms; i++) {
        check_protocol(&t, &recipe->llms[i]);
        check_bound(&t, &recipe->llms[i]);
        check_reference(&t, &recipe->llms[i]);
    }
    buffer_release(&t.file);
    if (t.failed)
        return error_nomem(err, 64);
    return t.n ? error_set(err, E_DATA,
                     "recipe %s has %zu mistake%s; mend them and try again", recipe->path,
                     t.n, text_s((int64_t)t.n))
               : OK;
}
