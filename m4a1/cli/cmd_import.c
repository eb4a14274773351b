/* cmd_import.c - take the authors' JSON, or associations, into a store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/import.h"
#include "export/import_associations.h"
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

/* ---- associations ---- */

static enum status report_associations(
    struct cli *cli, const struct import_associations_counts *c, struct error *err)
{
    if (!cli_flag(cli, "json")) {
        printf(
            "%s: %zu association%s of %zu new model%s; %zu were there already, %zu rows "
            "have no value\n",
            cli_arg(cli, 0), c->values, text_s((int64_t)c->values), c->models,
            text_s((int64_t)c->models), c->present, c->none);
        printf("next: m4a1 stats association %s\n", cli_arg(cli, 0));
        return OK;
    }
    struct json *j = json_new_object();
    json_set_int(j, "associations", (int64_t)c->values);
    json_set_int(j, "present", (int64_t)c->present);
    json_set_int(j, "without_value", (int64_t)c->none);
    json_set_int(j, "models", (int64_t)c->models);
    enum status s = j ? cli_print_json(j, err) : error_nomem(err, sizeof *c);
    json_free(j);
    return s;
}

static enum status run_associations(struct cli *cli, struct error *err)
{
    struct import_associations_counts counts;
    struct store *store;
    if (cli_n_args(cli) > 1)
        return cli_usage(cli, err,
            "sessions (%s) and associations are imported one after the other",
            cli_arg(cli, 1));
    enum status s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (!s)
        s = import_associations(store, cli_value(cli, "associations"), &counts, err);
    store_close(store);
    return s ? s : report_associations(cli, &counts, err);
}

static enum status run(struct cli *cli, struct error *err)
{
    const char *path = cli_arg(cli, 0), *file = cli_arg(cli, 1);
    if (cli_value(cli, "associations"))
        return run_associations(cli, err);
    if (!file)
        return cli_usage(cli, err, "name the FILE, or --associations FILE");
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
    { "associations", "FILE", "take associations from CSV or JSON lines instead" },
    { "json", NULL, "print the counts as JSON" },
    { NULL, NULL, NULL },
};

const struct verb verb_import = {
    .name = "import",
    .stage = STAGE_COLLECT,
    .args = "STORE [FILE]",
    .min_args = 1,
    .max_args = 2,
    .summary = "take the M4A1 authors' JSON, or associations, into a store",
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
        "With --associations FILE it takes text-view similarities that were computed\n"
        "elsewhere, into a store that is there. CSV begins with a line of names; JSON "
        "lines\n"
        "have the same members; an empty or null value says that there is none. A "
        "session\n"
        "is named by its id in exports or by its identity, a view by its name or "
        "position,\n"
        "turns are counted from 0:\n\n"
        "  session,turn,view,model,value\n"
        "  17,0,overhead,siglip-so400m,0.1375\n\n"
        "  m4a1 import m4a1.m4a1 M4A1.json\n"
        "  m4a1 import kitchen.m4a1 --associations siglip.csv\n"
        "  m4a1 stats coverage m4a1.m4a1\n",
    .options = options,
    .run = run,
};
