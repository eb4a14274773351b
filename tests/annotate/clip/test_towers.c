/* test_towers.c - the fast towers against the plain ones of tests/support on random
 * checkpoints: odd widths, one head, one block, both activations, batches that divide by the
 * threads and that do not, texts of all lengths, float32 and bfloat16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "annotate/clip/clip.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/random.h"
#include "m4a1/base/text.h"
#include "tests/support/clip_checkpoint.h"
#include "tests/support/clip_reference.h"
#include "tests/support/scratch_folder.h"

#define MAX_BATCH 33
#define F32_TOLERANCE 2e-5 /* of numbers around 1 */
#define BF16_COSINE_TOLERANCE 2e-3

static char folder[256];

/* A checkpoint, inputs for it, and what the plain towers make of them. */
struct bed {
    struct clip_config config;
    char dir[300];
    float *pixels;          /* [MAX_BATCH][3][S][S] */
    int32_t *ids;           /* behind each other */
    size_t ends[MAX_BATCH]; /* where each text's ids end */
    double *images, *texts; /* [MAX_BATCH][projection] */
};

static void *room_for(size_t n, size_t each)
{
    void *p = calloc(n, each);
    assert_non_null(p);
    return p;
}

static void fill_inputs(struct bed *bed, struct rng *rng)
{
    const struct clip_config *c = &bed->config;
    size_t n = (size_t)MAX_BATCH * 3 * c->image_size * c->image_size, at = 0;
    bed->pixels = room_for(n, sizeof *bed->pixels);
    for (size_t i = 0; i < n; i++)
        bed->pixels[i] = (float)rng_normal(rng);
    bed->ids = room_for((size_t)MAX_BATCH * c->context, sizeof *bed->ids);
    for (size_t i = 0; i < MAX_BATCH; i++) {
        size_t length = i ? 1 + rng_below(rng, c->context) : c->context;
        for (size_t j = 0; j < length; j++)
            bed->ids[at++] = (int32_t)rng_below(rng, c->vocab);
        bed->ends[i] = at;
    }
}

static void bed_open(struct bed *bed, const struct clip_config *config, uint64_t seed)
{
    struct clip_checkpoint how = clip_checkpoint_small();
    struct tensors *t = NULL;
    struct rng rng;
    struct error err = ERROR_INIT;
    rng_init(&rng, seed, "towers", 0);
    *bed = (struct bed) { .config = *config };
    how.config = *config;
    how.seed = seed;
    snprintf(bed->dir, sizeof bed->dir, "%s/%llu", folder, (unsigned long long)seed);
    clip_checkpoint_write(bed->dir, &how);
    fill_inputs(bed, &rng);

    size_t width = config->projection, side = config->image_size;
    bed->images = room_for(MAX_BATCH * width, sizeof *bed->images);
    bed->texts = room_for(MAX_BATCH * width, sizeof *bed->texts);
    if (tensors_open(bed->dir, &t, &err) != OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0, begin = 0; i < MAX_BATCH; begin = bed->ends[i++]) {
        clip_reference_image(t, config, bed->pixels + i * 3 * side * side, NULL, NULL,
            bed->images + i * width);
        clip_reference_text(t, config, bed->ids + begin, bed->ends[i] - begin, NULL, NULL,
            bed->texts + i * width);
    }
    tensors_close(t);
}

static void bed_close(struct bed *bed)
{
    free(bed->pixels);
    free(bed->ids);
    free(bed->images);
    free(bed->texts);
}

static double worst_difference(const float *found, const double *want, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)found[i] - want[i]);
        if (!(d <= worst))
            worst = d;
    }
    return worst;
}

static struct clip *open_clip(const struct bed *bed, unsigned n_threads, int bf16)
{
    struct clip *clip = NULL;
    struct error err = ERROR_INIT;
    const struct clip_options options = { .n_threads = n_threads, .bf16 = bf16 };
    enum status s = clip_open(bed->dir, &options, &clip, &err);
    if (s == E_ARG && bf16)
        return NULL;
    if (s)
        fail_msg("%s", err.msg);
    return clip;
}

static void compare_f32(const struct bed *bed, unsigned n_threads)
{
    static const size_t batches[] = { 1, 2, 7, MAX_BATCH };
    size_t width = bed->config.projection;
    struct clip *clip = open_clip(bed, n_threads, 0);
    float *out = room_for(MAX_BATCH * width, sizeof *out);
    for (size_t i = 0; i < COUNT_OF(batches); i++) {
        size_t n = batches[i];
        assert_int_equal(clip_embed_images(clip, bed->pixels, n, out, NULL), OK);
        double images = worst_difference(out, bed->images, n * width);
        assert_int_equal(clip_embed_tokens(clip, bed->ids, bed->ends, n, out, NULL), OK);
        double texts = worst_difference(out, bed->texts, n * width);
        if (!(images < F32_TOLERANCE && texts < F32_TOLERANCE))
            fail_msg("%zu at once, %u threads: images %g, texts %g away", n, n_threads,
                images, texts);
    }
    free(out);
    clip_close(clip);
}

static struct clip_config shape(struct clip_tower text, struct clip_tower image,
    uint32_t context, uint32_t image_size, uint32_t patch, uint32_t projection)
{
    return (struct clip_config) { text, image, context,
        CLIP_CHECKPOINT_MIN_VOCAB + context, image_size, patch, projection };
}

static void compare_shape(const struct clip_config *config, uint64_t seed)
{
    struct bed bed;
    bed_open(&bed, config, seed);
    for (unsigned n_threads = 1; n_threads <= 3; n_threads++)
        compare_f32(&bed, n_threads);
    bed_close(&bed);
}

static void test_usual(void **state)
{
    (void)state;
    const struct clip_config c = shape((struct clip_tower) { 64, 2, 2, 256, 0, 1e-5f },
        (struct clip_tower) { 128, 2, 2, 512, 0, 1e-5f }, 77, 32, 8, 64);
    compare_shape(&c, 1);
}

static void test_odd_widths(void **state)
{
    (void)state;
    const struct clip_config c =
        shape((struct clip_tower) { 21, 3, 2, 35, CLIP_QUICK_GELU, 1e-5f },
            (struct clip_tower) { 55, 5, 3, 101, CLIP_GELU, 1e-3f }, 19, 21, 7, 13);
    compare_shape(&c, 2);
}

static void test_one_head_one_block(void **state)
{
    (void)state;
    const struct clip_config c =
        shape((struct clip_tower) { 33, 1, 1, 7, CLIP_GELU, 1e-5f },
            (struct clip_tower) { 17, 1, 1, 40, CLIP_QUICK_GELU, 1e-6f }, 3, 30, 15, 1);
    compare_shape(&c, 3);
}

/* One patch that is much wider than the tower: 3 * 32 * 32 numbers to 8. */
static void test_one_patch(void **state)
{
    (void)state;
    const struct clip_config c = shape((struct clip_tower) { 8, 8, 2, 8, 0, 1e-5f },
        (struct clip_tower) { 8, 2, 2, 8, 0, 1e-5f }, 77, 32, 32, 5);
    compare_shape(&c, 4);
}

/* Shapes that nobody chose. */
static void test_random_shapes(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5, "shapes", 0);
    int n = getenv("M4A1_LONG") ? 40 : 4;
    for (int i = 0; i < n; i++) {
        struct clip_tower towers[2];
        for (int j = 0; j < 2; j++) {
            uint32_t heads = 1 + (uint32_t)rng_below(&rng, 4);
            towers[j] =
                (struct clip_tower) { heads * (1 + (uint32_t)rng_below(&rng, 24)), heads,
                    1 + (uint32_t)rng_below(&rng, 3), 1 + (uint32_t)rng_below(&rng, 130),
                    rng_below(&rng, 2) ? CLIP_GELU : 0, 1e-5f };
        }
        uint32_t patch = 1 + (uint32_t)rng_below(&rng, 9);
        const struct clip_config c = shape(towers[0], towers[1],
            3 + (uint32_t)rng_below(&rng, 75), patch * (1 + (uint32_t)rng_below(&rng, 6)),
            patch, 1 + (uint32_t)rng_below(&rng, 40));
        compare_shape(&c, 100 + (uint64_t)i);
    }
}

/* --- bfloat16 --- */

static void expect_cosines(const float *found, const double *want, size_t width,
    const float *others, const double *their_want)
{
    float *plain = room_for(2 * width, sizeof *plain);
    for (size_t i = 0; i < MAX_BATCH; i++)
        for (size_t j = 0; j < MAX_BATCH; j++) {
            for (size_t k = 0; k < width; k++) {
                plain[k] = (float)want[i * width + k];
                plain[width + k] = (float)their_want[j * width + k];
            }
            double a = clip_cosine(found + i * width, others + j * width, width);
            double b = clip_cosine(plain, plain + width, width);
            if (!(fabs(a - b) <= BF16_COSINE_TOLERANCE))
                fail_msg("cosine of %zu and %zu: %g, %g in float32", i, j, a, b);
        }
    free(plain);
}

/* As wide embeddings as published models have: the error of a cosine falls with it. */
static void test_bf16(void **state)
{
    (void)state;
    const struct clip_config c = shape((struct clip_tower) { 192, 3, 4, 768, 0, 1e-5f },
        (struct clip_tower) { 256, 4, 4, 1024, 0, 1e-5f }, 77, 48, 16, 512);
    struct bed bed;
    bed_open(&bed, &c, 6);
    struct clip *clip = open_clip(&bed, 2, 1), *f32 = open_clip(&bed, 2, 0);
    if (!clip) {
        clip_close(f32);
        bed_close(&bed);
        print_message("this processor has no bfloat16\n");
        skip();
    }
    assert_string_not_equal(clip_identity(clip), clip_identity(f32));
    float *images = room_for(MAX_BATCH * 512, sizeof *images);
    float *texts = room_for(MAX_BATCH * 512, sizeof *texts);
    assert_int_equal(clip_embed_images(clip, bed.pixels, MAX_BATCH, images, NULL), OK);
    assert_int_equal(
        clip_embed_tokens(clip, bed.ids, bed.ends, MAX_BATCH, texts, NULL), OK);
    assert_true(worst_difference(images, bed.images, MAX_BATCH * 512) > 1e-5);
    expect_cosines(images, bed.images, 512, texts, bed.texts);
    expect_cosines(images, bed.images, 512, images, bed.images);
    free(images);
    free(texts);
    clip_close(clip);
    clip_close(f32);
    bed_close(&bed);
}

/* Odd shapes run in bfloat16, too; so few numbers are no measure of its precision. */
static void test_bf16_odd(void **state)
{
    (void)state;
    const struct clip_config c =
        shape((struct clip_tower) { 21, 3, 2, 35, CLIP_QUICK_GELU, 1e-5f },
            (struct clip_tower) { 55, 5, 3, 101, CLIP_GELU, 1e-3f }, 19, 21, 7, 13);
    struct bed bed;
    bed_open(&bed, &c, 7);
    float *out = room_for(MAX_BATCH * 13, sizeof *out);
    for (unsigned n_threads = 1; n_threads <= 3; n_threads++) {
        struct clip *clip = open_clip(&bed, n_threads, 1);
        if (!clip)
            break;
        for (size_t n = 1; n <= MAX_BATCH; n += 8) {
            assert_int_equal(clip_embed_images(clip, bed.pixels, n, out, NULL), OK);
            assert_true(worst_difference(out, bed.images, n * 13) < 0.1);
            assert_int_equal(
                clip_embed_tokens(clip, bed.ids, bed.ends, n, out, NULL), OK);
            assert_true(worst_difference(out, bed.texts, n * 13) < 0.1);
        }
        clip_close(clip);
    }
    free(out);
    bed_close(&bed);
}

/* --- what goes with it --- */

static void test_refused(void **state)
{
    (void)state;
    struct clip_config c = clip_checkpoint_small().config;
    struct bed bed;
    struct error err = ERROR_INIT;
    float out[64];
    bed_open(&bed, &c, 8);
    struct clip *clip = open_clip(&bed, 1, 0);
    const int32_t ids[] = { 1, 2, (int32_t)c.vocab, -1 };
    const size_t beyond[] = { 3 }, none[] = { 0 }, negative[] = { 4 };
    assert_int_equal(clip_embed_tokens(clip, ids, beyond, 1, out, &err), E_ARG);
    assert_non_null(strstr(err.msg, "is not one of the"));
    assert_int_equal(clip_embed_tokens(clip, ids, none, 1, out, &err), E_ARG);
    assert_non_null(strstr(err.msg, "text 0 has 0 ids"));
    assert_int_equal(clip_embed_tokens(clip, ids + 3, negative, 1, out, &err), E_ARG);
    assert_int_equal(clip_embed_images(clip, bed.pixels, 0, out, &err), OK);
    assert_int_equal(clip_embed_texts(clip, NULL, 0, out, &err), OK);
    clip_close(clip);

    const struct clip_options texts_only = { .n_threads = 1, .no_images = 1 };
    assert_int_equal(clip_open(bed.dir, &texts_only, &clip, NULL), OK);
    assert_int_equal(clip_embed_images(clip, bed.pixels, 1, out, &err), E_ARG);
    assert_int_equal(clip_embed_tokens(clip, ids, (size_t[]) { 2 }, 1, out, &err), OK);
    clip_close(clip);
    const struct clip_options images_only = { .n_threads = 1, .no_texts = 1 };
    assert_int_equal(clip_open(bed.dir, &images_only, &clip, NULL), OK);
    assert_int_equal(clip_embed_tokens(clip, ids, (size_t[]) { 2 }, 1, out, &err), E_ARG);
    assert_int_equal(clip_embed_images(clip, bed.pixels, 1, out, &err), OK);
    clip_close(clip);
    bed_close(&bed);
}

/* A folder whose config.json does not fit its weights names the tensor. */
static void test_other_shape(void **state)
{
    (void)state;
    struct clip_checkpoint how = clip_checkpoint_small();
    struct clip *clip = (struct clip *)folder;
    struct error err = ERROR_INIT;
    char a[300], b[300], from[320], to[320];
    snprintf(a, sizeof a, "%s/a", folder);
    snprintf(b, sizeof b, "%s/b", folder);
    clip_checkpoint_write(a, &how);
    how.config.image.mlp = 97;
    clip_checkpoint_write(b, &how);
    snprintf(from, sizeof from, "%s/config.json", b);
    snprintf(to, sizeof to, "%s/config.json", a);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(
        clip_open(a, &(struct clip_options) { .n_threads = 2 }, &clip, &err), E_DATA);
    assert_null(clip);
    assert_non_null(strstr(err.msg, "vision_model.encoder.layers.0.mlp.fc1.weight"));
}

/* Nor is a tower computed without the last layers that its weights have. */
static void test_more_layers(void **state)
{
    (void)state;
    struct clip_checkpoint how = clip_checkpoint_small();
    struct clip *clip = (struct clip *)folder;
    struct error err = ERROR_INIT;
    char a[300], b[300], from[320], to[320];
    snprintf(a, sizeof a, "%s/more", folder);
    snprintf(b, sizeof b, "%s/fewer", folder);
    clip_checkpoint_write(a, &how);
    how.config.text.n_layers = 1;
    clip_checkpoint_write(b, &how);
    snprintf(from, sizeof from, "%s/config.json", b);
    snprintf(to, sizeof to, "%s/config.json", a);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(
        clip_open(a, &(struct clip_options) { .n_threads = 2 }, &clip, &err), E_DATA);
    assert_null(clip);
    assert_non_null(strstr(err.msg, "text_model.encoder.layers.1.layer_norm1.weight"));
    assert_non_null(strstr(err.msg, "num_hidden_layers is 1"));
}

/* Rows of the token table are read where they lie: a file that is written anew in its place
 * must not give embeddings under the old identity. */
static void test_weights_that_change(void **state)
{
    (void)state;
    struct bed bed;
    struct error err = ERROR_INIT;
    struct clip_config c = clip_checkpoint_small().config;
    bed_open(&bed, &c, 9);
    struct clip *clip = open_clip(&bed, 1, 0);
    const char *const text = "a photo";
    const struct timespec long_ago[2] = { { 1, 0 }, { 1, 0 } };
    float out[64];
    char path[320];
    snprintf(path, sizeof path, "%s/model.safetensors", bed.dir);
    assert_int_equal(clip_embed_texts(clip, &text, 1, out, NULL), OK);
    assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    assert_int_equal(clip_embed_texts(clip, &text, 1, out, &err), E_DATA);
    assert_non_null(strstr(err.msg, "model.safetensors was written to"));
    clip_close(clip);
    clip = open_clip(&bed, 1, 0);
    assert_int_equal(unlink(path), 0); // what is mapped stays
    assert_int_equal(clip_embed_texts(clip, &text, 1, out, NULL), OK);
    clip_close(clip);
    bed_close(&bed);
}

/* A literal end token ends a text, since the original pools at the first one. */
static void test_first_end_token(void **state)
{
    (void)state;
    struct bed bed;
    struct clip_config c = clip_checkpoint_small().config;
    bed_open(&bed, &c, 9);
    struct clip *clip = open_clip(&bed, 1, 0);
    const char *const texts[] = { "a photo", "a photo<|endoftext|>of the cup" };
    float out[2 * 64];
    assert_int_equal(clip_embed_texts(clip, texts, 2, out, NULL), OK);
    for (size_t i = 0; i < c.projection; i++)
        assert_float_equal(out[i], out[c.projection + i], 1e-5);
    clip_close(clip);
    bed_close(&bed);
}

static void test_cosine(void **state)
{
    (void)state;
    float a[] = { 3, 0, 4 }, b[] = { 0, 5, 0 }, zero[] = { 0, 0, 0 };
    assert_true(clip_cosine(a, a, 3) == 1.0);
    assert_true(clip_cosine(a, b, 3) == 0.0);
    assert_true(isnan(clip_cosine(a, zero, 3)));
    clip_normalise(a, 3);
    assert_float_equal(a[0], 0.6, 1e-7);
    assert_float_equal(a[2], 0.8, 1e-7);
    clip_normalise(zero, 3);
    assert_true(zero[0] == 0.0f);
}

/* --- threads --- */

static int n_threads_of_process(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Two threads of ours, none of OpenMP's, and none that spins while there is no work. */
static void test_idle(void **state)
{
    (void)state;
    struct bed bed;
    struct clip_config c = clip_checkpoint_small().config;
    bed_open(&bed, &c, 10);
    int before = n_threads_of_process();
    struct clip *clip = open_clip(&bed, 2, 0);
    float *out = room_for(MAX_BATCH * c.projection, sizeof *out);
    for (size_t n = 1; n <= MAX_BATCH; n += 4)
        assert_int_equal(clip_embed_images(clip, bed.pixels, n, out, NULL), OK);
    assert_int_equal(n_threads_of_process(), before + 2);
    int64_t cpu = clock_cpu_ns();
    clock_sleep_ns(200000000);
    assert_true(clock_cpu_ns() - cpu < 20000000);
    clip_close(clip);
    assert_int_equal(n_threads_of_process(), before);
    free(out);
    bed_close(&bed);
}

struct caller {
    const struct bed *bed;
    struct clip *clip;
    double worst;
};

static void *call_often(void *arg)
{
    struct caller *c = arg;
    size_t width = c->bed->config.projection;
    float *out = calloc(5 * width, sizeof *out);
    for (int i = 0; i < 20 && out; i++) {
        if (clip_embed_images(c->clip, c->bed->pixels, 5, out, NULL) != OK)
            c->worst = NAN;
        double d = worst_difference(out, c->bed->images, 5 * width);
        c->worst = d > c->worst ? d : c->worst;
    }
    free(out);
    return NULL;
}

static void test_callers(void **state)
{
    (void)state;
    struct bed bed;
    struct clip_config c = clip_checkpoint_small().config;
    bed_open(&bed, &c, 11);
    struct clip *clip = open_clip(&bed, 2, 0);
    struct caller callers[3];
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        callers[i] = (struct caller) { &bed, clip, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_true(callers[i].worst < F32_TOLERANCE);
    }
    clip_close(clip);
    bed_close(&bed);
}

static int open_scratch(void **state)
{
    (void)state;
    scratch_folder_open(folder);
    return 0;
}

static int close_scratch(void **state)
{
    (void)state;
    scratch_folder_close(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),
        cmocka_unit_test(test_odd_widths),
        cmocka_unit_test(test_one_head_one_block),
        cmocka_unit_test(test_one_patch),
        cmocka_unit_test(test_random_shapes),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_bf16_odd),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_other_shape),
        cmocka_unit_test(test_more_layers),
        cmocka_unit_test(test_weights_that_change),
        cmocka_unit_test(test_first_end_token),
        cmocka_unit_test(test_cosine),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_callers),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_scratch, close_scratch);
}
