/* staging.c - folders that appear whole or not at all.  Linux only (renameat2). */
#include "export/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "m4a1/base/files.h"
#include "m4a1/base/text.h"

#define EXCHANGE 2 /* RENAME_EXCHANGE of linux/fs.h */

/* Links are removed, never followed. */
static void remove_folder(const char *folder)
{
    char **names;
    size_t n;
    if (folder_list(folder, &names, &n, NULL) == OK) {
        for (size_t i = 0; i < n; i++) {
            char *path = path_join(folder, names[i]);
            if (path && unlink(path) != 0)
                remove_folder(path);
            free(path);
        }
        folder_list_free(names, n);
    }
    rmdir(folder);
}

static int lock_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static char *parent_of(const char *path)
{
    const char *base = path_base(path);
    return base == path ? text_copy(".") : text_copy_n(path, (size_t)(base - path));
}

/* Remove the folders that killed processes left: those that nobody holds a lock on. */
static void sweep(const char *target)
{
    char *parent = parent_of(target), **names;
    char *prefix = text_format("%s.partial-", path_base(target));
    size_t n;
    if (parent && prefix && folder_list(parent, &names, &n, NULL) == OK) {
        for (size_t i = 0; i < n; i++) {
            char *path =
                text_starts(names[i], prefix) ? path_join(parent, names[i]) : NULL;
            int fd = path ? lock_folder(path) : -1;
            if (fd >= 0) {
                remove_folder(path);
                close(fd);
            }
            free(path);
        }
        folder_list_free(names, n);
    }
    free(parent);
    free(prefix);
}

enum status staging_open(const char *target, struct staging *out, struct error *err)
{
    *out = (struct staging) { .lock_fd = -1 };
    out->target = text_copy(target);
    out->folder = text_format("%s.partial-%ld", target, (long)getpid());
    if (!out->target || !out->folder)
        return error_nomem(err, strlen(target));
    sweep(target);
    enum status s = folder_make(out->folder, err);
    if (s)
        return s;
    out->lock_fd = lock_folder(out->folder);
    return out->lock_fd >= 0 ? OK : error_errno(err, "cannot lock %s", out->folder);
}

static enum status sync_parent(const char *path, struct error *err)
{
    char *parent = parent_of(path);
    if (!parent)
        return error_nomem(err, strlen(path));
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status s = OK;
    if (fd < 0 || fsync(fd) != 0)
        s = error_errno(err, "cannot sync the folder %s", parent);
    if (fd >= 0)
        close(fd);
    free(parent);
    return s;
}

static int swap(const char *from, const char *to)
{
    long rc = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, EXCHANGE);
    if (rc == 0 || (errno != ENOSYS && errno != EINVAL))
        return rc == 0 ? 0 : -1;
    // A file system without the swap: what stood there goes first, the new one follows.
    remove_folder(to);
    return rename(from, to);
}

enum status staging_commit(struct staging *staging, struct error *err)
{
    int failed = file_exists(staging->target) ? swap(staging->folder, staging->target)
                                              : rename(staging->folder, staging->target);
    if (failed)
        return error_errno(err, "cannot put %s in place", staging->target);
    return sync_parent(staging->target, err);
}

void staging_close(struct staging *staging)
{
    if (staging->folder)
        remove_folder(staging->folder); // the unfinished one, or the old one after a swap
    if (staging->lock_fd >= 0)
        close(staging->lock_fd);
    free(staging->folder);
    free(staging->target);
    *staging = (struct staging) { .lock_fd = -1 };
}
