/* sim_phrases.c - patterns with {topic}, {thing}, {other} and {place}. */
#include "m4a1/simulate/sim_phrases.h"

#include <string.h>

#include "m4a1/base/text.h"

#define PATTERNS_A_TASK 4

static const struct {
    const char *task;
    const char *patterns[PATTERNS_A_TASK];
} tasks[] = {
    { "Assistive System",
        { "Done – I have taken care of “{topic}” and will tell you when the {thing} "
          "{place} "
          "is ready.",
            "I set {topic} to a comfortable level, about 20 °C, and left the {thing} "
            "{place} as it was.",
            "The request about {topic} is under way; the {other} goes off in ½ hour, the "
            "{thing} stays on.",
            "All right: {topic} first, then the {thing} {place}. Say “stop” to undo "
            "it." } },
    { "Message Editing",
        { "Here is a version you may send: “Hello, about {topic}: I am still busy with "
          "the "
          "{thing} and will write again at 18:00.”",
            "A shorter way to put it: “{topic} – yes, gladly. See you at the table!”",
            "I would write: “Thank you for asking about {topic}. Dinner with {thing} and "
            "{other} is at seven, à bientôt.”",
            "Warmer, and still brief: “Good news about {topic}; come over, the {thing} "
            "is "
            "nearly done.”" } },
    { "Query",
        { "As for {topic}: there is a {thing} {place}, and next to it a {other}.",
            "I see ≈ 3 things that matter for {topic}: the {thing} {place}, the {other}, "
            "and some free space beside them.",
            "The {thing} is {place}; the {other} – as far as it shows – is one step "
            "further.",
            "Looking for {topic}, the best match is the {thing} {place}." } },
    { "Recommendation",
        { "For {topic} I would take the {thing} and the {other}: 15 minutes at 180 °C, "
          "then "
          "a little crème fraîche.",
            "Try a plain {topic} dish: ½ cup of rice, the {thing} {place}, and some "
            "herbs.",
            "Since the {thing} is {place}, a quick sauté suits {topic} best; keep the "
            "{other} for tomorrow.",
            "My first choice for {topic} is a warm salad with the {thing}; the {other} "
            "makes a good second." } },
    { "", { "On {topic}: the {thing} {place} matters most, the {other} less so.",
              "A good next step for {topic} is to check the {thing} {place} – then the "
              "{other}.",
              "In short, {topic} depends on the {thing}; give it ½ hour and look again.",
              "I would begin with the {thing} {place} and come back to {topic} after "
              "that." } },
};

static const char *const things[] = { "cutting board", "blue bowl", "kettle",
    "jar of honey", "bunch of carrots", "bread knife", "glass pitcher",
    "tray of cucumbers", "sponge", "frying pan", "loaf of bread", "box of tea" };
static const char *const places[] = { "left of the sink", "beside the stove",
    "at the edge of the counter", "behind the plates", "in the upper cupboard",
    "next to the window", "on the lower shelf", "in front of the toaster" };
static const char *const remarks[] = {
    " I went by what is in reach first.",
    " If something has been moved since, tell me and I will look again.",
    " The rest of the room looks tidy and safe.",
    " This takes about 5–10 minutes in all.",
    " You may want to wash your hands before.",
    " There is enough for two people, perhaps three.",
    " Let me know whether you would like it shorter.",
    " It costs next to nothing – maybe 2 € – and needs no other tool.",
    " I am fairly sure of this.",
};
static const char *const refusals[] = {
    "I'm sorry, but I can't tell that from what I was given.",
    "I'm sorry, but I can't help with this request.",
    "I don't have a picture of the room, so there is nothing I could describe.",
    "As a language model I can't see the kitchen. Please describe it in words.",
    "sorry, this is beyond what I am able to do here.",
    "I don't have access to that device.",
};

void phrases_refusal(struct rng *rng, struct buffer *out)
{
    (void)buffer_add_str(out, refusals[rng_below(rng, COUNT_OF(refusals))]);
}

struct words {
    const char *name, *value;
};

static void expand(
    const char *pattern, const struct words *words, size_t n_words, struct buffer *out)
{
    while (*pattern) {
        size_t plain = strcspn(pattern, "{");
        (void)buffer_add(out, pattern, plain);
        pattern += plain;
        size_t i = 0;
        while (*pattern && i < n_words && !text_starts(pattern, words[i].name))
            i++;
        if (*pattern && i < n_words) {
            (void)buffer_add_str(out, words[i].value);
            pattern += strlen(words[i].name);
        } else if (*pattern) {
            (void)buffer_add_char(out, *pattern++);
        }
    }
}

void phrases_answer(struct rng *rng, struct rng *scene, const char *task,
    const char *topic, struct buffer *out)
{
    size_t row = 0, pair[2], scratch[COUNT_OF(things)];
    while (row + 1 < COUNT_OF(tasks) && !text_equal(tasks[row].task, task))
        row++;
    rng_sample(scene, COUNT_OF(things), 2, scratch, pair);
    const struct words words[] = {
        { "{topic}", topic },
        { "{thing}", things[pair[0]] },
        { "{other}", things[pair[1]] },
        { "{place}", places[rng_below(scene, COUNT_OF(places))] },
    };
    expand(tasks[row].patterns[rng_below(rng, PATTERNS_A_TASK)], words, COUNT_OF(words),
        out);
}

void phrases_remark(struct rng *rng, uint64_t i, struct buffer *out)
{
    (void)buffer_add_str(out, remarks[(i % 3) * 3 + rng_below(rng, 3)]);
}
