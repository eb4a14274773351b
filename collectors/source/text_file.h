/* text_file.h - a text as it is stored and sent: UTF-8, small, without NUL bytes. */
#ifndef COLLECTORS_SOURCE_TEXT_FILE_H
#define COLLECTORS_SOURCE_TEXT_FILE_H

#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

#define TEXT_FILE_MAX_BYTES 65536u

/* Read a text file into out, whose ceiling has to be above TEXT_FILE_MAX_BYTES, and drop
 * a byte order mark of UTF-8 at its start; line ends stay as they are.  E_DATA: empty, too
 * long, NUL bytes or other than valid UTF-8 (the message has the byte's offset in the
 * file and what the coding seems to be); E_IO, E_NOT_FOUND, E_NOMEM.  Messages leave the
 * file's name to the caller. */
MUST_CHECK enum status text_file_read(
    const char *path, struct buffer *out, struct error *err);

/* The checks of a text that is in memory; *skip = bytes of a byte order mark. */
MUST_CHECK enum status text_file_check(
    const char *bytes, size_t len, size_t *skip, struct error *err);

#endif
