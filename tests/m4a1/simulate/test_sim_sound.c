/* Sound in requests to the simulator: who takes it, what is refused, what it is billed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "m4a1/base/hash.h"
#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_meter.h"
#include "m4a1/simulate/sim_protocol.h"

#define WAV_BYTES (44 + 2400)

/* 1.2 s of 1 kHz, one byte a sample, as base64; flaw is a byte that is made wrong. */
static char *wav_base64(size_t flaw)
{
    static const char head[] = "RIFF\x84\x09\0\0WAVEfmt \x10\0\0\0\1\0\1\0\xd0\7\0\0"
                               "\xd0\7\0\0\1\0\x08\0data\x60\x09\0";
    static uint8_t wav[WAV_BYTES];
    memset(wav, 0, sizeof wav);
    memcpy(wav, head, sizeof head);
    if (flaw < sizeof wav)
        wav[flaw] ^= 0x80;
    char *text = malloc(base64_size(sizeof wav));
    assert_non_null(text);
    base64_encode(wav, sizeof wav, text);
    return text;
}

static int read_request(const struct sim_protocol *protocol, const char *body,
    struct sim_request *request, struct sim_error *error)
{
    struct sim_route route = { .model = "m" };
    return sim_protocol_read(protocol, &route, NULL, body, strlen(body), request, error);
}

#define CHAT(part)                                                                       \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"," \
    "\"text\":\"View mic:\"}," part "]}]}"
#define CHAT_SOUND                                                                       \
    CHAT("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"%s\",\"format\":"        \
         "\"wav\"}}")
#define GEMINI_SOUND                                                                     \
    "{\"contents\":[{\"parts\":[{\"text\":\"View mic:\"},{\"inlineData\":{"              \
    "\"mimeType\":\"audio/wav\",\"data\":\"%s\"}}]}]}"

static const struct {
    const struct sim_protocol *protocol;
    const char *body; /* %s = a WAV */
    int64_t tokens;   /* -1 = refused */
    const char *says;
} cases[] = {
    { &sim_openai_chat, CHAT_SOUND, 12, "" },
    { &sim_azure_openai, CHAT_SOUND, 12, "" },
    { &sim_gemini, GEMINI_SOUND, 39, "" },
    { &sim_openai_chat,
        CHAT("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"%s\",\"format\":"
             "\"ogg\"}}"),
        -1, "'wav' and 'mp3'" },
    { &sim_openai_chat, CHAT("{\"type\":\"input_audio\",\"input_audio\":\"%s\"}"), -1,
        "expected an object" },
    { &sim_openai_responses,
        "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":"
        "\"input_audio\",\"input_audio\":{\"data\":\"%s\",\"format\":\"wav\"}}]}]}",
        -1, "input_audio" },
    { &sim_anthropic,
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
        "[{\"type\":\"audio\",\"source\":{\"type\":\"base64\",\"media_type\":"
        "\"audio/wav\",\"data\":\"%s\"}}]}]}",
        -1, "expected tags" },
    { &sim_ollama,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\","
        "\"images\":[\"%s\"]}]}",
        -1, "image" },
    { &sim_bedrock,
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"audio\":{\"format\":\"wav\","
        "\"source\":{\"bytes\":\"%s\"}}}]}]}",
        -1, "" },
};

static char *filled(const char *body, const char *wav)
{
    const char *mark = strstr(body, "%s");
    return text_format("%.*s%s%s", (int)(mark - body), body, wav, mark + 2);
}

static void each_vendor_takes_or_refuses_it(void **state)
{
    (void)state;
    char *wav = wav_base64(WAV_BYTES);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sim_request r;
        struct sim_error error = { 0 };
        char *body = filled(cases[i].body, wav);
        int ok = read_request(cases[i].protocol, body, &r, &error);
        if (ok != (cases[i].tokens >= 0) ||
            (!ok && !strstr(error.message, cases[i].says)))
            fail_msg("%s %s: %d, %s", cases[i].protocol->name, cases[i].body, ok,
                error.message);
        if (ok) {
            assert_int_equal(r.n_sounds, 1);
            assert_int_equal(r.n_images, 0);
            assert_int_equal(r.sounds[0].duration_ms, 1200);
            assert_int_equal(r.sounds[0].tokens, cases[i].tokens);
            assert_string_equal(r.sounds[0].label, "View mic:");
            assert_int_equal(meter_prompt_tokens(&r), 3 + 4 + 3 + cases[i].tokens);
        } else {
            assert_int_equal(error.status, 400);
        }
        sim_request_release(&r);
        free(body);
    }
    free(wav);
}

/* A byte of the container that is wrong makes it no WAV. */
static void bytes_have_to_be_a_wav(void **state)
{
    (void)state;
    static const size_t flaws[] = { 0, 3, 8, 11, 31, 39, 43 };
    for (size_t i = 0; i < COUNT_OF(flaws); i++) {
        struct sim_request r;
        struct sim_error error = { 0 };
        char *wav = wav_base64(flaws[i]), *body = filled(CHAT_SOUND, wav);
        int ok = read_request(&sim_openai_chat, body, &r, &error);
        // The rate of byte 31 may be any: then it is a shorter sound.
        if (flaws[i] == 31)
            assert_true(ok);
        else if (ok || !strstr(error.message, "not of valid wav format"))
            fail_msg("byte %zu: %d, %s", flaws[i], ok, error.message);
        sim_request_release(&r);
        free(body);
        free(wav);
    }
}

/* Frames of a clip are labelled by it, not by their instants. */
static void frames_are_of_their_clip(void **state)
{
    (void)state;
    struct sim_request r;
    struct sim_error error = { 0 };
    static const char part[] = "{\"type\":\"image_url\",\"image_url\":{\"url\":"
                               "\"data:image/png;base64,"
                               "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4"
                               "2mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==\"}}";
    char *body =
        text_format(CHAT("%s,{\"type\":\"text\",\"text\":\"View clip, 2 frames:\"},"
                         "{\"type\":\"text\",\"text\":\"At 0 s:\"},%s,"
                         "{\"type\":\"text\",\"text\":\"At 1.5 s:\"},%s,"
                         "{\"type\":\"text\",\"text\":\"At 2 o'clock\"},%s"),
            part, part, part, part);
    if (!read_request(&sim_openai_chat, body, &r, &error))
        fail_msg("%s", error.message);
    assert_string_equal(r.images[0].label, "View mic:");
    assert_string_equal(r.images[1].label, "View clip, 2 frames:");
    assert_ptr_equal(r.images[1].label, r.images[2].label);
    assert_string_equal(r.images[3].label, "At 2 o'clock");
    assert_int_equal(r.n_texts, 5);
    sim_request_release(&r);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vendor_takes_or_refuses_it),
        cmocka_unit_test(bytes_have_to_be_a_wav),
        cmocka_unit_test(frames_are_of_their_clip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
