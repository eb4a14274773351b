/* tmo_data.h - data for tests and benchmarks of training: the shared reference values
 * of TMO, and small data sets made on the spot.
 *
 * The reference values lie outside the project: $M4A1_SHARED, else ../shared. */
#ifndef TESTS_SUPPORT_TMO_DATA_H
#define TESTS_SUPPORT_TMO_DATA_H

#include <stddef.h>
#include "export/dataset.h"
#include "m4a1/base/json.h"

/* The path of a shared file ("golden/tmo/knn.json"), freed by the caller; NULL where it
 * is absent. */
char *golden_path(const char *name);

/* A shared JSON file, freed with json_free(); NULL where it is absent.  A file that is
 * there and cannot be read fails the program with its error. */
struct json *golden_json(const char *name);

/* The public slice of M4A1, freed with dataset_free(); NULL where it is absent. */
struct dataset *golden_dataset(void);

/* Session ids of a list, freed by the caller. */
int64_t *golden_ids(const struct json *list, size_t *n);

/* A data set from the text of an authors' JSON file, by way of a temporary file; freed
 * with dataset_free().  Fails the program where it is bad. */
struct dataset *text_dataset(const char *json);

/* Sessions of n_turns turns over 2 views and the tasks "a" and "b", half of the turns
 * local, half cloud with no view, the first, the second or both.  A turn scores
 * score[task][0] locally and score[task][1] in the cloud; associations are 0.1, 0.2. */
struct dataset *simple_dataset(
    size_t n_sessions, size_t n_turns, const double score[2][2]);

#endif
