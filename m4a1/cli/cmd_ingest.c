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
    "DIR is the folder of such folders, or one scene itself. What a file may be says "
    "the\n"
    "kind of its view in the recipe:\n"
    "\n"
    "  image  JPEG, PNG, or a video, of which a frame is taken at each instant\n"
    "  video  a video, of which a clip of some frames is taken at each instant\n"
    "         (MP4, QuickTime, Matroska, WebM, AVI, MPEG)\n"
    "  text   a text in UTF-8 of at most 64 KiB: .txt, .log, .csv, .md, .json, .jsonl\n"
    "  audio  a WAV sound, 16-bit PCM, of which a piece is taken at each instant\n"
    "\n"
    "Instants are the recipe's, the same for all views of a scene; a picture or a text\n"
    "stands for every instant. Pictures are turned upright, brought to the recipe's "
    "longest\n"
    "side, written as JPEG without metadata; all is stored once by content. What cannot "
    "be\n"
    "read is named, and the rest goes on (exit status 3). Running it again adds what is "
    "new\n"
    "and changes nothing else. docs/ingest.md tells all rules.\n"
    "\n"
    "  m4a1 ingest my.m4a1 scenes/\n"
    "  m4a1 ingest my.m4a1 scenes/ --preview sheet.jpg\n";

static const struct cli_option options[] = {
    { "preview", "FILE.jpg", "write a contact sheet: a row an instant, a column a view" },
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
    size_t *scenes;   /* [n_stored], indices of the report's scenes */
    size_t *n_rows;   /* [n_stored], rows of each */
    size_t n_stored;
    int is_made;
};

static enum status make_sheet(struct store *store, const struct ingest_report *report,
    struct sheet *sheet, struct error *err)
{
    int64_t *ids = calloc(report->n_scenes + 1, sizeof *ids);
    sheet->scenes = calloc(report->n_scenes + 1, sizeof *sheet->scenes);
    sheet->n_rows = calloc(report->n_scenes + 1, sizeof *sheet->n_rows);
    enum status s =
        ids && sheet->scenes && sheet->n_rows ? OK : error_nomem(err, sizeof *ids);
    for (size_t i = 0; s == OK && i < report->n_scenes; i++) {
        if (!report->scenes[i].result.scene_id)
            continue;
        ids[sheet->n_stored] = report->scenes[i].result.scene_id;
        sheet->scenes[sheet->n_stored++] = i;
    }
    if (s == OK)
        s = contact_sheet_write(
            store, ids, sheet->n_stored, sheet->path, sheet->n_rows, err);
    sheet->is_made = s == OK;
    free(ids);
    return s;
}

static void sheet_release(struct sheet *sheet)
{
    free(sheet->scenes);
    free(sheet->n_rows);
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
    size_t row = 1, n_left = 0;
    for (size_t i = 0; i < sheet->n_stored; i++) {
        const char *name = report->scenes[sheet->scenes[i]].name;
        size_t n = sheet->n_rows[i];
        if (n == 1)
            printf("  %zu %s\n", row, name);
        else if (n)
            printf("  %zu-%zu %s\n", row, row + n - 1, name);
        row += n;
        n_left += n == 0;
    }
    if (n_left)
        printf("  and %zu more scenes that the sheet has no room for\n", n_left);
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
    if (sheet->is_made) {
        struct json *preview = json_set_object(root, "preview");
        json_set_text(preview, "file", sheet->path);
        struct json *rows = json_set_array(preview, "rows");
        for (size_t i = 0; i < sheet->n_stored; i++)
            for (size_t k = 0; k < sheet->n_rows[i]; k++)
                json_add_text(rows, report->scenes[sheet->scenes[i]].name);
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
        if (sheet.is_made)
            print_legend(&report, &sheet);
    }
    sheet_release(&sheet);
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
    .summary = "put scenes of pictures, videos, texts and sounds into a store",
    .help = help,
    .options = options,
    .run = run,
};
