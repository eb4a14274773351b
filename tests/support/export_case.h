/* export_case.h - a small file of the authors' format, a scratch folder, and stores made
 * from it, for tests of import and export.  Functions assert with cmocka. */
#ifndef TESTS_SUPPORT_EXPORT_CASE_H
#define TESTS_SUPPORT_EXPORT_CASE_H

#include "export/dataset.h"
#include "m4a1/base/buffer.h"
#include "schema/store.h"

/* Three sessions, ids 7, 3 and 12, over two scenes, two views; awkward numbers. */
extern const char export_sample[];

/* cmocka's set-up and its end: *state is the path of a folder, removed with all in it. */
int export_set_up(void **state);
int export_tear_down(void **state);

/* folder/name in static memory; sixteen may be in use at once. */
const char *export_path(void **state, const char *name);

/* text with the first from replaced by to; the caller frees it. */
char *export_with(const char *text, const char *from, const char *to);

struct dataset *export_parse(const char *text, unsigned flags);
struct dataset *export_read(const char *path); /* dataset_read */

/* Import text into the store at path, which is made when it is not there. */
void export_import(const char *path, const char *text);

/* A file's content as text, owned by the caller. */
char *export_file(const char *path);

#endif
