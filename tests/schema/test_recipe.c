/* test_recipe.c - recipes: what loads, and what is told where one does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/files.h"
#include "m4a1/base/clock.h"
#include "m4a1/base/text.h"
#include "schema/recipe.h"
#include "schema/recipe_reader.h"
#include "tests/support/recipe_samples.h"

/* Load text that must be wrong; the list of mistakes, which the caller frees. */
static char *bad(const char *text)
{
    struct recipe *recipe;
    struct buffer problems;
    struct error err = ERROR_INIT;
    buffer_init(&problems, TEXT_MAX);
    assert_int_equal(
        recipe_parse("r.jsonc", NULL, text, strlen(text), &recipe, &problems, &err),
        E_DATA);
    assert_null(recipe);
    assert_true(strlen(err.msg) > 10);
    char *list = text_copy(buffer_str(&problems));
    assert_non_null(list);
    buffer_release(&problems);
    return list;
}

static size_t count_lines(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void expect(const char *list, const char *line)
{
    if (!strstr(list, line))
        fail_msg("no line has: %s\n%s", line, list);
}

/* ---- reading ---- */

static void test_builtin(void **state)
{
    (void)state;
    struct recipe *r;
    struct error err = ERROR_INIT;
    static const char *const views[] = { "first_person", "side", "overhead" };
    static const char *const tasks[] = { "Assistive System", "Message Editing", "Query",
        "Recommendation" };
    assert_int_equal(recipe_load("m4a1", &r, NULL, &err), OK);
    assert_int_equal(r->n_views, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(r->views[i].name, views[i]);
        assert_int_equal(r->views[i].kind, VIEW_IMAGE);
        assert_true(r->views[i].privacy > 0);
    }
    assert_int_equal(r->n_tasks, 4);
    assert_int_equal(r->n_prompts, 20);
    for (size_t t = 0; t < 4; t++) {
        int n = 0;
        assert_string_equal(r->tasks[t], tasks[t]);
        for (size_t i = 0; i < r->n_prompts; i++)
            n += text_equal(r->prompts[i].task, tasks[t]);
        assert_int_equal(n, 5);
    }
    assert_int_equal(r->sessions.min_turns, 2);
    assert_int_equal(r->sessions.max_turns, 5);
    assert_int_equal(r->n_llms, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(r->llms[i].role, i); // one of each
        assert_true(
            json_int(json_get(r->llms[i].parameters, "max_completion_tokens"), 0) > 0);
        assert_true(r->llms[i].image_tokens > 0);
        int n = 0;
        for (size_t k = 0; k < r->n_prices; k++)
            n += text_equal(r->prices[k].llm, r->llms[i].name);
        assert_true(n > 0);
    }
    assert_string_equal(r->llms[0].device, "Jetson TX2");
    assert_string_equal(r->plan.behaviour, "m4a1");
    assert_string_equal(r->text, recipe_builtin());
    assert_non_null(strstr(r->text, "//"));
    recipe_free(r);
}

static void test_values_and_defaults(void **state)
{
    (void)state;
    struct recipe *r = good(small);
    assert_string_equal(r->name, "small");
    assert_string_equal(r->path, "r.jsonc");
    assert_int_equal(r->sessions.n, 3);
    assert_int_equal(r->sessions.seed, 7);
    assert_int_equal(r->frames.longest_side_px, 768);
    assert_int_equal(r->frames.jpeg_quality, 90);
    assert_int_equal(r->frames.n_at, 1);
    assert_true(r->frames.at_s[0] == 0);
    assert_int_equal(r->history.keep_images, 1);
    assert_int_equal(r->history.max_turns, -1);
    assert_int_equal(r->plan.fan_out, 0);
    assert_true(r->plan.max_usd < 0);
    assert_int_equal(r->plan.samples, 1);
    assert_true(r->plan.anchors == 0.02);
    assert_int_equal(r->plan.minima.per_cell, 5);
    assert_int_equal(r->plan.minima.per_action, 0);
    assert_int_equal(r->plan.minima.per_state, 2);
    assert_int_equal(r->plan.minima.per_prompt, 1);
    assert_null(r->plan.policy);
    assert_string_equal(r->split.group, "session");
    assert_true(r->split.train == 0.8);
    assert_int_equal(r->annotate.judge_sees_views, 1);

    const struct llm *phi = &r->llms[0], *gpt = &r->llms[1];
    assert_string_equal(phi->endpoint, "127.0.0.1");
    assert_string_equal(phi->url, "http://127.0.0.1:8080");
    assert_int_equal(phi->accepts[VIEW_IMAGE], 1);
    assert_int_equal(phi->slots, 1);
    assert_null(phi->key_env);
    assert_string_equal(phi->system_prompt, "Be brief.");
    assert_string_equal(gpt->endpoint, "api.example.com");
    assert_string_equal(gpt->key_env, "SOME_KEY");
    assert_int_equal(gpt->accepts[VIEW_IMAGE], -1);
    assert_int_equal(strlen(gpt->identity), HASH_HEX - 1);

    assert_int_equal(r->n_actions, 2);
    assert_int_equal(r->actions[0].n_sets, 2);
    assert_int_equal(r->actions[0].sets[0], 0);
    assert_int_equal(r->actions[0].sets[1], 1);
    assert_int_equal(r->actions[1].all_subsets, 1);
    recipe_free(r);
}

static void test_like(void **state)
{
    (void)state;
    struct recipe *r = good(small);
    const struct llm *gpt = &r->llms[1], *judge = &r->llms[2];
    assert_int_equal(judge->role, LLM_JUDGE);
    assert_string_equal(judge->model, "bigger");
    assert_string_equal(judge->url, gpt->url);
    assert_string_equal(judge->key_env, "SOME_KEY");
    assert_int_equal(judge->slots, 4);
    assert_null(judge->system_prompt); // the common one is the assistant's
    recipe_free(r);

    char *text = with(small, "\"like\": \"gpt\"", "\"like\": \"gpt\", \"key_env\": null");
    r = good(text);
    assert_null(r->llms[2].key_env);
    recipe_free(r);
    free(text);

    text = with(small, "\"slots\": 4",
        "\"slots\": 4, \"options\": {\"detail\": \"low\"}, \"cache\": \"avoid\"");
    r = good(text);
    for (size_t i = 1; i <= 2; i++) { // the judge is like it
        assert_string_equal(
            json_text(json_get(r->llms[i].options, "detail"), NULL), "low");
        assert_true(r->llms[i].avoid_cache);
    }
    assert_null(r->llms[0].options);
    assert_false(r->llms[0].avoid_cache);
    recipe_free(r);
    free(text);

    text = with(small, "\"like\": \"gpt\"", "\"like\": \"judge\"");
    char *list = bad(text);
    expect(list, "r.jsonc:16: llms.judge.like: ");
    assert_int_equal(count_lines(list), 1);
    free(list);
    free(text);
}

static void test_same_llm_twice(void **state)
{
    (void)state;
    char *text =
        with(small, "\"role\": \"judge\", \"like\": \"gpt\", \"model\": \"bigger\"",
            "\"like\": \"gpt\"");
    char *list = bad(text);
    expect(list, "r.jsonc:16: llms.judge: ");
    expect(list, "\"gpt\"");
    free(list);
    free(text);
    // Another role, or another name of the endpoint, makes another llm.
    text = with(small, "\"role\": \"judge\", \"like\": \"gpt\", \"model\": \"bigger\"",
        "\"like\": \"gpt\", \"endpoint\": \"second\"");
    recipe_free(good(text));
    free(text);
}

static void test_prices_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *usd;
        int64_t pusd;
    } cases[] = { { "0", 0 }, { "0.000001", 1 }, { "0.0375", 37500 }, { "0.07", 70000 },
        { "0.075", 75000 }, { "0.29", 290000 }, { "1.1", 1100000 }, { "2.675", 2675000 },
        { "10.00", 10000000 }, { "75", 75000000 }, { "999999.999999", 999999999999 },
        { "1000000", 1000000000000 } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *value = text_format("\"input_usd\": %s", cases[i].usd);
        char *text = with(small, "\"input_usd\": 2.5", value);
        struct recipe *r = good(text);
        assert_int_equal(r->prices[0].input_pusd, cases[i].pusd);
        assert_int_equal(r->prices[0].cache_read_pusd, cases[i].pusd);
        assert_int_equal(r->prices[0].cache_write_pusd, cases[i].pusd);
        assert_int_equal(r->prices[0].output_pusd, 10000000);
        assert_int_equal(r->prices[0].valid_from_ms, 1795305600000);
        recipe_free(r);
        free(text);
        free(value);
    }
    char *text = with(small, "\"input_usd\": 2.5",
        "\"input_usd\": 2.5, \"cached_input_usd\": 0.25, \"cache_write_usd\": 3.125");
    struct recipe *r = good(text);
    assert_int_equal(r->prices[0].cache_read_pusd, 250000);
    assert_int_equal(r->prices[0].cache_write_pusd, 3125000);
    recipe_free(r);
    free(text);
}

/* Steps by the prompt's size and by service tier; every prompt has a price. */
static void test_price_tiers(void **state)
{
    (void)state;
    static const char row[] =
        "{\"llm\": \"gpt\", \"from\": \"2026-11-22\", \"input_usd\": 2.5,";
    static const char both[] =
        "{\"llm\": \"gpt\", \"from\": \"2026-11-22\", \"min_input_tokens\": 200001,"
        " \"service_tier\": \"flex\", \"input_usd\": 5, \"output_usd\": 15, \"source\": "
        "\"t\"},"
        "{\"llm\": \"gpt\", \"from\": \"2026-11-22\", \"service_tier\": \"flex\","
        " \"input_usd\": 1, \"output_usd\": 5, \"source\": \"t\"},"
        "{\"llm\": \"gpt\", \"from\": \"2026-11-22\", \"input_usd\": 2.5,";
    char *text = with(small, row, both);
    struct recipe *r = good(text);
    assert_int_equal(r->n_prices, 3);
    assert_string_equal(r->prices[0].service_tier, "flex");
    assert_int_equal(r->prices[0].min_input_tokens, 200001);
    assert_string_equal(r->prices[2].service_tier, "standard");
    assert_int_equal(r->prices[2].min_input_tokens, 0);
    recipe_free(r);
    free(text);

    static const char *const wrong[][2] = {
        { "\"input_usd\": 2.5, \"min_input_tokens\": 1000", "for smaller prompts" },
        { "\"input_usd\": 2.5, \"min_input_tokens\": -1", "min_input_tokens: expected" },
        { "\"input_usd\": 2.5, \"service_tier\": \"Flex\"", "in small letters" },
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        text = with(small, "\"input_usd\": 2.5", wrong[i][0]);
        char *list = bad(text);
        expect(list, wrong[i][1]);
        free(list);
        free(text);
    }
}

static void test_energy_and_own_cap(void **state)
{
    (void)state;
    char *text = with_all(small, "\"device\": \"Jetson TX2\"",
        "\"device\": \"Jetson TX2\", \"watts\": 15, \"usd_per_kwh\": 0.31",
        "\"slots\": 4", "\"slots\": 4, \"limits\": {\"rpm\": 60, \"max_usd\": 12.5}",
        NULL);
    struct recipe *r = good(text);
    assert_true(r->llms[0].watts == 15 && r->llms[0].usd_per_kwh == 0.31);
    assert_true(r->llms[0].max_usd == 0 && r->llms[1].max_usd == 12.5);
    assert_true(r->llms[1].watts == 0);
    recipe_free(r);
    free(text);
    text = with(
        small, "\"device\": \"Jetson TX2\"", "\"device\": \"Jetson TX2\", \"watts\": 15");
    char *list = bad(text);
    expect(list, "together");
    free(list);
    free(text);
}

static void test_days(void **state)
{
    (void)state;
    static const struct {
        const char *day;
        int64_t ms;
    } days[] = { { "2000-02-29", 951782400000 }, { "2024-02-29", 1709164800000 },
        { "2026-01-01", 1767225600000 }, { "2026-12-31", 1798675200000 },
        { "2199-12-31", 7258032000000 } };
    static const char *const no_days[] = { "2026-02-29", "2100-02-29", "2026-00-10",
        "2026-13-01", "2026-04-31", "2026-1-1", "2026-11-22T00:00", "26-11-2200", "",
        "1999-12-31" };
    for (size_t i = 0; i < COUNT_OF(days); i++) {
        char *text = with(small, "2026-11-22", days[i].day);
        struct recipe *r = good(text);
        assert_int_equal(r->prices[0].valid_from_ms, days[i].ms);
        recipe_free(r);
        free(text);
    }
    for (size_t i = 0; i < COUNT_OF(no_days); i++) {
        char *text = with(small, "2026-11-22", no_days[i]);
        char *list = bad(text);
        expect(list, "r.jsonc:17: prices[0].from: expected a day");
        free(list);
        free(text);
    }
}

static void test_terms_of_the_plan(void **state)
{
    (void)state;
    char *text = with(small, "\"actions\"",
        "\"plan\": {\"behaviour\": \"policy\", \"policy\": \"/tmp/p.json\", \"epsilon\": "
        "0.25, \"greedy\": true, \"samples\": 3, \"anchors\": 0.5, \"fan_out\": \"all\", "
        "\"minima\": {\"per_cell\": 0, \"per_action\": 7}}, \"actions\"");
    struct recipe *r = good(text);
    assert_string_equal(r->plan.policy, "/tmp/p.json");
    assert_true(r->plan.epsilon == 0.25);
    assert_true(r->plan.greedy);
    assert_int_equal(r->plan.samples, 3);
    assert_int_equal(r->plan.fan_out, -1);
    assert_true(r->plan.anchors == 0.5);
    assert_int_equal(r->plan.minima.per_cell, 0);
    assert_int_equal(r->plan.minima.per_action, 7);
    assert_int_equal(r->plan.minima.per_state, 2);
    recipe_free(r);
    free(text);

    text = with(small, "\"actions\"",
        "\"plan\": {\"behaviour\": \"fixed\", \"action\": {\"llm\": \"gpt\", \"views\": "
        "\"bench+head\"}}, \"actions\"");
    r = good(text);
    assert_string_equal(r->plan.action_llm, "gpt");
    assert_int_equal(r->plan.action_views, 3);
    recipe_free(r);
    free(text);
}

static void test_script_instead_of_samples(void **state)
{
    (void)state;
    char *text = with(small, "{\"n\": 3, \"turns\": [2, 4], \"seed\": 7}",
        "{\"script\": \"/tmp/sessions.jsonl\"}");
    struct recipe *r = good(text);
    assert_string_equal(r->sessions.script, "/tmp/sessions.jsonl");
    recipe_free(r);
    free(text);
}

/* Views of every kind, and what an llm accepts of them. */
static void test_kinds_of_views(void **state)
{
    (void)state;
    char *text = with_all(small, "\"kind\": \"image\"", "\"kind\": \"video\"",
        "{\"image\": 1}", "{\"image\": 4}", NULL);
    struct recipe *r = good(text);
    assert_int_equal(r->views[0].kind, VIEW_VIDEO);
    assert_int_equal(r->views[0].clip_frames, 4);
    assert_true(r->views[0].clip_every_s == 1);
    assert_true(r->frames.audio_s == 10);
    assert_int_equal(r->llms[0].max_image_px, 0);
    assert_int_equal(r->llms[0].max_image_bytes, 0);
    assert_false(r->llms[0].resizes_images);
    recipe_free(r);
    free(text);

    text = with(small, "\"kind\": \"image\"",
        "\"kind\": \"video\", \"clip\": {\"frames\": 16, \"every_s\": 0.25}");
    char *limited = with(text, "{\"image\": 1}",
        "{\"image\": 16, \"image_px\": 1568, \"image_bytes\": 100000, "
        "\"too_large\": \"resize\"}");
    r = good(limited);
    const struct llm *phi = &r->llms[0];
    assert_int_equal(r->views[0].clip_frames, 16);
    assert_true(r->views[0].clip_every_s == 0.25);
    assert_int_equal(phi->max_image_px, 1568);
    assert_int_equal(phi->max_image_bytes, 100000);
    assert_true(phi->resizes_images);
    recipe_free(r);
    free(limited);
    free(text);
}

/* The sets that are listed for an llm hold no more than it accepts. */
static void test_sets_are_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *accepts, *found;
    } cases[] = {
        { "image", "\"image\": 1", NULL },
        { "image", "\"image\": 0", "expected at most 0 images" },
        { "video", "\"image\": 4", NULL },
        { "video", "\"image\": 3",
            "expected at most 3 images, as llm phi accepts (this "
            "set has 4: head), found \"head\"" },
        { "video", "\"video\": 0", "expected at most 0 videos" },
        { "text", "\"image\": 0", NULL },
        { "audio", "\"image\": 9", "expected at most 0 audio views" },
        { "audio", "\"audio\": 1", NULL },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char kind[40], accepts[40];
        snprintf(kind, sizeof kind, "\"kind\": \"%s\"", cases[i].kind);
        snprintf(accepts, sizeof accepts, "{%s}", cases[i].accepts);
        char *text =
            with_all(small, "\"kind\": \"image\"", kind, "{\"image\": 1}", accepts, NULL);
        if (cases[i].found) {
            char *list = bad(text);
            expect(list, "actions.phi[1]");
            expect(list, cases[i].found);
            free(list);
        } else {
            recipe_free(good(text));
        }
        free(text);
    }
}

/* ---- mistakes ---- */

static void test_one_mistake_each(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *line;
    } cases[] = {
        { "\"m4a1_recipe\": 1", "\"m4a1_recipe\": 2", ":1: m4a1_recipe: expected 1" },
        { "\"m4a1_recipe\": 1, ", "", ":1: m4a1_recipe: expected 1" },
        { "\"name\": \"small\"", "\"name\": \" \"", ":1: name: expected" },
        { "\"name\": \"small\"", "\"name\": \"s\", \"licence\": 3", ":1: licence: " },
        { "\"privacy\": 2", "\"privacy\": -1", ":2: views[0].privacy: expected" },
        { "\"privacy\": 2", "\"privacy\": 1.5", ":2: views[0].privacy: expected" },
        { "\"kind\": \"image\"", "\"kind\": \"film\"", ":2: views[0].kind: expected" },
        { "\"kind\": \"image\"", "\"kind\": \"image\", \"clip\": {}",
            ":2: views[0].clip: expected no \"clip\"" },
        { "\"kind\": \"image\"", "\"kind\": \"video\", \"clip\": {\"frames\": 17}",
            ":2: views[0].clip.frames: expected" },
        { "\"kind\": \"image\"", "\"kind\": \"video\", \"clip\": {\"every_s\": 0}",
            ":2: views[0].clip.every_s: expected" },
        { "\"kind\": \"image\"", "\"kind\": \"video\", \"clip\": 3",
            ":2: views[0].clip: expected an object" },
        { "\"head\"", "\"he+ad\"", ":2: views[0].name: expected" },
        { "\"privacy\": 2", "\"privasy\": 2", "did you mean \"privacy\"" },
        { "\"bench\"", "\"head\"", ":3: views[1].name: expected a name once" },
        { "\"tasks\": [\"Query\", \"Advice\"]",
            "\"tasks\": [\"Query\", \"Advice\", \"Query\"]", ":4: tasks[2]: " },
        { "\"task\": \"Query\"", "\"task\": \"Qeury\"",
            ":5: prompts[0].task: expected one of the tasks (did you mean \"Query\"?)" },
        { "\"text\": \"Which tool?\"", "\"text\": \"\"", ":5: prompts[0].text: " },
        { "{\"id\": \"a1\"", "{\"id\": \"q1\"",
            ":6: prompts[1].id: expected an id once" },
        { "\"task\": \"Advice\", \"text\": \"What next?\"",
            "\"task\": \"Query\", \"text\": \"Which tool?\"", ":6: prompts[1].text: " },
        { "\"text\": \"Which tool?\"", "\"text\": \"t\", \"needs\": \"x\"",
            ":5: prompts[0].needs: " },
        { "\"n\": 3", "\"n\": 0", ":7: sessions.n: " },
        { "[2, 4]", "[4, 2]", ":7: sessions.turns: expected the fewest turns first" },
        { "[2, 4]", "[2]", ":7: sessions.turns: " },
        { "\"seed\": 7", "\"seed\": -7", ":7: sessions.seed: " },
        { "\"Be brief.\"", "7", ":8: system_prompt: " },
        { "\"role\": \"local\"", "\"role\": \"loca\"", ":10: llms.phi.role: expected" },
        { "\"protocol\": \"openai-chat\"", "\"protocol\": \"\"",
            ":10: llms.phi.protocol" },
        { "\"phi\": {\"role\"", "\"p hi\": {\"role\"", ":10: llms.p hi: " },
        { "http://127", "htp://127", ":11: llms.phi.url: " },
        { "http://127", "http://me:pw@127", ":11: llms.phi.url: " },
        { ":8080", ":80800", ":11: llms.phi.url: expected a base address" },
        { "http://127", "http://\\u001b127", ":11: llms.phi.url: expected a base" },
        { "\"slots\": 4", "\"parameters\": {\"seed\": 12345678901234567890}",
            ":15: llms.gpt.parameters.seed: expected a number below 9007199254740992" },
        { "\"slots\": 4", "\"parameters\": {\"a\": [1, {\"b\": -9007199254740993}]}",
            ":15: llms.gpt.parameters.a[1].b: expected a number below" },
        { "\"accepts\": {\"image\": 1}", "\"accepts\": {\"images\": 1}",
            "did you mean \"image\"" },
        { "\"accepts\": {\"image\": 1}", "\"accepts\": {\"image_px\": 0}",
            "llms.phi.accepts.image_px: expected" },
        { "\"accepts\": {\"image\": 1}", "\"accepts\": {\"image_bytes\": 1}",
            "llms.phi.accepts.image_bytes: expected" },
        { "\"accepts\": {\"image\": 1}", "\"accepts\": {\"too_large\": \"cut\"}",
            "llms.phi.accepts.too_large: expected" },
        { "\"device\"", "\"views\": \"all\", \"device\"", ":12: llms.phi.views: " },
        { "\"slots\": 4", "\"slots\": 0", ":15: llms.gpt.slots: " },
        { "\"slots\": 4", "\"slots\": 4, \"parameters\": []",
            ":15: llms.gpt.parameters" },
        { "\"slots\": 4", "\"slots\": 4, \"options\": \"low\"",
            ":15: llms.gpt.options: " },
        { "\"slots\": 4", "\"slots\": 4, \"cache\": \"avoided\"",
            ":15: llms.gpt.cache: " },
        { "\"slots\": 4", "\"slots\": 4, \"limits\": {\"rpm\": 0}",
            ":15: llms.gpt.limits.rpm: " },
        { "\"slots\": 4", "\"slots\": 4, \"device\": \"x\"", ":15: llms.gpt.device: " },
        { "\"slots\": 4", "\"slots\": 4, \"timeout_s\": 0", ":15: llms.gpt.timeout_s: " },
        { "\"llm\": \"gpt\"", "\"llm\": \"gtp\"",
            ":17: prices[0].llm: expected an llm of this recipe (did you mean "
            "\"gpt\"?)" },
        { "\"input_usd\": 2.5", "\"input_usd\": 0.0000001",
            ":17: prices[0].input_usd: expected USD per million tokens with at most "
            "six" },
        { "\"input_usd\": 2.5,", "", ":17: prices[0].input_usd: " },
        { ",\n               \"output_usd\": 10", "", ":17: prices[0].output_usd: " },
        { ", \"source\": \"test\"", "", ":17: prices[0].source: " },
        { "[\"\", \"head\"]", "[\"\", \"haed\"]", ":19: actions.phi[1]: " },
        { "[\"\", \"head\"]", "[\"\", \"head+\"]", ":19: actions.phi[1]: " },
        { "[\"\", \"head\"]", "[\"\", \"head+head\"]", ":19: actions.phi[1]: " },
        { "[\"\", \"head\"]", "[\"\", \"\"]", ":19: actions.phi[1]: " },
        { "[\"\", \"head\"]", "[\"head+bench\"]", "at most 1 image," },
        { "[\"\", \"head\"]", "[]", ":19: actions.phi: " },
        { "\"*\"", "\"judge\"", "one of role \"judge\"" },
        { ", \"*\": \"all_subsets\"", "", "expected an entry for llm \"gpt\"" },
        { "\"actions\"", "\"plan\": {\"behaviour\": \"x\"}, \"actions\"",
            ":19: plan.behaviour: " },
        { "\"actions\"", "\"plan\": {\"behaviour\": \"policy\"}, \"actions\"",
            ":19: plan.policy: " },
        { "\"actions\"", "\"plan\": {\"epsilon\": 0.1}, \"actions\"",
            ":19: plan.epsilon: expected only beside" },
        { "\"actions\"", "\"plan\": {\"action\": {}}, \"actions\"",
            ":19: plan.action: expected only beside" },
        { "\"actions\"", "\"plan\": {\"behaviour\": \"fixed\"}, \"actions\"",
            ":19: plan.action: " },
        { "\"actions\"",
            "\"plan\": {\"behaviour\": \"fixed\", \"action\": {\"llm\": \"judge\"}}, "
            "\"actions\"",
            ":19: plan.action.llm: expected a local or cloud llm" },
        { "\"actions\"",
            "\"plan\": {\"behaviour\": \"fixed\", \"action\": {\"llm\": \"gpt\", "
            "\"views\": \"haed\"}}, \"actions\"",
            ":19: plan.action.views: " },
        { "\"actions\"", "\"plan\": {\"samples\": 0}, \"actions\"",
            ":19: plan.samples: " },
        { "\"actions\"", "\"plan\": {\"anchors\": 2}, \"actions\"",
            ":19: plan.anchors: " },
        { "\"actions\"", "\"plan\": {\"minima\": {\"per_cel\": 2}}, \"actions\"",
            "plan.minima" },
        { "\"actions\"", "\"plan\": {\"minima\": {\"per_cell\": -2}}, \"actions\"",
            ":19: plan.minima.per_cell: " },
        { "\"actions\"", "\"plan\": {\"fan_out\": -1}, \"actions\"",
            ":19: plan.fan_out: " },
        { "\"actions\"", "\"plan\": {\"max_usd\": -1}, \"actions\"",
            ":19: plan.max_usd: " },
        { "\"actions\"", "\"frames\": {\"at_s\": [1], \"every_s\": 2}, \"actions\"",
            ":19: frames: expected either" },
        { "\"actions\"", "\"frames\": {\"at_s\": [1, 1]}, \"actions\"",
            ":19: frames.at_s[1]: " },
        { "\"actions\"", "\"frames\": {\"jpeg_quality\": 0}, \"actions\"",
            ":19: frames.jpeg_quality: " },
        { "\"actions\"", "\"history\": {\"images\": \"x\"}, \"actions\"",
            ":19: history.images: " },
        { "\"actions\"",
            "\"annotate\": {\"judge\": {\"template\": \"{question} {reference}\"}}, "
            "\"actions\"",
            ":19: annotate.judge.template: expected the place {candidate}" },
        { "\"actions\"", "\"split\": {\"train\": 1}, \"actions\"", ":19: split.train: " },
        { "\"actions\"", "\"reward\": {}, \"actions\"", ":19: reward: expected a known" },
        { "\"actions\"", "\"annotate\": {\"judge\": {\"swap\": true}}, \"actions\"",
            ":19: annotate.judge.swap: expected a known key" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *text = with(small, cases[i].from, cases[i].to);
        char *list = bad(text);
        expect(list, cases[i].line);
        if (!text_starts(list, "r.jsonc:"))
            fail_msg("no file and line: %s", list);
        free(list);
        free(text);
    }
}

static void test_all_mistakes_at_once(void **state)
{
    (void)state;
    char *a = with(small, "\"privacy\": 2", "\"privacy\": \"high\"");
    char *b = with(a, "\"slots\": 4", "\"slotts\": 4");
    char *c = with(b, "[2, 4]", "[2, \"x\"]");
    char *d = with(c, "2026-11-22", "yesterday");
    char *list = bad(d);
    assert_int_equal(count_lines(list), 4);
    expect(list,
        "r.jsonc:2: views[0].privacy: expected the privacy level (0 = public): a "
        "whole number from 0 to 100, found \"high\"\n");
    expect(list, "r.jsonc:7: sessions.turns[1]: ");
    expect(list, "r.jsonc:15: llms.gpt.slotts: expected a known key (did you mean "
                 "\"slots\"?), found \"slotts\"\n");
    expect(list, "r.jsonc:17: prices[0].from: expected a day like \"2026-11-22\", found "
                 "\"yesterday\"\n");
    free(list);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void test_not_json(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "{", "[]", "{} {}", "{\"a\": 1, \"a\": 2}",
        "\xff", "null", "{\"m4a1_recipe\": 1,\n \"name\" \"x\"}" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char *list = bad(texts[i]);
        expect(list, "r.jsonc:");
        assert_int_equal(count_lines(list), 1);
        free(list);
    }
}

static void test_secrets_are_refused_and_not_repeated(void **state)
{
    (void)state;
    static const char secret[] = "sk-0a1b2c3d4e5f";
    static const struct {
        const char *from, *to;
    } cases[] = {
        { "\"SOME_KEY\"", "\"sk-0a1b2c3d4e5f\"" },
        { "\"key_env\": \"SOME_KEY\"", "\"api_key\": \"sk-0a1b2c3d4e5f\"" },
        { "\"key_env\": \"SOME_KEY\"", "\"key\": \"sk-0a1b2c3d4e5f\"" },
        { "\"key_env\": \"SOME_KEY\"", "\"Authorization\": \"sk-0a1b2c3d4e5f\"" },
        { "\"slots\": 4",
            "\"parameters\": {\"headers\": {\"authorization\": \"sk-0a1b2c3d4e5f\"}}" },
        { "https://api", "https://sk-0a1b2c3d4e5f@api" },
        { "/v1\"", "/v1?key=sk-0a1b2c3d4e5f\"" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *text = with(small, cases[i].from, cases[i].to);
        char *list = bad(text);
        assert_null(strstr(list, secret));
        free(list);
        free(text);
    }
    char *text = with(small, "\"key_env\": \"SOME_KEY\"", "\"api_key\": \"x\"");
    char *list = bad(text);
    expect(list, "environment variable");
    expect(list, "key_env");
    free(list);
    free(text);
}

#define SK "sk-proj-aB3dE5gH7jK9mN1pQ3sT5vX7"

/* Keys as values of any key, in texts, in names and in comments: the place is told, and
 * the key nowhere. */
static void test_pasted_keys_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *place;
    } cases[] = {
        { "\"slots\": 4", "\"slots\": \"" SK "\"", "llms.gpt.slots: " },
        { "\"slots\": 4", "\"system_prompt\": \"Use " SK " for it.\"",
            "llms.gpt.system_prompt: " },
        { "\"slots\": 4", "\"" SK "\": 4", "llms.gpt.***" },
        { "\"slots\": 4", "\"parameters\": {\"user\": [\"\", \"" SK "\"]}",
            "llms.gpt.parameters.user[1]: " },
        { "\"slots\": 4",
            "\"parameters\": {\"user\": \"\\u0073"
            "k-proj-"
            "aB3dE5gH7jK9mN1pQ3sT5vX7\"}",
            "llms.gpt.parameters.user: " },
        { "\"slots\": 4", "\"slots\": 4 // mine: " SK "\n", "(comment): " },
        { "\"slots\": 4", "\"slots\": /*\n" SK "*/ 4", "(comment): " },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *text = with(small, cases[i].from, cases[i].to);
        char *list = bad(text);
        expect(list, cases[i].place);
        expect(list, "what looks like a key that begins with \"sk-\"");
        assert_null(strstr(list, "aB3dE5gH"));
        free(list);
        free(text);
    }
}

/* The value of one key becomes a text. */
static char *with_name(const char *name)
{
    char *quoted = text_format("\"consent\": \"%s\", \"tasks\"", name);
    char *text = with(small, "\"tasks\"", quoted);
    free(quoted);
    return text;
}

static void test_shapes_of_keys(void **state)
{
    (void)state;
    static const char *const keys[] = { SK, "sk-0123456789abcdefghij",
        "sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2-_A", "sk-or-v1-00112233445566778899aabb",
        ("(" SK ")"), ("key=" SK), "Authorization: Bearer abcdefghijklmnop12345",
        "authorization: bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def",
        "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "gsk_0123456789abcdefghijABCDEFGHIJ0123456789",
        "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
        "xai-0123456789abcdefghijABCDEFGHIJ0123456789", "xoxb-123456789012-abcdefghij",
        "ghp_0123456789abcdefghijABCDEFGHIJ0123456789",
        "-----BEGIN PRIVATE KEY-----\\nMIIE", "-----BEGIN RSA PRIVATE KEY-----" };
    static const char *const others[] = { "sk-", "sk-...", "keys begin with sk- or gsk_",
        "sk-learn-compatible-estimators-2", "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "the task-0123456789abcdefghij", "Bearer of bad news", "Bearer $OPENAI_API_KEY",
        "Bearer YOUR_API_KEY_GOES_HERE_1", "AKIA", "AKIAIOSFODNN7", "hf_transfer",
        "https://huggingface.co/hf_internal/testing", "xoxb-",
        "-----BEGIN CERTIFICATE-----", "sha256:0123456789abcdef0123456789abcdef",
        "AIzawa Hiroshi", "gsk_short1" };
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        char *text = with_name(keys[i]);
        char *list = bad(text);
        expect(list, "consent: expected no key in a recipe, found what looks like");
        free(list);
        free(text);
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        char *text = with_name(others[i]);
        struct recipe *r = good(text);
        recipe_free(r);
        free(text);
    }
}

/* A recipe of 20,000 mistakes is refused at once, with the first of them. */
static void test_mistakes_cost_no_time(void **state)
{
    (void)state;
    static const struct {
        const char *from, *before, *after; /* "BEFORE" number "AFTER" */
    } cases[] = {
        { "\"slots\": 4", "\"slotts", "\": 4" }, // unknown keys
        { "\"tasks\"", "\"taskss", "\": [\"x\"]" },
        { "\"prices\": [", "{\"llm\": \"gbt", "\"}" }, // unknown llms
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer many;
        buffer_init(&many, TEXT_MAX);
        int is_list = strchr(cases[i].from, '[') != NULL;
        buffer_add_str(&many, is_list ? cases[i].from : "");
        for (int k = 0; k < (is_list ? 9000 : 20000); k++)
            buffer_printf(&many, "%s%d%s,\n", cases[i].before, k, cases[i].after);
        buffer_add_str(&many, is_list ? "" : cases[i].from);
        char *text = with(small, cases[i].from, buffer_str(&many));
        int64_t begun = clock_mono_ns();
        char *list = bad(text);
        assert_true(clock_mono_ns() - begun < INT64_C(5000000000));
        assert_int_equal(count_lines(list), RECIPE_MAX_PROBLEMS + 1);
        free(list);
        free(text);
        buffer_release(&many);
    }
}

static char *with_chain(int n)
{
    struct buffer chain;
    buffer_init(&chain, TEXT_MAX);
    buffer_add_str(&chain, "\"gpt\": {\"like\": \"gpt0\", \"endpoint\": \"first\"},\n");
    for (int i = 0; i < n; i++)
        buffer_printf(&chain,
            "\"gpt%d\": {\"like\": \"gpt%d\", \"endpoint\": \"e%d\"},\n", i, i + 1, i);
    buffer_printf(&chain, "\"gpt%d\": {", n);
    char *text = with(small, "\"gpt\": {", buffer_str(&chain));
    buffer_release(&chain);
    return text;
}

static void test_chains_of_like_end(void **state)
{
    (void)state;
    char *text = with_chain(RECIPE_MAX_LIKE - 2); // the judge is the last one
    struct recipe *r = good(text);
    assert_string_equal(r->llms[1].model, r->llms[2].model);
    recipe_free(r);
    free(text);
    text = with_chain(RECIPE_MAX_LIKE);
    char *list = bad(text);
    expect(list,
        "llms.gpt.like: expected an llm from which \"like\" ends after at most 8 "
        "steps");
    free(list);
    free(text);
    text = with_chain(900);
    int64_t begun = clock_mono_ns();
    list = bad(text);
    assert_true(clock_mono_ns() - begun < INT64_C(5000000000));
    assert_int_equal(count_lines(list), RECIPE_MAX_PROBLEMS + 1);
    free(list);
    free(text);
}

static void test_mistakes_stay_lines(void **state)
{
    (void)state;
    char *text = with(small, "\"slots\": 4", "\"x\\ny\": 4");
    char *list = bad(text);
    assert_int_equal(count_lines(list), 1);
    free(list);
    free(text);
}

static void test_many_mistakes_are_counted(void **state)
{
    (void)state;
    struct buffer prompts;
    buffer_init(&prompts, TEXT_MAX);
    buffer_add_str(&prompts, "\"prompts\": [ ");
    for (int i = 0; i < 300; i++)
        buffer_printf(&prompts, "%d,\n", i);
    char *text = with(small, "\"prompts\": [ ", buffer_str(&prompts));
    char *list = bad(text);
    assert_int_equal(count_lines(list), RECIPE_MAX_PROBLEMS + 1);
    expect(list, "and 250 more");
    free(list);
    free(text);
    buffer_release(&prompts);
}

static void test_any_cut_is_survived(void **state)
{
    (void)state;
    const char *text = recipe_builtin();
    size_t len = strlen(text);
    for (size_t n = 0; n < len - 2; n += 97) {
        struct recipe *r;
        assert_int_equal(recipe_parse("cut", NULL, text, n, &r, NULL, NULL), E_DATA);
        assert_null(r);
    }
}

/* ---- files that a recipe names ---- */

static void test_files_are_put_in(void **state)
{
    struct folder *f = *state;
    file_in(f, "p.jsonl",
        "{\"task\": \"Query\", \"text\": \"One?\"}\n\n"
        "  {\"task\": \"Advice\", \"text\": \"Two?\", \"needs\": [\"stove\"]}\n");
    file_in(f, "prices.json",
        "// list prices\n[{\"llm\": \"gpt\", \"from\": \"2026-01-01\", \"input_usd\": 1, "
        "\"output_usd\": 2, \"source\": \"s\"}]");
    file_in(f, "system.txt", "Line one.\nLine \"two\".\n");
    file_in(f, "judge.txt", "{question}: {candidate} or {reference}?");
    char *a = with(small, "\"prompts\": [ ", "\"prompts_file\": \"p.jsonl\", \"x\": [ ");
    char *end = strstr(a, "\"x\"");
    const char *rest = strstr(a, "\"sessions\"");
    char *b = text_format("%.*s%s", (int)(end - a), a, rest);
    char *c = with(b, "\"prices\": [", "\"prices\": \"prices.json\" } [");
    *strstr(c, " } [") = '\0';
    char *d = text_format("%s,\n \"annotate\": {\"judge\": {\"template\": {\"file\": "
                          "\"judge.txt\"}}}}",
        c);
    char *e = with(d, "\"Be brief.\"", "{\"file\": \"system.txt\"}");
    const char *path = file_in(f, "r.jsonc", e);
    struct recipe *r, *again;
    struct buffer problems;
    struct error err = ERROR_INIT;
    buffer_init(&problems, TEXT_MAX);
    if (recipe_load(path, &r, &problems, &err))
        fail_msg("%s\n%s", err.msg, buffer_str(&problems));
    assert_int_equal(r->n_prompts, 2);
    assert_string_equal(r->prompts[1].text, "Two?");
    assert_string_equal(r->prompts[1].needs[0], "stove");
    assert_null(r->prompts[1].id);
    assert_int_equal(r->prices[0].input_pusd, 1000000);
    assert_string_equal(r->llms[0].system_prompt, "Line one.\nLine \"two\".\n");
    assert_string_equal(
        r->annotate.judge_template, "{question}: {candidate} or {reference}?");

    // The text holds all of it: it loads where no file is allowed.
    again = good(r->text);
    assert_int_equal(again->n_prompts, 2);
    assert_string_equal(again->llms[0].identity, r->llms[0].identity);
    assert_string_equal(
        again->annotate.judge_template, "{question}: {candidate} or {reference}?");
    assert_string_equal(again->text, r->text);
    recipe_free(again);
    recipe_free(r);
    buffer_release(&problems);
    free(a);
    free(b);
    free(c);
    free(d);
    free(e);
}

static void test_mistakes_name_their_file(void **state)
{
    struct folder *f = *state;
    const char *lines = file_in(f, "p.jsonl",
        "{\"task\": \"Query\", \"text\": \"One?\"}\n\n"
        "{\"task\": \"Nope\", \"text\": \"Two?\"}\n{\"task\": \n");
    const char *prices =
        file_in(f, "prices.json", "[\n {\"llm\": \"gpt\",\n\"from\": 1}]");
    char *a = with(small, "\"prompts\": [ ", "\"prompts_file\": \"p.jsonl\", \"x\": [ ");
    char *b = with(a, "\"x\": [ ", "\"history\": [ ");
    char *c = with(b, "\"prices\": [", "\"prices\": \"prices.json\", \"y\": [");
    char *d = with(c, "\"Be brief.\"", "{\"file\": \"nowhere.txt\"}");
    const char *path = file_in(f, "r.jsonc", d);
    struct recipe *r;
    struct buffer problems;
    struct error err = ERROR_INIT;
    buffer_init(&problems, TEXT_MAX);
    assert_int_equal(recipe_load(path, &r, &problems, &err), E_DATA);
    const char *list = buffer_str(&problems);
    char *line = text_format("%s:3: prompts[1].task: ", lines);
    expect(list, line);
    free(line);
    expect(list, "line 4");
    line = text_format("%s:3: prices[0].from: ", prices);
    expect(list, line);
    free(line);
    line = text_format("%s:8: system_prompt.file: ", path);
    expect(list, line);
    free(line);
    expect(list, "nowhere.txt");
    buffer_release(&problems);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void test_missing_files(void **state)
{
    struct folder *f = *state;
    struct recipe *r;
    struct error err = ERROR_INIT;
    const char *path = file_in(f, "nothing.jsonc", NULL);
    assert_int_equal(recipe_load(path, &r, NULL, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "nothing.jsonc"));

    char *text = with(small, "{\"n\": 3, \"turns\": [2, 4], \"seed\": 7}",
        "{\"script\": \"sessions.jsonl\"}");
    path = file_in(f, "r.jsonc", text);
    assert_int_equal(recipe_load(path, &r, NULL, &err), E_DATA);
    assert_non_null(strstr(err.msg, "sessions.script"));
    const char *script = file_in(f, "sessions.jsonl", "{}\n");
    assert_int_equal(recipe_load(path, &r, NULL, &err), OK);
    assert_string_equal(r->sessions.script, script); // absolute, from the recipe's folder
    recipe_free(r);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_values_and_defaults),
        cmocka_unit_test(test_like),
        cmocka_unit_test(test_same_llm_twice),
        cmocka_unit_test(test_prices_are_exact),
        cmocka_unit_test(test_price_tiers),
        cmocka_unit_test(test_energy_and_own_cap),
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_terms_of_the_plan),
        cmocka_unit_test(test_script_instead_of_samples),
        cmocka_unit_test(test_kinds_of_views),
        cmocka_unit_test(test_sets_are_accepted),
        cmocka_unit_test(test_one_mistake_each),
        cmocka_unit_test(test_all_mistakes_at_once),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_secrets_are_refused_and_not_repeated),
        cmocka_unit_test(test_pasted_keys_are_refused),
        cmocka_unit_test(test_shapes_of_keys),
        cmocka_unit_test(test_mistakes_cost_no_time),
        cmocka_unit_test(test_chains_of_like_end),
        cmocka_unit_test(test_mistakes_stay_lines),
        cmocka_unit_test(test_many_mistakes_are_counted),
        cmocka_unit_test(test_any_cut_is_survived),
        cmocka_unit_test_setup_teardown(
            test_files_are_put_in, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_mistakes_name_their_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_missing_files, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
