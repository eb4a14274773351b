/* plan_case.h - a store with a recipe and scenes, for tests of what plans into it.
 *
 * Two views (head, bench), two tasks with three prompts, phi (local, text only), gpt
 * (cloud, every subset) and ref (reference).  Functions assert with cmocka. */
#ifndef TESTS_SUPPORT_PLAN_CASE_H
#define TESTS_SUPPORT_PLAN_CASE_H

#include <stdint.h>
#include "schema/store.h"

extern char plan_folder[64];
extern struct store *plan_store;

/* cmocka's set-up and its end. */
int plan_set_up(void **state);
int plan_tear_down(void **state);

void plan_write_file(const char *name, const char *text);

/* Give the store the recipe with these sessions, and plan {"fan_out": 2}. */
void plan_apply(const char *sessions);
/* The same with more llms (", \"x\": {...}" or "") and this plan. */
void plan_apply_with(const char *sessions, const char *llms, const char *plan);

void plan_sql(const char *text);
int64_t plan_number(const char *text);

/* A scene with frames of the first n_views views; ids are 1, 2, ... */
void plan_add_scene(int id, const char *name, const char *tags, int n_views);

/* Answer every call that has no answer, as `simulated` says, with tokens that depend on
 * the llm and the number of views in context: 100 + 1000 a view in, 50 out. */
void plan_answer_all(int simulated);
/* Refuse a call for good. */
void plan_refuse(int64_t call_id);

/* Every invariant holds, but for the bytes of frames, which are made up. */
void plan_check(void);

#endif
