/* identity.c - SHA-256 over canonical JSON. */
#include "schema/identity.h"

#include <stddef.h>

#define IDENTITY_TEXT_MAX (16 << 20)

enum status identity_of(
    const char *prefix, const struct json *content, char out[HASH_HEX], struct error *err)
{
    out[0] = '\0';
    struct buffer text;
    buffer_init(&text, IDENTITY_TEXT_MAX);
    buffer_printf(&text, "%s\n", prefix);
    enum status s = json_print(content, JSON_CANONICAL, &text, err);
    if (!s)
        hash_hex(text.data, text.len, out);
    buffer_release(&text);
    return s;
}

enum status call_identity(
    const struct call_name *name, char out[HASH_HEX], struct error *err)
{
    struct json *j = json_new_object();
    int ok = json_set_text(j, "session", name->session) &&
             json_set_int(j, "turn", name->turn) &&
             json_set_text(j, "purpose", name->purpose) &&
             json_set_text(j, "llm", name->llm) &&
             json_set_int(j, "views_added", name->views_added) &&
             json_set_int(j, "sample", name->sample) &&
             json_set_text(j, "parent", name->parent) &&
             json_set_text(j, "subject", name->subject) &&
             json_set_text(j, "text", name->text);
    enum status s =
        ok ? identity_of("m4a1-call-1", j, out, err) : error_nomem(err, sizeof *name);
    json_free(j);
    return s;
}
