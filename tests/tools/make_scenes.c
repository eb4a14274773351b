/* make_scenes.c - writes scene folders with many different pictures, quickly:
 *
 *     make_scenes DIR N [WIDTH HEIGHT]
 *
 * N folders scene_000, scene_001, ... with first_person.jpg, side.jpg and overhead.jpg, which
 * are the M4A1 recipe's views: coloured waves with noise.  WIDTH x HEIGHT is 640 x 480 unless
 * given. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "m4a1/base/files.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "tests/support/make_image.h"

static const char *const views[] = { "first_person", "side", "overhead" };

static void draw(uint8_t *pixels, int width, int height, uint64_t index)
{
    struct rng rng;
    double wave[3];
    rng_init(&rng, 1, "make_scenes", index);
    for (int c = 0; c < 3; c++)
        wave[c] = 0.01 + 0.1 * rng_uniform(&rng);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                *pixels++ =
                    (uint8_t)(112 + 96 * sin(wave[c] * x + wave[(c + 1) % 3] * y) +
                              (double)rng_below(&rng, 32));
}

static int write_scene(const char *dir, int scene, uint8_t *pixels, int width, int height)
{
    const struct make_jpeg how = {
        .width = width, .height = height, .channels = 3, .quality = 90
    };
    int ok = 1;
    for (size_t v = 0; v < COUNT_OF(views) && ok; v++) {
        struct buffer jpeg;
        struct error err = ERROR_INIT;
        char *folder = text_format("%s/scene_%03d", dir, scene);
        char *path = text_format("%s/%s.jpg", folder, views[v]);
        buffer_init(&jpeg, (size_t)1 << 28);
        draw(pixels, width, height, (uint64_t)scene * COUNT_OF(views) + v);
        make_jpeg(&how, pixels, &jpeg);
        ok = folder && path && !folder_make(folder, &err) &&
             !file_write(path, jpeg.data, jpeg.len, &err);
        if (!ok)
            fprintf(stderr, "make_scenes: %s\n", err.msg);
        buffer_release(&jpeg);
        free(path);
        free(folder);
    }
    return ok;
}

int main(int argc, char **argv)
{
    int64_t n = 0, width = 640, height = 480;
    int ok = (argc == 3 || argc == 5) && !text_to_int(argv[2], "N", 1, 999, &n, NULL);
    if (ok && argc == 5)
        ok = !text_to_int(argv[3], "WIDTH", 1, 8000, &width, NULL) &&
             !text_to_int(argv[4], "HEIGHT", 1, 8000, &height, NULL);
    if (!ok) {
        fprintf(stderr, "usage: make_scenes DIR N [WIDTH HEIGHT]; see make_scenes.c\n");
        return 2;
    }
    uint8_t *pixels = malloc((size_t)width * (size_t)height * 3);
    for (int i = 0; i < (int)n && ok; i++)
        ok = pixels && write_scene(argv[1], i, pixels, (int)width, (int)height);
    free(pixels);
    return ok ? 0 : 1;
}
