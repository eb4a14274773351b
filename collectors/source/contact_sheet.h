/* contact_sheet.h - a picture of pictures: scenes as rows, views as columns. */
#ifndef COLLECTORS_SOURCE_CONTACT_SHEET_H
#define COLLECTORS_SOURCE_CONTACT_SHEET_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "schema/store.h"

#define CONTACT_SHEET_MAX_ROWS 200

/* Write a JPEG with the stored frames of scenes at each scene's first instant.
 *   scene_ids  [n]; rows from the top, at most CONTACT_SHEET_MAX_ROWS of them
 *   n_rows     how many rows were drawn
 * Columns are the views that are in use, in their order; a view without a frame stays
 * gray.  There is no text in the picture: the caller says what the rows and columns are.
 * OK; E_ARG for n = 0; E_DATA for a stored frame that cannot be decoded; E_IO; E_STORE. */
MUST_CHECK enum status contact_sheet_write(struct store *store, const int64_t *scene_ids,
    size_t n, const char *path, size_t *n_rows, struct error *err);

#endif
