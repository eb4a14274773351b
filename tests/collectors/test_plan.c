/* Planning: what sessions are drawn from, that plans repeat and extend, scripts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "collectors/plan.h"
#include "m4a1/base/files.h"
#include "m4a1/base/text.h"
#include "schema/query.h"
#include "schema/recipe.h"
#include "tests/support/plan_case.h"

static struct plan_counts plan(int64_t n_sessions, int dry_run)
{
    struct plan_options options = plan_options_init();
    options.n_sessions = n_sessions;
    options.dry_run = dry_run;
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    if (plan_make(plan_store, &options, &counts, &err) != OK)
        fail_msg("%s", err.msg);
    return counts;
}

static void refuses(enum status expected, const char *message)
{
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    assert_int_equal(plan_make(plan_store, &options, &counts, &err), expected);
    if (!strstr(err.msg, message))
        fail_msg("expected '%s' in '%s'", message, err.msg);
    assert_int_equal(plan_number("SELECT count(*) FROM session"), 0);
}

static void says_what_is_missing(void **state)
{
    (void)state;
    plan_apply("{\"n\": 5, \"turns\": [3, 3], \"seed\": 1}");
    refuses(E_ARG, "no scene with a frame of every view");
    plan_add_scene(1, "half", "[]", 1);
    refuses(E_ARG, "no scene with a frame of every view");
    plan_add_scene(2, "whole", "[]", 2);
    refuses(E_ARG, "scene whole: 2 prompts suit it");
}

static void plans_hold_every_invariant(void **state)
{
    (void)state;
    plan_apply("{\"n\": 40, \"turns\": [2, 3], \"seed\": 1}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    plan_add_scene(2, "b", "[\"tool\", \"other\"]", 2);
    struct plan_counts counts = plan(-1, 0);
    assert_int_equal(counts.sessions, 40);
    assert_int_equal(counts.scenes, 2);
    assert_int_equal(counts.path, counts.turns);
    assert_int_equal(counts.reference, counts.turns);
    assert_int_equal(plan_number("SELECT count(*) FROM call"),
        counts.path + counts.fan_out + counts.reference);
    /* a session asks different prompts, each fan-out another action than the path's */
    assert_int_equal(
        plan_number("SELECT count(*) FROM (SELECT 1 FROM turn GROUP BY session_id, "
                    "prompt_id HAVING count(*) > 1)"),
        0);
    assert_int_equal(
        plan_number(
            "SELECT count(*) FROM call f JOIN call p ON p.turn_id = f.turn_id AND "
            "p.purpose = 'path' WHERE f.purpose = 'fan_out' AND f.llm_id = p.llm_id "
            "AND f.views_added = p.views_added"),
        0);
    /* an included action had probability m / (n - 1) */
    assert_int_equal(
        plan_number(
            "SELECT count(*) FROM call f JOIN call p ON p.turn_id = f.turn_id AND "
            "p.purpose = 'path' "
            "WHERE f.purpose = 'fan_out' AND abs(f.probability - min(1, 2.0 / "
            "(json_array_length(p.eligible) - 1))) > 1e-12"),
        0);
    assert_int_equal(
        plan_number("SELECT count(*) FROM call WHERE purpose = 'reference' AND "
                    "views_context <> 3"),
        0);
    plan_check();
}

/* Everything that identities depend on. */
static char *fingerprint(int64_t sessions)
{
    struct query *q;
    assert_int_equal(query_open(plan_store,
                         "SELECT group_concat(identity) FROM (SELECT c.identity FROM "
                         "call c JOIN turn USING "
                         "(turn_id) JOIN session USING (session_id) WHERE plan_index < ? "
                         "ORDER BY c.call_id)",
                         &q, NULL),
        OK);
    query_bind(q, "i", sessions);
    assert_int_equal(query_next(q, NULL), OK);
    char *text = text_copy(query_text(q, 0));
    query_close(q);
    return text;
}

static void plans_repeat_and_extend(void **state)
{
    (void)state;
    plan_apply("{\"n\": 6, \"turns\": [2, 3], \"seed\": 1}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    assert_int_equal(plan(-1, 1).sessions, 6); /* a dry run writes nothing */
    assert_int_equal(plan_number("SELECT count(*) FROM session"), 0);
    plan(-1, 0);
    char *six = fingerprint(6);
    struct plan_counts again = plan(-1, 0);
    assert_int_equal(again.sessions, 0);
    assert_int_equal(again.sessions_before, 6);
    struct plan_counts more = plan(9, 0);
    assert_int_equal(more.sessions, 3);
    char *still_six = fingerprint(6);
    assert_string_equal(six, still_six);
    free(still_six);

    /* the same content planned elsewhere gets the same identities */
    struct store *first = plan_store;
    char *path = path_join(plan_folder, "other.m4a1");
    assert_int_equal(store_create(path, "t", &plan_store, NULL), OK);
    plan_apply("{\"n\": 6, \"turns\": [2, 3], \"seed\": 1}");
    plan_add_scene(1, "renamed", "[\"tool\"]", 2);
    plan(-1, 0);
    char *elsewhere = fingerprint(6);
    assert_string_equal(six, elsewhere);
    store_close(plan_store);
    plan_store = first;
    free(path);
    free(elsewhere);
    free(six);
}

static struct plan_counts plan_as(const char *behaviour, int64_t n, int64_t samples)
{
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    options.behaviour = behaviour;
    options.n_sessions = n;
    options.samples = samples;
    if (plan_make(plan_store, &options, &counts, &err) != OK)
        fail_msg("%s", err.msg);
    return counts;
}

/* A policy that wants the last eligible action three times as much as the first, and says
 * how much of the dialogue it was shown. */
static int64_t n_shown;

static enum status want_the_last(void *data, const struct plan_inputs *in,
    const struct plan_step *steps, size_t n_steps, const struct behaviour_action *actions,
    size_t n_actions, double *wanted, struct error *err)
{
    (void)data, (void)err;
    for (size_t t = 0; t < n_steps; t++) {
        assert_non_null(steps[t].task);
        assert_true(steps[t].actor < in->n_actors);
        assert_int_equal(steps[t].added & ~steps[t].context, 0);
        if (t + 1 < n_steps)
            assert_int_equal(actions[0].added & steps[t].context, 0);
    }
    n_shown += (int64_t)n_steps - 1;
    for (size_t i = 0; i < n_actions; i++)
        wanted[i] = i == 0 ? 1 : i + 1 == n_actions ? 3 : 0;
    return OK;
}

/* Over many planned turns each action is chosen as often as its stored probabilities say:
 * the sum of (chosen - probability) is within 4.5 deviations of 0. */
static void assert_choices_follow(const char *behaviour)
{
    struct query *q;
    assert_int_equal(
        query_open(plan_store,
            "SELECT e.value ->> '$[0]', e.value ->> '$[1]',"
            " sum(l.name = e.value ->> '$[0]' AND c.views_added = e.value ->>"
            " '$[1]') AS chosen, sum(e.value ->> '$[2]') AS expected,"
            " sum((e.value ->> '$[2]') * (1 - (e.value ->> '$[2]')))"
            " FROM call c JOIN llm l USING (llm_id), json_each(c.eligible) e"
            " WHERE c.purpose = 'path' GROUP BY 1, 2",
            &q, NULL),
        OK);
    query_bind(q, "");
    while (query_next(q, NULL) == OK && query_has_row(q)) {
        double off = fabs(query_double(q, 2) - query_double(q, 3));
        if (off > 4.5 * sqrt(query_double(q, 4)) + 1e-9)
            fail_msg("%s: %s adding %lld was chosen %g times, %g expected", behaviour,
                query_text(q, 0), (long long)query_int(q, 1), query_double(q, 2),
                query_double(q, 3));
    }
    query_close(q);
}

static void choices_follow_what_is_stored(void **state)
{
    (void)state;
    static const char *const names[] = { "m4a1", "uniform", "balanced", "fixed",
        "policy" };
    plan_apply_with("{\"n\": 300, \"turns\": [2, 3], \"seed\": 1}", "",
        "{\"behaviour\": \"fixed\", \"action\": {\"llm\": \"gpt\", \"views\": "
        "\"bench\"}}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct plan_options options = plan_options_init();
        const struct plan_policy policy = { want_the_last, NULL, "p.json", "h" };
        struct plan_counts counts;
        struct error err = ERROR_INIT;
        options.behaviour = names[i];
        options.policy = &policy;
        options.epsilon = 0.2;
        options.seed = (int64_t)i;
        n_shown = 0;
        if (plan_make(plan_store, &options, &counts, &err) != OK)
            fail_msg("%s: %s", names[i], err.msg);
        assert_choices_follow(names[i]);
        if (i == 3)
            assert_int_equal(
                plan_number("SELECT count(*) FROM call c JOIN turn USING "
                            "(turn_id) JOIN session USING (session_id) JOIN "
                            "plan USING (plan_id) WHERE c.purpose = 'path' "
                            "AND behaviour = 'fixed' AND (c.probability <> 1 "
                            "OR views_context <> 2)"),
                0);
        assert_true((n_shown > 0) == (i == 4));
    }
    assert_int_equal(
        plan_number(
            "SELECT count(*) FROM plan WHERE behaviour = 'policy' AND settings ->> "
            "'$.policy_sha256' = 'h' AND settings ->> '$.epsilon' = 0.2"),
        1);
    plan_check();
}

/* The least-seen action has its turn, so no two actions of a state are more than one
 * apart; the probability is one over the number of ties. */
static void balanced_takes_the_least_seen(void **state)
{
    (void)state;
    plan_apply_with("{\"n\": 200, \"turns\": [2, 3], \"seed\": 1}", "", "{}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    plan_as("balanced", -1, 0);
    assert_in_range(
        plan_number(
            "SELECT max(n) - min(n) FROM (SELECT count(*) AS n FROM call c JOIN turn t "
            "USING (turn_id) JOIN prompt p USING (prompt_id) WHERE c.purpose = 'path' "
            "AND "
            "parent_id IS NULL AND task_id = 1 GROUP BY llm_id, views_added)"),
        0, 1);
    assert_int_equal(
        plan_number("SELECT count(*) FROM call c WHERE purpose = 'path' AND abs(1 / "
                    "c.probability - (SELECT sum(e.value ->> '$[2]' > 0) FROM "
                    "json_each(c.eligible) e)) > 1e-9"),
        0);
    /* more sessions later are those that were planned at once, whatever came before */
    char *all = fingerprint(200);
    plan_sql("DELETE FROM call WHERE purpose <> 'path'");
    plan_sql("UPDATE call SET parent_id = NULL");
    plan_sql("DELETE FROM call");
    plan_sql("DELETE FROM turn");
    plan_sql("DELETE FROM session");
    plan_as("balanced", 120, 0);
    plan_as("balanced", 200, 0);
    char *again = fingerprint(200);
    assert_string_equal(all, again);
    free(all);
    free(again);
    plan_check();
}

static void samples_ask_each_action_again(void **state)
{
    (void)state;
    plan_apply("{\"n\": 10, \"turns\": [2, 3], \"seed\": 1}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    struct plan_counts counts = plan_as(NULL, -1, 3);
    assert_int_equal(counts.reference, counts.turns);
    /* the path call, two more of it, and each fan-out action three times */
    int64_t actions =
        plan_number("SELECT count(*) FROM call WHERE sample = 0 AND purpose "
                    "= 'fan_out'");
    assert_int_equal(counts.fan_out, 2 * counts.path + 3 * actions);
    assert_int_equal(plan_number("SELECT max(sample) FROM call"), 2);
    assert_int_equal(
        plan_number("SELECT count(*) FROM call c JOIN call p ON p.call_id = c.parent_id "
                    "WHERE p.purpose <> 'path' OR p.sample <> 0"),
        0);
    plan_check();
}

static void behaviours_say_what_they_need(void **state)
{
    (void)state;
    struct plan_options options = plan_options_init();
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    plan_apply("{\"n\": 10, \"turns\": [2, 3], \"seed\": 1}");
    plan_add_scene(1, "a", "[\"tool\"]", 2);
    static const char *const cases[][2] = { { "policy", "needs a policy file" },
        { "fixed", "needs plan.action" }, { "x", "there is no behaviour" } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        options.behaviour = cases[i][0];
        assert_int_equal(plan_make(plan_store, &options, &counts, &err), E_ARG);
        assert_non_null(strstr(err.msg, cases[i][1]));
    }
}

static void scripts_are_followed(void **state)
{
    (void)state;
    plan_add_scene(0, "unused", "[]", 0);
    char *script = path_join(plan_folder, "s.jsonl");
    char *sessions = text_format("{\"script\": \"%s\"}", script);
    plan_write_file("s.jsonl", "{\"scene\": \"a\", \"prompts\": [\"q3\", \"q1\"], "
                               "\"actions\": [{\"llm\": \"gpt\", "
                               "\"views\": [\"bench\"]}, {\"llm\": \"phi\"}]}\n\n"
                               "{\"scene\": \"a\", \"prompts\": [\"q1\"]}\n");
    plan_apply(sessions);
    plan_add_scene(1, "a", "[]", 2);
    assert_int_equal(plan(-1, 0).sessions, 2);
    assert_int_equal(
        plan_number("SELECT count(*) FROM call JOIN llm USING (llm_id) WHERE purpose = "
                    "'path' AND name = 'gpt' AND views_added = 2 AND probability = 1"),
        1);
    assert_int_equal(
        plan_number("SELECT count(*) FROM call JOIN llm USING (llm_id) WHERE purpose = "
                    "'path' AND name = 'phi' AND views_context = 2"),
        1);
    assert_int_equal(plan(-1, 0).sessions, 0);

    /* it may grow, but what was planned from it stays */
    plan_write_file("s.jsonl", "{\"scene\": \"a\", \"prompts\": [\"q1\"]}\n"
                               "{\"scene\": \"a\", \"prompts\": [\"q1\"]}\n"
                               "{\"scene\": \"a\", \"prompts\": [\"q3\"]}\n");
    struct plan_options options = { .n_sessions = -1, .seed = -1, .fan_out = -2 };
    struct plan_counts counts;
    struct error err = ERROR_INIT;
    assert_int_equal(plan_make(plan_store, &options, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "s.jsonl:1: is not what was planned for this line"));
    options.n_sessions = 5;
    assert_int_equal(plan_make(plan_store, &options, &counts, &err), E_ARG);
    assert_non_null(strstr(err.msg, "leave out --sessions"));
    free(script);
    free(sessions);
}

static void scripts_name_their_line(void **state)
{
    (void)state;
    char *script = path_join(plan_folder, "s.jsonl");
    char *sessions = text_format("{\"script\": \"%s\"}", script);
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "{\"scene\": \"a\", \"prompts\": [\"q1\"]}\n{\"scene\"}\n",
            "s.jsonl, line 2:1:" },
        { "\n{\"scene\": \"b\", \"prompts\": [\"q1\"]}\n",
            "s.jsonl:2: scene b: no such scene" },
        { "{\"scene\": \"a\", \"prompts\": [\"q9\"]}\n",
            "prompts[0]: the recipe has no prompt 'q9'" },
        { "{\"scene\": \"a\", \"prompts\": []}\n", "expected an array of prompt ids" },
        { "{\"scene\": \"a\", \"prompts\": [\"q1\"], \"action\": []}\n",
            "unknown key 'action'" },
        { "{\"scene\": \"a\", \"prompts\": [\"q1\"], \"actions\": [{\"llm\": "
          "\"ref\"}]}\n",
            "no local or cloud llm 'ref'" },
        { "{\"scene\": \"a\", \"prompts\": [\"q1\"], \"actions\": [{\"llm\": \"phi\", "
          "\"views\": "
          "[\"head\"]}]}\n",
            "llm phi accepts no images, but action \"head\" brings view head" },
        { "{\"scene\": \"a\", \"prompts\": [\"q2\"]}\n",
            "lacks a tag that prompt 'q2' needs" },
        { "\n", "holds no session" },
    };
    plan_write_file("s.jsonl", "");
    plan_apply(sessions);
    plan_add_scene(1, "a", "[]", 2);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        plan_write_file("s.jsonl", cases[i].text);
        refuses(i == 6 ? E_ARG : E_DATA, cases[i].message);
    }
    free(script);
    free(sessions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            says_what_is_missing, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            plans_hold_every_invariant, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            plans_repeat_and_extend, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            choices_follow_what_is_stored, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            balanced_takes_the_least_seen, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            samples_ask_each_action_again, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            behaviours_say_what_they_need, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            scripts_are_followed, plan_set_up, plan_tear_down),
        cmocka_unit_test_setup_teardown(
            scripts_name_their_line, plan_set_up, plan_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
