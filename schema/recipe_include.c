/* recipe_include.c - from a recipe file to one self-contained document.
 *
 * It parses the file and puts the content of every file that it names in place of the
 * name: "prompts_file", "prices" as a file, and prompt texts as {"file": ...}.  It
 * remembers where each part came from, so that a mistake is told with the right file
 * and line.  It does not know what the parts mean. */
#include "schema/recipe_reader.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"

/* Takes file and text over; on failure frees them. */
static struct recipe_origin *add_origin(struct recipe_reader *r, const char *path,
    char *file, char *text, size_t len, enum origin_form form)
{
    struct recipe_origin *all =
        realloc(r->origins, (r->n_origins + 1) * sizeof *r->origins);
    char *name = text_copy(path);
    if (all)
        r->origins = all;
    if (!all || !name || !file || !text) {
        free(name);
        free(file);
        free(text);
        r->out_of_memory = 1;
        return NULL;
    }
    struct recipe_origin *o = &r->origins[r->n_origins++];
    *o = (struct recipe_origin) { name, file, text, len, form, NULL, 0 };
    return o;
}

/* The path of a file that the recipe names, from the recipe's folder. */
static char *resolve(const struct recipe_reader *r, const char *name)
{
    if (*name == '/' || !r->folder || !strcmp(r->folder, "."))
        return text_copy(name);
    return path_join(r->folder, name);
}

/* Read the file that j names; NULL where it is told as a mistake (or out of memory). */
static struct recipe_origin *read_named(struct recipe_reader *r, const struct json *j,
    const char *path, const char *origin_path, const char *what)
{
    if (!json_is_string(j) || !*json_text(j, "")) {
        recipe_wrong(r, path, j, "the name of %s", what);
        return NULL;
    }
    if (!r->folder) {
        recipe_mistake(r, path, "expected the content of %s, found a file name", what);
        return NULL;
    }
    char *file = resolve(r, json_text(j, ""));
    struct buffer content;
    struct error why = ERROR_INIT;
    buffer_init(&content, RECIPE_MAX_BYTES);
    if (!file) {
        r->out_of_memory = 1;
        return NULL;
    }
    if (file_read(file, &content, &why)) {
        recipe_mistake(r, path, "expected %s that can be read: %s", what, why.msg);
        buffer_release(&content);
        free(file);
        return NULL;
    }
    if (!content.len)
        buffer_add_str(&content, ""); // so that there is a text
    size_t len;
    char *text = buffer_detach(&content, &len);
    if (!text)
        text = text_copy("");
    return add_origin(r, origin_path, file, text, len, ORIGIN_TEXT);
}

/* One JSON value a line, empty lines skipped, as an array with the line of each. */
static struct json *parse_lines(struct recipe_reader *r, struct recipe_origin *o)
{
    struct json *all = json_new_array();
    size_t n_max = 1, start = 0;
    for (size_t i = 0; i < o->len; i++)
        n_max += o->text[i] == '\n';
    o->lines = recipe_alloc(r, n_max, sizeof *o->lines);
    if (!all || !o->lines) {
        r->out_of_memory = 1;
        json_free(all);
        return NULL;
    }
    for (int line = 1; start < o->len; line++) {
        const char *end = memchr(o->text + start, '\n', o->len - start);
        size_t stop = end ? (size_t)(end - o->text) : o->len;
        size_t ink = start;
        while (ink < stop && strchr(" \t\r", o->text[ink]) && o->text[ink])
            ink++;
        if (ink < stop) {
            struct json *record = NULL;
            struct error why = ERROR_INIT;
            if (json_parse(o->text + start, stop - start, o->file, JSON_UNIQUE_KEYS,
                    &record, &why))
                recipe_mistake(r, o->path, "expected JSON in line %d: %s", line, why.msg);
            else if (!json_add_copy(all, record))
                r->out_of_memory = 1;
            else
                o->lines[o->n_lines++] = line;
            json_free(record);
        }
        start = stop + 1;
    }
    return all;
}

/* The array that a file holds: JSON (comments allowed) or JSON lines. */
static struct json *parse_list(struct recipe_reader *r, struct recipe_origin *o)
{
    struct json *j = NULL;
    struct error why = ERROR_INIT;
    size_t ink = 0;
    while (ink < o->len && o->text[ink] && strchr(" \t\r\n", o->text[ink]))
        ink++;
    if (ink < o->len && o->text[ink] == '{') {
        o->form = ORIGIN_JSON_LINES;
        return parse_lines(r, o);
    }
    if (json_parse(o->text, o->len, o->file, RECIPE_JSON_FLAGS, &j, &why)) {
        recipe_mistake(r, o->path, "expected a JSON list or JSON lines: %s", why.msg);
        return NULL;
    }
    o->form = ORIGIN_JSON;
    return j;
}

/* Replace member key of object with the list in the file that j names. */
static void include_list(struct recipe_reader *r, struct json *object,
    const struct json *j, const char *from, const char *key, const char *what)
{
    struct recipe_origin *o = read_named(r, j, from, key, what);
    struct json *list = o ? parse_list(r, o) : NULL;
    if (!list && !strcmp(key, "prompts"))
        r->prompts_unread = 1;
    else if (!list)
        r->prices_unread = 1;
    json_remove(object, from);
    if (list && !json_set_copy(object, key, list))
        r->out_of_memory = 1;
    r->included = 1;
    json_free(list);
}

/* Replace {"file": NAME} in member key of object with the file's text. */
static void include_text(
    struct recipe_reader *r, struct json *object, const char *path, const char *key)
{
    static const char *const keys[] = { "file" };
    char sub[RECIPE_PATH], name_path[RECIPE_PATH];
    const struct json *j = json_get(object, key);
    if (!json_is_object(j))
        return;
    recipe_path(sub, path, key);
    recipe_path(name_path, sub, "file");
    recipe_known_keys(r, j, sub, keys, COUNT_OF(keys));
    struct recipe_origin *o =
        read_named(r, json_get(j, "file"), name_path, sub, "a text file");
    if (o && text_utf8_valid(o->text, o->len) < o->len)
        recipe_mistake(r, sub, "expected a UTF-8 text, found other bytes from offset %zu",
            text_utf8_valid(o->text, o->len));
    else if (o && memchr(o->text, '\0', o->len))
        recipe_mistake(r, sub, "expected a text, found a NUL byte in it");
    json_remove(object, key);
    // A text that could not be read is told; "?" keeps the later steps quiet about it.
    if (!json_set_text(object, key, o ? o->text : "?"))
        r->out_of_memory = 1;
    r->included = 1;
}

/* The document is the reader's own, so its parts may be changed. */
static struct json *part(struct json *object, const char *key)
{
    return (struct json *)json_get(object, key);
}

/* A script of sessions and a policy stay files; the name is made absolute, so that the
 * store's copy of the recipe finds it from anywhere. */
static void keep_file(struct recipe_reader *r, const char *object, const char *key)
{
    char path[RECIPE_PATH];
    struct json *parent = part(r->root, object);
    const struct json *j = json_get(parent, key);
    if (!json_is_string(j) || !*json_text(j, "") || !r->folder)
        return;
    char *file = resolve(r, json_text(j, ""));
    char *absolute = file ? realpath(file, NULL) : NULL;
    if (!file) {
        r->out_of_memory = 1;
    } else if (!absolute || file_is_folder(absolute)) {
        recipe_wrong(
            r, recipe_path(path, object, key), j, "the name of a file that is there");
    } else if (strcmp(absolute, json_text(j, "")) != 0) {
        json_remove(parent, key);
        if (!json_set_text(parent, key, absolute))
            r->out_of_memory = 1;
        r->included = 1;
    }
    free(absolute);
    free(file);
}

static void include_texts(struct recipe_reader *r)
{
    char path[RECIPE_PATH];
    struct json *llms = part(r->root, "llms");
    struct json *annotate = part(r->root, "annotate");
    include_text(r, r->root, "", "system_prompt");
    if (json_is_object(llms))
        for (const struct json *c = json_first(llms); c; c = json_next(c)) {
            recipe_path(path, "llms", json_key(c));
            if (json_is_object(c))
                include_text(r, (struct json *)c, path, "system_prompt");
        }
    if (json_is_object(json_get(annotate, "judge")))
        include_text(r, part(annotate, "judge"), "annotate.judge", "template");
}

enum status recipe_include(struct recipe_reader *r, const char *name, const char *text,
    size_t len, struct error *err)
{
    enum status s = json_parse(text, len, name, RECIPE_JSON_FLAGS, &r->root, err);
    if (s)
        return s;
    if (!json_is_object(r->root))
        return error_set(
            err, E_DATA, "%s:1: expected an object { ... } with the recipe", name);
    if (!add_origin(r, "", text_copy(name), text_copy_n(text, len), len, ORIGIN_JSON))
        return error_nomem(err, len);

    const struct json *prompts = json_get(r->root, "prompts_file");
    if (prompts && json_get(r->root, "prompts")) {
        recipe_mistake(r, "prompts_file",
            "expected either \"prompts\" or \"prompts_file\", found both");
        json_remove(r->root, "prompts_file");
    } else if (prompts) {
        include_list(r, r->root, prompts, "prompts_file", "prompts", "a file of prompts");
    }
    if (json_is_string(json_get(r->root, "prices")))
        include_list(r, r->root, json_get(r->root, "prices"), "prices", "prices",
            "a file of prices");
    include_texts(r);
    keep_file(r, "sessions", "script");
    keep_file(r, "plan", "policy");
    return r->out_of_memory ? error_nomem(err, len) : OK;
}
