/* exif.h - the orientation in a block of EXIF data. */
#ifndef COLLECTORS_SOURCE_EXIF_H
#define COLLECTORS_SOURCE_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* tiff: the TIFF structure, starting at its "II" or "MM" (so without JPEG's "Exif\0\0").
 * 1 to 8 from tag 0x0112 of the first directory; 1 for anything missing or malformed,
 * as viewers do. */
int exif_orientation(const uint8_t *tiff, size_t len);

#endif
