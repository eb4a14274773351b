/* test_sim_protocol.c - paths, requests and errors of all protocols, without a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_protocol.h"
#include "tests/support/make_image.h"
#include "tests/support/sim_wire.h"

/* A PNG of one pixel, whole and valid. */
#define PIXEL                                                                            \
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+"                      \
    "M9QDwADhgGAWjR9awAAAAB"                                                             \
    "JRU5ErkJggg=="

static const struct sim_protocol *find(const char *name)
{
    for (size_t i = 0; sim_protocol_at(i); i++)
        if (text_equal(sim_protocol_at(i)->name, name))
            return sim_protocol_at(i);
    fail_msg("no protocol %s", name);
    return NULL;
}

static void paths_tell_the_protocol(void **state)
{
    (void)state;
    static const struct {
        const char *path, *protocol, *model;
        int stream;
    } cases[] = {
        { "/v1/chat/completions", "openai-chat", "", 0 },
        { "/api/v1/chat/completions", "openai-chat", "", 0 },
        { "/openai/v1/chat/completions", "openai-chat", "", 0 },
        { "/openai/deployments/my-dep/chat/completions", "azure-openai", "my-dep", 0 },
        { "/v1/responses", "openai-responses", "", 0 },
        { "/v1/messages", "anthropic", "", 0 },
        { "/v1beta/models/gemini-2.5-flash:generateContent", "gemini", "gemini-2.5-flash",
            0 },
        { "/v1beta/models/g:streamGenerateContent", "gemini", "g", 1 },
        { "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
            "gemini", "g", 0 },
        { "/api/chat", "ollama", "", 1 },
        { "/model/anthropic.claude-v2:0/converse", "bedrock-converse",
            "anthropic.claude-v2:0", 0 },
        { "/model/arn:aws:bedrock:eu:1:inference-profile/x/converse-stream",
            "bedrock-converse", "arn:aws:bedrock:eu:1:inference-profile/x", 1 },
        { "/v1/chat/completions/more", NULL, "", 0 },
        { "/v1beta/models/:generateContent", NULL, "", 0 },
        { "/model//converse", NULL, "", 0 },
        { "/models/x", NULL, "", 0 },
        { "", NULL, "", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sim_route route;
        const struct sim_protocol *found = sim_protocol_find(cases[i].path, &route);
        if (!text_equal(found ? found->name : NULL, cases[i].protocol))
            fail_msg("%s: %s", cases[i].path, found ? found->name : "none");
        if (found) {
            assert_string_equal(route.model, cases[i].model);
            assert_int_equal(route.stream, cases[i].stream);
        }
    }
}

static void a_long_model_in_a_path_is_none(void **state)
{
    (void)state;
    char path[SIM_MAX_MODEL + 64];
    struct sim_route route;
    for (size_t n = SIM_MAX_MODEL - 2; n < SIM_MAX_MODEL + 2; n++) {
        memcpy(path, "/model/", 8);
        memset(path + 7, 'x', n);
        memcpy(path + 7 + n, "/converse", 10);
        assert_int_equal(sim_protocol_find(path, &route) != NULL, n < SIM_MAX_MODEL);
    }
}

/* --- the same dialogue in every protocol --- */

static char *jpeg_base64(int width, int height)
{
    struct buffer file;
    size_t n = (size_t)width * (size_t)height * 3;
    uint8_t *pixels = malloc(n);
    const struct make_jpeg how = { width, height, 3, 90, 0, 0, 0 };
    assert_non_null(pixels);
    for (size_t i = 0; i < n; i++)
        pixels[i] = (uint8_t)(i * 7 + i / 300);
    buffer_init(&file, 16u << 20);
    make_jpeg(&how, pixels, &file);
    char *text = malloc(base64_size(file.len));
    assert_non_null(text);
    base64_encode(file.data, file.len, text);
    free(pixels);
    buffer_release(&file);
    return text;
}

static void check_dialogue(enum wire wire, const struct sim_request *r, int stream)
{
    static const char *const roles[] = { "system", "user", "assistant", "user" };
    assert_string_equal(r->model, "m");
    assert_int_equal(r->stream, stream);
    assert_int_equal(r->max_tokens, 500);
    assert_int_equal(r->n_messages, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(r->messages[i].role, roles[i]);
    assert_string_equal(sim_message_text(&r->messages[0]), WIRE_SYSTEM);
    assert_string_equal(sim_message_text(&r->messages[2]), WIRE_ANSWER);
    assert_non_null(strstr(sim_request_question(r), "And “now”?"));
    assert_int_equal(r->messages[1].n_images, 2);
    assert_int_equal(r->messages[3].n_images, 2);
    assert_int_equal(r->n_images, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(r->images[i].width_px, 640);
        assert_int_equal(r->images[i].height_px, 480);
        assert_string_equal(r->images[i].label, wire == WIRE_OLLAMA ? "" : "View side:");
    }
    assert_string_equal(r->images[0].hash, r->images[1].hash);
}

static void every_protocol_reads_the_same_dialogue(void **state)
{
    (void)state;
    char *image = jpeg_base64(640, 480);
    const char *images[] = { image, image };
    char hash[HASH_HEX] = "", seen[N_WIRES][HASH_HEX];
    for (int wire = 0; wire < N_WIRES; wire++) {
        for (int stream = 0; stream < 2; stream++) {
            const struct wire_ask ask = { "m", "And “now”?", images, 2, "image/jpeg", 1,
                stream, 0 };
            struct wire_request made = wire_request((enum wire)wire, &ask);
            struct sim_request request;
            struct sim_error error;
            struct sim_route route;
            made.path[strcspn(made.path, "?")] = '\0';
            const struct sim_protocol *protocol = sim_protocol_find(made.path, &route);
            assert_ptr_equal(protocol, find(wire_names[wire]));
            if (!sim_protocol_read(protocol, &route, NULL, made.body, strlen(made.body),
                    &request, &error))
                fail_msg("%s: %s", wire_names[wire], error.message);
            check_dialogue((enum wire)wire, &request, stream);
            if (!*hash)
                memcpy(hash, request.images[0].hash, HASH_HEX);
            assert_string_equal(request.images[2].hash, hash);
            /* A stream is asked for the same answer. */
            if (stream)
                assert_string_equal(request.identity, seen[wire]);
            memcpy(seen[wire], request.identity, HASH_HEX);
            sim_request_release(&request);
            free(made.body);
        }
        for (int other = 0; other < wire; other++)
            assert_string_not_equal(seen[wire], seen[other]);
    }
    free(image);
}

/* --- mistakes --- */

#define OLLAMA(rest) "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"," rest "}]}"
#define CLAUDE(rest) "{\"model\":\"m\",\"max_tokens\":9," rest "}"
#define USER(content) "\"messages\":[{\"role\":\"user\",\"content\":" content "}]"
#define SOURCE(type, data)                                                               \
    CLAUDE(USER("[{\"type\":\"image\",\"source\":{\"type\":\"base64\","                  \
                "\"media_type\":\"" type "\",\"data\":\"" data "\"}}]"))
#define GEMINI(parts) "{\"contents\":[{\"role\":\"user\",\"parts\":" parts "}]}"
#define BEDROCK_IMAGE(format, bytes)                                                     \
    "{" USER("[{\"image\":{\"format\":\"" format "\",\"source\":{\"bytes\":\"" bytes     \
             "\"}}}]") "}"

static const struct {
    const char *protocol, *body, *says;
} bad[] = {
    { "openai-responses", "{\"input\":\"x\"}", "model" },
    { "openai-responses", "{\"model\":\"m\"}", "Missing required parameter: 'input'" },
    { "openai-responses", "{\"model\":\"m\",\"input\":[]}", "'input'" },
    { "openai-responses", "{\"model\":\"m\",\"input\":\"x\",\"max_tokens\":5}",
        "Unsupported parameter: 'max_tokens'" },
    { "openai-responses", "{\"model\":\"m\",\"input\":\"x\",\"seed\":5}", "'seed'" },
    { "openai-responses", "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":0}",
        "'max_output_tokens'" },
    { "openai-responses", "{\"model\":\"m\",\"input\":[{\"role\":\"human\"}]}",
        "input[0]" },
    { "openai-responses",
        "{\"model\":\"m\",\"input\":[{\"type\":\"reasoning\",\"role\":\"user\"}]}",
        "takes messages" },
    { "openai-responses", "{\"model\":\"m\",\"input\":[{\"role\":\"user\"}]}",
        "content" },
    { "openai-responses",
        "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
        "\"text\":\"x\"}]}]}",
        "'input_text'" },
    { "openai-responses",
        "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_"
        "image\",\"image_url\":{\"url\":\"data:\"}}]}]}",
        "expected a string" },
    { "openai-responses",
        "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_"
        "image\",\"image_url\":\"https://x/a.png\"}]}]}",
        "fetches nothing" },
    { "openai-responses",
        "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_"
        "image\",\"image_url\":\"data:image/png;base64," PIXEL
        "\",\"detail\":\"best\"}]}]}",
        "'original'" },
    { "openai-responses",
        "{\"model\":\"m\",\"input\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
        "\"input_text\",\"text\":\"x\"}]}]}",
        "'output_text'" },
    { "anthropic", "{\"model\":\"m\"," USER("\"x\"") "}", "max_tokens: Field required" },
    { "anthropic", CLAUDE("\"seed\":1," USER("\"x\"")), "seed: Extra inputs" },
    { "anthropic", CLAUDE("\"temperature\":1.5," USER("\"x\"")), "temperature" },
    { "anthropic", CLAUDE("\"messages\":[]"), "at least one message" },
    { "anthropic", CLAUDE("\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]"),
        "top-level `system`" },
    { "anthropic", CLAUDE(USER("\"\"")), "non-empty" },
    { "anthropic", CLAUDE(USER("[{\"type\":\"text\",\"text\":\"\"}]")), "non-empty" },
    { "anthropic", CLAUDE(USER("[{\"type\":\"image_url\"}]")), "messages.0.content.0" },
    { "anthropic", SOURCE("image/jpeg", PIXEL), "does not match the provided media" },
    { "anthropic", SOURCE("image/bmp", PIXEL), "media_type" },
    { "anthropic", SOURCE("image/png", "data:image/png;base64," PIXEL), "base64" },
    { "anthropic",
        CLAUDE(
            USER("[{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"x\"}}]")),
        "fetches nothing" },
    { "gemini", "{}", "contents is not specified" },
    { "gemini", GEMINI("[]"), "must not be empty" },
    { "gemini", GEMINI("[{\"type\":\"text\"}]"), "oneof" },
    { "gemini", "{\"messages\":[]}", "Unknown name \"messages\"" },
    { "gemini",
        "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],\"generationConfig\":{\"max_"
        "tokens\":5}}",
        "Unknown name \"max_tokens\" at 'generation_config'" },
    { "gemini", "{\"contents\":[{\"role\":\"assistant\",\"parts\":[{\"text\":\"x\"}]}]}",
        "valid role: user, model" },
    { "gemini",
        GEMINI("[{\"inlineData\":{\"mimeType\":\"text/plain\",\"data\":\"eA==\"}}]"),
        "MIME type" },
    { "gemini", GEMINI("[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"*\"}}]"),
        "base64" },
    { "ollama", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        "model is required" },
    { "ollama", "{\"model\":\"m\"}", "messages" },
    { "ollama", "{\"model\":\"m\",\"messages\":[{\"role\":\"model\"}]}", "invalid role" },
    { "ollama", OLLAMA("\"content\":[]"), "content" },
    { "ollama", OLLAMA("\"images\":\"x\""), "images" },
    { "ollama",
        OLLAMA("\"content\":\"x\",\"images\":[\"data:image/png;base64," PIXEL "\"]"),
        "base64" },
    { "ollama",
        "{\"model\":\"m\",\"options\":{\"num_predict\":\"5\"},\"messages\":[{\"role\":"
        "\"user\"}]}",
        "num_predict" },
    { "bedrock-converse", "{}", "messages" },
    { "bedrock-converse", "{\"model\":\"m\"," USER("[{\"text\":\"x\"}]") "}",
        "extraneous key [model]" },
    { "bedrock-converse", "{" USER("\"x\"") "}", "empty" },
    { "bedrock-converse", "{" USER("[{\"text\":\"\"}]") "}", "is blank" },
    { "bedrock-converse",
        "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"text\":\"x\"}]}]}",
        "must start with a user message" },
    { "bedrock-converse",
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]},"
        "{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}]}",
        "must alternate" },
    { "bedrock-converse", BEDROCK_IMAGE("jpg", PIXEL), "enum value set" },
    { "bedrock-converse", BEDROCK_IMAGE("jpeg", PIXEL), "does not match" },
    { "bedrock-converse", "{\"system\":\"x\"," USER("[{\"text\":\"x\"}]") "}", "system" },
    { "bedrock-converse",
        "{\"inferenceConfig\":{\"maxTokens\":0}," USER("[{\"text\":\"x\"}]") "}",
        "maxTokens" },
    { "azure-openai", "{\"messages\":[]}", "'messages'" },
};

static void mistakes_are_refused_in_each_protocol(void **state)
{
    (void)state;
    const struct sim_route route = { "m", 0 };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct sim_request request;
        struct sim_error error;
        if (sim_protocol_read(find(bad[i].protocol), &route, NULL, bad[i].body,
                strlen(bad[i].body), &request, &error))
            fail_msg("%s accepted %s", bad[i].protocol, bad[i].body);
        if (error.status != 400 || !strstr(error.message, bad[i].says))
            fail_msg("%s: %s\n -> %d %s", bad[i].protocol, bad[i].body, error.status,
                error.message);
        sim_request_release(&request);
    }
}

static int is_read(const char *protocol, const char *body)
{
    const struct sim_route route = { "m", 0 };
    struct sim_request request;
    struct sim_error error;
    int ok = sim_protocol_read(
        find(protocol), &route, NULL, body, strlen(body), &request, &error);
    if (!ok)
        print_message("%s: %s\n", protocol, error.message);
    sim_request_release(&request);
    return ok;
}

static void other_spellings_are_read(void **state)
{
    (void)state;
    assert_true(is_read("anthropic", SOURCE("image/png", PIXEL)));
    assert_true(is_read("anthropic",
        CLAUDE("\"system\":[{\"type\":\"text\",\"text\":\"s\"}]," USER("\"x\""))));
    assert_true(is_read("gemini",
        "{\"system_instruction\":{\"parts\":[{\"text\":\"s\"}]},\"contents\":[{\"parts\":"
        "[{\"inline_data\":{\"mime_type\":\"image/png\",\"data\":\"" PIXEL
        "\"}}]}],\"generation_config\":{\"max_output_tokens\":5}}"));
    assert_true(is_read("openai-responses", "{\"model\":\"m\",\"input\":\"x\"}"));
    assert_true(is_read("openai-responses",
        "{\"model\":\"m\",\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":"
        "\"x\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":"
        "\"no\"}]},{\"role\":\"user\",\"content\":[]}]}"));
    assert_true(is_read("ollama",
        "{\"model\":\"m\",\"options\":{\"num_predict\":-1},\"messages\":[{\"role\":"
        "\"user\",\"content\":\"\",\"images\":null}]}"));
    assert_true(is_read("bedrock-converse", BEDROCK_IMAGE("png", PIXEL)));
}

/* --- ceilings --- */

static void ceilings_of_vendors_hold(void **state)
{
    (void)state;
    enum { N = 21 };
    const char *images[N];
    char *large = jpeg_base64(2001, 8);
    static const struct {
        enum wire wire;
        size_t n;
        int ok;
    } cases[] = { { WIRE_BEDROCK, 20, 1 }, { WIRE_BEDROCK, 21, 0 },
        { WIRE_ANTHROPIC, 20, 1 }, { WIRE_ANTHROPIC, 21, 0 }, { WIRE_GEMINI, 21, 1 } };
    for (int i = 0; i < N; i++)
        images[i] = large;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct wire_ask ask = { "m", "x", images, cases[i].n, "image/jpeg", 0, 0,
            0 };
        struct wire_request made = wire_request(cases[i].wire, &ask);
        assert_int_equal(is_read(wire_names[cases[i].wire], made.body), cases[i].ok);
        free(made.body);
    }
    free(large);
}

/* --- errors --- */

static void every_failure_has_words_in_every_protocol(void **state)
{
    (void)state;
    for (size_t i = 0; sim_protocol_at(i); i++) {
        const struct sim_protocol *protocol = sim_protocol_at(i);
        for (int f = 0; f < N_SIM_FAILURES; f++) {
            struct sim_error error;
            struct buffer text;
            if (f == FAIL_OVERLOADED || f == FAIL_FILTER) {
                const char *only = f == FAIL_FILTER ? "azure-openai" : "anthropic";
                assert_int_equal(
                    protocol->failures[f].status != 0, text_equal(protocol->name, only));
                if (!protocol->failures[f].status)
                    continue;
            }
            sim_fail(&error, protocol, (enum sim_failure)f, "the-model");
            assert_true(error.status == 200 ? f == FAIL_IN_STREAM : error.status >= 400);
            assert_true(strlen(error.message) > 5);
            assert_null(strchr(error.message, '{'));
            struct json *root = protocol->error(&error, "an-id");
            buffer_init(&text, 4096);
            assert_int_equal(json_print(root, JSON_COMPACT, &text, NULL), OK);
            assert_non_null(strstr(text.data, error.message));
            buffer_release(&text);
            json_free(root);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_tell_the_protocol),
        cmocka_unit_test(a_long_model_in_a_path_is_none),
        cmocka_unit_test(every_protocol_reads_the_same_dialogue),
        cmocka_unit_test(mistakes_are_refused_in_each_protocol),
        cmocka_unit_test(other_spellings_are_read),
        cmocka_unit_test(ceilings_of_vendors_hold),
        cmocka_unit_test(every_failure_has_words_in_every_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
