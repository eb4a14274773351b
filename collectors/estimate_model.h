/* estimate_model.h - inside the estimate only: what is known of each llm. */
#ifndef COLLECTORS_ESTIMATE_MODEL_H
#define COLLECTORS_ESTIMATE_MODEL_H

#include "collectors/plan_estimate.h"

#define MODEL_MAX_IMAGES 129

/* Means over n answers with one number of images. */
struct model_mean {
    int64_t n;
    double input_tokens, output_tokens, usd, usd_squared;
};

struct model_llm {
    enum estimate_basis basis;
    int64_t n; /* answers; 0 = guessed */
    struct model_mean by_images[MODEL_MAX_IMAGES];
    double output_tokens, latency_s;
    double tokens_of_text, tokens_an_image;
    double max_output_tokens; /* where guessed */
    int is_priced;
    double input_usd, output_usd; /* a token, today */
};

struct estimate_model {
    const struct plan_inputs *in;
    struct model_llm *llms; /* [in->n_llms] */
};

/* What a call with these views carries, of those that the llm is ever sent: pictures, the
 * frames of videos included.  A text and a sound count as one picture each. */
int estimate_n_images(
    const struct plan_inputs *in, const struct llm *llm, uint32_t views);
int estimate_judge_images(const struct plan_inputs *in, const struct llm *judge);

#endif
