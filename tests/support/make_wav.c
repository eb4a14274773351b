/* make_wav.c - see make_wav.h. */
#include "tests/support/make_wav.h"

#include <string.h>

static void add(struct buffer *out, uint32_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        buffer_add_char(out, (char)(value >> 8 * i));
}

void make_wav(const struct make_wav *how, struct buffer *out)
{
    static const char guid[] = "\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71";
    uint32_t frame = how->channels * how->bits / 8, n_data = how->n_frames * frame;
    uint32_t n_fmt = how->extensible ? 40 : 16;
    uint32_t n_all = 4 + 8 + n_fmt + (how->with_list ? 8 + 6 : 0) + 8 + n_data;
    buffer_add_str(out, "RIFF");
    add(out, how->riff_bytes ? how->riff_bytes : n_all, 4);
    buffer_add_str(out, "WAVEfmt ");
    add(out, n_fmt, 4);
    add(out, how->extensible ? 0xfffe : how->coding, 2);
    add(out, how->channels, 2);
    add(out, how->rate_hz, 4);
    add(out, how->rate_hz * frame, 4);
    add(out, frame, 2);
    add(out, how->bits, 2);
    if (how->extensible) {
        add(out, 22, 2);
        add(out, how->bits, 2);
        add(out, 3, 4);
        add(out, how->coding, 2);
        buffer_add(out, guid, 14);
    }
    if (how->with_list) {
        buffer_add_str(out, "LIST");
        add(out, 5, 4);
        buffer_add(out, "INFOx\0", 6);
    }
    buffer_add_str(out, "data");
    add(out, how->data_bytes ? how->data_bytes : n_data, 4);
    for (uint32_t i = 0; i < how->n_frames; i++)
        for (uint32_t c = 0; c < how->channels; c++)
            add(out, i & 0x7fff, (int)how->bits / 8);
}
