/* kinds_case.h - turns the views of a store_fixture into the other kinds: first_person a
 * clip of three pictures half a second apart, side a text ("3 lux"), front 2.5 s of sound.
 * Functions assert with cmocka. */
#ifndef TESTS_SUPPORT_KINDS_CASE_H
#define TESTS_SUPPORT_KINDS_CASE_H

#include "tests/support/store_fixture.h"

#define KINDS_TEXT "3 lux"
#define KINDS_SOUND_MS 2500

void kinds_use(struct store_fixture *f);
void kinds_undo(struct store_fixture *f); /* images again */
void kinds_run(struct store_fixture *f, const char *sql);

#endif
