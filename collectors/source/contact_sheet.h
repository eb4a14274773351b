/* contact_sheet.h - a picture of pictures: scenes and instants as rows, views as columns. */
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

#endif
