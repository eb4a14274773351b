/* nested.c - see nested.h. */
#include "collectors/llm/nested.h"

#include "m4a1/base/text.h"

static int is_outer(const struct nested *n, const char *key)
{
    for (size_t i = 0; i < n->n_outer; i++)
        if (text_equal(key, n->outer[i]))
            return 1;
    return 0;
}

const struct json *nested_get(
    const struct nested *n, const struct llm *llm, const char *key)
{
    const struct json *j = json_get(llm->parameters, key);
    return j ? j : json_get(json_get(llm->parameters, n->inside), key);
}

int64_t nested_bound(const struct nested *n, const struct llm *llm, const char *key)
{
    int64_t bound = json_int(nested_get(n, llm, key), -1);
    return bound < 0 ? -1 : bound;
}

enum status nested_check(const struct nested *n, const struct llm *llm, struct error *err)
{
    const struct json *inside = json_get(llm->parameters, n->inside);
    if (inside && !json_is_object(inside))
        return error_set(err, E_ARG, "llm \"%s\": parameter \"%s\" has to be an object",
            llm->name, n->inside);
    for (const struct json *j = json_first(inside); j; j = json_next(j))
        if (json_get(llm->parameters, json_key(j)))
            return error_set(err, E_ARG,
                "llm \"%s\": parameter \"%s\" is said twice, inside %s and beside it; "
                "leave one out",
                llm->name, json_key(j), n->inside);
    return OK;
}

int nested_put(const struct nested *n, const struct llm *llm, struct json *root)
{
    const struct json *given = json_get(llm->parameters, n->inside);
    struct json *inside =
        given ? json_set_copy(root, n->inside, given) : json_set_object(root, n->inside);
    int ok = inside != NULL;
    for (const struct json *p = json_first(llm->parameters); ok && p; p = json_next(p)) {
        if (text_equal(json_key(p), n->inside))
            continue;
        struct json *to = is_outer(n, json_key(p)) ? root : inside;
        json_remove(to, json_key(p));
        ok = json_set_copy(to, json_key(p), p) != NULL;
    }
    if (ok && !json_size(inside))
        json_remove(root, n->inside);
    return ok;
}
