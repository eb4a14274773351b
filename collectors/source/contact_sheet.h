/* contact_sheet.h - a picture of pictures: scenes and instants as rows, views as columns; or
 * chosen frames, one after another. */
#ifndef COLLECTORS_SOURCE_CONTACT_SHEET_H
#define COLLECTORS_SOURCE_CONTACT_SHEET_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

#define CONTACT_SHEET_MAX_ROWS 200

/* Write a JPEG with the stored frames of scenes: a row an instant, a column a view.
 *   scene_ids  [n]; their instants are rows from the top, in rising order, at most
 *              CONTACT_SHEET_MAX_ROWS of them and what a picture holds (picture.h)
 *   n_rows     [n], NULL is fine: the rows of each scene, 0 where there was no room
 * Columns are the views that are in use, in their order, with their names above; a row
 * begins with scene and instant; the frames of a video share a cell, in the order of time
 * from the top left; of a text or a sound the word of its kind is shown; a view without a
 * frame stays gray.
 * OK; E_ARG for n = 0; E_DATA for a stored frame that cannot be decoded; E_IO; E_STORE. */
MUST_CHECK enum status contact_sheet_write(struct store *store, const int64_t *scene_ids,
    size_t n, const char *path, size_t *n_rows, struct error *err);

struct contact_frame {
    int64_t frame_id;
    const char *lines[2]; /* below the frame; each is cut behind 20 characters */
};

/* Write a JPEG with chosen pictures, four a row in the order given, a title above them.
 *   n  1 to 4 * CONTACT_SHEET_MAX_ROWS
 * OK; E_ARG for another n; E_NOT_FOUND for a frame that is not there or no picture; E_DATA
 * for one that cannot be decoded; E_IO; E_STORE. */
MUST_CHECK enum status contact_sheet_frames(struct store *store, const char *title,
    const struct contact_frame *frames, size_t n, const char *path, struct error *err);

#endif
