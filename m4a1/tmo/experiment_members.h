/* experiment_members.h - members of an experiment's file, read with messages that say where
 * they stand and what was expected. */
#ifndef M4A1_TMO_EXPERIMENT_MEMBERS_H
#define M4A1_TMO_EXPERIMENT_MEMBERS_H

#include "m4a1/base/error.h"
#include "m4a1/base/json.h"

/* Refuse what is no object, or has members that are not in the list, which ends with
 * NULL. */
MUST_CHECK enum status members_known(const struct json *object, const char *where,
    const char *const *names, struct error *err);

/* A text that must be there and is not empty. */
MUST_CHECK enum status member_text(const struct json *object, const char *key,
    const char *where, const char **out, struct error *err);
/* One of names, which end with NULL; *out is its place, and stays as it is where the member
 * is missing. */
MUST_CHECK enum status member_choice(const struct json *object, const char *key,
    const char *where, const char *const *names, size_t *out, struct error *err);
/* An object, true or false, a number, a list: or nothing, and *out stays as it is. */
MUST_CHECK enum status member_object(const struct json *object, const char *key,
    const char *where, const struct json **out, struct error *err);
MUST_CHECK enum status member_flag(const struct json *object, const char *key,
    const char *where, int *out, struct error *err);
MUST_CHECK enum status member_number(const struct json *object, const char *key,
    const char *where, double *out, struct error *err);
MUST_CHECK enum status member_list(const struct json *object, const char *key,
    const char *where, const struct json **out, struct error *err);

/* The same of a text that becomes a file's name: 1 to 100 letters, digits, '-', '_' and '.',
 * not beginning with a dot. */
MUST_CHECK enum status member_file_name(const struct json *object, const char *key,
    const char *where, const char **out, struct error *err);

#endif
