/* test_policy_player.c - a policy file played on its own gives the probabilities that the
 * network has in the environment's evaluation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "m4a1/tmo/policy.h"
#include "m4a1/tmo/policy_player.h"
#include "tests/support/tmo_data.h"

static const double scores[2][2] = { { 1, 2 }, { 3, 4 } };

static char path[] = "/tmp/m4a1-player-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static struct policy make(const struct dataset *data, int resource_aware)
{
    struct policy policy = { .seed = 12,
        .learner = a2c_published(),
        .environment = environment_published(),
        .tau = 3,
        .local = 0,
        .cloud = 1 };
    struct rng rng;
    policy.environment.resource_aware = resource_aware;
    assert_int_equal(split_draw(data, 0, 0.8, 12, &policy.split, NULL), OK);
    assert_int_equal(
        actor_critic_init(&policy.network, 3 * 4 + (resource_aware ? 2 : 0), 5, NULL),
        OK);
    rng_init(&rng, 1, "test/policy", 0);
    for (size_t i = 0; i < policy.network.n_params; i++)
        policy.network.params[i] = rng_normal(&rng) / 3;
    assert_int_equal(policy_save(&policy, data, path, NULL), OK);
    return policy;
}

static void plays_as_the_environment_evaluates(void **state)
{
    int resource_aware = *(int *)*state;
    struct dataset *data = simple_dataset(10, 4, scores);
    struct policy policy = make(data, resource_aware);
    struct recorded *rec;
    struct environment *env;
    struct activations act;
    struct policy_player *player;
    size_t train[10];
    for (size_t i = 0; i < 10; i++)
        train[i] = i;
    assert_int_equal(recorded_build(data, 0, 1, 3, &rec, NULL), OK);
    assert_int_equal(
        environment_new(rec, &policy.environment, train, 10, &env, NULL), OK);
    assert_int_equal(activations_init(&act, &policy.network, NULL), OK);
    struct error err = ERROR_INIT;
    if (policy_player_open(path, &player, &err))
        fail_msg("%s", err.msg);
    assert_string_equal(policy_player_names(player)->local, data->llms[0].name);
    assert_int_equal(policy_player_names(player)->n_tasks, 2);

    struct rng rng;
    rng_init(&rng, 3, "test", 0);
    for (size_t session = 0; session < 10; session++) {
        struct episode ep;
        struct policy_turn past[4];
        episode_start(&ep, env, RULES_EVALUATE, session,
            policy.environment.latency_budget_s, policy.environment.usage_budget_usd);
        for (size_t t = 0; t < 4; t++) {
            double played[5];
            struct outcome outcome;
            size_t task = (size_t)rec->tasks[ep.first + t];
            episode_observe(&ep, act.features);
            actor_critic_forward(&policy.network, &act);
            policy_player_weigh(player, past, t, task, played);
            for (size_t a = 0; a < 5; a++)
                assert_true(fabs(played[a] - act.probabilities[a]) < 1e-12);
            size_t action = (size_t)rng_below(&rng, 5);
            past[t] = (struct policy_turn) { task, space_is_cloud(action),
                rec->space.views[action] };
            episode_step(&ep, action, &outcome);
        }
    }
    policy_player_free(player);
    activations_release(&act);
    environment_free(env);
    recorded_free(rec);
    policy_release(&policy);
    dataset_free(data);
}

static void broken_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        { "m4a1-policy", "m4a1-polici", "format" },
        { "\"version\": 1", "\"version\": 9", "version" },
        { "\"tau\":3", "\"tau\":0", "encoding.tau" },
        { "\"w3\"", "\"w4\"", "w3" },
        { "\"hidden\": 64", "\"hidden\": 65", "network" },
        { "\"tasks\":[", "\"task\":[", "data.tasks" },
    };
    struct dataset *data = simple_dataset(10, 4, scores);
    struct policy policy = make(data, 0);
    struct buffer text;
    buffer_init(&text, 1 << 24);
    assert_int_equal(file_read(path, &text, NULL), OK);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct policy_player *player;
        struct error err = ERROR_INIT;
        const char *at = strstr(buffer_str(&text), cases[i].from);
        assert_non_null(at);
        char *broken = text_format("%.*s%s%s", (int)(at - buffer_str(&text)),
            buffer_str(&text), cases[i].to, at + strlen(cases[i].from));
        assert_int_equal(file_write(path, broken, strlen(broken), NULL), OK);
        assert_int_equal(policy_player_open(path, &player, &err), E_DATA);
        assert_null(player);
        if (!strstr(err.msg, cases[i].message))
            fail_msg("expected %s in: %s", cases[i].message, err.msg);
        free(broken);
    }
    struct policy_player *player;
    assert_int_equal(
        policy_player_open("/tmp/no such policy", &player, NULL), E_NOT_FOUND);
    buffer_release(&text);
    policy_release(&policy);
    dataset_free(data);
}

int main(void)
{
    static int plain = 0, aware = 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(plays_as_the_environment_evaluates, &plain),
        cmocka_unit_test_prestate(plays_as_the_environment_evaluates, &aware),
        cmocka_unit_test(broken_files_are_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
