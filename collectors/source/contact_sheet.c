/* contact_sheet.c - thumbnails of stored frames, through the toolkit's own decoder and
 * resampler, so that the sheet shows what would be sent. */
#include "collectors/source/contact_sheet.h"

#include <stdlib.h>
#include <string.h>
#include "collectors/source/picture.h"
#include "collectors/source/resample.h"
#include "m4a1/base/files.h"
#include "schema/query.h"

#define CELL_WIDTH 240
#define CELL_HEIGHT 180
#define GAP 8
#define BACKGROUND 0xff
#define NO_FRAME 0xc8
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

static void paste(struct picture *sheet, int left, int top, const struct picture *p)
{
    left += (CELL_WIDTH - p->width) / 2;
    top += (CELL_HEIGHT - p->height) / 2;
    for (int y = 0; y < p->height; y++)
        memcpy(
            sheet->data + ((size_t)(top + y) * (size_t)sheet->width + (size_t)left) * 3,
            p->data + (size_t)y * (size_t)p->width * 3, (size_t)p->width * 3);
}

// As large as fits a cell, small frames enlarged too, so that rows can be compared.
static enum status thumbnail(struct picture *p, struct error *err)
{
    int width = CELL_WIDTH, height = (int)((int64_t)p->height * CELL_WIDTH / p->width);
    if (height > CELL_HEIGHT) {
        height = CELL_HEIGHT;
        width = (int)((int64_t)p->width * CELL_HEIGHT / p->height);
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

static enum status draw_row(struct store *store, int64_t scene_id, int row,
    struct picture *sheet, struct error *err)
{
    struct query *q;
    enum status s = query_open(store,
        "SELECT r.bytes FROM view v LEFT JOIN scene_frame f ON f.view_id = v.view_id"
        " AND f.scene_id = ?1 AND f.at_ms ="
        " (SELECT min(at_ms) FROM scene_frame WHERE scene_id = ?1)"
        " LEFT JOIN frame r USING (frame_id)"
        " WHERE v.retired_ms IS NULL ORDER BY v.position",
        &q, err);
    if (s)
        return s;
    query_bind(q, "i", scene_id);
    int top = GAP + row * (CELL_HEIGHT + GAP), left = GAP;
    while ((s = query_next(q, err)) == OK && query_has_row(q)) {
        size_t len;
        const void *bytes = query_bytes(q, 0, &len);
        struct picture p = { 0 };
        if (!bytes)
            fill(sheet, left, top, CELL_WIDTH, CELL_HEIGHT, NO_FRAME);
        else if ((s = picture_decode(bytes, len, 0, &p, err)) == OK)
            s = thumbnail(&p, err);
        if (s == OK && bytes)
            paste(sheet, left, top, &p);
        picture_release(&p);
        if (s)
            break;
        left += CELL_WIDTH + GAP;
    }
    query_close(q);
    return s;
}

enum status contact_sheet_write(struct store *store, const int64_t *scene_ids, size_t n,
    const char *path, size_t *n_rows, struct error *err)
{
    *n_rows = 0;
    int64_t n_views = 0;
    enum status s = store_int(store, 0, &n_views, err,
        "SELECT count(*) FROM view WHERE retired_ms IS NULL", "");
    if (s == OK && (!n || !n_views))
        s = error_set(err, E_ARG, "no scene was stored, so there is nothing to preview");
    if (s)
        return s;
    size_t rows = n < CONTACT_SHEET_MAX_ROWS ? n : CONTACT_SHEET_MAX_ROWS;
    struct picture sheet;
    struct buffer jpeg;
    buffer_init(&jpeg, FILE_MAX_BYTES);
    s = picture_new(GAP + (int)n_views * (CELL_WIDTH + GAP),
        GAP + (int)rows * (CELL_HEIGHT + GAP), 3, &sheet, err);
    if (s == OK)
        fill(&sheet, 0, 0, sheet.width, sheet.height, BACKGROUND);
    for (size_t i = 0; s == OK && i < rows; i++)
        s = draw_row(store, scene_ids[i], (int)i, &sheet, err);
    if (s == OK)
        s = picture_encode_jpeg(&sheet, QUALITY, &jpeg, err);
    if (s == OK)
        s = file_write(path, jpeg.data, jpeg.len, err);
    if (s == OK)
        *n_rows = rows;
    else
        error_prefix(err, "preview %s: ", path);
    picture_release(&sheet);
    buffer_release(&jpeg);
    return s;
}
