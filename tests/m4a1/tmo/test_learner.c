/* test_learner.c - defaults, names and ranges of settings, and their page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "m4a1/base/buffer.h"
#include "m4a1/base/files.h"
#include "m4a1/tmo/learner_method.h"

static double number(enum learner_kind kind, const char *name)
{
    struct learner_settings set = learner_published(kind);
    const struct learner_field *field = learner_field(kind, name);
    assert_non_null(field);
    return learner_get(&set, field);
}

/* Stable-Baselines3 2.7's defaults, as tmo.md lists them. */
static void test_defaults(void **state)
{
    (void)state;
    static const struct {
        enum learner_kind kind;
        const char *name;
        double value;
    } expected[] = {
        { LEARNER_A2C, "steps", 30000 },
        { LEARNER_A2C, "learning_rate", 7e-4 },
        { LEARNER_A2C, "n_rollout", 5 },
        { LEARNER_A2C, "gamma", .99 },
        { LEARNER_A2C, "gae_lambda", 1 },
        { LEARNER_A2C, "value_weight", .5 },
        { LEARNER_A2C, "entropy_weight", 0 },
        { LEARNER_A2C, "max_gradient_norm", .5 },
        { LEARNER_A2C, "rmsprop_alpha", .99 },
        { LEARNER_A2C, "rmsprop_epsilon", 1e-5 },
        { LEARNER_PPO, "learning_rate", 3e-4 },
        { LEARNER_PPO, "n_rollout", 2048 },
        { LEARNER_PPO, "batch_size", 64 },
        { LEARNER_PPO, "n_epochs", 10 },
        { LEARNER_PPO, "gae_lambda", .95 },
        { LEARNER_PPO, "clip_range", .2 },
        { LEARNER_PPO, "adam_epsilon", 1e-5 },
        { LEARNER_PPO, "normalise_advantages", 1 },
        { LEARNER_PPO, "value_weight", .5 },
        { LEARNER_PPO, "max_gradient_norm", .5 },
        { LEARNER_DQN, "learning_rate", 1e-4 },
        { LEARNER_DQN, "learning_starts", 100 },
        { LEARNER_DQN, "buffer_size", 1e6 },
        { LEARNER_DQN, "batch_size", 32 },
        { LEARNER_DQN, "target_every", 10000 },
        { LEARNER_DQN, "target_rate", 1 },
        { LEARNER_DQN, "train_every", 4 },
        { LEARNER_DQN, "gradient_steps", 1 },
        { LEARNER_DQN, "exploration_share", .1 },
        { LEARNER_DQN, "exploration_first", 1 },
        { LEARNER_DQN, "exploration_last", .05 },
        { LEARNER_DQN, "max_gradient_norm", 10 },
        { LEARNER_DQN, "adam_epsilon", 1e-8 },
        { LEARNER_DQN, "gamma", .99 },
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_true(number(expected[i].kind, expected[i].name) == expected[i].value);
    for (int kind = 0; kind < N_LEARNERS; kind++) {
        struct learner_settings set = learner_published((enum learner_kind)kind);
        assert_int_equal(learner_check(&set, NULL), OK);
    }
}

/* Each field is read and written, at its ends too, and no other changes. */
static void test_fields(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < n_learner_fields; i++) {
        const struct learner_field *f = &learner_fields[i];
        struct learner_settings set = learner_published(LEARNER_PPO), before = set;
        assert_true(f->readers && !(f->readers >> N_LEARNERS));
        assert_true(f->least < f->most && f->meaning[0]);
        assert_int_equal(learner_set(&set, f, f->most, &err), OK);
        assert_true(learner_get(&set, f) == f->most);
        assert_int_equal(learner_set(&set, f, f->least, &err), OK);
        assert_true(learner_get(&set, f) == f->least);
        assert_int_equal(learner_set(&set, f, f->most * 2 + 1, &err), E_ARG);
        assert_non_null(strstr(err.msg, f->name));
        if (f->type == LEARNER_INTEGER)
            assert_int_equal(learner_set(&set, f, f->least + 0.5, &err), E_ARG);
        assert_int_equal(learner_set(&set, f, learner_get(&before, f), &err), OK);
        assert_memory_equal(&set, &before, sizeof set);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(f->name, learner_fields[j].name);
    }
    assert_null(learner_field(LEARNER_A2C, "clip_range"));
    assert_null(learner_field(LEARNER_A2C, "no such"));
    assert_non_null(learner_field(LEARNER_PPO, "clip_range"));
}

static void test_check(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct learner_settings set = learner_published(LEARNER_A2C);
    set.clip_range = -1; // none of A2C's
    assert_int_equal(learner_check(&set, &err), OK);
    set.kind = LEARNER_PPO;
    assert_int_equal(learner_check(&set, &err), E_ARG);
    assert_non_null(strstr(err.msg, "clip_range"));
    set.kind = N_LEARNERS;
    assert_int_equal(learner_check(&set, &err), E_ARG);
}

/* A line of the page's table: the defaults of those learners that read the field. */
static void expected_line(const struct learner_field *f, char *line, size_t size)
{
    char cells[N_LEARNERS][32];
    for (int kind = 0; kind < N_LEARNERS; kind++) {
        struct learner_settings set = learner_published((enum learner_kind)kind);
        cells[kind][0] = '\0';
        if (f->readers & LEARNER_BIT(kind))
            snprintf(cells[kind], sizeof cells[kind], "%g", learner_get(&set, f));
    }
    snprintf(line, size, "| `%s` | %s | %s | %s | %g to %g | %s |\n", f->name, cells[0],
        cells[1], cells[2], f->least, f->most, f->meaning);
}

static void test_documentation(void **state)
{
    (void)state;
    struct buffer page;
    struct error err = ERROR_INIT;
    buffer_init(&page, 1 << 20);
    if (!file_exists("docs/tmo-learners.md")) {
        print_message("run from the project's folder, where docs/ is\n");
        skip();
    }
    assert_int_equal(file_read("docs/tmo-learners.md", &page, &err), OK);
    for (size_t i = 0; i < n_learner_fields; i++) {
        char line[512];
        expected_line(&learner_fields[i], line, sizeof line);
        if (!strstr(buffer_str(&page), line))
            fail_msg("docs/tmo-learners.md lacks the line %s", line);
    }
    buffer_release(&page);
}

static void test_whole_steps(void **state)
{
    (void)state;
    struct learner_settings set = learner_published(LEARNER_A2C);
    set.steps = 1203;
    assert_int_equal(learner_whole_steps(&set), 1205);
    set.steps = 1205;
    assert_int_equal(learner_whole_steps(&set), 1205);
    set = learner_published(LEARNER_PPO);
    assert_int_equal(learner_whole_steps(&set), 30720);
    set = learner_published(LEARNER_DQN);
    assert_int_equal(learner_whole_steps(&set), 30000);
}

static int64_t reported;

static int count(void *arg, int64_t n)
{
    reported += n;
    return arg && reported >= *(int64_t *)arg;
}

static void test_progress(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct learner_progress p = { count, NULL, 1205, 0, 0 };
    while (p.n_done < p.n_all) {
        assert_int_equal(learner_advance(&p, 5, &err), OK);
        assert_true(p.n_done - reported < 500 || p.n_done == p.n_all);
    }
    assert_int_equal(reported, 1205);
    int64_t limit = 500;
    reported = 0;
    p = (struct learner_progress) { count, &limit, 1205, 0, 0 };
    enum status s = OK;
    while (!s)
        s = learner_advance(&p, 5, &err);
    assert_int_equal(s, E_INTERRUPTED);
    assert_non_null(strstr(err.msg, "500 of 1205"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_documentation),
        cmocka_unit_test(test_whole_steps),
        cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
