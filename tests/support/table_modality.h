/* table_modality.h - the example of docs/adding-a-modality.md: tables as a kind of view. */
#ifndef TESTS_SUPPORT_TABLE_MODALITY_H
#define TESTS_SUPPORT_TABLE_MODALITY_H

#include "collectors/modality.h"
#include "m4a1/base/buffer.h"

/* The check of a file: E_DATA names the line of a CSV without quotes that has other than
 * as many fields as the first, or where there is no row.  out gets the frame's bytes:
 * lines end in \n. */
MUST_CHECK enum status table_read(
    const char *bytes, size_t len, struct buffer *out, struct error *err);

extern const struct modality modality_table;

#endif
