/* recorded.h - a data set as the environment sees it: numbers only.
 *
 * Two encodings.  The default: every llm of the data; an action adds views, and those
 * that the dialogue holds already add nothing; views stay in the dialogue and are part of
 * the state; fan-out answers are rows beside the path; an answer that refuses scores 0 by
 * the mended rule.  As published: one local and one cloud llm (rows of others are left out); view bits are
 * those of the authors' code, all views that the dialogue holds where the turn's cloud
 * answer brought new ones, none where it brought none (their image_index); refusals by
 * their rule; path rows only.  docs/tmo.md tells what each costs. */
#ifndef M4A1_TMO_RECORDED_H
#define M4A1_TMO_RECORDED_H

#include <stddef.h>
#include <stdint.h>
#include "export/dataset.h"
#include "m4a1/base/error.h"
#include "schema/space.h"

/* An action by names that a data set has; what --config lists. */
struct recorded_listed {
    int llm; /* index into data->llms */
    uint32_t views;
};

enum recorded_actions {
    ACTIONS_ALL,      /* every local llm, every cloud llm with every subset */
    ACTIONS_RECORDED, /* what some row of the data did, in the order of "all" */
    ACTIONS_LISTED,   /* the list of the settings, in its order */
};

struct recorded_settings {
    int as_published;
    size_t tau;
    int local, cloud; /* indices into data->llms; as published only */
    enum recorded_actions actions;
    const struct recorded_listed *listed; /* ACTIONS_LISTED; the caller's */
    size_t n_listed;
};

/* tau 5, all actions, every llm. */
struct recorded_settings recorded_defaults(void);
/* The published encoding for these llms. */
struct recorded_settings recorded_published(int local, int cloud, size_t tau);

struct recorded_session {
    int64_t id;
    size_t first, n_turns; /* its turns are first .. first + n_turns - 1 */
};

/* A scored answer: what an estimator can learn from. */
struct recorded_row {
    size_t turn;  /* whose state it was given in */
    int action;   /* the listed action with this effect */
    double score; /* finite */
    int fan_out;  /* 1 = beside the path */
};

struct recorded {
    const struct dataset *data; /* the caller's, which outlives this */
    int as_published;
    struct space space;
    int *llms;         /* [M] index into data->llms of each llm of the space */
    size_t *providers; /* [M] which llms are of one provider: 0 .. n_providers - 1 */
    size_t n_providers;
    struct recorded_session *sessions;
    size_t n_sessions, n_turns, longest; /* longest: turns of the longest session */

    int16_t *observations;     /* [n_turns][O] */
    int *tasks;                /* [n_turns] */
    size_t *prompts;           /* [n_turns] index of the distinct prompt */
    const char **prompt_texts; /* [n_prompts] the data's; in order of appearance */
    size_t n_prompts;
    uint32_t *contexts;   /* [n_turns] views that the dialogue held before the turn */
    uint32_t *added;      /* [n_turns] views that the path's action added to them */
    int *actions;         /* [n_turns] of the path; -1 = not among the listed ones */
    double *scores;       /* [n_turns] of the path; NAN = not to be used */
    double *associations; /* [n_turns][X]; 0 where none was computed */
    /* Scored answers with a listed action: those of the path, in order, then fan-out. */
    struct recorded_row *rows;
    size_t n_rows, n_path_rows;

    /* path turns whose scores are NAN because nobody scored them, or because another llm
     * than local and cloud answered; turns without associations; scored answers (path or
     * fan-out) with an action that is not listed */
    size_t n_unscored, n_other_llm, n_unassociated, n_unlisted;
};

/* Encode data.  E_DATA names a session or turn that cannot be encoded, or says that
 * there is no session; E_ARG says what of the settings does not fit. */
MUST_CHECK enum status recorded_build(const struct dataset *data,
    const struct recorded_settings *settings, struct recorded **out, struct error *err);
void recorded_free(struct recorded *rec); /* NULL is fine */

/* The index of a session by its id, or SIZE_MAX. */
size_t recorded_find(const struct recorded *rec, int64_t id);
/* The session (index) that a turn is of. */
size_t recorded_session_of(const struct recorded *rec, size_t turn);

/* The indices of n sessions, in that order; freed with free().  E_DATA names an id that
 * the data lacks. */
MUST_CHECK enum status recorded_indices(const struct recorded *rec, const int64_t *ids,
    size_t n, size_t **out, struct error *err);

/* What an action does in a dialogue that holds the views of context.  Added: its views
 * that are not there yet (as published: its views).  Shown: what the llm sees with this
 * turn, the dialogue's views and the added ones as far as some action shows them to this
 * llm (as published: its views).  Shown views are what costs go by, what associations
 * reward, and what leaves the device. */
uint32_t recorded_added(const struct recorded *rec, size_t action, uint32_t context);
uint32_t recorded_shown(const struct recorded *rec, size_t action, uint32_t context);

/* The association of shown views in a turn: the sum over them, and the same min-max
 * normalised over all sets of views that actions can show (0 where all are equal). */
double recorded_association(
    const struct recorded *rec, size_t turn, uint32_t shown, double *normalised);

#endif
