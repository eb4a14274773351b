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
#include "m4a1/tmo/policy_player.h"
#include "tests/support/policy_case.h"
#include "tests/support/tmo_data.h"

#define N_TURNS 4

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

/* What the player has to give: the softmax over what is allowed, or the best. */
static void expect(const struct policy_case *c, const struct episode *ep, double *p)
{
    double features[1000], scores[64], sum = 0;
    unsigned char allowed[64];
    size_t n = c->env->n_actions;
    episode_observe(ep, features);
    episode_allowed(ep, allowed);
    network_scores(&c->policy.network, features, scores);
    for (size_t a = 0; a < n; a++)
        sum += p[a] = allowed[a] ? exp(scores[a]) : 0;
    for (size_t a = 0; a < n; a++)
        p[a] /= sum;
    if (c->policy.network.kind == NETWORK_Q)
        network_weigh((void *)&c->policy.network, ep, p);
}

/* The turn that an action makes in a dialogue with these views, as a plan tells it. */
static struct policy_turn turn_of(
    const struct policy_case *c, size_t task, size_t action, uint32_t context)
{
    const struct space_action *one = &c->rec->space.actions[action];
    uint32_t added = one->views & ~context;
    return (struct policy_turn) { .task = task,
        .llm = (size_t)c->rec->llms[one->llm],
        .added = added,
        .context = context | added };
}

static void plays_as_the_environment_evaluates(void **state)
{
    struct policy_case c = policy_case_make(*state, N_TURNS);
    struct policy_player *player;
    struct error err = ERROR_INIT;
    size_t n = c.env->n_actions, n_masked = 0;
    policy_case_save(&c, path);
    if (policy_player_open(path, &player, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(policy_player_space(player)->n_actions, n);
    assert_int_equal(policy_player_policy(player)->about->n_tasks, 2);
    assert_int_equal(strlen(policy_player_sha256(player)), HASH_HEX - 1);

    struct rng rng;
    rng_init(&rng, 3, "test", 0);
    for (size_t session = 0; session < 10; session++) {
        struct episode ep;
        struct policy_turn past[N_TURNS];
        uint32_t context = 0;
        episode_start(&ep, c.env, RULES_MODEL, session);
        for (size_t t = 0; t < N_TURNS; t++) {
            double played[64], expected[64];
            struct outcome outcome;
            unsigned char allowed[64];
            size_t task = (size_t)c.rec->tasks[ep.first + t], action;
            expect(&c, &ep, expected);
            if (policy_player_weigh(player, past, t, task, played, &err))
                fail_msg("%s", err.msg);
            episode_allowed(&ep, allowed);
            for (size_t a = 0; a < n; a++) {
                assert_true(fabs(played[a] - expected[a]) < 1e-12);
                n_masked += !allowed[a];
            }
            // As published, views stand in the state only where the turn brought some.
            do
                action = (size_t)rng_below(&rng, n);
            while (!allowed[action] ||
                   (c.rec->as_published &&
                       (c.rec->space.actions[action].views & context) !=
                           (c.rec->space.actions[action].views ? context : 0)) ||
                   (c.rec->as_published && c.rec->space.actions[action].views &&
                       !(c.rec->space.actions[action].views & ~context)));
            past[t] = turn_of(&c, task, action, context);
            context = past[t].context;
            episode_step(&ep, action, &outcome);
        }
    }
    if (c.env->settings.handling == HANDLING_SHIELD)
        assert_true(n_masked > 0);
    policy_player_free(player);
    policy_case_release(&c);
}

/* The file of version 1 plays, too: its greedy choices are what its test tells. */
static void version_1_plays(void **state)
{
    (void)state;
    struct policy_player *player;
    struct error err = ERROR_INIT;
    double p[5];
    if (policy_player_open("tests/fixtures/policy_v1.json", &player, &err))
        fail_msg("%s", err.msg);
    const struct policy_turn past[] = { { 0, 1, 0, 0 }, { 1, 0, 0, 0 }, { 1, 1, 2, 2 } };
    for (size_t t = 0; t <= COUNT_OF(past); t++) {
        double sum = 0;
        assert_int_equal(policy_player_weigh(player, past, t, 1, p, &err), OK);
        for (size_t a = 0; a < 5; a++)
            sum += p[a];
        assert_true(fabs(sum - 1) < 1e-12);
    }
    policy_player_free(player);
}

static void strange_pasts_are_refused(void **state)
{
    (void)state;
    struct policy_case c = policy_case_make("{\"actions\": [{\"llm\": \"local\"}, "
                                            "{\"llm\": \"cloud\", \"views\": "
                                            "[\"view_0\"]}]}",
        N_TURNS);
    struct policy_player *player;
    struct error err = ERROR_INIT;
    double p[2];
    policy_case_save(&c, path);
    assert_int_equal(policy_player_open(path, &player, &err), OK);
    const struct policy_turn fine[] = { { 0, 1, 1, 1 }, { 1, 1, 0, 1 } };
    assert_int_equal(policy_player_weigh(player, fine, 2, 0, p, &err), OK);
    const struct policy_turn bad[] = { { 0, 1, 1, 1 }, { 1, 1, 2, 3 } };
    assert_int_equal(policy_player_weigh(player, bad, 2, 0, p, &err), E_ARG);
    assert_non_null(strstr(err.msg, "turn 1 of the dialogue"));
    policy_player_free(player);
    policy_case_release(&c);
}

static void broken_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        { "m4a1-policy", "m4a1-polici", "format" },
        { "\"version\": 2", "\"version\": 9", "version" },
        { "\"tau\":5,\"local\"", "\"tau\":0,\"local\"", "config: tau" },
        { "\"w3\"", "\"w4\"", "w3" },
        { "\"hidden\": 64", "\"hidden\": 65", "network" },
        { "\"tasks\":[", "\"task\":[", "data.tasks" },
    };
    struct policy_case c = policy_case_make("{}", N_TURNS);
    struct buffer text;
    policy_case_save(&c, path);
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
    policy_case_release(&c);
}

int main(void)
{
    static char plain[] = "{\"as_published\": true, \"tau\": 3}";
    static char aware[] =
        "{\"as_published\": true, \"tau\": 3, \"resource_aware\": true}";
    static char corrected[] = "{}";
    static char shielded[] =
        "{\"tau\": 2, \"constraints\": [{\"kind\": \"latency\", \"budget\": 15},"
        " {\"kind\": \"privacy\", \"budget\": 1, \"horizon\": 2}],"
        " \"costs\": {\"table\": {\"m4a1_cost_table\": 1, \"llms\": {"
        " \"local\": {\"latency_s\": [3], \"usage_usd\": [0]},"
        " \"cloud\": {\"latency_s\": [2, 5], \"usage_usd\": [0, 0.01]}}}}}";
    static char values[] = "{\"learner\": {\"name\": \"dqn\"}, \"constraints\": "
                           "[{\"kind\": \"usage\", \"budget\": 0.02}],"
                           " \"costs\": {\"of_data\": false}}";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(plays_as_the_environment_evaluates, plain),
        cmocka_unit_test_prestate(plays_as_the_environment_evaluates, aware),
        cmocka_unit_test_prestate(plays_as_the_environment_evaluates, corrected),
        cmocka_unit_test_prestate(plays_as_the_environment_evaluates, shielded),
        cmocka_unit_test_prestate(plays_as_the_environment_evaluates, values),
        cmocka_unit_test(version_1_plays),
        cmocka_unit_test(strange_pasts_are_refused),
        cmocka_unit_test(broken_files_are_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
