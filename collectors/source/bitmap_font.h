/* bitmap_font.h - small labels in pictures: printable ASCII, 5 x 7 dots, drawn for m4a1. */
#ifndef COLLECTORS_SOURCE_BITMAP_FONT_H
#define COLLECTORS_SOURCE_BITMAP_FONT_H

#include "collectors/source/picture.h"

#define BITMAP_DOT_PX 2                       /* a dot is 2 x 2 pixels */
#define BITMAP_ADVANCE_PX (6 * BITMAP_DOT_PX) /* from one character to the next */
#define BITMAP_LINE_PX (9 * BITMAP_DOT_PX)    /* from one line to the next */

/* Write text in black into a box of an RGB picture, which holds the box.  Lines are
 * broken where the width ends, without regard to words; what the height does not hold is
 * left out.  A character outside printable ASCII becomes a question mark.
 * Returns the pixels of height that were used. */
int bitmap_text(
    struct picture *p, int left, int top, int width, int height, const char *text);

#endif
