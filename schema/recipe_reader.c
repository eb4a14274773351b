/* recipe_reader.c - mistakes with file and line, and the values that most parts of a
 * recipe are made of.  It knows JSON and origins, nothing of views or llms. */
#include "schema/recipe_reader.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "m4a1/base/json_text.h"
#include "m4a1/base/text.h"
#include "schema/secret_shape.h"

#define SHOWN_TEXT 40 /* bytes of a text that a message repeats */

static const char *const secret_names[] = { "key", "api_key", "apikey", "api-key",
    "x-api-key", "authorization", "bearer", "token", "access_token", "secret",
    "password" };

const char *recipe_path(char *buf, const char *path, const char *key)
{
    snprintf(buf, RECIPE_PATH, "%s%s%s", path, *path ? "." : "", key);
    return buf;
}

const char *recipe_path_at(char *buf, const char *path, size_t i)
{
    snprintf(buf, RECIPE_PATH, "%s[%zu]", path, i);
    return buf;
}

/* The origin that holds path: the one with the longest name that path begins with. */
static const struct recipe_origin *origin_of(
    const struct recipe_reader *r, const char *path, const char **rest)
{
    const struct recipe_origin *best = NULL;
    size_t best_len = 0;
    for (size_t i = 0; i < r->n_origins; i++) {
        const struct recipe_origin *o = &r->origins[i];
        size_t len = strlen(o->path);
        int inside =
            !len || (!strncmp(path, o->path, len) && strchr(".[", path[len]) != NULL);
        if (inside && (!best || len >= best_len)) {
            best = o;
            best_len = len;
        }
    }
    *rest = path + best_len;
    if (best_len && **rest == '.')
        ++*rest;
    return best;
}

static int origin_line(const struct recipe_origin *o, const char *rest)
{
    if (o->form == ORIGIN_JSON)
        return json_line(o->text, o->len, RECIPE_JSON_FLAGS, rest);
    if (o->form == ORIGIN_JSON_LINES && *rest == '[') {
        size_t i = (size_t)strtoul(rest + 1, NULL, 10);
        if (i < o->n_lines)
            return o->lines[i];
    }
    return 1;
}

int recipe_is_full(const struct recipe_reader *r)
{
    return r->n_problems >= RECIPE_MAX_PROBLEMS;
}

/* Takes the text over: "FILE:LINE: PATH: WORDS\n". */
static void add_line(struct recipe_reader *r, char *text)
{
    if (!text) {
        r->out_of_memory = 1;
        return;
    }
    for (char *p = text; p[1]; p++) // keys may hold line breaks, a mistake is one line
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    secret_shape_hide(text, strlen(text));
    // A value that two llms share through "like" is one mistake, not two.
    if (!strstr(buffer_str(&r->problems), text)) {
        r->n_problems++;
        buffer_add_str(&r->problems, text);
    }
    free(text);
}

static void add_problem(struct recipe_reader *r, const char *path, const char *words)
{
    if (recipe_is_full(r)) { // to find the line of each of 20,000 would take long
        r->n_problems++;
        return;
    }
    const char *rest;
    const struct recipe_origin *o = origin_of(r, path, &rest);
    add_line(r, text_format("%s:%d: %s: %s\n", o ? o->file : "recipe",
                    o ? origin_line(o, rest) : 1, *path ? path : "(top)", words));
}

/* The beginning of a text, in quotes. */
static void copy_shown(char *out, size_t size, const char *s)
{
    size_t n = strlen(s), cut = n, at = 0, n_secret = 0;
    if (secret_shape_find(s, n, &at, &n_secret)) {
        snprintf(out, size, "%s", "\"(what looks like a key)\"");
        return;
    }
    if (n > SHOWN_TEXT) {
        cut = SHOWN_TEXT;
        while (cut && ((unsigned char)s[cut] & 0xc0) == 0x80)
            cut--;
    }
    snprintf(out, size, "\"%.*s%s\"", (int)cut, s, cut < n ? "..." : "");
}

static void describe(const struct json *j, char *out, size_t size)
{
    char number[32];
    if (!j)
        snprintf(out, size, "nothing");
    else if (json_is_null(j))
        snprintf(out, size, "null");
    else if (json_is_bool(j))
        snprintf(out, size, "%s", json_bool(j, 0) ? "true" : "false");
    else if (json_is_number(j))
        snprintf(out, size, "%s", text_double(json_number(j, 0), number));
    else if (json_is_string(j))
        copy_shown(out, size, json_text(j, ""));
    else if (json_is_array(j))
        snprintf(out, size, "a list of %zu", json_size(j));
    else
        snprintf(out, size, "an object");
}

void recipe_mistake(struct recipe_reader *r, const char *path, const char *fmt, ...)
{
    char words[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    add_problem(r, path, words);
}

void recipe_wrong(struct recipe_reader *r, const char *path, const struct json *found,
    const char *expected, ...)
{
    char what[768], seen[SHOWN_TEXT + 16];
    va_list args;
    if (!found && r->quiet_missing)
        return;
    va_start(args, expected);
    vsnprintf(what, sizeof what, expected, args);
    va_end(args);
    describe(found, seen, sizeof seen);
    recipe_mistake(r, path, "expected %s, found %s", what, seen);
}

static int is_secret_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(secret_names); i++)
        if (!strcasecmp(name, secret_names[i]))
            return 1;
    return 0;
}

void recipe_known_keys(struct recipe_reader *r, const struct json *object,
    const char *path, const char *const *keys, size_t n)
{
    char sub[RECIPE_PATH], name[SHOWN_TEXT + 16];
    for (const struct json *c = json_first(object); c; c = json_next(c)) {
        const char *key = json_key(c);
        size_t i = 0;
        while (i < n && strcmp(key, keys[i]))
            i++;
        if (i < n || is_secret_name(key)) // secrets are told by recipe_no_secrets
            continue;
        const char *near = recipe_is_full(r) ? NULL : text_nearest(key, keys, n);
        copy_shown(name, sizeof name, key);
        recipe_path(sub, path, key);
        if (near)
            recipe_mistake(r, sub,
                "expected a known key (did you mean \"%s\"?), found %s", near, name);
        else
            recipe_mistake(r, sub,
                "expected a known key (docs/recipe.md lists them), found %s", name);
    }
}

static void refuse_shape(struct recipe_reader *r, const char *text, const char *path)
{
    size_t at = 0, n = 0;
    const char *what = secret_shape_find(text, strlen(text), &at, &n);
    if (what)
        recipe_mistake(r, path,
            "expected no key in a recipe, found what looks like %s: put it into an "
            "environment variable, name that with \"key_env\", and treat the key as "
            "known to others if this file was shared",
            what);
}

void recipe_no_secrets(struct recipe_reader *r, const struct json *j, const char *path)
{
    char sub[RECIPE_PATH];
    size_t i = 0;
    for (const struct json *c = json_first(j); c; c = json_next(c), i++) {
        if (json_key(c))
            recipe_path(sub, path, json_key(c));
        else
            recipe_path_at(sub, path, i);
        if (json_key(c))
            refuse_shape(r, json_key(c), sub);
        if (json_key(c) && is_secret_name(json_key(c)))
            recipe_mistake(r, sub,
                "expected no key value in a recipe, found a member \"%s\": put the value "
                "into an environment variable and name that with \"key_env\"",
                json_key(c));
        else if (json_is_string(c))
            refuse_shape(r, json_text(c, ""), sub);
        else if (json_is_object(c) || json_is_array(c))
            recipe_no_secrets(r, c, sub);
    }
}

void recipe_no_secrets_in_comments(struct recipe_reader *r)
{
    const struct recipe_origin *o = r->n_origins ? &r->origins[0] : NULL;
    char *text = o ? text_copy_n(o->text, o->len) : NULL;
    if (!text) {
        r->out_of_memory |= o != NULL;
        return;
    }
    json_blank_comments(text, o->len);
    for (size_t i = 0; i < o->len; i++) // what was blanked stays, all else goes
        text[i] = o->text[i] == '\n' || text[i] != o->text[i] ? o->text[i] : ' ';
    size_t from = 0, at = 0, n = 0, line = 1;
    const char *what = NULL;
    while (!recipe_is_full(r) &&
           (what = secret_shape_find(text + from, o->len - from, &at, &n))) {
        for (size_t i = from; i < from + at; i++)
            line += text[i] == '\n';
        add_line(r, text_format("%s:%zu: (comment): expected no key in a recipe, found "
                                "what looks like %s: take it out\n",
                        o->file, line, what));
        from += at + n;
    }
    free(text);
}

void *recipe_alloc(struct recipe_reader *r, size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        r->out_of_memory = 1;
    return p;
}

char *recipe_copy(struct recipe_reader *r, const char *s)
{
    char *copy = text_copy(s);
    if (!copy)
        r->out_of_memory = 1;
    return copy;
}

/* True for a text with something to read in it. */
static int has_ink(const char *s)
{
    return s[strspn(s, " \t\r\n")] != '\0';
}

char *recipe_text(
    struct recipe_reader *r, const struct json *j, const char *path, const char *expected)
{
    if (!json_is_string(j) || !has_ink(json_text(j, ""))) {
        recipe_wrong(r, path, j, "%s", expected);
        return NULL;
    }
    return recipe_copy(r, json_text(j, ""));
}

int recipe_is_word(const char *s)
{
    size_t n =
        strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return n >= 1 && n <= 64 && !s[n];
}

char *recipe_word(
    struct recipe_reader *r, const struct json *j, const char *path, const char *expected)
{
    if (!json_is_string(j) || !recipe_is_word(json_text(j, ""))) {
        recipe_wrong(r, path, j, "%s (1 to 64 letters, digits and . _ -)", expected);
        return NULL;
    }
    return recipe_copy(r, json_text(j, ""));
}

int64_t recipe_int(struct recipe_reader *r, const struct json *j, const char *path,
    int64_t min, int64_t max, int64_t otherwise, const char *what)
{
    if (json_is_int(j) && json_int(j, 0) >= min && json_int(j, 0) <= max)
        return json_int(j, 0);
    recipe_wrong(r, path, j, "%s: a whole number from %lld to %lld", what, (long long)min,
        (long long)max);
    return otherwise;
}

double recipe_number(struct recipe_reader *r, const struct json *j, const char *path,
    double min, double max, double otherwise, const char *what)
{
    char low[32], high[32];
    if (json_is_number(j) && json_number(j, 0) >= min && json_number(j, 0) <= max)
        return json_number(j, 0);
    recipe_wrong(r, path, j, "%s: a number from %s to %s", what, text_double(min, low),
        text_double(max, high));
    return otherwise;
}

int recipe_bool(
    struct recipe_reader *r, const struct json *j, const char *path, int otherwise)
{
    if (json_is_bool(j))
        return json_bool(j, otherwise);
    recipe_wrong(r, path, j, "true or false");
    return otherwise;
}

int recipe_choice(struct recipe_reader *r, const struct json *j, const char *path,
    const char *const *names, size_t n)
{
    for (size_t i = 0; i < n && json_is_string(j); i++)
        if (text_equal(json_text(j, NULL), names[i]))
            return (int)i;
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < n && used < sizeof list; i++) {
        int k = snprintf(list + used, sizeof list - used, "%s\"%s\"",
            !i          ? ""
            : i + 1 < n ? ", "
                        : " or ",
            names[i]);
        used += (size_t)k;
    }
    recipe_wrong(r, path, j, "%s", list);
    return -1;
}

const struct json *recipe_object(struct recipe_reader *r, const struct json *parent,
    const char *path, const char *key, int required, const char *what)
{
    char sub[RECIPE_PATH];
    const struct json *j = json_get(parent, key);
    if (json_is_object(j))
        return j;
    if (j || required)
        recipe_wrong(r, recipe_path(sub, path, key), j, "%s", what);
    return NULL;
}

const struct json *recipe_list(struct recipe_reader *r, const struct json *parent,
    const char *path, const char *key, int required, const char *what)
{
    char sub[RECIPE_PATH];
    const struct json *j = json_get(parent, key);
    if (json_is_array(j) && json_size(j))
        return j;
    if (j || required)
        recipe_wrong(r, recipe_path(sub, path, key), j, "%s", what);
    return NULL;
}
