/* store.h - the M4A1 store: one SQLite file that is the record of everything.
 *
 * One process writes at a time (STORE.lock beside the store names it); any number
 * read.  Only the writer checkpoints the WAL.  A store handle belongs to one thread. */
#ifndef SCHEMA_STORE_H
#define SCHEMA_STORE_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define STORE_APPLICATION_ID 0x4d344131 /* "M4A1" */
#define STORE_VERSION 4                 /* the last migration */

enum store_mode {
    STORE_READ,  /* never writes, never checkpoints; works beside a writer */
    STORE_WRITE, /* takes the writer's lock, brings old stores up to date */
};

struct store;

/* Create an empty store; E_ARG where the file is there already.  The caller holds the
 * writer's lock afterwards. */
MUST_CHECK enum status store_create(
    const char *path, const char *name, struct store **out, struct error *err);

/* Open a store.  E_NOT_FOUND: no such file; E_DATA: not an M4A1 store, truncated, or
 * written by a newer m4a1; E_LOCKED: another process writes (the message names it). */
MUST_CHECK enum status store_open(
    const char *path, enum store_mode mode, struct store **out, struct error *err);

void store_close(struct store *store); /* NULL is fine */
const char *store_path(const struct store *store);

/* True where the file begins like an SQLite database (whatever it holds). */
int store_is_database(const char *path);

/* Transactions; they do not nest.  rollback is safe when none is open. */
MUST_CHECK enum status store_begin(struct store *store, struct error *err);
MUST_CHECK enum status store_commit(struct store *store, struct error *err);
void store_rollback(struct store *store);

/* A consistent copy while the store is in use (SQLite's online backup), written whole. */
MUST_CHECK enum status store_backup(
    struct store *store, const char *path, struct error *err);

#endif
