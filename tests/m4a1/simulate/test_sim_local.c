/* test_sim_local.c - what the simulated servers tell of themselves and their models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/simulate.h"
#include "tests/support/chat_body.h"
#include "tests/support/http_client.h"
#include "tests/support/sim_case.h"

static struct json *ask(struct simulator *sim, const char *method, const char *path,
    const char *body, int status)
{
    struct client_reply reply;
    struct json *root;
    client_exchange(simulate_port(sim), method, path, "", body, &reply);
    assert_int_equal(reply.status, status);
    assert_int_equal(
        json_parse(reply.body.data, reply.body.len, path, 0, &root, NULL), OK);
    client_reply_release(&reply);
    return root;
}

/* The entry of a list whose member is the value. */
static const struct json *entry(
    const struct json *list, const char *member, const char *value)
{
    for (const struct json *j = json_first(list); j; j = json_next(j))
        if (text_equal(json_text(json_get(j, member), ""), value))
            return j;
    return NULL;
}

static void servers_tell_their_models(void **state)
{
    (void)state;
    struct recipe *recipe = sim_recipe();
    struct simulate_options options = { .recipe = recipe, .seed = 1 };
    struct simulator *sim;
    char digest[80];
    assert_int_equal(simulate_start(&options, &sim, NULL), OK);

    struct json *j = ask(sim, "GET", "/v1beta/models", NULL, 200);
    assert_int_equal(json_size(json_get(j, "models")), 4);
    assert_non_null(entry(json_get(j, "models"), "name", "models/" CHAT_CLOUD));
    json_free(j);

    j = ask(sim, "GET", "/api/tags", NULL, 200);
    const struct json *model = entry(json_get(j, "models"), "name", CHAT_LOCAL);
    const char *told = json_text(json_get(model, "digest"), "");
    assert_int_equal(strlen(told), 64);
    memcpy(digest, told, 65);
    assert_string_equal(
        json_text(json_get(json_get(model, "details"), "quantization_level"), ""),
        "Q4_K_M");
    model = entry(json_get(j, "models"), "name", CHAT_CLOUD);
    assert_string_not_equal(json_text(json_get(model, "digest"), ""), digest);
    json_free(j);

    j = ask(sim, "GET", "/api/ps", NULL, 200);
    model = entry(json_get(j, "models"), "model", CHAT_LOCAL);
    assert_string_equal(json_text(json_get(model, "digest"), ""), digest);
    assert_true(json_int(json_get(model, "size_vram"), 0) > 0);
    json_free(j);

    j = ask(sim, "GET", "/api/version", NULL, 200);
    assert_non_null(strstr(json_text(json_get(j, "version"), ""), "simulator"));
    json_free(j);

    j = ask(sim, "POST", "/api/show", "{\"model\":\"" CHAT_LOCAL "\"}", 200);
    assert_non_null(json_get(json_get(j, "model_info"), "general.architecture"));
    assert_string_equal(json_text(json_at(json_get(j, "capabilities"), 1), ""), "vision");
    json_free(j);

    j = ask(sim, "POST", "/api/show", "{\"model\":\"nobody\"}", 404);
    assert_string_equal(json_text(json_get(j, "error"), ""), "model 'nobody' not found");
    json_free(j);
    json_free(ask(sim, "POST", "/api/show", "{}", 400));
    json_free(ask(sim, "POST", "/api/show", "[", 400));
    json_free(ask(sim, "POST", "/api/tags", "{}", 404));
    simulate_stop(sim);
    recipe_free(recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_tell_their_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
