/* prompt_kin.h - which prompts say something alike, by their words.
 *
 * Cosine of word counts weighted by how few prompts have the word (tf-idf, Salton and
 * Buckley 1988): weight of a word = its count in the prompt * log(1 + P / prompts that
 * have it).  Words are runs of ASCII letters and digits, in lower case, and of any bytes
 * beyond ASCII.  Knows no scores, so training and test prompts can be compared. */
#ifndef M4A1_TMO_PROMPT_KIN_H
#define M4A1_TMO_PROMPT_KIN_H

#include <stddef.h>
#include <stdint.h>
#include "m4a1/base/error.h"

#define PROMPT_KIN_MAX 16 /* kept for each prompt: its nearest */

struct prompt_kin {
    size_t n;                        /* others with a similarity above 0 */
    uint32_t prompt[PROMPT_KIN_MAX]; /* most similar first */
    float similarity[PROMPT_KIN_MAX];
};

/* The kin of texts[n]; *out [n] is freed with free(). */
MUST_CHECK enum status prompt_kin_build(
    const char *const *texts, size_t n, struct prompt_kin **out, struct error *err);

#endif
