/* recipe_check.c - the recipe's terms: views, frames, tasks, prompts, sessions, history,
 * annotate, split.  The llms and the plan have their own files.
 *
 * Every function fills its part of r->recipe and reports what does not fit; where a
 * value is wrong the part keeps its default, so that the later ones can be checked. */
#include "schema/recipe_reader.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>
#include "m4a1/base/text.h"

#define MAX_NAMES 1000 /* tasks, instants and such */
#define MAX_SESSIONS 10000000
#define MAX_SIDE_PX 16384
#define MAX_INT53 (((int64_t)1 << 53) - 1)

const char *const view_kind_names[N_VIEW_KINDS] = { "image", "video", "text", "audio" };

/* How a video is sampled at an instant. */
static void check_clip(struct recipe_reader *r, const struct json *j, const char *path,
    struct recipe_view *view)
{
    static const char *const keys[] = { "frames", "every_s" };
    char sub[RECIPE_PATH];
    if (j && view->kind != VIEW_VIDEO) {
        recipe_wrong(r, path, j, "no \"clip\" but on a view of kind \"video\"");
        return;
    }
    if (view->kind != VIEW_VIDEO)
        return;
    view->clip_frames = 4;
    view->clip_every_s = 1;
    if (!j)
        return;
    if (!json_is_object(j)) {
        recipe_wrong(r, path, j, "an object {\"frames\": %d to %d, \"every_s\": seconds}",
            RECIPE_MIN_CLIP, RECIPE_MAX_CLIP);
        return;
    }
    recipe_known_keys(r, j, path, keys, COUNT_OF(keys));
    if (json_get(j, "frames"))
        view->clip_frames =
            (int)recipe_int(r, json_get(j, "frames"), recipe_path(sub, path, "frames"),
                RECIPE_MIN_CLIP, RECIPE_MAX_CLIP, 4, "frames of a clip");
    if (json_get(j, "every_s"))
        view->clip_every_s =
            recipe_number(r, json_get(j, "every_s"), recipe_path(sub, path, "every_s"),
                1e-3, 1e4, 1, "seconds from one frame of a clip to the next");
}

static void check_views(struct recipe_reader *r)
{
    static const char *const keys[] = { "name", "kind", "privacy", "clip" };
    struct recipe *recipe = r->recipe;
    char path[RECIPE_PATH], sub[RECIPE_PATH];
    const struct json *list = recipe_list(r, r->root, "", "views", 1,
        "a list of views like [{\"name\": \"side\", \"kind\": \"image\", \"privacy\": "
        "1}]");
    if (json_size(list) > RECIPE_MAX_VIEWS) {
        recipe_wrong(r, "views", list, "at most %d views", RECIPE_MAX_VIEWS);
        return;
    }
    recipe->views = recipe_alloc(r, json_size(list), sizeof *recipe->views);
    if (!recipe->views)
        return;
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        struct recipe_view *view = &recipe->views[recipe->n_views];
        recipe_path_at(path, "views", recipe->n_views);
        if (!json_is_object(j)) {
            recipe_wrong(r, path, j, "an object {\"name\", \"kind\", \"privacy\"}");
        } else {
            recipe_known_keys(r, j, path, keys, COUNT_OF(keys));
            recipe_path(sub, path, "name");
            view->name = recipe_word(r, json_get(j, "name"), sub, "the view's name");
            for (size_t i = 0; view->name && i < recipe->n_views; i++)
                if (text_equal(view->name, recipe->views[i].name))
                    recipe_mistake(r, sub,
                        "expected a name once, found \"%s\" again (as in "
                        "views[%zu])",
                        view->name, i);
            recipe_path(sub, path, "kind");
            int kind =
                recipe_choice(r, json_get(j, "kind"), sub, view_kind_names, N_VIEW_KINDS);
            view->kind = kind < 0 ? VIEW_IMAGE : (enum view_kind)kind;
            recipe_path(sub, path, "clip");
            if (kind >= 0)
                check_clip(r, json_get(j, "clip"), sub, view);
            recipe_path(sub, path, "privacy");
            view->privacy = (int)recipe_int(r, json_get(j, "privacy"), sub, 0, 100, 0,
                "the privacy level (0 = public)");
        }
        recipe->n_views++;
    }
}

static void check_instants(struct recipe_reader *r, const struct json *list)
{
    struct recipe *recipe = r->recipe;
    char path[RECIPE_PATH];
    if (json_size(list) > MAX_NAMES) {
        recipe_wrong(
            r, "frames.at_s", list, "at most %d instants (or \"every_s\")", MAX_NAMES);
        return;
    }
    recipe->frames.at_s = recipe_alloc(r, json_size(list), sizeof *recipe->frames.at_s);
    if (!recipe->frames.at_s)
        return;
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        size_t i = recipe->frames.n_at++;
        recipe_path_at(path, "frames.at_s", i);
        double at = recipe_number(r, j, path, 0, 1e6, 0, "an instant in seconds");
        for (size_t k = 0; k < i; k++)
            if (recipe->frames.at_s[k] == at)
                recipe_wrong(r, path, j, "each instant once");
        recipe->frames.at_s[i] = at;
    }
}

static void check_frames(struct recipe_reader *r)
{
    static const char *const keys[] = { "longest_side", "jpeg_quality", "at_s", "every_s",
        "audio_s" };
    struct recipe *recipe = r->recipe;
    const struct json *at, *every;
    const struct json *frames =
        recipe_object(r, r->root, "", "frames", 0, "an object {\"longest_side\", ...}");
    recipe->frames.longest_side_px = 768;
    recipe->frames.jpeg_quality = 90;
    recipe->frames.audio_s = 10;
    recipe_known_keys(r, frames, "frames", keys, COUNT_OF(keys));
    if (json_get(frames, "longest_side"))
        recipe->frames.longest_side_px =
            (int)recipe_int(r, json_get(frames, "longest_side"), "frames.longest_side", 0,
                MAX_SIDE_PX, 768, "pixels (0 = never resized)");
    if (json_get(frames, "jpeg_quality"))
        recipe->frames.jpeg_quality = (int)recipe_int(r, json_get(frames, "jpeg_quality"),
            "frames.jpeg_quality", 1, 100, 90, "the JPEG quality");
    if (json_get(frames, "audio_s"))
        recipe->frames.audio_s =
            recipe_number(r, json_get(frames, "audio_s"), "frames.audio_s", 0, 86400, 10,
                "seconds of sound from an instant on (0 = the whole file)");
    at = json_get(frames, "at_s");
    every = json_get(frames, "every_s");
    if (at && every)
        recipe_mistake(
            r, "frames", "expected either \"at_s\" or \"every_s\", found both");
    if (every)
        recipe->frames.every_s = recipe_number(r, every, "frames.every_s", 1e-3, 1e6, 0,
            "seconds from one frame to the next");
    else if (at)
        check_instants(r, recipe_list(r, frames, "frames", "at_s", 1,
                              "a list of at least one instant in seconds"));
    else
        recipe->frames.n_at = 1; // the beginning, at 0 s
    if (!recipe->frames.at_s)
        recipe->frames.at_s = recipe_alloc(r, 1, sizeof *recipe->frames.at_s);
}

static int has_task(const struct recipe *recipe, const char *name)
{
    for (size_t i = 0; i < recipe->n_tasks; i++)
        if (text_equal(recipe->tasks[i], name))
            return 1;
    return 0;
}

static void check_tasks(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    char path[RECIPE_PATH];
    const struct json *list = recipe_list(
        r, r->root, "", "tasks", 1, "a list of at least one task, like [\"Query\"]");
    if (json_size(list) > MAX_NAMES) {
        recipe_wrong(r, "tasks", list, "at most %d tasks", MAX_NAMES);
        return;
    }
    recipe->tasks = recipe_alloc(r, json_size(list), sizeof *recipe->tasks);
    if (!recipe->tasks)
        return;
    size_t i = 0;
    for (const struct json *j = json_first(list); j; j = json_next(j), i++) {
        recipe_path_at(path, "tasks", i);
        char *name = recipe_text(r, j, path, "the name of a task");
        if (name && has_task(recipe, name))
            recipe_wrong(r, path, j, "each task once");
        if (name)
            recipe->tasks[recipe->n_tasks++] = name;
    }
}

static void check_needs(struct recipe_reader *r, const struct json *prompt,
    const char *path, struct recipe_prompt *out)
{
    char sub[RECIPE_PATH], item[RECIPE_PATH];
    if (!json_get(prompt, "needs"))
        return;
    const struct json *list =
        recipe_list(r, prompt, path, "needs", 1, "a list of scene tags");
    recipe_path(sub, path, "needs");
    out->needs = recipe_alloc(r, json_size(list), sizeof *out->needs);
    size_t i = 0;
    for (const struct json *j = json_first(list); j && out->needs;
         j = json_next(j), i++) {
        recipe_path_at(item, sub, i);
        char *tag = recipe_text(r, j, item, "a scene tag");
        if (tag)
            out->needs[out->n_needs++] = tag;
    }
}

static void check_prompt(struct recipe_reader *r, const struct json *j, const char *path,
    struct recipe_prompt *out)
{
    static const char *const keys[] = { "id", "task", "text", "needs" };
    char sub[RECIPE_PATH];
    if (!json_is_object(j)) {
        recipe_wrong(r, path, j, "an object {\"task\", \"text\"}");
        return;
    }
    recipe_known_keys(r, j, path, keys, COUNT_OF(keys));
    if (json_get(j, "id"))
        out->id = recipe_word(
            r, json_get(j, "id"), recipe_path(sub, path, "id"), "the prompt's name");
    out->text = recipe_text(
        r, json_get(j, "text"), recipe_path(sub, path, "text"), "the text of the prompt");
    out->task = recipe_text(
        r, json_get(j, "task"), recipe_path(sub, path, "task"), "one of the tasks");
    if (out->task && r->recipe->n_tasks && !has_task(r->recipe, out->task)) {
        const char *near = text_nearest(
            out->task, (const char *const *)r->recipe->tasks, r->recipe->n_tasks);
        if (near)
            recipe_wrong(r, sub, json_get(j, "task"),
                "one of the tasks (did you mean \"%s\"?)", near);
        else
            recipe_wrong(r, sub, json_get(j, "task"), "one of the tasks in \"tasks\"");
    }
    check_needs(r, j, path, out);
}

static int compare_words(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int by_text(const void *a, const void *b)
{
    const struct recipe_prompt *p = *(const struct recipe_prompt *const *)a;
    const struct recipe_prompt *q = *(const struct recipe_prompt *const *)b;
    int c = compare_words(p->task, q->task);
    if (!c)
        c = compare_words(p->text, q->text);
    return c ? c : (p > q) - (p < q);
}

static int by_id(const void *a, const void *b)
{
    const struct recipe_prompt *p = *(const struct recipe_prompt *const *)a;
    const struct recipe_prompt *q = *(const struct recipe_prompt *const *)b;
    int c = compare_words(p->id, q->id);
    return c ? c : (p > q) - (p < q);
}

/* The same text twice for one task, or one id twice: found by sorting, since a file may
 * hold a hundred thousand prompts. */
static void check_prompts_differ(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    char path[RECIPE_PATH], sub[RECIPE_PATH];
    const struct recipe_prompt **p = recipe_alloc(r, recipe->n_prompts, sizeof *p);
    if (!p)
        return;
    for (size_t i = 0; i < recipe->n_prompts; i++)
        p[i] = &recipe->prompts[i];
    qsort(p, recipe->n_prompts, sizeof *p, by_text);
    for (size_t i = 1; i < recipe->n_prompts; i++)
        if (p[i]->text && p[i]->task && text_equal(p[i]->text, p[i - 1]->text) &&
            text_equal(p[i]->task, p[i - 1]->task)) {
            recipe_path_at(path, "prompts", (size_t)(p[i] - recipe->prompts));
            recipe_mistake(r, recipe_path(sub, path, "text"),
                "expected a text once a task, found that of prompts[%zu] again",
                (size_t)(p[i - 1] - recipe->prompts));
        }
    qsort(p, recipe->n_prompts, sizeof *p, by_id);
    for (size_t i = 1; i < recipe->n_prompts; i++)
        if (p[i]->id && text_equal(p[i]->id, p[i - 1]->id)) {
            recipe_path_at(path, "prompts", (size_t)(p[i] - recipe->prompts));
            recipe_mistake(r, recipe_path(sub, path, "id"),
                "expected an id once, found \"%s\" again (as in prompts[%zu])", p[i]->id,
                (size_t)(p[i - 1] - recipe->prompts));
        }
    free(p);
}

static void check_prompts(struct recipe_reader *r)
{
    struct recipe *recipe = r->recipe;
    char path[RECIPE_PATH];
    if (r->prompts_unread)
        return;
    const struct json *list = recipe_list(r, r->root, "", "prompts", 1,
        "a list of at least one {\"task\", \"text\"} (or \"prompts_file\")");
    recipe->prompts = recipe_alloc(r, json_size(list), sizeof *recipe->prompts);
    if (!recipe->prompts)
        return;
    for (const struct json *j = json_first(list); j; j = json_next(j)) {
        recipe_path_at(path, "prompts", recipe->n_prompts);
        check_prompt(r, j, path, &recipe->prompts[recipe->n_prompts++]);
    }
    check_prompts_differ(r);
}

static void check_turns(struct recipe_reader *r, const struct json *sessions)
{
    struct recipe *recipe = r->recipe;
    const struct json *turns = json_get(sessions, "turns");
    const char *path = "sessions.turns";
    if (!json_is_array(turns) || json_size(turns) != 2) {
        recipe_wrong(r, path, turns, "the fewest and the most turns, like [2, 5]");
        return;
    }
    const struct json *low = json_first(turns), *high = json_next(low);
    recipe->sessions.min_turns = (int)recipe_int(
        r, low, "sessions.turns[0]", 1, 1000, 1, "the fewest turns of a session");
    recipe->sessions.max_turns = (int)recipe_int(
        r, high, "sessions.turns[1]", 1, 1000, 1000, "the most turns of a session");
    if (recipe->sessions.min_turns > recipe->sessions.max_turns)
        recipe_mistake(r, path, "expected the fewest turns first, found [%d, %d]",
            recipe->sessions.min_turns, recipe->sessions.max_turns);
}

static void check_sessions(struct recipe_reader *r)
{
    static const char *const sampled[] = { "n", "turns", "seed" };
    static const char *const scripted[] = { "script" };
    struct recipe *recipe = r->recipe;
    const struct json *sessions = recipe_object(r, r->root, "", "sessions", 1,
        "an object like {\"n\": 100, \"turns\": [2, 5]} or {\"script\": \"FILE\"}");
    recipe->sessions.seed = 1;
    if (!sessions)
        return;
    if (json_get(sessions, "script")) {
        recipe_known_keys(r, sessions, "sessions", scripted, COUNT_OF(scripted));
        recipe->sessions.script = recipe_text(r, json_get(sessions, "script"),
            "sessions.script", "the name of a JSON-lines file");
        return;
    }
    recipe_known_keys(r, sessions, "sessions", sampled, COUNT_OF(sampled));
    recipe->sessions.n = recipe_int(r, json_get(sessions, "n"), "sessions.n", 1,
        MAX_SESSIONS, 1, "the number of sessions");
    check_turns(r, sessions);
    if (json_get(sessions, "seed"))
        recipe->sessions.seed = (uint64_t)recipe_int(
            r, json_get(sessions, "seed"), "sessions.seed", 0, MAX_INT53, 1, "the seed");
}

static void check_history(struct recipe_reader *r)
{
    static const char *const keys[] = { "images", "max_turns" };
    static const char *const images[] = { "keep", "drop" };
    struct recipe *recipe = r->recipe;
    const struct json *history = recipe_object(
        r, r->root, "", "history", 0, "an object {\"images\", \"max_turns\"}");
    recipe->history.keep_images = 1;
    recipe->history.max_turns = -1;
    recipe_known_keys(r, history, "history", keys, COUNT_OF(keys));
    if (json_get(history, "images"))
        recipe->history.keep_images = recipe_choice(r, json_get(history, "images"),
                                          "history.images", images, 2) != 1;
    const struct json *turns = json_get(history, "max_turns");
    if (turns && !json_is_null(turns))
        recipe->history.max_turns = (int)recipe_int(r, turns, "history.max_turns", 0,
            1000, -1, "earlier turns that are sent (null = all)");
}

/* What a judge is asked has places for what it compares; a text without them would have
 * every answer judged unseen. */
static void check_template(struct recipe_reader *r, const char *template)
{
    static const char *const marks[] = { "{question}", "{candidate}", "{reference}" };
    for (size_t i = 0; template && i < COUNT_OF(marks); i++)
        if (!strstr(template, marks[i]))
            recipe_mistake(r, "annotate.judge.template",
                "expected the place %s in the text, found none", marks[i]);
}

static void check_annotate(struct recipe_reader *r)
{
    static const char *const keys[] = { "judge" };
    static const char *const judge_keys[] = { "template", "sees_views" };
    struct recipe *recipe = r->recipe;
    const struct json *annotate =
        recipe_object(r, r->root, "", "annotate", 0, "an object {\"judge\": {...}}");
    recipe->annotate.judge_sees_views = 1;
    recipe_known_keys(r, annotate, "annotate", keys, COUNT_OF(keys));
    const struct json *judge = recipe_object(
        r, annotate, "annotate", "judge", 0, "an object {\"template\", \"sees_views\"}");
    recipe_known_keys(r, judge, "annotate.judge", judge_keys, COUNT_OF(judge_keys));
    if (json_get(judge, "template"))
        recipe->annotate.judge_template =
            recipe_text(r, json_get(judge, "template"), "annotate.judge.template",
                "the text that a judge is asked, or {\"file\": NAME}");
    check_template(r, recipe->annotate.judge_template);
    if (json_get(judge, "sees_views"))
        recipe->annotate.judge_sees_views =
            recipe_bool(r, json_get(judge, "sees_views"), "annotate.judge.sees_views", 1);
}

static void check_split(struct recipe_reader *r)
{
    static const char *const keys[] = { "group", "train", "seed" };
    static const char *const groups[] = { "session", "scene" };
    struct recipe *recipe = r->recipe;
    const struct json *split = recipe_object(
        r, r->root, "", "split", 0, "an object {\"group\", \"train\", \"seed\"}");
    int group = 0;
    recipe->split.train = 0.8;
    recipe->split.seed = 1;
    recipe_known_keys(r, split, "split", keys, COUNT_OF(keys));
    if (json_get(split, "group"))
        group = recipe_choice(r, json_get(split, "group"), "split.group", groups, 2);
    recipe->split.group = recipe_copy(r, groups[group > 0]);
    if (json_get(split, "train"))
        recipe->split.train = recipe_number(r, json_get(split, "train"), "split.train",
            0.01, 0.99, 0.8, "the share for training");
    if (json_get(split, "seed"))
        recipe->split.seed = (uint64_t)recipe_int(
            r, json_get(split, "seed"), "split.seed", 0, MAX_INT53, 1, "the seed");
}

void recipe_check(struct recipe_reader *r)
{
    static const char *const keys[] = { "m4a1_recipe", "name", "licence", "consent",
        "views", "frames", "tasks", "prompts", "prompts_file", "sessions", "history",
        "system_prompt", "llms", "prices", "actions", "plan", "annotate", "split" };
    struct recipe *recipe = r->recipe;
    const struct json *version = json_get(r->root, "m4a1_recipe");
    recipe_known_keys(r, r->root, "", keys, COUNT_OF(keys));
    recipe_no_secrets(r, r->root, "");
    recipe_no_secrets_in_comments(r);
    if (!json_is_int(version) || json_int(version, 0) != 1)
        recipe_wrong(r, "m4a1_recipe", version, "1, the version of this form of recipe");
    recipe->name = recipe_text(r, json_get(r->root, "name"), "name", "the recipe's name");
    if (json_get(r->root, "licence"))
        recipe->licence = recipe_text(
            r, json_get(r->root, "licence"), "licence", "the licence of the scenes");
    if (json_get(r->root, "consent"))
        recipe->consent = recipe_text(r, json_get(r->root, "consent"), "consent",
            "under which consent scenes are used");
    check_views(r);
    check_frames(r);
    check_tasks(r);
    check_prompts(r);
    check_sessions(r);
    check_history(r);
    check_annotate(r);
    check_split(r);
}
