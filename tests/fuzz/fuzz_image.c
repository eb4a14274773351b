/* fuzz_image.c - the picture decoder on any bytes, and what follows a picture that is let
 * through: shrinking and encoding.  Whatever it accepts must be what it says it is. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "collectors/source/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const unsigned flags[] = { 0, PICTURE_AS_STORED | PICTURE_KEEP_CMYK };
    for (int i = 0; i < 2; i++) {
        struct picture p;
        struct error err = ERROR_INIT;
        enum status s = picture_decode(data, len, flags[i], &p, &err);
        if ((s == OK) != (p.data != NULL) || (s == OK) != (err.msg[0] == '\0'))
            abort();
        // Sizes that the ceiling allows but that are no use for finding faults.
        if (s == OK && (int64_t)p.width * p.height < 1 << 20) {
            struct buffer jpeg;
            buffer_init(&jpeg, 1u << 26);
            if (picture_shrink(&p, 16, &err) != OK || picture_to_rgb(&p, &err) != OK ||
                picture_encode_jpeg(&p, 90, &jpeg, &err) != OK)
                abort();
            buffer_release(&jpeg);
        }
        picture_release(&p);
    }
    return 0;
}
