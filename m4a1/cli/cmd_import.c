/* cmd_import.c - take the authors' JSON into a store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/import.h"
#include "export/m4a1_json.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"
#include "schema/store.h"

/* The store is called like its file, without the extension. */
static enum status create_store(const char *path, struct store **store, struct error *err)
{
    const char *base = path_base(path), *extension = path_extension(path);
    size_t len = strlen(base) - (*extension ? strlen(extension) + 1 : 0);
    char *name = text_copy_n(base, len ? len : strlen(base));
    enum status s =
        name ? store_create(path, name, store, err) : error_nomem(err, strlen(base));
    free(name);
    return s;
}

/* A store that was made for an import that failed does not stay. */
static void remove_store(const char *path)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char *file = text_format("%s%s", path, suffixes[i]);
        if (file)
            unlink(file);
        free(file);
    }
}

static void report(const char *path, const struct import_counts *c)
{
    printf("%s: %zu sessions with %zu turns are new (%zu new scenes, %zu new prompts)\n",
        path, c->sessions, c->turns, c->scenes, c->prompts);
    if (c->sessions_present)
        printf("%zu sessions were there already, with the same content\n",
            c->sessions_present);
    if (c->ids_taken)
        printf("%zu of the new ones have an id that another session of the store has; "
               "exports give them a new one\n",
            c->ids_taken);
    printf("next: m4a1 stats coverage %s, then m4a1 split and m4a1 train\n", path);
}

static enum status report_json(const struct import_counts *c, struct error *err)
{
    struct json *j = json_new_object();
    enum status s = OK;
    if (json_set_int(j, "sessions", (int64_t)c->sessions) &&
        json_set_int(j, "turns", (int64_t)c->turns) &&
        json_set_int(j, "sessions_present", (int64_t)c->sessions_present) &&
        json_set_int(j, "ids_taken", (int64_t)c->ids_taken) &&
        json_set_int(j, "scenes", (int64_t)c->scenes) &&
        json_set_int(j, "prompts", (int64_t)c->prompts))
        s = cli_print_json(j, err);
    else
        s = error_nomem(err, sizeof *c);
    json_free(j);
    return s;
}

static enum status run(struct cli *cli, struct error *err)
{
    const char *path = cli_arg(cli, 0), *file = cli_arg(cli, 1);
    struct dataset *data;
    struct store *store = NULL;
    struct import_counts counts;
    // The whole file is read and checked before a store is made or opened.
    enum status s = m4a1_json_read(file, M4A1_JSON_AUTHORS, &data, err);
    if (s)
        return s;
    int is_new = !file_exists(path), made = 0;
    if (is_new) {
        s = create_store(path, &store, err);
        made = !s;
    } else {
        s = store_open(path, STORE_WRITE, &store, err);
    }
    if (!s)
        s = import_dataset(store, data, &counts, err);
    store_close(store);
    if (s && made)
        remove_store(path);
    dataset_free(data);
    if (s)
        return s;
    if (cli_flag(cli, "json"))
        return report_json(&counts, err);
    report(path, &counts);
    return OK;
}

static const struct cli_option options[] = {
    { "json", NULL, "print the counts as JSON" },
    { NULL, NULL, NULL },
};

const struct verb verb_import = {
    .name = "import",
    .stage = STAGE_COLLECT,
    .args = "STORE FILE",
    .min_args = 2,
    .max_args = 2,
    .summary = "take the M4A1 authors' JSON into a store",
    .help =
        "Takes FILE, in the format of the authors' M4A1.json, into STORE. A store that "
        "is\n"
        "not there is created, without a recipe: its views are view_0, view_1 and so "
        "on,\n"
        "its llms `local` and `cloud`. Into a store that is there the sessions are "
        "added;\n"
        "those it has already, with the same content, are left alone.\n\n"
        "The file is checked before anything is written: an error names the session and\n"
        "the turn, both counted as in the file. It is all or nothing. m4a1 export gives\n"
        "the same content back, numbers bit-equal. docs/formats.md has every key.\n\n"
        "  m4a1 import m4a1.m4a1 M4A1.json\n"
        "  m4a1 stats coverage m4a1.m4a1\n",
    .options = options,
    .run = run,
};
