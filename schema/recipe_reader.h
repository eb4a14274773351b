/* recipe_reader.h - inside the recipe's loader only: documents and their mistakes.
 *
 * A recipe is read in three steps.  recipe_include.c parses the file and pulls in the
 * files that it names, which gives one self-contained document and a list of origins
 * (which part came from where).  recipe_check.c and recipe_llms.c then fill struct
 * recipe from the document and report what is wrong, by JSON path.  This module turns
 * a path into "FILE:LINE: PATH: ..." and keeps the list of mistakes. */
#ifndef SCHEMA_RECIPE_READER_H
#define SCHEMA_RECIPE_READER_H

#include <stddef.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/json.h"
#include "schema/recipe.h"

#define RECIPE_MAX_BYTES (64u << 20) /* the file and each file that it names */
#define RECIPE_MAX_PROBLEMS 50       /* further mistakes are only counted */
#define RECIPE_MAX_LIKE 8            /* steps of "like" from one llm to the next */
#define RECIPE_JSON_FLAGS (JSON_COMMENTS | JSON_UNIQUE_KEYS)

/* Room for a path in a message.  Longer ones are cut, which costs a line number. */
#define RECIPE_PATH 512

enum origin_form { ORIGIN_JSON, ORIGIN_JSON_LINES, ORIGIN_TEXT };

/* A part of the document that stands in another file. */
struct recipe_origin {
    char *path; /* where in the document: "" for the recipe itself, "prompts", ... */
    char *file; /* as messages name it */
    char *text;
    size_t len;
    enum origin_form form;
    int *lines; /* ORIGIN_JSON_LINES: line of each record */
    size_t n_lines;
};

struct recipe_reader {
    struct recipe *recipe; /* being filled; owned until recipe_reader_finish */
    struct json *root;     /* the self-contained document */
    char *folder; /* where relative names start; NULL = no files (from a store) */
    int included; /* something came from another file */
    int prompts_unread, prices_unread; /* their file is told as a mistake already */
    struct recipe_origin *origins;
    size_t n_origins;
    struct buffer problems; /* one line a mistake */
    size_t n_problems;
    int quiet_missing;    /* what is missing is told already (by a broken "like") */
    char *role_unknown;   /* [n_llms] */
    const char *chain_of; /* the llm whose chain of "like" this is, itself first */
    const struct json *chain[RECIPE_MAX_LIKE + 2]; /* full = too long */
    size_t n_chain;
    int out_of_memory;
};

/* --- mistakes --- */

/* "FILE:LINE: PATH: expected EXPECTED, found FOUND"; found NULL = nothing. */
void recipe_wrong(struct recipe_reader *r, const char *path, const struct json *found,
    const char *expected, ...) PRINTF_LIKE(4, 5);
/* The same with the words of the caller behind "FILE:LINE: PATH: ". */
void recipe_mistake(struct recipe_reader *r, const char *path, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* True where all mistakes that are told are found: what is costly about a further one (the
 * name that is nearest) can be left out. */
int recipe_is_full(const struct recipe_reader *r);

/* Report members of object that are not among keys[n] (ends of names that hold secrets
 * get their own advice). */
void recipe_known_keys(struct recipe_reader *r, const struct json *object,
    const char *path, const char *const *keys, size_t n);

/* Anywhere below j: members that are named like a secret, names and texts that look like
 * one.  The place is told, never the value. */
void recipe_no_secrets(struct recipe_reader *r, const struct json *j, const char *path);
/* The same in the comments of the recipe's file, which a store keeps with it. */
void recipe_no_secrets_in_comments(struct recipe_reader *r);

/* --- values: each takes a value and its path, reports what does not fit and then
 * gives the value that was passed as otherwise (or NULL, or 0) --- */

/* path + "." + key, or path + "[i]"; buf has RECIPE_PATH bytes and is returned. */
const char *recipe_path(char *buf, const char *path, const char *key);
const char *recipe_path_at(char *buf, const char *path, size_t i);

/* A copy of a text that is not empty; NULL where it does not fit (or out of memory). */
char *recipe_text(struct recipe_reader *r, const struct json *j, const char *path,
    const char *expected);
/* A word: 1 to 64 letters, digits and . _ - (a name that fits into commands). */
char *recipe_word(struct recipe_reader *r, const struct json *j, const char *path,
    const char *expected);
int recipe_is_word(const char *s);
int64_t recipe_int(struct recipe_reader *r, const struct json *j, const char *path,
    int64_t min, int64_t max, int64_t otherwise, const char *what);
double recipe_number(struct recipe_reader *r, const struct json *j, const char *path,
    double min, double max, double otherwise, const char *what);
int recipe_bool(
    struct recipe_reader *r, const struct json *j, const char *path, int otherwise);
/* An index into names[n]; -1 where it does not fit. */
int recipe_choice(struct recipe_reader *r, const struct json *j, const char *path,
    const char *const *names, size_t n);
/* A member that must be an object or a list; NULL where it is not (reported where it is
 * there, or where required is set). */
const struct json *recipe_object(struct recipe_reader *r, const struct json *parent,
    const char *path, const char *key, int required, const char *what);
const struct json *recipe_list(struct recipe_reader *r, const struct json *parent,
    const char *path, const char *key, int required, const char *what);

/* calloc that reports; n 0 gives one element, so that NULL only means no memory. */
void *recipe_alloc(struct recipe_reader *r, size_t n, size_t size);
char *recipe_copy(struct recipe_reader *r, const char *s);

/* --- the steps --- */

/* All of them: text (whose file is named name) to a recipe, as recipe_load() says.
 * folder NULL: no file may be named. */
MUST_CHECK enum status recipe_parse(const char *name, const char *folder,
    const char *text, size_t len, struct recipe **out, struct buffer *problems,
    struct error *err);

/* Parse text (whose file is named name) and pull in what it names. */
MUST_CHECK enum status recipe_include(struct recipe_reader *r, const char *name,
    const char *text, size_t len, struct error *err);

void recipe_check(struct recipe_reader *r);     /* all but the next ones */
void recipe_read_llms(struct recipe_reader *r); /* llms and the system prompt */
void recipe_read_prices(struct recipe_reader *r);
void recipe_read_actions(struct recipe_reader *r);
void recipe_read_plan(struct recipe_reader *r);

/* "side+front" as a set of the recipe's views; what is wrong is told, and gives 0. */
uint32_t recipe_read_set(struct recipe_reader *r, const struct json *j, const char *path);

#endif
