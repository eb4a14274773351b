/* contact_sheet.c - thumbnails of stored frames, through the toolkit's own decoder and
 * resampler, so that the sheet shows what would be sent. */
#include "collectors/source/contact_sheet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "collectors/source/bitmap_font.h"
#include "collectors/source/picture.h"
#include "collectors/source/resample.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

#define CELL_WIDTH 240
#define CELL_HEIGHT 180
#define GAP 8
#define LABEL_WIDTH 180 /* scene and instant, left of a row: 15 characters */
#define HEAD_HEIGHT (2 * BITMAP_LINE_PX) /* names of views, above the first row */
#define FIRST_COLUMN (GAP + LABEL_WIDTH + GAP)
#define FIRST_ROW (GAP + HEAD_HEIGHT + GAP)
#define BACKGROUND 0xff
#define NO_FRAME 0xc8
#define WORD_FRAME 0xe4 /* behind the word that stands for a text or a sound */
#define QUALITY 85
#define FILE_MAX_BYTES (1u << 30)

static void fill(
    struct picture *sheet, int left, int top, int width, int height, uint8_t level)
{
    for (int y = 0; y < height; y++)
        memset(
            sheet->data + ((size_t)(top + y) * (size_t)sheet->width + (size_t)left) * 3,
            level, (size_t)width * 3);
}

/* A part of the sheet. */
struct box {
    int left, top, width, height;
};

static void paste(struct picture *sheet, const struct box *box, const struct picture *p)
{
    int left = box->left + (box->width - p->width) / 2;
    int top = box->top + (box->height - p->height) / 2;
    for (int y = 0; y < p->height; y++)
        memcpy(
            sheet->data + ((size_t)(top + y) * (size_t)sheet->width + (size_t)left) * 3,
            p->data + (size_t)y * (size_t)p->width * 3, (size_t)p->width * 3);
}

// As large as fits the box, small frames enlarged too, so that rows can be compared.
static enum status thumbnail(struct picture *p, const struct box *box, struct error *err)
{
    int width = box->width, height = (int)((int64_t)p->height * box->width / p->width);
    if (height > box->height) {
        height = box->height;
        width = (int)((int64_t)p->width * box->height / p->height);
    }
    struct picture small;
    enum status s =
        picture_resample(p, width < 1 ? 1 : width, height < 1 ? 1 : height, &small, err);
    if (s)
        return s;
    picture_release(p);
    *p = small;
    return OK;
}

/* Where part of n parts stands in a cell: on a grid that is as wide as high. */
static struct box box_of_part(int left, int top, int part, int n)
{
    int columns = 1;
    while (columns * columns < n)
        columns++;
    int rows = (n + columns - 1) / columns;
    struct box box = { .width = CELL_WIDTH / columns, .height = CELL_HEIGHT / rows };
    box.left = left + part % columns * box.width;
    box.top = top + part / columns * box.height;
    return box;
}

/* What is being drawn. */
struct sheet {
    struct store *store;
    struct picture picture;
    size_t n_rows, max_rows;
};

static enum status draw_heads(struct sheet *sheet, struct error *err)
{
    struct query *q;
    int left = FIRST_COLUMN;
    enum status s = query_open(sheet->store,
        "SELECT name FROM view WHERE retired_ms IS NULL ORDER BY position", &q, err);
    if (s)
        return s;
    for (; (s = query_next(q, err)) == OK && query_has_row(q); left += CELL_WIDTH + GAP)
        bitmap_text(
            &sheet->picture, left, GAP, CELL_WIDTH, HEAD_HEIGHT, query_text(q, 0));
    query_close(q);
    return s;
}

static void draw_label(struct sheet *sheet, int top, const char *scene, int64_t at_ms)
{
    char at[48];
    snprintf(at, sizeof at, "at %g s", (double)at_ms / 1e3);
    int used = bitmap_text(
        &sheet->picture, GAP, top, LABEL_WIDTH, CELL_HEIGHT - 2 * BITMAP_LINE_PX, scene);
    bitmap_text(&sheet->picture, GAP, top + used, LABEL_WIDTH, BITMAP_LINE_PX, at);
}

/* Columns of the query: bytes, media type, length of a sound, part, how many parts. */
static enum status draw_part(
    struct sheet *sheet, const struct query *q, int left, int top, struct error *err)
{
    size_t len;
    const void *bytes = query_bytes(q, 0, &len);
    const char *type = query_text(q, 1);
    struct box box = box_of_part(left, top, (int)query_int(q, 3), (int)query_int(q, 4));
    struct picture p = { 0 };
    if (!bytes || !text_starts(type, "image/")) {
        fill(&sheet->picture, box.left, box.top, box.width, box.height,
            bytes ? WORD_FRAME : NO_FRAME);
        char word[40];
        if (bytes && text_starts(type, "audio/"))
            snprintf(word, sizeof word, "audio, %.1f s", (double)query_int(q, 2) / 1e3);
        else
            snprintf(word, sizeof word, "text, %zu bytes", len);
        if (bytes)
            bitmap_text(&sheet->picture, box.left + GAP, box.top + GAP,
                box.width - 2 * GAP, box.height - 2 * GAP, word);
        return OK;
    }
    enum status s = picture_decode(bytes, len, 0, &p, err);
    if (s == OK)
        s = thumbnail(&p, &box, err);
    if (s == OK)
        paste(&sheet->picture, &box, &p);
    picture_release(&p);
    return s;
}

static enum status draw_row(struct sheet *sheet, int64_t scene_id, const char *scene,
    int64_t at_ms, struct error *err)
{
    struct query *q;
    enum status s = query_open(sheet->store,
        "SELECT r.bytes, r.media_type, r.duration_ms, coalesce(f.part, 0),"
        " coalesce(max(f.part) OVER (PARTITION BY v.view_id), 0) + 1"
        " FROM view v LEFT JOIN scene_frame f ON f.view_id = v.view_id"
        " AND f.scene_id = ? AND f.at_ms = ? LEFT JOIN frame r USING (frame_id)"
        " WHERE v.retired_ms IS NULL ORDER BY v.position, f.part",
        &q, err);
    if (s)
        return s;
    query_bind(q, "ii", scene_id, at_ms);
    int top = FIRST_ROW + (int)sheet->n_rows * (CELL_HEIGHT + GAP);
    int left = FIRST_COLUMN - (CELL_WIDTH + GAP);
    draw_label(sheet, top, scene, at_ms);
    while ((s = query_next(q, err)) == OK && query_has_row(q)) {
        left += query_int(q, 3) ? 0 : CELL_WIDTH + GAP;
        s = draw_part(sheet, q, left, top, err);
        if (s)
            break;
    }
    query_close(q);
    sheet->n_rows++;
    return s;
}

#define INSTANTS                                                                         \
    " FROM (SELECT DISTINCT scene_id, at_ms FROM scene_frame WHERE scene_id = ?)"

/* A row for each instant of the scene, while there is room. */
static enum status draw_scene(struct sheet *sheet, int64_t scene_id, struct error *err)
{
    struct query *q;
    enum status s = query_open(sheet->store,
        "SELECT n.name, i.at_ms" INSTANTS " i JOIN scene n USING (scene_id)"
        " ORDER BY i.at_ms",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", scene_id);
    while (sheet->n_rows < sheet->max_rows && (s = query_next(q, err)) == OK &&
           query_has_row(q)) {
        s = draw_row(sheet, scene_id, query_text(q, 0), query_int(q, 1), err);
        if (s)
            break;
    }
    query_close(q);
    return s;
}

/* How many rows the scenes have, up to what fits a picture. */
static enum status count_rows(
    struct sheet *sheet, const int64_t *scene_ids, size_t n, int width, struct error *err)
{
    size_t fits = (size_t)(PICTURE_MAX_PIXELS / width - FIRST_ROW) / (CELL_HEIGHT + GAP);
    enum status s = OK;
    for (size_t i = 0; i < n && s == OK && sheet->max_rows < CONTACT_SHEET_MAX_ROWS;
         i++) {
        int64_t rows = 0;
        s = store_int(
            sheet->store, 0, &rows, err, "SELECT count(*)" INSTANTS, "i", scene_ids[i]);
        sheet->max_rows += (size_t)rows;
    }
    if (sheet->max_rows > CONTACT_SHEET_MAX_ROWS)
        sheet->max_rows = CONTACT_SHEET_MAX_ROWS;
    if (sheet->max_rows > fits)
        sheet->max_rows = fits;
    return s;
}

static enum status draw_sheet(struct sheet *sheet, const int64_t *scene_ids, size_t n,
    size_t *n_rows, struct error *err)
{
    fill(&sheet->picture, 0, 0, sheet->picture.width, sheet->picture.height, BACKGROUND);
    enum status s = draw_heads(sheet, err);
    for (size_t i = 0; s == OK && i < n && sheet->n_rows < sheet->max_rows; i++) {
        size_t before = sheet->n_rows;
        s = draw_scene(sheet, scene_ids[i], err);
        if (n_rows)
            n_rows[i] = sheet->n_rows - before;
    }
    return s;
}

enum status contact_sheet_write(struct store *store, const int64_t *scene_ids, size_t n,
    const char *path, size_t *n_rows, struct error *err)
{
    for (size_t i = 0; n_rows && i < n; i++)
        n_rows[i] = 0;
    int64_t n_views = 0;
    enum status s = store_int(store, 0, &n_views, err,
        "SELECT count(*) FROM view WHERE retired_ms IS NULL", "");
    if (s == OK && (!n || !n_views))
        s = error_set(err, E_ARG, "no scene was stored, so there is nothing to preview");
    if (s)
        return s;
    struct sheet sheet = { .store = store };
    struct buffer jpeg;
    buffer_init(&jpeg, FILE_MAX_BYTES);
    int width = FIRST_COLUMN + (int)n_views * (CELL_WIDTH + GAP);
    s = count_rows(&sheet, scene_ids, n, width, err);
    if (s == OK)
        s = picture_new(width, FIRST_ROW + (int)sheet.max_rows * (CELL_HEIGHT + GAP), 3,
            &sheet.picture, err);
    if (s == OK)
        s = draw_sheet(&sheet, scene_ids, n, n_rows, err);
    if (s == OK)
        s = picture_encode_jpeg(&sheet.picture, QUALITY, &jpeg, err);
    if (s == OK)
        s = file_write(path, jpeg.data, jpeg.len, err);
    if (s)
        error_prefix(err, "preview %s: ", path);
    picture_release(&sheet.picture);
    buffer_release(&jpeg);
    return s;
}

/* ---- chosen frames ---- */

#define FRAME_COLUMNS 4
#define LABEL_GAP (GAP / 2)
#define FRAME_ROW (CELL_HEIGHT + LABEL_GAP + 2 * BITMAP_LINE_PX + GAP)

static enum status draw_frame(struct sheet *sheet, const struct contact_frame *frame,
    int left, int top, struct error *err)
{
    struct query *q;
    struct picture p = { 0 };
    const struct box box = { left, top, CELL_WIDTH, CELL_HEIGHT };
    enum status s = query_open(sheet->store,
        "SELECT bytes FROM frame WHERE frame_id = ? AND media_type LIKE 'image/%'", &q,
        err);
    if (s)
        return s;
    query_bind(q, "i", frame->frame_id);
    s = query_next(q, err);
    if (!s && !query_has_row(q))
        s = error_set(err, E_NOT_FOUND, "there is no picture with frame_id %lld",
            (long long)frame->frame_id);
    if (!s) {
        size_t len;
        const void *bytes = query_bytes(q, 0, &len);
        s = picture_decode(bytes, len, 0, &p, err);
        if (s)
            error_prefix(err, "frame %lld: ", (long long)frame->frame_id);
    }
    query_close(q);
    if (!s)
        s = thumbnail(&p, &box, err);
    if (!s) {
        fill(&sheet->picture, left, top, CELL_WIDTH, CELL_HEIGHT, NO_FRAME);
        paste(&sheet->picture, &box, &p);
        for (int i = 0; i < 2; i++)
            bitmap_text(&sheet->picture, left,
                top + CELL_HEIGHT + LABEL_GAP + i * BITMAP_LINE_PX, CELL_WIDTH,
                BITMAP_LINE_PX, frame->lines[i]);
    }
    picture_release(&p);
    return s;
}

enum status contact_sheet_frames(struct store *store, const char *title,
    const struct contact_frame *frames, size_t n, const char *path, struct error *err)
{
    if (!n || n > (size_t)FRAME_COLUMNS * CONTACT_SHEET_MAX_ROWS)
        return error_set(err, E_ARG, "contact sheet %s: %zu frames, expected 1 to %d",
            path, n, FRAME_COLUMNS * CONTACT_SHEET_MAX_ROWS);
    struct sheet sheet = { .store = store };
    struct buffer jpeg;
    buffer_init(&jpeg, FILE_MAX_BYTES);
    int rows = (int)((n + FRAME_COLUMNS - 1) / FRAME_COLUMNS);
    int width = GAP + FRAME_COLUMNS * (CELL_WIDTH + GAP);
    enum status s = picture_new(
        width, 2 * GAP + HEAD_HEIGHT + rows * FRAME_ROW, 3, &sheet.picture, err);
    if (!s) {
        fill(&sheet.picture, 0, 0, width, sheet.picture.height, BACKGROUND);
        bitmap_text(&sheet.picture, GAP, GAP, width - 2 * GAP, HEAD_HEIGHT, title);
    }
    for (size_t i = 0; i < n && !s; i++)
        s = draw_frame(&sheet, &frames[i],
            GAP + (int)(i % FRAME_COLUMNS) * (CELL_WIDTH + GAP),
            2 * GAP + HEAD_HEIGHT + (int)(i / FRAME_COLUMNS) * FRAME_ROW, err);
    if (!s)
        s = picture_encode_jpeg(&sheet.picture, QUALITY, &jpeg, err);
    if (!s)
        s = file_write(path, jpeg.data, jpeg.len, err);
    if (s)
        error_prefix(err, "contact sheet %s: ", path);
    picture_release(&sheet.picture);
    buffer_release(&jpeg);
    return s;
}
