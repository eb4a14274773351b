/* m4a1_json.h - the authors' JSON: an array of sessions, and our additional keys.
 *
 * docs/formats.md has every key.  A session from the authors' file has exactly their
 * keys; one that was collected carries more, where the format has no room.  Reading is
 * strict and names the record, counted from 0: "FILE: session 12, turn 3: image_index:
 * expected view indices 0 to 2, found 7". */
#ifndef EXPORT_M4A1_JSON_H
#define EXPORT_M4A1_JSON_H

#include "export/dataset.h"
#include "m4a1/base/buffer.h"
#include "m4a1/base/json.h"

#define M4A1_JSON_MAX ((size_t)1 << 30) /* bytes of a file; larger ones are refused */
#define M4A1_JSON_MAX_TEXT ((size_t)8 << 20) /* bytes of a text, as of an llm's answer */

enum m4a1_json_flags {
    M4A1_JSON_AUTHORS = 1 << 0, /* only the authors' keys: all else is an error */
};

/* Parse len bytes; name starts every message.  The data set is tidied and sealed.
 * Views that the dialogue holds are rebuilt by the accumulation rule: image_index lists
 * all of them when new ones are added, and is null when none is new. */
MUST_CHECK enum status m4a1_json_parse(const char *text, size_t len, const char *name,
    unsigned flags, struct dataset **out, struct error *err);

MUST_CHECK enum status m4a1_json_read(
    const char *path, unsigned flags, struct dataset **out, struct error *err);

/* One session as an object, keys in the authors' order, additional ones behind. */
MUST_CHECK enum status m4a1_json_session(const struct dataset *data,
    const struct session *session, struct json **out, struct error *err);

/* Append the whole array, a session a line. */
MUST_CHECK enum status m4a1_json_print(
    const struct dataset *data, struct buffer *out, struct error *err);

#endif
