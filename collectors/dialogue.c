/* dialogue.c - reads a call, its turn, its scene's frames and its history. */
#include "collectors/dialogue.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/fit.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/accepts.h"
#include "schema/query.h"

#define TOKENS_A_MESSAGE 16      /* role marks and separators of chat templates */
#define AUDIO_TOKENS_A_SECOND 32 /* ai.google.dev/gemini-api/docs/audio */
#define TILE_BASE_TOKENS 2833
#define TILE_TOKENS 5667
#define TILE_PX 512

/* One turn as it is said: a row of the history, or the call itself. */
struct said {
    int64_t call_id;
    uint32_t views;
    char *prompt;
    char *answer; /* NULL for the call itself */
};

/* Whose eyes the dialogue is for, and the instant of the scene that they see. */
struct sight {
    struct store *store;
    struct frame_cache *cache;
    const struct llm *llm;
    int64_t scene_id, at_ms;
};

/* ---- putting messages together -------------------------------------------------- */

static struct dialogue_message *add_message(struct dialogue *d, int is_assistant)
{
    struct dialogue_message *more =
        realloc(d->messages, (d->n_messages + 1) * sizeof *more);
    if (!more)
        return NULL;
    d->messages = more;
    struct dialogue_message *m = &more[d->n_messages++];
    memset(m, 0, sizeof *m);
    m->is_assistant = is_assistant;
    return m;
}

/* Takes text and the reference to image, also on failure. */
static enum status add_part(
    struct dialogue_message *m, char *text, struct frame *image, struct error *err)
{
    struct dialogue_part *more =
        text || image ? realloc(m->parts, (m->n_parts + 1) * sizeof *more) : NULL;
    if (!more) {
        free(text);
        frame_release(image);
        return error_nomem(err, (m->n_parts + 1) * sizeof *more);
    }
    m->parts = more;
    m->parts[m->n_parts++] = (struct dialogue_part) { .text = text, .frame = image };
    return OK;
}

/* One view of the scene at the session's instant. */
struct shown {
    char *name; /* NULL = none yet */
    enum view_kind kind;
    int64_t position;
    struct shown_frame {
        int64_t frame_id, offset_ms, duration_ms;
        char *text; /* of a text view, else NULL */
    } * frames;
    size_t n_frames;
};

static void forget(struct shown *v)
{
    for (size_t i = 0; i < v->n_frames; i++)
        free(v->frames[i].text);
    free(v->frames);
    free(v->name);
    memset(v, 0, sizeof *v);
}

static enum status label(struct dialogue_message *m, char *text, struct error *err)
{
    return add_part(m, text, NULL, err);
}

/* "View clip, 3 frames, every 0.5 s:"; the step is left out where it is not even. */
static char *clip_label(const struct shown *v)
{
    int64_t step = v->n_frames > 1 ? v->frames[1].offset_ms - v->frames[0].offset_ms : 0;
    for (size_t i = 1; i < v->n_frames; i++)
        if (v->frames[i].offset_ms - v->frames[i - 1].offset_ms != step)
            step = 0;
    const char *frames = v->n_frames == 1 ? "frame" : "frames";
    return step > 0 ? text_format("View %s, %zu %s, every %g s:", v->name, v->n_frames,
                          frames, (double)step / 1000)
                    : text_format("View %s, %zu %s:", v->name, v->n_frames, frames);
}

/* Takes one frame, which has to be of the type that its view's kind stands for. */
static enum status add_frame(const struct sight *sight, const struct shown *v, size_t i,
    struct dialogue_message *m, struct error *err)
{
    struct frame *frame = NULL;
    const char *wanted = v->kind == VIEW_AUDIO ? "audio/" : "image/";
    int64_t frame_id = v->frames[i].frame_id;
    enum status s = OK;
    if (v->kind != VIEW_AUDIO)
        s = fit_lookup(sight->store, sight->llm, frame_id, &frame_id, err);
    if (s == OK)
        s = frame_cache_get(sight->cache, sight->store, frame_id, &frame, err);
    if (s == OK && !text_starts(frame_media_type(frame), wanted)) {
        s = error_set(err, E_DATA, "view \"%s\" has a frame of type %s, not %s%s",
            v->name, frame_media_type(frame),
            v->kind == VIEW_AUDIO ? "sound" : "an image",
            "; run m4a1 ingest for its scene again");
        frame_release(frame);
        return s;
    }
    if (s == OK && (s = add_part(m, NULL, frame, err)) == OK)
        m->parts[m->n_parts - 1].duration_ms = v->frames[i].duration_ms;
    return s;
}

static enum status add_clip(const struct sight *sight, const struct shown *v,
    struct dialogue_message *m, struct error *err)
{
    enum status s = label(m, clip_label(v), err);
    for (size_t i = 0; s == OK && i < v->n_frames; i++) {
        double at_s = (double)v->frames[i].offset_ms / 1000;
        s = label(m, text_format("At %g s:", at_s), err);
        if (s == OK)
            s = add_frame(sight, v, i, m, err);
    }
    return s;
}

/* An empty text would be refused by some servers, and tells nothing to the others. */
static enum status add_text(
    struct shown *v, struct dialogue_message *m, struct error *err)
{
    char *text = v->frames[0].text;
    v->frames[0].text = NULL;
    if (text && !*text) {
        free(text);
        text = text_copy("(empty)");
    }
    return add_part(m, text, NULL, err);
}

/* Counts a view as shown, for limits and for what is said when one is passed. */
static enum status count_view(
    struct dialogue *d, const struct shown *v, struct error *err)
{
    for (int kind = 0; kind < N_VIEW_KINDS; kind++) {
        struct dialogue_shown *of = &d->shown[kind];
        int is_picture = v->kind == VIEW_IMAGE || v->kind == VIEW_VIDEO;
        if (kind == VIEW_IMAGE ? !is_picture : (int)v->kind != kind)
            continue;
        char *names =
            text_format("%s%s%s", of->n ? of->views : "", of->n ? ", " : "", v->name);
        if (!names)
            return error_nomem(err, strlen(v->name));
        free(of->views);
        of->views = names;
        of->n += kind == VIEW_IMAGE ? (int)v->n_frames : 1;
    }
    return OK;
}

/* Puts a view into the message, and forgets it; OK where there is none. */
static enum status add_view(const struct sight *sight, struct shown *v,
    struct dialogue *d, struct dialogue_message *m, struct error *err)
{
    if (!v->name)
        return OK;
    enum status s = count_view(d, v, err);
    if (s == OK && v->kind == VIEW_VIDEO) {
        s = add_clip(sight, v, m, err);
    } else if (s == OK) {
        s = label(m, text_format("View %s:", v->name), err);
        if (s == OK)
            s = v->kind == VIEW_TEXT ? add_text(v, m, err)
                                     : add_frame(sight, v, 0, m, err);
    }
    forget(v);
    return s;
}

enum { POSITION, NAME, KIND, FRAME, OFFSET, DURATION, TEXT };

/* One more frame of the view in hand. */
static enum status take_frame(const struct query *q, struct shown *v, struct error *err)
{
    struct shown_frame *more = realloc(v->frames, (v->n_frames + 1) * sizeof *more);
    if (!more)
        return error_nomem(err, (v->n_frames + 1) * sizeof *more);
    v->frames = more;
    more[v->n_frames] = (struct shown_frame) { .frame_id = query_int(q, FRAME),
        .offset_ms = query_int(q, OFFSET),
        .duration_ms = query_int(q, DURATION) };
    size_t len = 0;
    const char *text = v->kind == VIEW_TEXT ? query_bytes(q, TEXT, &len) : NULL;
    if (v->kind == VIEW_TEXT &&
        !(more[v->n_frames].text = text_copy_n(text ? text : "", text ? len : 0)))
        return error_nomem(err, len + 1);
    v->n_frames++;
    return OK;
}

static enum status begin_view(const struct query *q, struct shown *v, struct error *err)
{
    const char *name = query_text(q, NAME);
    if (query_is_null(q, FRAME))
        return error_set(err, E_DATA,
            "view \"%s\" has no frame at this instant; run m4a1 ingest for its scene",
            name);
    for (int kind = 0; kind < N_VIEW_KINDS; kind++)
        if (text_equal(view_kind_names[kind], query_text(q, KIND)))
            v->kind = (enum view_kind)kind;
    v->position = query_int(q, POSITION);
    v->name = text_copy(name);
    return v->name ? OK : error_nomem(err, strlen(name) + 1);
}

/* The views of a set that this llm is ever sent; see accepts.h. */
static int is_sent(const struct sight *sight, const struct query *q)
{
    struct accepts_view view = { .name = query_text(q, NAME) };
    while (!text_equal(view_kind_names[view.kind], query_text(q, KIND)) &&
           view.kind < N_VIEW_KINDS - 1)
        view.kind++;
    view.n_pictures = view.kind == VIEW_IMAGE || view.kind == VIEW_VIDEO;
    return accepts_sent(sight->llm->accepts, &view, 1) != 0;
}

static enum status add_views(const struct sight *sight, uint32_t views,
    struct dialogue *d, struct dialogue_message *m, struct error *err)
{
    if (!views)
        return OK;
    struct query *q = NULL;
    struct shown view = { 0 };
    uint32_t missing = views;
    enum status s = query_open(sight->store,
        "SELECT v.position, v.name, v.kind, f.frame_id, f.offset_ms,"
        " coalesce(r.duration_ms, length(r.bytes) / 8),"
        " CASE v.kind WHEN 'text' THEN r.bytes END FROM view v"
        " LEFT JOIN scene_frame f"
        " ON f.scene_id = ? AND f.at_ms = ? AND f.view_id = v.view_id"
        " LEFT JOIN frame r USING (frame_id) ORDER BY v.position, f.part",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "ii", sight->scene_id, sight->at_ms);
    while ((s = query_next(q, err)) == OK && query_has_row(q)) {
        int64_t position = query_int(q, POSITION);
        if (!(views >> position & 1))
            continue;
        missing &= ~(UINT32_C(1) << position);
        if (!is_sent(sight, q))
            continue;
        if (view.name && view.position != position)
            s = add_view(sight, &view, d, m, err);
        if (s == OK && !view.name)
            s = begin_view(q, &view, err);
        if (s == OK)
            s = take_frame(q, &view, err);
        if (s != OK)
            break;
    }
    query_close(q);
    if (s == OK)
        s = add_view(sight, &view, d, m, err);
    forget(&view);
    if (s == OK && missing)
        s = error_set(
            err, E_DATA, "the views 0x%x of a call are not in the store", missing);
    return s;
}

static enum status add_said(const struct sight *sight, const struct said *said,
    int with_views, struct dialogue *d, struct error *err)
{
    struct dialogue_message *m = add_message(d, 0);
    if (!m)
        return error_nomem(err, sizeof *m);
    enum status s = OK;
    if (with_views)
        s = add_views(sight, said->views, d, m, err);
    if (s == OK)
        s = add_part(m, text_copy(said->prompt), NULL, err);
    if (s != OK || !said->answer)
        return s;
    if (!(m = add_message(d, 1)))
        return error_nomem(err, sizeof *m);
    return add_part(m, text_copy(said->answer), NULL, err);
}

/* ---- reading the history -------------------------------------------------------- */

static void free_said(struct said *said, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(said[i].prompt);
        free(said[i].answer);
    }
    free(said);
}

static enum status read_said(
    const struct query *q, struct said **list, size_t *n, struct error *err)
{
    if (query_is_null(q, 3))
        return error_set(err, E_DATA, "call %lld of an earlier turn has no answer yet",
            (long long)query_int(q, 0));
    struct said *more = realloc(*list, (*n + 1) * sizeof *more);
    if (!more)
        return error_nomem(err, (*n + 1) * sizeof *more);
    *list = more;
    struct said *said = &more[*n];
    said->call_id = query_int(q, 0);
    said->views = (uint32_t)query_int(q, 1);
    said->prompt = text_copy(query_text(q, 2));
    said->answer = text_copy(query_text(q, 3));
    *n += 1;
    return said->prompt && said->answer ? OK : error_nomem(err, 1);
}

/* The earlier turns, newest first, at most max_turns of them (-1 = all). */
static enum status load_history(struct store *store, int64_t parent_id, int64_t max_turns,
    struct said **list, size_t *n, struct error *err)
{
    struct query *q = NULL;
    enum status s = query_open(store,
        "WITH RECURSIVE past(call_id, parent_id, depth) AS ("
        " SELECT call_id, parent_id, 0 FROM call WHERE call_id = ?1"
        " UNION ALL SELECT c.call_id, c.parent_id, p.depth + 1"
        " FROM past p JOIN call c ON c.call_id = p.parent_id)"
        " SELECT c.call_id, c.views_added, coalesce(c.text, m.text), ("
        "  SELECT r.text FROM response r WHERE r.call_id = c.call_id"
        "  ORDER BY r.response_id DESC LIMIT 1)"
        " FROM past JOIN call c USING (call_id) JOIN turn t USING (turn_id)"
        " JOIN prompt m USING (prompt_id) ORDER BY depth LIMIT ?2",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "ii", parent_id, max_turns);
    while ((s = query_next(q, err)) == OK && query_has_row(q))
        if ((s = read_said(q, list, n, err)) != OK)
            break;
    query_close(q);
    return s;
}

struct history_rule {
    int keep_images;
    int64_t max_turns; /* -1 = all */
};

static enum status read_rule(
    const char *settings, struct history_rule *rule, struct error *err)
{
    rule->keep_images = 1;
    rule->max_turns = -1;
    if (!settings)
        return OK;
    struct json *j = NULL;
    enum status s = json_parse(settings, strlen(settings), "plan.settings", 0, &j, err);
    if (s != OK)
        return s;
    const struct json *history = json_get(j, "history");
    rule->keep_images =
        !text_equal(json_text(json_get(history, "images"), "keep"), "drop");
    rule->max_turns = json_int(json_get(history, "max_turns"), -1);
    json_free(j);
    return OK;
}

/* ---- the call ------------------------------------------------------------------- */

struct call_row {
    int64_t scene_id, at_ms;
    struct said now;
    int64_t parent_id; /* 0 = none */
    int is_question;   /* has its own text */
    struct history_rule rule;
};

static enum status load_call(
    struct store *store, int64_t call_id, struct call_row *row, struct error *err)
{
    memset(row, 0, sizeof *row);
    struct query *q = NULL;
    enum status s = query_open(store,
        "SELECT e.scene_id, e.at_ms, c.views_added, coalesce(c.text, m.text),"
        " coalesce(c.parent_id, 0), c.text IS NOT NULL, p.settings"
        " FROM call c JOIN turn t USING (turn_id) JOIN session e USING (session_id)"
        " JOIN prompt m USING (prompt_id) LEFT JOIN plan p USING (plan_id)"
        " WHERE c.call_id = ?",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "i", call_id);
    s = query_next(q, err);
    if (s == OK && !query_has_row(q))
        s = error_set(err, E_NOT_FOUND, "the store has no call %lld", (long long)call_id);
    if (s == OK) {
        row->scene_id = query_int(q, 0);
        row->at_ms = query_int(q, 1);
        row->now.call_id = call_id;
        row->now.views = (uint32_t)query_int(q, 2);
        row->now.prompt = text_copy(query_text(q, 3));
        row->parent_id = query_int(q, 4);
        row->is_question = query_int(q, 5) != 0;
        s = row->now.prompt ? read_rule(query_text(q, 6), &row->rule, err)
                            : error_nomem(err, 1);
    }
    query_close(q);
    return s;
}

enum status dialogue_build(struct store *store, struct frame_cache *cache,
    int64_t call_id, const struct llm *llm, struct dialogue **out, struct error *err)
{
    *out = NULL;
    struct said *past = NULL;
    size_t n_past = 0;
    struct call_row row;
    struct dialogue *d = calloc(1, sizeof *d);
    enum status s =
        d ? load_call(store, call_id, &row, err) : error_nomem(err, sizeof *d);
    if (!d)
        return s;
    if (s == OK && llm->system_prompt &&
        !(d->system_prompt = text_copy(llm->system_prompt)))
        s = error_nomem(err, strlen(llm->system_prompt));
    if (s == OK && row.parent_id && !row.is_question)
        s = load_history(store, row.parent_id, row.rule.max_turns, &past, &n_past, err);
    const struct sight sight = { store, cache, llm, row.scene_id, row.at_ms };
    for (size_t i = n_past; s == OK && i--;)
        s = add_said(&sight, &past[i], row.rule.keep_images, d, err);
    if (s == OK)
        s = add_said(&sight, &row.now, 1, d, err);
    if (s != OK)
        s = error_prefix(err, "call %lld: ", (long long)call_id);
    free_said(past, n_past);
    free(row.now.prompt);
    if (s != OK)
        dialogue_free(d);
    else
        *out = d;
    return s;
}

void dialogue_free(struct dialogue *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_messages; i++) {
        for (size_t k = 0; k < d->messages[i].n_parts; k++) {
            free(d->messages[i].parts[k].text);
            frame_release(d->messages[i].parts[k].frame);
        }
        free(d->messages[i].parts);
    }
    for (int kind = 0; kind < N_VIEW_KINDS; kind++)
        free(d->shown[kind].views);
    free(d->messages);
    free(d->system_prompt);
    free(d);
}

int dialogue_is_sound(const struct dialogue_part *part)
{
    return part->frame && text_starts(frame_media_type(part->frame), "audio/");
}

size_t dialogue_n_images(const struct dialogue *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n_messages; i++)
        for (size_t k = 0; k < d->messages[i].n_parts; k++)
            n += d->messages[i].parts[k].frame &&
                 !dialogue_is_sound(&d->messages[i].parts[k]);
    return n;
}

enum status dialogue_check_accepts(
    const struct dialogue *d, const struct llm *llm, struct error *err)
{
    for (int kind = 0; kind < N_VIEW_KINDS; kind++) {
        const struct dialogue_shown *of = &d->shown[kind];
        int most = llm->accepts[kind];
        if (most >= 0 && of->n > most)
            return error_set(err, E_DATA,
                "llm %s accepts %d %s, but with its history the call has %d: %s",
                llm->name, most, accepts_noun((enum view_kind)kind, most), of->n,
                of->views);
    }
    return OK;
}

static int64_t max_image_tokens(const struct frame *image, int64_t image_tokens)
{
    if (image_tokens > 0)
        return image_tokens;
    int64_t across = (frame_width_px(image) + TILE_PX - 1) / TILE_PX;
    int64_t down = (frame_height_px(image) + TILE_PX - 1) / TILE_PX;
    return TILE_BASE_TOKENS + TILE_TOKENS * across * down;
}

static int64_t max_part_tokens(const struct dialogue_part *part, int64_t image_tokens)
{
    if (!part->frame)
        return (int64_t)strlen(part->text);
    if (!dialogue_is_sound(part))
        return max_image_tokens(part->frame, image_tokens);
    return (part->duration_ms / 1000 + 1) * AUDIO_TOKENS_A_SECOND;
}

int64_t dialogue_max_input_tokens(const struct dialogue *d, int64_t image_tokens)
{
    int64_t n = TOKENS_A_MESSAGE;
    if (d->system_prompt)
        n += TOKENS_A_MESSAGE + (int64_t)strlen(d->system_prompt);
    for (size_t i = 0; i < d->n_messages; i++) {
        n += TOKENS_A_MESSAGE;
        for (size_t k = 0; k < d->messages[i].n_parts; k++)
            n += max_part_tokens(&d->messages[i].parts[k], image_tokens);
    }
    return n;
}
