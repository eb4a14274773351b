/* picture_size.c - JPEG (ITU T.81), PNG, GIF89a and WebP (RFC 9649) headers. */
#include "m4a1/simulate/picture_size.h"

#include <string.h>

static unsigned big16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static unsigned little16(const uint8_t *p)
{
    return (unsigned)p[1] << 8 | p[0];
}

static int found(unsigned w, unsigned h, int *width_px, int *height_px)
{
    if (!w || !h || w > 1u << 24 || h > 1u << 24)
        return 0;
    *width_px = (int)w;
    *height_px = (int)h;
    return 1;
}

/* Walk the segments to the first start-of-frame. */
static int jpeg_size(const uint8_t *data, size_t len, int *w, int *h)
{
    size_t at = 2;
    while (at + 4 <= len) {
        if (data[at] != 0xff)
            return 0;
        uint8_t marker = data[at + 1];
        if (marker == 0xff) { /* fill byte */
            at++;
            continue;
        }
        /* C4, C8 and CC lie among the frame markers but are tables. */
        if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
            marker != 0xcc)
            return at + 9 <= len &&
                   found(big16(data + at + 7), big16(data + at + 5), w, h);
        if (marker == 0xd8 || marker == 0xd9 || marker == 0xda)
            return 0;
        size_t segment = big16(data + at + 2);
        if (segment < 2)
            return 0;
        at += 2 + segment;
    }
    return 0;
}

static int webp_size(const uint8_t *data, size_t len, int *w, int *h)
{
    if (len < 30)
        return 0;
    if (memcmp(data + 12, "VP8 ", 4) == 0)
        return found(little16(data + 26) & 0x3fff, little16(data + 28) & 0x3fff, w, h);
    if (memcmp(data + 12, "VP8L", 4) == 0) {
        unsigned bits = little16(data + 21) | little16(data + 23) << 16;
        return found((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, w, h);
    }
    if (memcmp(data + 12, "VP8X", 4) == 0)
        return found((little16(data + 24) | (unsigned)data[26] << 16) + 1,
            (little16(data + 27) | (unsigned)data[29] << 16) + 1, w, h);
    return 0;
}

const char *picture_type(const uint8_t *data, size_t len)
{
    if (len >= 4 && data[0] == 0xff && data[1] == 0xd8)
        return "image/jpeg";
    if (len >= 24 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        return "image/png";
    if (len >= 10 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0))
        return "image/gif";
    if (len >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
        return "image/webp";
    return "";
}

int picture_size(const uint8_t *data, size_t len, int *width_px, int *height_px)
{
    const char *type = picture_type(data, len);
    *width_px = *height_px = 0;
    switch (*type ? type[6] : 0) { /* behind "image/" */
    case 'j': return jpeg_size(data, len, width_px, height_px);
    case 'p':
        return memcmp(data + 12, "IHDR", 4) == 0 &&
               found(big16(data + 16) << 16 | big16(data + 18),
                   big16(data + 20) << 16 | big16(data + 22), width_px, height_px);
    case 'g': return found(little16(data + 6), little16(data + 8), width_px, height_px);
    case 'w': return webp_size(data, len, width_px, height_px);
    default: return 0;
    }
}
