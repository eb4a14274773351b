/* cmd_ingest.c - m4a1 ingest: a folder of scenes into a store. */
#include <stdio.h>
#include <stdlib.h>

#include "collectors/source/contact_sheet.h"
#include "collectors/source/ingest.h"
#include "m4a1/base/text.h"
#include "m4a1/cli/cli.h"

static const char help[] =
    "Puts scenes into a store. A scene is a folder; each file in it shows one view and "
    "is\n"
    "named like it:\n"
    "\n"
    "  scenes/kitchen/first_person.jpg     scenes/lab/first_person.mp4\n"
    "  scenes/kitchen/side.png             scenes/lab/side.mp4\n"
    "  scenes/kitchen/overhead.jpg         scenes/lab/overhead.jpg\n"
    "  scenes/kitchen/scene.json           {\"tags\": [\"tool\"], \"licence\": \"...\",\n"
    "                                       \"consent\": \"...\"} (optional)\n"
    "\n"
    "DIR is the folder of such folders, or one scene itself. Files are JPEG, PNG or "
    "video\n"
    "(MP4, QuickTime, Matroska, WebM, AVI, MPEG). From videos, frames are taken at the\n"
    "recipe's instants, the same for all views of a scene; a picture stands for every\n"
    "instant. Frames are turned upright, brought to the recipe's longest side, written\n"
    "as JPEG without metadata and stored once by content. What cannot be read is named,\n"
    "and the rest goes on (exit status 3). Running it again adds what is new and "
    "changes\n"
    "nothing else. docs/ingest.md tells all rules.\n"
    "\n"
    "  m4a1 ingest my.m4a1 scenes/\n"
    "  m4a1 ingest my.m4a1 scenes/ --preview sheet.jpg\n";

static const struct cli_option options[] = {
    { "preview", "FILE.jpg", "write a contact sheet: a row a scene, a column a view" },
    { "threads", "N", "files decoded at once (default: one a processor)" },
    { "json", NULL, "print the summary as JSON" },
    { 0 },
};

static int is_stopped(void)
{
    return cli_interrupted;
}

// ---- the contact sheet ----

struct sheet {
    const char *path; /* NULL = not asked for */
    size_t *rows;     /* [n_rows], indices of the report's scenes */
    size_t n_rows, n_stored;
};

static enum status make_sheet(struct store *store, const struct ingest_report *report,
    struct sheet *sheet, struct error *err)
{
    int64_t *ids = calloc(report->n_scenes + 1, sizeof *ids);
    sheet->rows = calloc(report->n_scenes + 1, sizeof *sheet->rows);
    enum status s = ids && sheet->rows ? OK : error_nomem(err, sizeof *ids);
    for (size_t i = 0; s == OK && i < report->n_scenes; i++) {
        if (!report->scenes[i].result.scene_id)
            continue;
        ids[sheet->n_stored] = report->scenes[i].result.scene_id;
        sheet->rows[sheet->n_stored++] = i;
    }
    if (s == OK)
        s = contact_sheet_write(
            store, ids, sheet->n_stored, sheet->path, &sheet->n_rows, err);
    free(ids);
    return s;
}

// ---- what is printed ----

static void print_notes(const struct ingest_report *report)
{
    for (size_t i = 0; i < report->notes.n; i++)
        fprintf(
            stderr, "%s: %s\n", report->notes.items[i].item, report->notes.items[i].text);
}

static void print_legend(const struct ingest_report *report, const struct sheet *sheet)
{
    printf("%s: columns", sheet->path);
    for (size_t i = 0; i < report->n_views; i++)
        printf("%s %s", i ? "," : "", report->views[i].name);
    printf("; gray where a view has no frame; rows from the top:\n");
    for (size_t i = 0; i < sheet->n_rows; i++)
        printf("  %zu %s\n", i + 1, report->scenes[sheet->rows[i]].name);
    if (sheet->n_stored > sheet->n_rows)
        printf("  and %zu more scenes that the sheet has no room for\n",
            sheet->n_stored - sheet->n_rows);
}

static void print_summary(const struct ingest_report *report)
{
    char bytes[32];
    printf("%zu scene%s:", report->n_scenes, report->n_scenes == 1 ? "" : "s");
    for (size_t i = 0; i < COUNT_OF(scene_outcome_names); i++)
        if (report->n_outcomes[i])
            printf(" %zu %s", report->n_outcomes[i], scene_outcome_names[i]);
    if (report->n_incomplete)
        printf(" (%zu incomplete)", report->n_incomplete);
    printf("\n%zu files, %zu of them refused; %zu new frames, %s\n", report->n_files,
        report->n_files_failed, report->n_new_frames,
        text_bytes((double)report->new_bytes, bytes, sizeof bytes));
    if (report->n_scenes && report->n_outcomes[SCENE_UNCHANGED] == report->n_scenes)
        printf("nothing was added: the store had all of it\n");
}

static void scenes_json(const struct ingest_report *report, struct json *root)
{
    struct json *list = json_set_array(root, "scenes");
    for (size_t i = 0; i < report->n_scenes; i++) {
        const struct scene_result *r = &report->scenes[i].result;
        struct json *scene = json_add_object(list);
        json_set_text(scene, "name", report->scenes[i].name);
        json_set_text(scene, "outcome", scene_outcome_names[r->outcome]);
        json_set_int(scene, "instants", (int64_t)r->n_instants);
        json_set_int(scene, "complete_instants", (int64_t)r->n_complete);
    }
}

static enum status print_json(
    const struct ingest_report *report, const struct sheet *sheet, struct error *err)
{
    struct json *root = json_new_object();
    for (size_t i = 0; i < COUNT_OF(scene_outcome_names); i++)
        json_set_int(root, scene_outcome_names[i], (int64_t)report->n_outcomes[i]);
    json_set_int(root, "incomplete", (int64_t)report->n_incomplete);
    json_set_int(root, "files", (int64_t)report->n_files);
    json_set_int(root, "files_refused", (int64_t)report->n_files_failed);
    json_set_int(root, "new_frames", (int64_t)report->n_new_frames);
    json_set_int(root, "new_bytes", (int64_t)report->new_bytes);
    scenes_json(report, root);
    struct json *notes = json_set_array(root, "notes");
    for (size_t i = 0; i < report->notes.n; i++) {
        struct json *note = json_add_object(notes);
        json_set_text(note, "item", report->notes.items[i].item);
        json_set_text(note, "text", report->notes.items[i].text);
        json_set_bool(note, "failed", report->notes.items[i].failed);
    }
    if (sheet->n_rows) {
        struct json *preview = json_set_object(root, "preview");
        json_set_text(preview, "file", sheet->path);
        struct json *rows = json_set_array(preview, "rows");
        for (size_t i = 0; i < sheet->n_rows; i++)
            json_add_text(rows, report->scenes[sheet->rows[i]].name);
    }
    enum status s = root ? cli_print_json(root, err) : error_nomem(err, 64);
    json_free(root);
    return s;
}

// ---- the verb ----

static enum status ingest(struct cli *cli, struct store *store,
    const struct recipe *recipe, unsigned n_threads, struct error *err)
{
    struct progress *progress = cli_progress(cli, "ingesting files", 0);
    const struct ingest_options how = { cli_arg(cli, 1), n_threads, progress,
        is_stopped };
    struct ingest_report report;
    struct sheet sheet = { .path = cli_value(cli, "preview") };
    struct error other = ERROR_INIT;
    enum status done = ingest_folder(store, recipe, &how, &report, err);
    enum status s = OK;
    progress_free(progress);
    if (sheet.path && (done == OK || done == E_PARTIAL))
        s = make_sheet(store, &report, &sheet, &other);
    print_notes(&report);
    if (cli_flag(cli, "json")) {
        enum status printed = print_json(&report, &sheet, &other);
        s = s ? s : printed;
    } else if (report.n_scenes) {
        print_summary(&report);
        if (sheet.n_rows)
            print_legend(&report, &sheet);
    }
    free(sheet.rows);
    ingest_report_release(&report);
    if (s && (done == OK || done == E_PARTIAL)) {
        *err = other;
        return s;
    }
    return done;
}

static enum status run(struct cli *cli, struct error *err)
{
    int64_t n_threads;
    const char *preview = cli_value(cli, "preview");
    enum status s = cli_int(cli, "threads", 0, 1, 1024, &n_threads, err);
    if (!s && preview && !text_ends(preview, ".jpg") && !text_ends(preview, ".jpeg"))
        s = cli_usage(
            cli, err, "--preview %s: the sheet is a JPEG, so name it .jpg", preview);
    if (s)
        return s;
    cli_catch_interrupts();
    struct store *store = NULL;
    struct recipe *recipe = NULL;
    s = store_open(cli_arg(cli, 0), STORE_WRITE, &store, err);
    if (s == OK)
        s = recipe_of_store(store, &recipe, err);
    if (s == OK)
        s = ingest(cli, store, recipe, (unsigned)n_threads, err);
    recipe_free(recipe);
    store_close(store);
    return s;
}

const struct verb verb_ingest = {
    .name = "ingest",
    .stage = STAGE_COLLECT,
    .args = "STORE DIR",
    .min_args = 2,
    .max_args = 2,
    .summary = "put scenes of pictures and videos into a store",
    .help = help,
    .options = options,
    .run = run,
};
