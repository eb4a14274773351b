/* files.c - whole files, folders and paths. */
#include "m4a1/base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "m4a1/base/text.h"

enum status file_read(const char *path, struct buffer *out, struct error *err)
{
    buffer_clear(out);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would wait */
    if (fd < 0)
        return error_errno(err, "cannot open %s", path);
    enum status s = OK;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        s = error_errno(err, "cannot look at %s", path);
    } else if (!S_ISREG(st.st_mode)) {
        s = error_set(err, E_IO, "%s is not a regular file", path);
    }
    char block[65536];
    while (!s) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            s = error_errno(err, "cannot read %s", path);
        if (n <= 0)
            break;
        buffer_add(out, block, (size_t)n);
        s = buffer_status(out, path, err);
    }
    close(fd);
    return s;
}

static enum status write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return E_IO;
        data += n;
        len -= (size_t)n;
    }
    return OK;
}

/* A rename is on disk once its folder is. */
static void sync_folder_of(const char *path)
{
    const char *base = path_base(path);
    char *folder =
        base == path ? text_copy(".") : text_copy_n(path, (size_t)(base - path));
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

/* A mistyped output file must not cost somebody a store: databases are never replaced. */
static enum status refuse_database(const char *path, struct error *err)
{
    static const char magic[] = "SQLite format 3";
    char head[sizeof magic];
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof head);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)sizeof head && memcmp(head, magic, sizeof magic) == 0
               ? error_set(err, E_ARG,
                     "%s is a store (or another database): name another file to write to",
                     path)
               : OK;
}

/* A device or a pipe: there is nothing to put in place of it. */
static int is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static enum status write_special(
    const char *path, const void *data, size_t len, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    enum status s = fd < 0 || write_all(fd, data, len) != OK
                        ? error_errno(err, "cannot write %s", path)
                        : OK;
    if (fd >= 0)
        close(fd);
    return s;
}

enum status file_write(const char *path, const void *data, size_t len, struct error *err)
{
    if (is_special(path))
        return write_special(path, data, len, err);
    enum status s = refuse_database(path, err);
    if (s)
        return s;
    /* Always the same name, so that what a kill left behind is gone after the next time. */
    char *temporary = text_format("%s.new", path);
    if (!temporary)
        return error_nomem(err, strlen(path) + 5);
    /* A new file: what a link of this name leads to is not written to. */
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) {
        s = error_errno(err, "cannot create a file beside %s", path);
        goto out;
    }
    if (write_all(fd, data, len) != OK || fsync(fd) != 0)
        s = error_errno(err, "cannot write %s", path);
    if (close(fd) != 0 && !s)
        s = error_errno(err, "cannot close %s", path);
    if (!s && rename(temporary, path) != 0)
        s = error_errno(err, "cannot put %s in place", path);
    if (s)
        unlink(temporary);
    else
        sync_folder_of(path);
out:
    free(temporary);
    return s;
}

int file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

int file_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum status folder_make(const char *path, struct error *err)
{
    char *part = text_copy(path);
    if (!part)
        return error_nomem(err, strlen(path));
    enum status s = OK;
    for (char *p = part + 1; !s; p++) {
        if (*p && *p != '/')
            continue;
        char c = *p;
        *p = '\0';
        if (mkdir(part, 0777) != 0 && !(errno == EEXIST && file_is_folder(part)))
            s = error_errno(err, "cannot create the folder %s", part);
        *p = c;
        if (!c)
            break;
    }
    free(part);
    return s;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum status folder_list(const char *path, char ***names, size_t *n, struct error *err)
{
    *names = NULL;
    *n = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return error_errno(err, "cannot open the folder %s", path);
    enum status s = OK;
    size_t size = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno)
                s = error_errno(err, "cannot read the folder %s", path);
            break;
        }
        if (text_equal(entry->d_name, ".") || text_equal(entry->d_name, ".."))
            continue;
        if (*n == size) {
            size = size ? 2 * size : 32;
            char **grown = realloc(*names, size * sizeof *grown);
            if (!grown) {
                s = error_nomem(err, size * sizeof *grown);
                break;
            }
            *names = grown;
        }
        (*names)[*n] = text_copy(entry->d_name);
        if (!(*names)[*n]) {
            s = error_nomem(err, strlen(entry->d_name));
            break;
        }
        ++*n;
    }
    closedir(dir);
    if (s) {
        folder_list_free(*names, *n);
        *names = NULL;
        *n = 0;
    } else if (*n) {
        qsort(*names, *n, sizeof **names, compare_names);
    }
    return s;
}

void folder_list_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

char *path_join(const char *folder, const char *name)
{
    return text_format("%s%s%s", folder, text_ends(folder, "/") ? "" : "/", name);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *path_extension(const char *path)
{
    const char *base = path_base(path), *dot = strrchr(base, '.');
    return dot && dot != base ? dot + 1 : "";
}
