/* sight.c - see sight.h. */
#include "collectors/sight.h"

#include <stdlib.h>
#include <string.h>

#include "collectors/fit.h"
#include "collectors/modality.h"
#include "m4a1/base/text.h"
#include "schema/accepts.h"
#include "schema/query.h"

/* One view while its frames are read. */
struct seen {
    char *name; /* NULL = none yet */
    enum view_kind kind;
    int64_t position;
    struct modality_frame *frames; /* texts and references to frames are its own */
    size_t n_frames;
};

static void forget(struct seen *v)
{
    for (size_t i = 0; i < v->n_frames; i++) {
        free((char *)v->frames[i].text);
        frame_release(v->frames[i].frame);
    }
    free(v->frames);
    free(v->name);
    memset(v, 0, sizeof *v);
}

enum { POSITION, NAME, KIND, FRAME, OFFSET, DURATION, TYPE, TEXT };

static enum view_kind kind_of(const struct query *q)
{
    int kind = 0;
    while (kind < N_VIEW_KINDS - 1 &&
           !text_equal(view_kind_names[kind], query_text(q, KIND)))
        kind++;
    return (enum view_kind)kind;
}

/* Whether the llm is ever sent such a view; see accepts.h. */
static int is_sent(const struct sight *sight, const struct query *q)
{
    struct accepts_view view = { .name = query_text(q, NAME), .kind = kind_of(q) };
    view.n_pictures = view.kind == VIEW_IMAGE || view.kind == VIEW_VIDEO;
    return accepts_sent(sight->llm->accepts, &view, 1) != 0;
}

static enum status begin_view(const struct query *q, struct seen *v, struct error *err)
{
    const char *name = query_text(q, NAME);
    v->kind = kind_of(q);
    v->position = query_int(q, POSITION);
    v->name = text_copy(name);
    return v->name ? OK : error_nomem(err, strlen(name) + 1);
}

/* The frame as it is sent: of a picture that is too large for the llm, the smaller one. */
static enum status load_frame(const struct sight *sight, const struct query *q,
    int is_picture, struct frame **out, struct error *err)
{
    int64_t frame_id = query_int(q, FRAME);
    enum status s = OK;
    if (is_picture)
        s = fit_lookup(sight->store, sight->llm, frame_id, &frame_id, err);
    return s == OK ? frame_cache_get(sight->cache, sight->store, frame_id, out, err) : s;
}

static enum status load_text(const struct query *q, const char **out, struct error *err)
{
    size_t len = 0;
    const char *bytes = query_bytes(q, TEXT, &len);
    *out = text_copy_n(bytes ? bytes : "", bytes ? len : 0);
    return *out ? OK : error_nomem(err, len + 1);
}

/* One more frame of the view in hand. */
static enum status take_frame(
    const struct sight *sight, const struct query *q, struct seen *v, struct error *err)
{
    const struct modality *modality = &modalities[v->kind];
    if (query_is_null(q, FRAME))
        return error_set(err, E_DATA,
            "view \"%s\" has no frame at this instant; run m4a1 ingest for its scene",
            v->name);
    if (!text_starts(query_text(q, TYPE), modality->media_type))
        return error_set(err, E_DATA,
            "view \"%s\" has a frame of type %s, not %s; run m4a1 ingest for its scene "
            "again",
            v->name, query_text(q, TYPE), modality->what);
    struct modality_frame *more = realloc(v->frames, (v->n_frames + 1) * sizeof *more);
    if (!more)
        return error_nomem(err, (v->n_frames + 1) * sizeof *more);
    v->frames = more;
    struct modality_frame *f = &more[v->n_frames++];
    *f = (struct modality_frame) { .offset_ms = query_int(q, OFFSET),
        .duration_ms = query_int(q, DURATION) };
    if (modality->is_text)
        return load_text(q, &f->text, err);
    return load_frame(
        sight, q, text_starts(modality->media_type, "image/"), &f->frame, err);
}

/* Counts a view, for limits and for what is said when one is passed. */
static enum status count_view(
    const struct seen *v, struct dialogue_shown *shown, struct error *err)
{
    for (int kind = 0; kind < N_VIEW_KINDS; kind++) {
        struct dialogue_shown *of = &shown[kind];
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
static enum status say_view(struct seen *v, struct dialogue_message *m,
    struct dialogue_shown *shown, struct error *err)
{
    if (!v->name)
        return OK;
    struct modality_view view = { v->name, v->frames, v->n_frames };
    enum status s = count_view(v, shown, err);
    if (s == OK)
        s = modalities[v->kind].say(&view, m, err);
    forget(v);
    return s;
}

static const char sql_frames[] =
    "SELECT v.position, v.name, v.kind, r.frame_id, f.offset_ms,"
    " coalesce(r.duration_ms, length(r.bytes) / 8), r.media_type,"
    " CASE v.kind WHEN 'text' THEN r.bytes END FROM view v LEFT JOIN scene_frame f"
    " ON f.scene_id = ? AND f.at_ms = ? AND f.view_id = v.view_id"
    " LEFT JOIN frame r USING (frame_id) ORDER BY v.position, f.part";

enum status sight_add(const struct sight *sight, uint32_t views,
    struct dialogue_message *m, struct dialogue_shown *shown, struct error *err)
{
    struct query *q = NULL;
    struct seen view = { 0 };
    uint32_t missing = views;
    enum status s = views ? query_open(sight->store, sql_frames, &q, err) : OK;
    if (s != OK || !views)
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
            s = say_view(&view, m, shown, err);
        if (s == OK && !view.name)
            s = begin_view(q, &view, err);
        if (s == OK)
            s = take_frame(sight, q, &view, err);
        if (s != OK)
            break;
    }
    query_close(q);
    if (s == OK)
        s = say_view(&view, m, shown, err);
    forget(&view);
    if (s == OK && missing)
        s = error_set(
            err, E_DATA, "the views 0x%x of a call are not in the store", missing);
    return s;
}
