/* files.h - whole files, folders and paths.
 *
 * Files are written whole or not at all: into a temporary beside the target, fsync,
 * rename, fsync of the folder. */
#ifndef M4A1_BASE_FILES_H
#define M4A1_BASE_FILES_H

#include <stddef.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

/* Read all of a regular file into out (its ceiling applies, its content is replaced). */
MUST_CHECK enum status file_read(const char *path, struct buffer *out, struct error *err);

/* Write len bytes to path as a whole; mode 0644 under the umask.  A database that stands
 * there is never replaced: E_ARG.  A device or a pipe is written to. */
MUST_CHECK enum status file_write(
    const char *path, const void *data, size_t len, struct error *err);

int file_exists(const char *path);    /* anything at all is there */
int file_is_folder(const char *path); /* follows links */

/* Create a folder and its missing parents; one that is there already is fine. */
MUST_CHECK enum status folder_make(const char *path, struct error *err);

/* Names of a folder's entries, sorted by bytes, without "." and "..", hidden ones
 * included.  *names is one allocation list freed with folder_list_free(). */
MUST_CHECK enum status folder_list(
    const char *path, char ***names, size_t *n, struct error *err);
void folder_list_free(char **names, size_t n);

/* folder + "/" + name, owned by the caller; NULL when out of memory. */
MUST_CHECK char *path_join(const char *folder, const char *name);
const char *path_base(const char *path);      /* behind the last slash; inside path */
const char *path_extension(const char *path); /* "jpg" of "a/b.jpg"; "" without one */

#endif
