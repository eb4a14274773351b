/* exif.c - reads one tag of a TIFF directory, every offset checked (EXIF 2.32, 4.6). */
#include "collectors/source/exif.h"

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT 3

struct tiff {
    const uint8_t *bytes;
    int big_endian;
};

static unsigned read16(const struct tiff *t, size_t at)
{
    unsigned a = t->bytes[at], b = t->bytes[at + 1];
    return t->big_endian ? a << 8 | b : b << 8 | a;
}

static uint32_t read32(const struct tiff *t, size_t at)
{
    uint32_t a = read16(t, at), b = read16(t, at + 2);
    return t->big_endian ? a << 16 | b : b << 16 | a;
}

int exif_orientation(const uint8_t *tiff, size_t len)
{
    struct tiff t = { tiff, 0 };
    if (len < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M'))
        return 1;
    t.big_endian = tiff[0] == 'M';
    size_t at = read32(&t, 4);
    if (read16(&t, 2) != 42 || at > len || len - at < 2)
        return 1;
    unsigned n = read16(&t, at);
    at += 2;
    for (unsigned i = 0; i < n && len - at >= 12; i++, at += 12)
        if (read16(&t, at) == TAG_ORIENTATION) {
            unsigned value = read16(&t, at + 8);
            int ok = read16(&t, at + 2) == TYPE_SHORT && read32(&t, at + 4) == 1 &&
                     value >= 1 && value <= 8;
            return ok ? (int)value : 1;
        }
    return 1;
}
