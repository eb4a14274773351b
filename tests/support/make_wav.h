/* make_wav.h - WAV files for tests, sound and broken ones. */
#ifndef TESTS_SUPPORT_MAKE_WAV_H
#define TESTS_SUPPORT_MAKE_WAV_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/buffer.h"

struct make_wav {
    uint32_t coding; /* 1 = PCM */
    uint32_t channels, rate_hz, bits;
    uint32_t n_frames;
    int extensible;      /* the long form of "fmt " */
    int with_list;       /* a chunk of odd length in front of the samples */
    uint32_t riff_bytes; /* what the header says; 0 = the truth */
    uint32_t data_bytes; /* likewise */
};

/* Append a WAV; sample i of each channel is i & 0x7fff. */
void make_wav(const struct make_wav *how, struct buffer *out);

#endif
