/* experiment_members.c - one reader a type. */
#include "m4a1/tmo/experiment_members.h"

#include <string.h>

#include "m4a1/base/text.h"

#define NAME_MAX_BYTES 100
#define LIST_MAX 1000

static size_t place_of(const char *name, const char *const *names)
{
    size_t i = 0;
    while (names[i] && strcmp(names[i], name) != 0)
        i++;
    return i;
}

static void add_names(const char *const *names, const char *quote, struct buffer *out)
{
    for (size_t i = 0; names[i]; i++)
        buffer_printf(out, "%s%s%s%s", i ? ", " : "", quote, names[i], quote);
}

enum status members_known(const struct json *object, const char *where,
    const char *const *names, struct error *err)
{
    if (!json_is_object(object))
        return error_set(err, E_DATA, "%s: expected an object", where);
    for (const struct json *c = json_first(object); c; c = json_next(c)) {
        if (names[place_of(json_key(c), names)])
            continue;
        struct buffer list;
        buffer_init(&list, LIST_MAX);
        add_names(names, "", &list);
        (void)error_set(err, E_DATA, "%s: \"%s\" is unknown; there are %s", where,
            json_key(c), buffer_str(&list));
        buffer_release(&list);
        return E_DATA;
    }
    return OK;
}

enum status member_text(const struct json *object, const char *key, const char *where,
    const char **out, struct error *err)
{
    const struct json *j = json_get(object, key);
    if (!json_is_string(j) || !*json_text(j, ""))
        return error_set(
            err, E_DATA, "%s: \"%s\" is a text that must be there", where, key);
    *out = json_text(j, "");
    return OK;
}

enum status member_choice(const struct json *object, const char *key, const char *where,
    const char *const *names, size_t *out, struct error *err)
{
    const struct json *j = json_get(object, key);
    if (!j)
        return OK;
    size_t i = place_of(json_text(j, ""), names);
    if (names[i]) {
        *out = i;
        return OK;
    }
    struct buffer list;
    buffer_init(&list, LIST_MAX);
    add_names(names, "\"", &list);
    (void)error_set(
        err, E_DATA, "%s: \"%s\" is one of %s", where, key, buffer_str(&list));
    buffer_release(&list);
    return E_DATA;
}

enum status member_object(const struct json *object, const char *key, const char *where,
    const struct json **out, struct error *err)
{
    const struct json *j = json_get(object, key);
    if (j && !json_is_object(j))
        return error_set(err, E_DATA, "%s: \"%s\" is an object", where, key);
    *out = j ? j : *out;
    return OK;
}

enum status member_flag(const struct json *object, const char *key, const char *where,
    int *out, struct error *err)
{
    const struct json *j = json_get(object, key);
    if (j && !json_is_bool(j))
        return error_set(err, E_DATA, "%s: \"%s\" is true or false", where, key);
    *out = json_bool(j, *out);
    return OK;
}

enum status member_number(const struct json *object, const char *key, const char *where,
    double *out, struct error *err)
{
    const struct json *j = json_get(object, key);
    if (j && !json_is_number(j))
        return error_set(err, E_DATA, "%s: \"%s\" is a number", where, key);
    *out = json_number(j, *out);
    return OK;
}

enum status member_list(const struct json *object, const char *key, const char *where,
    const struct json **out, struct error *err)
{
    const struct json *j = json_get(object, key);
    if (j && !json_is_array(j))
        return error_set(err, E_DATA, "%s: \"%s\" is a list", where, key);
    *out = j ? j : *out;
    return OK;
}

enum status member_file_name(const struct json *object, const char *key,
    const char *where, const char **out, struct error *err)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789-_.";
    enum status s = member_text(object, key, where, out, err);
    if (s)
        return s;
    size_t n = strlen(*out);
    if (**out == '.' || strspn(*out, good) != n || n > NAME_MAX_BYTES)
        return error_set(err, E_DATA,
            "%s: \"%s\" is \"%.*s\", and becomes a file's name: at most %d letters, "
            "digits, - _ and . without / or spaces, and not beginning with a dot",
            where, key, NAME_MAX_BYTES, *out, NAME_MAX_BYTES);
    return OK;
}
