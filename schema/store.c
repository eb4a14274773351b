/* store.c - opening, migrating, locking and copying the store; rows are query.c's. */
#include "schema/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "m4a1/base/clock.h"
#include "m4a1/base/embed.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"

EMBED(migration_001, "schema/migrations/001_initial.sql");
EMBED(migration_002, "schema/migrations/002_collectors.sql");
EMBED(migration_003, "schema/migrations/003_association.sql");
EMBED(migration_004, "schema/migrations/004_evaluation.sql");

static const char *const migrations[STORE_VERSION] = { migration_001_start,
    migration_002_start, migration_003_start, migration_004_start };

#define LOCK_TEXT_MAX 256

enum status store_error(struct store *store, int code, struct error *err)
{
    const char *path = store->path, *why = sqlite3_errmsg(store->db);
    store->was_conflict = (code & 0xff) == SQLITE_CONSTRAINT;
    switch (code & 0xff) {
    case SQLITE_FULL:
        return error_set(err, E_STORE,
            "store %s: the disk (or the store's size limit) is full; what was committed "
            "is "
            "safe: free space and run the command again",
            path);
    case SQLITE_IOERR:
        return error_set(err, E_STORE,
            "store %s: %s; the file system refused a read or write (full, over quota or "
            "failing): mend that and run the command again",
            path, why);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, E_LOCKED,
            "store %s: another program holds the database; close it and try again", path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(err, E_DATA,
            "store %s: %s; the file is damaged or truncated: restore a backup", path,
            why);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return error_set(err, E_IO,
            "store %s: %s; check the permissions of the file and "
            "its folder",
            path, why);
    case SQLITE_NOMEM: return error_set(err, E_NOMEM, "store %s: out of memory", path);
    default: return error_set(err, E_STORE, "store %s: %s", path, why);
    }
}

enum status store_exec(struct store *store, const char *sql, struct error *err)
{
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? OK : store_error(store, code, err);
}

static enum status store_pragma(
    struct store *store, const char *sql, int64_t *out, struct error *err)
{
    *out = 0;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        *out = sqlite3_column_int64(stmt, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return code == SQLITE_OK || code == SQLITE_DONE ? OK : store_error(store, code, err);
}

/* Tell others who writes: the text of STORE.lock, for people.  The lock itself is on the
 * store's own file, so that no other name of it and no missing file lets a second in. */
static enum status write_lock_text(struct store *store, struct error *err)
{
    char text[LOCK_TEXT_MAX], now[32], host[64] = "";
    gethostname(host, sizeof host - 1);
    int n = snprintf(text, sizeof text, "process %ld on %s (since %s)", (long)getpid(),
        host, clock_iso8601(clock_wall_ms(), now, sizeof now));
    return file_write(store->lock_path, text, (size_t)n, err);
}

/* SQLite keeps its log beside the name that it opens.  Under another name of the same file
 * what is committed there would be missing, and the file damaged by the next commit. */
static enum status refuse_two_names(const struct store *store, struct error *err)
{
    struct stat st;
    if (fstat(store->lock_fd, &st) != 0 || st.st_nlink < 2)
        return OK;
    return error_set(err, E_ARG,
        "store %s: the file has %ld names (hard links), and what is written under one of "
        "them can be lost under another: remove the others, or write to a copy",
        store->path, (long)st.st_nlink);
}

static enum status store_lock(struct store *store, struct error *err)
{
    char *real = realpath(store->path, NULL);
    store->lock_path = real ? text_format("%s.lock", real) : NULL;
    free(real);
    if (!store->lock_path)
        return error_nomem(err, strlen(store->path) + 6);
    store->lock_fd = open(store->path, O_RDONLY | O_CLOEXEC);
    if (store->lock_fd < 0)
        return error_errno(err, "cannot open the store %s", store->path);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        enum status s = refuse_two_names(store, err);
        store->is_locked = s == OK;
        return s == OK ? write_lock_text(store, err) : s;
    }
    struct buffer holder;
    buffer_init(&holder, LOCK_TEXT_MAX);
    if (file_read(store->lock_path, &holder, NULL) != OK)
        buffer_clear(&holder);
    enum status s = error_set(err, E_LOCKED,
        "store %s: %s writes to it; wait until it is done, or stop it (reading verbs "
        "such as "
        "status work meanwhile)",
        store->path, holder.len ? buffer_str(&holder) : "another process");
    buffer_release(&holder);
    return s;
}

/* A store that was deleted or replaced under its writer would swallow every answer. */
static enum status check_still_there(const struct store *store, struct error *err)
{
    struct stat ours, named;
    if (store->lock_fd < 0 ||
        (fstat(store->lock_fd, &ours) == 0 && stat(store->path, &named) == 0 &&
            ours.st_ino == named.st_ino && ours.st_dev == named.st_dev))
        return OK;
    return error_set(err, E_STORE,
        "store %s: the file was deleted, moved or replaced while it was written to; "
        "nothing "
        "more is done",
        store->path);
}

/* The same for its log, which holds what was committed last: should the writer be killed,
 * nobody could find that.  What the log holds is put into the store at once. */
static enum status check_log(struct store *store, struct error *err)
{
    const char *log = sqlite3_filename_wal(sqlite3_db_filename(store->db, "main"));
    struct stat st;
    int is_there = stat(log, &st) == 0;
    if (!store->has_log && is_there) {
        store->has_log = 1;
        store->log_device = st.st_dev;
        store->log_inode = st.st_ino;
    }
    if (!store->has_log ||
        (is_there && st.st_ino == store->log_inode && st.st_dev == store->log_device))
        return OK;
    sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return error_set(err, E_STORE,
        "store %s: its log %s was deleted, moved or replaced while it was written to; "
        "nothing more is done (what was committed is in the store: m4a1 check)",
        store->path, path_base(log));
}

static enum status store_migrate(struct store *store, struct error *err)
{
    int64_t version;
    enum status s = store_pragma(store, "PRAGMA user_version", &version, err);
    for (; !s && version < STORE_VERSION; version++) {
        char sql[64];
        snprintf(sql, sizeof sql, "PRAGMA user_version = %d", (int)version + 1);
        s = store_begin(store, err);
        if (!s)
            s = store_exec(store, migrations[version], err);
        if (!s)
            s = store_exec(store, sql, err);
        if (!s)
            s = store_commit(store, err);
        if (s)
            store_rollback(store);
    }
    return s;
}

static enum status store_check_kind(struct store *store, struct error *err)
{
    int64_t application, version;
    enum status s = store_pragma(store, "PRAGMA application_id", &application, err);
    if (!s)
        s = store_pragma(store, "PRAGMA user_version", &version, err);
    if (s)
        return s;
    if (application != STORE_APPLICATION_ID)
        return error_set(err, E_DATA,
            "%s is an SQLite database, but not an M4A1 store (application_id %lld)",
            store->path, (long long)application);
    if (version < 1)
        return error_set(err, E_DATA,
            "store %s: says that it has version %lld, which none has: the file is "
            "damaged; "
            "restore a backup",
            store->path, (long long)version);
    if (version > STORE_VERSION)
        return error_set(err, E_DATA,
            "store %s has version %lld, newer than this m4a1 knows (%d): update m4a1",
            store->path, (long long)version, STORE_VERSION);
    if (version < STORE_VERSION && store->mode == STORE_READ)
        return error_set(err, E_DATA,
            "store %s has version %lld, older than this m4a1's %d: any writing verb "
            "brings "
            "it up to date (make a copy first)",
            store->path, (long long)version, STORE_VERSION);
    return OK;
}

/* Text of the first bytes, before SQLite is asked: an empty or foreign file would
 * otherwise be taken for a new database. */
static enum status store_check_file(const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        enum status s = error_errno(err, "store %s", path);
        return s == E_NOT_FOUND
                   ? error_set(
                         err, s, "store %s: no such file; m4a1 init creates one", path)
                   : s;
    }
    if (!S_ISREG(st.st_mode))
        return error_set(err, E_DATA, "store %s: not a regular file", path);
    if (!store_is_database(path))
        return error_set(err, E_DATA, "store %s: not an SQLite database (%lld bytes)",
            path, (long long)st.st_size);
    return OK;
}

static enum status store_new(
    const char *path, enum store_mode mode, struct store **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_nomem(err, sizeof **out);
    (*out)->mode = mode;
    (*out)->lock_fd = -1;
    (*out)->path = text_copy(path);
    return (*out)->path ? OK : error_nomem(err, strlen(path));
}

enum status store_open(
    const char *path, enum store_mode mode, struct store **out, struct error *err)
{
    *out = NULL;
    struct store *store = NULL;
    enum status s = store_check_file(path, err);
    if (!s)
        s = store_new(path, mode, &store, err);
    if (!s && mode == STORE_WRITE)
        s = store_refuse_network(path, err);
    if (!s && mode == STORE_WRITE)
        s = store_lock(store, err);
    if (!s) {
        int flags = mode == STORE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
        s = store_connect(store, flags, err);
    }
    if (!s)
        s = store_check_kind(store, err);
    if (!s && mode == STORE_WRITE)
        s = store_migrate(store, err);
    if (s)
        store_close(store);
    else
        *out = store;
    return s;
}

/* Build the empty store under a temporary name, so that a half-made one never stands
 * at path. */
static enum status store_build(const char *path, const char *name, struct error *err)
{
    struct store *store = NULL;
    enum status s = store_new(path, STORE_WRITE, &store, err);
    if (!s)
        s = store_connect(store, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (!s) {
        char sql[64];
        snprintf(sql, sizeof sql, "PRAGMA application_id = %d", STORE_APPLICATION_ID);
        s = store_exec(store, sql, err);
    }
    if (!s)
        s = store_migrate(store, err);
    if (!s)
        s = store_run(store, err,
            "INSERT INTO store (store_id, name, created_ms, created_by) VALUES (1, ?, ?, "
            "?)",
            "tit", name, clock_wall_ms(), "m4a1 " M4A1_VERSION);
    store_close(store);
    return s;
}

/* SQLite would take the log of a store that is gone for the new one's. */
static enum status refuse_leftovers(const char *path, struct error *err)
{
    char *log = text_format("%s-wal", path);
    if (!log)
        return error_nomem(err, strlen(path) + 5);
    enum status s = OK;
    if (file_exists(log))
        s = error_set(err, E_ARG,
            "store %s: %s is left over from a store that is gone; move it away", path,
            log);
    free(log);
    return s;
}

static void remove_database(const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char *file = text_format("%s%s", path, suffixes[i]);
        if (file)
            unlink(file);
        free(file);
    }
}

enum status store_create(
    const char *path, const char *name, struct store **out, struct error *err)
{
    *out = NULL;
    if (file_exists(path))
        return error_set(
            err, E_ARG, "store %s: there is a file of that name already", path);
    enum status s = refuse_leftovers(path, err);
    if (!s)
        s = store_refuse_network(path, err);
    if (s)
        return s;
    char *temporary = text_format("%s.new", path);
    if (!temporary)
        return error_nomem(err, strlen(path) + 5);
    remove_database(temporary);
    s = store_build(temporary, name, err);
    if (!s && link(temporary, path) != 0)
        s = error_errno(err, "cannot put the store %s in place", path);
    remove_database(temporary);
    free(temporary);
    return s ? s : store_open(path, STORE_WRITE, out, err);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    query_free_all(store);
    sqlite3_close(store->db);
    if (store->is_locked)
        unlink(store->lock_path);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->lock_path);
    free(store->path);
    free(store);
}

const char *store_path(const struct store *store)
{
    return store->path;
}

int store_is_database(const char *path)
{
    static const char magic[16] = "SQLite format 3";
    char head[sizeof magic];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    return n == (ssize_t)sizeof head && memcmp(head, magic, sizeof magic) == 0;
}

enum status store_begin(struct store *store, struct error *err)
{
    enum status s = check_still_there(store, err);
    if (!s && store->has_log)
        s = check_log(store, err);
    if (!s)
        s = store_exec(store, "BEGIN IMMEDIATE", err);
    // It is there by now, and stays as long as the connection does.
    if (!s && store->lock_fd >= 0 && !store->has_log)
        s = check_log(store, err);
    return s;
}

enum status store_commit(struct store *store, struct error *err)
{
    return store_exec(store, "COMMIT", err);
}

void store_rollback(struct store *store)
{
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

enum status store_backup(struct store *store, const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return error_set(err, E_ARG, "%s is no file: name another for the copy", path);
    char *temporary = text_format("%s.new", path);
    if (!temporary)
        return error_nomem(err, strlen(path) + 5);
    unlink(temporary);
    struct store copy = { .path = temporary };
    enum status s = OK;
    int code = sqlite3_open(temporary, &copy.db);
    sqlite3_backup *backup = code == SQLITE_OK
                                 ? sqlite3_backup_init(copy.db, "main", store->db, "main")
                                 : NULL;
    if (backup) {
        while ((code = sqlite3_backup_step(backup, 1024)) == SQLITE_OK ||
               code == SQLITE_BUSY || code == SQLITE_LOCKED) {
            if (code != SQLITE_OK)
                sqlite3_sleep(10);
        }
        sqlite3_backup_finish(backup);
    }
    if (code != SQLITE_DONE)
        s = store_error(&copy, code, err);
    sqlite3_close(copy.db);
    if (!s && rename(temporary, path) != 0)
        s = error_errno(err, "cannot put the backup %s in place", path);
    if (s)
        unlink(temporary);
    free(temporary);
    return s;
}
