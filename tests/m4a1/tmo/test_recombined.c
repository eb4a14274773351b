/* test_recombined.c - recombined sessions hold turns of training sessions and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "m4a1/tmo/stream.h"
#include "tests/support/tmo_data.h"
#include "tests/support/world_data.h"

/* The turn of this position with these numbers in a training session, or not. */
static int is_of_training(const struct environment *env, const struct recorded *made,
    size_t t, unsigned char *seen)
{
    const struct recorded *rec = env->rec;
    size_t n_views = rec->space.n_views;
    int found = 0;
    for (size_t i = 0; i < env->n_train; i++) {
        const struct recorded_session *session = &rec->sessions[env->train[i]];
        size_t turn = session->first + t;
        if (t < session->n_turns && rec->tasks[turn] == made->tasks[t] &&
            rec->prompts[turn] == made->prompts[t] &&
            memcmp(rec->associations + turn * n_views, made->associations + t * n_views,
                n_views * sizeof *made->associations) == 0)
            found = seen[turn] = 1;
    }
    return found;
}

static void test_turns_of_training(void **state)
{
    (void)state;
    const struct world_shape shape = {
        .n_cloud = 2, .n_views = 3, .n_tasks = 4, .n_sessions = 12, .max_turns = 5
    };
    struct world w;
    struct rng rng;
    struct recombined *r;
    world_make(&w, &shape, 5);
    const struct environment_settings set = environment_defaults();
    struct environment *env = world_environment(&w, &set);
    env->n_train = 8; // the other four must not be seen
    unsigned char seen[12 * 5] = { 0 };
    size_t lengths[6] = { 0 }, expected[6] = { 0 }, n_turns = 0, n_seen = 0;
    assert_int_equal(recombined_new(env, &r, NULL), OK);
    rng_init(&rng, 1, "test", 0);
    for (int i = 0; i < 4000; i++) {
        const struct environment *one = recombined_draw(r, &rng);
        const struct recorded_session *session = &one->rec->sessions[0];
        assert_int_equal(session->first, 0);
        lengths[session->n_turns]++;
        for (size_t t = 0; t < session->n_turns; t++)
            assert_true(is_of_training(env, one->rec, t, seen));
    }
    for (size_t i = 0; i < env->n_train; i++) {
        expected[w.rec->sessions[env->train[i]].n_turns]++;
        n_turns += w.rec->sessions[env->train[i]].n_turns;
    }
    for (size_t n = 0; n <= 5; n++)
        assert_true(fabs((double)lengths[n] - 4000.0 / 8 * (double)expected[n]) < 200);
    for (size_t t = 0; t < sizeof seen; t++)
        n_seen += seen[t];
    assert_true(n_seen >= n_turns); // each of them was drawn
    recombined_free(r);
    environment_free(env);
    world_release(&w);
}

/* The public data never ask a prompt twice in a session; here it is the same, until a
 * training session does. */
static void test_prompts_are_asked_once(void **state)
{
    (void)state;
    const struct world_shape shape = {
        .n_cloud = 1, .n_views = 1, .n_tasks = 2, .n_sessions = 20, .max_turns = 4
    };
    struct world w;
    struct rng rng;
    world_make(&w, &shape, 2);
    const struct environment_settings set = environment_defaults();
    struct environment *env = world_environment(&w, &set);
    w.rec->n_prompts = 8;
    for (int repeats = 0; repeats < 2; repeats++) {
        struct recombined *r;
        int asked_twice = 0;
        for (size_t i = 0; i < w.rec->n_sessions; i++)
            for (size_t t = 0; t < w.rec->sessions[i].n_turns; t++)
                w.rec->prompts[w.rec->sessions[i].first + t] =
                    repeats ? i % 8 : (i + t) % 8;
        assert_int_equal(recombined_new(env, &r, NULL), OK);
        rng_init(&rng, 1, "test", 0);
        for (int i = 0; i < 500; i++) {
            const struct recorded *made = recombined_draw(r, &rng)->rec;
            for (size_t t = 1; t < made->sessions[0].n_turns; t++)
                for (size_t u = 0; u < t; u++)
                    asked_twice |= made->prompts[t] == made->prompts[u];
        }
        assert_int_equal(asked_twice, repeats);
        recombined_free(r);
    }
    environment_free(env);
    world_release(&w);
}

/* A stream walks them to their end, with rewards of the same model; recorded transitions
 * stay as they are. */
static void test_stream(void **state)
{
    (void)state;
    const struct world_shape shape = {
        .n_cloud = 1, .n_views = 2, .n_tasks = 3, .n_sessions = 6, .max_turns = 4
    };
    struct world w;
    world_make(&w, &shape, 1);
    struct environment_settings set = environment_defaults();
    for (int is_model = 0; is_model < 2; is_model++) {
        struct stream s, plain;
        set.transitions = is_model ? TRANSITIONS_MODEL : TRANSITIONS_RECORDED;
        struct environment *env = world_environment(&w, &set);
        stream_init(&s, env, 3);
        stream_init(&plain, env, 3);
        assert_int_equal(stream_recombine(&s, NULL), OK);
        assert_int_equal(s.recombined != NULL, is_model);
        for (size_t i = 0; i < 2000; i++) {
            struct episode before = s.episode;
            struct outcome outcome;
            double reward, other;
            size_t action = i * 7 % env->n_actions;
            before.cache = NULL;
            episode_outcome(&before, action, &outcome);
            assert_true(before.turn < before.n_turns);
            int ended = stream_step(&s, action, &reward);
            assert_true(reward == outcome.reward);
            assert_int_equal(ended, before.turn + 1 == before.n_turns);
            int same = stream_step(&plain, action, &other) == ended;
            if (!is_model)
                assert_true(same && other == reward);
        }
        stream_release(&s);
        stream_release(&plain);
        environment_free(env);
    }
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_of_training),
        cmocka_unit_test(test_prompts_are_asked_once),
        cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
