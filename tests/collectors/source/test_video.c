/* test_video.c - frames at instants, to the frame, from videos that ffmpeg makes.
 * tests/run: limit 120
 *
 * The videos are gray: frame n has luma 20 + 6 n, so a picture tells its own number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectors/source/video.h"
#include "collectors/source/video_picture.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "tests/support/make_image.h"

#define FILE_MAX ((size_t)1 << 26)
#define NUMBERED "geq=lum=20+6*mod(N\\,36):cb=128:cr=128,format=yuv420p"

static char folder[] = "/tmp/m4a1-video.XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char **names;
    size_t n;
    if (folder_list(folder, &names, &n, NULL) != OK)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        free(path);
    }
    folder_list_free(names, n);
    return rmdir(folder);
}

static void need_ffmpeg(void)
{
    char *probe[] = { "ffmpeg", "-version", NULL };
    if (run_program(probe) == 0)
        return;
    print_message("no ffmpeg program: videos cannot be made\n");
    skip();
}

// A video of n seconds at a rate; options (NULL-terminated) stand before the output.
static char *make_video(
    const char *name, const char *source, const char *filter, char *const *options)
{
    need_ffmpeg();
    char *path = path_join(folder, name);
    char *argv[40] = { "ffmpeg", "-y", "-f", "lavfi", "-i" };
    size_t n = 5;
    char *from = text_copy(source), *through = text_copy(filter);
    argv[n++] = from;
    argv[n++] = "-vf";
    argv[n++] = through;
    while (*options)
        argv[n++] = *options++;
    argv[n++] = path;
    argv[n] = NULL;
    assert_int_equal(run_program(argv), 0);
    free(from);
    free(through);
    return path;
}

#define OPTIONS(...) ((char *const[]) { __VA_ARGS__, NULL })

// The number of the frame shown, from its gray level.
static int number_at(struct video *v, int64_t at_ms)
{
    struct picture p;
    struct error err = ERROR_INIT;
    enum status s = video_frame_at(v, at_ms, &p, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(s, OK);
    const uint8_t *v8 = p.data + ((size_t)p.height / 2 * (size_t)p.width + 5) * 3;
    double luma = 16 + v8[1] * 219.0 / 255;
    picture_release(&p);
    return (int)((luma - 20) / 6 + 0.5);
}

static struct video *open_good(const char *path)
{
    struct video *v;
    struct error err = ERROR_INIT;
    enum status s = video_open(path, &v, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(s, OK);
    return v;
}

static enum status open_bad(const char *path, struct error *err)
{
    struct video *v;
    *err = (struct error)ERROR_INIT;
    enum status s = video_open(path, &v, err);
    assert_null(v);
    assert_true(strlen(err->msg) > 5);
    return s;
}

// 36 frames at 10 a second, asked for in rising and in any order.
static void check_instants(char *path)
{
    struct video *v = open_good(path);
    struct error err = ERROR_INIT;
    struct picture p;
    int64_t duration;
    assert_int_equal(video_duration(v, &duration, &err), OK);
    assert_int_equal(duration, 3600);
    static const int64_t rising[] = { 0, 1, 99, 100, 101, 1000, 1050, 2999, 3500, 3599 };
    for (size_t i = 0; i < COUNT_OF(rising); i++)
        assert_int_equal(number_at(v, rising[i]), rising[i] / 100);
    static const int64_t any[] = { 3400, 0, 1250, 1249, 1300, 200 };
    for (size_t i = 0; i < COUNT_OF(any); i++)
        assert_int_equal(number_at(v, any[i]), any[i] / 100);
    assert_int_equal(video_frame_at(v, 3600, &p, &err), E_DATA);
    assert_non_null(strstr(err.msg, "3.600 s"));
    assert_non_null(strstr(err.msg, "beyond the end"));
    assert_null(p.data);
    assert_int_equal(video_frame_at(v, 9000, &p, &err), E_DATA);
    assert_int_equal(video_frame_at(v, -1, &p, &err), E_ARG);
    assert_int_equal(number_at(v, 500), 5);
    video_close(v);
    free(path);
}

static void test_containers(void **state)
{
    (void)state;
    const char *source = "color=black:s=64x48:r=10:d=3.6";
    char *const *h264 = OPTIONS(
        "-c:v", "libx264", "-preset", "ultrafast", "-g", "12", "-bf", "2", "-crf", "5");
    char *const *vp8 = OPTIONS("-c:v", "libvpx", "-g", "8", "-b:v", "1M");
    char *const *mpeg4 = OPTIONS("-c:v", "mpeg4", "-q:v", "2");
    check_instants(make_video("a.mp4", source, NUMBERED, h264));
    check_instants(make_video("a.mov", source, NUMBERED, h264));
    check_instants(make_video("a.mkv", source, NUMBERED, h264));
    check_instants(make_video("a.ts", source, NUMBERED, h264));
    check_instants(make_video("a.webm", source, NUMBERED, vp8));
    check_instants(make_video("a.avi", source, NUMBERED, mpeg4));
}

// 60 s with few key frames: far instants are reached by seeking, and are the same.
static void test_seeking(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        char *path = make_video(i ? "long.mkv" : "long.mp4",
            "color=black:s=64x48:r=10:d=60", NUMBERED,
            OPTIONS("-c:v", "libx264", "-preset", "ultrafast", "-g", "70", "-bf", "3",
                "-crf", "5"));
        static const int64_t at[] = { 59900, 7049, 30000, 30100, 44444, 100, 21000 };
        struct video *v = open_good(path);
        for (size_t k = 0; k < COUNT_OF(at); k++)
            assert_int_equal(number_at(v, at[k]), at[k] / 100 % 36);
        video_close(v);
        free(path);
    }
}

// NTSC's rate and a time base of milliseconds: the frame before t, never the one behind.
static void test_odd_rate(void **state)
{
    (void)state;
    char *path = make_video("ntsc.mp4", "color=black:s=64x48:r=30000/1001:d=1", NUMBERED,
        OPTIONS("-c:v", "libx264", "-preset", "ultrafast", "-crf", "5"));
    struct video *v = open_good(path);
    for (int n = 0; n < 29; n++) {
        int64_t start_ms =
            (n * 1001 + 29) / 30; // the first whole ms at or behind frame n
        assert_int_equal(number_at(v, start_ms), n);
        if (n)
            assert_int_equal(number_at(v, start_ms - 1), n - 1);
    }
    video_close(v);
    free(path);
}

// The first and the last pixel as ffmpeg shows the file.
static void ffmpeg_ends(const char *video, int ends[2])
{
    char *raw = path_join(folder, "rows.gray"), *in = text_copy(video);
    char *argv[] = { "ffmpeg", "-y", "-i", in, "-frames:v", "1", "-f", "rawvideo",
        "-pix_fmt", "gray", raw, NULL };
    assert_int_equal(run_program(argv), 0);
    struct buffer rows;
    buffer_init(&rows, FILE_MAX);
    assert_int_equal(file_read(raw, &rows, NULL), OK);
    ends[0] = (uint8_t)rows.data[0];
    ends[1] = (uint8_t)rows.data[rows.len - 1];
    buffer_release(&rows);
    free(in);
    free(raw);
}

static void check_rotation(char *flat, const char *angle, int width, int height)
{
    char *turned = path_join(folder, "turned.mp4"),
         *tag = text_format("rotate=%s", angle);
    char *argv[] = { "ffmpeg", "-y", "-i", flat, "-c", "copy", "-metadata:s:v:0", tag,
        turned, NULL };
    assert_int_equal(run_program(argv), 0);
    struct video *v = open_good(turned);
    struct picture p;
    int want[2];
    ffmpeg_ends(turned, want);
    assert_int_equal(video_frame_at(v, 0, &p, NULL), OK);
    assert_int_equal(p.width, width);
    assert_int_equal(p.height, height);
    assert_int_equal(p.data[0] > 127, want[0] > 127);
    assert_int_equal(p.data[(size_t)width * (size_t)height * 3 - 1] > 127, want[1] > 127);
    picture_release(&p);
    video_close(v);
    free(turned);
    free(tag);
}

static void test_rotation_and_shape(void **state)
{
    (void)state;
    // The left half white, the right half black.
    const char *halves = "geq=lum='if(lt(X,W/2),235,16)':cb=128:cr=128,format=yuv420p";
    char *flat = make_video("flat.mp4", "color=black:s=64x48:r=5:d=1", halves,
        OPTIONS("-c:v", "libx264", "-preset", "ultrafast"));
    check_rotation(flat, "0", 64, 48);
    check_rotation(flat, "90", 48, 64);
    check_rotation(flat, "180", 64, 48);
    check_rotation(flat, "270", 48, 64);
    free(flat);

    struct video *v;
    struct picture p;
    char *wide = make_video("wide.mp4", "color=black:s=64x48:r=5:d=1",
        "setsar=2/1,format=yuv420p", OPTIONS("-c:v", "libx264"));
    v = open_good(wide);
    assert_int_equal(video_frame_at(v, 0, &p, NULL), OK);
    assert_int_equal(p.width, 128);
    assert_int_equal(p.height, 48);
    picture_release(&p);
    video_close(v);
    free(wide);
}

static void test_matrices(void **state)
{
    (void)state;
    enum { ONE = 65536, W = 1 << 30 };
    static const struct {
        int32_t m[9];
        int orientation;
    } cases[] = {
        { { ONE, 0, 0, 0, ONE, 0, 0, 0, W }, 1 },
        { { -ONE, 0, 0, 0, ONE, 0, 0, 0, W }, 2 },
        { { -ONE, 0, 0, 0, -ONE, 0, 0, 0, W }, 3 },
        { { ONE, 0, 0, 0, -ONE, 0, 0, 0, W }, 4 },
        { { 0, ONE, 0, ONE, 0, 0, 0, 0, W }, 5 },
        { { 0, ONE, 0, -ONE, 0, 0, 0, 0, W }, 6 },
        { { 0, -ONE, 0, -ONE, 0, 0, 0, 0, W }, 7 },
        { { 0, -ONE, 0, ONE, 0, 0, 0, 0, W }, 8 },
        { { INT32_MIN, 0, 0, 0, INT32_MIN, 0, 0, 0, W }, 3 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(video_orientation(cases[i].m), cases[i].orientation);
}

// A full-range and a BT.709 video give the colour they were made from.
static void test_colours(void **state)
{
    (void)state;
    static const char *const filters[] = {
        "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p",
        "scale=out_color_matrix=bt601:out_range=pc,format=yuv444p",
    };
    for (int i = 0; i < 2; i++) {
        char *path = make_video(i ? "full.mkv" : "hd.mkv",
            "color=0x2080e0:s=64x48:r=5:d=1", filters[i],
            i ? OPTIONS("-c:v", "ffv1", "-color_range", "pc", "-colorspace", "smpte170m")
              : OPTIONS("-c:v", "ffv1", "-color_range", "tv", "-colorspace", "bt709"));
        struct video *v = open_good(path);
        struct picture p;
        assert_int_equal(video_frame_at(v, 0, &p, NULL), OK);
        assert_in_range(p.data[0], 0x20 - 3, 0x20 + 3);
        assert_in_range(p.data[1], 0x80 - 3, 0x80 + 3);
        assert_in_range(p.data[2], 0xe0 - 3, 0xe0 + 3);
        picture_release(&p);
        video_close(v);
        free(path);
    }
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    assert_int_equal(file_write(path, bytes, len, NULL), OK);
}

static void test_refused(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(open_bad("/nonexistent/a.mp4", &err), E_NOT_FOUND);
    assert_int_equal(open_bad(folder, &err), E_DATA);
    char *path = path_join(folder, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_bad(path, &err), E_DATA);
    free(path);

    // Files that would make libavformat open others.
    char *video = make_video("target.ts", "color=black:s=64x48:r=10:d=1", NUMBERED,
        OPTIONS("-c:v", "libx264", "-preset", "ultrafast"));
    const char *names[] = { "list.m3u8", "list.ffconcat", "list.txt" };
    char *texts[] = {
        text_format(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n%s\n#EXT-X-ENDLIST\n", video),
        text_format("ffconcat version 1.0\nfile '%s'\n", video),
        text_copy("http://127.0.0.1:1/a.mp4\n"),
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        path = path_join(folder, names[i]);
        write_file(path, texts[i], strlen(texts[i]));
        assert_int_equal(open_bad(path, &err), E_DATA);
        assert_non_null(strstr(err.msg, "MP4"));
        free(path);
        free(texts[i]);
    }
    char *sound = path_join(folder, "sound.mkv");
    char *argv[] = { "ffmpeg", "-y", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "pcm_s16le",
        sound, NULL };
    assert_int_equal(run_program(argv), 0);
    assert_int_equal(open_bad(sound, &err), E_DATA);
    assert_non_null(strstr(err.msg, "no video"));
    free(sound);
    free(video);
}

// Cut anywhere: every call ends, and what is given out is a frame of the video.
static void test_truncated(void **state)
{
    (void)state;
    static const char *const names[] = { "cut.mp4", "cut.mkv", "cut.ts" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *path = make_video(names[i], "color=black:s=64x48:r=10:d=3.6", NUMBERED,
            OPTIONS("-c:v", "libx264", "-preset", "ultrafast", "-g", "12", "-crf", "5"));
        struct buffer whole;
        buffer_init(&whole, FILE_MAX);
        assert_int_equal(file_read(path, &whole, NULL), OK);
        int refused = 0;
        for (size_t n = 0; n < whole.len; n += whole.len / 23) {
            struct error err = ERROR_INIT;
            struct video *v;
            struct picture p;
            write_file(path, whole.data, n);
            if (video_open(path, &v, &err) == OK &&
                video_frame_at(v, 3500, &p, &err) == OK)
                picture_release(&p);
            else
                refused += err.code == E_DATA && strlen(err.msg) > 10;
            video_close(v);
        }
        assert_true(refused >= 20);
        buffer_release(&whole);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_seeking),
        cmocka_unit_test(test_odd_rate),
        cmocka_unit_test(test_rotation_and_shape),
        cmocka_unit_test(test_matrices),
        cmocka_unit_test(test_colours),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_truncated),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
