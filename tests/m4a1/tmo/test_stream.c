/* test_stream.c - draws of training, penalty and dual ascent by hand, transitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include "m4a1/tmo/stream.h"
#include "tests/support/tmo_data.h"
#include "tests/support/world_data.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12)

static const double scores[2][2] = { { 1, 2 }, { 0.5, 0.25 } };

/* Published training draws only training sessions, each about as often, and budgets
 * within their range. */
static void test_published_draws(void **state)
{
    (void)state;
    struct dataset *data = simple_dataset(10, 2, scores);
    struct recorded *rec;
    struct environment *env;
    const struct recorded_settings encoding = recorded_published(0, 1, 5);
    const size_t train[] = { 1, 3, 4, 8 };
    struct environment_settings set = environment_published();
    set.handling = HANDLING_PUBLISHED;
    set.resource_aware = 1;
    assert_int_equal(recorded_build(data, &encoding, &rec, NULL), OK);
    assert_int_equal(environment_new(rec, &set, train, 4, &env, NULL), OK);
    assert_int_equal(environment_tabulate(env, NULL), OK);
    struct stream s;
    stream_init(&s, env, 3);
    size_t count[10] = { 0 };
    double sum = 0, top = 5 * 6.24569, bottom = 5 * env->costs.latency_s[0];
    for (int i = 0; i < 4000; i++) {
        double reward, budget = s.episode.ledger.budget[CONSTRAINT_LATENCY];
        count[s.episode.session]++;
        assert_true(budget >= bottom && budget <= top);
        sum += budget;
        assert_int_equal(stream_step(&s, 0, &reward), 0);
        assert_int_equal(stream_step(&s, 0, &reward), 1);
    }
    for (size_t i = 0; i < 4; i++)
        assert_true(count[train[i]] > 900 && count[train[i]] < 1100);
    assert_int_equal(count[1] + count[3] + count[4] + count[8], 4000);
    assert_true(fabs(sum / 4000 - (top + bottom) / 2) < 0.3);
    assert_int_equal(s.n_sessions, 4000);
    assert_int_equal(s.n_steps, 8000);
    stream_release(&s);
    environment_free(env);
    recorded_free(rec);
    dataset_free(data);
}

/* One world whose answers cost 1 s locally and 3 s in the cloud, in sessions of 2 turns;
 * session budget 4 s, and 5 s over the last turn, which nothing exceeds. */
struct priced {
    struct world w;
    struct environment *env;
    struct stream stream;
};

static void priced_make(struct priced *p, enum constraint_handling handling)
{
    const struct world_shape shape = {
        .n_cloud = 1, .n_views = 1, .n_tasks = 1, .n_sessions = 1, .max_turns = 2
    };
    world_make(&p->w, &shape, 3);
    for (size_t i = 0; i < 2; i++)
        for (size_t n = 0; n < COST_CELLS; n++)
            p->w.costs.rows[i].latency_s[n] = i ? 3 : 1;
    struct environment_settings set = environment_defaults();
    set.handling = handling;
    set.constraints[0] = (struct constraint) { CONSTRAINT_LATENCY, 4, 0 };
    set.constraints[1] = (struct constraint) { CONSTRAINT_LATENCY, 5, 1 };
    set.n_constraints = 2;
    set.lambda = 0.5;
    set.dual_rate = 0.1;
    p->env = world_environment(&p->w, &set);
    stream_init(&p->stream, p->env, 0);
}

static void priced_release(struct priced *p)
{
    stream_release(&p->stream);
    environment_free(p->env);
    world_release(&p->w);
}

/* The reward of an action less what the world itself gives for it. */
static double taken(struct stream *s, size_t action)
{
    struct outcome out;
    double reward;
    episode_outcome(&s->episode, action, &out);
    stream_step(s, action, &reward);
    return out.reward - reward;
}

/* 3 + 3 s are 2 s beyond 4 s: half the budget, times lambda 0.5. */
static void test_penalty(void **state)
{
    (void)state;
    struct priced p;
    priced_make(&p, HANDLING_PENALTY);
    NEAR(taken(&p.stream, 1), 0);
    NEAR(taken(&p.stream, 1), 0.5 * 2 / 4);
    NEAR(taken(&p.stream, 0), 0);
    NEAR(taken(&p.stream, 1), 0); // 1 + 3 s meet the budget
    assert_int_equal(p.stream.n_violations[0], 1);
    assert_int_equal(p.stream.n_violations[1], 0);
    priced_release(&p);
}

/* Every second costs multiplier / 4; behind a session the multiplier goes up by 0.1 times
 * what the peak lies beyond the budget, as a share of it. */
static void test_dual_ascent(void **state)
{
    (void)state;
    struct priced p;
    priced_make(&p, HANDLING_LAGRANGIAN);
    double first = 0.5, second = 0.5; // of the session, of the last turn
    NEAR(p.stream.multipliers[0], 0);
    p.stream.multipliers[0] = first;
    p.stream.multipliers[1] = second;
    NEAR(taken(&p.stream, 1), first * 3 / 4 + second * 3 / 5);
    NEAR(taken(&p.stream, 1), first * 3 / 4); // the last turn's peak was there already
    first += 0.1 * (6 - 4) / 4;
    second += 0.1 * (3 - 5) / 5;
    NEAR(p.stream.multipliers[0], first);
    NEAR(p.stream.multipliers[1], second);
    NEAR(taken(&p.stream, 0), first * 1 / 4 + second * 1 / 5);
    NEAR(taken(&p.stream, 0), first * 1 / 4);
    first += 0.1 * (2 - 4) / 4;
    NEAR(p.stream.multipliers[0], first);
    for (int i = 0; i < 200; i++)
        taken(&p.stream, 0); // within all budgets: the price falls to nothing
    NEAR(p.stream.multipliers[0], 0);
    NEAR(p.stream.multipliers[1], 0);
    NEAR(taken(&p.stream, 1), 0);
    priced_release(&p);
}

static void test_none_and_shield_take_nothing(void **state)
{
    (void)state;
    static const enum constraint_handling kinds[] = { HANDLING_NONE, HANDLING_SHIELD };
    for (size_t k = 0; k < 2; k++) {
        struct priced p;
        priced_make(&p, kinds[k]);
        unsigned char allowed[3];
        NEAR(taken(&p.stream, 1), 0);
        stream_allowed(&p.stream, allowed);
        assert_int_equal(allowed[1], kinds[k] == HANDLING_NONE); // 1 s is left
        NEAR(taken(&p.stream, 1), 0);
        priced_release(&p);
    }
}

/* Recorded transitions show what the data did, those of the model what was done. */
static void test_transitions(void **state)
{
    (void)state;
    struct world w;
    const struct world_shape shape = {
        .n_cloud = 2, .n_views = 2, .n_tasks = 2, .n_sessions = 8, .max_turns = 4
    };
    world_make(&w, &shape, 5);
    for (int model = 0; model < 2; model++) {
        struct environment_settings set = environment_defaults();
        set.transitions = model ? TRANSITIONS_MODEL : TRANSITIONS_RECORDED;
        set.features = FEATURES_PUBLISHED;
        struct environment *env = world_environment(&w, &set);
        const struct space *space = &w.rec->space;
        size_t last = space->n_states - space->state_size, n_differ = 0;
        struct stream s;
        stream_init(&s, env, 1);
        for (int i = 0; i < 400; i++) {
            double reward, features[SPACE_MAX_FEATURES];
            int16_t bits[SPACE_MAX_BITS];
            size_t action = (size_t)i % env->n_actions;
            uint32_t context = s.episode.context;
            int ended = stream_step(&s, action, &reward);
            stream_observe(&s, features);
            const int16_t *recorded =
                w.rec->observations +
                (s.episode.first + s.episode.turn) * space->n_states;
            for (size_t j = 0; j < space->n_states; j++)
                n_differ += features[j] != recorded[j];
            if (ended || !model)
                continue;
            space_bits(space, space->actions[action].llm,
                space->actions[action].views & ~context, bits);
            for (size_t j = 0; j < space_n_bits(space); j++)
                assert_true(features[last + j] == bits[j]);
        }
        assert_int_equal(n_differ > 0, model);
        stream_release(&s);
        environment_free(env);
    }
    world_release(&w);
}

/* One seed fixes all draws; what is done does not move the sessions. */
static void test_seeds(void **state)
{
    (void)state;
    struct world w;
    const struct world_shape shape = {
        .n_cloud = 1, .n_views = 2, .n_tasks = 2, .n_sessions = 20, .max_turns = 3
    };
    world_make(&w, &shape, 6);
    struct environment_settings set = environment_defaults();
    struct environment *env = world_environment(&w, &set);
    struct stream s[3];
    size_t n_same = 0, n = 0;
    for (uint64_t i = 0; i < 3; i++)
        stream_init(&s[i], env, i == 2);
    for (int i = 0; i < 300; i++) {
        double reward[3];
        assert_int_equal(s[0].episode.session, s[1].episode.session);
        n++;
        n_same += s[0].episode.session == s[2].episode.session;
        int ended = stream_step(&s[0], 0, &reward[0]);
        assert_int_equal(stream_step(&s[1], 1, &reward[1]), ended);
        stream_step(&s[2], 0, &reward[2]);
    }
    assert_true(n_same < n / 2);
    for (int i = 0; i < 3; i++)
        stream_release(&s[i]);
    environment_free(env);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_draws),
        cmocka_unit_test(test_penalty),
        cmocka_unit_test(test_dual_ascent),
        cmocka_unit_test(test_none_and_shield_take_nothing),
        cmocka_unit_test(test_transitions),
        cmocka_unit_test(test_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
