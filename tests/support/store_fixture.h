/* store_fixture.h - a small real store for tests of what collects into it.
 *
 * A folder of its own, three views, one scene with a frame of each, one task with two
 * prompts, one plan.  Functions assert with cmocka, so a failure fails the test. */
#ifndef TESTS_SUPPORT_STORE_FIXTURE_H
#define TESTS_SUPPORT_STORE_FIXTURE_H

#include <stdint.h>
#include "schema/llm.h"
#include "schema/store.h"

struct store_fixture {
    char folder[64], path[96];
    struct store *store;
    int64_t n_sessions;
};

/* history is "keep" or "drop". */
void store_fixture_open(struct store_fixture *f, const char *history);
void store_fixture_close(struct store_fixture *f); /* removes the folder */
void store_fixture_reopen(struct store_fixture *f);

/* An llm of the protocol openai-chat at url, with 2 slots, 3 attempts, 10 s of timeout and
 * max_tokens 100; set replaces the settings where it is not NULL. */
int64_t store_fixture_llm(struct store_fixture *f, const char *name, const char *url,
    void (*set)(struct llm *llm));
/* Pico-dollars a token of input and of output, valid since 1970. */
void store_fixture_price(
    struct store_fixture *f, int64_t llm_id, int64_t input, int64_t output);

/* A session of n turns, each a path call of this llm that adds these views in the first
 * turn.  Returns the call of the first turn; those of the others follow it. */
int64_t store_fixture_session(
    struct store_fixture *f, int64_t llm_id, int n_turns, uint32_t views);

/* A call of another purpose in the turn of call_id, with its parent; text may be NULL. */
int64_t store_fixture_call(struct store_fixture *f, int64_t call_id, const char *purpose,
    int64_t llm_id, const char *text, uint32_t views, int64_t subject_id);

int64_t store_fixture_int(struct store_fixture *f, const char *sql);
/* The first column as text, owned by the caller; NULL for no row or NULL. */
char *store_fixture_text(struct store_fixture *f, const char *sql);

#endif
