/* recorded.h - a data set as the published environment sees it: numbers only.
 *
 * Recorded view bits are those of the authors' code: all views that the dialogue holds
 * where the turn's cloud answer brought new ones, none where it brought none (their
 * image_index; views accumulate, docs/tmo.md).  Scores are those after the published
 * refusal rule: a refused answer counts 0.  Only the path is recorded here; fan-out
 * answers are not part of the published environment. */
#ifndef M4A1_TMO_RECORDED_H
#define M4A1_TMO_RECORDED_H

#include <stddef.h>
#include <stdint.h>
#include "export/dataset.h"
#include "m4a1/base/error.h"
#include "schema/space.h"

struct recorded_session {
    int64_t id;
    size_t first, n_turns; /* its turns are first .. first + n_turns - 1 */
};

struct recorded {
    const struct dataset *data; /* the caller's, which outlives this */
    int local, cloud;           /* indices into data->llms */
    struct space space;
    struct recorded_session *sessions;
    size_t n_sessions, n_turns;
    int16_t *observations; /* [n_turns][O] */
    int *tasks;            /* [n_turns] */
    int *actions;          /* [n_turns] */
    double *scores;        /* [n_turns] after the refusal rule; NAN = not to be used */
    double *associations;  /* [n_turns][X]; 0 where none was computed */
    /* turns whose scores are NAN because nobody scored them, or because another llm
     * than local and cloud answered; turns without associations */
    size_t n_unscored, n_other_llm, n_unassociated;
};

/* Encode data for actions of its llms local and cloud (indices) with tau states an
 * observation.  E_DATA names a session or turn that cannot be encoded, or says that
 * there is no session. */
MUST_CHECK enum status recorded_build(const struct dataset *data, int local, int cloud,
    size_t tau, struct recorded **out, struct error *err);
void recorded_free(struct recorded *rec); /* NULL is fine */

/* The index of a session by its id, or SIZE_MAX. */
size_t recorded_find(const struct recorded *rec, int64_t id);

/* The indices of n sessions, in that order; freed with free().  E_DATA names an id that
 * the data lacks. */
MUST_CHECK enum status recorded_indices(const struct recorded *rec, const int64_t *ids,
    size_t n, size_t **out, struct error *err);

/* The association of an action in a turn: the sum over its views (0 for local and for
 * text only), and the same min-max normalised over all actions of that turn (0 where
 * all actions are equal). */
double recorded_association(
    const struct recorded *rec, size_t turn, size_t action, double *normalised);

#endif
