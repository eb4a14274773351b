/* test_ingest.c - folders of pictures into a real store: what is stored, what is told,
 * what a second run does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ftw.h>
#include <unistd.h>

#include "collectors/source/contact_sheet.h"
#include "collectors/source/ingest.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "tests/support/make_image.h"
#include "tests/support/make_wav.h"

#define FILE_MAX ((size_t)1 << 26)

/* "frames" is put in; two views. */
static const char recipe_text[] =
    "{ \"m4a1_recipe\": 1, \"name\": \"small\",\n"
    "  \"views\": [ {\"name\": \"head\", \"kind\": \"image\", \"privacy\": 2},\n"
    "             {\"name\": \"bench\", \"kind\": \"image\", \"privacy\": 1} ],\n"
    "  \"frames\": %s,\n"
    "  \"tasks\": [\"Query\"],\n"
    "  \"prompts\": [ {\"task\": \"Query\", \"text\": \"Which tool?\"} ],\n"
    "  \"sessions\": {\"n\": 1, \"turns\": [1, 1], \"seed\": 7},\n"
    "  \"llms\": {\"phi\": {\"role\": \"local\", \"protocol\": \"openai-chat\",\n"
    "    \"url\": \"http://127.0.0.1:8080/\", \"model\": \"phi\", \"device\": \"TX2\"}} "
    "}\n";

struct place {
    char folder[64]; /* scratch; scenes stand in folder/scenes */
    struct store *store;
    struct recipe *recipe;
    struct ingest_report report;
    struct error err;
};

static char *in(const struct place *p, const char *name)
{
    return path_join(p->folder, name);
}

static void put(const struct place *p, const char *name, const void *bytes, size_t len)
{
    char *path = in(p, name);
    char *folder = text_copy_n(path, (size_t)(path_base(path) - path) - 1);
    assert_int_equal(folder_make(folder, NULL), OK);
    assert_int_equal(file_write(path, bytes, len, NULL), OK);
    free(folder);
    free(path);
}

// A flat JPEG.
static void put_picture(
    const struct place *p, const char *name, int width, int height, uint8_t level)
{
    size_t n = (size_t)width * (size_t)height * 3;
    uint8_t *pixels = malloc(n);
    assert_non_null(pixels);
    memset(pixels, level, n);
    struct buffer file;
    buffer_init(&file, FILE_MAX);
    make_jpeg(
        &(struct make_jpeg) {
            .width = width, .height = height, .channels = 3, .quality = 90 },
        pixels, &file);
    put(p, name, file.data, file.len);
    buffer_release(&file);
    free(pixels);
}

static void use_recipe(struct place *p, const char *frames)
{
    char *text = text_format(recipe_text, frames), *path = in(p, "recipe.jsonc");
    put(p, "recipe.jsonc", text, strlen(text));
    recipe_free(p->recipe);
    assert_int_equal(recipe_load(path, &p->recipe, NULL, &p->err), OK);
    assert_int_equal(recipe_apply(p->store, p->recipe, &p->err), OK);
    free(text);
    free(path);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->folder, sizeof p->folder, "/tmp/m4a1-ingest.XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    char *path = in(p, "a.store");
    assert_int_equal(store_create(path, "test", &p->store, &p->err), OK);
    free(path);
    use_recipe(p, "{\"longest_side\": 64, \"jpeg_quality\": 90, \"at_s\": [1.5, 0.5]}");
    *state = p;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int tear_down(void **state)
{
    struct place *p = *state;
    recipe_free(p->recipe);
    store_close(p->store);
    ingest_report_release(&p->report);
    nftw(p->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}

static enum status ingest(struct place *p, const char *folder)
{
    char *path = in(p, folder);
    const struct ingest_options how = { .folder = path, .n_threads = 2 };
    ingest_report_release(&p->report);
    p->err = (struct error)ERROR_INIT;
    enum status s = ingest_folder(p->store, p->recipe, &how, &p->report, &p->err);
    free(path);
    return s;
}

static int64_t count(struct place *p, const char *sql)
{
    int64_t n;
    assert_int_equal(store_int(p->store, -1, &n, &p->err, sql, ""), OK);
    return n;
}

static const struct ingest_note *note_of(const struct place *p, const char *item)
{
    for (size_t i = 0; i < p->report.notes.n; i++)
        if (text_equal(p->report.notes.items[i].item, item))
            return &p->report.notes.items[i];
    return NULL;
}

static void assert_note(const struct place *p, const char *item, const char *says)
{
    const struct ingest_note *note = note_of(p, item);
    assert_non_null(note);
    if (!strstr(note->text, says))
        print_message("%s: %s\n", note->item, note->text);
    assert_non_null(strstr(note->text, says));
}

static void test_stills(void **state)
{
    struct place *p = *state;
    put_picture(p, "scenes/b/head.jpg", 200, 100, 10);
    put_picture(p, "scenes/b/bench.jpeg", 32, 16, 20);
    put_picture(p, "scenes/a/head.jpg", 200, 100, 10); // the same picture
    put_picture(p, "scenes/a/bench.jpg", 64, 64, 30);
    static const char details[] =
        "{\"tags\": [\"tool\", \"cup\"], \"licence\": \"CC0-1.0\"} // more";
    put(p, "scenes/a/scene.json", details, sizeof details - 1);
    put(p, "scenes/.git/x", "", 0);
    put(p, "scenes/a/.DS_Store", "x", 1);
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_scenes, 2);
    assert_int_equal(p->report.notes.n, 0);
    assert_int_equal(p->report.n_outcomes[SCENE_ADDED], 2);
    assert_int_equal(p->report.n_new_frames, 3);
    assert_int_equal(count(p, "SELECT count(*) FROM frame"), 3);
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame WHERE at_ms = 0"), 4);
    assert_int_equal(
        count(p, "SELECT count(*) FROM frame WHERE max(width_px, height_px) <= 64"), 3);
    assert_int_equal(
        count(p, "SELECT count(*) FROM frame WHERE width_px = 64 AND height_px = 32"), 1);
    assert_int_equal(
        count(p, "SELECT count(*) FROM frame WHERE width_px = 32 AND height_px = 16"), 1);
    assert_int_equal(count(p, "SELECT count(*) FROM scene WHERE name = 'a' AND"
                              " tags = '[\"tool\",\"cup\"]' AND licence = 'CC0-1.0' AND"
                              " consent IS NULL"),
        1);

    // Again: nothing.
    int64_t frames = count(p, "SELECT sum(frame_id) FROM scene_frame");
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_UNCHANGED], 2);
    assert_int_equal(p->report.n_new_frames, 0);
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame"), 4);
    assert_int_equal(count(p, "SELECT sum(frame_id) FROM scene_frame"), frames);
}

// What is stored is the one path's bytes: decode, shrink, encode.
static void test_bytes(void **state)
{
    struct place *p = *state;
    put_picture(p, "one/head.jpg", 50, 40, 99);
    put_picture(p, "one/bench.jpg", 200, 40, 50);
    assert_int_equal(ingest(p, "one"), OK);
    assert_string_equal(p->report.scenes[0].name, "one");
    struct query *q;
    assert_int_equal(query_open(p->store,
                         "SELECT source, bytes, sha256 FROM scene_frame JOIN frame USING"
                         " (frame_id) ORDER BY source",
                         &q, NULL),
        OK);
    query_bind(q, "");
    int n = 0;
    while (query_next(q, NULL) == OK && query_has_row(q)) {
        char *path = text_format("%s/one/%s", p->folder, query_text(q, 0));
        struct buffer file, jpeg;
        struct picture picture;
        char hash[HASH_HEX];
        size_t len;
        const void *bytes = query_bytes(q, 1, &len);
        buffer_init(&file, FILE_MAX);
        buffer_init(&jpeg, FILE_MAX);
        assert_int_equal(file_read(path, &file, NULL), OK);
        assert_int_equal(picture_decode(file.data, file.len, 0, &picture, NULL), OK);
        assert_int_equal(picture_shrink(&picture, 64, NULL), OK);
        assert_int_equal(picture_encode_jpeg(&picture, 90, &jpeg, NULL), OK);
        assert_int_equal(jpeg.len, len);
        assert_memory_equal(jpeg.data, bytes, len);
        hash_hex(bytes, len, hash);
        assert_string_equal(hash, query_text(q, 2));
        picture_release(&picture);
        buffer_release(&file);
        buffer_release(&jpeg);
        free(path);
        n++;
    }
    query_close(q);
    assert_int_equal(n, 2);
}

static void test_bad_files(void **state)
{
    struct place *p = *state;
    put_picture(p, "scenes/good/head.jpg", 20, 20, 1);
    put_picture(p, "scenes/good/bench.jpg", 20, 20, 2);
    put_picture(p, "scenes/half/head.jpg", 20, 20, 3);
    put(p, "scenes/half/bench.jpg", "\xff\xd8\xff\xe0 and then nothing", 20);
    put(p, "scenes/none/head.jpg", "", 0);
    put(p, "scenes/none/bench.png", "not a picture at all, just some text", 36);
    put_picture(p, "scenes/typo/head.jpg", 20, 20, 4);
    put_picture(p, "scenes/typo/bnech.jpg", 20, 20, 5);
    put_picture(p, "scenes/twice/head.jpg", 20, 20, 6);
    put_picture(p, "scenes/twice/head.png", 20, 20, 6);
    put_picture(p, "scenes/twice/bench.png", 20, 20, 7);
    put(p, "scenes/notes/readme.txt", "x", 1);
    put(p, "scenes/README.md", "x", 1);
    put_picture(p, "scenes/json/head.jpg", 20, 20, 8);
    put(p, "scenes/json/scene.json", "{\"tag\": [\"tool\"]}", 17);
    assert_int_equal(ingest(p, "scenes"), E_PARTIAL);
    assert_int_equal(p->report.n_scenes, 7);
    assert_int_equal(p->report.n_outcomes[SCENE_ADDED], 4);
    assert_int_equal(p->report.n_outcomes[SCENE_REFUSED], 3);
    assert_int_equal(p->report.n_incomplete, 3);
    assert_int_equal(p->report.n_files_failed, 3);
    assert_null(note_of(p, "good"));
    assert_note(p, "half/bench.jpg", "broken JPEG");
    assert_note(p, "half", "incomplete: 1 of 1 instants lack a view (bench)");
    assert_note(p, "none/head.jpg", "empty");
    assert_note(p, "none/bench.png", "neither a JPEG");
    assert_note(p, "typo/bnech.jpg", "did you mean bench?");
    assert_note(p, "twice/head.jpg", "2 files");
    assert_note(p, "twice/head.png", "2 files");
    assert_note(p, "notes", "no file in this folder is a view");
    assert_note(p, "README.md", "ignored");
    assert_int_equal(note_of(p, "README.md")->failed, 0);
    assert_note(p, "json/scene.json", "did you mean \"tags\"?");
    assert_int_equal(
        count(p, "SELECT count(*) FROM scene WHERE name IN ('none', 'notes', 'json')"),
        0);

    // Mended, it completes.
    put_picture(p, "scenes/half/bench.jpg", 20, 20, 9);
    assert_int_equal(ingest(p, "scenes/half"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_UPDATED], 1);
    assert_int_equal(p->report.scenes[0].result.n_complete, 1);
}

static void test_no_scene(void **state)
{
    struct place *p = *state;
    assert_int_equal(ingest(p, "nowhere"), E_NOT_FOUND);
    put(p, "empty/readme.txt", "x", 1);
    assert_int_equal(ingest(p, "empty"), E_DATA);
    assert_non_null(strstr(p->err.msg, "holds no scene"));
}

static void test_changed(void **state)
{
    struct place *p = *state;
    put_picture(p, "scenes/a/head.jpg", 20, 20, 1);
    put_picture(p, "scenes/a/bench.jpg", 20, 20, 2);
    assert_int_equal(ingest(p, "scenes"), OK);
    put_picture(p, "scenes/a/head.jpg", 20, 20, 100);
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_REPLACED], 1);
    assert_int_equal(count(p, "SELECT count(*) FROM frame"), 2); // the old one is gone
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame"), 2);

    // Used by a session: refused as a whole, by name.
    assert_int_equal(store_run(p->store, &p->err,
                         "INSERT INTO session (identity, scene_id, at_ms)"
                         " SELECT 'x', scene_id, 0 FROM scene",
                         ""),
        OK);
    put_picture(p, "scenes/a/head.jpg", 20, 20, 200);
    int64_t before = count(p, "SELECT sum(frame_id) FROM scene_frame");
    assert_int_equal(ingest(p, "scenes"), E_PARTIAL);
    assert_int_equal(p->report.n_outcomes[SCENE_REFUSED], 1);
    assert_note(p, "a", "head.jpg would change");
    assert_int_equal(count(p, "SELECT sum(frame_id) FROM scene_frame"), before);
    assert_int_equal(count(p, "SELECT count(*) FROM frame"), 2);
}

// An imported scene has rows without frames; their source stays what the import said.
static void test_imported(void **state)
{
    struct place *p = *state;
    assert_int_equal(
        store_run(p->store, &p->err, "INSERT INTO scene (name) VALUES ('kitchen')", ""),
        OK);
    assert_int_equal(store_run(p->store, &p->err,
                         "INSERT INTO scene_frame (scene_id, view_id, at_ms, source)"
                         " SELECT 1, view_id, 0, 'imgs/' || name FROM view",
                         ""),
        OK);
    assert_int_equal(store_run(p->store, &p->err,
                         "INSERT INTO session (identity, scene_id, at_ms)"
                         " VALUES ('x', 1, 0)",
                         ""),
        OK);
    put_picture(p, "scenes/kitchen/head.jpg", 20, 20, 1);
    put_picture(p, "scenes/kitchen/bench.jpg", 20, 20, 2);
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_UPDATED], 1);
    assert_int_equal(
        count(p, "SELECT count(*) FROM scene_frame WHERE frame_id NOT NULL AND"
                 " source LIKE 'imgs/%'"),
        2);
}

static void make_video(const struct place *p, const char *name, const char *seconds)
{
    char *path = in(p, name);
    char *source = text_format("testsrc=s=96x64:r=10:d=%s", seconds);
    char *argv[] = { "ffmpeg", "-y", "-f", "lavfi", "-i", source, "-c:v", "libx264",
        "-preset", "ultrafast", path, NULL };
    if (run_program(argv) != 0) {
        print_message("no ffmpeg program: videos cannot be made\n");
        skip();
    }
    free(path);
    free(source);
}

static void test_videos(void **state)
{
    struct place *p = *state;
    put_picture(p, "scenes/a/bench.jpg", 20, 20, 1);
    make_video(p, "scenes/a/head.mp4", "2");
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.scenes[0].result.n_complete, 2);
    assert_int_equal(p->report.n_new_frames, 3);
    assert_int_equal(
        count(p, "SELECT count(*) FROM scene_frame WHERE at_ms IN (500, 1500)"), 4);

    // An instant beyond the end: what there is stays, the rest is told.
    use_recipe(p, "{\"longest_side\": 64, \"at_s\": [0.5, 7]}");
    assert_int_equal(ingest(p, "scenes"), E_PARTIAL);
    assert_note(
        p, "a/head.mp4", "7.000 s lies beyond the end of the video, which lasts 2.0");
    assert_note(p, "a", "1 of 2 instants lack a view (head)");

    // Every so often: up to the shortest video, and old instants go.
    use_recipe(p, "{\"longest_side\": 64, \"every_s\": 0.4}");
    make_video(p, "scenes/a/head.mp4", "1");
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_REPLACED], 1);
    assert_int_equal(p->report.scenes[0].result.n_complete, 3);
    assert_int_equal(
        count(p, "SELECT count(*) FROM scene_frame WHERE at_ms IN (0, 400, 800)"), 6);
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame"), 6);
    assert_int_equal(count(p, "SELECT count(*) FROM frame WHERE frame_id NOT IN"
                              " (SELECT frame_id FROM scene_frame)"),
        0);
}

static void test_many_scenes(void **state)
{
    struct place *p = *state;
    char name[64];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "scenes/s%02d/head.jpg", i);
        put_picture(p, name, 8, 8, (uint8_t)(i * 6));
        snprintf(name, sizeof name, "scenes/s%02d/bench.jpg", i);
        put_picture(p, name, 9, 8, (uint8_t)(i * 6));
    }
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_ADDED], 40);
    for (size_t i = 1; i < 40; i++)
        assert_true(p->report.scenes[i].result.scene_id ==
                    p->report.scenes[i - 1].result.scene_id + 1);
}

static int stop_now(void)
{
    return 1;
}

static void test_stopped(void **state)
{
    struct place *p = *state;
    put_picture(p, "scenes/a/head.jpg", 20, 20, 1);
    char *path = in(p, "scenes");
    const struct ingest_options how = { .folder = path, .is_stopped = stop_now };
    assert_int_equal(
        ingest_folder(p->store, p->recipe, &how, &p->report, &p->err), E_INTERRUPTED);
    assert_int_equal(count(p, "SELECT count(*) FROM scene"), 0);
    free(path);
}

static int has_ink(const struct picture *p, int left, int top, int width, int height)
{
    for (int y = top; y < top + height; y++)
        for (int x = left; x < left + width; x++)
            if (p->data[(y * p->width + x) * 3] < 64)
                return 1;
    return 0;
}

static void test_contact_sheet(void **state)
{
    struct place *p = *state;
    put_picture(p, "scenes/a/head.jpg", 200, 100, 10);
    put_picture(p, "scenes/a/bench.jpg", 30, 100, 250);
    put_picture(p, "scenes/b/head.jpg", 10, 10, 100);
    assert_int_equal(ingest(p, "scenes"), E_PARTIAL);
    const int64_t ids[] = { p->report.scenes[0].result.scene_id,
        p->report.scenes[1].result.scene_id };
    size_t rows[2];
    char *path = in(p, "sheet.jpg");
    assert_int_equal(contact_sheet_write(p->store, ids, 2, path, rows, &p->err), OK);
    assert_int_equal(rows[0], 1);
    assert_int_equal(rows[1], 1);
    struct buffer file;
    struct picture sheet;
    buffer_init(&file, FILE_MAX);
    assert_int_equal(file_read(path, &file, NULL), OK);
    assert_int_equal(picture_decode(file.data, file.len, 0, &sheet, NULL), OK);
    // Behind a column of labels and below a row of names two columns of 240 and two rows
    // of 180, 8 apart: centres of the four cells.
    const int left = 8 + 180 + 8, top = 8 + 36 + 8;
    assert_int_equal(sheet.width, left + 2 * 248);
    assert_int_equal(sheet.height, top + 2 * 188);
    static const int want[2][2] = { { 10, 250 }, { 100, 0xc8 } };
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 2; x++) {
            int at = ((top + 90 + 188 * y) * sheet.width + left + 120 + 248 * x) * 3;
            assert_in_range(sheet.data[at] + 4, want[y][x], want[y][x] + 8);
        }
    // The names stand there: "a" and "b" are left of their rows, "head" above its column.
    for (int y = 0; y < 2; y++)
        assert_true(has_ink(&sheet, 8, top + 188 * y, 12, 14));
    assert_true(has_ink(&sheet, left, 8, 4 * 12, 14));
    assert_false(has_ink(&sheet, left + 5 * 12, 8, 100, 14));
    picture_release(&sheet);
    assert_int_equal(contact_sheet_write(p->store, ids, 0, path, rows, &p->err), E_ARG);

    // A second instant of the first scene is a row of its own, between the two.
    assert_int_equal(store_run(p->store, &p->err,
                         "INSERT INTO scene_frame (scene_id, view_id, at_ms, frame_id, "
                         "source) SELECT scene_id, view_id, 1500, frame_id, source "
                         "FROM scene_frame WHERE scene_id = ?",
                         "i", ids[0]),
        OK);
    assert_int_equal(contact_sheet_write(p->store, ids, 2, path, rows, &p->err), OK);
    assert_int_equal(rows[0], 2);
    assert_int_equal(rows[1], 1);
    assert_int_equal(file_read(path, &file, NULL), OK);
    assert_int_equal(picture_decode(file.data, file.len, 0, &sheet, NULL), OK);
    assert_int_equal(sheet.height, top + 3 * 188);
    for (int y = 0; y < 3; y++) {
        int at = ((top + 90 + 188 * y) * sheet.width + left + 120) * 3;
        assert_in_range(sheet.data[at] + 4, y < 2 ? 10 : 100, y < 2 ? 18 : 108);
    }
    picture_release(&sheet);
    buffer_release(&file);
    free(path);
}

// ---- views that are no pictures ----

/* Gives the store two views of these kinds in place of head and bench. */
static void use_kinds(
    struct place *p, const char *frames, const char *first, const char *second)
{
    char *text = text_format("{ \"m4a1_recipe\": 1, \"name\": \"kinds\",\n"
                             "  \"views\": [ {\"name\": \"one\", %s, \"privacy\": 2},\n"
                             "             {\"name\": \"two\", %s, \"privacy\": 1} ],\n"
                             "  \"frames\": %s,\n%s",
        first, second, frames, strstr(recipe_text, "  \"tasks\""));
    char *path = in(p, "recipe.jsonc");
    put(p, "recipe.jsonc", text, strlen(text));
    recipe_free(p->recipe);
    if (recipe_load(path, &p->recipe, NULL, &p->err) != OK)
        fail_msg("%s", p->err.msg);
    assert_int_equal(recipe_apply(p->store, p->recipe, &p->err), OK);
    free(text);
    free(path);
}

static void put_wav(const struct place *p, const char *name, uint32_t n_frames)
{
    struct buffer file;
    const struct make_wav how = {
        .coding = 1, .channels = 1, .rate_hz = 8000, .bits = 16, .n_frames = n_frames
    };
    buffer_init(&file, FILE_MAX);
    make_wav(&how, &file);
    put(p, name, file.data, file.len);
    buffer_release(&file);
}

static void test_text_and_sound(void **state)
{
    struct place *p = *state;
    use_kinds(p, "{\"at_s\": [1, 2.5], \"audio_s\": 0.5}", "\"kind\": \"text\"",
        "\"kind\": \"audio\"");
    put(p, "scenes/a/one.csv", "\xef\xbb\xbft,v\n0,1\n", 11);
    put_wav(p, "scenes/a/two.wav", 8000 * 3);
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.scenes[0].result.n_complete, 2);
    assert_int_equal(p->report.n_new_frames, 3);
    assert_int_equal(count(p, "SELECT count(*) FROM frame WHERE media_type = 'text/plain'"
                              " AND CAST(bytes AS TEXT) = 't,v' || char(10) || '0,1' ||"
                              " char(10) AND width_px = 0 AND height_px = 0"
                              " AND duration_ms IS NULL"),
        1);
    assert_int_equal(count(p, "SELECT count(*) FROM frame WHERE media_type = 'audio/wav'"
                              " AND duration_ms = 500 AND length(bytes) = 44 + 8000"
                              " AND width_px = 0"),
        2);
    // The same files again, then a sound that stands for all instants as a whole.
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_UNCHANGED], 1);
    use_kinds(p, "{\"at_s\": [1, 2.5], \"audio_s\": 0}", "\"kind\": \"text\"",
        "\"kind\": \"audio\"");
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_REPLACED], 1);
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame WHERE at_ms = 0"), 2);
    assert_int_equal(count(p, "SELECT duration_ms FROM frame WHERE media_type ="
                              " 'audio/wav'"),
        3000);
    // Every so often, to the end of the sound.
    use_kinds(p, "{\"every_s\": 1, \"audio_s\": 2}", "\"kind\": \"text\"",
        "\"kind\": \"audio\"");
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame WHERE at_ms IN (0, 1000,"
                              " 2000)"),
        6);
    assert_int_equal(
        count(p, "SELECT min(duration_ms) FROM frame WHERE media_type = 'audio/wav'"),
        1000);
}

static void test_bad_text_and_sound(void **state)
{
    struct place *p = *state;
    use_kinds(p, "{\"at_s\": [1]}", "\"kind\": \"text\"", "\"kind\": \"audio\"");
    char *large = calloc(1, 100001);
    memset(large, 'x', 100000);
    put(p, "scenes/large/one.txt", large, 100000);
    free(large);
    put_wav(p, "scenes/large/two.wav", 80);
    put(p, "scenes/latin/one.txt", "Gr\xfc\xdf", 4);
    put(p, "scenes/latin/two.wav", "RIFF\x04\0\0\0WAVE", 12);
    put(p, "scenes/nul/one.log", "a\0b", 3);
    put(p, "scenes/nul/two.wav", "not a sound at all", 18);
    put_picture(p, "scenes/swapped/one.txt", 8, 8, 1);
    put(p, "scenes/swapped/two.wav", "words", 5);
    assert_int_equal(ingest(p, "scenes"), E_PARTIAL);
    assert_note(
        p, "large/one.txt", "the text has 100000 bytes; a text view holds at most");
    assert_note(
        p, "large/two.wav", "the instant 1.000 s lies beyond the end of the sound");
    assert_note(p, "latin/one.txt", "not valid UTF-8 at byte offset 2");
    assert_note(p, "latin/two.wav", "broken WAV: it has no \"fmt \" chunk");
    assert_note(p, "nul/one.log", "a NUL byte at byte offset 1");
    assert_note(p, "nul/two.wav", "of kind audio, which takes a WAV sound");
    assert_note(
        p, "swapped/one.txt", "the file is a picture, and the view is of kind text");
    assert_int_equal(count(p, "SELECT count(*) FROM scene"), 0);
    assert_int_equal(count(p, "SELECT count(*) FROM frame"), 0);
}

static void test_wrong_files_for_pictures(void **state)
{
    struct place *p = *state;
    use_kinds(p, "{\"at_s\": [1]}", "\"kind\": \"image\"", "\"kind\": \"video\"");
    put_wav(p, "scenes/a/one.jpg", 80);
    put_picture(p, "scenes/a/two.mp4", 8, 8, 1);
    put(p, "scenes/b/one.jpg", "a text", 6);
    put_wav(p, "scenes/b/two.mp4", 80);
    assert_int_equal(ingest(p, "scenes"), E_PARTIAL);
    assert_note(p, "a/one.jpg", "the file is a WAV sound, and the view is of kind image");
    assert_note(p, "a/two.mp4", "the file is a picture, and the view is of kind video");
    assert_note(p, "b/one.jpg", "neither a JPEG, a PNG nor a video");
    assert_note(p, "b/two.mp4", "the file is a WAV sound, and the view is of kind video");
}

static void test_clips(void **state)
{
    struct place *p = *state;
    use_kinds(p, "{\"longest_side\": 64, \"at_s\": [0, 0.5]}", "\"kind\": \"image\"",
        "\"kind\": \"video\", \"clip\": {\"frames\": 3, \"every_s\": 0.5}");
    put_picture(p, "scenes/a/one.jpg", 20, 20, 1);
    make_video(p, "scenes/a/two.mp4", "2");
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.scenes[0].result.n_complete, 2);
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame WHERE view_id ="
                              " (SELECT view_id FROM view WHERE name = 'two') AND"
                              " offset_ms = 500 * part"),
        6);
    // Clips that overlap share frames: 0, 0.5, 1 and 0.5, 1, 1.5 are four pictures.
    assert_int_equal(p->report.n_new_frames, 1 + 4);
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame a JOIN scene_frame b"
                              " USING (scene_id, view_id, frame_id) WHERE a.at_ms +"
                              " a.offset_ms = b.at_ms + b.offset_ms AND a.at_ms < b.at_ms"
                              " AND b.part = a.part - 1"),
        2);
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_UNCHANGED], 1);

    // A shorter clip: the parts that it no longer has go.
    use_kinds(p, "{\"longest_side\": 64, \"at_s\": [0, 0.5]}", "\"kind\": \"image\"",
        "\"kind\": \"video\", \"clip\": {\"frames\": 2, \"every_s\": 0.5}");
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.n_outcomes[SCENE_REPLACED], 1);
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame WHERE part = 2"), 0);
    assert_int_equal(count(p, "SELECT count(*) FROM frame"), 1 + 3);

    // Not of a scene that a session uses; nor may its times change.
    assert_int_equal(store_run(p->store, &p->err,
                         "INSERT INTO session (identity, scene_id, at_ms)"
                         " SELECT 'x', scene_id, 0 FROM scene",
                         ""),
        OK);
    use_kinds(p, "{\"longest_side\": 64, \"at_s\": [0, 0.5]}", "\"kind\": \"image\"",
        "\"kind\": \"video\", \"clip\": {\"frames\": 2, \"every_s\": 0.25}");
    assert_int_equal(ingest(p, "scenes"), E_PARTIAL);
    assert_note(p, "a", "sessions use this scene, and two.mp4 would change");
    assert_int_equal(count(p, "SELECT max(offset_ms) FROM scene_frame"), 500);
    use_kinds(p, "{\"longest_side\": 64, \"at_s\": [0, 0.5]}", "\"kind\": \"image\"",
        "\"kind\": \"video\", \"clip\": {\"frames\": 3, \"every_s\": 0.5}");
    assert_int_equal(ingest(p, "scenes"), E_PARTIAL);
    assert_note(p, "a", "sessions use this scene, and two.mp4 would change");
    assert_int_equal(count(p, "SELECT max(part) FROM scene_frame"), 1);
}

static void test_clips_at_the_end(void **state)
{
    struct place *p = *state;
    // The last clip that is within 2 s of video is that at 0.8 s.
    use_kinds(p, "{\"longest_side\": 64, \"every_s\": 0.4}", "\"kind\": \"image\"",
        "\"kind\": \"video\", \"clip\": {\"frames\": 3, \"every_s\": 0.5}");
    put_picture(p, "scenes/a/one.jpg", 20, 20, 1);
    make_video(p, "scenes/a/two.mp4", "2");
    assert_int_equal(ingest(p, "scenes"), OK);
    assert_int_equal(p->report.scenes[0].result.n_complete, 3);
    assert_int_equal(count(p, "SELECT max(at_ms) FROM scene_frame"), 800);

    // At 1.2 s there would be two of three frames, so there are none.
    use_kinds(p, "{\"longest_side\": 64, \"at_s\": [0, 1.2]}", "\"kind\": \"image\"",
        "\"kind\": \"video\", \"clip\": {\"frames\": 3, \"every_s\": 0.5}");
    assert_int_equal(ingest(p, "scenes"), E_PARTIAL);
    assert_note(p, "a/two.mp4", "a clip of 3 frames, 0.500 s apart: the instant 2.200 s");
    assert_note(p, "a", "1 of 2 instants lack a view (two)");
    assert_int_equal(count(p, "SELECT count(*) FROM scene_frame WHERE at_ms = 1200"), 1);
}

static void test_contact_sheet_of_kinds(void **state)
{
    struct place *p = *state;
    use_kinds(p, "{\"at_s\": [0]}", "\"kind\": \"text\"", "\"kind\": \"audio\"");
    put(p, "scenes/a/one.txt", "words", 5);
    put_wav(p, "scenes/a/two.wav", 800);
    assert_int_equal(ingest(p, "scenes"), OK);
    const int64_t id = p->report.scenes[0].result.scene_id;
    char *path = in(p, "sheet.jpg");
    struct buffer file;
    struct picture sheet;
    buffer_init(&file, FILE_MAX);
    assert_int_equal(contact_sheet_write(p->store, &id, 1, path, NULL, &p->err), OK);
    assert_int_equal(file_read(path, &file, NULL), OK);
    assert_int_equal(picture_decode(file.data, file.len, 0, &sheet, NULL), OK);
    const int left = 8 + 180 + 8, top = 8 + 36 + 8;
    for (int x = 0; x < 2; x++) {
        int at = ((top + 90) * sheet.width + left + 120 + 248 * x) * 3;
        assert_in_range(sheet.data[at], 0xe0, 0xe8);
        assert_true(has_ink(&sheet, left + 8 + 248 * x, top + 8, 4 * 12, 14));
    }
    picture_release(&sheet);
    buffer_release(&file);
    free(path);
}

static int level_at(const struct picture *p, int x, int y)
{
    return p->data[(y * p->width + x) * 3];
}

static void test_contact_sheet_of_clips(void **state)
{
    struct place *p = *state;
    use_kinds(p, "{\"longest_side\": 64, \"at_s\": [0]}", "\"kind\": \"image\"",
        "\"kind\": \"video\", \"clip\": {\"frames\": 3, \"every_s\": 0.5}");
    put_picture(p, "scenes/a/one.jpg", 20, 20, 1);
    make_video(p, "scenes/a/two.mp4", "2");
    assert_int_equal(ingest(p, "scenes"), OK);
    const int64_t id = p->report.scenes[0].result.scene_id;
    char *path = in(p, "sheet.jpg");
    struct buffer file;
    struct picture sheet;
    buffer_init(&file, FILE_MAX);
    assert_int_equal(contact_sheet_write(p->store, &id, 1, path, NULL, &p->err), OK);
    assert_int_equal(file_read(path, &file, NULL), OK);
    assert_int_equal(picture_decode(file.data, file.len, 0, &sheet, NULL), OK);
    // Three frames on a grid of two by two: the fourth place stays white.
    const int left = 8 + 180 + 8 + 248, top = 8 + 36 + 8;
    assert_in_range(level_at(&sheet, left + 120 + 60, top + 90 + 45), 0xfa, 0xff);
    static const int n = 3;
    for (int i = 0; i < n; i++) {
        int seen = 0;
        for (int x = 5; x < 115; x++)
            seen |=
                level_at(&sheet, left + i % 2 * 120 + x, top + i / 2 * 90 + 45) < 0x60;
        assert_true(seen);
    }
    picture_release(&sheet);
    buffer_release(&file);
    free(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stills),
        TEST(test_bytes),
        TEST(test_bad_files),
        TEST(test_no_scene),
        TEST(test_changed),
        TEST(test_imported),
        TEST(test_videos),
        TEST(test_many_scenes),
        TEST(test_stopped),
        TEST(test_contact_sheet),
        TEST(test_text_and_sound),
        TEST(test_bad_text_and_sound),
        TEST(test_wrong_files_for_pictures),
        TEST(test_clips),
        TEST(test_clips_at_the_end),
        TEST(test_contact_sheet_of_kinds),
        TEST(test_contact_sheet_of_clips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
