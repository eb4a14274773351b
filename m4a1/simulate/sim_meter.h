/* sim_meter.h - what a simulated answer is billed and how long it takes.
 *
 * Tokens are counted by stated rules, not by a tokenizer:
 *   text     ceil(bytes / 4), at least 1 where there is text
 *   message  4, and 3 for the answer's beginning
 *   image    the tile rule of the larger OpenAI models: 85 at low detail; else fit into
 *            2048 x 2048, then the shorter side to 768 (never enlarged), 85 + 170 a
 *            tile of 512 x 512
 *   sound    by the second, as the vendor counts: OpenAI 10, Gemini 32 */
#ifndef M4A1_SIMULATE_SIM_METER_H
#define M4A1_SIMULATE_SIM_METER_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/simulate/sim_ask.h"

int64_t meter_text_tokens(size_t n_bytes);
int64_t meter_image_tokens(int width_px, int height_px, int low_detail);
int64_t meter_prompt_tokens(const struct sim_request *request);

/* The share of the prompt said to come from a cache: 0 for local llms; else, for half
 * of the requests whose history up to the last assistant message has 1024 tokens or
 * more, that history in whole steps of 128.  A function of the request alone. */
int64_t meter_cached_tokens(const struct sim_ask *ask);

struct sim_pace {
    int64_t first_token_ns; /* from the request's arrival */
    int64_t token_ns;       /* from one token to the next */
};

/* The latency model: first token = a constant + a time per prompt token + a time per
 * image and sound, times a jitter exp(0.15 z); then tokens at the role's rate. */
struct sim_pace meter_pace(const struct sim_ask *ask, int64_t prompt_tokens);

#endif
