/* protocol_request.c - what the requests of all protocols share: options, addresses,
 * headers, images. */
#include "collectors/llm/protocol.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/accepts.h"

#define MAX_URL 8192
#define MAX_HEADERS 8192
#define MAX_OPTIONS 16
#define MAX_CHOICES 256    /* bytes of a list of choices in a message */
#define MAX_BOUND 10000000 /* no answer has as many tokens: a bound beyond it is a slip */

/* ---- options -------------------------------------------------------------------- */

static const struct protocol_option *find_option(
    const struct protocol *p, const char *name)
{
    for (size_t i = 0; i < p->n_options; i++)
        if (text_equal(p->options[i].name, name))
            return &p->options[i];
    return NULL;
}

const char *protocol_option(
    const struct protocol *p, const struct llm *llm, const char *name)
{
    const struct protocol_option *option = find_option(p, name);
    if (!option)
        return NULL;
    const char *value = json_text(json_get(llm->options, name), option->otherwise);
    return text_equal(value, PROTOCOL_MODEL) ? llm->model : value;
}

static enum status unknown_option(
    const struct protocol *p, const struct llm *llm, const char *key, struct error *err)
{
    const char *names[MAX_OPTIONS];
    size_t n = 0;
    for (; n < p->n_options && n < MAX_OPTIONS; n++)
        names[n] = p->options[n].name;
    const char *nearest = text_nearest(key, names, n);
    return error_set(err, E_ARG, "llm \"%s\": the protocol %s has no option \"%s\"%s%s%s",
        llm->name, p->name, key,
        nearest ? "; did you mean \""
        : n     ? ""
                : " (it has none)",
        nearest ? nearest : "", nearest ? "\"?" : "");
}

static enum status check_value(const struct llm *llm,
    const struct protocol_option *option, const struct json *value, struct error *err)
{
    const char *text = json_text(value, "");
    int ok = *text != '\0';
    for (const char *c = text; *c; c++)
        ok = ok && (unsigned char)*c > 0x20 && (unsigned char)*c < 0x7f;
    if (!ok)
        return error_set(err, E_ARG,
            "llm \"%s\": option \"%s\" has to be %s: a text without blanks", llm->name,
            option->name, option->what);
    struct buffer known;
    buffer_init(&known, MAX_CHOICES);
    for (size_t i = 0; option->choices && option->choices[i]; i++) {
        if (text_equal(option->choices[i], text)) {
            buffer_release(&known);
            return OK;
        }
        buffer_printf(&known, "%s\"%s\"", i ? ", " : "", option->choices[i]);
    }
    enum status s = OK;
    if (option->choices)
        s = error_set(err, E_ARG, "llm \"%s\": option \"%s\" (%s) can be %s, not \"%s\"",
            llm->name, option->name, option->what, buffer_str(&known), text);
    buffer_release(&known);
    return s;
}

enum status protocol_check_options(
    const struct protocol *p, const struct llm *llm, struct error *err)
{
    for (const struct json *j = json_first(llm->options); j; j = json_next(j)) {
        const struct protocol_option *option = find_option(p, json_key(j));
        enum status s = option ? check_value(llm, option, j, err)
                               : unknown_option(p, llm, json_key(j), err);
        if (s != OK)
            return s;
    }
    for (size_t i = 0; i < p->n_options; i++)
        if (p->options[i].is_needed && !protocol_option(p, llm, p->options[i].name))
            return error_set(err, E_ARG,
                "llm \"%s\": the protocol %s needs the option \"%s\" (%s)", llm->name,
                p->name, p->options[i].name, p->options[i].what);
    return OK;
}

static enum status check_kinds(
    const struct protocol *p, const struct llm *llm, struct error *err)
{
    for (int kind = 0; kind < N_VIEW_KINDS; kind++)
        if (llm->accepts[kind] && !(p->kinds >> kind & 1))
            return error_set(err, E_ARG,
                "llm \"%s\": the protocol %s carries no %s; set \"accepts\": {\"%s\": 0}",
                llm->name, p->name,
                kind == VIEW_AUDIO ? "audio" : accepts_noun((enum view_kind)kind, 0),
                view_kind_names[kind]);
    return OK;
}

/* Most tokens of an answer, as the protocols name it, and where they have it. */
static const struct {
    const char *path, *parent, *key;
} bounds[] = {
    { "max_completion_tokens", NULL, "max_completion_tokens" },
    { "max_tokens", NULL, "max_tokens" },
    { "max_output_tokens", NULL, "max_output_tokens" },
    { "maxOutputTokens", NULL, "maxOutputTokens" },
    { "generationConfig.maxOutputTokens", "generationConfig", "maxOutputTokens" },
    { "maxTokens", NULL, "maxTokens" },
    { "inferenceConfig.maxTokens", "inferenceConfig", "maxTokens" },
    { "num_predict", NULL, "num_predict" },
    { "options.num_predict", "options", "num_predict" },
};

static int is_bound(const struct json *j)
{
    return !j || json_is_null(j) ||
           (json_is_int(j) && json_int(j, 0) >= 1 && json_int(j, 0) <= MAX_BOUND);
}

const char *protocol_wrong_bound(const struct llm *llm)
{
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        const struct json *parent = bounds[i].parent
                                        ? json_get(llm->parameters, bounds[i].parent)
                                        : llm->parameters;
        if (!is_bound(json_get(parent, bounds[i].key)))
            return bounds[i].path;
    }
    return NULL;
}

static enum status check_bound(const struct llm *llm, struct error *err)
{
    const char *path = protocol_wrong_bound(llm);
    return !path ? OK
                 : error_set(err, E_ARG,
                       "llm \"%s\": parameter \"%s\" has to be a whole number from 1 to "
                       "%d, the most tokens of an answer; leave it out for no bound",
                       llm->name, path, MAX_BOUND);
}

enum status protocol_check(
    const struct protocol *p, const struct llm *llm, struct error *err)
{
    enum status s = protocol_check_options(p, llm, err);
    if (s == OK)
        s = check_kinds(p, llm, err);
    if (s == OK)
        s = check_bound(llm, err);
    if (s != OK)
        return s;
    for (size_t i = 0; p->reserved && p->reserved[i]; i++)
        if (json_get(llm->parameters, p->reserved[i]))
            return error_set(err, E_ARG,
                "llm \"%s\": \"%s\" cannot be a parameter; m4a1 sets it itself",
                llm->name, p->reserved[i]);
    return p->check ? p->check(llm, err) : OK;
}

/* ---- templates ------------------------------------------------------------------ */

static void add_encoded(struct buffer *out, const char *s)
{
    for (; *s; s++) {
        if (isalnum((unsigned char)*s) || strchr("-._~", *s))
            buffer_add_char(out, *s);
        else
            buffer_printf(out, "%%%02X", (unsigned)(unsigned char)*s);
    }
}

/* Adds len bytes of a template; false where a name in it has no value. */
static int add_template(const struct protocol *p, const struct llm *llm, const char *from,
    size_t len, int is_encoded, struct buffer *out)
{
    for (const char *end = from + len; from < end;) {
        const char *open = memchr(from, '{', (size_t)(end - from));
        const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;
        if (!close) {
            buffer_add(out, from, (size_t)(end - from));
            return 1;
        }
        buffer_add(out, from, (size_t)(open - from));
        char *name = text_copy_n(open + 1, (size_t)(close - open - 1));
        const char *value = text_equal(name, "model") ? llm->model
                            : name                    ? protocol_option(p, llm, name)
                                                      : NULL;
        free(name);
        if (!value)
            return 0;
        if (is_encoded)
            add_encoded(out, value);
        else
            buffer_add_str(out, value);
        from = close + 1;
    }
    return 1;
}

static char *detach(struct buffer *b)
{
    char *text = b->failed ? NULL : text_copy(buffer_str(b));
    buffer_release(b);
    return text;
}

char *protocol_url(const struct protocol *p, const struct llm *llm, const char *base)
{
    const char *path = llm->stream && p->stream_path ? p->stream_path : p->path;
    const char *second = strchr(path + 1, '/');
    size_t n_first = second ? (size_t)(second - path) : 0, n_base = strlen(base);
    if (n_first && n_base >= n_first && !memcmp(base + n_base - n_first, path, n_first))
        path = second;
    struct buffer url;
    buffer_init(&url, MAX_URL);
    buffer_add_str(&url, base);
    if (!add_template(p, llm, path, strlen(path), 1, &url)) {
        buffer_release(&url);
        return NULL;
    }
    return detach(&url);
}

char *protocol_headers(const struct protocol *p, const struct llm *llm)
{
    struct buffer out;
    buffer_init(&out, MAX_HEADERS);
    for (const char *line = p->headers; line && *line;) {
        size_t len = strcspn(line, "\n") + 1, before = out.len;
        if (!add_template(p, llm, line, len, 0, &out) && out.len > before) {
            out.len = before;
            out.data[before] = '\0';
        }
        line += len;
    }
    return detach(&out);
}

struct key_use protocol_key(const struct protocol *p, const struct llm *llm)
{
    if (p->key)
        return p->key(llm);
    return (struct key_use) { .way = KEY_BEARER, .env = llm->key_env };
}

/* ---- images --------------------------------------------------------------------- */

int protocol_set_frame(struct json *object, const char *key, const struct frame *image)
{
    char *mark = text_format("sha256:%s", frame_sha256(image));
    int ok = mark && json_set_text(object, key, mark);
    free(mark);
    return ok;
}

/* The next frame, behind rest, which moves behind the frame's mark. */
static enum status put_frame(struct frame *frame, const struct frame_form *form,
    const char **rest, struct body *body, struct error *err)
{
    if (!form)
        return error_set(err, E_DATA, "this protocol carries no frames of type %s",
            frame_media_type(frame));
    char *mark = text_format("%ssha256:%s\"", form->before, frame_sha256(frame));
    if (!mark)
        return error_nomem(err, HASH_HEX);
    const char *found = strstr(*rest, mark);
    size_t n_mark = strlen(mark);
    free(mark);
    if (!found)
        return error_set(err, E_DATA, "an image got lost in a request");
    *rest = found + n_mark - 1; // the closing quote comes with the rest
    size_t at = (size_t)(found - buffer_str(&body->text)) + strlen(form->before);
    return body_add_frame(body, at, frame, form->is_data_url, err);
}

/* In the order of the dialogue. */
static enum status put_frames(const struct protocol *p, const struct dialogue *d,
    struct body *body, struct error *err)
{
    const char *rest = buffer_str(&body->text);
    for (size_t i = 0; i < d->n_messages; i++) {
        const struct dialogue_message *m = &d->messages[i];
        for (size_t k = 0; k < m->n_parts; k++) {
            struct frame *frame = m->parts[k].frame;
            if (!frame)
                continue;
            int is_audio = text_starts(frame_media_type(frame), "audio/");
            enum status s =
                put_frame(frame, is_audio ? p->audio : p->image, &rest, body, err);
            if (s != OK)
                return s;
        }
    }
    return body_close(body, err);
}

enum status protocol_render(const struct protocol *p, const struct llm *llm,
    const struct dialogue *d, struct body *body, struct error *err)
{
    struct json *root = json_new_object();
    enum status s = root && p->write(llm, d, root)
                        ? json_print(root, JSON_COMPACT, &body->text, err)
                        : error_nomem(err, 1);
    json_free(root);
    if (s == OK)
        s = p->put_frames ? p->put_frames(d, body, err) : put_frames(p, d, body, err);
    return s;
}
