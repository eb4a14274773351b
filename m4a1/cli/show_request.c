/* show_request.c - a walk over a request's JSON that meets its texts and images. */
#include "m4a1/cli/show_request.h"

#include <stdio.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define IMAGE_MARK "sha256:" /* stands in a stored request for each image */

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

/* Called for each text and each image (its hash) of a part of a request. */
typedef enum status meet(void *arg, const char *text, int is_image, struct error *err);

/* key: of j, or of the list that it stands in. */
static enum status walk(
    const struct json *j, const char *key, meet *met, void *arg, struct error *err)
{
    const char *text = json_text(j, NULL);
    enum status s = OK;
    if (text && text_starts(text, IMAGE_MARK))
        return met(arg, text + strlen(IMAGE_MARK), 1, err);
    if (text)
        return is_among(key, text_keys, COUNT_OF(text_keys)) ? met(arg, text, 0, err)
                                                             : OK;
    for (const struct json *c = json_first(j); c && !s; c = json_next(c))
        s = walk(c, json_key(c) ? json_key(c) : key, met, arg, err);
    return s;
}

/* ---- for people ---- */

static enum status print_part(
    void *arg, const char *text, int is_image, struct error *err)
{
    (void)arg;
    (void)err;
    if (is_image) {
        printf("    [image " IMAGE_MARK "%.12s...]\n", text);
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
    if (walk(message, key, print_part, NULL, NULL) != OK)
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
    struct query *q;
    int64_t call_id;
    const struct json *request; /* of which some is met already */
    struct json *names;
    size_t n_met;
};

/* How often a hash came among the first n images of a request. */
struct counting {
    const char *hash;
    size_t n, n_met;
    int64_t count;
};

static enum status count_same(
    void *arg, const char *text, int is_image, struct error *err)
{
    struct counting *c = arg;
    (void)err;
    if (is_image && c->n_met < c->n)
        c->count += text_equal(text, c->hash);
    c->n_met += is_image != 0;
    return OK;
}

/* Views with the same picture are named one after the other. */
static enum status name_image(
    void *arg, const char *text, int is_image, struct error *err)
{
    struct naming *naming = arg;
    if (!is_image)
        return OK;
    struct counting before = { .hash = text, .n = naming->n_met++ };
    enum status s = walk(naming->request, NULL, count_same, &before, err);
    if (s)
        return s;
    query_bind(naming->q, "iti", naming->call_id, text, before.count);
    s = query_next(naming->q, err);
    const char *name =
        !s && query_has_row(naming->q) ? query_text(naming->q, 0) : "unknown";
    if (!s && !json_add_text(naming->names, name))
        s = error_nomem(err, strlen(name));
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
        " JOIN frame r USING (frame_id) JOIN view v USING (view_id)"
        " WHERE c.call_id = ? AND r.sha256 = ? ORDER BY v.position LIMIT 1 OFFSET ?",
        &naming.q, err);
    if (s)
        return s;
    s = walk(request, NULL, name_image, &naming, err);
    query_close(naming.q);
    return s;
}
