/* plan_script.c - reading scripted sessions. */
#include "collectors/plan_script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"

#define SCRIPT_MAX ((size_t)256 << 20)

struct script_reader {
    const char *path;
    int line;
    const struct plan_inputs *in;
};

#define SCRIPT_ERROR(r, err, fmt, ...)                                                   \
    error_set(err, E_DATA, "%s:%d: " fmt, (r)->path, (r)->line, __VA_ARGS__)

static enum status find_scene(const struct script_reader *r, const struct json *j,
    const struct plan_scene **out, struct error *err)
{
    const char *name = json_text(json_get(j, "scene"), NULL);
    const struct json *at = json_get(j, "at_s");
    if (!name)
        return SCRIPT_ERROR(r, err, "%s", "scene: expected the name of a scene");
    if (at && !json_is_number(at))
        return SCRIPT_ERROR(r, err, "%s", "at_s: expected seconds");
    size_t n = 0;
    for (size_t i = 0; i < r->in->n_scenes; i++) {
        const struct plan_scene *scene = &r->in->scenes[i];
        if (!text_equal(scene->name, name))
            continue;
        if (at && llround(json_number(at, 0) * 1000) != scene->at_ms)
            continue;
        *out = scene;
        n++;
    }
    if (n == 1)
        return OK;
    return n ? SCRIPT_ERROR(
                   r, err, "scene %s has %zu instants: say which with at_s", name, n)
             : SCRIPT_ERROR(r, err, "scene %s: no such scene with all views%s", name,
                   at ? " at that instant" : "");
}

static enum status read_prompts(const struct script_reader *r, const struct json *j,
    struct plan_script_session *session, struct error *err)
{
    const struct json *list = json_get(j, "prompts");
    session->n_turns = json_size(list);
    if (!json_is_array(list) || !session->n_turns)
        return SCRIPT_ERROR(r, err, "%s", "prompts: expected an array of prompt ids");
    session->prompts = calloc(session->n_turns, sizeof *session->prompts);
    if (!session->prompts)
        return error_nomem(err, session->n_turns * sizeof *session->prompts);
    size_t t = 0;
    for (const struct json *p = json_first(list); p; p = json_next(p), t++) {
        const char *id = json_text(p, "");
        size_t i = 0;
        while (i < r->in->n_prompts && !text_equal(r->in->prompts[i].id, id))
            i++;
        if (i == r->in->n_prompts)
            return SCRIPT_ERROR(
                r, err, "prompts[%zu]: the recipe has no prompt '%s'", t, id);
        if (!plan_prompt_suits(&r->in->prompts[i], session->scene))
            return SCRIPT_ERROR(r, err,
                "prompts[%zu]: scene %s lacks a tag that prompt '%s' needs", t,
                session->scene->name, id);
        session->prompts[t] = i;
    }
    return OK;
}

static enum status read_action(const struct script_reader *r, const struct json *j,
    size_t turn, struct plan_script_action *action, struct error *err)
{
    const char *name = json_text(json_get(j, "llm"), "");
    size_t i = 0;
    while (
        i < r->in->n_actors && !text_equal(r->in->llms[r->in->actor_llm[i]].name, name))
        i++;
    if (i == r->in->n_actors)
        return SCRIPT_ERROR(
            r, err, "actions[%zu].llm: no local or cloud llm '%s'", turn, name);
    action->llm = r->in->actor_llm[i];
    const struct json *views = json_get(j, "views");
    for (const struct json *v = json_first(views); v; v = json_next(v)) {
        const char *view = json_text(v, "");
        int p = 0;
        while (p < RECIPE_MAX_VIEWS &&
               !(r->in->view_names[p] && text_equal(r->in->view_names[p], view)))
            p++;
        if (p == RECIPE_MAX_VIEWS)
            return SCRIPT_ERROR(r, err, "actions[%zu].views: no view '%s'", turn, view);
        action->views |= (uint32_t)1 << p;
    }
    return OK;
}

static enum status read_actions(const struct script_reader *r, const struct json *j,
    struct plan_script_session *session, struct error *err)
{
    const struct json *list = json_get(j, "actions");
    if (!list)
        return OK;
    if (json_size(list) != session->n_turns)
        return SCRIPT_ERROR(r, err, "actions: expected %zu, one a prompt, found %zu",
            session->n_turns, json_size(list));
    session->actions = calloc(session->n_turns, sizeof *session->actions);
    if (!session->actions)
        return error_nomem(err, session->n_turns * sizeof *session->actions);
    enum status s = OK;
    size_t turn = 0;
    for (const struct json *a = json_first(list); a && !s; a = json_next(a), turn++)
        s = read_action(r, a, turn, &session->actions[turn], err);
    return s;
}

static enum status check_keys(
    const struct script_reader *r, const struct json *j, struct error *err)
{
    static const char *const known[] = { "scene", "at_s", "prompts", "actions" };
    for (const struct json *m = json_first(j); m; m = json_next(m)) {
        size_t i = 0;
        while (i < COUNT_OF(known) && !text_equal(json_key(m), known[i]))
            i++;
        if (i == COUNT_OF(known))
            return SCRIPT_ERROR(r, err, "unknown key '%s'", json_key(m));
    }
    return OK;
}

static enum status read_session(const struct script_reader *r, const char *text,
    size_t len, struct plan_script_session *session, struct error *err)
{
    char name[512];
    snprintf(name, sizeof name, "%s, line %d", r->path, r->line);
    struct json *j;
    session->line = r->line;
    enum status s = json_parse(text, len, name, JSON_UNIQUE_KEYS, &j, err);
    if (!s && !json_is_object(j))
        s = SCRIPT_ERROR(r, err, "%s", "expected an object a line");
    if (!s)
        s = check_keys(r, j, err);
    if (!s)
        s = find_scene(r, j, &session->scene, err);
    if (!s)
        s = read_prompts(r, j, session, err);
    if (!s)
        s = read_actions(r, j, session, err);
    json_free(j);
    return s;
}

static enum status read_lines(struct script_reader *r, const struct buffer *text,
    struct plan_script *script, struct error *err)
{
    const char *p = buffer_str(text), *end = p + text->len;
    for (; p < end; r->line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((stop ? stop : end) - p);
        if (strspn(p, " \t\r") < len) {
            size_t n = script->n_sessions;
            struct plan_script_session *grown =
                realloc(script->sessions, (n + 1) * sizeof *grown);
            if (!grown)
                return error_nomem(err, (n + 1) * sizeof *grown);
            script->sessions = grown;
            grown[n] = (struct plan_script_session) { 0 };
            script->n_sessions++;
            enum status s = read_session(r, p, len, &grown[n], err);
            if (s)
                return s;
            if (grown[n].n_turns > script->max_turns)
                script->max_turns = grown[n].n_turns;
        }
        p += len + 1;
    }
    return script->n_sessions ? OK
                              : error_set(err, E_DATA, "%s: holds no session", r->path);
}

enum status plan_script_load(const char *path, const struct plan_inputs *in,
    struct plan_script **out, struct error *err)
{
    *out = NULL;
    struct plan_script *script = calloc(1, sizeof *script);
    if (!script)
        return error_nomem(err, sizeof *script);
    struct buffer text;
    buffer_init(&text, SCRIPT_MAX);
    struct script_reader reader = { path, 1, in };
    enum status s = file_read(path, &text, err);
    if (!s)
        s = read_lines(&reader, &text, script, err);
    buffer_release(&text);
    if (s)
        plan_script_free(script);
    else
        *out = script;
    return s;
}

void plan_script_free(struct plan_script *script)
{
    if (!script)
        return;
    for (size_t i = 0; i < script->n_sessions; i++) {
        free(script->sessions[i].prompts);
        free(script->sessions[i].actions);
    }
    free(script->sessions);
    free(script);
}
