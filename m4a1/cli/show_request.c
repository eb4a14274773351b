/* show_request.c - a walk over a request's JSON that meets its texts, pictures and sounds. */
#include "m4a1/cli/show_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define FRAME_MARK "sha256:" /* stands in a stored request for each picture and sound */

static const char *const system_keys[] = { "system", "instructions", "systemInstruction",
    "system_instruction" };
static const char *const list_keys[] = { "messages", "input", "contents" };
static const char *const text_keys[] = { "text", "content", "system", "instructions" };

static int is_among(const char *key, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text_equal(key, keys[i]))
            return 1;
    return 0;
}

enum met { TEXT, PICTURE, SOUND };

/* Called for each text, and each picture and sound (its hash), of a part of a request. */
typedef enum status meet(void *arg, const char *text, enum met what, struct error *err);

/* What a hash in this object stands for: beside sound its type or format is told. */
static enum met frame_in(const struct json *object)
{
    int is_sound = text_equal(json_text(json_get(object, "format"), NULL), "wav") ||
                   text_starts(json_text(json_get(object, "mimeType"), ""), "audio/");
    return is_sound ? SOUND : PICTURE;
}

/* key: of j, or of the list that it stands in; in: what j stands in. */
static enum status walk(const struct json *j, const struct json *in, const char *key,
    meet *met, void *arg, struct error *err)
{
    const char *text = json_text(j, NULL);
    enum status s = OK;
    if (text && text_starts(text, FRAME_MARK))
        return met(arg, text + strlen(FRAME_MARK), frame_in(in), err);
    if (text)
        return is_among(key, text_keys, COUNT_OF(text_keys)) ? met(arg, text, TEXT, err)
                                                             : OK;
    for (const struct json *c = json_first(j); c && !s; c = json_next(c))
        s = walk(c, j, json_key(c) ? json_key(c) : key, met, arg, err);
    return s;
}

/* ---- for people ---- */

static enum status print_part(
    void *arg, const char *text, enum met what, struct error *err)
{
    (void)arg;
    (void)err;
    if (what != TEXT) {
        printf(
            "    [%s " FRAME_MARK "%.12s...]\n", what == SOUND ? "audio" : "image", text);
        return OK;
    }
    while (*text) {
        size_t n = strcspn(text, "\n");
        printf("%s%.*s\n", n ? "    " : "", (int)n, text);
        text += n + (text[n] != '\0');
    }
    return OK;
}

static void print_message(const char *role, const struct json *message, const char *key)
{
    printf("  %s:\n", role);
    if (walk(message, NULL, key, print_part, NULL, NULL) != OK)
        return; // printing meets no errors
}

void show_request_print(const struct json *request)
{
    for (size_t i = 0; i < COUNT_OF(system_keys); i++)
        if (json_get(request, system_keys[i]))
            print_message("system", json_get(request, system_keys[i]), system_keys[i]);
    for (size_t i = 0; i < COUNT_OF(list_keys); i++) {
        const struct json *m = json_first(json_get(request, list_keys[i]));
        for (; m; m = json_next(m))
            print_message(json_text(json_get(m, "role"), "message"), m, NULL);
    }
}

/* ---- which views ---- */

struct naming {
    struct query *frame, *text;
    int64_t call_id;
    const struct json *request; /* of which some is met already */
    struct json *names;
    size_t n_met;
};

/* How often a hash came among the first n frames of a request. */
struct counting {
    const char *hash;
    size_t n, n_met;
    int64_t count;
};

static enum status count_same(
    void *arg, const char *text, enum met what, struct error *err)
{
    struct counting *c = arg;
    (void)err;
    if (what != TEXT && c->n_met < c->n)
        c->count += text_equal(text, c->hash);
    c->n_met += what != TEXT;
    return OK;
}

/* A clip is named once, however many of its frames are met. */
static enum status add_name(struct naming *naming, const char *name, struct error *err)
{
    for (const struct json *j = json_first(naming->names); j; j = json_next(j))
        if (text_equal(json_text(j, NULL), name))
            return OK;
    return json_add_text(naming->names, name) ? OK : error_nomem(err, strlen(name));
}

/* Views with the same picture are named one after the other. */
static enum status name_frame(struct naming *naming, const char *hash, struct error *err)
{
    struct counting before = { .hash = hash, .n = naming->n_met++ };
    enum status s = walk(naming->request, NULL, NULL, count_same, &before, err);
    if (s)
        return s;
    query_bind(naming->frame, "iti", naming->call_id, hash, before.count);
    s = query_next(naming->frame, err);
    const char *name =
        !s && query_has_row(naming->frame) ? query_text(naming->frame, 0) : "unknown";
    return s ? s : add_name(naming, name, err);
}

/* The view whose label a line of text is, where that is one of kind text. */
static enum status name_label(
    struct naming *naming, const char *line, size_t len, struct error *err)
{
    static const char before[] = "View ";
    size_t skip = sizeof before - 1;
    if (len < skip + 2 || strncmp(line, before, skip) != 0 || line[len - 1] != ':')
        return OK;
    char *name = text_copy_n(line + skip, len - skip - 1);
    if (!name)
        return error_nomem(err, len);
    query_bind(naming->text, "it", naming->call_id, name);
    enum status s = query_next(naming->text, err);
    if (!s && query_has_row(naming->text))
        s = add_name(naming, name, err);
    free(name);
    return s;
}

static enum status name_part(
    void *arg, const char *text, enum met what, struct error *err)
{
    struct naming *naming = arg;
    enum status s = OK;
    if (what != TEXT)
        return name_frame(naming, text, err);
    for (const char *line = text; *line && !s;) {
        size_t n = strcspn(line, "\n");
        s = name_label(naming, line, n, err);
        line += n + (line[n] != '\0');
    }
    return s;
}

enum status show_request_views(struct store *store, int64_t call_id,
    const struct json *request, struct json *names, struct error *err)
{
    struct naming naming = { .call_id = call_id, .request = request, .names = names };
    enum status s = query_open(store,
        "SELECT v.name FROM call c JOIN turn t USING (turn_id)"
        " JOIN session e USING (session_id)"
        " JOIN scene_frame f ON f.scene_id = e.scene_id AND f.at_ms = e.at_ms"
        " JOIN view v USING (view_id) WHERE c.call_id = ?1 AND f.frame_id IN"
        " (SELECT frame_id FROM frame WHERE sha256 = ?2 UNION ALL SELECT x.frame_id"
        "  FROM frame r JOIN frame_fit x ON x.fitted_id = r.frame_id WHERE r.sha256 = ?2)"
        " ORDER BY v.position, f.part LIMIT 1 OFFSET ?3",
        &naming.frame, err);
    if (!s)
        s = query_open(store,
            "SELECT 1 FROM call c JOIN view v ON (c.views_context | c.views_added)"
            " >> v.position & 1 WHERE c.call_id = ? AND v.kind = 'text' AND v.name = ?",
            &naming.text, err);
    if (!s)
        s = walk(request, NULL, NULL, name_part, &naming, err);
    query_close(naming.frame);
    query_close(naming.text);
    return s;
}
