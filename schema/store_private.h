/* store_private.h - what store.c, store_connect.c and query.c share; nobody else includes
 * it. */
#ifndef SCHEMA_STORE_PRIVATE_H
#define SCHEMA_STORE_PRIVATE_H

#include <sqlite3.h>
#include <sys/types.h>
#include "schema/store.h"

struct query;

struct store {
    char *path;
    sqlite3 *db;
    enum store_mode mode;
    int lock_fd; /* the store's own file, locked by its writer; -1 for a reader */
    int is_locked;
    int has_log; /* the write-ahead log was seen, and this is it */
    dev_t log_device;
    ino_t log_inode;
    char *lock_path;       /* STORE.lock, which tells who writes */
    struct query *queries; /* every statement prepared so far */
    int was_conflict;
};

/* The status of an SQLite result code, with the store, the reason and the next step. */
enum status store_error(struct store *store, int code, struct error *err);

/* Run statements that give no rows. */
MUST_CHECK enum status store_exec(
    struct store *store, const char *sql, struct error *err);

/* E_ARG on a network file system: SQLite's locks and shared memory do not hold there, and a
 * store rots. */
MUST_CHECK enum status store_refuse_network(const char *path, struct error *err);
/* Open the database by SQLite's flags, and set what each connection needs. */
MUST_CHECK enum status store_connect(struct store *store, int flags, struct error *err);

void query_free_all(struct store *store);

#endif
