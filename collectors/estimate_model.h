/* estimate_model.h - inside the estimate only: what is known of each llm. */
#ifndef COLLECTORS_ESTIMATE_MODEL_H
#define COLLECTORS_ESTIMATE_MODEL_H

#include "collectors/plan_estimate.h"

#define MODEL_MAX_IMAGES 129

/* One measured answer; usd by today's price, NAN where there is none. */
struct model_answer {
    int images;
    double position; /* turns before it */
    int64_t prompt_id, session_id;
    double input_tokens, output_tokens, usd;
};

/* Means over the n answers with one number of images. */
struct model_mean {
    int64_t n;
    double input_tokens, output_tokens, usd, position;
};

struct model_llm {
    enum estimate_basis basis;
    int64_t n;                    /* answers; 0 = guessed */
    struct model_answer *answers; /* [n]; owned */
    size_t size;
    struct model_mean by_images[MODEL_MAX_IMAGES];
    /* What an earlier turn adds, by least squares within the numbers of images; spread is
     * the sum of squared positions about their means, 0 = guessed. */
    double spread, input_a_turn, usd_a_turn;
    double output_tokens, latency_s, position;
    double tokens_of_text, tokens_an_image;
    double max_output_tokens; /* where guessed */
    int is_priced;
    double input_usd, output_usd; /* a token, today */
};

struct estimate_model {
    const struct plan_inputs *in;
    struct model_llm *llms; /* [in->n_llms] */
};

/* The means that a call with so many images goes by; NULL = the answers are too few. */
const struct model_mean *model_mean_of(const struct model_llm *m, int n_images);

/* What a call with these views carries, of those that the llm is ever sent: pictures, the
 * frames of videos included.  A text and a sound count as one picture each. */
int estimate_n_images(
    const struct plan_inputs *in, const struct llm *llm, uint32_t views);
int estimate_judge_images(const struct plan_inputs *in, const struct llm *judge);

#endif
