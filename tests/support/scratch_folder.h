/* scratch_folder.h - a folder of its own for a test, with little to write into it. */
#ifndef TESTS_SUPPORT_SCRATCH_FOLDER_H
#define TESTS_SUPPORT_SCRATCH_FOLDER_H

#include <stddef.h>

/* Make one under $TMPDIR; the path is written into path.  Aborts on failure. */
void scratch_folder_open(char path[256]);
void scratch_folder_close(const char *path); /* removes it, with all that is in it */

/* Write a file of it, replacing what was there; aborts on failure. */
void scratch_file(const char *folder, const char *name, const void *data, size_t len);
void scratch_text(const char *folder, const char *name, const char *text);
void scratch_remove(const char *folder, const char *name);

/* folder/a of reference material: $M4A1_SHARED, else ../shared; NULL where it is absent.
 * Owned by the caller. */
char *shared_path(const char *name);

#endif
