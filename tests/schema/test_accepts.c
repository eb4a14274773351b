/* The rule for what an llm can take: every limit, and the sentence that tells which. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/accepts.h"

enum { SIDE = 1, CLIP = 2, LOG = 4, MIC = 8, FRONT = 16 };

static const struct accepts_view views[ACCEPTS_MAX_VIEWS] = { { "side", VIEW_IMAGE, 1 },
    { "clip", VIEW_VIDEO, 3 }, { "log", VIEW_TEXT, 0 }, { "mic", VIEW_AUDIO, 0 },
    { "front", VIEW_IMAGE, 1 } };

struct case_ {
    int limits[N_VIEW_KINDS]; /* image, video, text, audio */
    uint32_t set, context;
    int keeps;
    const char *told; /* NULL = it is taken */
};

static const struct case_ cases[] = {
    { { -1, -1, -1, -1 }, SIDE | CLIP | LOG | MIC | FRONT, 0, 1, NULL },
    { { -1, -1, -1, 0 }, SIDE | MIC, 0, 1,
        "llm x accepts no audio, but it adds view mic" },
    { { 4, -1, -1, 0 }, SIDE | CLIP, 0, 1, NULL },
    { { 4, -1, -1, 0 }, SIDE | CLIP | FRONT, 0, 1,
        "llm x accepts 4 images, but it adds 5: side, clip (3 frames), front" },
    { { 1, -1, -1, 0 }, SIDE, FRONT, 1,
        "llm x accepts 1 image, but it adds 2: side, front" },
    { { 1, -1, -1, 0 }, SIDE, FRONT, 0, NULL },
    { { 1, -1, -1, 0 }, SIDE, SIDE, 1, NULL },
    { { -1, 0, -1, 0 }, CLIP, 0, 1, "llm x accepts no videos, but it adds view clip" },
    { { 0, -1, -1, 0 }, CLIP, 0, 1,
        "llm x accepts no images, but it adds view clip (3 frames)" },
    { { 0, -1, -1, 0 }, LOG, SIDE | CLIP | MIC, 1, NULL },
    { { -1, -1, 0, 0 }, 0, LOG | MIC, 1, NULL },
    { { -1, -1, 0, 0 }, LOG, 0, 0, "llm x accepts no texts, but it adds view log" },
    { { -1, -1, -1, 1 }, MIC, 0, 1, NULL },
};

static void every_limit_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct case_ *c = &cases[i];
        struct accepts_why why;
        struct buffer told;
        buffer_init(&told, 1000);
        int ok = accepts_action(c->limits, views, c->set, c->context, c->keeps, &why);
        if (!ok)
            accepts_explain("x", views, &why, "it adds", &told);
        assert_string_equal(buffer_str(&told), c->told ? c->told : "");
        assert_int_equal(ok, !c->told);
        buffer_release(&told);
    }
}

static void what_is_never_sent_is_left_out(void **state)
{
    (void)state;
    static const int no_images[] = { 0, -1, -1, 0 }, no_videos[] = { 2, 0, -1, 1 };
    uint32_t all = SIDE | CLIP | LOG | MIC | FRONT;
    assert_int_equal(accepts_sent(no_images, views, all), LOG);
    assert_int_equal(accepts_sent(no_videos, views, all), SIDE | LOG | MIC | FRONT);
    assert_int_equal(accepts_sent(no_videos, views, CLIP), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_counts),
        cmocka_unit_test(what_is_never_sent_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
