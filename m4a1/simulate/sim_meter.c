/* sim_meter.c - token and latency rules. */
#include "m4a1/simulate/sim_meter.h"

#include <math.h>
#include <string.h>

#include "m4a1/base/text.h"

#define CACHE_MIN 1024
#define CACHE_STEP 128

int64_t meter_text_tokens(size_t n_bytes)
{
    return (int64_t)((n_bytes + 3) / 4);
}

int64_t meter_image_tokens(int width_px, int height_px, int low_detail)
{
    double w = width_px, h = height_px;
    if (low_detail)
        return 85;
    double fit = fmin(1, 2048 / fmax(w, h));
    w *= fit;
    h *= fit;
    fit = fmin(1, 768 / fmin(w, h));
    w *= fit;
    h *= fit;
    /* Sides are whole pixels before they are cut into tiles. */
    return 85 + 170 * (int64_t)(ceil(round(w) / 512) * ceil(round(h) / 512));
}

/* Tokens of the first n messages. */
static int64_t messages_tokens(const struct sim_request *request, size_t n)
{
    int64_t tokens = 0;
    size_t image = 0, sound = 0;
    for (size_t i = 0; i < n; i++) {
        const struct sim_message *message = &request->messages[i];
        tokens += 4 + meter_text_tokens(message->text.len);
        for (size_t k = 0; k < message->n_images; k++, image++)
            tokens += meter_image_tokens(request->images[image].width_px,
                request->images[image].height_px, request->images[image].low_detail);
        for (size_t k = 0; k < message->n_sounds; k++, sound++)
            tokens += request->sounds[sound].tokens;
    }
    return tokens;
}

int64_t meter_prompt_tokens(const struct sim_request *request)
{
    return 3 + messages_tokens(request, request->n_messages);
}

int64_t meter_cached_tokens(const struct sim_ask *ask)
{
    const struct sim_request *request = ask->request;
    size_t n = request->n_messages;
    struct rng rng;
    while (n && !text_equal(request->messages[n - 1].role, "assistant"))
        n--;
    int64_t history = messages_tokens(request, n);
    if (ask->role == LLM_LOCAL || history < CACHE_MIN)
        return 0;
    sim_rng(&rng, ask, "cache", 0);
    return rng_uniform(&rng) < 0.5 ? history / CACHE_STEP * CACHE_STEP : 0;
}

struct sim_pace meter_pace(const struct sim_ask *ask, int64_t prompt_tokens)
{
    static const struct {
        double constant_s, prompt_token_s, image_s, tokens_per_s;
    } roles[] = {
        { 0.40, 0.60e-3, 0.80, 14 }, /* local */
        { 0.70, 0.10e-3, 0.90, 45 }, /* cloud */
        { 0.90, 0.12e-3, 1.00, 35 }, /* reference */
        { 0.50, 0.10e-3, 0.40, 60 }, /* judge */
    };
    struct rng rng;
    sim_rng(&rng, ask, "latency", 0);
    double first_s = roles[ask->role].constant_s +
                     roles[ask->role].prompt_token_s * (double)prompt_tokens +
                     roles[ask->role].image_s *
                         (double)(ask->request->n_images + ask->request->n_sounds);
    first_s *= exp(0.15 * rng_normal(&rng));
    return (struct sim_pace) { (int64_t)(1e9 * first_s),
        (int64_t)(1e9 / roles[ask->role].tokens_per_s) };
}
