/* fuzz_wav.c - the reader of sound files on any bytes: what it takes has the samples that
 * it says, and what is cut out of it is a sound file that it takes again. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "collectors/source/wav.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void cut_again(FILE *f, const struct wav *wav, int64_t at_ms, int64_t length_ms)
{
    struct buffer cut;
    struct wav again;
    struct error err = ERROR_INIT;
    int64_t ms = -1;
    buffer_init(&cut, WAV_MAX_CUT_BYTES);
    if (wav_cut(f, wav, at_ms, length_ms, &cut, &ms, &err) != OK)
        abort();
    FILE *g = fmemopen(cut.data, cut.len, "rb");
    if (!g || wav_open(g, &again, &err) != OK || again.channels != wav->channels ||
        again.rate_hz != wav->rate_hz || again.n_frames > wav->n_frames ||
        wav_duration_ms(&again) != ms)
        abort();
    fclose(g);
    buffer_release(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct wav wav;
    struct error err = ERROR_INIT;
    FILE *f = len ? fmemopen((void *)(uintptr_t)data, len, "rb") : NULL;
    if (!f)
        return 0;
    enum status s = wav_open(f, &wav, &err);
    if ((s == OK) != (wav.n_frames > 0) || (s == OK) != (err.msg[0] == '\0'))
        abort();
    if (s == OK) {
        cut_again(f, &wav, 0, 0);
        cut_again(f, &wav, wav_duration_ms(&wav) / 2, 1);
    }
    fclose(f);
    return 0;
}
