/* kinds_case.c - see kinds_case.h. */
#include "tests/support/kinds_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "m4a1/base/hash.h"
#include "schema/query.h"

#define RATE 8000
#define WAV_HEAD 44

static void put_u32(unsigned char *to, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(x >> 8 * i);
}

/* Silence: 8 kHz, mono, 8 bits a sample. */
static size_t make_wav(unsigned char *wav, uint32_t n_samples)
{
    memset(wav, 0x80, WAV_HEAD + n_samples);
    memcpy(wav, "RIFF....WAVEfmt \x10\0\0\0\1\0\1\0........\1\0\x08\0data....", WAV_HEAD);
    put_u32(wav + 4, WAV_HEAD - 8 + n_samples);
    put_u32(wav + 24, RATE);
    put_u32(wav + 28, RATE);
    put_u32(wav + 40, n_samples);
    return WAV_HEAD + n_samples;
}

void kinds_run(struct store_fixture *f, const char *sql)
{
    struct error err = ERROR_INIT;
    if (store_run(f->store, &err, sql, "") != OK)
        fail_msg("%s: %s", sql, err.msg);
}

static void add_frame(struct store_fixture *f, int64_t id, const char *type,
    const void *bytes, size_t len, const int64_t *duration_ms)
{
    char sha256[HASH_HEX];
    hash_hex(bytes, len, sha256);
    assert_int_equal(store_run(f->store, NULL,
                         "INSERT INTO frame (frame_id, sha256, media_type, width_px,"
                         " height_px, bytes, duration_ms) VALUES (?, ?, ?, 0, 0, ?, ?)",
                         "ittbI", id, sha256, type, bytes, len, duration_ms),
        OK);
}

void kinds_use(struct store_fixture *f)
{
    static unsigned char wav[WAV_HEAD + RATE * KINDS_SOUND_MS / 1000];
    static const int64_t sound_ms = KINDS_SOUND_MS;
    kinds_run(f, "UPDATE view SET kind = 'video' WHERE view_id = 1");
    kinds_run(f, "UPDATE view SET kind = 'text' WHERE view_id = 2");
    kinds_run(f, "UPDATE view SET kind = 'audio' WHERE view_id = 3");
    add_frame(f, 101, "text/plain", KINDS_TEXT, strlen(KINDS_TEXT), NULL);
    size_t len = make_wav(wav, RATE * KINDS_SOUND_MS / 1000);
    add_frame(f, 102, "audio/wav", wav, len, &sound_ms);
    add_frame(f, 103, "text/plain", "", 0, NULL);
    kinds_run(f,
        "INSERT INTO scene_frame (scene_id, view_id, at_ms, part, offset_ms, frame_id,"
        " source) SELECT scene_id, 1, at_ms, p.value, p.value * 500, frame_id, 'clip'"
        " FROM scene_frame, json_each('[1, 2]') p WHERE view_id = 1");
    kinds_run(f, "UPDATE scene_frame SET frame_id = 101 WHERE view_id = 2");
    kinds_run(f, "UPDATE scene_frame SET frame_id = 102 WHERE view_id = 3");
}

void kinds_undo(struct store_fixture *f)
{
    kinds_run(f, "DELETE FROM scene_frame WHERE part > 0");
    kinds_run(f, "UPDATE scene_frame SET frame_id = view_id");
    kinds_run(f, "UPDATE view SET kind = 'image'");
    kinds_run(f, "DELETE FROM frame WHERE frame_id > 100");
}
