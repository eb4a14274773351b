/* json.h - JSON values over cJSON, strict at the edges.
 *
 * Parsing refuses what cJSON lets through: NUL bytes, broken UTF-8 and escapes, text behind
 * the value, non-finite numbers.  Printing gives each double the shortest form that reads
 * back bit-equal, since cJSON 1.7.15 shortens some.  A value belongs to the document
 * it hangs in; only a root is freed.  Readers accept NULL (a missing member), so
 * chains like json_text(json_get(o, "a"), "") need no checks in between. */
#ifndef M4A1_BASE_JSON_H
#define M4A1_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

struct json; /* one value: null, boolean, number, string, array or object */

enum json_flags {
    JSON_COMMENTS = 1 << 0,    /* blank C and C++ comments in place, keeping lines */
    JSON_UNIQUE_KEYS = 1 << 1, /* a key twice in one object is an error */
    JSON_MEND = 1 << 2,        /* take what others wrote carelessly; see below */
};

/* With JSON_MEND a \u0000 becomes U+FFFD, a number out of range the largest there is, and
 * half of a surrogate pair three bytes that are no UTF-8, because its other half may stand
 * in another document (an emoji that a stream cut in two).  Put the texts together, then
 * join: pairs become their character, and a half without its other one becomes U+FFFD.
 * Every text and every printed value has to pass through here before it is stored. */
void json_join_halves(char *s); /* NULL is fine; the text does not get longer */

/* Parse len bytes.  name (a file, "response body") starts every message, followed by
 * line and column: "recipe.jsonc:12:8: ...".  Returns OK, E_DATA or E_NOMEM. */
MUST_CHECK enum status json_parse(const char *text, size_t len, const char *name,
    unsigned flags, struct json **out, struct error *err);

/* Read and parse a file of at most max bytes. */
MUST_CHECK enum status json_read_file(
    const char *path, size_t max, unsigned flags, struct json **out, struct error *err);

void json_free(struct json *root); /* NULL is fine */

/* The line (from 1) where the value at path stands in text, which json_parse took with
 * the same flags.  path is as in messages: "llms.gpt.limits", "prompts[3].text"; a
 * path whose tail is missing gives the line of the nearest parent. */
int json_line(const char *text, size_t len, unsigned flags, const char *path);

/* --- reading; every j may be NULL --- */
int json_is_null(const struct json *j); /* a JSON null; false for NULL */
int json_is_bool(const struct json *j);
int json_is_number(const struct json *j);
int json_is_string(const struct json *j);
int json_is_array(const struct json *j);
int json_is_object(const struct json *j);
int json_is_int(
    const struct json *j); /* a whole number between -2^53 and 2^53, so exact */

const struct json *json_get(const struct json *object, const char *key);
size_t json_size(const struct json *array_or_object); /* 0 for all else */
const struct json *json_at(const struct json *array_or_object, size_t i);
/* Walk children in order: for (c = json_first(j); c; c = json_next(c)). */
const struct json *json_first(const struct json *array_or_object);
const struct json *json_next(const struct json *child);
const char *json_key(const struct json *child); /* member name; NULL in an array */

const char *json_text(const struct json *j, const char *otherwise);
double json_number(const struct json *j, double otherwise);
int64_t json_int(const struct json *j, int64_t otherwise);
int json_bool(const struct json *j, int otherwise);

/* --- building: the container owns what is put in.  Each returns the new value, or
 * NULL when out of memory, or when the container is NULL. --- */
MUST_CHECK struct json *json_new_object(void);
MUST_CHECK struct json *json_new_array(void);
struct json *json_set_object(struct json *object, const char *key);
struct json *json_set_array(struct json *object, const char *key);
struct json *json_set_text(struct json *object, const char *key, const char *s);
struct json *json_set_number(struct json *object, const char *key, double x);
struct json *json_set_int(struct json *object, const char *key, int64_t x);
struct json *json_set_bool(struct json *object, const char *key, int x);
struct json *json_set_null(struct json *object, const char *key);
struct json *json_set_copy(struct json *object, const char *key, const struct json *j);
struct json *json_add_object(struct json *array);
struct json *json_add_array(struct json *array);
struct json *json_add_text(struct json *array, const char *s);
struct json *json_add_number(struct json *array, double x);
struct json *json_add_int(struct json *array, int64_t x);
struct json *json_add_null(struct json *array);
struct json *json_add_copy(struct json *array, const struct json *j);
MUST_CHECK struct json *json_copy(const struct json *j);
void json_remove(struct json *object, const char *key);

enum json_style {
    JSON_COMPACT,   /* one line, members in their order */
    JSON_PRETTY,    /* two spaces a level, for people */
    JSON_CANONICAL, /* compact, members sorted by bytes: the form that is hashed */
};

/* Append the text of j.  A number that is not finite is E_DATA: JSON has none. */
MUST_CHECK enum status json_print(
    const struct json *j, enum json_style style, struct buffer *out, struct error *err);

#endif
