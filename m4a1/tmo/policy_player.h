/* policy_player.h - a trained policy on its own, for choosing actions in new dialogues.
 *
 * policy.h loads a policy for the data it was trained on and refuses all else.  Here the
 * file alone says what it knows: views, tasks, llms, actions, costs and constraints, by
 * name.  What remains of budgets, what the shield masks and which views the dialogue
 * holds follow from the actions so far, counted as in training with the file's own costs. */
#ifndef M4A1_TMO_POLICY_PLAYER_H
#define M4A1_TMO_POLICY_PLAYER_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"
#include "m4a1/base/hash.h"
#include "m4a1/tmo/policy.h"
#include "schema/space.h"

struct policy_player;

#define POLICY_PLAYER_MAX_TURNS 1024

/* One turn that was played.  llm: index into policy->about->llms.  added: the views that
 * its action added, bit i = about->views[i]; context: all that the dialogue held then. */
struct policy_turn {
    size_t task, llm;
    uint32_t added, context;
};

/* E_DATA names what is broken in the file. */
MUST_CHECK enum status policy_player_open(
    const char *path, struct policy_player **out, struct error *err);
void policy_player_free(struct policy_player *p); /* NULL is fine */

/* What the file says, and its SHA-256. */
const struct policy *policy_player_policy(const struct policy_player *p);
const char *policy_player_sha256(const struct policy_player *p);
/* Its actions; policy_player_llm() gives the index into about->llms of an llm of it. */
const struct space *policy_player_space(const struct policy_player *p);
size_t policy_player_llm(const struct policy_player *p, size_t llm);
/* The views that an action adds to a dialogue that holds context already. */
uint32_t policy_player_added(
    const struct policy_player *p, size_t action, uint32_t context);

/* The policy's probability of each action, [n_actions] of its space, in a turn with this
 * task behind n_past turns; they add up to 1, and are 0 for actions that its shield
 * masks.  An actor-critic draws from its softmax; a Q-network takes its best action.
 * E_ARG for too many turns, or a past turn that did what no action of the policy does. */
MUST_CHECK enum status policy_player_weigh(struct policy_player *p,
    const struct policy_turn *past, size_t n_past, size_t task, double *probabilities,
    struct error *err);

#endif
