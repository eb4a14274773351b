/* dialogue.c - reads a call, its turn and its history; the views are sight.c's. */
#include "collectors/dialogue.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/sight.h"
#include "m4a1/base/json.h"
#include "m4a1/base/text.h"
#include "schema/accepts.h"
#include "schema/query.h"

#define TOKENS_A_MESSAGE 16      /* role marks and separators of chat templates */
#define AUDIO_TOKENS_A_SECOND 32 /* ai.google.dev/gemini-api/docs/audio */
#define TILE_BASE_TOKENS 2833
#define TILE_TOKENS 5667
#define TILE_PX 512
#define LONGEST_HISTORY 2000 /* turns; a plan has at most 1000 */

/* One turn as it is said: a row of the history, or the call itself. */
struct said {
    uint32_t views;
    char *prompt;
    char *answer; /* NULL for the call itself */
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

static enum status add_part(
    struct dialogue_message *m, struct dialogue_part part, struct error *err)
{
    struct dialogue_part *more = realloc(m->parts, (m->n_parts + 1) * sizeof *more);
    if (!more)
        return error_nomem(err, (m->n_parts + 1) * sizeof *more);
    m->parts = more;
    m->parts[m->n_parts++] = part;
    return OK;
}

enum status dialogue_say(struct dialogue_message *m, char *text, struct error *err)
{
    enum status s = text ? add_part(m, (struct dialogue_part) { .text = text }, err)
                         : error_nomem(err, 1);
    if (s != OK)
        free(text);
    return s;
}

enum status dialogue_show(struct dialogue_message *m, struct frame *frame,
    int64_t duration_ms, struct error *err)
{
    enum status s = add_part(
        m, (struct dialogue_part) { .frame = frame, .duration_ms = duration_ms }, err);
    if (s == OK)
        frame_hold(frame);
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
        s = sight_add(sight, said->views, m, d->shown, err);
    if (s == OK)
        s = dialogue_say(m, text_copy(said->prompt), err);
    if (s != OK || !said->answer)
        return s;
    if (!(m = add_message(d, 1)))
        return error_nomem(err, sizeof *m);
    return dialogue_say(m, text_copy(said->answer), err);
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
        " FROM past p JOIN call c ON c.call_id = p.parent_id WHERE p.depth < ?3)"
        " SELECT c.call_id, c.views_added, coalesce(c.text, m.text), ("
        "  SELECT r.text FROM response r WHERE r.call_id = c.call_id"
        "  ORDER BY r.response_id DESC LIMIT 1)"
        " FROM past JOIN call c USING (call_id) JOIN turn t USING (turn_id)"
        " JOIN prompt m USING (prompt_id) ORDER BY depth LIMIT ?2",
        &q, err);
    if (s != OK)
        return s;
    query_bind(q, "iii", parent_id, max_turns, (int64_t)LONGEST_HISTORY);
    while ((s = query_next(q, err)) == OK && query_has_row(q))
        if ((s = read_said(q, list, n, err)) != OK)
            break;
    query_close(q);
    if (s == OK && *n > LONGEST_HISTORY)
        s = error_set(err, E_DATA,
            "its history leads back to itself (call.parent_id), or has more than %d "
            "turns",
            LONGEST_HISTORY);
    return s;
}

struct history_rule {
    int keeps_views;
    int64_t max_turns; /* -1 = all */
};

static enum status read_rule(
    const char *settings, struct history_rule *rule, struct error *err)
{
    rule->keeps_views = 1;
    rule->max_turns = -1;
    if (!settings)
        return OK;
    struct json *j = NULL;
    enum status s = json_parse(settings, strlen(settings), "plan.settings", 0, &j, err);
    if (s != OK)
        return s;
    const struct json *history = json_get(j, "history");
    rule->keeps_views =
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
        s = add_said(&sight, &past[i], row.rule.keeps_views, d, err);
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

size_t dialogue_n_text_bytes(const struct dialogue *d)
{
    size_t n = d->system_prompt ? strlen(d->system_prompt) : 0;
    for (size_t i = 0; i < d->n_messages; i++)
        for (size_t k = 0; k < d->messages[i].n_parts; k++)
            if (!d->messages[i].parts[k].frame)
                n += strlen(d->messages[i].parts[k].text);
    return n;
}
