/* test_wav.c - sound files: what is taken, what is refused, what is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/source/wav.h"
#include "m4a1/base/text.h"
#include "tests/support/make_wav.h"

#define FILE_MAX ((size_t)1 << 24)

static const struct make_wav second = {
    .coding = 1, .channels = 1, .rate_hz = 8000, .bits = 16, .n_frames = 8000
};

static enum status open_bytes(
    const struct buffer *b, struct wav *wav, FILE **f, struct error *err)
{
    *f = fmemopen(b->data, b->len, "rb");
    assert_non_null(*f);
    return wav_open(*f, wav, err);
}

/* The window of a file as bytes, which the caller releases. */
static enum status cut(const struct make_wav *how, int64_t at_ms, int64_t length_ms,
    struct buffer *out, int64_t *duration_ms, struct error *err)
{
    struct buffer file;
    struct wav wav;
    FILE *f;
    buffer_init(&file, FILE_MAX);
    buffer_init(out, FILE_MAX);
    make_wav(how, &file);
    assert_int_equal(open_bytes(&file, &wav, &f, err), OK);
    enum status s = wav_cut(f, &wav, at_ms, length_ms, out, duration_ms, err);
    fclose(f);
    buffer_release(&file);
    return s;
}

static void test_forms_that_are_taken(void **state)
{
    (void)state;
    static const struct make_wav forms[] = {
        { .coding = 1, .channels = 1, .rate_hz = 8000, .bits = 16, .n_frames = 8000 },
        { .coding = 1, .channels = 2, .rate_hz = 48000, .bits = 16, .n_frames = 100 },
        { .coding = 1,
            .channels = 2,
            .rate_hz = 44100,
            .bits = 16,
            .n_frames = 7,
            .extensible = 1 },
        { .coding = 1,
            .channels = 1,
            .rate_hz = 16000,
            .bits = 16,
            .n_frames = 7,
            .with_list = 1 },
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct buffer file;
        struct wav wav;
        FILE *f;
        buffer_init(&file, FILE_MAX);
        make_wav(&forms[i], &file);
        assert_true(wav_sniff(file.data, file.len));
        assert_int_equal(open_bytes(&file, &wav, &f, NULL), OK);
        assert_int_equal(wav.channels, forms[i].channels);
        assert_int_equal(wav.rate_hz, forms[i].rate_hz);
        assert_int_equal(wav.n_frames, forms[i].n_frames);
        assert_int_equal(
            wav.offset, file.len - (size_t)wav.n_frames * 2 * forms[i].channels);
        fclose(f);
        buffer_release(&file);
    }
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct make_wav how;
        size_t cut; /* bytes that are missing at the end */
        const char *says;
    } cases[] = {
        { { .coding = 3, .channels = 1, .rate_hz = 8000, .bits = 32, .n_frames = 9 }, 0,
            "floating point of 32 bits (coding 3); expected PCM of 16 bits; for one: "
            "ffmpeg" },
        { { .coding = 1, .channels = 1, .rate_hz = 8000, .bits = 24, .n_frames = 8 }, 0,
            "PCM of 24 bits" },
        { { .coding = 0x55, .channels = 1, .rate_hz = 8000, .bits = 16, .n_frames = 8 },
            0, "MP3" },
        { { .coding = 1,
              .channels = 6,
              .rate_hz = 8000,
              .bits = 16,
              .n_frames = 8,
              .extensible = 1 },
            0, "6 channels" },
        { { .coding = 1, .channels = 1, .rate_hz = 96000, .bits = 16, .n_frames = 8 }, 0,
            "96000 samples a second; expected 1000 to 48000" },
        { { .coding = 1, .channels = 1, .rate_hz = 8000, .bits = 16, .n_frames = 0 }, 0,
            "empty (0 samples)" },
        { { .coding = 1, .channels = 1, .rate_hz = 8000, .bits = 16, .n_frames = 90 }, 9,
            "truncated WAV: its header says 224 bytes, it has 215" },
        { { .coding = 1,
              .channels = 1,
              .rate_hz = 8000,
              .bits = 16,
              .n_frames = 90,
              .data_bytes = 1000 },
            0, "a chunk at byte 36 is 1000 bytes long, but 180 are left" },
        { { .coding = 1,
              .channels = 1,
              .rate_hz = 8000,
              .bits = 16,
              .n_frames = 90,
              .riff_bytes = 0x7ffffff0 },
            0, "truncated WAV" },
        { { .coding = 1,
              .channels = 1,
              .rate_hz = 8000,
              .bits = 16,
              .n_frames = 90,
              .riff_bytes = 0xffffffff },
            0, "written into a pipe" },
        { { .coding = 1,
              .channels = 1,
              .rate_hz = 8000,
              .bits = 16,
              .n_frames = 90,
              .riff_bytes = 28 },
            0, "no samples" },
        { { .coding = 1,
              .channels = 1,
              .rate_hz = 8000,
              .bits = 16,
              .n_frames = 90,
              .riff_bytes = 4 },
            0, "no \"fmt \" chunk" },
        { { .coding = 1,
              .channels = 2,
              .rate_hz = 8000,
              .bits = 16,
              .n_frames = 90,
              .data_bytes = 355 },
            0, "355 bytes of samples are no whole number of samples of 4 bytes" },
        { { .coding = 1, .channels = 1, .rate_hz = 8000, .bits = 16, .n_frames = 2 }, 40,
            "no WAV: it has 8 bytes" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer file;
        struct wav wav;
        struct error err = ERROR_INIT;
        FILE *f;
        buffer_init(&file, FILE_MAX);
        make_wav(&cases[i].how, &file);
        file.len -= cases[i].cut;
        assert_int_equal(open_bytes(&file, &wav, &f, &err), E_DATA);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("case %zu: %s", i, err.msg);
        fclose(f);
        buffer_release(&file);
    }
}

/* Every cut of a file is told, never read beyond. */
static void test_any_truncation_is_told(void **state)
{
    (void)state;
    struct make_wav how = second;
    struct buffer file;
    how.n_frames = 10;
    how.with_list = 1;
    buffer_init(&file, FILE_MAX);
    make_wav(&how, &file);
    size_t whole = file.len;
    for (size_t len = 1; len < whole; len++) {
        struct wav wav;
        struct error err = ERROR_INIT;
        FILE *f;
        file.len = len;
        assert_int_equal(open_bytes(&file, &wav, &f, &err), E_DATA);
        assert_int_equal(wav.n_frames, 0);
        fclose(f);
    }
    file.len = whole;
    buffer_release(&file);
}

static int sample(const struct buffer *b, size_t i)
{
    const unsigned char *p = (const unsigned char *)b->data + WAV_HEADER_BYTES + 2 * i;
    return p[0] | p[1] << 8;
}

static void test_cuts(void **state)
{
    (void)state;
    struct buffer out;
    struct wav wav;
    FILE *f;
    int64_t ms;
    assert_int_equal(cut(&second, 250, 500, &out, &ms, NULL), OK);
    assert_int_equal(ms, 500);
    assert_int_equal(out.len, WAV_HEADER_BYTES + 4000 * 2);
    assert_int_equal(sample(&out, 0), 2000);
    assert_int_equal(sample(&out, 3999), 5999);
    // What was cut is a sound file itself.
    assert_int_equal(open_bytes(&out, &wav, &f, NULL), OK);
    assert_int_equal(wav.n_frames, 4000);
    assert_int_equal(wav.offset, WAV_HEADER_BYTES);
    assert_int_equal(wav_duration_ms(&wav), 500);
    fclose(f);
    buffer_release(&out);

    // To the end, and no further.
    assert_int_equal(cut(&second, 900, 0, &out, &ms, NULL), OK);
    assert_int_equal(ms, 100);
    buffer_release(&out);
    assert_int_equal(cut(&second, 900, 86400000, &out, &ms, NULL), OK);
    assert_int_equal(ms, 100);
    assert_int_equal(sample(&out, 799), 7999);
    buffer_release(&out);

    struct error err = ERROR_INIT;
    assert_int_equal(cut(&second, 1000, 0, &out, &ms, &err), E_DATA);
    assert_non_null(strstr(err.msg, "the instant 1.000 s lies beyond the end of the "
                                    "sound, which lasts 1.000 s"));
    buffer_release(&out);
}

/* What a recorder writes around the samples does not show in what is sent. */
static void test_same_samples_same_bytes(void **state)
{
    (void)state;
    struct make_wav other = second;
    struct buffer a, b;
    other.extensible = 1;
    other.with_list = 1;
    assert_int_equal(cut(&second, 0, 0, &a, NULL, NULL), OK);
    assert_int_equal(cut(&other, 0, 5000, &b, NULL, NULL), OK);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    buffer_release(&a);
    buffer_release(&b);
}

/* A file that shrinks between the header and the samples. */
static void test_a_file_that_shrinks(void **state)
{
    (void)state;
    struct buffer file, out;
    struct wav wav;
    struct error err = ERROR_INIT;
    FILE *f;
    buffer_init(&file, FILE_MAX);
    buffer_init(&out, FILE_MAX);
    make_wav(&second, &file);
    assert_int_equal(open_bytes(&file, &wav, &f, NULL), OK);
    fclose(f);
    f = fmemopen(file.data, 5000, "rb");
    assert_int_equal(wav_cut(f, &wav, 0, 0, &out, NULL, &err), E_DATA);
    assert_non_null(strstr(err.msg, "truncated WAV"));
    fclose(f);
    buffer_release(&out);
    buffer_release(&file);
}

static void test_too_much_sound(void **state)
{
    (void)state;
    struct wav hours = {
        .channels = 2, .rate_hz = 48000, .offset = 44, .n_frames = 1000000000
    };
    struct error err = ERROR_INIT;
    struct buffer out;
    FILE *f = fmemopen((void *)"x", 1, "rb");
    buffer_init(&out, FILE_MAX);
    assert_int_equal(wav_cut(f, &hours, 0, 0, &out, NULL, &err), E_DATA);
    assert_non_null(strstr(err.msg, "frames.audio_s"));
    fclose(f);
    buffer_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_that_are_taken),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_any_truncation_is_told),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_same_samples_same_bytes),
        cmocka_unit_test(test_a_file_that_shrinks),
        cmocka_unit_test(test_too_much_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
