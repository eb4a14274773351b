/* sim_answer.c - qualities, refusals and sentences. */
#include "m4a1/simulate/sim_answer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "m4a1/base/text.h"
#include "m4a1/simulate/sim_judge.h"
#include "m4a1/simulate/sim_phrases.h"

/* One row a role: local, cloud, reference, judge (a judge answers no prompts). */
static const struct {
    double base;          /* quality without views and noise */
    double ability;       /* share of a view's worth that it can use */
    double refusal;       /* probability of a refusal with views */
    double blind_refusal; /* more of it for each point of gain where no view is there */
} roles[] = {
    { 4.6, 0.6, 0.06, 0.08 },
    { 6.2, 1.0, 0.03, 0.03 },
    { 7.2, 1.0, 0.01, 0.01 },
    { 6.2, 1.0, 0.0, 0.0 },
};

/* What a task asks for: points that views are worth, and points that a local llm, being
 * small, falls short (or is better than its usual). */
struct task_needs {
    double gain, demand;
};

static struct task_needs needs_of(uint64_t seed, const char *task)
{
    static const struct {
        const char *task;
        struct task_needs needs;
    } known[] = {
        { "Query", { 2.6, 2.6 } },
        { "Recommendation", { 1.3, 2.2 } },
        { "Assistive System", { 0.7, -0.8 } },
        { "Message Editing", { 0.1, -1.6 } },
    };
    if (!task)
        return (struct task_needs) { 1, 0 };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (text_equal(task, known[i].task))
            return known[i].needs;
    struct rng rng;
    sim_rng_named(&rng, seed, "task", task, "");
    double gain = 0.3 + 2 * rng_uniform(&rng);
    return (struct task_needs) { gain, 3 * rng_uniform(&rng) - 1.5 };
}

double sim_task_gain(uint64_t seed, const char *task)
{
    return needs_of(seed, task).gain;
}

static int seen_before(const struct sim_request *request, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (text_equal(request->images[k].hash, request->images[i].hash))
            return 1;
    return 0;
}

/* Whether a view of kind text stands in the request: its label does. */
static int is_read(const struct sim_ask *ask, const struct recipe_view *view)
{
    char label[300];
    snprintf(label, sizeof label, "View %s:", view->name);
    for (size_t i = 0; view->kind == VIEW_TEXT && i < ask->request->n_messages; i++)
        if (strstr(sim_message_text(&ask->request->messages[i]), label))
            return 1;
    return 0;
}

static int knows_views(const struct sim_ask *ask)
{
    for (size_t i = 0; i < ask->recipe->n_views; i++)
        if (is_read(ask, &ask->recipe->views[i]))
            return 1;
    return ask->request->n_images || ask->request->n_sounds;
}

/* Views of other kinds tell something, too: as much as an image. */
static double other_weight(const struct sim_ask *ask, const char *task)
{
    double weight = 0;
    struct rng rng;
    for (size_t i = 0; i < ask->request->n_sounds; i++) {
        sim_rng_named(&rng, ask->seed, "view", ask->request->sounds[i].hash, task);
        weight += 0.5 + rng_uniform(&rng);
    }
    for (size_t i = 0; i < ask->recipe->n_views; i++) {
        if (!is_read(ask, &ask->recipe->views[i]))
            continue;
        sim_rng_named(&rng, ask->seed, "view", ask->recipe->views[i].name, task);
        weight += 0.5 + rng_uniform(&rng);
    }
    return weight;
}

static double views_weight(const struct sim_ask *ask)
{
    double weight = 0;
    const char *task = ask->task ? ask->task : "";
    for (size_t i = 0; i < ask->request->n_images; i++) {
        struct rng rng;
        if (seen_before(ask->request, i))
            continue;
        sim_rng_named(&rng, ask->seed, "view", ask->request->images[i].hash, task);
        weight += 0.5 + rng_uniform(&rng);
    }
    return weight + other_weight(ask, task);
}

double sim_quality(const struct sim_ask *ask)
{
    struct rng model, bent, noise;
    const char *name = ask->request->model;
    struct task_needs needs = needs_of(ask->seed, ask->task);
    double gain = needs.gain;
    sim_rng_named(&model, ask->seed, "model", name, "");
    sim_rng_named(&bent, ask->seed, "bent", name, ask->task ? ask->task : "");
    sim_rng(&noise, ask, "noise", 0);
    double quality = roles[ask->role].base + 0.35 * rng_normal(&model) +
                     0.25 * rng_normal(&bent) + 0.5 * rng_normal(&noise);
    if (ask->role == LLM_LOCAL)
        quality -= needs.demand;
    if (knows_views(ask))
        quality += roles[ask->role].ability * gain * (1 - exp(-0.9 * views_weight(ask)));
    else
        quality -= gain / 2;
    return round(10 * fmin(fmax(quality, 1), 10)) / 10;
}

static double refusal_probability(const struct sim_ask *ask)
{
    double p = roles[ask->role].refusal;
    if (!knows_views(ask))
        p += roles[ask->role].blind_refusal * sim_task_gain(ask->seed, ask->task);
    return p;
}

/* --- the words --- */

/* The view that an image's label names, or NULL.  A long text is a prompt, no label. */
static const char *view_named(const struct recipe *recipe, const char *label)
{
    for (size_t i = 0; i < recipe->n_views && strlen(label) < 60; i++)
        if (strstr(label, recipe->views[i].name))
            return recipe->views[i].name;
    return NULL;
}

/* Frames of one clip share its label, and are one view. */
static int is_same_view(const struct sim_request *request, size_t i)
{
    return i && *request->images[i].label &&
           request->images[i].label == request->images[i - 1].label;
}

static void images_say(const struct sim_ask *ask, struct buffer *out)
{
    const struct sim_request *request = ask->request;
    size_t n_left = 0, n_said = 0;
    for (size_t i = 0; i < request->n_images; i++)
        n_left += !is_same_view(request, i);
    for (size_t i = 0; i < request->n_images; i++) {
        const char *name = view_named(ask->recipe, request->images[i].label);
        if (is_same_view(request, i))
            continue;
        if (n_said++)
            (void)buffer_add_str(out, n_left > 1 ? ", " : " and ");
        n_left--;
        if (name)
            (void)buffer_printf(out, "the %s view", name);
        else
            (void)buffer_printf(out, "view %zu", i + 1);
    }
}

static void sentence_begin(struct buffer *out, int *n, const char *words)
{
    (void)buffer_printf(out, "%s%s", (*n)++ ? ". " : "", words);
}

static void views_say(const struct sim_ask *ask, struct buffer *out)
{
    const struct sim_request *request = ask->request;
    int n = 0;
    if (request->n_images) {
        sentence_begin(out, &n, "I looked at ");
        images_say(ask, out);
    }
    for (size_t i = 0; i < request->n_sounds; i++) {
        const char *name = view_named(ask->recipe, request->sounds[i].label);
        sentence_begin(out, &n, "I heard ");
        (void)buffer_printf(out, "the %s view", name ? name : "unnamed");
    }
    for (size_t i = 0; i < ask->recipe->n_views; i++) {
        if (!is_read(ask, &ask->recipe->views[i]))
            continue;
        sentence_begin(out, &n, "I read ");
        (void)buffer_printf(out, "the %s view", ask->recipe->views[i].name);
    }
    if (!n)
        sentence_begin(out, &n, "No view was given, so this rests on the words alone");
    (void)buffer_add_char(out, '.');
}

/* The longest plain word of the question: what the answer is about.  Short words,
 * apostrophes and "sorry" are left out, so that quoting never looks like a refusal. */
static void topic_find(const char *question, char *topic, size_t size)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t longest = 3;
    memcpy(topic, "this", 5);
    for (const char *at = question; *at;) {
        size_t n = strspn(at, letters);
        int whole = at[n] != '\'' && !(at[n] & 0x80);
        if (whole && n > longest && n < size && strncmp(at, "sorry", 5) != 0) {
            memcpy(topic, at, n);
            topic[n] = '\0';
            longest = n;
        }
        at += n;
        while (*at && !strchr(letters, *at))
            at++;
    }
}

/* Scene words come from the images where there are some, else from the question, so
 * that llms that see the same scene speak of the same things. */
static void scene_rng(const struct sim_ask *ask, struct rng *rng)
{
    const struct sim_request *request = ask->request;
    sim_rng_named(rng, ask->seed, "scene",
        request->n_images ? request->images[0].hash : sim_request_question(request), "");
}

int sim_answer(const struct sim_ask *ask, struct buffer *out)
{
    struct rng rng, scene;
    char topic[40];
    sim_rng(&rng, ask, "answer", 0);
    if (rng_uniform(&rng) < refusal_probability(ask)) {
        phrases_refusal(&rng, out);
        return 1;
    }
    scene_rng(ask, &scene);
    topic_find(sim_request_question(ask->request), topic, sizeof topic);
    phrases_answer(&rng, &scene, ask->task, topic, out);
    /* Larger llms talk longer. */
    uint64_t n_more = rng_below(&rng, ask->role == LLM_LOCAL ? 2 : 4);
    for (uint64_t i = 0; i < n_more; i++)
        phrases_remark(&rng, i, out);
    (void)buffer_add_char(out, ' ');
    views_say(ask, out);
    (void)buffer_printf(
        out, " %s%.1f%s", SIM_MARK_OPEN, sim_quality(ask), SIM_MARK_CLOSE);
    return 0;
}
