/* scene_store.c - compares a scene with what the store has of it, then writes. */
#include "collectors/source/scene_store.h"

#include <stdlib.h>
#include <string.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define LIST_MAX_BYTES (1u << 24)

const char *const scene_outcome_names[5] = { "added", "updated", "replaced", "unchanged",
    "refused" };

struct writing {
    struct store *store;
    const struct scene_content *content;
    struct scene_result *result;
    struct error *err;
    int64_t scene_id;        /* 0 = not there yet */
    int used;                /* a session has this scene */
    size_t n_add, n_differ;  /* frames */
    struct buffer differing; /* their files, for the message */
    const struct scene_file *last_differing;
};

/* What stands for a part of an instant: where it is, and what it shows. */
struct place {
    const struct scene_file *file;
    const struct source *source;
    int64_t view_id, at_ms, offset_ms;
    int part;
    const struct source_frame *frame;
};

typedef enum status each_frame(struct writing *w, const struct place *p);

static enum status walk(struct writing *w, each_frame *visit)
{
    const struct scene_content *c = w->content;
    enum status s = OK;
    for (size_t i = 0; i < c->folder->n_files; i++) {
        struct place p = { .file = &c->folder->files[i], .source = &c->sources[i] };
        int n_parts = source_n_parts(p.source);
        p.view_id = c->views[p.file->view].view_id;
        for (size_t k = 0; k < c->n_instants * (size_t)n_parts && s == OK; k++) {
            p.at_ms = c->at_ms[k / (size_t)n_parts];
            p.part = (int)(k % (size_t)n_parts);
            p.offset_ms = p.part ? source_offset_ms(p.source, p.part) : 0;
            p.frame = source_frame(p.source, p.at_ms, p.part);
            if (p.frame)
                s = visit(w, &p);
        }
    }
    return s;
}

/* What the store has there. */
struct stored {
    int row;               /* there is a row */
    char sha256[HASH_HEX]; /* of its frame, "" for none */
    int64_t offset_ms;
    int n_behind; /* rows of parts behind this one */
};

static enum status stored_frame(
    struct writing *w, const struct place *p, struct stored *out)
{
    *out = (struct stored) { 0 };
    struct query *q;
    enum status s = query_open(w->store,
        "SELECT r.sha256, f.offset_ms FROM scene_frame f LEFT JOIN frame r"
        " USING (frame_id)"
        " WHERE f.scene_id = ? AND f.at_ms = ? AND f.view_id = ? AND f.part >= ?"
        " ORDER BY f.part",
        &q, w->err);
    if (s)
        return s;
    query_bind(q, "iiii", w->scene_id, p->at_ms, p->view_id, (int64_t)p->part);
    while ((s = query_next(q, w->err)) == OK && query_has_row(q)) {
        if (out->row++) {
            out->n_behind++;
            continue;
        }
        const char *text = query_text(q, 0);
        if (text && strlen(text) < HASH_HEX)
            memcpy(out->sha256, text, strlen(text) + 1);
        out->offset_ms = query_int(q, 1);
    }
    query_close(q);
    return s;
}

static int is_as_stored(const struct place *p, const struct stored *stored)
{
    return text_equal(stored->sha256, p->frame->sha256) &&
           stored->offset_ms == p->offset_ms;
}

// Parts that the clip no longer has.
static int has_too_many(const struct place *p, const struct stored *stored)
{
    return p->part == source_n_parts(p->source) - 1 && stored->n_behind;
}

// A part that makes a stored clip longer changes what it shows.
static enum status is_clip_there(struct writing *w, const struct place *p, int64_t *there)
{
    return store_int(w->store, 0, there, w->err,
        "SELECT frame_id IS NOT NULL FROM scene_frame WHERE scene_id = ? AND at_ms = ?"
        " AND view_id = ? AND part = 0 AND ? > 0",
        "iiii", w->scene_id, p->at_ms, p->view_id, (int64_t)p->part);
}

static enum status compare(struct writing *w, const struct place *p)
{
    struct stored stored;
    int64_t is_longer = 0;
    enum status s = stored_frame(w, p, &stored);
    if (s || (is_as_stored(p, &stored) && !has_too_many(p, &stored)))
        return s;
    if (!stored.sha256[0])
        s = is_clip_there(w, p, &is_longer);
    if (s)
        return s;
    if (!stored.sha256[0] && !is_longer) {
        w->n_add++;
        return OK;
    }
    w->n_differ++;
    if (w->last_differing != p->file)
        buffer_printf(
            &w->differing, "%s%s", w->last_differing ? ", " : "", p->file->name);
    w->last_differing = p->file;
    return OK;
}

static enum status frame_id_of(
    struct writing *w, const struct source_frame *frame, int64_t *id)
{
    enum status s = store_int(w->store, 0, id, w->err,
        "SELECT frame_id FROM frame WHERE sha256 = ?", "t", frame->sha256);
    if (s || *id)
        return s;
    s = store_run(w->store, w->err,
        "INSERT INTO frame (sha256, media_type, width_px, height_px, bytes, duration_ms)"
        " VALUES (?, ?, ?, ?, ?, nullif(?, -1))",
        "ttiibi", frame->sha256, frame->media_type, (int64_t)frame->width,
        (int64_t)frame->height, (const void *)frame->bytes, frame->len,
        frame->duration_ms);
    if (s)
        return s;
    *id = store_last_id(w->store);
    w->result->n_new_frames++;
    w->result->new_bytes += frame->len;
    return OK;
}

static enum status put(struct writing *w, const struct place *p)
{
    struct stored stored;
    int64_t id = 0;
    enum status s = stored_frame(w, p, &stored);
    if (s == OK && has_too_many(p, &stored))
        s = store_run(w->store, w->err,
            "DELETE FROM scene_frame WHERE scene_id = ? AND at_ms = ? AND view_id = ?"
            " AND part > ?",
            "iiii", w->scene_id, p->at_ms, p->view_id, (int64_t)p->part);
    if (s || is_as_stored(p, &stored))
        return s;
    s = frame_id_of(w, p->frame, &id);
    if (s)
        return s;
    if (!stored.row)
        return store_run(w->store, w->err,
            "INSERT INTO scene_frame (scene_id, view_id, at_ms, part, offset_ms,"
            " frame_id, source) VALUES (?, ?, ?, ?, ?, ?, ?)",
            "iiiiiit", w->scene_id, p->view_id, p->at_ms, (int64_t)p->part, p->offset_ms,
            id, p->file->name);
    // A row without a frame came with an import, whose own source is kept.
    return store_run(w->store, w->err,
        "UPDATE scene_frame SET frame_id = ?1, source = iif(frame_id IS NULL, source, "
        "?2),"
        " offset_ms = ?3 WHERE scene_id = ?4 AND at_ms = ?5 AND view_id = ?6 AND part = "
        "?7",
        "itiiiii", id, p->file->name, p->offset_ms, w->scene_id, p->at_ms, p->view_id,
        (int64_t)p->part);
}

static enum status instants_json(struct writing *w, struct buffer *out)
{
    const struct scene_content *c = w->content;
    for (size_t i = 0; i < c->n_instants; i++)
        buffer_printf(out, "%s%lld", i ? "," : "[", (long long)c->at_ms[i]);
    buffer_add_char(out, ']');
    return buffer_status(out, "the scene's instants", w->err);
}

// Instants of readable files that are no longer taken; only of scenes without sessions.
static enum status drop_old_instants(struct writing *w, int64_t *n_dropped)
{
    *n_dropped = 0;
    if (w->used)
        return OK;
    struct buffer instants;
    buffer_init(&instants, LIST_MAX_BYTES);
    enum status s = instants_json(w, &instants);
    for (size_t i = 0; s == OK && i < w->content->folder->n_files; i++) {
        if (!w->content->sources[i].n_frames)
            continue;
        s = store_run(w->store, w->err,
            "DELETE FROM scene_frame WHERE scene_id = ? AND view_id = ? AND at_ms NOT IN"
            " (SELECT value FROM json_each(?))",
            "iit", w->scene_id,
            w->content->views[w->content->folder->files[i].view].view_id,
            buffer_str(&instants));
        *n_dropped += store_n_changed(w->store);
    }
    buffer_release(&instants);
    return s;
}

// The frames that a scene has before it is changed, as a JSON array; the caller frees it.
static enum status frames_before(struct writing *w, char **json)
{
    struct query *q;
    *json = NULL;
    enum status s = query_open(w->store,
        "SELECT json_group_array(DISTINCT frame_id) FROM scene_frame"
        " WHERE scene_id = ? AND frame_id IS NOT NULL",
        &q, w->err);
    if (s)
        return s;
    query_bind(q, "i", w->scene_id);
    s = query_next(q, w->err);
    if (s == OK && !(*json = text_copy(query_has_row(q) ? query_text(q, 0) : "[]")))
        s = error_nomem(w->err, HASH_HEX);
    query_close(q);
    return s;
}

static enum status find_scene(struct writing *w)
{
    enum status s = store_int(w->store, 0, &w->scene_id, w->err,
        "SELECT scene_id FROM scene WHERE name = ?", "t", w->content->folder->name);
    int64_t used = 0;
    if (s == OK && w->scene_id)
        s = store_int(w->store, 0, &used, w->err,
            "SELECT EXISTS (SELECT 1 FROM session WHERE scene_id = ?)", "i", w->scene_id);
    w->used = used != 0;
    return s;
}

static enum status put_scene(struct writing *w, int64_t *n_changed)
{
    const struct scene_folder *f = w->content->folder;
    *n_changed = 0;
    enum status s;
    if (!w->scene_id) {
        s = store_run(w->store, w->err,
            "INSERT INTO scene (name, tags, licence, consent) VALUES (?, ?, ?, ?)",
            "tttt", f->name, f->tags ? f->tags : "[]", f->licence, f->consent);
        w->scene_id = store_last_id(w->store);
        return s;
    }
    if (!f->has_details)
        return OK;
    s = store_run(w->store, w->err,
        "UPDATE scene SET tags = ?1, licence = ?2, consent = ?3 WHERE scene_id = ?4 AND"
        " (tags, licence, consent) IS NOT (?1, ?2, ?3)",
        "ttti", f->tags, f->licence, f->consent, w->scene_id);
    *n_changed = store_n_changed(w->store);
    return s;
}

static enum status write_scene(struct writing *w, struct ingest_notes *notes)
{
    enum status s = find_scene(w);
    int is_new = w->scene_id == 0;
    if (s == OK)
        s = walk(w, compare);
    if (s == OK && w->n_differ && w->used) {
        w->result->outcome = SCENE_REFUSED;
        return ingest_note(notes, 1, w->content->folder->name, w->err,
            "refused: sessions use this scene, and %s would change; put the changed "
            "files into a folder with a new name",
            buffer_str(&w->differing));
    }
    char *before = NULL;
    int64_t n_details = 0, n_dropped = 0;
    if (s == OK)
        s = frames_before(w, &before);
    if (s == OK)
        s = put_scene(w, &n_details);
    if (s == OK)
        s = walk(w, put);
    if (s == OK)
        s = drop_old_instants(w, &n_dropped);
    if (s == OK && (w->n_differ || n_dropped))
        s = store_run(w->store, w->err,
            "DELETE FROM frame WHERE frame_id IN (SELECT value FROM json_each(?)) AND"
            " NOT EXISTS (SELECT 1 FROM scene_frame f WHERE f.frame_id = frame.frame_id)"
            " AND NOT EXISTS (SELECT 1 FROM frame_fit x"
            "  WHERE frame.frame_id IN (x.frame_id, x.fitted_id))",
            "t", before);
    free(before);
    w->result->outcome = is_new                     ? SCENE_ADDED
                         : w->n_differ || n_dropped ? SCENE_REPLACED
                         : w->n_add || n_details    ? SCENE_UPDATED
                                                    : SCENE_UNCHANGED;
    return s;
}

static enum status count_complete(struct writing *w)
{
    static const char sql[] =
        "WITH shown AS (SELECT v.view_id, v.name, f.at_ms FROM scene_frame f"
        "   JOIN view v USING (view_id)"
        "   WHERE f.scene_id = ?1 AND v.retired_ms IS NULL"
        "   GROUP BY v.view_id, f.at_ms HAVING count(f.frame_id) = count(*)),"
        " all_views AS (SELECT view_id, name, position FROM view"
        "   WHERE retired_ms IS NULL)"
        " SELECT (SELECT count(DISTINCT at_ms) FROM shown),"
        "  (SELECT count(*) FROM (SELECT 1 FROM shown GROUP BY at_ms"
        "    HAVING count(*) = (SELECT count(*) FROM all_views))),"
        "  (SELECT group_concat(name, ', ') FROM (SELECT name FROM all_views a WHERE"
        "    (SELECT count(*) FROM shown s WHERE s.view_id = a.view_id)"
        "    < (SELECT count(DISTINCT at_ms) FROM shown) ORDER BY position))";
    struct query *q;
    enum status s = query_open(w->store, sql, &q, w->err);
    if (s)
        return s;
    query_bind(q, "i", w->scene_id);
    s = query_next(q, w->err);
    if (s == OK && query_has_row(q)) {
        w->result->n_instants = (size_t)query_int(q, 0);
        w->result->n_complete = (size_t)query_int(q, 1);
        const char *missing = query_text(q, 2);
        if (missing && !(w->result->missing = text_copy(missing)))
            s = error_nomem(w->err, strlen(missing));
    }
    query_close(q);
    return s;
}

enum status scene_store(struct store *store, const struct scene_content *content,
    struct scene_result *result, struct ingest_notes *notes, struct error *err)
{
    *result = (struct scene_result) { .outcome = SCENE_REFUSED };
    struct writing w = {
        .store = store, .content = content, .result = result, .err = err
    };
    buffer_init(&w.differing, LIST_MAX_BYTES);
    enum status s = store_begin(store, err);
    if (s == OK)
        s = write_scene(&w, notes);
    if (s == OK && result->outcome != SCENE_REFUSED)
        s = count_complete(&w);
    if (s == OK && result->outcome != SCENE_REFUSED)
        s = store_commit(store, err);
    else
        store_rollback(store);
    if (s != OK) {
        free(result->missing);
        *result = (struct scene_result) { .outcome = SCENE_REFUSED };
        error_prefix(err, "scene %s: ", content->folder->name);
    }
    result->scene_id = w.scene_id;
    buffer_release(&w.differing);
    return s;
}
