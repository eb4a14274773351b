/* sim_judge.c - find the marks, add noise, print the two scores. */
#include "m4a1/simulate/sim_judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define JUDGE_NOISE 0.5 /* deviation of a score before rounding */

/* The first quality mark in [from, end), or 0; *next is behind it. */
static double mark_read(const char *from, const char *end, const char **next)
{
    while ((from = strstr(from, SIM_MARK_OPEN)) && from < end) {
        char *behind;
        from += strlen(SIM_MARK_OPEN);
        double quality = strtod(from, &behind);
        size_t close = strlen(SIM_MARK_CLOSE);
        if (behind != from && behind + close <= end &&
            strncmp(behind, SIM_MARK_CLOSE, close) == 0 && quality >= 1 &&
            quality <= 10) {
            *next = behind + close;
            return quality;
        }
    }
    *next = end;
    return 0;
}

/* The section between the last open tag that is closed and its close tag. */
static int section_find(const char *text, const char *open, const char *close,
    const char **from, const char **end)
{
    *from = *end = NULL;
    for (const char *at = strstr(text, open); at; at = strstr(at + 1, open)) {
        const char *inside = at + strlen(open);
        const char *behind = strstr(inside, close);
        if (behind) {
            *from = inside;
            *end = behind;
        }
    }
    return *from != NULL;
}

int sim_judge_marks(const char *text)
{
    const char *from, *end;
    return section_find(text, "<candidate>", "</candidate>", &from, &end) ||
           strstr(text, SIM_MARK_OPEN) != NULL;
}

void sim_judge_read(const char *text, double *candidate, double *reference)
{
    const char *from, *end, *next;
    *candidate = *reference = 0;
    int tags = section_find(text, "<candidate>", "</candidate>", &from, &end);
    if (tags)
        *candidate = mark_read(from, end, &next);
    if (section_find(text, "<reference>", "</reference>", &from, &end)) {
        *reference = mark_read(from, end, &next);
        tags = 1;
    }
    if (!tags) {
        end = text + strlen(text);
        *candidate = mark_read(text, end, &next);
        *reference = mark_read(next, end, &next);
        if (*reference < 1) {
            *reference = *candidate;
            *candidate = 0;
        }
    }
    *candidate = *candidate < 1 ? 1 : *candidate;
    *reference = *reference < 1 ? 1 : *reference;
}

static int score_draw(struct rng *rng, double quality)
{
    double score = round(quality + JUDGE_NOISE * rng_normal(rng));
    return (int)fmin(fmax(score, 1), 10);
}

void sim_judge_reply(const struct sim_ask *ask, int unparsable, struct buffer *out)
{
    static const char *const prose[] = {
        "Both answers are helpful. The first is shorter, the second names more of what "
        "can be seen, so I would rather read the second.",
        "Let me compare them step by step. The candidate is clear – the reference is "
        "clearer. Overall the reference is somewhat better.",
        "It depends on what the user values most; I would call them close.",
    };
    struct rng rng;
    double candidate, reference;
    sim_rng(&rng, ask, "judge", 0);
    if (unparsable) {
        (void)buffer_add_str(out, prose[rng_below(&rng, 3)]);
        return;
    }
    sim_judge_read(sim_request_question(ask->request), &candidate, &reference);
    int first = score_draw(&rng, candidate);
    int second = score_draw(&rng, reference);
    (void)buffer_printf(out, "{\"candidate\": %d, \"reference\": %d}", first, second);
}
