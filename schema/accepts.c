/* accepts.c - see accepts.h. */
#include "schema/accepts.h"

#include <stdlib.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "schema/query.h"

#define MAX_SENTENCE 4096 /* an error's message is shorter */

static int has(uint32_t set, int i)
{
    return set >> i & 1;
}

/* What a view counts against the limit of a kind. */
static int weight(const struct accepts_view *view, enum view_kind limit)
{
    if (limit == VIEW_IMAGE)
        return view->n_pictures;
    return view->kind == limit;
}

/* The first limit of 0 that a view runs into, or N_VIEW_KINDS. */
static int refused_by(const int limits[N_VIEW_KINDS], const struct accepts_view *view)
{
    int kind = 0;
    while (
        kind < N_VIEW_KINDS && !(limits[kind] == 0 && weight(view, (enum view_kind)kind)))
        kind++;
    return kind;
}

uint32_t accepts_sent(
    const int limits[N_VIEW_KINDS], const struct accepts_view *views, uint32_t set)
{
    uint32_t sent = 0;
    for (int i = 0; i < ACCEPTS_MAX_VIEWS && set >> i; i++)
        if (has(set, i) && refused_by(limits, &views[i]) == N_VIEW_KINDS)
            sent |= UINT32_C(1) << i;
    return sent;
}

int accepts_all(const int limits[N_VIEW_KINDS], const struct accepts_view *views,
    uint32_t set, struct accepts_why *why)
{
    for (int kind = 0; kind < N_VIEW_KINDS; kind++) {
        struct accepts_why found = { (enum view_kind)kind, 0, limits[kind], 0 };
        for (int i = 0; limits[kind] >= 0 && i < ACCEPTS_MAX_VIEWS && set >> i; i++) {
            int n = has(set, i) ? weight(&views[i], (enum view_kind)kind) : 0;
            found.n += n;
            found.views |= n ? UINT32_C(1) << i : 0;
        }
        if (limits[kind] >= 0 && found.n > limits[kind]) {
            if (why)
                *why = found;
            return 0;
        }
    }
    return 1;
}

int accepts_action(const int limits[N_VIEW_KINDS], const struct accepts_view *views,
    uint32_t set, uint32_t context, int keeps_views, struct accepts_why *why)
{
    uint32_t never = set & ~accepts_sent(limits, views, set);
    if (never)
        return accepts_all(limits, views, never, why);
    uint32_t shown = keeps_views ? context | set : set & ~context;
    return accepts_all(limits, views, accepts_sent(limits, views, shown), why);
}

/* ---- words ---- */

const char *accepts_noun(enum view_kind kind, int64_t n)
{
    static const char *const one[] = { "image", "video", "text", "audio view" };
    static const char *const many[] = { "images", "videos", "texts", "audio views" };
    return n == 1 ? one[kind] : many[kind];
}

static void add_name(
    struct buffer *out, const struct accepts_view *view, enum view_kind limit)
{
    buffer_add_str(out, view->name ? view->name : "?");
    if (limit == VIEW_IMAGE && view->kind == VIEW_VIDEO)
        buffer_printf(out, " (%d %s)", view->n_pictures,
            view->n_pictures == 1 ? "frame" : "frames");
}

void accepts_explain(const char *llm, const struct accepts_view *views,
    const struct accepts_why *why, const char *doing, struct buffer *out)
{
    if (!why->most)
        buffer_printf(out, "llm %s accepts no %s, but %s view", llm,
            why->kind == VIEW_AUDIO ? "audio" : accepts_noun(why->kind, 0), doing);
    else
        buffer_printf(out, "llm %s accepts %d %s, but %s %d:", llm, why->most,
            accepts_noun(why->kind, why->most), doing, why->n);
    int n = 0;
    for (int i = 0; i < ACCEPTS_MAX_VIEWS && why->views >> i; i++) {
        if (!has(why->views, i))
            continue;
        buffer_add_str(out, n++ ? ", " : " ");
        add_name(out, &views[i], why->kind);
    }
}

enum status accepts_refuse(const char *llm, const struct accepts_view *views,
    const struct accepts_why *why, const char *doing, enum status code, struct error *err)
{
    struct buffer text;
    buffer_init(&text, MAX_SENTENCE);
    accepts_explain(llm, views, why, doing, &text);
    error_set(err, code, "%s", buffer_str(&text));
    buffer_release(&text);
    return code;
}

void accepts_names(const struct accepts_view *views, uint32_t set, struct buffer *out)
{
    int n = 0;
    for (int i = 0; i < ACCEPTS_MAX_VIEWS && set >> i; i++)
        if (has(set, i))
            buffer_printf(
                out, "%s%s", n++ ? "+" : "", views[i].name ? views[i].name : "?");
}

/* ---- the store's views ---- */

static enum status take_row(
    const struct query *q, struct accepts_store *out, struct error *err)
{
    int64_t i = query_int(q, 0);
    struct accepts_view *view = &out->views[i];
    const char *kind = query_text(q, 2);
    if (!(out->names[i] = text_copy(query_text(q, 1))))
        return error_nomem(err, 64);
    view->name = out->names[i];
    for (int k = 0; k < N_VIEW_KINDS; k++)
        if (text_equal(view_kind_names[k], kind))
            view->kind = (enum view_kind)k;
    view->n_pictures = view->kind == VIEW_IMAGE   ? 1
                       : view->kind == VIEW_VIDEO ? (int)query_int(q, 3)
                                                  : 0;
    return OK;
}

enum status accepts_load(
    struct store *store, struct accepts_store *out, struct error *err)
{
    struct query *q = NULL;
    memset(out, 0, sizeof *out);
    enum status s = query_open(store,
        "SELECT v.position, v.name, v.kind, CASE v.kind WHEN 'video' THEN"
        " (SELECT coalesce(max(f.part), 0) + 1 FROM scene_frame f"
        "  WHERE f.view_id = v.view_id) END FROM view v",
        &q, err);
    if (s != OK)
        return s;
    while ((s = query_next(q, err)) == OK && query_has_row(q))
        if ((s = take_row(q, out, err)) != OK)
            break;
    query_close(q);
    if (s != OK)
        accepts_release(out);
    return s;
}

void accepts_release(struct accepts_store *views)
{
    for (size_t i = 0; i < ACCEPTS_MAX_VIEWS; i++)
        free(views->names[i]);
    memset(views, 0, sizeof *views);
}
