/* json.c - parsing and building JSON values over cJSON (json_text.c prints them).
 *
 * A struct json is a cJSON item under another name, so that no other file includes
 * cJSON's header. */
#include "m4a1/base/json.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "m4a1/base/json_escape.h"
#include "m4a1/base/json_text.h"
#include "m4a1/base/text.h"

#define INT_EXACT 9007199254740992.0 /* 2^53, which may stand for a rounded 2^53 + 1 */

static cJSON *item(const struct json *j)
{
    return (cJSON *)(uintptr_t)j;
}

static struct json *wrap(const cJSON *c)
{
    return (struct json *)(uintptr_t)c;
}

static enum status error_at(
    struct error *err, const char *name, const char *text, size_t at, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return error_set(err, E_DATA, "%s:%zu:%zu: %s", name, line, column, what);
}

/* What no JSON text may hold, wherever cJSON would stop reading. */
static enum status check_text(
    const char *text, size_t len, const char *name, struct error *err)
{
    const char *nul = memchr(text, '\0', len);
    if (nul)
        return error_at(err, name, text, (size_t)(nul - text), "a NUL byte");
    size_t valid = text_utf8_valid(text, len);
    return valid < len ? error_at(err, name, text, valid, "not UTF-8") : OK;
}

static enum status check_escapes(
    const char *text, size_t len, const char *name, struct error *err)
{
    size_t at = 0;
    switch (json_escape_check(text, len, &at)) {
    case JSON_ESCAPE_BROKEN:
        return error_at(err, name, text, at, "\\u without four digits behind it");
    case JSON_ESCAPE_NUL: return error_at(err, name, text, at, "an escaped NUL");
    case JSON_ESCAPE_HALF:
        return error_at(err, name, text, at, "half of a surrogate pair");
    default: return OK;
    }
}

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, since an object may have tens of thousands of members. */
static enum status check_keys(const cJSON *object, const char **wrong, struct error *err)
{
    size_t n = 0, n_children = (size_t)cJSON_GetArraySize(object);
    if (n_children < 2)
        return OK;
    const char **keys = malloc(n_children * sizeof *keys);
    if (!keys)
        return error_nomem(err, n_children * sizeof *keys);
    for (const cJSON *child = object->child; child; child = child->next)
        keys[n++] = child->string;
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n && !*wrong; i++)
        if (!strcmp(keys[i - 1], keys[i]))
            *wrong = "the same key twice in one object";
    free(keys);
    return OK;
}

/* Sets *wrong to the first thing below c that JSON or the flags forbid. */
static enum status check_items(
    cJSON *c, unsigned flags, const char **wrong, struct error *err)
{
    enum status s = OK;
    if (cJSON_IsNumber(c) && !isfinite(c->valuedouble)) {
        if (flags & JSON_MEND)
            c->valuedouble = c->valuedouble < 0 ? -DBL_MAX : DBL_MAX;
        else
            *wrong = "a number out of range";
    }
    if ((flags & JSON_UNIQUE_KEYS) && cJSON_IsObject(c))
        s = check_keys(c, wrong, err);
    for (cJSON *child = c->child; child && !*wrong && !s; child = child->next)
        s = check_items(child, flags, wrong, err);
    return s;
}

static enum status parse_clean(const char *text, size_t len, const char *name,
    unsigned flags, struct json **out, struct error *err)
{
    const char *end = NULL, *wrong = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text, len, &end, 0);
    size_t at = end ? (size_t)(end - text) : 0;
    if (!root)
        return error_at(err, name, text, at < len ? at : len,
            at >= len ? "ends before the JSON value does" : "not JSON from here on");
    while (at < len && is_space(text[at]))
        at++;
    enum status s = OK;
    if (at < len)
        s = error_at(err, name, text, at, "text behind the JSON value");
    if (!s)
        s = check_items(root, flags, &wrong, err);
    if (!s && wrong)
        s = error_set(err, E_DATA, "%s: %s", name, wrong);
    if (s)
        cJSON_Delete(root);
    else
        *out = wrap(root);
    return s;
}

/* True where the text has what JSON_MEND is for. */
static int needs_mending(const char *text, size_t len)
{
    size_t at = 0;
    enum json_escape found = json_escape_check(text, len, &at);
    return found == JSON_ESCAPE_NUL || found == JSON_ESCAPE_HALF;
}

enum status json_parse(const char *text, size_t len, const char *name, unsigned flags,
    struct json **out, struct error *err)
{
    *out = NULL;
    char *copy = NULL;
    enum status s = check_text(text, len, name, err);
    int mends = !s && (flags & JSON_MEND) && needs_mending(text, len);
    if (!s && (mends || (flags & JSON_COMMENTS))) {
        copy = text_copy_n(text, len);
        if (!copy)
            return error_nomem(err, len);
        text = copy;
    }
    if (copy && (flags & JSON_COMMENTS))
        json_blank_comments(copy, len);
    if (mends)
        len = json_escape_mend(copy, len);
    if (!s)
        s = check_escapes(text, len, name, err);
    if (!s)
        s = parse_clean(text, len, name, flags, out, err);
    free(copy);
    return s;
}

enum status json_read_file(
    const char *path, size_t max, unsigned flags, struct json **out, struct error *err)
{
    *out = NULL;
    struct buffer text;
    buffer_init(&text, max);
    enum status s = file_read(path, &text, err);
    if (!s)
        s = json_parse(buffer_str(&text), text.len, path, flags, out, err);
    buffer_release(&text);
    return s;
}

void json_free(struct json *root)
{
    cJSON_Delete(item(root));
}

/* --- reading --- */

int json_is_null(const struct json *j)
{
    return cJSON_IsNull(item(j));
}

int json_is_bool(const struct json *j)
{
    return cJSON_IsBool(item(j));
}

int json_is_number(const struct json *j)
{
    return cJSON_IsNumber(item(j));
}

int json_is_string(const struct json *j)
{
    return cJSON_IsString(item(j));
}

int json_is_array(const struct json *j)
{
    return cJSON_IsArray(item(j));
}

int json_is_object(const struct json *j)
{
    return cJSON_IsObject(item(j));
}

int json_is_int(const struct json *j)
{
    double x = json_number(j, NAN);
    return fabs(x) < INT_EXACT && x == floor(x);
}

const struct json *json_get(const struct json *object, const char *key)
{
    return json_is_object(object)
               ? wrap(cJSON_GetObjectItemCaseSensitive(item(object), key))
               : NULL;
}

size_t json_size(const struct json *j)
{
    return json_is_array(j) || json_is_object(j) ? (size_t)cJSON_GetArraySize(item(j))
                                                 : 0;
}

const struct json *json_at(const struct json *j, size_t i)
{
    const struct json *child = json_first(j);
    while (child && i--)
        child = json_next(child);
    return child;
}

const struct json *json_first(const struct json *j)
{
    return json_is_array(j) || json_is_object(j) ? wrap(item(j)->child) : NULL;
}

const struct json *json_next(const struct json *child)
{
    return child ? wrap(item(child)->next) : NULL;
}

const char *json_key(const struct json *child)
{
    return child ? item(child)->string : NULL;
}

const char *json_text(const struct json *j, const char *otherwise)
{
    return json_is_string(j) ? item(j)->valuestring : otherwise;
}

double json_number(const struct json *j, double otherwise)
{
    return json_is_number(j) ? item(j)->valuedouble : otherwise;
}

int64_t json_int(const struct json *j, int64_t otherwise)
{
    return json_is_int(j) ? (int64_t)item(j)->valuedouble : otherwise;
}

int json_bool(const struct json *j, int otherwise)
{
    return json_is_bool(j) ? cJSON_IsTrue(item(j)) : otherwise;
}

/* --- building --- */

struct json *json_new_object(void)
{
    return wrap(cJSON_CreateObject());
}

struct json *json_new_array(void)
{
    return wrap(cJSON_CreateArray());
}

/* Put child into its container (under key in an object), replacing a member of that
 * name; NULL goes through, so that callers may check a run of calls once. */
static struct json *put(struct json *container, const char *key, cJSON *child)
{
    if (!container || !child) {
        cJSON_Delete(child);
        return NULL;
    }
    cJSON_bool done;
    if (!key)
        done = cJSON_AddItemToArray(item(container), child);
    else if (cJSON_GetObjectItemCaseSensitive(item(container), key))
        done = cJSON_ReplaceItemInObjectCaseSensitive(item(container), key, child);
    else
        done = cJSON_AddItemToObject(item(container), key, child);
    if (done)
        return wrap(child);
    cJSON_Delete(child);
    return NULL;
}

static cJSON *new_int(int64_t x)
{
    return cJSON_CreateNumber((double)x);
}

struct json *json_set_object(struct json *object, const char *key)
{
    return put(object, key, cJSON_CreateObject());
}

struct json *json_set_array(struct json *object, const char *key)
{
    return put(object, key, cJSON_CreateArray());
}

struct json *json_set_text(struct json *object, const char *key, const char *s)
{
    return put(object, key, s ? cJSON_CreateString(s) : cJSON_CreateNull());
}

struct json *json_set_number(struct json *object, const char *key, double x)
{
    return put(object, key, cJSON_CreateNumber(x));
}

struct json *json_set_int(struct json *object, const char *key, int64_t x)
{
    return put(object, key, new_int(x));
}

struct json *json_set_bool(struct json *object, const char *key, int x)
{
    return put(object, key, cJSON_CreateBool(x));
}

struct json *json_set_null(struct json *object, const char *key)
{
    return put(object, key, cJSON_CreateNull());
}

struct json *json_set_copy(struct json *object, const char *key, const struct json *j)
{
    return put(object, key, cJSON_Duplicate(item(j), 1));
}

struct json *json_add_object(struct json *array)
{
    return put(array, NULL, cJSON_CreateObject());
}

struct json *json_add_array(struct json *array)
{
    return put(array, NULL, cJSON_CreateArray());
}

struct json *json_add_text(struct json *array, const char *s)
{
    return put(array, NULL, s ? cJSON_CreateString(s) : cJSON_CreateNull());
}

struct json *json_add_number(struct json *array, double x)
{
    return put(array, NULL, cJSON_CreateNumber(x));
}

struct json *json_add_int(struct json *array, int64_t x)
{
    return put(array, NULL, new_int(x));
}

struct json *json_add_null(struct json *array)
{
    return put(array, NULL, cJSON_CreateNull());
}

struct json *json_add_copy(struct json *array, const struct json *j)
{
    return put(array, NULL, cJSON_Duplicate(item(j), 1));
}

struct json *json_copy(const struct json *j)
{
    return wrap(cJSON_Duplicate(item(j), 1));
}

void json_remove(struct json *object, const char *key)
{
    cJSON_DeleteItemFromObjectCaseSensitive(item(object), key);
}
