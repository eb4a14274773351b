/* scratch_folder.c - a folder of its own for a test, with little to write into it. */
#include "tests/support/scratch_folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "m4a1/base/files.h"

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void scratch_folder_open(char path[256])
{
    const char *parent = getenv("TMPDIR");
    snprintf(path, 256, "%s/m4a1-scratch.XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(path))
        abort();
}

void scratch_folder_close(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_file(const char *folder, const char *name, const void *data, size_t len)
{
    char *path = path_join(folder, name);
    FILE *f = path ? fopen(path, "wb") : NULL;
    if (!f || (len && fwrite(data, len, 1, f) != 1) || fclose(f) != 0)
        abort();
    free(path);
}

void scratch_text(const char *folder, const char *name, const char *text)
{
    scratch_file(folder, name, text, strlen(text));
}

void scratch_remove(const char *folder, const char *name)
{
    char *path = path_join(folder, name);
    if (!path || remove(path) != 0)
        abort();
    free(path);
}

char *shared_path(const char *name)
{
    const char *shared = getenv("M4A1_SHARED");
    char *path = path_join(shared ? shared : "../shared", name);
    if (path && file_exists(path))
        return path;
    free(path);
    return NULL;
}
