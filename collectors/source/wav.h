/* wav.h - sound files: RIFF/WAVE with 16-bit PCM, checked strictly, and cut.
 *
 * What is cut out gets a header of our own (44 bytes, no other chunks), so that the same
 * samples give the same bytes whatever the recorder wrote around them.  Other codings are
 * refused: a conversion would be one more thing that can change an answer.
 * Format: "Multimedia Programming Interface and Data Specifications 1.0", IBM and
 * Microsoft, 1991; WAVEFORMATEXTENSIBLE as Microsoft documents it. */
#ifndef COLLECTORS_SOURCE_WAV_H
#define COLLECTORS_SOURCE_WAV_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/error.h"

#define WAV_MAX_CHANNELS 2
#define WAV_MIN_HZ 1000
#define WAV_MAX_HZ 48000
#define WAV_HEADER_BYTES 44
#define WAV_MAX_CUT_BYTES (64u << 20) /* of one cut, with its header */

struct wav {
    int channels;
    int rate_hz;
    int64_t offset;   /* of the first sample in the file, bytes */
    int64_t n_frames; /* samples of each channel, at least 1 */
};

/* Whether the first bytes of a file are those of a WAV. */
int wav_sniff(const void *bytes, size_t len);

/* Read and check the header of a file that can be sought in.  E_DATA: not a WAV, not
 * 16-bit PCM in one or two channels at WAV_MIN_HZ to WAV_MAX_HZ, no samples, or sizes
 * that are not true; E_IO.  Messages leave the file's name to the caller. */
MUST_CHECK enum status wav_open(FILE *f, struct wav *out, struct error *err);

int64_t wav_duration_ms(const struct wav *wav); /* rounded down */

/* Append a whole WAV file with the sound from at_ms (>= 0) on, length_ms long (0 = to the
 * end), shorter where the sound ends before; *duration_ms (may be NULL) is how long it
 * is, rounded down.  E_DATA where at_ms lies at or behind the end, or where it would be
 * above WAV_MAX_CUT_BYTES; E_IO where the file ends before its header says. */
MUST_CHECK enum status wav_cut(FILE *f, const struct wav *wav, int64_t at_ms,
    int64_t length_ms, struct buffer *out, int64_t *duration_ms, struct error *err);

#endif
