/* sim_sound.c - sound in a request: base64 of a WAV, billed by its seconds. */
#include <stdlib.h>
#include <string.h>

#include "m4a1/simulate/sim_request.h"

#define RIFF_HEAD 12 /* "RIFF", a size, "WAVE" */
#define CHUNK_HEAD 8 /* a name, a size */
#define FMT_BYTES 16

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

/* Length of a WAV by its own words; -1 where the bytes are none. */
static int64_t wav_ms(const uint8_t *bytes, size_t n)
{
    uint32_t byte_rate = 0;
    if (n < RIFF_HEAD || memcmp(bytes, "RIFF", 4) != 0 ||
        memcmp(bytes + 8, "WAVE", 4) != 0)
        return -1;
    for (size_t at = RIFF_HEAD; n - at >= CHUNK_HEAD;) {
        uint32_t size = le32(bytes + at + 4);
        const uint8_t *chunk = bytes + at;
        at += CHUNK_HEAD;
        if (!memcmp(chunk, "data", 4))
            return byte_rate && size <= n - at ? (int64_t)size * 1000 / byte_rate : -1;
        if (size > n - at)
            return -1;
        if (!memcmp(chunk, "fmt ", 4) && size >= FMT_BYTES)
            byte_rate = le32(chunk + CHUNK_HEAD + 8);
        at += size;
        at += size % 2 && at < n;
    }
    return -1;
}

static int sound_decode(const char *base64, const char *param, struct sim_sound *sound,
    struct sim_error *error)
{
    size_t len = strlen(base64), n = 0;
    uint8_t *bytes = malloc(len / 4 * 3 + 1);
    if (!bytes)
        return sim_refuse(error, 500, "", "", "The simulator is out of memory.");
    int ok = 0;
    if (!len || base64_decode(base64, len, bytes, &n, NULL) != OK)
        sim_refuse(error, 400, "invalid_value", param,
            "Invalid base64 audio: %zu characters that are not canonical base64.", len);
    else if ((sound->duration_ms = wav_ms(bytes, n)) < 0)
        sim_refuse(error, 400, "invalid_value", param,
            "The data provided for 'input_audio' is not of valid wav format (%zu bytes).",
            n);
    else
        ok = 1;
    if (ok)
        hash_hex(bytes, n, sound->hash);
    free(bytes);
    return ok;
}

int sim_request_sound(struct sim_request *request, const char *base64,
    int tokens_a_second, const char *param, struct sim_error *error)
{
    size_t n = request->n_sounds;
    if (n == SIM_MAX_SOUNDS)
        return sim_refuse(error, 400, "", param,
            "Too many audio parts: at most %d in one request.", SIM_MAX_SOUNDS);
    struct sim_sound *sound = &request->sounds[n];
    memset(sound, 0, sizeof *sound);
    if (!sound_decode(base64, param, sound, error))
        return 0;
    sound->label = request->label;
    sound->tokens = (sound->duration_ms * tokens_a_second + 999) / 1000;
    request->label = "";
    request->n_sounds++;
    request->messages[request->n_messages - 1].n_sounds++;
    return 1;
}
