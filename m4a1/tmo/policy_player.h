/* policy_player.h - a trained policy on its own, for choosing actions in new dialogues.
 *
 * policy.h loads a policy for the data it was trained on and refuses all else.  Here the
 * file alone says what it knows: views, tasks, its local and its cloud llm, by name.
 * A policy trained with budgets sees those it was evaluated with, less what its own cost
 * table says of the actions so far, as the published environment counts. */
#ifndef M4A1_TMO_POLICY_PLAYER_H
#define M4A1_TMO_POLICY_PLAYER_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "schema/space.h"

struct policy_player;

struct policy_names {
    char **views, **tasks;
    size_t n_views, n_tasks;
    char *local, *cloud;
    char sha256[HASH_HEX]; /* of the file */
};

/* One turn that was played.  uploaded: bit i = views[i]; all views that the dialogue
 * holds where the turn added some, none where it added none (recorded.h). */
struct policy_turn {
    size_t task;
    int cloud;
    uint32_t uploaded;
};

/* E_DATA names what is broken in the file. */
MUST_CHECK enum status policy_player_open(
    const char *path, struct policy_player **out, struct error *err);
void policy_player_free(struct policy_player *p); /* NULL is fine */

const struct policy_names *policy_player_names(const struct policy_player *p);
const struct space *policy_player_space(const struct policy_player *p);

/* The policy's probability of each action, [n_actions] of its space, in a turn with this
 * task behind n_past turns; they add up to 1. */
void policy_player_weigh(struct policy_player *p, const struct policy_turn *past,
    size_t n_past, size_t task, double *probabilities);

#endif
