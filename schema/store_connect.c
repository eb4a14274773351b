/* store_connect.c - where a store may lie, and opening its database there. */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/store_private.h"

#define BUSY_MS 10000 /* a reader waits this long while the writer checkpoints */

enum status store_refuse_network(const char *path, struct error *err)
{
    static const struct {
        long magic;
        const char *name;
    } network[] = {
        { 0x6969, "NFS" },
        { 0x517b, "SMB" },
        { 0xff534d42L, "CIFS" },
        { 0xfe534d42L, "SMB2" },
        { 0x5346414f, "AFS" },
        { 0x00c36400, "Ceph" },
        { 0x0bd00bd0, "Lustre" },
    };
    const char *base = path_base(path);
    char *folder =
        base == path ? text_copy(".") : text_copy_n(path, (size_t)(base - path));
    struct statfs fs;
    enum status s = OK;
    if (folder && statfs(folder, &fs) == 0) {
        for (size_t i = 0; i < COUNT_OF(network) && !s; i++) {
            if (((unsigned long)fs.f_type & 0xffffffffUL) ==
                (unsigned long)network[i].magic)
                s = error_set(err, E_ARG,
                    "store %s: it lies on a network file system (%s), where SQLite can "
                    "lose "
                    "data; put it on a local disk and copy it when done",
                    path, network[i].name);
        }
    }
    free(folder);
    return s;
}

/* On a read-only mount SQLite cannot keep the shared memory that readers of a write-ahead
 * log need; there nobody writes, so the file may be taken for one that never changes.  A
 * log beside it means that it was not closed: what is in the log would be missed. */
static int is_immutable(const struct store *store)
{
    struct statvfs fs;
    char *log = text_format("%s-wal", store->path);
    int result = store->mode == STORE_READ && log && !file_exists(log) &&
                 statvfs(store->path, &fs) == 0 && (fs.f_flag & ST_RDONLY);
    free(log);
    return result;
}

/* "file:PATH?immutable=1", with what means something in an address as %XX. */
static char *immutable_address(const char *path)
{
    struct buffer address;
    buffer_init(&address, 3 * strlen(path) + 32);
    buffer_printf(&address, "file:");
    for (const char *p = path; *p; p++)
        buffer_printf(&address, strchr("%?#", *p) ? "%%%02X" : "%c", (unsigned char)*p);
    buffer_printf(&address, "?immutable=1");
    char *text = text_copy(buffer_str(&address));
    buffer_release(&address);
    return text;
}

static int open_database(struct store *store, int flags)
{
    if (!is_immutable(store))
        return sqlite3_open_v2(
            store->path, &store->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    char *address = immutable_address(store->path);
    int code = !address ? SQLITE_NOMEM
                        : sqlite3_open_v2(address, &store->db,
                              flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
    free(address);
    return code;
}

enum status store_connect(struct store *store, int flags, struct error *err)
{
    int code = open_database(store, flags);
    if (code != SQLITE_OK)
        return store_error(store, code, err);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, BUSY_MS);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (store->mode == STORE_READ) {
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_wal_autocheckpoint(store->db, 0);
        return store_exec(store, "PRAGMA query_only = ON", err);
    }
    return store_exec(store,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
        err);
}
