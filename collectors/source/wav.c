/* wav.c - the chunks of a RIFF file, one after the other; what is no "fmt " or "data" is
 * passed over. */
#include "collectors/source/wav.h"

#include <string.h>
#include <sys/types.h>

#define MAX_CHUNKS 1000 /* a file with more is made to waste time */
#define FMT_BYTES 40    /* as much of "fmt " as is ever looked at */
#define FORMAT_PCM 1
#define FORMAT_FLOAT 3
#define FORMAT_EXTENSIBLE 0xfffe
#define SAMPLE_BYTES 2
#define STREAM_SIZE 0xffffffffu /* what a recorder writes that cannot go back */

static const char how_to[] =
    "; for one: ffmpeg -i FILE -ac 1 -ar 16000 -c:a pcm_s16le NEW.wav";

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

int wav_sniff(const void *bytes, size_t len)
{
    const char *p = bytes;
    return len >= 12 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WAVE", 4);
}

static enum status read_at(
    FILE *f, int64_t offset, void *out, size_t len, struct error *err)
{
    if (fseeko(f, (off_t)offset, SEEK_SET) != 0)
        return error_errno(err, "it cannot be read");
    if (fread(out, 1, len, f) == len)
        return OK;
    if (ferror(f))
        return error_set(err, E_IO, "it cannot be read");
    return error_set(err, E_DATA, "truncated WAV: it ends at byte %lld, in the middle",
        (long long)ftello(f));
}

static const char *format_name(uint32_t tag)
{
    switch (tag) {
    case FORMAT_FLOAT: return "floating point";
    case 2:
    case 0x11: return "ADPCM";
    case 6: return "A-law";
    case 7: return "mu-law";
    case 0x55: return "MP3";
    default: return "another coding";
    }
}

/* fmt: FMT_BYTES, zeros where the chunk is shorter. */
static enum status read_format(
    const uint8_t *fmt, uint32_t size, struct wav *out, struct error *err)
{
    // The GUID of a coding in the extensible form is its old tag and these bytes.
    static const uint8_t guid_tail[] = { 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38,
        0x9b, 0x71 };
    if (size < 16)
        return error_set(
            err, E_DATA, "broken WAV: its \"fmt \" chunk has %u bytes, not 16", size);
    uint32_t tag = u16(fmt), bits = u16(fmt + 14), rate = u32(fmt + 4);
    if (tag == FORMAT_EXTENSIBLE && size >= FMT_BYTES &&
        !memcmp(fmt + 26, guid_tail, sizeof guid_tail))
        tag = u16(fmt + 24);
    if (tag != FORMAT_PCM || bits != 8 * SAMPLE_BYTES)
        return error_set(err, E_DATA,
            "the sound is %s of %u bits (coding %u); expected PCM of 16 bits%s",
            tag == FORMAT_PCM ? "PCM" : format_name(tag), bits, tag, how_to);
    out->channels = (int)u16(fmt + 2);
    if (out->channels < 1 || out->channels > WAV_MAX_CHANNELS)
        return error_set(err, E_DATA, "the sound has %d channels; expected one or two%s",
            out->channels, how_to);
    if (rate < WAV_MIN_HZ || rate > WAV_MAX_HZ)
        return error_set(err, E_DATA,
            "the sound has %u samples a second; expected %d to %d%s", rate, WAV_MIN_HZ,
            WAV_MAX_HZ, how_to);
    out->rate_hz = (int)rate;
    uint32_t frame = SAMPLE_BYTES * (uint32_t)out->channels;
    if (u16(fmt + 12) != frame || u32(fmt + 8) != frame * rate)
        return error_set(err, E_DATA,
            "broken WAV: %u bytes a sample and %u a second do not fit %d channels of 16 "
            "bits at %u Hz",
            u16(fmt + 12), u32(fmt + 8), out->channels, rate);
    return OK;
}

static enum status read_data(
    int64_t offset, uint32_t size, struct wav *out, struct error *err)
{
    uint32_t frame = SAMPLE_BYTES * (uint32_t)out->channels;
    if (!out->channels)
        return error_set(err, E_DATA, "broken WAV: the samples come before the format");
    if (!size)
        return error_set(err, E_DATA, "the sound is empty (0 samples)");
    if (size % frame)
        return error_set(err, E_DATA,
            "broken WAV: %u bytes of samples are no whole number of samples of %u bytes",
            size, frame);
    out->offset = offset;
    out->n_frames = size / frame;
    return OK;
}

/* One chunk at *offset, which moves behind it; end is that of the RIFF. */
static enum status read_chunk(
    FILE *f, int64_t *offset, int64_t end, struct wav *out, struct error *err)
{
    uint8_t head[8], fmt[FMT_BYTES] = { 0 };
    enum status s = read_at(f, *offset, head, sizeof head, err);
    if (s)
        return s;
    uint32_t size = u32(head + 4);
    int64_t content = *offset + 8;
    if (size > end - content)
        return error_set(err, E_DATA,
            "broken WAV: a chunk at byte %lld is %u bytes long, but %lld are left",
            (long long)*offset, size, (long long)(end - content));
    *offset = content + size + (size & 1);
    if (!memcmp(head, "fmt ", 4) && !out->channels) {
        size_t n = size < FMT_BYTES ? size : FMT_BYTES;
        s = read_at(f, content, fmt, n, err);
        return s ? s : read_format(fmt, size, out, err);
    }
    return memcmp(head, "data", 4) ? OK : read_data(content, size, out, err);
}

static enum status read_head(FILE *f, int64_t *end, struct error *err)
{
    uint8_t head[12];
    if (fseeko(f, 0, SEEK_END) != 0)
        return error_errno(err, "it cannot be read");
    int64_t file_end = ftello(f);
    if (file_end < 0)
        return error_errno(err, "it cannot be read");
    if (file_end < (int64_t)sizeof head)
        return error_set(err, E_DATA, "no WAV: it has %lld bytes", (long long)file_end);
    enum status s = read_at(f, 0, head, sizeof head, err);
    if (s)
        return s;
    if (!wav_sniff(head, sizeof head))
        return error_set(
            err, E_DATA, "no WAV: it does not begin with \"RIFF\" and \"WAVE\"");
    uint32_t size = u32(head + 4);
    *end = 8 + (int64_t)size;
    if (size == STREAM_SIZE)
        return error_set(err, E_DATA,
            "its header does not say how long it is, as one that was written into a pipe"
            "%s",
            how_to);
    if (*end > file_end)
        return error_set(err, E_DATA,
            "truncated WAV: its header says %lld bytes, it has %lld", (long long)*end,
            (long long)file_end);
    return OK;
}

enum status wav_open(FILE *f, struct wav *out, struct error *err)
{
    *out = (struct wav) { 0 };
    struct wav wav = { 0 };
    int64_t end = 0, offset = 12;
    enum status s = read_head(f, &end, err);
    for (int i = 0; s == OK && !wav.n_frames && offset + 8 <= end; i++) {
        if (i == MAX_CHUNKS)
            return error_set(err, E_DATA, "broken WAV: above %d chunks", MAX_CHUNKS);
        s = read_chunk(f, &offset, end, &wav, err);
    }
    if (s == OK && !wav.n_frames)
        return error_set(err, E_DATA, "broken WAV: it has no %s",
            wav.channels ? "samples (no \"data\" chunk)" : "\"fmt \" chunk");
    if (s == OK)
        *out = wav;
    return s;
}

int64_t wav_duration_ms(const struct wav *wav)
{
    return wav->n_frames * 1000 / wav->rate_hz;
}

static void add_header(const struct wav *wav, uint32_t n_bytes, struct buffer *out)
{
    uint32_t frame = SAMPLE_BYTES * (uint32_t)wav->channels;
    uint8_t head[WAV_HEADER_BYTES] = "RIFF....WAVEfmt ....................data";
    put32(head + 4, WAV_HEADER_BYTES - 8 + n_bytes);
    put32(head + 16, 16);
    put32(head + 20, FORMAT_PCM | (uint32_t)wav->channels << 16);
    put32(head + 24, (uint32_t)wav->rate_hz);
    put32(head + 28, frame * (uint32_t)wav->rate_hz);
    put32(head + 32, frame | 8u * SAMPLE_BYTES << 16);
    put32(head + 40, n_bytes);
    buffer_add(out, head, sizeof head);
}

enum status wav_cut(FILE *f, const struct wav *wav, int64_t at_ms, int64_t length_ms,
    struct buffer *out, int64_t *duration_ms, struct error *err)
{
    uint8_t block[4096];
    int64_t frame = SAMPLE_BYTES * wav->channels;
    int64_t from = at_ms * wav->rate_hz / 1000;
    int64_t n = length_ms * wav->rate_hz / 1000;
    if (from >= wav->n_frames)
        return error_set(err, E_DATA,
            "the instant %.3f s lies beyond the end of the sound, which lasts %.3f s",
            (double)at_ms / 1000, (double)wav->n_frames / wav->rate_hz);
    if (!length_ms || n > wav->n_frames - from)
        n = wav->n_frames - from;
    n += n == 0; // shorter than one sample
    if (n > (WAV_MAX_CUT_BYTES - WAV_HEADER_BYTES) / frame)
        return error_set(err, E_DATA,
            "%.0f s of sound are %lld bytes, above the ceiling of %u; set frames.audio_s "
            "in the recipe to fewer seconds",
            (double)n / wav->rate_hz, (long long)(n * frame), WAV_MAX_CUT_BYTES);
    add_header(wav, (uint32_t)(n * frame), out);
    int64_t left = n * frame, at = wav->offset + from * frame;
    enum status s = OK;
    while (s == OK && left) {
        size_t len = left < (int64_t)sizeof block ? (size_t)left : sizeof block;
        s = read_at(f, at, block, len, err);
        if (s == OK)
            buffer_add(out, block, len);
        at += (int64_t)len;
        left -= (int64_t)len;
    }
    if (duration_ms)
        *duration_ms = n * 1000 / wav->rate_hz;
    return s ? s : buffer_status(out, "the sound", err);
}
